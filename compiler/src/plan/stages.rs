//! Stages: entries that a cache makes from entries of another cache are invalidated after those are gone.
//!
//! In: a candidate. Out: the same candidate at each stage at which it has an effect, and the candidates of a
//! routine by stage. Holds: entries of a cache that is `n` caches away from the tables are invalidated at stage `n`
//! or later, unless the same instruction invalidates those that they are made from; a loop over sets is no such instruction,
//! because entries of a later set make those of an earlier one again; a stage starts when the one before is complete.

use std::collections::BTreeMap;
use std::rc::Rc;

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::{CacheSet, TagSelector};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Levels;

use super::addressing::Addressing;
use super::candidates::{Candidate, How};
use super::choose::{Choice, held};
use super::context::PlanContext;
use super::demand::Demand;

use crate::model::CachedKind;

impl PlanContext<'_> {
    /// Returns a candidate at each stage at which it invalidates cells that it does not invalidate before.
    pub fn at_stages(&self, candidate: Candidate) -> Vec<Candidate> {
        let caches = &self.model.caches;
        let deepest = (0..caches.all.len()).map(|store| caches.depth(store));
        let deepest = deepest.max().unwrap_or(0);
        if deepest == 0 {
            return vec![candidate];
        }
        let mut before = vec![Cells::NONE; candidate.cells.len()];
        let mut out = Vec::new();
        for stage in 0..=deepest {
            let counted = |cells: &Rc<[Cells]>| -> Rc<[Cells]> {
                let together = !candidate.is_loop();
                cells
                    .iter()
                    .map(|c| self.counted(c, stage, together))
                    .collect()
            };
            let cells = counted(&candidate.cells);
            let mut views = cells.iter().zip(&before);
            if views.all(|(cells, before)| before.covers(cells)) {
                continue;
            }
            before = (before.into_iter().zip(cells.iter()))
                .map(|(all, cells)| all.union(cells))
                .collect();
            let hinted = candidate.hinted.iter();
            out.push(Candidate {
                stage,
                hinted: hinted.map(|(l, cells)| (*l, counted(cells))).collect(),
                cells,
                ..candidate.clone()
            });
        }
        out
    }

    /// Returns the cells that cannot be made again if they are invalidated at a stage: those in caches of that stage, and, if
    /// all are invalidated together, in deeper caches those that are made from such cells.
    fn counted(&self, cells: &Cells, stage: u8, together: bool) -> Cells {
        let caches = &self.model.caches;
        let mut stores: Vec<usize> = (0..caches.all.len()).collect();
        stores.sort_by_key(|&store| caches.depth(store));
        stores.into_iter().fold(Cells::NONE, |counted, store| {
            let own = cells.in_caches(CacheSet(1 << store));
            let depth = caches.depth(store);
            let from = caches.all[store].from.map(|at| at.value);
            let own = match from {
                _ if depth == stage => own,
                Some(from) if depth > stage && together => {
                    own.and(&counted.moved(from as u8, store as u8))
                }
                _ => Cells::NONE,
            };
            counted.union(&own)
        })
    }
}

impl Candidate {
    /// Returns whether nothing is invalidated now.
    pub fn is_deferred(&self) -> bool {
        matches!(self.how, How::InvalidateOtherTags | How::DeferView)
    }

    /// Returns whether it consists of several instructions, each of which invalidates a part of the cells.
    fn is_loop(&self) -> bool {
        matches!(self.how, How::Sets { .. })
    }

    /// Returns whether all operands are constants.
    fn needs_nothing(&self) -> bool {
        self.addressing == Addressing::Everything && (self.view.is_none() || self.tag.is_some())
    }
}

/// The candidates that a routine issues, by stage.
#[derive(Debug, Clone, Default)]
pub struct Staged {
    /// Those that the routine issues itself. Each part starts when the one before is complete.
    pub now: Vec<Vec<Candidate>>,
    /// Those that completion issues, by stage: the last ones, whose operands are all constants.
    pub late: BTreeMap<u8, Vec<Candidate>>,
}

