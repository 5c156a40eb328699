//! Passes over entries of several levels, and over entries that pointed at tables.

use crate::level::{LEVELS, Level, Levels};
use crate::request::extent::Extent;
use crate::request::folding::{Folding, Passes, Walks};
use crate::request::levels::{LevelFacts, LevelTable, below, stride};
use crate::request::pass::Pass;
use crate::request::ranges::{Ranges, Recorded, Sorted};

/// The passes over everything that was changed.
#[derive(Debug, Clone, Copy)]
pub struct SortedPasses<'r> {
    ranges: &'r Ranges,
    many: Many,
    pages: u64,
    apart: bool,
}

#[derive(Debug, Clone, Copy)]
struct Many {
    walks: [Pass; LEVELS],
    walk: usize,
    leaves: [Pass; LEVELS],
    leaf: usize,
}

impl<'r> SortedPasses<'r> {
    /// Returns the passes over what was changed.
    #[must_use]
    #[inline(never)]
    pub fn new(ranges: &'r Ranges, levels: &LevelTable, folding: Folding) -> Self {
        let mut many = Many {
            walks: [Pass::default(); LEVELS],
            walk: 0,
            leaves: [Pass::default(); LEVELS],
            leaf: 0,
        };
        let apart = matches!(folding.walks, Walks::Apart);
        match ranges.recorded() {
            Recorded::Nothing => {}
            Recorded::Run(level, extent) => {
                let at = stride(levels, level);
                if let Some((at, facts)) = at
                    && let Some((pass, _)) = leaves_of(at, extent, facts)
                {
                    let hint = pass.hint.filter(|_| at == level);
                    many.leaves[0] = Pass { hint, ..pass };
                    many.leaf = 1;
                }
            }
            Recorded::Sorted(sorted) => {
                let named = many.name_leaves(sorted, levels, folding);
                if !apart {
                    many.name_walks(sorted, levels, folding, &named);
                }
            }
        }
        let named = many.leaves.iter().take(many.leaf);
        let page = levels[0].shift;
        Self {
            ranges,
            pages: named.fold(0, |sum: u64, pass| sum.saturating_add(pass.pages(page))),
            many,
            apart,
        }
    }
}

impl SortedPasses<'_> {
    /// Calls a function with the passes over what was changed, out of the caller's line, and returns its result.
    #[inline(never)]
    pub fn apply<R>(
        ranges: &Ranges,
        levels: &LevelTable,
        folding: Folding,
        run: impl FnOnce(&SortedPasses<'_>) -> R,
    ) -> R {
        run(&SortedPasses::new(ranges, levels, folding))
    }
}

impl Passes for SortedPasses<'_> {
    #[inline]
    fn tables(&self) -> bool {
        self.ranges.tables()
    }

    #[inline]
    fn negative(&self) -> bool {
        self.ranges.has_negative()
    }

    #[inline]
    fn walks(&self) -> impl Iterator<Item = Pass> {
        self.many.walks.iter().take(self.many.walk).copied()
    }

    #[inline]
    fn walks_complete_first(&self) -> bool {
        self.ranges.has_subtree() && (self.many.walk > 0 || self.apart) && self.many.leaf > 0
    }

    #[inline]
    fn leaves(&self) -> impl Iterator<Item = Pass> {
        self.many.leaves.iter().take(self.many.leaf).copied()
    }

    #[inline]
    fn pages(&self) -> u64 {
        self.pages
    }
}

/// Returns a pass over leaf entries of one level, and the extent that it names; or `None` if there are no such entries.
#[inline]
fn leaves_of(level: Level, extent: Extent, facts: &LevelFacts) -> Option<(Pass, Extent)> {
    if extent.is_empty() || !facts.leaf {
        return None;
    }
    let shift = facts.shift.wrapping_add(facts.joined);
    let extent = extent.rounded(shift);
    let pass = Pass {
        start: extent.start,
        entries: extent.entries(shift),
        stride: level,
        shift,
        hint: Some(level),
        leaf: true,
        walk: false,
        negative: false,
    };
    Some((pass, extent))
}

