//! Stages: entries that a cache makes from entries of another cache are invalidated after those are gone.
//!
//! In: a candidate. Out: the same candidate at each stage at which it has an effect, and the candidates of a
//! routine by stage. Holds: entries of a cache that is `n` caches away from the tables are invalidated at stage `n`
//! or later, unless the same instruction invalidates those that they are made from; a stage starts when the one
//! before is complete.

use std::collections::BTreeMap;
use std::rc::Rc;

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::CacheSet;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Levels;

use super::candidates::{Addressing, Candidate, How};
use super::choose::{Choice, held, wanted};
use super::context::PlanContext;
use super::demand::{Demand, LEAF, WALK};

use crate::model::Kind;

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
                cells.iter().map(|c| self.counted(c, stage)).collect()
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

    /// Returns the cells of an instruction that cannot be made again if it is issued at a stage: those in caches of
    /// that stage, and in deeper caches those that are made from such cells.
    fn counted(&self, cells: &Cells, stage: u8) -> Cells {
        let caches = &self.model.caches;
        let mut stores: Vec<usize> = (0..caches.all.len()).collect();
        stores.sort_by_key(|&store| caches.depth(store));
        stores.into_iter().fold(Cells::NONE, |counted, store| {
            let own = cells.in_caches(CacheSet(1 << store));
            let depth = caches.depth(store);
            let from = caches.all[store].from.map(|at| at.value);
            let own = match from {
                _ if depth == stage => own,
                Some(from) if depth > stage => own.and(&counted.moved(from as u8, store as u8)),
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

    /// Returns the candidates for all entries of a space whose tables may be live. If one instruction invalidates
    /// leaf entries and another the walk entries that could make them again, those for walk entries come first.
    pub fn everything(context: &PlanContext<'_>, choice: &Rc<Choice>, demand: Demand) -> Self {
        let staged = Self::of([choice]);
        if !demand.walk || !may_refill(context, choice) {
            return staged;
        }
        let drops = |candidate: &Candidate, demand: Demand| {
            let wanted = wanted(context, demand, Levels::ALL, Levels::ALL);
            let mut views = candidate.cells.iter().zip(&wanted);
            !candidate.is_deferred() && views.any(|(cells, wanted)| cells.intersects(wanted))
        };
        let first = |candidate: &&Candidate| drops(candidate, WALK);
        let then = |candidate: &&Candidate| !drops(candidate, WALK) || drops(candidate, LEAF);
        let parts: Vec<Vec<Candidate>> = staged
            .now
            .into_iter()
            .chain(staged.late.into_values())
            .collect();
        let walks = parts
            .iter()
            .map(|candidates| candidates.iter().filter(first).cloned().collect());
        let rest = parts
            .iter()
            .map(|candidates| candidates.iter().filter(then).cloned().collect());
        Self {
            now: walks.chain(rest).collect(),
            late: BTreeMap::new(),
        }
    }

    /// Removes the candidates that are in none of these choices.
    pub fn retain(&mut self, choices: &[Rc<Choice>]) {
        for candidates in self.now.iter_mut().chain(self.late.values_mut()) {
            candidates.retain(|candidate| {
                choices
                    .iter()
                    .any(|choice| choice.candidates.contains(candidate))
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

/// Returns whether leaf entries that a choice invalidates could be made again, from walk entries that it does not
/// invalidate earlier or with the same instruction. Entries of a deferred flush cannot be used and make nothing.
pub fn may_refill(context: &PlanContext<'_>, choice: &Choice) -> bool {
    if !held(context, Kind::Walk) {
        return false;
    }
    let of = |kind, agent: usize| {
        let agent = Agents(1 << agent);
        context.cells(kind, Levels::ALL, context.classes(kind), agent)
    };
    // Each agent makes its entries from its own.
    context.agents().iter().any(|agent| {
        let (leaves, walks) = (of(Kind::Leaf, agent), of(Kind::Walk, agent));
        choice.candidates.iter().any(|candidate| {
            let mut views = candidate.cells.iter().enumerate();
            views.any(|(view, cells)| {
                let earlier = |m: &&Candidate| m.is_deferred() || m.stage < candidate.stage;
                let earlier = choice.candidates.iter().filter(earlier);
                let gone = earlier.fold(*cells, |gone, m| gone.union(&m.cells[view]));
                !candidate.is_deferred() && cells.intersects(&leaves) && !gone.covers(&walks)
            })
        })
    })
}
