//! The search for the least set of candidates that covers some cells.
//!
//! In: candidates and cells. Out: the least sets, of any size; nothing if none covers the cells. Holds: each cell is
//! invalidated by one candidate of the set, and no proper subset covers all.
//!
//! The fields of [`Rank`] are the selection rule.

use std::collections::BTreeSet;

use tlbc_facts::cells::Cells;

use super::addressing::Addressing;
use super::candidates::{Candidate, Variant};
use super::demand::DemandExtent;
use crate::model::flags::KnownFlags;

/// The order of preference of the language reference: sets are compared by these fields, in this order, and equal ones
/// by the order in the file. No field decreases if a set grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Rank {
    /// "Tag classes that lose all their leaf entries: fewer first," now or when a deferred flush is completed,
    pub classes: u32,
    /// "then this before other before global": one bit each.
    pub lost: u8,
    /// "Instructions and barriers, weighted by `cost`; a deferred flush costs nothing."
    pub instructions: u64,
    /// "Stages, each of which is waited for."
    pub stages: u32,
    /// "Cells that are invalidated for every address though only some addresses were required."
    pub addresses: u32,
    /// "Cells that are invalidated and not required."
    pub beyond: u32,
}

/// A set of candidates that is being composed.
#[derive(Clone)]
struct PartialSet {
    /// The candidates, by index.
    candidates: Vec<usize>,
    /// The machines that have all of them.
    when: KnownFlags,
    /// The cells that are not covered yet, for each view.
    rest: Vec<Cells>,
    /// The cells that are invalidated at all addresses, for each view.
    everywhere: Vec<Cells>,
    /// Its place in the order.
    rank: Rank,
    /// The stages, one bit each.
    stages: u8,
    /// The barriers before and after its instructions.
    barriers: BTreeSet<usize>,
}

struct SetSearch<'a> {
    pool: &'a [&'a Variant],
    /// The candidates by index, the cheapest first.
    order: Vec<usize>,
    singles: Vec<Rank>,
    cells: &'a [Cells],
    leaves: &'a [Cells; 3],
    /// The costs of the barriers, by index.
    barriers: &'a [u64],
    extent: DemandExtent,
    /// How many sets are kept.
    keep: usize,
    /// The least sets so far, in order.
    best: Vec<(Rank, Vec<usize>)>,
}

/// Returns the least set that covers the cells, and its rank.
pub fn least<'a>(
    pool: &[&'a Variant],
    cells: &[Cells],
    leaves: &[Cells; 3],
    barriers: &[u64],
    extent: DemandExtent,
) -> Option<(Rank, Vec<&'a Variant>)> {
    let sets = ranked(pool, cells, leaves, barriers, extent, 1);
    sets.into_iter().next()
}

/// Returns the least sets that cover the cells, at most `keep` of them, in order.
pub fn ranked<'a>(
    pool: &[&'a Variant],
    cells: &[Cells],
    leaves: &[Cells; 3],
    barriers: &[u64],
    extent: DemandExtent,
    keep: usize,
) -> Vec<(Rank, Vec<&'a Variant>)> {
    let singles: Vec<Rank> = pool.iter().map(|it| single(it, cells, extent)).collect();
    let mut order: Vec<usize> = (0..pool.len()).collect();
    order.sort_by_key(|&index| singles[index]);
    let mut search = SetSearch {
        pool,
        order,
        singles,
        cells,
        leaves,
        barriers,
        extent,
        keep,
        best: Vec::new(),
    };
    search.extend(&PartialSet {
        candidates: Vec::new(),
        when: KnownFlags::default(),
        rest: cells.to_vec(),
        everywhere: vec![Cells::NONE; cells.len()],
        rank: Rank::default(),
        stages: 0,
        barriers: BTreeSet::new(),
    });
    let variants = |set: Vec<usize>| set.into_iter().map(|index| pool[index]).collect();
    let best = search.best.into_iter();
    best.map(|(rank, set)| (rank, variants(set))).collect()
}

/// Returns the candidates that can be in the least set, in their order. A set with another one has a counterpart that is
/// less: the same set with a candidate that dominates it.
pub fn undominated<'a>(
    pool: &[&'a Variant],
    cells: &[Cells],
    extent: DemandExtent,
    known: KnownFlags,
) -> Vec<&'a Variant> {
    let singles: Vec<Rank> = pool.iter().map(|it| single(it, cells, extent)).collect();
    let mut order: Vec<usize> = (0..pool.len()).collect();
    // A candidate comes before those that it dominates.
    order.sort_by_key(|&index| (singles[index], index));
    let mut kept: Vec<usize> = Vec::new();
    for index in order {
        let better = |&by: &usize| {
            (singles[by].sums(), by) < (singles[index].sums(), index)
                && singles[by].lost & !singles[index].lost == 0
                && serves_instead(pool[by], pool[index], known, cells)
        };
        if !kept.iter().any(better) {
            kept.push(index);
        }
    }
    kept.sort_unstable();
    kept.into_iter().map(|index| pool[index]).collect()
}

/// Returns whether a candidate can take the place of another in every set, on every machine that agrees with what is
/// known: it exists where the other does, covers as much, and needs and loses no more.
fn serves_instead(by: &Variant, other: &Variant, known: KnownFlags, cells: &[Cells]) -> bool {
    let there = known.and(other.when);
    let exists = there.is_some_and(|there| there.implies(by.when));
    let (by, other) = (&by.candidate, &other.candidate);
    let is_run = |it: &Candidate| matches!(it.addressing, Addressing::Run { .. });
    let barriers =
        |it: &Candidate| -> Vec<usize> { it.before.iter().chain(&it.after).copied().collect() };
    exists
        && by.stage == other.stage
        && is_run(by) == is_run(other)
        && (cells.iter().zip(by.cells.iter()).zip(other.cells.iter()))
            .all(|((wanted, by), other)| by.covers(other) || by.covers(&other.and(wanted)))
        && (other.everywhere.iter().zip(by.everywhere.iter())).all(|(other, by)| other.covers(by))
        && barriers(by)
            .iter()
            .all(|barrier| barriers(other).contains(barrier))
}

