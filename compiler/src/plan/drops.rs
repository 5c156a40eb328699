//! What an instruction drops in one setting, cut into cells.
//!
//! In: the clauses of an instruction or of one of its forms. Out: for each view of the space the cells that
//! go. Holds: conditions are evaluated, and what errata take away without giving it back is left out.

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::TagSelector;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::request::Space;

use super::candidates::Primitive;
use super::context::PlanContext;
use crate::model::{AddressSelector, Drops, Instr, Kind, LevelSel, Lost, Weakens};

/// What of a clause's cells is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    Whole,
    /// Those that go for every address.
    Everywhere,
    /// Those of one set at a time.
    OfSet,
}

impl PlanContext<'_> {
    /// For each view of the space, the cells that an instruction drops, as far as they are asked for.
    pub fn drops(
        &self,
        primitive: Primitive,
        drops: &[Drops],
        given: Option<usize>,
        hint: Option<Level>,
        part: Part,
    ) -> Vec<Cells> {
        let it = &self.model.invalidates[primitive.invalidate];
        let lost: Vec<&Weakens> = self.lost(Instr::Invalidate(primitive.invalidate)).collect();
        let mut agents = it.reach(self.machine).and(self.agents());
        if lost.iter().any(|w| w.lost.value == Lost::Devices) {
            agents = agents.without(Agents::DEVICE);
        }
        let views = &self.model.space(self.space).views;
        let wanted = |d: &&Drops| match part {
            Part::Whole => true,
            Part::Everywhere => d.which.value == AddressSelector::Everything,
            Part::OfSet => d.which.value == AddressSelector::OneSet,
        };
        let one = |view: usize| {
            let clauses = drops.iter().filter(wanted);
            let holding =
                clauses.filter(|d| d.when.holds_with(self.machine, hint.is_some(), false));
            holding.fold(Cells::NONE, |cells, d| {
                let this = d.whose.value.user && self.space == Space::User
                    || d.whose.value.this && (given.is_none() || given == Some(view))
                    || d.whose.value.loaded && views[view].loaded && self.has_loaded_tag();
                cells.union(&self.clause(d, this, hint, &lost, agents))
            })
        };
        self.views().into_iter().map(one).collect()
    }

    /// The cells of a clause.
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
                .any(|w| w.lost.value == what && w.stores.is_none())
        };
        let whose = TagSelector {
            this: this || d.whose.value.table,
            other: d.whose.value.other || d.whose.value.table || d.whose.value.user,
            global: (d.whose.value.global || d.whose.value.table) && !takes(Lost::Global),
        };
        let kinds = [
            (Kind::Leaf, levels(d.leaf, hint), Lost::Leaf),
            (Kind::Walk, levels(d.walk, hint), Lost::Walk),
            (
                Kind::Negative,
                self.negative_levels(d.negative, hint),
                Lost::Leaf,
            ),
            (Kind::Root, Levels(u8::from(d.root)), Lost::Root),
        ];
        kinds
            .into_iter()
            .fold(Cells::NONE, |all, (kind, levels, loss)| {
                if levels.is_empty() {
                    return all;
                }
                let mut stores = self.model.caches.holding(kind);
                if let Some(named) = d.stores {
                    stores.0 &= named.0;
                }
                for weakens in lost.iter().filter(|w| w.lost.value == loss) {
                    stores.0 &= weakens.stores.map_or(0, |named| !named.0);
                }
                let cells = self.cells(kind, levels, whose, agents);
                all.union(&cells.in_caches(stores))
            })
    }

    /// The levels of the negative entries that are dropped. One that must be given a level has a number of those alone that
    /// map pages.
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
        // One that must be given a level is given each that is asked for, one pass a level.
        (Some(LevelSel::Any | LevelSel::Given), _) | (Some(_), None) => Levels::ALL,
        (Some(LevelSel::Hint), Some(level)) => Levels::only(level),
        (Some(LevelSel::AboveHint), Some(level)) => Levels::above(level),
    }
}
