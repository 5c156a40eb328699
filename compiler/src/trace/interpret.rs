//! The interpreter of the plan IR.
//!
//! In: the plans and an [`Env`]. Out: the [`Effects`]: instructions in order, deferred flushes and IPI
//! targets. Holds: the generated Rust issues the same for the same request; the differential test compares the two.

use tlbc_facts::clause::MaxCount;
use tlbc_runtime::backend::{FinishSteps, IpiTargets};
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::passes::{Folding, Pass, Passes, SortedPasses};
use tlbc_runtime::request::runs::{Runs, Units};
use tlbc_runtime::request::{Reach, Space};

use super::encode::{Sources, encode};
use super::env::SourcesEq;
pub use super::env::{Changing, Effects, Env, Op, Role, ceiling};
use crate::model::{Instr, Issued, Model, Source, Which};
use crate::plan::Plans;
use crate::plan::ir::{Count, Issue, Node, Over, Shape, Test};

/// Interprets the plan of a flush, and then the plan that completes it.
pub fn flush(model: &Model, plans: &Plans, shape: Shape, env: &Env) -> [Effects; 2] {
    let start = interpret(model, plans, shape, env);
    let env = Env {
        steps: start.steps,
        ..env.clone()
    };
    let finish = Shape::Finish(shape.space(), shape.reach());
    let finish = interpret(model, plans, finish, &env);
    [start, finish]
}

/// Interprets the plan of a shape.
pub fn interpret(model: &Model, plans: &Plans, shape: Shape, env: &Env) -> Effects {
    let mut run = Run {
        model,
        plans,
        env,
        folding: Folding::default(),
        walk: env.walk,
        passes: None,
        pass: None,
        effects: Effects {
            ops: Vec::new(),
            deferred: Deferred::NOTHING,
            steps: FinishSteps::NONE,
            exceeded_ceiling: false,
            flush_ipis: IpiTargets::NONE,
            sync_ipis: IpiTargets::NONE,
        },
    };
    run.shape(shape);
    run.effects
}

struct Run<'a> {
    model: &'a Model,
    plans: &'a Plans,
    env: &'a Env,
    folding: Folding,
    /// Whether walk entries are flushed as well.
    walk: bool,
    passes: Option<SortedPasses<'a>>,
    pass: Option<Pass>,
    effects: Effects,
}

/// The operands of one iteration of a loop.
#[derive(Clone, Copy, Default)]
struct Piece {
    va: u64,
    num: u64,
    scale: u64,
    set: u64,
}

