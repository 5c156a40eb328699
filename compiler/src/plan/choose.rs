//! The selection rule: of the sets of means that cover a required flush, the least.
//!
//! In: a pool and a [`Need`]. Out: a [`Choice`], or nothing when no set of at most three covers, four where a cache is
//! made from another.
//! Holds: each cell of the need is dropped by one single means of the choice.
//!
//! Least is, in this order: the tag classes that lose all their leaves; instructions weighted by
//! their cost; stages, each of which is waited for; addresses named beyond the request; kinds of entries
//! dropped beyond it; the order in the file.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use tlbc_facts::cells::Cells;
use tlbc_facts::clause::{Stride, Whose};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::request::{Reach, Space};

use crate::model::{Config, Kind, Model};

use super::pool::{Means, Names, Setting};

/// What has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Need {
    /// Leaf entries.
    pub leaf: bool,
    /// Walk entries.
    pub walk: bool,
    /// Negative entries, of which levels.
    pub absent: Levels,
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

/// Remembers choices: most configurations have the same means.
#[derive(Default)]
pub struct Chooser {
    /// Pools that differ, by what they hold.
    pools: FxHashMap<Pool, usize>,
    /// The number and the pool of a setting.
    settings: FxHashMap<Key, (usize, Pool)>,
    known: FxHashMap<(usize, Need), Option<Choice>>,
}

/// A setting, and whether its pool is widened.
type Key = (Config, Space, Reach, bool, bool, bool);

/// The means of a setting, and the tag classes of what they have to drop.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Pool {
    means: Rc<Vec<Means>>,
    leaf: Whose,
    walk: Whose,
    holders: Agents,
    views: usize,
}

