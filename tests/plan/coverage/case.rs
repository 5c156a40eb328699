//! A request on a machine whose instructions drop by address and by tag, with the checks of its result.
//!
//! In: a [`Case`], and the entries that each of its instructions drops. Checked: every entry of the request is dropped, in an
//! order in which no entry can be made again, and no address outside of the request is named.

use std::ops::Range;

use tlbc::Analysis;
use tlbc::model::Config;
use tlbc::model::Which;
use tlbc::plan::ir::Shape;
use tlbc::trace::interpret::{Effects, Op, flush};
use tlbc_runtime::level;
use tlbc_runtime::request::{Extent, Ranges, Reach, Scope, Space};

use crate::coverage::manual::{Dropped, Issued, Key, Level, Place};
use tlbc_tests::configurations::Machine;
use tlbc_tests::requests::env;

/// The changed entries: for each level from the leaf up, the first and the last address.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Leaf entries.
    pub leaf: Vec<(Level, Range<u128>)>,
    /// Entries that pointed at tables.
    pub unlinked: Vec<(Level, Range<u128>)>,
    /// Whether the entries below those are still valid.
    pub live: bool,
}

impl Asked {
    /// Leaf entries, and those that pointed at tables.
    pub fn all(&self) -> impl Iterator<Item = &(Level, Range<u128>)> {
        self.leaf.iter().chain(&self.unlinked)
    }
}

/// Extends a range to whole entries of a level.
pub fn rounded(range: &Range<u128>, shift: u32) -> Range<u128> {
    let low = (1u128 << shift) - 1;
    range.start & !low..(range.end + low) & !low
}

fn entries(range: &Range<u128>, shift: u32) -> u128 {
    let out = rounded(range, shift);
    (out.end - out.start) >> shift
}

fn bytes_of(place: Place) -> Option<Range<u128>> {
    match place {
        Place::Everything => None,
        Place::Points { start, step, count } => {
            let start = u128::from(start);
            Some(start..start + (u128::from(count - 1) << step) + 1)
        }
    }
}

/// Returns the numbers of the entries of a level that contain a named address.
fn hit(place: Place, shift: u32) -> Vec<Range<u128>> {
    let one = |entries: Range<u128>| std::iter::once(entries).collect();
    match place {
        Place::Everything => one(0..u128::MAX),
        Place::Points { start, step, count } => {
            let (start, last) = (u128::from(start), u128::from(count - 1));
            if step <= shift {
                return one(start >> shift..((start + (last << step)) >> shift) + 1);
            }
            let entry = |i: u128| (start + (i << step)) >> shift;
            (0..=last).map(|i| entry(i)..entry(i) + 1).collect()
        }
    }
}

/// Returns whether every entry of a level that a range touches contains a named address.
fn covered(range: &Range<u128>, shift: u32, places: impl Iterator<Item = Place>) -> bool {
    let mut hits: Vec<Range<u128>> = places.flat_map(|place| hit(place, shift)).collect();
    hits.sort_by_key(|hit| hit.start);
    let out = rounded(range, shift);
    let (mut at, end) = (out.start >> shift, out.end >> shift);
    for hit in hits {
        if hit.start > at {
            break;
        }
        at = at.max(hit.end);
    }
    at >= end
}

/// A request on a machine, with the tags of its entries.
pub struct Case<'a> {
    /// Its definition and plans.
    pub arch: &'a Analysis,
    /// The machine.
    pub config: Config,
    /// Its limits, by index.
    pub limits: Vec<u64>,
    /// Whose mappings.
    pub space: Space,
    /// Which CPUs may have cached them.
    pub reach: Reach,
    /// Whether the tag means the same space on every CPU.
    pub global: bool,
    /// The levels, from the leaf up.
    pub levels: Vec<Level>,
    /// The changed entries.
    pub asked: Asked,
    /// The tags of leaf entries.
    pub leaf_keys: Vec<Key>,
    /// The tags of walk entries.
    pub walk_keys: Vec<Key>,
}

