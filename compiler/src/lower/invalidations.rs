//! Invalidations: what they drop, where, and when they are finished.

use std::collections::BTreeSet;

use super::instructions::named;
use super::names::HINTED;
use super::needs::Stated;
use super::scope::{Lower, of_kind};
use crate::ast::{self, InvalidateFact, Item};
use crate::model::{At, Cases, Cond, DefinitionName, Drops, Form, Invalidate, Keeps, Writes};
use crate::template;

/// The most features on which the facts of an instruction may depend: their effects can be as many as sets of these.
const MOST_FEATURES: usize = 8;

const FLAGS: &str = "whether flags change";
const OPERANDS: &str = "whether operands change";

impl Lower {
    pub(super) fn lower_invalidates(&mut self, items: &[Item]) -> Vec<Invalidate> {
        let all: Vec<&ast::Invalidate> = of_kind!(items, Invalidate).collect();
        let all: Vec<Invalidate> = all.into_iter().map(|it| self.invalidate(it)).collect();
        for it in &all {
            self.few_features(it);
        }
        all
    }

    /// Reports an instruction whose facts depend on so many features that plans cannot tell all its effects apart.
    fn few_features(&mut self, it: &Invalidate) {
        let after = it.after.iter().flat_map(Cases::conds);
        let forms = it.forms.iter().map(|form| &form.requires);
        let drops = it.forms.iter().flat_map(|form| &form.drops);
        let conds = (it.agents.conds().chain(after).chain(forms))
            .chain(drops.map(|drops| &drops.when))
            .chain([&it.requires]);
        let features: BTreeSet<usize> = conds.flat_map(Cond::features).collect();
        if features.len() > MOST_FEATURES {
            let (name, count) = (&it.named.name, features.len());
            self.misplaced(
                it.named.span,
                format!("what `{name}` does depends on {count} features"),
                &format!(
                    "at most {MOST_FEATURES} are possible: describe an instruction for each case, with `requires`"
                ),
            );
        }
    }

