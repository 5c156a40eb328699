//! The selection rule: of the sets of candidates that cover a demand, the least.
//!
//! In: candidates and a [`Demand`]. Out: a [`Choice`], or nothing if no set covers the demand. Holds: each cell of
//! the demand is invalidated by one candidate of the choice; the machine is asked only for flags on which the
//! choice depends.

use std::cmp::Reverse;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use tlbc_facts::cells::Cells;
use tlbc_facts::clause::{RunUnit, TagSelector};
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::request::Reach;
use tlbc_runtime::request::passes::Leaves;

use super::addressing::Addressing;
use super::candidates::{Candidate, Variant};
use super::context::{ContextKey, PlanContext};
use super::demand::{Demand, DemandExtent};
use super::search::{self, Rank};
use super::symbolic::OutcomeTree;
use crate::model::{Barrier, CachedKind, Model};

/// A set of candidates that covers a demand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// The candidates, in the order of the definition.
    pub candidates: Vec<Candidate>,
    /// Whether it also covers the demand with level hints.
    pub hint: bool,
    /// Its place in the order of preference, as far as that does not depend on what is required.
    pub cost: Rank,
}

impl Choice {
    /// Returns whether entries are invalidated by address, so that a loop over a range makes sense.
    pub fn by_address(&self) -> bool {
        take_addresses(&self.candidates)
    }

    /// Returns which leaf entries of levels above that of the pass all instructions invalidate without a hint.
    pub fn leaves(&self) -> Leaves {
        let all = self.candidates.iter().map(|m| m.leaves);
        all.min().unwrap_or_default()
    }

    /// Returns the candidates of a stage.
    pub fn of_stage(&self, stage: u8) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(move |m| m.stage == stage)
    }

    /// Returns the candidates of a stage that have addresses.
    pub fn addressed(&self, stage: u8) -> impl Iterator<Item = &Candidate> {
        let candidates = self.of_stage(stage);
        candidates.filter(|m| m.addressing != Addressing::Everything)
    }

    /// Returns the candidates of a stage without addresses. A loop issues them once.
    pub fn whole(&self, stage: u8) -> impl Iterator<Item = &Candidate> {
        let candidates = self.of_stage(stage);
        candidates.filter(|m| m.addressing == Addressing::Everything)
    }
}

/// Returns whether one of some candidates takes an address.
fn take_addresses(candidates: &[Candidate]) -> bool {
    let mut all = candidates.iter();
    all.any(|it| it.addressing != Addressing::Everything)
}

/// Chooses candidates, and remembers what was chosen.
#[derive(Default)]
pub struct Chooser {
    pools: FxHashMap<PoolKey, Rc<[Variant]>>,
    known: FxHashMap<(PoolKey, Demand), OutcomeTree<Option<Rc<Choice>>>>,
}

/// The candidates of a kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PoolKey {
    context: ContextKey,
    /// Whether a local flush may use instructions that reach other CPUs.
    widened: bool,
}

