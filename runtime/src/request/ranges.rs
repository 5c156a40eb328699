//! Ranges: what was changed, level by level.
//!
//! In: extents of changed entries, and the [flush](RequiredFlush) that a change requires in them. Out: a [`Scope`]. Holds: the scope
//! covers every entry that was added. As long as only leaf entries of one level in one run were added, as for most flushes, nothing
//! is recorded by level, so that reading it is fast.

use crate::fault::{Fault, is_back};
use crate::level::{LEVELS, Level, Levels};
use crate::request::extent::Extent;
use crate::request::levels::{LevelTable, below};

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranges {
    /// The leaf entries of one level, as long as nothing else has changed. Its level is [`SORTED`] as soon as there are others.
    run: LeafRun,
    /// All changes by level, if there are others.
    sorted: Option<Sorted>,
}

/// Leaf entries of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LeafRun {
    /// The first and the last of their addresses.
    first: u64,
    last: u64,
    /// Their level, [`NO_RUN`] or [`SORTED`].
    level: Level,
}

/// The level of a run without entries.
const NO_RUN: Level = Level(u8::MAX);
/// The level of the run of ranges that record everything by level. One comparison of the level distinguishes all cases.
const SORTED: Level = Level(u8::MAX - 1);

impl LeafRun {
    /// No entry.
    const NONE: Self = Self {
        first: 0,
        last: 0,
        level: NO_RUN,
    };

    /// Returns whether there is no entry.
    #[inline]
    const fn is_nothing(self) -> bool {
        self.level.0 == NO_RUN.0
    }

    /// Returns the addresses.
    #[inline]
    const fn extent(self) -> Extent {
        // 64 bits cannot count all 2^64 bytes. All except the last one can be counted.
        Extent::new(
            self.first,
            self.last.wrapping_sub(self.first).saturating_add(1),
        )
    }
}

impl Default for Ranges {
    fn default() -> Self {
        Self::new()
    }
}

/// What was changed, by its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sorted {
    /// The addresses at which leaf entries of each level changed.
    pub leaf: [Extent; LEVELS],
    /// The addresses at which entries of each level no longer point at the tables that they pointed at.
    pub walk: [Extent; LEVELS],
    pub subtree: bool,
    pub negative: bool,
}

/// Whether entries of an extent were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Touched {
    /// Leaf entries of the level in question.
    pub leaf: bool,
    /// Leaf entries of another level, or entries that pointed at tables.
    pub other: bool,
}

/// What was changed, in the form in which it is recorded.
pub(crate) enum Recorded<'r> {
    Nothing,
    /// Leaf entries of one level.
    Run(Level, Extent),
    /// Everything by level.
    Sorted(&'r Sorted),
}