/// Returns the leaf entries of each level, with those of merged levels at the strides where they are flushed; and the levels
/// whose strides contain entries of other levels. Negative entries are of one level each, so new entries are not merged.
fn merged(sorted: &Sorted, levels: &LevelTable) -> ([Extent; LEVELS], Levels) {
    let (mut leaf, mut mixed) = (sorted.leaf, Levels::NONE);
    for (level, facts) in Level::all().zip(levels) {
        let extent = sorted.leaf.get(level.index()).copied();
        let extent = extent.filter(|extent| facts.merged && !extent.is_empty());
        if !sorted.negative
            && let Some(extent) = extent
            && let Some((at, _)) = stride(levels, level)
            && let Some(wider) = leaf.get_mut(at.index())
        {
            *wider = wider.hull(extent);
            mixed = mixed.union(Levels::only(at));
            if let Some(merged) = leaf.get_mut(level.index()) {
                *merged = Extent::EMPTY;
            }
        }
    }
    (leaf, mixed)
}

impl Many {
    /// Adds a pass over the leaf entries of each level. Returns the extents that they name.
    fn name_leaves(
        &mut self,
        sorted: &Sorted,
        levels: &LevelTable,
        folding: Folding,
    ) -> [Extent; LEVELS] {
        let mut named = [Extent::EMPTY; LEVELS];
        let (leaf, mixed) = merged(sorted, levels);
        for ((level, extent), facts) in Level::all().zip(leaf).zip(levels) {
            // A new entry may point at a table.
            let facts = LevelFacts {
                leaf: facts.leaf || sorted.negative && facts.shift != 0,
                ..*facts
            };
            if sorted.negative && folding.negative && self.absorb(&named, extent, facts.shift) {
                continue;
            }
            let Some((pass, extent)) = leaves_of(level, extent, &facts) else {
                continue;
            };
            if folding.leaves && !sorted.negative && self.absorb(&named, extent, pass.shift) {
                continue;
            }
            let (Some(place), Some(slot)) =
                (self.leaves.get_mut(self.leaf), named.get_mut(self.leaf))
            else {
                break;
            };
            let negative = sorted.negative;
            let hint = pass.hint.filter(|_| !mixed.contains(level));
            *place = Pass {
                hint,
                negative,
                ..pass
            };
            *slot = extent;
            self.leaf = self.leaf.wrapping_add(1);
        }
        named
    }

    /// Adds a pass over the walk entries of each level, unless a pass over leaf entries invalidates them as well.
    fn name_walks(
        &mut self,
        sorted: &Sorted,
        levels: &LevelTable,
        folding: Folding,
        named: &[Extent; LEVELS],
    ) {
        let all = matches!(folding.walks, Walks::All);
        // Leaf entries of one pass must not be invalidated while a walk entry that another pass invalidates can still be used
        // to fill them again.
        let apart = !folding.joint || sorted.subtree && self.leaf > 1;
        for ((level, &extent), facts) in Level::all().zip(&sorted.walk).zip(levels) {
            let shift = facts.shift;
            if extent.is_empty() || shift == 0 {
                continue;
            }
            let rounded = extent.rounded(shift);
            if !apart && self.take(named, level, rounded, shift, all) || all && self.walk > 0 {
                continue;
            }
            let Some(slot) = self.walks.get_mut(self.walk) else {
                break;
            };
            *slot = Pass {
                start: rounded.start,
                entries: if all { 1 } else { rounded.entries(shift) },
                stride: level,
                shift,
                hint: below(levels, level),
                leaf: false,
                walk: true,
                negative: false,
            };
            self.walk = self.walk.wrapping_add(1);
        }
    }

    /// Returns whether the pass of a lower level names an address in each entry of `1 << shift` bytes of `extent`. That pass then
    /// has no hint any more.
    fn absorb(&mut self, named: &[Extent; LEVELS], extent: Extent, shift: u32) -> bool {
        for (pass, within) in self.leaves.iter_mut().zip(named).take(self.leaf) {
            if within.rounded(shift).contains(extent) {
                pass.hint = None;
                return true;
            }
        }
        false
    }

