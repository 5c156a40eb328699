//! The selection rule: of the sets of means that cover some cells, the least.
//!
//! In: means, and cells. Out: a set of at most three, four where a cache is made from another, or nothing where none
//! covers. Holds: each cell is dropped by one single means of the set, and by no proper subset of it.
//!
//! Least is, in this order: the tag classes that lose all their leaves; instructions weighted by
//! their cost; stages, each of which is waited for; addresses named beyond the request; kinds of entries
//! dropped beyond it; the order in the file.

use tlbc_facts::cells::Cells;

use super::candidates::{Addressing, Variant};
use super::choose::Extent;
use super::flags::KnownFlags;

/// How much a set of means loses and costs: in this order, and it grows with the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    classes: u32,
    loses: u8,
    instructions: u64,
    stages: u32,
    addresses: u32,
    beyond: u32,
}

/// A set of means that is being put together.
#[derive(Clone)]
struct Set {
    /// Those in it, by index.
    candidates: Vec<usize>,
    /// On which machines all of them are there.
    when: KnownFlags,
    /// What is left to be dropped, for each view.
    rest: Vec<Cells>,
    /// What goes for every address, for each view.
    everywhere: Vec<Cells>,
    /// What it costs.
    cost: Cost,
    /// The stages, one bit each.
    stages: u8,
}

struct Search<'a> {
    pool: &'a [&'a Variant],
    /// The pool by index, those first that cost least.
    order: Vec<usize>,
    singles: Vec<Cost>,
    cells: &'a [Cells],
    leaves: &'a [Cells; 3],
    extent: Extent,
    most: usize,
    best: Option<(Cost, Vec<usize>)>,
}

/// The least set that covers the cells.
pub fn least<'a>(
    pool: &[&'a Variant],
    cells: &[Cells],
    leaves: &[Cells; 3],
    extent: Extent,
) -> Option<Vec<&'a Variant>> {
    let staged = pool.iter().any(|it| it.candidate.stage > 0);
    let singles: Vec<Cost> = pool.iter().map(|it| single(it, cells, extent)).collect();
    let mut order: Vec<usize> = (0..pool.len()).collect();
    order.sort_by_key(|&index| singles[index]);
    let mut search = Search {
        pool,
        order,
        singles,
        cells,
        leaves,
        extent,
        most: if staged { 4 } else { 3 },
        best: None,
    };
    search.extend(&Set {
        candidates: Vec::new(),
        when: KnownFlags::default(),
        rest: cells.to_vec(),
        everywhere: vec![Cells::NONE; cells.len()],
        cost: Cost {
            classes: 0,
            loses: 0,
            instructions: 0,
            stages: 0,
            addresses: 0,
            beyond: 0,
        },
        stages: 0,
    });
    let (_, set) = search.best?;
    Some(set.into_iter().map(|index| pool[index]).collect())
}

/// What one means costs, but for the tag classes that lose their leaves.
fn single(variant: &Variant, cells: &[Cells], extent: Extent) -> Cost {
    let candidate = &variant.candidate;
    let views = candidate.cells.iter().zip(cells);
    Cost {
        classes: candidate.deferred_classes.count_ones(),
        loses: candidate.deferred_classes,
        instructions: candidate.cost,
        stages: 1,
        addresses: match extent {
            Extent::Everything => 0,
            Extent::One | Extent::Runs => candidate.everywhere.iter().map(Cells::count).sum(),
        },
        beyond: views.map(|(all, wanted)| all.without(wanted).count()).sum(),
    }
}

impl Cost {
    /// What a set costs with one means more, as far as that does not depend on what goes for every address.
    fn and(self, other: Self, stages: u8) -> Self {
        let loses = self.loses | other.loses;
        Self {
            classes: loses.count_ones(),
            loses,
            instructions: self.instructions.saturating_add(other.instructions),
            stages: stages.count_ones(),
            addresses: self.addresses + other.addresses,
            beyond: self.beyond + other.beyond,
        }
    }
}

impl Search<'_> {
    /// Tries all sets that this one is part of, unless they cost more than the best.
    fn extend(&mut self, set: &Set) {
        let Some((view, pivot)) = self.pivot(&set.rest) else {
            self.found(set);
            return;
        };
        if set.candidates.len() == self.most {
            return;
        }
        for place in 0..self.order.len() {
            let index = self.order[place];
            let Variant { when, candidate } = self.pool[index];
            let stages = set.stages | 1 << candidate.stage;
            let cost = set.cost.and(self.singles[index], stages);
            if self.is_too_much(cost) || candidate.cells[view].and(&pivot).is_empty() {
                continue;
            }
            let Some(when) = set.when.and(*when) else {
                continue;
            };
            let mut wider = Set {
                when,
                cost,
                stages,
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
                wider.cost.loses |= u8::from(lost) << class;
            }
            wider.cost.classes = wider.cost.loses.count_ones();
            if !self.is_too_much(wider.cost) {
                self.extend(&wider);
            }
        }
    }

    /// Whether a set of this cost, which only grows, is no better than the best.
    fn is_too_much(&self, cost: Cost) -> bool {
        self.best.as_ref().is_some_and(|(best, _)| cost > *best)
    }

    /// Cells that are left and that each means drops all or none of, as few means as possible; nothing where none is left.
    fn pivot(&self, rest: &[Cells]) -> Option<(usize, Cells)> {
        let view = rest.iter().position(|rest| !rest.is_empty())?;
        let few = self.pool.iter().fold(rest[view], |few, it| {
            let others = few.without(&it.candidate.cells[view]);
            if others.is_empty() { few } else { others }
        });
        Some((view, few))
    }

    /// Keeps a set that covers, where it is less than the best and none of its means is too much.
    fn found(&mut self, set: &Set) {
        let pool = self.pool;
        let runs =
            |&index: &usize| matches!(pool[index].candidate.addressing, Addressing::Run { .. });
        if self.extent == Extent::Runs && !set.candidates.iter().any(runs) {
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
        let found = (set.cost, candidates);
        if self.best.as_ref().is_none_or(|best| found < *best) {
            self.best = Some(found);
        }
    }
}