impl Ranges {
    /// Returns ranges in which nothing was changed.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self {
            run: LeafRun::NONE,
            sorted: None,
        }
    }

    /// Adds leaf entries of a level. If no machine has such a level, adds everything.
    #[inline]
    pub fn leaf(&mut self, level: Level, extent: Extent) {
        if is_back(Fault::RecordsFirstRange) && !self.is_nothing() {
            return;
        }
        let run = &mut self.run;
        let is_valid = level.index() < LEVELS && !extent.is_empty();
        if is_valid && run.is_nothing() {
            (run.level, run.first, run.last) = (level, extent.start, extent.last());
        } else if is_valid && level == run.level {
            if extent.start < run.first {
                run.first = extent.start;
            }
            if extent.last() > run.last {
                run.last = extent.last();
            }
        } else {
            self.more_leaves(level, extent);
        }
    }

    /// Adds leaf entries of another level, or of none.
    #[inline(never)]
    fn more_leaves(&mut self, level: Level, extent: Extent) {
        if level.index() >= LEVELS || !extent.is_empty() {
            self.sort().widen(|sorted| &mut sorted.leaf, level, extent);
        }
    }

    /// Adds new entries of a level, whose negative entries must be invalidated. If no machine has such a level, adds everything.
    pub fn negative(&mut self, level: Level, extent: Extent) {
        self.sort().negative = true;
        self.leaf(level, extent);
    }

    /// Returns whether new entries were added.
    #[must_use]
    #[inline]
    pub fn has_negative(&self) -> bool {
        self.sorted.as_ref().is_some_and(|sorted| sorted.negative)
    }

    /// Returns whether leaf entries of one of these levels were added, or new entries.
    #[must_use]
    pub fn has_leaf_at(&self, levels: Levels) -> bool {
        match self.recorded() {
            Recorded::Nothing => false,
            Recorded::Run(level, _) => levels.contains(level),
            Recorded::Sorted(sorted) => is_any_at(&sorted.leaf, levels),
        }
    }

    /// Returns whether entries of one of these levels no longer point at the tables that they pointed at.
    #[must_use]
    pub fn has_walk_at(&self, levels: Levels) -> bool {
        let unlinked = |sorted: &Sorted| is_any_at(&sorted.walk, levels);
        self.sorted.as_ref().is_some_and(unlinked)
    }

    /// Adds entries of a level that no longer point at the tables that they pointed at. If no machine has such a level, adds
    /// everything.
    pub fn walk(&mut self, level: Level, extent: Extent) {
        self.sort().widen(|sorted| &mut sorted.walk, level, extent);
    }

    /// Records that what is below the tables is still valid, because a table was moved or is no longer shared. A leaf entry is then
    /// gone only after the walk entries above it, which could be used to fill it again.
    pub fn subtree(&mut self) {
        self.sort().subtree = true;
    }

    /// Returns whether what is below the tables is still valid.
    #[must_use]
    #[inline]
    pub fn has_subtree(&self) -> bool {
        self.sorted.as_ref().is_some_and(|sorted| sorted.subtree)
    }

    /// Returns whether some entry no longer points at the table that it pointed at.
    #[must_use]
    #[inline]
    pub fn tables(&self) -> bool {
        self.has_walk_at(Levels::ALL)
    }

    /// Returns whether entries in an extent were changed, at this level and at others. All addresses between two changes of a level
    /// count as changed.
    pub(crate) fn touched(&self, level: Level, extent: Extent) -> Touched {
        let mut touched = Touched::default();
        let mut leaf = |at: Level, kept: Extent| {
            let overlaps = kept.overlaps(extent);
            touched.leaf |= overlaps && at == level;
            touched.other |= overlaps && at != level;
        };
        match self.recorded() {
            Recorded::Nothing => {}
            Recorded::Run(at, run) => leaf(at, run),
            Recorded::Sorted(sorted) => {
                for (at, kept) in Level::all().zip(sorted.leaf) {
                    leaf(at, kept);
                }
                touched.other |= sorted.walk.iter().any(|kept| kept.overlaps(extent));
            }
        }
        touched
    }

    /// Removes everything, after it was flushed.
    #[inline]
    pub(crate) fn forget(&mut self) {
        *self = Self::new();
    }

    /// Returns whether nothing was changed.
    #[inline]
    pub(crate) fn is_nothing(&self) -> bool {
        self.run.is_nothing()
    }

    /// Returns what was changed, in the form in which it is recorded.
    #[inline]
    pub(crate) fn recorded(&self) -> Recorded<'_> {
        match (self.run.level, &self.sorted) {
            (NO_RUN, _) => Recorded::Nothing,
            (SORTED, Some(sorted)) => Recorded::Sorted(sorted),
            (level, _) => Recorded::Run(level, self.run.extent()),
        }
    }

    /// Records everything by level from now on, and returns it.
    pub(crate) fn sort(&mut self) -> &mut Sorted {
        let run = &mut self.run;
        self.sorted.get_or_insert_with(|| {
            let sorted = LeafRun {
                level: SORTED,
                ..LeafRun::NONE
            };
            let run = core::mem::replace(run, sorted);
            let mut sorted = Sorted {
                leaf: [Extent::EMPTY; LEVELS],
                walk: [Extent::EMPTY; LEVELS],
                subtree: false,
                negative: false,
            };
            if !run.is_nothing() {
                sorted.widen(|sorted| &mut sorted.leaf, run.level, run.extent());
            }
            sorted
        })
    }

    /// Returns the address and the level of one entry, and whether its table was unlinked, if nothing else was changed. Most
    /// gathers are of this kind.
    #[inline]
    pub(crate) fn page(&self, levels: &LevelTable) -> Option<(u64, Level, bool)> {
        let LeafRun { first, last, level } = self.run;
        if level == SORTED {
            return self.sorted.as_ref()?.page(levels);
        }
        let facts = levels.get(level.index())?;
        let is_page = !facts.merged && is_entry(facts.shift, first, last);
        is_page.then_some((first, level, false))
    }
}

/// Returns whether an extent of one of these levels has entries.
fn is_any_at(extents: &[Extent; LEVELS], levels: Levels) -> bool {
    let mut all = Level::all().zip(extents);
    all.any(|(at, extent)| levels.contains(at) && !extent.is_empty())
}

/// Returns the bits of an address within an entry of `1 << shift` bytes.
#[inline]
const fn within(shift: u32) -> u64 {
    1u64.wrapping_shl(shift).wrapping_sub(1)
}

/// Returns whether these are the first and the last address of one entry of `1 << shift` bytes.
#[inline]
const fn is_entry(shift: u32, first: u64, last: u64) -> bool {
    shift != 0 && first & within(shift) == 0 && first | within(shift) == last
}

impl Sorted {
    /// All entries.
    const EVERYTHING: Self = Self {
        leaf: [Extent::EVERYTHING; LEVELS],
        walk: [Extent::EVERYTHING; LEVELS],
        subtree: true,
        negative: true,
    };

    /// Adds entries of a level to one of the arrays.
    fn widen(
        &mut self,
        kept: impl FnOnce(&mut Self) -> &mut [Extent; LEVELS],
        level: Level,
        more: Extent,
    ) {
        match kept(self).get_mut(level.index()) {
            Some(extent) => *extent = extent.hull(more),
            None => *self = Self::EVERYTHING,
        }
    }

    #[inline(never)]
    fn page(&self, levels: &LevelTable) -> Option<(u64, Level, bool)> {
        let one = |extents: &[Extent; LEVELS]| {
            let all = Level::all().zip(*extents);
            let mut found = all.filter(|(_, extent)| !extent.is_empty());
            (found.next(), found.next().is_some())
        };
        let (Some((level, extent)), false) = one(&self.leaf) else {
            return None;
        };
        let table = match one(&self.walk) {
            (None, _) => false,
            (Some((over, walk)), false) => {
                let shift = levels.get(over.index())?.shift;
                let is_over = is_entry(shift, walk.start, walk.last()) && walk.contains(extent);
                if !is_over || below(levels, over) != Some(level) {
                    return None;
                }
                true
            }
            (Some(_), true) => return None,
        };
        let facts = levels.get(level.index())?;
        let is_page = !facts.merged
            && is_entry(facts.shift, extent.start, extent.last())
            && !self.subtree
            && !self.negative;
        is_page.then_some((extent.start, level, table))
    }
}

#[cfg(test)]
mod tests;