impl Chooser {
    /// The least set of means that covers.
    pub fn choose(&mut self, setting: &Setting<'_>, need: Need) -> Option<Choice> {
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

    fn least_of(&mut self, setting: &Setting<'_>, need: Need, widened: bool) -> Option<Choice> {
        let key = (
            setting.config,
            setting.space,
            setting.reach,
            setting.of_machine,
            setting.entering,
            widened,
        );
        let (number, pool) = self.settings.entry(key).or_insert_with(|| {
            let pool = Pool {
                means: Rc::new(setting.pool(widened)),
                leaf: setting.classes(Kind::Leaf),
                walk: setting.classes(Kind::Walk),
                holders: setting.holders(),
                views: setting.views().len(),
            };
            let next = self.pools.len();
            (*self.pools.entry(pool.clone()).or_insert(next), pool)
        });
        let (number, pool) = (*number, pool.clone());
        if let Some(choice) = self.known.get(&(number, need)) {
            return choice.clone();
        }
        let cells = wanted(setting, need, Levels::ALL, Levels::ALL);
        let means = pool.means.iter();
        let means = means.filter(|m| fits(setting.model, m, need.of) && helps(m, &cells));
        let means: Vec<&Means> = means.collect();
        let choice = least(setting, &means, &cells, need).map(|means| Choice {
            hint: hint_covers(setting, &means, need),
            means,
        });
        self.known.insert((number, need), choice.clone());
        choice
    }

    /// The least set of means that drops everything a CPU may hold, whoever's it is.
    pub fn choose_any(&mut self, setting: &Setting<'_>) -> Option<Choice> {
        let need = Need {
            leaf: true,
            walk: true,
            absent: Levels::ALL,
            root: true,
            of: Of::Everything,
        };
        let whose = Whose {
            this: true,
            other: setting.has_tag(true) || setting.has_tag(false),
            global: setting.may_hold_globals(),
        };
        let kinds = [Kind::Leaf, Kind::Walk, Kind::Root, Kind::Absent].into_iter();
        let cells = kinds
            .filter(|kind| held(setting, *kind))
            .fold(Cells::NONE, |all, kind| {
                all.union(&setting.cells(kind, Levels::ALL, whose, setting.holders()))
            });
        let cells = vec![cells; setting.views().len()];
        [false, true].into_iter().find_map(|widened| {
            let pool = setting.pool(widened);
            let pool: Vec<&Means> = pool
                .iter()
                .filter(|m| fits(setting.model, m, need.of))
                .collect();
            let means = least(setting, &pool, &cells, need)?;
            Some(Choice { means, hint: false })
        })
    }
}

/// The cells of a need, for each view of the space.
pub fn wanted(setting: &Setting<'_>, need: Need, leaf: Levels, walk: Levels) -> Vec<Cells> {
    let kinds = [
        (need.leaf, Kind::Leaf, leaf),
        (need.walk, Kind::Walk, walk),
        (true, Kind::Absent, need.absent.and(leaf)),
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
        Kind::Absent => caches.invalid_cached,
    }
}

fn fits(model: &Model, means: &Means, of: Of) -> bool {
    match (means.names, of) {
        // Passes step by all the entries that one cached translation covers, and these runs by one.
        (
            Names::Run {
                stride: Stride::Entries(levels),
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

/// Whether a means drops any of the cells: without it a set that covers them still does.
fn helps(means: &Means, cells: &[Cells]) -> bool {
    let mut views = means.cells.iter().zip(cells);
    views.any(|(dropped, wanted)| !dropped.and(wanted).is_empty())
}

fn least(
    setting: &Setting<'_>,
    pool: &[&Means],
    cells: &[Cells],
    need: Need,
) -> Option<Vec<Means>> {
    let leaves = setting.leaves_of_classes();
    let mut best: Option<(Rank, Vec<usize>)> = None;
    let mut covering: Vec<Vec<usize>> = Vec::new();
    let most = if pool.iter().any(|m| m.stage > 0) {
        4
    } else {
        3
    };
    for set in (0..=most).flat_map(|size| subsets(pool.len(), size)) {
        let within = |small: &Vec<usize>| small.iter().all(|i| set.contains(i));
        if covering.iter().any(within) || !covers(pool, &set, cells) {
            continue;
        }
        covering.push(set.clone());
        let runs = set
            .iter()
            .any(|&i| matches!(pool[i].names, Names::Run { .. }));
        if need.of == Of::Runs && !runs {
            continue;
        }
        let rank = rank(pool, &set, cells, &leaves, need);
        if best.as_ref().is_none_or(|(least, _)| rank < *least) {
            best = Some((rank, set));
        }
    }
    let (_, set) = best?;
    Some(set.into_iter().map(|i| pool[i].clone()).collect())
}

/// The sets of a size, in order.
fn subsets(n: usize, size: usize) -> impl Iterator<Item = Vec<usize>> {
    let mut next: Option<Vec<usize>> = (size <= n).then(|| (0..size).collect());
    std::iter::from_fn(move || {
        let set = next.take()?;
        // The last element that can still move up takes the later ones along.
        let moves = (0..size).rfind(|&place| set[place] < n - size + place);
        next = moves.map(|place| {
            let from = set[place] + 1;
            let rest = (0..size - place).map(|offset| from + offset);
            set[..place].iter().copied().chain(rest).collect()
        });
        Some(set)
    })
}

fn covers(pool: &[&Means], set: &[usize], cells: &[Cells]) -> bool {
    cells.iter().enumerate().all(|(view, wanted)| {
        let dropped = (set.iter()).fold(Cells::NONE, |all, &i| all.union(&pool[i].cells[view]));
        dropped.covers(wanted)
    })
}

type Rank = (u32, u8, u64, usize, u32, u32, Vec<usize>);

fn rank(pool: &[&Means], set: &[usize], cells: &[Cells], leaves: &[Cells; 3], need: Need) -> Rank {
    let means = || set.iter().map(|&i| pool[i]);
    let gone = |view: usize| means().fold(Cells::NONE, |all, m| all.union(&m.everywhere[view]));
    let gone: Vec<Cells> = (0..cells.len()).map(gone).collect();
    let classes = leaves.iter().enumerate();
    let lost = classes.filter(|(_, leaves)| gone.iter().any(|gone| gone.covers(leaves)));
    let lost = lost.fold(0, |bits, (class, _)| bits | 1 << class);
    let loses = means().fold(lost, |bits, m| bits | m.puts_off);
    let beyond = |m: &Means| -> u32 {
        let views = m.cells.iter().zip(cells);
        views.map(|(all, wanted)| all.without(wanted).count()).sum()
    };
    let addresses = if need.of == Of::Everything {
        0
    } else {
        means()
            .map(|m| m.everywhere.iter().map(Cells::count).sum::<u32>())
            .sum()
    };
    (
        loses.count_ones(),
        loses,
        means().map(|m| m.cost).sum(),
        means().map(|m| m.stage).collect::<BTreeSet<_>>().len(),
        addresses,
        means().map(beyond).sum(),
        set.to_vec(),
    )
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
    let mut pool = setting.pool(true);
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
