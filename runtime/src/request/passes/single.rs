//! The pass over leaf entries of one level: most flushes of more than a page.

use crate::level::Level;
use crate::request::folding::Passes;
use crate::request::levels::LevelTable;
use crate::request::pass::Pass;
use crate::request::ranges::{Ranges, Recorded};

/// The only pass of a request: over leaf entries of one level. Tables stay linked, and no entry is new.
///
/// Most facts about its pass are constants, so a function that is generic over [`Passes`] becomes a direct loop with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinglePass {
    start: u64,
    entries: u64,
    level: Level,
    /// log2 of the bytes that one cached entry covers.
    shift: u32,
    /// log2 of the bytes of a base page.
    page: u32,
}

impl SinglePass {
    /// Returns the pass over what was changed, if it is the only one and at the stride of its level.
    #[must_use]
    #[inline]
    pub fn new(ranges: &Ranges, levels: &LevelTable) -> Option<Self> {
        let Recorded::Run(level, extent) = ranges.recorded() else {
            return None;
        };
        let facts = levels.get(level.index())?;
        if !facts.leaf || facts.merged {
            return None;
        }
        let shift = facts.shift.wrapping_add(facts.joined);
        Some(Self {
            start: extent.start & u64::MAX.wrapping_shl(shift),
            entries: extent.entries(shift),
            level,
            shift,
            page: levels[0].shift,
        })
    }

    #[inline]
    fn pass(&self) -> Pass {
        Pass {
            start: self.start,
            entries: self.entries,
            stride: self.level,
            shift: self.shift,
            hint: Some(self.level),
            leaf: true,
            walk: false,
            negative: false,
        }
    }
}

impl Passes for SinglePass {
    #[inline]
    fn tables(&self) -> bool {
        false
    }

    #[inline]
    fn negative(&self) -> bool {
        false
    }

    #[inline]
    fn walks(&self) -> impl Iterator<Item = Pass> {
        core::iter::empty()
    }

    #[inline]
    fn walks_complete_first(&self) -> bool {
        false
    }

    #[inline]
    fn leaves(&self) -> impl Iterator<Item = Pass> {
        core::iter::once(self.pass())
    }

    #[inline]
    fn pages(&self) -> u64 {
        self.pass().pages(self.page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::LEVELS;
    use crate::request::extent::Extent;
    use crate::request::levels::LevelFacts;
    use crate::request::passes::{Folding, SortedPasses, Walks};

    /// Pages of 4 KiB in groups of four, large pages, tables.
    const LEVELS_OF_THREE: LevelTable = {
        let mut table = [LevelFacts::NONE; LEVELS];
        table[0] = LevelFacts::joined(12, 2);
        table[1] = LevelFacts::leaf(21);
        table[2] = LevelFacts::table(30);
        table
    };

    fn single(ranges: &Ranges) -> Option<SinglePass> {
        SinglePass::new(ranges, &LEVELS_OF_THREE)
    }

    /// The general path has the same pass, and takes the same number of operations.
    #[test]
    fn is_the_only_one_of_the_sorted_passes() {
        let last = 0u64.wrapping_sub(0x1000);
        let extents = [
            (0, 0x1000, 0x1000),
            (0, 0x3000, 0x2000),
            (0, 0x3800, 0x10_0000),
            (0, last, 0x1000),
            (0, 0, u64::MAX),
            (1, 0x20_0000, 0x80_0000),
            (1, 0x2f_f000, 0x2000),
        ];
        for (level, start, bytes) in extents {
            let mut ranges = Ranges::new();
            ranges.leaf(Level(level), Extent::new(start, bytes));
            let single = single(&ranges).expect("one run");
            let folding = Folding::new(Walks::Named);
            let sorted = SortedPasses::new(&ranges, &LEVELS_OF_THREE, folding);
            assert!(single.leaves().eq(sorted.leaves()), "{ranges:?}");
            assert!(single.walks().eq(sorted.walks()));
            let counts = (single.entries(), single.pages());
            assert_eq!(counts, (sorted.entries(), sorted.pages()));
            assert!(!sorted.tables() && !sorted.negative() && !sorted.walks_complete_first());
            assert!(!single.tables() && !single.negative() && !single.walks_complete_first());
        }
    }

    #[test]
    fn there_is_none_for_anything_else() {
        let page = Extent::new(0x1000, 0x1000);
        let changes: [fn(&mut Ranges, Level, Extent); 2] = [Ranges::walk, Ranges::negative];
        for change in changes {
            let mut ranges = Ranges::new();
            ranges.leaf(Level(0), page);
            change(&mut ranges, Level(0), page);
            assert_eq!(single(&ranges), None);
        }
        assert_eq!(single(&Ranges::new()), None);
        // Large pages that are flushed at the stride of pages.
        let mut large = Ranges::new();
        large.leaf(Level(1), Extent::new(0x20_0000, 0x40_0000));
        let mut merged = LEVELS_OF_THREE;
        merged[1] = merged[1].merged();
        assert_eq!(SinglePass::new(&large, &merged), None);
        // Entries of this level map no pages.
        let mut table = Ranges::new();
        table.leaf(Level(2), page);
        assert_eq!(single(&table), None);
    }
}
