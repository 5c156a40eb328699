//! Stages: entries that a cache makes from those of another are dropped when the others are gone.
//!
//! In: a means as the definition has it. Out: the same means at each stage at which it counts, and the choices for a
//! routine, sorted by stage. Holds: entries of a cache that is `n` caches away from the tables are dropped at stage `n`
//! at the earliest, unless the same instruction drops those that they are made from; a stage is issued when the one
//! before is complete.

use std::collections::BTreeMap;
use std::rc::Rc;

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::CacheSet;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Levels;

use super::choose::{Choice, Need, held, wanted};
use super::ir::Node;
use super::pool::{How, Means, Names, Setting};
use super::shapes::{LEAF, Shaper, WALK};
use crate::model::Kind;

impl Setting<'_> {
    /// A means at each stage at which it drops what it does not drop before.
    pub fn at_stages(&self, means: Means) -> Vec<Means> {
        let caches = &self.model.caches;
        let deepest = (0..caches.stores.len()).map(|store| caches.depth(store));
        let deepest = deepest.max().unwrap_or(0);
        if deepest == 0 {
            return vec![means];
        }
        let mut before = vec![Cells::NONE; means.cells.len()];
        let mut out = Vec::new();
        for stage in 0..=deepest {
            let counted = |cells: &Rc<[Cells]>| -> Rc<[Cells]> {
                cells.iter().map(|c| self.counted(c, stage)).collect()
            };
            let cells = counted(&means.cells);
            let mut views = cells.iter().zip(&before);
            if views.all(|(cells, before)| before.covers(cells)) {
                continue;
            }
            before = (before.into_iter().zip(cells.iter()))
                .map(|(all, cells)| all.union(cells))
                .collect();
            let hinted = means.hinted.iter();
            out.push(Means {
                stage,
                hinted: hinted.map(|(l, cells)| (*l, counted(cells))).collect(),
                cells,
                ..means.clone()
            });
        }
        out
    }

    /// The cells of an instruction that are gone for good when it is issued at a stage: of the caches of that stage, and
    /// of deeper ones those that are made from cells which count.
    fn counted(&self, cells: &Cells, stage: u8) -> Cells {
        let caches = &self.model.caches;
        let mut stores: Vec<usize> = (0..caches.stores.len()).collect();
        stores.sort_by_key(|&store| caches.depth(store));
        stores.into_iter().fold(Cells::NONE, |counted, store| {
            let own = cells.in_caches(CacheSet(1 << store));
            let depth = caches.depth(store);
            let from = caches.stores[store].from.map(|at| at.value);
            let own = match from {
                _ if depth == stage => own,
                Some(from) if depth > stage => own.and(&counted.moved(from as u8, store as u8)),
                _ => Cells::NONE,
            };
            counted.union(&own)
        })
    }
}

impl Means {
    /// Whether nothing is dropped now.
    pub fn is_deferred(&self) -> bool {
        matches!(self.how, How::InvalidateOtherTags | How::DeferView)
    }

    /// Whether it can be issued where neither an address nor the tag of a space is known.
    fn needs_nothing(&self) -> bool {
        self.names == Names::Everything && (self.view.is_none() || self.tag.is_some())
    }
}

/// The means that a routine issues, by stage.
#[derive(Debug, Clone, Default)]
pub struct Staged {
    /// Those that the routine issues itself: each part when the one before is complete.
    pub now: Vec<Vec<Means>>,
    /// Those that are left to completion, by stage: all that come last and for which nothing has to be known.
    pub late: BTreeMap<u8, Vec<Means>>,
}

