//! Templates, barriers, invalidations and loads.

use tlbc_runtime::clause::{Level, Levels, Most, Stride};

use super::{Lower, of_kind};
use crate::ast::{self, BarrierFact, Ident, InvalidateFact, Item};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{
    At, Barrier, Drops, Form, Invalidate, LevelSel, Load, Named, Template, Var, Which,
};
use crate::source::Span;

pub(super) fn named(ident: &Ident) -> Named {
    Named {
        name: ident.node.clone(),
        span: ident.span,
        text: String::new(),
    }
}

impl Lower {
    /// The lines of a template, and the operands in the order in which it names them.
    fn template(&mut self, text: &ast::Text, with: &[Ident]) -> Template {
        let mut operands = Vec::new();
        for name in placeholders(&text.node) {
            if name == "scratch" {
                continue;
            }
            let ident = Ident {
                node: name.to_owned(),
                span: text.span,
            };
            self.place_operand(&ident, &mut operands);
        }
        for ident in with {
            self.place_operand(ident, &mut operands);
        }
        let lines = text.node.split(';').map(|line| line.trim().to_owned());
        Template {
            lines: lines.filter(|line| !line.is_empty()).collect(),
            operands,
            span: text.span,
        }
    }

    fn place_operand(&mut self, ident: &Ident, operands: &mut Vec<usize>) {
        let found = self.with(|s| &mut s.operands, |s, l| s.find("operand", l, ident));
        if let Some(operand) = found.filter(|operand| !operands.contains(operand)) {
            operands.push(operand);
        }
    }

    pub(super) fn lower_barriers(&mut self, items: &[Item]) -> Vec<Barrier> {
        let mut out = Vec::new();
        for it in of_kind!(items, Barrier) {
            let mut barrier = Barrier {
                named: named(&it.name),
                template: self.template(&it.template, &[]),
                requires: self.cond(it.requires.as_ref(), &[]),
                publishes: None,
                completes: None,
                same_cpu: false,
                resyncs: None,
                gone: None,
                drained: None,
                span: it.span,
            };
            for fact in &it.facts {
                match &fact.node {
                    BarrierFact::Publishes(on) => {
                        if let Some(holders) = self.holders(on) {
                            self.once(&mut barrier.publishes, "`publishes`", holders, on.span);
                        }
                    }
                    BarrierFact::Completes { on, same_cpu } => {
                        if let Some(holders) = self.holders(on) {
                            self.once(&mut barrier.completes, "`completes`", holders, on.span);
                            barrier.same_cpu = *same_cpu;
                        }
                    }
                    BarrierFact::Resyncs(_) => barrier.resyncs = Some(fact.span),
                    BarrierFact::Gone => barrier.gone = Some(fact.span),
                    BarrierFact::Drained => barrier.drained = Some(fact.span),
                }
            }
            out.push(barrier);
        }
        out
    }

    pub(super) fn lower_invalidates(&mut self, items: &[Item]) -> Vec<Invalidate> {
        let all: Vec<&ast::Invalidate> = of_kind!(items, Invalidate).collect();
        all.into_iter().map(|it| self.invalidate(it)).collect()
    }

    fn invalidate(&mut self, it: &ast::Invalidate) -> Invalidate {
        let template = self.template(&it.template, &it.with);
        let requires = self.cond(it.requires.as_ref(), &[]);
        let (mut per, mut holders, mut after) = (None, None, None);
        let (mut needs, mut cost) = (Vec::new(), None);
        let (mut clobbers, mut writes) = (None, None);
        let mut drops = Vec::new();
        let mut forms: Vec<Form> = Vec::new();
        for fact in &it.facts {
            match &fact.node {
                InvalidateFact::Per(text) => {
                    self.once(&mut per, "`per`", text.node.clone(), text.span);
                }
                InvalidateFact::Drops(d) => drops.extend(self.drops(d, fact.span)),
                InvalidateFact::Where(name) => {
                    if let Some(found) = self.holders(name) {
                        self.once(&mut holders, "`where`", found, name.span);
                    }
                }
                InvalidateFact::AtOnce => self.once(&mut after, "when it is done", None, fact.span),
                InvalidateFact::After(name) => {
                    let barrier = self.barrier(name);
                    if barrier.is_some() {
                        self.once(&mut after, "when it is done", barrier, name.span);
                    }
                }
                InvalidateFact::Needs(need) => needs.push(At {
                    value: need.node,
                    span: need.span,
                }),
                InvalidateFact::ClobbersFlags => {
                    self.once(&mut clobbers, "`clobbers flags`", (), fact.span);
                }
                InvalidateFact::WritesEntry => {
                    self.once(&mut writes, "`writes entry`", (), fact.span);
                }
                InvalidateFact::Cost(n) => {
                    if n.node == 0 {
                        self.misplaced(
                            n.span,
                            "an instruction that costs nothing would always win".to_owned(),
                            "costs begin at 1, which needs not be said",
                        );
                    }
                    self.once(&mut cost, "`cost`", n.node, fact.span);
                }
                InvalidateFact::Form(form) => {
                    if let Some(form) = self.form(form, &forms) {
                        forms.push(form);
                    }
                }
            }
        }
        self.silences(it, per.is_some(), holders.is_some(), after.is_some());
        if !drops.is_empty() {
            forms.insert(
                0,
                Form {
                    named: None,
                    requires: crate::model::Cond::default(),
                    drops,
                },
            );
        }
        Invalidate {
            named: Named {
                text: it.doc.join("\n"),
                ..named(&it.name)
            },
            template,
            requires,
            per,
            holders: holders.unwrap_or(At {
                value: tlbc_runtime::clause::Holders::NONE,
                span: it.name.span,
            }),
            after: after.and_then(|at| {
                at.value.map(|value| At {
                    value,
                    span: at.span,
                })
            }),
            needs,
            clobbers_flags: clobbers.is_some(),
            writes_entry: writes.map(|at| at.span),
            cost: cost.map_or(1, |at| at.value),
            forms,
            span: it.span,
        }
    }

