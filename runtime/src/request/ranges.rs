//! Ranges: what was changed, level by level.
//!
//! In: extents of changed entries, and the [flush](RequiredFlush) that a change requires in them. Out: a [`Scope`]. Holds: the scope
//! covers every entry that was added. As long as only leaf entries of one level in one run were added, as for most flushes, nothing
//! is recorded by level, so that reading it is fast.

use crate::level::{LEVELS, Level, Levels};
use crate::request::extent::Extent;
use crate::request::levels::{LevelTable, below};

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ranges {
    /// The leaf entries of one level, as long as nothing else has changed: the first address, and the one after the last, which is
    /// 0 after the last address of all. Without entries both are 0.
    start: u64,
    next: u64,
    level: Level,
    /// All changes by level, as soon as there are others.
    sorted: Option<Sorted>,
}

/// What was changed, by its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sorted {
    /// The addresses at which leaf entries of each level changed.
    pub leaf: [Extent; LEVELS],
    /// The addresses at which entries of each level no longer point at the tables that they pointed at.
    pub walk: [Extent; LEVELS],
    pub live: bool,
    pub appeared: bool,
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
pub(crate) enum Kept<'r> {
    /// Leaf entries of one level, or nothing.
    Run(Level, Extent),
    Sorted(&'r Sorted),
}

impl Ranges {
    /// Returns ranges in which nothing was changed.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self {
            start: 0,
            next: 0,
            level: Level(0),
            sorted: None,
        }
    }

    /// Adds leaf entries of a level. If no machine has such a level, adds everything.
    #[inline]
    pub fn leaf(&mut self, level: Level, extent: Extent) {
        if !self.extend(level, extent) {
            self.leaf_apart(level, extent);
        }
    }

    /// Adds leaf entries if they continue the run. Returns whether they do.
    #[inline]
    pub(crate) fn extend(&mut self, level: Level, extent: Extent) -> bool {
        let next = extent.start.wrapping_add(extent.bytes);
        let continues =
            extent.start == self.next && self.next != 0 && next != 0 && level == self.level;
        if continues {
            self.next = next;
        }
        continues
    }

    /// Adds leaf entries that do not continue the run.
    #[inline]
    pub(crate) fn leaf_apart(&mut self, level: Level, extent: Extent) {
        if self.is_nothing() && level.index() < LEVELS {
            self.set_run(level, extent);
        } else {
            self.more_leaves(level, extent);
        }
    }

    /// Adds leaf entries to others that they do not continue.
    #[inline(never)]
    fn more_leaves(&mut self, level: Level, extent: Extent) {
        if self.sorted.is_none() && self.level == level {
            self.set_run(level, self.run().hull(extent));
        } else {
            self.sort().widen(|sorted| &mut sorted.leaf, level, extent);
        }
    }

    /// Returns the run.
    #[inline]
    const fn run(&self) -> Extent {
        Extent::new(self.start, self.next.wrapping_sub(self.start))
    }

    #[inline]
    fn set_run(&mut self, level: Level, extent: Extent) {
        self.level = level;
        self.start = extent.start;
        self.next = extent.start.wrapping_add(extent.bytes);
    }

    /// Adds new entries of a level, whose negative entries must be invalidated. If no machine has such a level, adds everything.
    pub fn appeared(&mut self, level: Level, extent: Extent) {
        self.sort().appeared = true;
        self.leaf(level, extent);
    }

    /// Returns whether new entries were added.
    #[must_use]
    #[inline]
    pub fn have_appeared(&self) -> bool {
        self.sorted.as_ref().is_some_and(|sorted| sorted.appeared)
    }

    /// Returns whether new entries of one of these levels were added. If new entries of any level were added, leaf entries
    /// count as new entries as well.
    #[must_use]
    pub fn appeared_at(&self, levels: Levels) -> bool {
        let appeared = |sorted: &Sorted| {
            let mut extents = Level::all().zip(&sorted.leaf);
            sorted.appeared && extents.any(|(at, kept)| levels.contains(at) && !kept.is_empty())
        };
        self.sorted.as_ref().is_some_and(appeared)
    }

    /// Adds entries of a level that no longer point at the tables that they pointed at. If no machine has such a level, adds
    /// everything.
    pub fn walk(&mut self, level: Level, extent: Extent) {
        self.sort().widen(|sorted| &mut sorted.walk, level, extent);
    }

    /// Records that what is below the tables is still valid, because a table was moved or is no longer shared. A leaf entry is then
    /// gone only after the walk entries above it, which could be used to fill it again.
    pub fn below_live(&mut self) {
        self.sort().live = true;
    }

    /// Returns whether what is below the tables is still valid.
    #[must_use]
    #[inline]
    pub fn is_live(&self) -> bool {
        self.sorted.as_ref().is_some_and(|sorted| sorted.live)
    }

    /// Returns whether some entry no longer points at the table that it pointed at.
    #[must_use]
    #[inline]
    pub fn tables(&self) -> bool {
        let cut = |sorted: &Sorted| sorted.walk.iter().any(|extent| !extent.is_empty());
        self.sorted.as_ref().is_some_and(cut)
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
        match self.kept() {
            Kept::Run(at, run) => leaf(at, run),
            Kept::Sorted(sorted) => {
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
        (self.start, self.next) = (0, 0);
        self.sorted = None;
    }

    /// Returns whether nothing was changed.
    #[inline]
    pub(crate) fn is_nothing(&self) -> bool {
        self.start == self.next && self.sorted.is_none()
    }

    /// Returns what was changed, in the form in which it is recorded.
    #[inline]
    pub(crate) fn kept(&self) -> Kept<'_> {
        match &self.sorted {
            Some(sorted) => Kept::Sorted(sorted),
            None => Kept::Run(self.level, self.run()),
        }
    }

    /// Records everything by level from now on, and returns it.
    pub(crate) fn sort(&mut self) -> &mut Sorted {
        let (level, run) = (self.level, self.run());
        (self.start, self.next) = (0, 0);
        self.sorted.get_or_insert_with(|| {
            let mut sorted = Sorted {
                leaf: [Extent::EMPTY; LEVELS],
                walk: [Extent::EMPTY; LEVELS],
                live: false,
                appeared: false,
            };
            sorted.widen(|sorted| &mut sorted.leaf, level, run);
            sorted
        })
    }

    /// Returns the address and the level of one entry, and whether its table was unlinked, if nothing else was changed. Most
    /// gathers are of this kind.
    #[inline]
    pub(crate) fn page(&self, levels: &LevelTable) -> Option<(u64, Level, bool)> {
        match self.kept() {
            Kept::Run(level, extent) => Some((leaf(levels, level, extent)?, level, false)),
            Kept::Sorted(sorted) => sorted.page(levels),
        }
    }
}