    /// Returns whether a pass over leaf entries names an address that each unlinked entry of `level` translates. That pass then invalidates
    /// walk entries as well.
    fn take(
        &mut self,
        named: &[Extent; LEVELS],
        level: Level,
        unlinked: Extent,
        shift: u32,
        all: bool,
    ) -> bool {
        for (pass, within) in self.leaves.iter_mut().zip(named).take(self.leaf) {
            let names = pass.stride < level && within.rounded(shift).contains(unlinked);
            if all || names {
                pass.walk = true;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages of 4 KiB in pairs, tables of 512 entries.
    const PAIRED: LevelTable = {
        let mut table = [LevelFacts::NONE; LEVELS];
        table[0] = LevelFacts::joined(12, 1);
        table[1] = LevelFacts::joined(21, 1);
        table[2] = LevelFacts::table(30);
        table
    };

    fn folding(walks: Walks) -> Folding {
        Folding::new(walks).with_joint()
    }

    fn first_two<T>(mut all: impl Iterator<Item = T>) -> (Option<T>, Option<T>) {
        (all.next(), all.next())
    }

    #[test]
    fn neighbours_that_one_translation_covers_are_named_once() {
        let mut ranges = Ranges::new();
        // From the second entry of a pair to the first entry of another: three pairs.
        ranges.leaf(Level(0), Extent::new(0x1000, 0x4000));
        let passes = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
        let (Some(pass), None) = first_two(passes.leaves()) else {
            panic!("{passes:?}");
        };
        assert_eq!((pass.start, pass.entries, pass.shift), (0, 3, 13));
        assert_eq!(passes.pages(), 6);
    }

    /// The same, where the policy states only the stride of pages.
    const MERGED: LevelTable = {
        let mut table = PAIRED;
        table[0] = LevelFacts::leaf(12);
        table[1] = LevelFacts::leaf(21).merged();
        table[2] = LevelFacts::leaf(30).merged();
        table
    };

    #[test]
    fn a_merged_level_is_flushed_at_the_next_lower_stride_without_a_hint() {
        let large = (Level(1), Extent::new(0x20_0000, 0x40_0000));
        let mut run = Ranges::new();
        run.leaf(large.0, large.1);
        let mut sorted = run;
        sorted.walk(Level(2), Extent::new(0, 0x4000_0000));
        for ranges in [run, sorted] {
            let passes = SortedPasses::new(&ranges, &MERGED, folding(Walks::Apart));
            let (Some(pass), None) = first_two(passes.leaves()) else {
                panic!("{passes:?}");
            };
            assert_eq!((pass.start, pass.entries), (0x20_0000, 1024));
            assert_eq!((pass.stride, pass.shift, pass.hint), (Level(0), 12, None));
            assert_eq!((passes.pages(), passes.entries()), (1024, 1024));
            // Where the policy states the stride, the pass has a hint.
            let stated = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Apart));
            assert!(matches!(
                first_two(stated.leaves()),
                (Some(pass), None) if pass.hint == Some(Level(1)) && pass.stride == Level(1)
            ));
        }
        // One large entry takes many instructions, so it is no single page.
        let mut one = Ranges::new();
        one.leaf(Level(1), Extent::new(0x20_0000, 0x20_0000));
        assert_eq!(one.page(&MERGED), None);
        assert!(one.page(&PAIRED).is_some());
    }

    #[test]
    fn levels_of_one_stride_have_one_pass() {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(0x1000, 0x1000));
        ranges.leaf(Level(1), Extent::new(0x20_0000, 0x20_0000));
        ranges.leaf(Level(2), Extent::new(0x4000_0000, 0x4000_0000));
        let passes = SortedPasses::new(&ranges, &MERGED, folding(Walks::Apart));
        let (Some(pass), None) = first_two(passes.leaves()) else {
            panic!("{passes:?}");
        };
        // All addresses between them as well.
        assert_eq!(
            (pass.start, pass.entries),
            (0x1000, (0x8000_0000 >> 12) - 1)
        );
        assert_eq!(pass.hint, None);
        // The greatest stride below a level is the one that counts.
        let mut two = MERGED;
        two[1] = LevelFacts::leaf(21);
        let passes = SortedPasses::new(&ranges, &two, folding(Walks::Apart));
        let strides = passes.leaves();
        let strides = strides.map(|pass| (pass.stride, pass.entries, pass.hint));
        assert!(strides.eq([
            (Level(0), 1, Some(Level(0))),
            (Level(1), (0x8000_0000 >> 21) - 1, None)
        ]));
    }

    #[test]
    fn new_entries_are_not_merged() {
        let mut ranges = Ranges::new();
        ranges.negative(Level(1), Extent::new(0x20_0000, 0x20_0000));
        let passes = SortedPasses::new(&ranges, &MERGED, folding(Walks::Apart));
        let is_large = |pass: Pass| pass.stride == Level(1) && pass.negative;
        assert!(matches!(first_two(passes.leaves()), (Some(pass), None) if is_large(pass)));
    }

    #[test]
    fn an_unlinked_entry_is_of_one_entry_whatever_a_translation_covers() {
        let mut ranges = Ranges::new();
        ranges.walk(Level(1), Extent::new(0x20_0000, 0x20_0000));
        let passes = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
        let (Some(pass), None) = first_two(passes.walks()) else {
            panic!("{passes:?}");
        };
        assert_eq!((pass.start, pass.entries, pass.shift), (0x20_0000, 1, 21));
    }

