//! The facts of a backend: constants, ceilings, and what changes require.

use tlbc_runtime::backend::{LazyMm, PteUpdate, Shootdown, TableFree};
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::Space;

use super::context::Emit;
use super::tree::{
    Case, Expr, Item, Private, Runtime, Stmt, Uses, Var, borrow, hex, number, string, structure,
};
use super::values::{SPACES, space_word};
use crate::model::{Amount, Aspect, CachedKind, Cases, Ceiling, Cond, Need, Negative, Stricter};

impl Emit<'_> {
    /// Returns the body of the function that returns the ceiling.
    pub(super) fn ceiling(&self) -> Vec<Stmt> {
        let of = |cases: &Option<Cases<Ceiling>>, space, reach| {
            let none = Expr::from("u64::MAX");
            let Some(cases) = cases else {
                return none;
            };
            let kept = (cases.cases.iter()).filter(|(ceiling, _)| ceiling.is_for(space, reach));
            let kept = Cases {
                cases: kept.cloned().collect(),
                span: cases.span,
            };
            self.by_case(&kept, none, |ceiling| self.amount(ceiling.count))
        };
        let policy = &self.model.policy;
        let unlimited = Expr::from("u64::MAX");
        let value = |space, reach| {
            let operations = of(&policy.ceiling_operations, space, reach);
            let pages = of(&policy.ceiling_pages, space, reach);
            match (operations == unlimited, pages == unlimited) {
                (true, true) => Runtime::Ceiling.item("NONE"),
                (false, true) if !matches!(operations, Expr::If(..)) => {
                    Runtime::Ceiling.item("of_operations").call([operations])
                }
                _ => Runtime::Ceiling.with([("operations", operations), ("pages", pages)]),
            }
        };
        let mut cases: Vec<Case> = Vec::new();
        for space in SPACES {
            let reaches = self.reaches(space).into_iter();
            let of_reaches: Vec<(Expr, Expr)> = reaches
                .map(|(reach, pattern)| (pattern, value(space, reach)))
                .collect();
            let (_, first) = &of_reaches[0];
            let of_space = if of_reaches.iter().all(|(_, value)| value == first) {
                let all = Expr::Tuple(vec![space_word(space), "_".into()]);
                vec![(all, first.clone())]
            } else {
                of_reaches
            };
            for (pattern, value) in of_space {
                match cases.iter_mut().find(|case| case.value == value) {
                    Some(case) => case.pattern = case.pattern.clone().binary("|", pattern),
                    None => cases.push(Case::new(pattern, value)),
                }
            }
        }
        let arguments = Expr::Tuple(vec!["space".into(), "reach".into()]);
        let body = match cases.as_mut_slice() {
            [only] => vec![
                Stmt::Let("_".into(), arguments),
                Stmt::Value(only.value.clone()),
            ],
            _ => vec![Stmt::Value(arguments.matched(cases))],
        };
        with_config(body, "self.config.flags()".into())
    }

    /// Returns the body of the function for the facts about changes that depend on the configuration.
    pub(super) fn change_facts(&self) -> Vec<Stmt> {
        let caches = &self.model.caches;
        let faults = Runtime::Stricter.item("FaultsUntilDropped");
        let stricter = self.by_case(&caches.stricter, faults, |stricter| {
            Runtime::Stricter.item(match stricter.how {
                Stricter::Refetched => "Refetched",
                Stricter::DroppedByFault => "DroppedByFault",
                Stricter::FaultsUntilDropped => "FaultsUntilDropped",
            })
        });
        let kept = Runtime::Negative.item("UntilDropped");
        let negative = self.by_case(&caches.negative, kept, |negative| {
            Runtime::Negative.item(match negative {
                Negative::Never => "Never",
                Negative::UntilDropped => "UntilDropped",
                Negative::AsPages => "AsPages",
                Negative::Expires => "Expires",
            })
        });
        let of_walks = caches.ever_holding(CachedKind::Walk);
        let of_walks = (caches.all.iter().enumerate()).filter(|(i, _)| of_walks.0 & 1 << i != 0);
        let walks = self.any_of(of_walks.map(|(_, cache)| &cache.when));
        let none = Runtime::Marks.item("NONE");
        let accessed = Runtime::Marks.item("ACCESSED");
        let cleared = match &caches.accessed_may_stay {
            None => none,
            Some(when) => match self.condition(when) {
                None => accessed,
                Some(when) => Expr::choice(when, accessed, none),
            },
        };
        let spaces = [&self.model.user, &self.model.kernel].into_iter();
        let devices = spaces.filter_map(|space| Some(&space.devices.as_ref()?.value));
        let devices = self.by_case(&caches.stricter, false.into(), |stricter| {
            if stricter.cpus_only {
                self.any_of(devices.clone())
            } else {
                false.into()
            }
        });
        let dirty = self.any_of(caches.clean_to_dirty_walks.iter());
        let through = |aspect| self.through_invalid(self.model.change.in_place(aspect));
        let facts = Runtime::ChangeFacts.with([
            ("walk_cached", walks),
            ("negative", negative),
            ("stricter", stricter),
            ("devices_stay_strict", devices),
            ("output_through_invalid", through(Aspect::Output)),
            ("size_through_invalid", through(Aspect::Size)),
            ("attributes_through_invalid", through(Aspect::Attributes)),
            ("rights_through_invalid", through(Aspect::Rights)),
            ("cleared_may_stay", cleared),
            ("clean_to_dirty_walks", dirty),
        ]);
        let depends = Uses::of_expr(&facts).var(Var::Config);
        let of_space = self.of_space().is_some();
        let unused = (!depends || !of_space).then(|| Stmt::Let("_".into(), "flags".into()));
        let config = if of_space {
            "self.of_space(flags).config.flags()".into()
        } else {
            "self.config.flags()".into()
        };
        with_config(
            unused.into_iter().chain([Stmt::Value(facts)]).collect(),
            config,
        )
    }

    /// Returns whether an aspect changes through an invalid entry. It does if nothing is stated, and the last
    /// statement counts.
    fn through_invalid(&self, in_place: &[(bool, Cond)]) -> Expr {
        let (always, never) = (Expr::from(true), Expr::from(false));
        if !self.model.change.plain_store.value {
            return never;
        }
        in_place
            .iter()
            .fold(always.clone(), |through, (in_place, when)| {
                match (in_place, self.condition(when)) {
                    (true, None) => never.clone(),
                    (false, None) => always.clone(),
                    (true, Some(when)) if through == always => when.not(),
                    (true, Some(when)) => when.not().and(through),
                    (false, Some(when)) if through == never => when,
                    (false, Some(when)) => when.or(through),
                }
            })
    }

    /// Returns whether any of these conditions holds.
    fn any_of<'c>(&self, conds: impl Iterator<Item = &'c Cond>) -> Expr {
        let mut any: Option<Expr> = None;
        for cond in conds {
            let Some(is) = self.condition(cond) else {
                return true.into();
            };
            any = Some(match any {
                None => is,
                Some(before) => before.or(is),
            });
        }
        any.unwrap_or(false.into())
    }

    /// Returns the body of the function for the tags of user spaces.
    pub(super) fn tags(&self) -> Vec<Stmt> {
        let model = self.model;
        let views = model.user.views.iter().enumerate();
        let bits = views.filter(|(_, view)| view.or != 0).map(|(index, view)| {
            let bits = self.private(Private::View(Space::User, index));
            match self.condition(&view.when) {
                None => bits,
                Some(when) => Expr::choice(when, bits, number(0u32)),
            }
        });
        let bits = bits.reduce(|all, or| all.binary("|", or));
        let (define, views) = match bits {
            None => (None, number(0u32)),
            Some(bits) => (Some(Stmt::Let("views".into(), bits)), "views".into()),
        };
        let of = |per_cpu: bool| {
            let tags = model.tags.iter().filter(|tag| tag.per_cpu.value == per_cpu);
            tags.fold(Expr::from("None"), |rest, tag| {
                let (first, last) = tag.range();
                let last = match tag.bits.value {
                    Amount::Stated(_) if last == u64::MAX => "u64::MAX".into(),
                    Amount::Stated(_) => hex(last),
                    Amount::Limit(width) => {
                        let width = Expr::from("self").field(self.names.limit(width));
                        let most = Expr::from("u64::MAX");
                        let most = most.method("wrapping_shr", [number(64u32).binary("-", width)]);
                        most.method("min", [hex(last)])
                    }
                };
                let values = number(first).binary("..=", last);
                let values = Runtime::TagValues.item("of").call([values, views.clone()]);
                let source = match () {
                    () if per_cpu && tag.has_generations() => {
                        Runtime::PerCpuSource.item("Generations")
                    }
                    () if per_cpu => Runtime::PerCpuSource.item("Slots"),
                    () if tag.is_root.is_some() => Runtime::TagSource.item("Root"),
                    () if tag.has_generations() => Runtime::TagSource.item("Generations"),
                    () => Runtime::TagSource.item("Life"),
                };
                let value = Expr::Tuple(vec![values, source]);
                match self.condition(&tag.when) {
                    None => Expr::from("Some").call([value]),
                    Some(when) if rest == Expr::from("None") => when.method("then_some", [value]),
                    Some(when) => Expr::choice(when, Expr::from("Some").call([value]), rest),
                }
            })
        };
        let tags = Runtime::Tags.with([("per_cpu", of(true)), ("global", of(false))]);
        let define = define.filter(|_| !model.tags.is_empty());
        let body = define.into_iter().chain([Stmt::Value(tags)]).collect();
        with_config(body, "self.config.flags()".into())
    }

    /// Returns a number that is stated, or read at boot, as a word.
    pub(super) fn amount(&self, amount: Amount) -> Expr {
        match amount {
            Amount::Stated(stated) => number(stated),
            Amount::Limit(limit) => {
                let field = Expr::from("self").field(self.names.limit(limit));
                Expr::from("u64::from").call([field])
            }
        }
    }

    /// Returns the facts that are the same in every configuration.
    pub(super) fn facts(&self) -> Item {
        let model = self.model;
        let shootdown = match self.plans.shootdown(model) {
            Shootdown::Broadcast => "Broadcast",
            Shootdown::Ipi => "Ipi",
            Shootdown::Either => "Either",
        };
        let pte_update = match model.pte_update() {
            PteUpdate::Store => Runtime::PteUpdate.item("Store"),
            PteUpdate::Instruction {
                pages_batched,
                deferrable,
            } => structure(
                Runtime::PteUpdate.text("PteUpdate::Instruction"),
                [
                    ("pages_batched", pages_batched.into()),
                    ("deferrable", deferrable.into()),
                ],
            ),
        };
        let table_free = match model.table_free() {
            TableFree::GracePeriod => "GracePeriod",
            TableFree::AfterFlush => "AfterFlush",
        };
        let lazy_mm = match model.lazy_mm() {
            LazyMm::Refcounted => "Refcounted",
            LazyMm::Shootdown => "Shootdown",
        };
        // The target may be another machine than the host.
        let atomics = if model.atomics_order.is_some() {
            format!("cfg!(target_arch = {:?})", model.target_arch.value).into()
        } else {
            false.into()
        };
        let value = Runtime::Facts.with([
            ("name", string(&model.arch.name)),
            ("shootdown", Runtime::Shootdown.item(shootdown)),
            ("pte_update", pte_update),
            ("table_free", Runtime::TableFree.item(table_free)),
            ("lazy_mm", Runtime::LazyMm.item(lazy_mm)),
            (
                "kernel_faults_fixed",
                model.policy.kernel_faults_fixed.is_some().into(),
            ),
            (
                "interrupts_off",
                self.plans.needs(Need::InterruptsOff).into(),
            ),
            ("tag_after_publish", model.reads_tag_after_publish().into()),
            ("one_at_a_time", self.plans.needs(Need::Lock).into()),
            ("attach_waits_for_changes", model.attach_waits().into()),
            ("atomics_order_everything", atomics),
        ]);
        Item::Const {
            docs: String::new(),
            head: Runtime::Facts.text("const FACTS: Facts"),
            value,
        }
    }

    /// Returns a set of levels.
    pub(super) fn level_set(&self, levels: Levels) -> Expr {
        let levels = levels.iter().map(|level| self.level_word(level.index()));
        Runtime::Levels
            .item("of")
            .call([borrow(Expr::Array(levels.collect()))])
    }
}

/// Returns statements after the configuration that they use.
pub(super) fn with_config(body: Vec<Stmt>, config: Expr) -> Vec<Stmt> {
    let config = (Uses::of(&body).var(Var::Config)).then(|| Stmt::Let(Var::Config.word(), config));
    config.into_iter().chain(body).collect()
}