impl Staged {
    /// Returns the candidates of some choices, by stage.
    pub fn of<'a>(choices: impl IntoIterator<Item = &'a Rc<Choice>>) -> Self {
        let mut by_stage: BTreeMap<u8, Vec<Candidate>> = BTreeMap::new();
        for candidate in choices.into_iter().flat_map(|choice| &choice.candidates) {
            let stage = by_stage.entry(candidate.stage).or_default();
            if !stage.contains(candidate) {
                stage.push(candidate.clone());
            }
        }
        let known = |(&stage, candidates): (&u8, &Vec<Candidate>)| {
            (!candidates.iter().all(Candidate::needs_nothing)).then_some(stage)
        };
        let last = by_stage.iter().filter_map(known).max().unwrap_or(0);
        let late = by_stage.split_off(&(last + 1));
        let stage = |stage| by_stage.remove(&stage).unwrap_or_default();
        Self {
            now: (0..=last).map(stage).collect(),
            late,
        }
    }

    /// Returns the candidates for a demand of all entries of a space. Leaf entries may be made again if no table changes.
    pub fn all_of_space(context: &PlanContext<'_>, choice: &Rc<Choice>, demand: Demand) -> Self {
        if demand.walk.is_empty() {
            Self::of([choice])
        } else {
            Self::everything(context, choice, |kind| context.classes(kind))
        }
    }

    /// Returns the candidates for all entries under some tags, whose tables may be live. Those for walk entries that could
    /// make leaf entries again come first.
    pub fn everything(
        context: &PlanContext<'_>,
        choice: &Rc<Choice>,
        whose: impl Fn(CachedKind) -> TagSelector,
    ) -> Self {
        let refills = Refills::of(context, choice, whose);
        let mut staged = Self::of([choice]);
        if !refills.possible() {
            return staged;
        }
        if staged
            .late
            .values()
            .flatten()
            .any(|late| refills.stops(late))
        {
            staged
                .now
                .extend(std::mem::take(&mut staged.late).into_values());
        }
        let parts = |wanted: &dyn Fn(&Candidate) -> bool| -> Vec<Vec<Candidate>> {
            let now = staged.now.iter();
            now.map(|part| part.iter().filter(|it| wanted(it)).cloned().collect())
                .collect()
        };
        let mut now = parts(&|it| refills.stops(it));
        now.extend(parts(&|it| !refills.stops(it) || refills.undo(it)));
        Self { now, ..staged }
    }

    /// Removes the candidates that are in none of these choices.
    pub fn retain(&mut self, choices: &[&Rc<Choice>]) {
        for candidates in self.now.iter_mut().chain(self.late.values_mut()) {
            candidates.retain(|candidate| {
                let mut choices = choices.iter();
                choices.any(|choice| choice.candidates.contains(candidate))
            });
        }
    }

    /// Returns the number of stages that the routine issues itself.
    pub fn stages(&self) -> u8 {
        self.now.len() as u8
    }

    /// Returns the barriers after which the instructions of the routine are complete.
    pub fn open(&self) -> Vec<usize> {
        let issued = self.now.iter().rfind(|candidates| !candidates.is_empty());
        issued.map_or_else(Vec::new, barriers)
    }
}

/// Returns the barriers after which candidates are complete.
pub fn barriers<'a>(candidates: impl IntoIterator<Item = &'a Candidate>) -> Vec<usize> {
    let mut barriers = Vec::new();
    for &barrier in candidates
        .into_iter()
        .flat_map(|candidate| &candidate.after)
    {
        if !barriers.contains(&barrier) {
            barriers.push(barrier);
        }
    }
    barriers
}

/// How leaf entries that a choice invalidates could be made again: from walk entries that it does not invalidate earlier
/// or with the same instruction. Entries of a deferred flush cannot be used and make nothing.
pub struct Refills<'a> {
    /// The candidates of the choice, each with the walk entries that can make its leaf entries again, for each view.
    from: Vec<(&'a Candidate, Vec<Cells>)>,
}

impl<'a> Refills<'a> {
    /// Returns the refills of a choice for the entries under some tags.
    pub fn of(
        context: &PlanContext<'_>,
        choice: &'a Choice,
        whose: impl Fn(CachedKind) -> TagSelector,
    ) -> Self {
        let mut from: Vec<(&Candidate, Vec<Cells>)> = Vec::new();
        if !held(context, CachedKind::Walk) {
            return Self { from };
        }
        // Each agent makes its entries from its own.
        let agents = context.agents().iter().flat_map(|agent| {
            let of = move |kind, whose| context.cells(kind, Levels::ALL, whose, Agents(1 << agent));
            let (leaves, walks) = (whose(CachedKind::Leaf), whose(CachedKind::Walk));
            leaves.each().map(move |class| {
                let above = context.walks_above(class).and(walks);
                (of(CachedKind::Leaf, class), of(CachedKind::Walk, above))
            })
        });
        let agents: Vec<(Cells, Cells)> = agents.collect();
        for candidate in choice.candidates.iter().filter(|it| !it.is_deferred()) {
            let left = candidate.cells.iter().enumerate().map(|(view, cells)| {
                let gone = choice.candidates.iter().filter(|other| {
                    let earlier = other.is_deferred() || other.stage < candidate.stage;
                    earlier || *other == candidate && !candidate.is_loop()
                });
                let gone = gone.fold(Cells::NONE, |gone, other| gone.union(&other.cells[view]));
                let there = agents.iter().filter(|(leaves, _)| cells.intersects(leaves));
                there.fold(Cells::NONE, |left, (_, walks)| {
                    left.union(&walks.without(&gone))
                })
            });
            from.push((candidate, left.collect()));
        }
        Self { from }
    }

    /// Returns whether leaf entries could be made again.
    pub fn possible(&self) -> bool {
        self.from.iter().any(|(candidate, _)| self.undo(candidate))
    }

    /// Returns whether leaf entries that a candidate invalidates could be made again.
    fn undo(&self, candidate: &Candidate) -> bool {
        let mut from = self.from.iter();
        from.any(|(it, left)| *it == candidate && left.iter().any(|left| !left.is_empty()))
    }

    /// Returns whether a candidate invalidates walk entries that could make leaf entries again.
    fn stops(&self, candidate: &Candidate) -> bool {
        let mut from = self.from.iter();
        !candidate.is_deferred()
            && from.any(|(_, left)| {
                let mut views = candidate.cells.iter().zip(left);
                views.any(|(cells, left)| cells.intersects(left))
            })
    }
}
