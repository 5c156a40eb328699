//! Instructions that write entries and can be used for a change.
//!
//! In: a level, and what its entries become. Out: the instructions, each with all that it invalidates. Holds: each
//! invalidates everything that was made through the old entry, at every address below it, on every CPU that may
//! have cached it.

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::{RunUnit, TagSelector};
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::request::{Reach, Space};

use super::builder::PlanBuilder;
use super::choose::{self, Chooser};
use super::context::PlanContext;
use super::drops::Primitive;
use super::symbolic::outcomes;
use crate::model::flags::Needs;
use crate::model::{AddressSelector, CachedKind, Drops, Instr, Invalidate, Model, Written};

/// Returns the instructions that write entries and cannot be used for some of the levels that they write, with
/// these levels.
pub fn unserved(model: &Model) -> Vec<(usize, Levels)> {
    let writers = model.invalidates.iter().enumerate();
    let mut unserved: Vec<(usize, Levels)> = writers
        .filter_map(|(index, it)| Some((index, it.writes_entry?.levels)))
        .collect();
    if unserved.is_empty() {
        return unserved;
    }
    let needs = Needs::of(model);
    let mut chooser = Chooser::default();
    let spaces = [Space::User, Space::Kernel].into_iter();
    for (space, reach) in spaces.flat_map(|s| [(s, Reach::Here), (s, Reach::Wide)]) {
        for (index, levels) in &mut unserved {
            let served = outcomes(&needs, |machine| {
                let mut builder = PlanBuilder::new(model, machine, &mut chooser);
                let context = builder.context(space, reach, true);
                builder.served(&context, *index, *levels)
            });
            let served = served.into_iter();
            let served = served.fold(Levels::NONE, |all, (_, served)| all.union(served));
            levels.0 &= !served.0;
        }
    }
    unserved.retain(|(_, levels)| !levels.is_empty());
    unserved
}

impl PlanBuilder<'_, '_> {
    /// Returns those of these levels for which an instruction can be used.
    fn served(&self, context: &PlanContext<'_>, index: usize, levels: Levels) -> Levels {
        let Some(writes) = self.model.invalidates[index].writes_entry else {
            return Levels::NONE;
        };
        let serves = |level: &Level| {
            [false, true].into_iter().any(|runs| {
                let mut writers = self.writers(context, *level, writes.to, runs).into_iter();
                writers.any(|(of, ..)| of == index)
            })
        };
        let served = levels.iter().filter(serves);
        served.fold(Levels::NONE, |all, level| all.union(Levels::only(level)))
    }

    fn usable(
        &self,
        context: &PlanContext<'_>,
        index: usize,
        it: &Invalidate,
        level: Level,
        to: Written,
    ) -> bool {
        it.requires.holds(self.machine)
            && it.reach(self.machine).covers(context.agents())
            && !context.never_done(Instr::Invalidate(index))
            // A change sends no IPI to CPUs whose accesses are not drained.
            && (context.done_after(index).into_iter())
                .all(|after| self.undrained(context, after) == 0)
            && (it.writes_entry).is_some_and(|w| w.to == to && w.levels.contains(level))
    }

    /// Returns the instructions that write entries of a level, one or a run of them, and invalidate everything that
    /// was made through them.
    pub(super) fn writers(
        &self,
        context: &PlanContext<'_>,
        level: Level,
        to: Written,
        runs: bool,
    ) -> Vec<(usize, Primitive, Cells)> {
        let wanted = wanted(context, level, to);
        let mut out = Vec::new();
        for (index, it) in self.model.invalidates.iter().enumerate() {
            if !self.usable(context, index, it, level, to) {
                continue;
            }
            let lost: Vec<_> = context.lost(Instr::Invalidate(index)).collect();
            for (form, of) in it.forms.iter().enumerate() {
                let run = |d: &Drops| matches!(d.which.value, AddressSelector::Run { .. });
                if !of.requires.holds(self.machine) || of.drops.iter().any(run) != runs {
                    continue;
                }
                let drops = of.drops.iter().filter(|d| d.when.holds(self.machine));
                let mut cells = Cells::NONE;
                let mut certain = Cells::NONE;
                for d in drops {
                    // An entry is written once, with the tag of one view only.
                    let of_each_view = d.whose.value.other || context.views().len() == 1;
                    let this = of_each_view && (d.whose.value.this || d.whose.value.loaded);
                    let clause = context.clause(d, this, None, &lost, context.agents());
                    cells = cells.union(&clause);
                    certain = certain.union(&clause.and(&certainly(context, d, level)));
                }
                if certain.covers(&wanted) {
                    let primitive = Primitive {
                        invalidate: index,
                        form,
                    };
                    out.push((index, primitive, cells));
                }
            }
        }
        out
    }
}

/// Returns the cells of the levels at which a clause invalidates everything that was made through an entry of a
/// level. The instruction has the address of one entry below, so at lower levels entries for the other addresses
/// remain.
fn certainly(context: &PlanContext<'_>, drops: &Drops, level: Level) -> Cells {
    let from = Levels::only(level).union(Levels::above(level));
    let levels = match drops.which.value {
        AddressSelector::Subtree | AddressSelector::Everything => Levels::ALL,
        AddressSelector::OnePage => from,
        // A run may be one entry long.
        AddressSelector::Run {
            least: 1,
            stride: RunUnit::Entries(counted),
            ..
        } if counted.contains(level) => from,
        AddressSelector::Run { .. } | AddressSelector::OneSet => Levels::NONE,
    };
    let cells = |kind| context.cells(kind, levels, TagSelector::ANY, context.agents());
    cells(CachedKind::Leaf).union(&cells(CachedKind::Walk))
}

/// Returns the cells that were made through an entry: translations at the lowest level; at other levels also walk
/// entries for the tables below it and everything made through those. An entry that gains rights may leave entries
/// with fewer rights.
fn wanted(context: &PlanContext<'_>, level: Level, to: Written) -> Cells {
    if to == Written::MoreRights {
        return Cells::NONE;
    }
    let upto = Levels::only(level).union(Levels::below(level));
    let leaf = context.model.leaf_levels().contains(level);
    let lowest = level == Level(0);
    let cells = |kind, levels| {
        let held = choose::held(context, kind);
        if held {
            context.cells(kind, levels, context.classes(kind), context.agents())
        } else {
            Cells::NONE
        }
    };
    let leaves = if lowest || leaf {
        upto
    } else {
        Levels::below(level)
    };
    let walks = if lowest { Levels::NONE } else { upto };
    cells(CachedKind::Leaf, leaves).union(&cells(CachedKind::Walk, walks))
}
