//! Instructions with the values of their operands.

use tlbc_runtime::level::Level;

use super::{Interpreter, LoopOperands};
use crate::model::{Instr, Issued, Source, Which};
use crate::plan::ir::Issue;
use crate::trace::encode::{Sources, encode};
use crate::trace::env::{Op, Role, SourcesEq};

impl Interpreter<'_> {
    pub(super) fn barrier(&mut self, barrier: usize, role: Role) {
        self.effects.ops.push(Op {
            which: Which::Barrier(barrier),
            role,
            operands: Vec::new(),
            sources: SourcesEq::default(),
        });
    }

    pub(super) fn issue(&mut self, issue: &Issue, piece: Option<LoopOperands>) {
        let primitive = &self.model.invalidates[issue.invalidate];
        let sources = self.sources(issue, piece);
        self.push(
            (Which::Invalidate(issue.invalidate), Role::Main),
            &primitive.template.operands,
            sources,
        );
    }

    /// Returns the values from which the operands of an instruction are encoded.
    fn sources(&self, issue: &Issue, piece: Option<LoopOperands>) -> Sources {
        let form = &self.model.invalidates[issue.invalidate].forms[issue.form];
        let views = &self.model.space(issue.space).views;
        let pass = self.pass.filter(|_| issue.address);
        let piece = piece.unwrap_or(LoopOperands {
            va: pass.map_or(0, |pass| pass.start),
            ..LoopOperands::default()
        });
        let va = if issue.address { piece.va } else { 0 };
        let end = pass.map_or(0, |pass| piece.end.unwrap_or_else(|| pass.after(va)));
        let change = &self.env.change;
        let nth = pass.map_or(0, |pass| va.wrapping_sub(pass.start) >> pass.shift);
        let tag = issue.tag.unwrap_or(self.env.tag.value);
        Sources {
            tag: issue.view.map_or(0, |view| tag | views[view].or),
            va,
            end,
            bytes: end.wrapping_sub(va),
            num: piece.num,
            scale: piece.scale,
            set: piece.set,
            hint: pass.and_then(|pass| pass.hint).filter(|_| issue.hint),
            stride: pass.map(|pass| pass.stride),
            form: form.named.as_ref().map_or(0, |(_, value)| *value),
            table: change.table,
            entry: change.table.wrapping_add(
                change
                    .index
                    .wrapping_add(nth)
                    .wrapping_mul(self.model.entry_size()),
            ),
            old: change.old,
            new: change.new,
            ..Sources::default()
        }
    }

    /// Issues a workaround.
    pub(super) fn workaround(
        &mut self,
        erratum: usize,
        number: usize,
        of: Option<Issue>,
        piece: Option<LoopOperands>,
    ) {
        let role = Role::Workaround(erratum);
        for issued in &self.model.errata[erratum].workarounds[number].issue {
            match issued.instr {
                Instr::Barrier(barrier) => self.barrier(barrier, role),
                Instr::Invalidate(invalidate) => {
                    let operands = &self.model.invalidates[invalidate].template.operands;
                    let which = (Which::Invalidate(invalidate), role);
                    match of {
                        Some(issue) => {
                            let sources = with(issued, self.sources(&issue, piece));
                            self.push(which, operands, sources);
                        }
                        None => self.effects.ops.push(Op {
                            which: which.0,
                            role,
                            operands: operands.iter().map(|&operand| (operand, 0)).collect(),
                            sources: SourcesEq::default(),
                        }),
                    }
                }
            }
        }
    }

    pub(super) fn load(&mut self, load: usize, view: usize, empty: bool, keep: bool) {
        let root = &self.env.root;
        let sources = Sources {
            tag: root.tag.value | self.model.user.views[view].or,
            root: if empty { root.empty } else { root.table },
            keep,
            ..Sources::default()
        };
        let operands = &self.model.loads[load].template.operands;
        let role = if empty { Role::EmptyRoot } else { Role::Main };
        self.push((Which::Load(load), role), operands, sources);
    }

    fn push(&mut self, (which, role): (Which, Role), operands: &[usize], sources: Sources) {
        let config = self.env.config;
        let bits = |&operand: &usize| {
            let it = &self.model.operands[operand];
            (operand, encode(self.model, it, config, &sources))
        };
        self.effects.ops.push(Op {
            which,
            role,
            operands: operands.iter().map(bits).collect(),
            sources: SourcesEq(sources),
        });
    }
}

/// Returns the operand values of an instruction of a workaround, given those of the instruction that needs it.
fn with(issued: &Issued, mut sources: Sources) -> Sources {
    sources.form = 0;
    for &(source, value) in &issued.with {
        match source {
            Source::Tag => sources.tag = value,
            Source::Va => sources.va = value,
            Source::End => sources.end = value,
            Source::Bytes => sources.bytes = value,
            Source::Form => sources.form = value,
            Source::Num => sources.num = value,
            Source::Scale => sources.scale = value,
            Source::Set => sources.set = value,
            _ => {}
        }
    }
    if let Some(level) = issued.level {
        sources.stride = Some(Level(level as u8));
    }
    sources
}