/// Returns the rank of one candidate, without the tag classes that lose all leaf entries.
fn single(variant: &Variant, cells: &[Cells], extent: DemandExtent) -> Rank {
    let candidate = &variant.candidate;
    let views = candidate.cells.iter().zip(cells);
    Rank {
        classes: candidate.deferred_classes.count_ones(),
        lost: candidate.deferred_classes,
        instructions: candidate.cost,
        stages: 1,
        addresses: match extent {
            DemandExtent::Everything => 0,
            DemandExtent::One | DemandExtent::Each | DemandExtent::Runs => {
                candidate.everywhere.iter().map(Cells::count).sum()
            }
        },
        beyond: views.map(|(all, wanted)| all.without(wanted).count()).sum(),
    }
}

impl Rank {
    /// Returns the rank without what depends on the cells that are required.
    #[must_use]
    pub const fn regardless_of_demand(self) -> Self {
        Self {
            addresses: 0,
            beyond: 0,
            ..self
        }
    }

    /// Returns the fields that are sums over the candidates of a set.
    fn sums(self) -> (u64, u32, u32) {
        (self.instructions, self.addresses, self.beyond)
    }

    /// Returns the rank of a set with one more candidate, without the tag classes that lose all leaf entries.
    fn and(self, other: Self, stages: u8) -> Self {
        let lost = self.lost | other.lost;
        Self {
            classes: lost.count_ones(),
            lost,
            instructions: self.instructions.saturating_add(other.instructions),
            stages: stages.count_ones(),
            addresses: self.addresses + other.addresses,
            beyond: self.beyond + other.beyond,
        }
    }
}

impl SetSearch<'_> {
    /// Tries all supersets of this set, unless they are preferred less than the sets that are kept.
    fn extend(&mut self, set: &PartialSet) {
        let Some((view, pivot)) = self.pivot(&set.rest) else {
            self.found(set);
            return;
        };
        for place in 0..self.order.len() {
            let index = self.order[place];
            let Variant { when, candidate } = self.pool[index];
            if !candidate.cells[view].intersects(&pivot) {
                continue;
            }
            let stages = set.stages | 1 << candidate.stage;
            let mut rank = set.rank.and(self.singles[index], stages);
            let mut barriers = set.barriers.clone();
            for &barrier in candidate.before.iter().chain(&candidate.after) {
                let cost = self.barriers[barrier];
                if cost > 0 && barriers.insert(barrier) {
                    rank.instructions = rank.instructions.saturating_add(cost);
                }
            }
            if self.is_worse(rank) {
                continue;
            }
            let Some(when) = set.when.and(*when) else {
                continue;
            };
            let mut wider = PartialSet {
                when,
                rank,
                stages,
                barriers,
                ..set.clone()
            };
            wider.candidates.push(index);
            for (rest, dropped) in wider.rest.iter_mut().zip(candidate.cells.iter()) {
                *rest = rest.without(dropped);
            }
            for (all, dropped) in wider.everywhere.iter_mut().zip(candidate.everywhere.iter()) {
                *all = all.union(dropped);
            }
            for (class, leaves) in self.leaves.iter().enumerate() {
                let lost = wider.everywhere.iter().any(|all| all.covers(leaves));
                wider.rank.lost |= u8::from(lost) << class;
            }
            wider.rank.classes = wider.rank.lost.count_ones();
            if !self.is_worse(wider.rank) {
                self.extend(&wider);
            }
        }
    }

    /// Returns whether a set of this rank is preferred less than all that are kept. Its supersets are not preferred more.
    fn is_worse(&self, rank: Rank) -> bool {
        let last = self.best.get(self.keep - 1);
        last.is_some_and(|(last, _)| rank > *last)
    }

    /// Returns uncovered cells of which each candidate invalidates all or none, chosen so that few candidates do;
    /// nothing if all cells are covered.
    fn pivot(&self, rest: &[Cells]) -> Option<(usize, Cells)> {
        let view = rest.iter().position(|rest| !rest.is_empty())?;
        let mut few = rest[view];
        for variant in self.pool {
            let dropped = &variant.candidate.cells[view];
            if few.intersects(dropped) && !dropped.covers(&few) {
                few = few.without(dropped);
            }
        }
        Some((view, few))
    }

    /// Keeps a set that covers the cells, if it is among the least and has no candidate without which it still covers
    /// them.
    fn found(&mut self, set: &PartialSet) {
        let pool = self.pool;
        let runs =
            |&index: &usize| matches!(pool[index].candidate.addressing, Addressing::Run { .. });
        if self.extent == DemandExtent::Runs && !set.candidates.iter().any(runs) {
            return;
        }
        let needless = |without: &usize| {
            let others = || set.candidates.iter().filter(|index| *index != without);
            self.cells.iter().enumerate().all(|(view, wanted)| {
                let dropped = others().fold(Cells::NONE, |all, &index| {
                    all.union(&pool[index].candidate.cells[view])
                });
                dropped.covers(wanted)
            })
        };
        if set.candidates.iter().any(needless) {
            return;
        }
        let mut candidates = set.candidates.clone();
        candidates.sort_unstable();
        let found = (set.rank, candidates);
        if let Err(place) = self.best.binary_search(&found) {
            self.best.insert(place, found);
            self.best.truncate(self.keep);
        }
    }
}