impl Staged {
    /// The means of some choices.
    pub fn of<'a>(choices: impl IntoIterator<Item = &'a Rc<Choice>>) -> Self {
        let mut by_stage: BTreeMap<u8, Vec<Means>> = BTreeMap::new();
        for means in choices.into_iter().flat_map(|choice| &choice.means) {
            let stage = by_stage.entry(means.stage).or_default();
            if !stage.contains(means) {
                stage.push(means.clone());
            }
        }
        let known = |(&stage, means): (&u8, &Vec<Means>)| {
            (!means.iter().all(Means::needs_nothing)).then_some(stage)
        };
        let last = by_stage.iter().filter_map(known).max().unwrap_or(0);
        let late = by_stage.split_off(&(last + 1));
        let stage = |stage| by_stage.remove(&stage).unwrap_or_default();
        Self {
            now: (0..=last).map(stage).collect(),
            late,
        }
    }

    /// The means for everything of a space, whose tables may still be live: where one instruction drops leaf entries and
    /// another one walk entries that could make them again, all that drop walk entries come first.
    pub fn everything(setting: &Setting<'_>, choice: &Rc<Choice>, need: Need) -> Self {
        let staged = Self::of([choice]);
        if !need.walk || !may_refill(setting, choice) {
            return staged;
        }
        let drops = |means: &Means, need: Need| {
            let wanted = wanted(setting, need, Levels::ALL, Levels::ALL);
            let mut views = means.cells.iter().zip(&wanted);
            !means.is_deferred() && views.any(|(cells, wanted)| !cells.and(wanted).is_empty())
        };
        let first = |means: &&Means| drops(means, WALK);
        let then = |means: &&Means| !drops(means, WALK) || drops(means, LEAF);
        let parts: Vec<Vec<Means>> = staged
            .now
            .into_iter()
            .chain(staged.late.into_values())
            .collect();
        let walks = parts
            .iter()
            .map(|means| means.iter().filter(first).cloned().collect());
        let rest = parts
            .iter()
            .map(|means| means.iter().filter(then).cloned().collect());
        Self {
            now: walks.chain(rest).collect(),
            late: BTreeMap::new(),
        }
    }

    /// Leaves out the means that are not of these choices.
    pub fn retain(&mut self, choices: &[Rc<Choice>]) {
        for means in self.now.iter_mut().chain(self.late.values_mut()) {
            means.retain(|means| choices.iter().any(|choice| choice.means.contains(means)));
        }
    }

    /// How many stages the routine issues itself.
    pub fn stages(&self) -> u8 {
        self.now.len() as u8
    }

    /// The barriers after which what the routine has issued is done.
    pub fn open(&self) -> Vec<usize> {
        let issued = self.now.iter().rfind(|means| !means.is_empty());
        issued.map_or_else(Vec::new, barriers)
    }
}

/// The barriers after which means are done.
pub fn barriers<'a>(means: impl IntoIterator<Item = &'a Means>) -> Vec<usize> {
    let mut barriers = Vec::new();
    for &barrier in means.into_iter().flat_map(|means| &means.after) {
        if !barriers.contains(&barrier) {
            barriers.push(barrier);
        }
    }
    barriers
}

impl Shaper<'_, '_> {
    /// Parts one after the other: means, and the steps that issue them. Each begins when the one before is complete.
    /// What is left to be completed are the barriers of the last.
    pub(super) fn in_turn<'a>(
        &self,
        setting: &Setting<'_>,
        parts: impl IntoIterator<Item = (&'a [Means], Node)>,
    ) -> (Vec<Node>, Vec<usize>) {
        let (mut steps, mut open) = (Vec::new(), Vec::new());
        for (means, issued) in parts {
            if means.is_empty() {
                continue;
            }
            let complete = std::mem::replace(&mut open, barriers(means));
            steps.extend(complete.into_iter().map(|b| self.complete(setting, b)));
            steps.push(issued);
        }
        (steps, open)
    }
}

/// Whether leaf entries that a choice drops could be made again from walk entries that it does not drop before, or by the
/// same instruction. What is deferred cannot be used meanwhile, and makes nothing.
pub fn may_refill(setting: &Setting<'_>, choice: &Choice) -> bool {
    if !held(setting, Kind::Walk) {
        return false;
    }
    let of = |kind, holder: usize| {
        let holder = Agents(1 << holder);
        setting.cells(kind, Levels::ALL, setting.classes(kind), holder)
    };
    // Each holder makes its entries from its own.
    setting.holders().iter().any(|holder| {
        let (leaves, walks) = (of(Kind::Leaf, holder), of(Kind::Walk, holder));
        choice.means.iter().any(|means| {
            let mut views = means.cells.iter().enumerate();
            views.any(|(view, cells)| {
                let earlier = |m: &&Means| m.is_deferred() || m.stage < means.stage;
                let earlier = choice.means.iter().filter(earlier);
                let gone = earlier.fold(*cells, |gone, m| gone.union(&m.cells[view]));
                !means.is_deferred() && !cells.and(&leaves).is_empty() && !gone.covers(&walks)
            })
        })
    })
}