impl Run<'_> {
    fn shape(&mut self, shape: Shape) {
        let plans = self.plans;
        if let Some(plan) = plans.get(shape) {
            let before = self.pass;
            let alone = |start, entries, level| Pass {
                start,
                entries,
                stride: level,
                shift: self.shift(level),
                hint: Some(level),
                leaf: true,
                walk: self.env.walk,
                negative: false,
            };
            match shape {
                Shape::Page(..) => {
                    let (va, level) = self.env.page;
                    self.pass = Some(alone(va, 1, level));
                }
                Shape::Change => {
                    let Changing {
                        va, entries, level, ..
                    } = self.env.change;
                    self.pass = Some(alone(va, entries, level));
                }
                Shape::Passes(space, reach) => {
                    self.shape(Shape::Folding(space, reach));
                    let levels = self.model.level_table(self.env.config);
                    let passes = SortedPasses::new(&self.env.ranges, &levels, self.folding);
                    self.passes = Some(passes);
                }
                // A pending flush of a tag or a CPU is one of all kinds of entries.
                Shape::Switch | Shape::ReturnToUser | Shape::CpuOnline => self.walk = true,
                _ => {}
            }
            self.node(&plan.body, None);
            self.pass = before;
            // An event flushes entries that only this CPU uses, so no other CPU has to drain.
            if matches!(
                shape,
                Shape::Switch | Shape::ReturnToUser | Shape::EnterFromUser | Shape::CpuOnline
            ) {
                self.effects.sync_ipis = IpiTargets::NONE;
            }
        }
    }

    fn node(&mut self, node: &Node, piece: Option<Piece>) {
        match node {
            Node::Seq(nodes) => nodes.iter().for_each(|node| self.node(node, piece)),
            Node::Select {
                on,
                then,
                otherwise,
            } => {
                let holds = self.test(*on);
                self.node(if holds { then } else { otherwise }, piece);
            }
            Node::Guard { body, .. } => self.node(body, piece),
            Node::Publish { barrier } => {
                if let Some(barrier) = barrier {
                    self.barrier(*barrier, Role::Publish);
                }
            }
            Node::Complete { barrier } => self.barrier(*barrier, Role::Complete),
            Node::Resync { barrier } => self.barrier(*barrier, Role::Resync),
            Node::Requires(steps) => self.effects.steps |= *steps,
            Node::Issue(issue) => self.issue(issue, piece),
            Node::Fold(folding) => self.folding = *folding,
            Node::Ceiling {
                count,
                beyond,
                within,
            } => {
                if self.is_over_ceiling(count, *beyond) {
                    self.effects.exceeded_ceiling = true;
                    self.shape(*beyond);
                } else {
                    self.node(within, piece);
                }
            }
            Node::Loop { over, each, rest } => self.repeat(*over, each, rest.as_deref()),
            Node::Workaround {
                erratum,
                number,
                of,
            } => {
                if self.env.config.suffers(*erratum) {
                    self.workaround(*erratum, *number, *of, piece);
                }
            }
            Node::Store => self.effects.ops.push(Op {
                which: Which::Store,
                role: Role::Main,
                operands: Vec::new(),
                sources: SourcesEq::default(),
            }),
            Node::SendIpi { to, flush } => {
                if *flush {
                    self.effects.flush_ipis = *to;
                } else {
                    self.effects.sync_ipis = *to;
                }
            }
            Node::Defer(deferred) => self.effects.deferred |= *deferred,
            Node::InvalidateOtherTags => self.effects.deferred |= Deferred::OTHERS_UNTIL_LOAD,
            Node::Load {
                load,
                view,
                empty,
                keep,
            } => self.load(*load, *view, *empty, *keep),
            Node::Call(shape) => self.shape(*shape),
            Node::InvalidateSecondary
            | Node::CompletePending(_)
            | Node::Count(_)
            | Node::Nothing(_) => {}
        }
    }

    fn test(&self, test: Test) -> bool {
        let env = self.env;
        match test {
            Test::Feature(feature) => env.config.has(feature),
            Test::Erratum(erratum) => env.config.suffers(erratum),
            Test::GlobalTag => env.tag.global,
            Test::WalkEntries => self.pass.map_or(self.walk, |pass| pass.walk),
            Test::LeafEntries => self.pass.is_some_and(|pass| pass.leaf),
            Test::NegativeEntries => {
                let appeared = env.ranges.have_appeared();
                self.pass.map_or(appeared, |pass| pass.negative)
            }
            Test::NegativeAt(levels) => env.ranges.appeared_at(levels),
            Test::Teardown => env.ends,
            Test::Kind(kind) => env.change.kind == kind,
            Test::MayDefer => env.change.may_defer,
            Test::OnlyHere => env.change.reach == Reach::Here,
            Test::OneEntry => env.change.entries == 1,
            Test::OfKernel => env.change.space == Space::Kernel,
            Test::Live => self.passes.as_ref().is_some_and(Passes::cuts_are_live),
            Test::Stride(levels) => self.pass.is_some_and(|p| levels.contains(p.stride)),
            Test::FitsRun(operand) => self.pass.is_some_and(|pass| {
                let page = self.model.geometries[env.config.geometry].page_shift;
                let entry = pass.shift - page;
                self.units(operand).is_some_and(|units| units.hold(entry))
            }),
            Test::Pending(pending) => env.pending == pending,
            Test::ViewDeferred => env.view_pending,
            Test::Required(steps) => env.steps.requires(steps),
        }
    }

    /// Returns whether the passes take more operations than the ceiling of a space and a reach permits.
    fn is_over_ceiling(&self, count: &Node, beyond: Shape) -> bool {
        let Some(passes) = &self.passes else {
            return false;
        };
        let (space, reach) = (beyond.space(), beyond.reach());
        let (operations, pages) = ceiling(
            self.model,
            (self.env.config, &self.env.limits),
            space,
            reach,
        );
        self.operations(count, passes) > operations || passes.pages() > pages
    }

    /// Returns how many operations the passes take.
    fn operations(&self, count: &Node, passes: &SortedPasses<'_>) -> u64 {
        let of = |count: &Count| match *count {
            Count::Entries => passes.entries(),
            Count::EntryRuns(most, levels, walks) => {
                passes.entry_runs(self.most(most), levels, walks)
            }
            Count::PageRuns(operand, walks) => {
                let page = self.model.geometries[self.env.config.geometry].page_shift;
                self.units(operand)
                    .map_or(0, |units| passes.page_runs(page, units, walks))
            }
        };
        match count {
            Node::Select {
                on,
                then,
                otherwise,
            } => self.operations(if self.test(*on) { then } else { otherwise }, passes),
            Node::Count(counts) => counts.iter().map(of).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn most(&self, most: MaxCount) -> u32 {
        match most {
            MaxCount::Count(count) => count,
            MaxCount::Limit(limit) => self.env.limits[limit as usize] as u32,
        }
    }

    fn repeat(&mut self, over: Over, each: &Node, rest: Option<&Node>) {
        match over {
            Over::Cuts | Over::Leaves => {
                let Some(passes) = &self.passes else {
                    return;
                };
                let part: Vec<Pass> = if over == Over::Cuts {
                    passes.cuts().collect()
                } else {
                    passes.leaves().collect()
                };
                for pass in part {
                    self.pass = Some(pass);
                    self.node(each, None);
                }
                self.pass = None;
            }
            Over::Entries => {
                let addresses = self.pass.map(|pass| pass.addresses());
                for va in addresses.into_iter().flatten() {
                    let piece = Piece {
                        va,
                        ..Piece::default()
                    };
                    self.node(each, Some(piece));
                }
            }
            Over::Sets { first, count } => {
                for set in first..count.on(&self.env.limits) {
                    let piece = Piece {
                        set,
                        ..Piece::default()
                    };
                    self.node(each, Some(piece));
                }
            }
            Over::Runs { operand, most } => self.runs(operand, most, each, rest),
        }
    }

    /// The unit in which an operand with a count names pages or entries.
    fn units(&self, operand: usize) -> Option<Units> {
        let names = self.model.operands[operand].names.as_ref()?;
        Some(Units {
            base: names.base,
            step: names.step,
            scales: names.scales,
            most: names.most_num + 1,
        })
    }

    fn shift(&self, level: Level) -> u32 {
        self.model.level_table(self.env.config)[level.index()].shift
    }

    fn runs(&mut self, operand: usize, most: MaxCount, each: &Node, rest: Option<&Node>) {
        let model = self.model;
        let (Some(pass), Some(names)) = (self.pass, model.operands[operand].names.as_ref()) else {
            return;
        };
        let Some(units) = self.units(operand) else {
            return;
        };
        let mut runs = if names.pages {
            let page = model.geometries[self.env.config.geometry].page_shift;
            Runs::of_pages(&pass, page, units)
        } else {
            Runs::of_entries(&pass, self.most(most), units)
        };
        for run in runs.by_ref() {
            let piece = Piece {
                va: run.va,
                num: run.num,
                scale: u64::from(run.scale),
                set: 0,
            };
            self.node(each, Some(piece));
        }
        if let (Some(va), Some(rest)) = (runs.rest(), rest) {
            let piece = Piece {
                va,
                ..Piece::default()
            };
            self.node(rest, Some(piece));
        }
    }

    fn barrier(&mut self, barrier: usize, role: Role) {
        self.effects.ops.push(Op {
            which: Which::Barrier(barrier),
            role,
            operands: Vec::new(),
            sources: SourcesEq::default(),
        });
    }

    fn issue(&mut self, issue: &Issue, piece: Option<Piece>) {
        let primitive = &self.model.invalidates[issue.invalidate];
        let sources = self.sources(issue, piece);
        self.push(
            (Which::Invalidate(issue.invalidate), Role::Main),
            &primitive.template.operands,
            sources,
        );
    }

    /// Returns the values from which the operands of an instruction are encoded.
    fn sources(&self, issue: &Issue, piece: Option<Piece>) -> Sources {
        let form = &self.model.invalidates[issue.invalidate].forms[issue.form];
        let views = &self.model.space(issue.space).views;
        let pass = self.pass.filter(|_| issue.address);
        let piece = piece.unwrap_or(Piece {
            va: pass.map_or(0, |pass| pass.start),
            ..Piece::default()
        });
        let va = if issue.address { piece.va } else { 0 };
        let end = pass.map_or(0, |pass| {
            va.wrapping_add(piece.num.wrapping_add(1).wrapping_shl(pass.shift))
        });
        let change = &self.env.change;
        let nth = pass.map_or(0, |pass| va.wrapping_sub(pass.start) >> pass.shift);
        let tag = issue.tag.unwrap_or(self.env.tag.value);
        Sources {
            tag: issue.view.map_or(0, |view| tag | views[view].or),
            va,
            end,
            num: piece.num,
            scale: piece.scale,
            set: piece.set,
            hint: pass.and_then(|pass| pass.hint).filter(|_| issue.hint),
            stride: pass.map(|pass| pass.stride),
            form: form.named.as_ref().map_or(0, |(_, value)| *value),
            table: change.table,
            entry: change
                .table
                .wrapping_add(change.index.wrapping_add(nth) << 3),
            old: change.old,
            new: change.new,
            ..Sources::default()
        }
    }

    /// Issues a workaround.
    fn workaround(
        &mut self,
        erratum: usize,
        number: usize,
        of: Option<Issue>,
        piece: Option<Piece>,
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

    fn load(&mut self, load: usize, view: usize, empty: bool, keep: bool) {
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