impl Case<'_> {
    fn ranges(&self) -> Ranges {
        let mut ranges = Ranges::new();
        let level = |level: &Level| {
            let index = self.arch.model.level(level.name).expect("a level");
            level::Level(u8::try_from(index).expect("few levels"))
        };
        let extent = |range: &Range<u128>| {
            let start = u64::try_from(range.start).expect("an address");
            let bytes = u64::try_from(range.end - range.start).expect("a length");
            Extent::new(start, bytes)
        };
        for (at, range) in &self.asked.leaf {
            ranges.leaf(level(at), extent(range));
        }
        for (at, range) in &self.asked.unlinked {
            ranges.walk(level(at), extent(range));
        }
        if self.asked.live {
            ranges.subtree();
        }
        ranges
    }

    /// Interprets the start and the end of the flush.
    pub fn run(&self) -> [Effects; 2] {
        let ranges = self.ranges();
        let machine = Machine {
            config: self.config,
            limits: self.limits.clone(),
        };
        let mut env = env(machine, self.global, ranges);
        let levels = self.arch.model.level_table(self.config);
        let shape = match ranges.scope(&levels) {
            Scope::Page { va, level, .. } => {
                env.page = (va, level);
                Shape::Page(self.space, self.reach)
            }
            _ => Shape::Ranges(self.space, self.reach),
        };
        flush(&self.arch.model, &self.arch.plans, shape, &env)
    }

    /// Returns an instruction with the names of its operands.
    pub fn issued(&self, op: &Op) -> Issued {
        let model = &self.arch.model;
        let name = match op.which {
            Which::Barrier(index) => &model.barriers[index].named.name,
            Which::Invalidate(index) => &model.invalidates[index].named.name,
            Which::Load(index) => &model.loads[index].named.name,
            Which::Store => panic!("a flush stores nothing"),
        };
        let operand =
            |&(index, word): &(usize, u128)| (model.operands[index].named.name.clone(), word);
        Issued {
            name: name.clone(),
            operands: op.operands.iter().map(operand).collect(),
        }
    }

    /// Checks that every entry of the request is dropped, unless that is deferred.
    ///
    /// If entries below unlinked tables are still valid, a leaf entry counts as dropped only if no walk entry above can make
    /// it again: the walk entry is dropped by the same instruction, or by an earlier one that a barrier of `barriers` has
    /// completed (without `barriers`, every instruction is complete at once).
    pub fn covers(
        &self,
        drops: &[(usize, Dropped)],
        barriers: Option<&[usize]>,
        deferred: &dyn Fn(Key) -> bool,
    ) {
        let walk_keys: Vec<Key> = self
            .walk_keys
            .iter()
            .copied()
            .filter(|k| !deferred(*k))
            .collect();
        for &key in self.leaf_keys.iter().filter(|key| !deferred(**key)) {
            let above = |walk: &&Key| self.space == Space::Kernel || **walk == key;
            let above: Vec<Key> = walk_keys.iter().filter(above).copied().collect();
            let stays_gone = |at: usize, op: &Dropped| {
                !self.asked.live
                    || above
                        .iter()
                        .all(|k| self.makes_no_more(drops, at, op, barriers, *k))
            };
            for (level, range) in &self.asked.leaf {
                let places = drops
                    .iter()
                    .filter(|(at, op)| op.leaf(*level, key) && stays_gone(*at, op));
                let places = places.map(|(_, d)| d.place);
                let name = level.name;
                assert!(
                    covered(range, level.shift, places),
                    "leaf@{name} {range:x?} under {key:?}"
                );
            }
        }
        for &key in &walk_keys {
            for (level, range) in &self.asked.unlinked {
                let places = drops.iter().filter_map(|(_, d)| d.walk(*level, key));
                let name = level.name;
                assert!(
                    covered(range, level.shift, places),
                    "walk@{name} {range:x?} under {key:?}"
                );
            }
        }
    }

    /// Returns whether all unlinked walk entries above the addresses of an instruction are gone when it is issued.
    fn makes_no_more(
        &self,
        drops: &[(usize, Dropped)],
        at: usize,
        op: &Dropped,
        barriers: Option<&[usize]>,
        key: Key,
    ) -> bool {
        let named = bytes_of(op.place).unwrap_or(0..u128::MAX);
        let done = |before: usize| {
            before < at && barriers.is_none_or(|all| all.iter().any(|b| before < *b && *b < at))
        };
        self.asked.unlinked.iter().all(|(level, unlinked)| {
            let unlinked = rounded(unlinked, level.shift);
            let both = unlinked.start.max(named.start)..unlinked.end.min(named.end);
            let before = drops.iter().filter(|(before, _)| done(*before));
            let places = before.filter_map(|(_, d)| d.walk(*level, key));
            both.is_empty() || op.walk(*level, key).is_some() || covered(&both, level.shift, places)
        })
    }

    /// Checks that no address outside of the entries of the request is named.
    pub fn names_no_more(&self, drops: &[(usize, Dropped)]) {
        let within: Vec<Range<u128>> = (self.asked.all())
            .map(|(level, range)| rounded(range, level.shift))
            .collect();
        for bytes in drops.iter().filter_map(|(_, d)| bytes_of(d.place)) {
            let inside = |all: &Range<u128>| all.start <= bytes.start && bytes.end <= all.end;
            assert!(
                within.iter().any(inside),
                "{bytes:x?} is named, of {within:x?}"
            );
        }
    }

    /// Returns the numbers of instructions and pages, with one instruction for each `run` entries of a level.
    pub fn needs(&self, run: &dyn Fn(Level) -> u128) -> (u128, u128) {
        self.asked
            .all()
            .fold((0, 0), |(ops, pages), (level, range)| {
                let n = entries(range, level.shift);
                (
                    ops + n.div_ceil(run(*level)),
                    pages + (n << (level.shift - self.levels[0].shift)),
                )
            })
    }

    /// Returns the number of instructions that name addresses.
    pub fn by_address(drops: &[(usize, Dropped)]) -> u128 {
        drops
            .iter()
            .filter(|(_, d)| d.place != Place::Everything)
            .count() as u128
    }
}