    #[test]
    fn walk_entries_take_no_pass_where_walk_entries_go_apart() {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(0, 0x4000));
        ranges.walk(Level(1), Extent::new(0, 0x20_0000));
        let passes = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Apart));
        assert!(passes.walks().next().is_none());
        assert!(passes.leaves().all(|pass| pass.leaf && !pass.walk));
        assert!(!passes.walks_complete_first());
        ranges.subtree();
        let live = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Apart));
        assert!(live.walks_complete_first());
    }

    #[test]
    fn walk_entries_have_passes_of_their_own_where_leaf_and_walk_entries_take_two_instructions() {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(0, 0x4000));
        ranges.walk(Level(1), Extent::new(0, 0x20_0000));
        let joint = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
        assert!(joint.walks().next().is_none() && joint.leaves().all(|pass| pass.walk));
        let apart = Folding {
            joint: false,
            ..folding(Walks::Named)
        };
        let apart = SortedPasses::new(&ranges, &PAIRED, apart);
        assert_eq!(apart.walks().count(), 1);
        assert!(apart.leaves().all(|pass| !pass.walk));
    }

    #[test]
    fn no_leaves_wait_for_walk_entries_where_there_are_none() {
        let mut ranges = Ranges::new();
        ranges.walk(Level(1), Extent::new(0, 0x20_0000));
        ranges.subtree();
        let named = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
        assert!(named.walks().next().is_some() && !named.walks_complete_first());
        ranges.leaf(Level(1), Extent::new(0, 0x20_0000));
        ranges.leaf(Level(0), Extent::new(0, 0x4000));
        let both = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
        assert!(both.walks_complete_first());
    }

    #[test]
    fn new_entries_have_a_pass_at_every_level() {
        let passes = |ranges: &Ranges, negative| {
            let folding = Folding {
                negative,
                ..folding(Walks::Named)
            };
            let passes = SortedPasses::new(ranges, &PAIRED, folding);
            let levels = passes.leaves().map(|pass| pass.stride);
            levels.fold(Levels::NONE, |all, level| all.union(Levels::only(level)))
        };
        // A new table, at a level that maps no page.
        let mut table = Ranges::new();
        table.negative(Level(2), Extent::new(0, 0x4000_0000));
        assert_eq!(passes(&table, false), Levels::only(Level(2)));
        // A page and its tables take one pass, if an instruction invalidates the entries of every level.
        let mut page = Ranges::new();
        for level in 0..3 {
            page.negative(Level(level), Extent::new(0x5000, 0x1000));
        }
        assert_eq!(passes(&page, false), Levels(7));
        assert_eq!(passes(&page, true), Levels::only(Level(0)));
    }

    #[test]
    fn levels_have_passes_of_their_own_if_an_instruction_names_the_level() {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(0, 0x80_0000));
        ranges.leaf(Level(1), Extent::new(0, 0x40_0000));
        let apart = SortedPasses::new(&ranges, &PAIRED, folding(Walks::Named));
        let levels = |passes: &SortedPasses| first_two(passes.leaves().map(|pass| pass.stride));
        assert_eq!(levels(&apart), (Some(Level(0)), Some(Level(1))));
        let both = folding(Walks::Named).with_leaves();
        let folded = SortedPasses::new(&ranges, &PAIRED, both);
        assert_eq!(levels(&folded), (Some(Level(0)), None));
    }

    #[test]
    fn an_entry_of_which_an_address_is_named_takes_no_pass() {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(0x3f_e000, 0x2000));
        ranges.leaf(Level(1), Extent::new(0, 0x80_0000));
        let folding = folding(Walks::Named).with_leaves();
        // The pages are in one of two pairs of large entries.
        let passes = SortedPasses::new(&ranges, &PAIRED, folding);
        let one = passes.leaves().map(|pass| (pass.stride, pass.hint));
        assert!(one.eq([(Level(0), Some(Level(0))), (Level(1), Some(Level(1)))]));
        // They are in each of them.
        let mut single = PAIRED;
        single[1] = LevelFacts::leaf(21);
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(0x3f_f000, 0x2000));
        ranges.leaf(Level(1), Extent::new(0x20_0000, 0x40_0000));
        let passes = SortedPasses::new(&ranges, &single, folding);
        let all = passes.leaves();
        assert!(
            all.map(|pass| (pass.stride, pass.entries, pass.hint))
                .eq([(Level(0), 2, None)])
        );
    }
}
