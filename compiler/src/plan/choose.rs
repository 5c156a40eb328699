//! The selection rule: of the sets of means that cover a required flush, the least.
//!
//! In: a pool and a [`Need`]. Out: a [`Choice`], or nothing when no set covers. Holds: each cell of the need is dropped by
//! one single means of the choice; the machine is asked only for flags on which the choice depends.

use std::cmp::Reverse;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use tlbc_facts::cells::Cells;
use tlbc_facts::clause::{RunUnit, TagSelector};
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::request::{Reach, Space};

use super::asked::Known;
use super::pool::{Means, Names, Setting, Variant};
use super::search;
use crate::model::{Kind, Model};

/// What has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Need {
    /// Leaf entries.
    pub leaf: bool,
    /// Walk entries.
    pub walk: bool,
    /// Negative entries, of which levels.
    pub negative: Levels,
    /// What binds the tag to its top table.
    pub root: bool,
    /// Of which addresses.
    pub of: Of,
}

/// Of which addresses entries have to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Of {
    /// Of one.
    One,
    /// Of many in a row, a run at a time.
    Runs,
    /// Of all.
    Everything,
}

/// A set of means that covers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// The means, in the order of the file.
    pub means: Vec<Means>,
    /// Whether it still covers when the level is hinted.
    pub hint: bool,
}

impl Choice {
    /// Whether leaf and walk entries go by address, so that a loop over a range makes sense.
    pub fn by_address(&self) -> bool {
        self.means.iter().any(|m| m.names != Names::Everything)
    }

    /// Whether leaf entries of one level alone go with each instruction.
    pub fn exact(&self) -> bool {
        self.means.iter().any(|m| m.exact)
    }

    /// The means of a stage.
    pub fn of_stage(&self, stage: u8) -> impl Iterator<Item = &Means> {
        self.means.iter().filter(move |m| m.stage == stage)
    }

    /// Those that name addresses.
    pub fn addressed(&self, stage: u8) -> impl Iterator<Item = &Means> {
        let means = self.of_stage(stage);
        means.filter(|m| m.names != Names::Everything)
    }

    /// Those that do not, which a loop needs only once.
    pub fn whole(&self, stage: u8) -> impl Iterator<Item = &Means> {
        let means = self.of_stage(stage);
        means.filter(|m| m.names == Names::Everything)
    }
}

/// Remembers choices.
#[derive(Default)]
pub struct Chooser {
    pools: FxHashMap<Pool, Rc<[Variant]>>,
    known: FxHashMap<(Pool, Need), Known<Option<Rc<Choice>>>>,
}

/// What a pool is for, and whether it is widened.
type Pool = (Space, Reach, bool, bool, bool);

impl Chooser {
    /// The least set of means that covers.
    pub fn choose(&mut self, setting: &Setting<'_>, need: Need) -> Option<Rc<Choice>> {
        let local = self.least_of(setting, need, false);
        match need.of {
            // Runs are cut from what serves one entry, and never reach further than that does.
            Of::Runs if setting.reach == Reach::Here => {
                let one = Need {
                    of: Of::One,
                    ..need
                };
                match self.least_of(setting, one, false) {
                    Some(_) => local,
                    None => self.least_of(setting, need, true),
                }
            }
            _ if setting.reach == Reach::Wide => local,
            _ => local.or_else(|| self.least_of(setting, need, true)),
        }
    }

    fn least_of(&mut self, setting: &Setting<'_>, need: Need, widened: bool) -> Option<Rc<Choice>> {
        let key = (pool_of(setting, widened), need);
        let known = self.known.get(&key);
        if let Some(choice) = known.and_then(|known| known.get(setting.machine)) {
            return choice;
        }
        let mark = setting.machine.mark();
        let cells = wanted(setting, need, Levels::ALL, Levels::ALL);
        let choice = self
            .least(setting, &cells, need.of, widened, mark)
            .map(|means| {
                let hint = hint_covers(setting, &means, need);
                Rc::new(Choice { means, hint })
            });
        let known = self.known.entry(key).or_insert(Known::Unknown);
        known.insert(&setting.machine.since(mark), choice.clone());
        choice
    }

    /// The least set of means that drops everything a CPU may hold, whoever's it is.
    pub fn choose_any(&mut self, setting: &Setting<'_>) -> Option<Rc<Choice>> {
        let mark = setting.machine.mark();
        let whose = TagSelector {
            this: true,
            other: setting.has_tag(true) || setting.has_tag(false),
            global: setting.may_hold_globals(),
        };
        let kinds = [Kind::Leaf, Kind::Walk, Kind::Root, Kind::Negative].into_iter();
        let cells = kinds
            .filter(|kind| held(setting, *kind))
            .fold(Cells::NONE, |all, kind| {
                all.union(&setting.cells(kind, Levels::ALL, whose, setting.holders()))
            });
        let cells = vec![cells; setting.views().len()];
        [false, true].into_iter().find_map(|widened| {
            let means = self.least(setting, &cells, Of::Everything, widened, mark)?;
            Some(Rc::new(Choice { means, hint: false }))
        })
    }