impl Chooser {
    /// Returns the least set of candidates that covers a demand. Where the lock is not held, one that needs it is the last resort, which
    /// is then reported. Where no set takes addresses and the entries are under no tag, instructions may get any tag.
    pub fn choose(&mut self, context: &PlanContext<'_>, demand: Demand) -> Option<Rc<Choice>> {
        let mut of = |context: &PlanContext<'_>| {
            let mut contexts = context.by_lock();
            contexts.find_map(|context| self.choose_in(&context, demand))
        };
        let own = of(context);
        if demand.extent == DemandExtent::Everything
            || own.as_ref().is_some_and(|own| own.by_address())
        {
            return own;
        }
        let any = context.with_any_tag().and_then(|any| of(&any));
        let is_better = |any: &Rc<Choice>| own.as_ref().is_none_or(|own| any.cost < own.cost);
        any.filter(is_better).or(own)
    }

    fn choose_in(&mut self, context: &PlanContext<'_>, mut demand: Demand) -> Option<Rc<Choice>> {
        let is_free = |barrier: &Barrier| barrier.cost == 0;
        if demand.extent == DemandExtent::Each && context.model.barriers.iter().all(is_free) {
            demand.extent = DemandExtent::One;
        }
        let local = self.least_of(context, demand, false);
        match demand.extent {
            // Runs are made from what covers one entry, and reach the same agents.
            DemandExtent::Runs if context.reach == Reach::Here => {
                let one = Demand {
                    extent: DemandExtent::Each,
                    ..demand
                };
                match self.least_of(context, one, false) {
                    Some(_) => local,
                    None => self.least_of(context, demand, true),
                }
            }
            _ if context.reach != Reach::Here => local,
            _ => local.or_else(|| self.least_of(context, demand, true)),
        }
    }

    fn least_of(
        &mut self,
        context: &PlanContext<'_>,
        demand: Demand,
        widened: bool,
    ) -> Option<Rc<Choice>> {
        let pool = PoolKey {
            context: context.key(),
            widened,
        };
        let key = (pool, demand);
        let known = self.known.get(&key);
        if let Some(choice) = known.and_then(|known| known.get(context.machine)) {
            return choice;
        }
        let mark = context.machine.mark();
        let cells = wanted(context, demand, Levels::ALL, Levels::ALL);
        let choice = self
            .least(context, &cells, demand.extent, widened, mark)
            .map(|choice| {
                let hint = hint_covers(context, &choice.candidates, demand);
                Rc::new(Choice { hint, ..choice })
            });
        let known = self.known.entry(key).or_insert(OutcomeTree::Unknown);
        known.insert(&context.machine.since(mark), choice.clone());
        choice
    }

    /// Returns the least sets of candidates that cover a demand on a fully decided machine, at most `keep` of them, in
    /// the order of preference. The first is the choice.
    pub fn ranked(
        context: &PlanContext<'_>,
        demand: Demand,
        keep: usize,
    ) -> Vec<(Rank, Vec<Candidate>)> {
        let own = Self::ranked_in(context, demand, keep);
        let by_address = |set: &(Rank, Vec<Candidate>)| take_addresses(&set.1);
        if demand.extent == DemandExtent::Everything || own.first().is_some_and(by_address) {
            return own;
        }
        let any = context.with_any_tag();
        let any = any.map_or(Vec::new(), |any| Self::ranked_in(&any, demand, keep));
        let is_better = |least: &(Rank, _)| own.first().is_none_or(|own| least.0 < own.0);
        if any.first().is_some_and(is_better) {
            any
        } else {
            own
        }
    }

    /// Returns the same with the tag that the space gives.
    fn ranked_in(
        context: &PlanContext<'_>,
        demand: Demand,
        keep: usize,
    ) -> Vec<(Rank, Vec<Candidate>)> {
        let (model, extent) = (context.model, demand.extent);
        let cells = wanted(context, demand, Levels::ALL, Levels::ALL);
        let barriers = costs_of_barriers(model, extent);
        let leaves = context.leaves_of_classes();
        let pools = context.by_lock();
        let pools = pools.flat_map(|context| [false, true].map(|widened| (context, widened)));
        let mut of_pools = pools.map(|(context, widened)| {
            let pool = context.pool(widened);
            let there = pool.iter().filter(|it| {
                context.machine.known().and(it.when).is_some()
                    && useful(model, &it.candidate, &cells, extent)
            });
            let there: Vec<&Variant> = there.collect();
            let sets = search::ranked(&there, &cells, &leaves, &barriers, extent, keep);
            let candidates =
                |set: Vec<&Variant>| set.iter().map(|it| it.candidate.clone()).collect();
            let sets = sets.into_iter();
            sets.map(|(rank, set)| (rank, candidates(set)))
                .collect::<Vec<_>>()
        });
        of_pools.find(|sets| !sets.is_empty()).unwrap_or_default()
    }

    /// Returns the least set of candidates that invalidates everything that a CPU may hold in these tag classes.
    pub fn choose_any(
        &mut self,
        context: &PlanContext<'_>,
        classes: impl Fn(CachedKind) -> TagSelector,
    ) -> Option<Rc<Choice>> {
        let mark = context.machine.mark();
        let cells = wanted_any(context, classes);
        let pools = context.by_lock();
        let mut pools = pools.flat_map(|context| [false, true].map(|widened| (context, widened)));
        pools.find_map(|(context, widened)| {
            let choice = self.least(&context, &cells, DemandExtent::Everything, widened, mark)?;
            Some(Rc::new(choice))
        })
    }

    /// Returns the least set of candidates that covers these cells, given what was asked since a mark.
    ///
    /// All candidates are tried that exist on some machine which agrees with the answers. A set chosen from these
    /// is also the least among the candidates of one machine, if that machine has the whole set. So only the flags
    /// of the chosen set are asked for.
    fn least(
        &mut self,
        context: &PlanContext<'_>,
        cells: &[Cells],
        extent: DemandExtent,
        widened: bool,
        mark: usize,
    ) -> Option<Choice> {
        let key = PoolKey {
            context: context.key(),
            widened,
        };
        let pool = self.pools.entry(key);
        let pool = Rc::clone(pool.or_insert_with(|| context.pool(widened).into()));
        let leaves = context.leaves_of_classes();
        let barriers = costs_of_barriers(context.model, extent);
        loop {
            let known = context.machine.known_since(mark);
            let there = pool.iter().filter(|variant| {
                known.and(variant.when).is_some()
                    && useful(context.model, &variant.candidate, cells, extent)
            });
            let there: Vec<&Variant> = there.collect();
            let there = search::undominated(&there, cells, extent, known);
            let (rank, set) = search::least(&there, cells, &leaves, &barriers, extent)?;
            let mut flags = set.iter().flat_map(|variant| variant.when.flags());
            let Some(open) = flags.find(|flag| known.get(*flag).is_none()) else {
                return Some(Choice {
                    candidates: set.into_iter().map(|it| it.candidate.clone()).collect(),
                    hint: false,
                    cost: rank.regardless_of_demand(),
                });
            };
            context.machine.ask(open);
        }
    }
}