    /// A primitive that is silent on a question is an error.
    fn silences(&mut self, it: &ast::Invalidate, per: bool, holders: bool, after: bool) {
        let drops = (it.facts.iter())
            .any(|f| matches!(f.node, InvalidateFact::Drops(_) | InvalidateFact::Form(_)));
        let questions = [
            (
                drops,
                "what it drops",
                "add, for instance, `drops leaf of one page, this tag;`",
            ),
            (
                holders,
                "where it acts",
                "add `where self;`, `where cpus;` or `where` a domain",
            ),
            (
                after,
                "when it is done",
                "add `at once;` or `after` a barrier",
            ),
            (
                per,
                "where that is documented",
                "add `per \"manual, section\";`",
            ),
        ];
        for (said, what, help) in questions {
            if !said {
                self.report(
                    Diagnostic::new(
                        Code::E0401,
                        it.name.span,
                        format!("`{}` does not say {what}", it.name.node),
                    )
                    .label("silent on it")
                    .note("a flush rests on every one of these answers; none has a default")
                    .help(help),
                );
            }
        }
    }

    fn form(&mut self, it: &ast::Form, before: &[Form]) -> Option<Form> {
        let twice = before.iter().filter_map(|form| form.named.as_ref());
        if let Some((first, _)) = twice.clone().find(|(n, _)| n.name == it.name.node) {
            let first = first.span;
            self.said_twice(&format!("the form `{}`", it.name.node), it.name.span, first);
            return None;
        }
        let mut drops = Vec::new();
        for d in &it.drops {
            drops.extend(self.drops(&d.node, d.span));
        }
        Some(Form {
            named: Some((named(&it.name), it.value.node)),
            requires: self.cond(it.requires.as_ref(), &[]),
            drops,
        })
    }

    fn drops(&mut self, it: &ast::Drops, span: Span) -> Option<Drops> {
        let when = self.cond(
            it.when.as_ref(),
            &[("hinted", Var::Hinted), ("keep", Var::Keep)],
        );
        let (mut leaf, mut walk) = (None, None);
        for (kind, levels) in &it.what {
            let levels = match levels {
                ast::Levels::Any => LevelSel::Any,
                ast::Levels::AtHint => LevelSel::Hint,
                ast::Levels::AboveHint => LevelSel::AboveHint,
                ast::Levels::At(name) => {
                    LevelSel::Only(Levels::only(Level(self.level(name)? as u8)))
                }
            };
            match kind.node {
                ast::Kind::Leaf => leaf = Some(levels),
                ast::Kind::Walk => walk = Some(levels),
                ast::Kind::Root => self.misplaced(
                    kind.span,
                    "root bindings cannot be described yet".to_owned(),
                    "leave `root` out",
                ),
            }
        }
        let which = match &it.which.node {
            ast::Which::OnePage => Which::OnePage,
            ast::Which::Everything => Which::Everything,
            ast::Which::Run {
                least,
                most,
                entries_at,
            } => self.run(least.node, most, entries_at.as_deref())?,
        };
        Some(Drops {
            leaf,
            walk,
            which: At {
                value: which,
                span: it.which.span,
            },
            whose: At {
                value: it.whose.node,
                span: it.whose.span,
            },
            when,
            span,
        })
    }

    fn run(&mut self, least: u64, most: &ast::Most, at: Option<&[Ident]>) -> Option<Which> {
        let most = match most {
            ast::Most::Const(n) => Most::Count(u32::try_from(n.node).unwrap_or(u32::MAX)),
            ast::Most::Limit(name) => {
                Most::Limit(self.with(|s| &mut s.limits, |s, l| s.find("limit", l, name))? as u8)
            }
        };
        let stride = match at {
            None => Stride::Pages,
            Some(levels) => {
                let mut set = Levels::NONE;
                for level in levels {
                    set = set.union(Levels::only(Level(self.level(level)? as u8)));
                }
                Stride::Entries(set)
            }
        };
        Some(Which::Run {
            least,
            most,
            stride,
        })
    }

    pub(super) fn lower_loads(&mut self, items: &[Item]) -> Vec<Load> {
        let mut out = Vec::new();
        for it in of_kind!(items, Load) {
            let template = self.template(&it.template, &[]);
            let mut drops = Vec::new();
            for d in &it.drops {
                drops.extend(self.drops(&d.node, d.span));
            }
            if it.per.is_empty() {
                self.report(
                    Diagnostic::new(
                        Code::E0401,
                        it.name.span,
                        format!("`{}` does not say where that is documented", it.name.node),
                    )
                    .label("silent on it")
                    .help("add `per \"manual, section\";`"),
                );
            }
            out.push(Load {
                named: named(&it.name),
                template,
                drops,
                span: it.span,
            });
        }
        out
    }
}

/// The `{name}`s of a template.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
}