    /// The least set of means that drops these cells, for what was asked since a mark.
    ///
    /// Chooses among all that some machine has which agrees with what was asked. What is chosen so is the least wherever
    /// it is there, so only that is asked.
    fn least(
        &mut self,
        setting: &Setting<'_>,
        cells: &[Cells],
        of: Of,
        widened: bool,
        mark: usize,
    ) -> Option<Vec<Means>> {
        let key = pool_of(setting, widened);
        let pool = self.pools.entry(key);
        let pool = Rc::clone(pool.or_insert_with(|| setting.pool(widened).into()));
        let leaves = setting.leaves_of_classes();
        loop {
            let known = setting.machine.known_since(mark);
            let there = pool.iter().filter(|variant| {
                known.and(variant.when).is_some()
                    && useful(setting.model, &variant.means, cells, of)
            });
            let there: Vec<&Variant> = there.collect();
            let set = search::least(&there, cells, &leaves, of)?;
            let mut flags = set.iter().flat_map(|variant| variant.when.flags());
            let Some(open) = flags.find(|flag| known.get(*flag).is_none()) else {
                return Some(set.into_iter().map(|it| it.means.clone()).collect());
            };
            setting.machine.ask(open);
        }
    }
}

fn pool_of(setting: &Setting<'_>, widened: bool) -> Pool {
    (
        setting.space,
        setting.reach,
        setting.of_machine,
        setting.entering,
        widened,
    )
}

/// The cells of a need, for each view of the space.
pub fn wanted(setting: &Setting<'_>, need: Need, leaf: Levels, walk: Levels) -> Vec<Cells> {
    let kinds = [
        (need.leaf, Kind::Leaf, leaf),
        (need.walk, Kind::Walk, walk),
        (true, Kind::Negative, need.negative.and(leaf)),
        (need.root, Kind::Root, Levels::ALL),
    ];
    let cells = kinds
        .into_iter()
        .fold(Cells::NONE, |all, (asked, kind, levels)| {
            if !asked || !held(setting, kind) {
                return all;
            }
            all.union(&setting.cells(kind, levels, setting.classes(kind), setting.holders()))
        });
    vec![cells; setting.views().len()]
}

/// Whether a kind of entry is cached at all.
pub fn held(setting: &Setting<'_>, kind: Kind) -> bool {
    let caches = &setting.model.caches;
    match kind {
        Kind::Leaf => caches.leaf.is_some(),
        Kind::Walk => caches.walk.is_some(),
        Kind::Root => caches.root.is_some(),
        Kind::Negative => caches.invalid_cached,
    }
}

fn fits(model: &Model, means: &Means, of: Of) -> bool {
    match (means.names, of) {
        // Passes step by all the entries that one cached translation covers, and these runs by one.
        (
            Names::Run {
                stride: RunUnit::Entries(levels),
                ..
            },
            Of::Runs,
        ) => levels
            .iter()
            .all(|level| model.caches.covered(level.index()) == 0),
        (Names::Everything, _) | (Names::One, Of::One) | (Names::Run { .. }, Of::Runs) => true,
        (Names::Run { least, .. }, Of::One) => least == 1,
        (Names::One, Of::Runs) | (_, Of::Everything) => false,
    }
}

/// Whether a means serves a request, and drops any of the cells: without it a set that covers them still does.
pub fn useful(model: &Model, means: &Means, cells: &[Cells], of: Of) -> bool {
    let mut views = means.cells.iter().zip(cells);
    fits(model, means, of) && views.any(|(dropped, wanted)| !dropped.and(wanted).is_empty())
}

/// Whether the choice covers just as well when each instruction is told the level.
fn hint_covers(setting: &Setting<'_>, means: &[Means], need: Need) -> bool {
    let hinted = |m: &Means, level: Level| {
        let found = m.hinted.iter().find(|(l, _)| *l == level);
        found.map_or(&m.cells, |(_, cells)| cells).clone()
    };
    let levels: Vec<Level> = means
        .iter()
        .flat_map(|m| m.hinted.iter().map(|(l, _)| *l))
        .collect();
    !levels.is_empty()
        && levels.iter().all(|&level| {
            let wanted = wanted(setting, need, Levels::only(level), Levels::above(level));
            wanted.iter().enumerate().all(|(view, wanted)| {
                let all = means
                    .iter()
                    .fold(Cells::NONE, |all, m| all.union(&hinted(m, level)[view]));
                all.covers(wanted)
            })
        })
}

/// What the best single means leaves over: named when nothing covers.
pub fn left_over(setting: &Setting<'_>, need: Need) -> (Cells, Option<Means>) {
    let cells = wanted(setting, need, Levels::ALL, Levels::ALL);
    let mut pool = setting.means(true);
    pool.retain(|means| fits(setting.model, means, need.of) || matches!(need.of, Of::Everything));
    let left = |means: &Means| {
        let views = cells.iter().zip(means.cells.iter());
        views.fold(Cells::NONE, |all, (wanted, dropped)| {
            all.union(&wanted.without(dropped))
        })
    };
    let dropped = |means: &Means| Reverse(left(means).count());
    let nearest = pool.iter().max_by_key(|means| dropped(means));
    let all = cells
        .iter()
        .fold(Cells::NONE, tlbc_facts::cells::Cells::union);
    let together = pool.iter().fold(all, |rest, means| {
        // What no means at all drops, in any view.
        let here = (cells.iter().zip(means.cells.iter()))
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