/// Returns the address of the leaf entry that an extent overlaps, if it is only one and is flushed at the stride of its level.
#[inline]
fn leaf(levels: &LevelTable, level: Level, extent: Extent) -> Option<u64> {
    if levels.get(level.index())?.merged {
        return None;
    }
    entry(levels, level, extent)
}

/// Returns the address of the entry that an extent overlaps, if it is only one.
#[inline]
fn entry(levels: &LevelTable, level: Level, extent: Extent) -> Option<u64> {
    let shift = levels.get(level.index())?.shift;
    let bytes = 1u64.wrapping_shl(shift);
    if extent.bytes > bytes || extent.is_empty() || shift == 0 {
        return None;
    }
    if extent.bytes == bytes && extent.start & bytes.wrapping_sub(1) == 0 {
        return Some(extent.start); // a whole entry, as nearly always
    }
    let start = extent.start & bytes.wrapping_neg();
    (extent.last().wrapping_sub(start) < bytes).then_some(start)
}

impl Sorted {
    /// All entries.
    const EVERYTHING: Self = Self {
        leaf: [Extent::EVERYTHING; LEVELS],
        walk: [Extent::EVERYTHING; LEVELS],
        live: true,
        appeared: true,
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
        let va = leaf(levels, level, extent)?;
        let table = match one(&self.walk) {
            (None, _) => false,
            (Some((cut, walk)), false) => {
                let over = entry(levels, cut, walk)?;
                let shift = levels.get(cut.index())?.shift;
                let same = va.wrapping_shr(shift) == over.wrapping_shr(shift);
                if below(levels, cut) != Some(level) || !same {
                    return None;
                }
                true
            }
            (Some(_), true) => return None,
        };
        (!self.live && !self.appeared).then_some((va, level, table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::levels::LevelFacts;

    const PAGE: Level = Level(0);
    const LARGE: Level = Level(1);
    const LEVELS_OF_TWO: LevelTable = {
        let mut table = [LevelFacts::NONE; LEVELS];
        table[0] = LevelFacts::leaf(12);
        table[1] = LevelFacts::leaf(21);
        table
    };

    fn run(extents: &[(Level, u64, u64)]) -> Ranges {
        let mut ranges = Ranges::new();
        for &(level, start, bytes) in extents {
            ranges.leaf(level, Extent::new(start, bytes));
        }
        ranges
    }

    fn page(ranges: &Ranges) -> Option<(u64, Level, bool)> {
        ranges.page(&LEVELS_OF_TWO)
    }

    #[test]
    fn leaves_of_one_level_are_one_run() {
        let orders = [[0x1000, 0x2000, 0x5000], [0x5000, 0x1000, 0x2000]];
        for order in orders {
            let ranges = run(&order.map(|start| (PAGE, start, 0x1000)));
            let Kept::Run(PAGE, extent) = ranges.kept() else {
                panic!("{ranges:?}");
            };
            assert_eq!(extent, Extent::new(0x1000, 0x5000));
            assert!(!ranges.is_nothing() && page(&ranges).is_none());
        }
    }

    #[test]
    fn what_is_more_is_kept_by_level() {
        let mut ranges = run(&[(PAGE, 0x1000, 0x1000), (LARGE, 0x20_0000, 0x20_0000)]);
        ranges.leaf(PAGE, Extent::new(0x2000, 0x1000));
        let Kept::Sorted(sorted) = ranges.kept() else {
            panic!("{ranges:?}");
        };
        assert_eq!(sorted.leaf[0], Extent::new(0x1000, 0x2000));
        assert_eq!(sorted.leaf[1], Extent::new(0x20_0000, 0x20_0000));
        assert!(!ranges.tables() && !ranges.is_live() && !ranges.have_appeared());
    }

    #[test]
    fn one_entry_is_a_page() {
        assert_eq!(
            page(&run(&[(LARGE, 0x20_0000, 0x20_0000)])),
            Some((0x20_0000, LARGE, false))
        );
        // A part of it as well, and the last one; not what lies in two.
        assert_eq!(
            page(&run(&[(LARGE, 0x20_1000, 0x1000)])),
            Some((0x20_0000, LARGE, false))
        );
        let last = 0u64.wrapping_sub(0x1000);
        assert_eq!(
            page(&run(&[(PAGE, last, 0x1000)])),
            Some((last, PAGE, false))
        );
        assert_eq!(page(&run(&[(PAGE, 0x1800, 0x1000)])), None);
        assert_eq!(page(&Ranges::new()), None);
    }

    #[test]
    fn one_entry_whose_table_goes_as_well_is_a_page() {
        let mut ranges = run(&[(PAGE, 0x20_3000, 0x1000)]);
        ranges.walk(LARGE, Extent::new(0x20_0000, 0x20_0000));
        assert_eq!(page(&ranges), Some((0x20_3000, PAGE, true)));
        ranges.below_live();
        assert_eq!(page(&ranges), None);
    }

    #[test]
    fn a_level_that_cannot_be_is_everything() {
        let none = Level(LEVELS as u8);
        let extent = Extent::new(0x1000, 0x1000);
        let changes: [fn(&mut Ranges, Level, Extent); 3] =
            [Ranges::leaf, Ranges::walk, Ranges::appeared];
        for before in [run(&[]), run(&[(PAGE, 0x1000, 0x1000)])] {
            for change in changes {
                let mut ranges = before;
                change(&mut ranges, none, extent);
                let Kept::Sorted(sorted) = ranges.kept() else {
                    panic!("{ranges:?}");
                };
                assert_eq!(*sorted, Sorted::EVERYTHING);
                assert!(ranges.tables() && ranges.is_live() && page(&ranges).is_none());
            }
        }
        assert_eq!(Extent::EVERYTHING.entries(12), 1 << 52);
    }

    #[test]
    fn a_run_ends_at_the_last_address() {
        let last = 0u64.wrapping_sub(0x1000);
        let around = [(PAGE, last, 0x1000), (PAGE, 0, 0x1000)];
        let through = [(PAGE, 0, last), (PAGE, last, 0x1000)];
        for ranges in [run(&around), run(&through)] {
            let Kept::Run(PAGE, extent) = ranges.kept() else {
                panic!("{ranges:?}");
            };
            // All of the address space, which is one byte more than can be counted.
            assert_eq!(extent.entries(12), 1 << 52);
            assert_eq!(extent.rounded(12).entries(12), 1 << 52);
            assert_eq!(extent.rounded(21).entries(21), 1 << 43);
        }
    }
}