/// Returns the costs of the barriers, by index. Those of several addresses are issued once for all of them, and do not
/// count.
fn costs_of_barriers(model: &Model, extent: DemandExtent) -> Vec<u64> {
    let counts = matches!(extent, DemandExtent::One | DemandExtent::Everything);
    let barriers = model.barriers.iter();
    barriers
        .map(|it| if counts { it.cost } else { 0 })
        .collect()
}

/// Returns the cells of a demand, for each view of the space.
pub fn wanted(context: &PlanContext<'_>, demand: Demand, leaf: Levels, walk: Levels) -> Vec<Cells> {
    let pages = context.model.leaf_levels();
    let tables =
        Levels::above(Level(0)).and(Levels::below(Level(context.model.levels.len() as u8)));
    let root = if demand.root {
        Levels::ALL
    } else {
        Levels::NONE
    };
    let kinds = [
        (CachedKind::Leaf, demand.leaf.and(leaf).and(pages)),
        (CachedKind::Walk, demand.walk.and(walk).and(tables)),
        (CachedKind::Negative, demand.negative.and(leaf)),
        (CachedKind::Root, root),
    ];
    let cells = kinds.into_iter().fold(Cells::NONE, |all, (kind, levels)| {
        if levels.is_empty() || !held(context, kind) {
            return all;
        }
        all.union(&context.cells(kind, levels, context.classes(kind), context.agents()))
    });
    vec![cells; context.views().len()]
}

/// Returns whether a kind of entry is cached.
pub fn held(context: &PlanContext<'_>, kind: CachedKind) -> bool {
    context.model.caches.hold(kind, context.machine)
}

fn fits(model: &Model, candidate: &Candidate, extent: DemandExtent) -> bool {
    match (candidate.addressing, extent) {
        // A pass steps by as many entries as one cached translation covers; such a run steps by one.
        (
            Addressing::Run {
                stride: RunUnit::Entries(levels),
                ..
            },
            DemandExtent::Runs,
        ) => levels
            .iter()
            .all(|level| model.caches.covered(level.index()) == 0),
        (Addressing::Everything, _)
        | (Addressing::One, DemandExtent::One | DemandExtent::Each)
        | (Addressing::Run { .. }, DemandExtent::Runs) => true,
        (Addressing::Run { least, .. }, DemandExtent::One | DemandExtent::Each) => least == 1,
        (Addressing::One, DemandExtent::Runs) | (_, DemandExtent::Everything) => false,
    }
}