    fn invalidate(&mut self, it: &ast::Invalidate) -> Invalidate {
        self.repeated_names(&it.with);
        let template = match (&it.template, &it.call) {
            (Some(text), _) => self.template(text, &it.with),
            (None, Some(call)) => self.call(call, &it.with),
            (None, None) => unreachable!("the grammar demands one of them"),
        };
        let requires = self.cond(it.requires.as_ref(), &[]);
        let (mut per, mut agents, mut after, mut follows) = (None, None, None, None);
        let (mut stated, mut cost) = (Stated::default(), None);
        let (mut flags, mut registers, mut retry) = (None, None, None);
        let (mut encoded, mut writes, mut nothing) = (None, None, None);
        let mut drops = Vec::new();
        let mut forms: Vec<Form> = Vec::new();
        for fact in &it.facts {
            match &fact.node {
                InvalidateFact::Per(text) => {
                    self.once(&mut per, "`per`", text.node.clone(), text.span);
                }
                InvalidateFact::Drops(d) => drops.extend(self.drops(d, HINTED, fact.span)),
                InvalidateFact::DropsNothing => {
                    self.once(&mut nothing, "`drops nothing`", (), fact.span);
                }
                InvalidateFact::Where(names) => {
                    let found = self.cases(names, false, |cx, name| {
                        Some(At {
                            value: cx.acts_on(name)?,
                            span: name.span,
                        })
                    });
                    if !found.cases.is_empty() {
                        self.once(&mut agents, "`where`", found, names.span);
                    }
                }
                InvalidateFact::AtOnce => {
                    self.once(&mut after, "when it is finished", None, fact.span);
                }
                InvalidateFact::After(names) => {
                    let found = self.cases(names, false, |cx, name| {
                        Some(At {
                            value: cx.barrier(name)?,
                            span: name.span,
                        })
                    });
                    if !found.cases.is_empty() {
                        self.once(&mut after, "when it is finished", Some(found), names.span);
                    }
                }
                InvalidateFact::Needs(need) => stated.needs.push(At {
                    value: need.node,
                    span: need.span,
                }),
                InvalidateFact::NeedsNoLock => {
                    self.once(&mut stated.concurrent, "`needs no lock`", (), fact.span);
                }
                InvalidateFact::MayBeInterrupted => {
                    let slot = &mut stated.interrupted;
                    self.once(slot, "`may be interrupted`", (), fact.span);
                }
                InvalidateFact::Keeps(keeps) => {
                    if keeps.flags {
                        self.once(&mut flags, FLAGS, true, fact.span);
                    }
                    if keeps.operands {
                        self.once(&mut registers, OPERANDS, true, fact.span);
                    }
                }
                InvalidateFact::ClobbersFlags => {
                    self.once(&mut flags, FLAGS, false, fact.span);
                }
                InvalidateFact::OverwritesOperands => {
                    self.once(&mut registers, OPERANDS, false, fact.span);
                }
                InvalidateFact::RetryWhileBusy => {
                    self.once(&mut retry, "`retry while busy`", (), fact.span);
                }
                InvalidateFact::Encoded(text) => {
                    let lines = self.lines(text);
                    self.once(&mut encoded, "`encoded`", lines, text.span);
                }
                InvalidateFact::WritesEntry { levels, to, if_old } => {
                    let written = Writes {
                        levels: self.level_set(levels),
                        to: *to,
                        if_old: *if_old,
                        span: fact.span,
                    };
                    self.once(&mut writes, "`writes entry`", written, fact.span);
                }
                InvalidateFact::Follows(name) => {
                    let found = self.barrier(name);
                    if let Some(barrier) = found {
                        self.once(&mut follows, "what it follows", barrier, name.span);
                    }
                }
                InvalidateFact::Cost(n) => {
                    if n.node == 0 {
                        self.misplaced(
                            n.span,
                            "an instruction of cost 0 would always be preferred".to_owned(),
                            "the lowest cost is 1, which is the default",
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
        self.missing_facts(it, per.is_some(), agents.is_some(), after.is_some());
        let assembled = encoded.as_ref().map(|at: &At<Vec<String>>| &at.value);
        let lines = assembled.unwrap_or(&template.lines).iter();
        let parts = match it.call {
            Some(_) => 1,
            None => lines.filter(|line| template::is_instruction(line)).count(),
        };
        let agents = agents.map_or_else(
            || Cases {
                cases: Vec::new(),
                span: it.name.span,
            },
            |at| at.value,
        );
        let needs = self.needs(stated, (parts, template.span), &agents);
        if let (Some(at), None) = (&retry, &it.call) {
            self.misplaced(
                at.span,
                "an instruction does not answer that it is busy".to_owned(),
                "remove it, or `call` a function that may answer that it is busy",
            );
        }
        if let (Some(at), Some(_)) = (&follows, &writes) {
            self.misplaced(
                at.span,
                "an instruction that writes entries follows no barrier".to_owned(),
                "remove it; a change of entries has no barrier before its instructions",
            );
        }
        if let (Some(nothing), false) = (&nothing, drops.is_empty() && forms.is_empty()) {
            let other = drops.first().map_or(it.span, |d: &Drops| d.span);
            self.said_twice("what it drops", other, nothing.span);
        }
        self.repeated_drops(&drops);
        if !drops.is_empty() || nothing.is_some() {
            forms.insert(
                0,
                Form {
                    named: None,
                    requires: Cond::default(),
                    drops,
                },
            );
        }
        let mut template = template;
        template.keeps = Keeps {
            flags: flags.is_some_and(|at| at.value),
            operands: registers.is_some_and(|at| at.value),
        };
        Invalidate {
            named: DefinitionName {
                text: it.doc.join("\n"),
                ..named(&it.name)
            },
            template,
            requires,
            per,
            call: it.call.as_ref().map(|call| At {
                value: call.node.clone(),
                span: call.span,
            }),
            encoded,
            agents,
            after: after.and_then(|at| at.value),
            follows,
            needs,
            retry_while_busy: retry.is_some(),
            writes_entry: writes.map(|at| at.value),
            cost: cost.map_or(1, |at| at.value),
            forms,
            span: it.span,
        }
    }

    /// Reports the required facts that an instruction does not state.
    fn missing_facts(&mut self, it: &ast::Invalidate, per: bool, agents: bool, after: bool) {
        let drops = (it.facts.iter()).any(|f| {
            matches!(
                f.node,
                InvalidateFact::Drops(_) | InvalidateFact::Form(_) | InvalidateFact::DropsNothing
            )
        });
        let questions = [
            (
                drops,
                "what it drops",
                "add, for instance, `drops leaf of one page, this tag;`",
            ),
            (
                agents,
                "where it acts",
                "add `where self;`, `where cpus;` or `where` a domain",
            ),
            (
                after,
                "when it is finished",
                "add `at once;` or `after` a barrier",
            ),
            (
                per,
                "where it is documented",
                "add `per \"manual, section\";`",
            ),
        ];
        for (said, what, help) in questions {
            if !said {
                self.silent(&it.name, what, help);
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
            drops.extend(self.drops(&d.node, HINTED, d.span));
        }
        self.repeated_drops(&drops);
        if it.drops.is_empty() {
            self.silent(
                &it.name,
                "what it drops",
                "add, for instance, `drops leaf of one page, this tag;`",
            );
        }
        Some(Form {
            named: Some((named(&it.name), it.value.node)),
            requires: self.cond(it.requires.as_ref(), &[]),
            drops,
        })
    }
}
