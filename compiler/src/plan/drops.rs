//! What an instruction invalidates in one context, as cells.
//!
//! In: the clauses of an instruction or of one of its forms. Out: the cells that are invalidated, for each view of
//! the space. Holds: conditions are evaluated, and what errata weaken without a workaround is left out.

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::TagSelector;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::request::Space;

use super::context::PlanContext;
use crate::model::{AddressSelector, CachedKind, Drops, Instr, LevelSel, Lost, Weakens};

/// An instruction, or one of its forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Primitive {
    /// The instruction, by index.
    pub invalidate: usize,
    /// Its form, by index.
    pub form: usize,
}

impl PlanContext<'_> {
    /// Returns the cells that an instruction invalidates by the clauses with these addresses, for each view of the space.
    pub fn drops(
        &self,
        primitive: Primitive,
        drops: &[Drops],
        given: Option<usize>,
        hint: Option<Level>,
        addresses: impl Fn(&AddressSelector) -> bool,
    ) -> Vec<Cells> {
        let it = &self.model.invalidates[primitive.invalidate];
        let lost: Vec<&Weakens> = self.lost(Instr::Invalidate(primitive.invalidate)).collect();
        let mut agents = it.reach(self.machine).and(self.agents());
        if lost.iter().any(|w| w.lost.value == Lost::Devices) {
            agents = agents.without(Agents::DEVICE);
        }
        let views = &self.model.space(self.space).views;
        let one = |view: usize| {
            let clauses = drops.iter().filter(|d| addresses(&d.which.value));
            clauses.fold(Cells::NONE, |cells, d| {
                let this = d.whose.value.user && self.space == Space::User
                    || d.whose.value.this
                        && (given.is_none() || given == Some(view) && !self.any_tag)
                    || d.whose.value.loaded && views[view].loaded && self.has_loaded_tag();
                let more = self.clause(d, this, hint, &lost, agents);
                // The machine is not asked for features that make no difference: the outcomes multiply.
                let holds = || d.when.holds_with(self.machine, hint.is_some(), false);
                if cells.covers(&more) || !holds() {
                    cells
                } else {
                    cells.union(&more)
                }
            })
        };
        self.views().into_iter().map(one).collect()
    }

    /// Returns the cells of a clause.
    pub fn clause(
        &self,
        d: &Drops,
        this: bool,
        hint: Option<Level>,
        lost: &[&Weakens],
        agents: Agents,
    ) -> Cells {
        let takes = |what| {
            lost.iter()
                .any(|w| w.lost.value == what && w.caches.is_none())
        };
        let whose = TagSelector {
            this: this || d.whose.value.table,
            other: d.whose.value.other || d.whose.value.table || d.whose.value.user,
            global: (d.whose.value.global || d.whose.value.table) && !takes(Lost::Global),
        };
        let kinds = [
            (CachedKind::Leaf, levels(d.leaf, hint), Lost::Leaf),
            (CachedKind::Walk, levels(d.walk, hint), Lost::Walk),
            (
                CachedKind::Negative,
                self.negative_levels(d.negative, hint),
                Lost::Leaf,
            ),
            (CachedKind::Root, Levels(u8::from(d.root)), Lost::Root),
        ];
        kinds
            .into_iter()
            .fold(Cells::NONE, |all, (kind, levels, loss)| {
                if levels.is_empty() {
                    return all;
                }
                let mut stores = self.model.caches.holding(kind, self.machine);
                if let Some(named) = d.caches {
                    stores.0 &= named.0;
                }
                for weakens in lost.iter().filter(|w| w.lost.value == loss) {
                    stores.0 &= weakens.caches.map_or(0, |named| !named.0);
                }
                let cells = self.cells(kind, levels, whose, agents);
                all.union(&cells.in_caches(stores))
            })
    }

    /// Returns the levels of the negative entries that are invalidated. An instruction that needs a level has
    /// numbers only for those that map pages.
    fn negative_levels(&self, selected: Option<LevelSel>, hint: Option<Level>) -> Levels {
        match selected {
            Some(LevelSel::Given) => self.model.leaf_levels(),
            selected => levels(selected, hint),
        }
    }
}

fn levels(selected: Option<LevelSel>, hint: Option<Level>) -> Levels {
    match (selected, hint) {
        (None, _) => Levels::NONE,
        (Some(LevelSel::Only(levels)), _) => levels,
        // An instruction that needs a level is issued once for each level, in passes of their own.
        (Some(LevelSel::Any | LevelSel::Given), _) | (Some(_), None) => Levels::ALL,
        (Some(LevelSel::Hint), Some(level)) => Levels::only(level),
        (Some(LevelSel::AboveHint), Some(level)) => Levels::above(level),
    }
}