/// Returns whether a candidate fits the addresses and invalidates any of the cells. A set with another candidate
/// would still cover without it.
pub fn useful(model: &Model, candidate: &Candidate, cells: &[Cells], extent: DemandExtent) -> bool {
    let mut views = candidate.cells.iter().zip(cells);
    fits(model, candidate, extent) && views.any(|(dropped, wanted)| dropped.intersects(wanted))
}

/// Returns whether the choice also covers the demand if each instruction is given the level.
fn hint_covers(context: &PlanContext<'_>, candidates: &[Candidate], demand: Demand) -> bool {
    let hinted = |m: &Candidate, level: Level| {
        let found = m.hinted.iter().find(|(l, _)| *l == level);
        found.map_or(&m.cells, |(_, cells)| cells).clone()
    };
    let levels: Vec<Level> = candidates
        .iter()
        .flat_map(|m| m.hinted.iter().map(|(l, _)| *l))
        .collect();
    !levels.is_empty()
        && levels.iter().all(|&level| {
            let wanted = wanted(context, demand, Levels::only(level), Levels::above(level));
            wanted.iter().enumerate().all(|(view, wanted)| {
                let all = candidates
                    .iter()
                    .fold(Cells::NONE, |all, m| all.union(&hinted(m, level)[view]));
                all.covers(wanted)
            })
        })
}

/// Returns everything that a CPU may hold in these tag classes, for each view.
fn wanted_any(
    context: &PlanContext<'_>,
    classes: impl Fn(CachedKind) -> TagSelector,
) -> Vec<Cells> {
    let kinds = [
        CachedKind::Leaf,
        CachedKind::Walk,
        CachedKind::Root,
        CachedKind::Negative,
    ]
    .into_iter();
    let cells = kinds
        .filter(|kind| held(context, *kind))
        .fold(Cells::NONE, |all, kind| {
            let tags = classes(kind);
            all.union(&context.cells(kind, Levels::ALL, tags, context.agents()))
        });
    vec![cells; context.views().len()]
}

/// Returns what the candidates do not cover of a demand, and the candidate that covers most. For diagnostics.
pub fn uncovered(context: &PlanContext<'_>, demand: Demand) -> (Cells, Option<Candidate>) {
    let cells = wanted(context, demand, Levels::ALL, Levels::ALL);
    uncovered_cells(context, &cells, demand.extent)
}

/// Returns what the candidates do not cover of everything that a CPU may hold, and the candidate that covers most. For
/// diagnostics.
pub fn uncovered_any(context: &PlanContext<'_>) -> (Cells, Option<Candidate>) {
    let cells = wanted_any(context, |kind| context.every_class(kind));
    uncovered_cells(context, &cells, DemandExtent::Everything)
}

fn uncovered_cells(
    context: &PlanContext<'_>,
    cells: &[Cells],
    extent: DemandExtent,
) -> (Cells, Option<Candidate>) {
    let mut pool = context.candidates(true);
    pool.retain(|candidate| {
        fits(context.model, candidate, extent) || matches!(extent, DemandExtent::Everything)
    });
    let left = |candidate: &Candidate| {
        let views = cells.iter().zip(candidate.cells.iter());
        views.fold(Cells::NONE, |all, (wanted, dropped)| {
            all.union(&wanted.without(dropped))
        })
    };
    let dropped = |candidate: &Candidate| Reverse(left(candidate).count());
    let nearest = pool.iter().max_by_key(|candidate| dropped(candidate));
    let all = cells.iter().fold(Cells::NONE, Cells::union);
    let together = pool.iter().fold(all, |rest, candidate| {
        // Cells that no candidate invalidates, in any view.
        let here = (cells.iter().zip(candidate.cells.iter()))
            .fold(Cells::NONE, |sum, (wanted, dropped)| {
                sum.union(&wanted.and(dropped))
            });
        rest.without(&here)
    });
    let rest = if together.is_empty() {
        nearest.map_or(all, left)
    } else {
        together
    };
    (rest, nearest.cloned())
}
