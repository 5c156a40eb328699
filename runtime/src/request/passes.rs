//! The passes over addresses that a request takes.
//!
//! In: what changed, level by level, and which entries of other levels one instruction of a pass invalidates. Out: passes, each
//! over consecutive entries of one level. A *cut* is an entry that no longer points at the table that it pointed at. Holds: every
//! leaf entry that changed is in the pass of its level, or in that of a lower level that names its addresses without a hint, as
//! that of a level that the policy [merges](LevelFacts::merged) always is; every
//! cut is in a pass of its own, or a pass over leaf entries names an address that the cut translates and invalidates walk entries
//! as well.

use crate::level::{LEVELS, Level, Levels};
use crate::request::extent::Extent;
use crate::request::levels::{LevelFacts, LevelTable, below, stride};
use crate::request::ranges::{Kept, Ranges, Sorted};
use crate::request::runs::Units;

pub use crate::request::pass::Pass;

/// Which entries of other levels one by-address instruction of a pass invalidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folding {
    /// Whether an instruction without a hint invalidates leaf entries of every level, so that a level whose range is within that
    /// of a lower one needs no pass of its own.
    pub leaves: bool,
    /// How the walk entries of cuts are invalidated.
    pub walks: Walks,
    /// Whether one instruction invalidates leaf and walk entries of an address, so that a pass over leaf entries can cover the
    /// cuts above it.
    pub joint: bool,
    /// Whether an instruction for negative entries invalidates those of every level at its address.
    pub negative: bool,
}

/// How the walk entries of cuts are invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Walks {
    /// An instruction invalidates those above the address that it names.
    Named,
    /// An instruction invalidates all walk entries, for any address: one instruction covers every cut.
    All,
    /// An instruction of its own that names no address invalidates them before the passes: cuts have no pass.
    Apart,
}

/// The passes of a request. Those over cuts come first, since a walk entry could otherwise be used to fill a leaf entry again.
#[derive(Debug, Clone, Copy)]
pub struct Passes {
    sorted: Sorting,
    pages: u64,
    live: bool,
    apart: bool,
}

// The large variant is never moved.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, Copy)]
enum Sorting {
    /// Leaf entries of one level, and nothing else.
    One(Option<Pass>),
    Many(Many),
}

#[derive(Debug, Clone, Copy)]
struct Many {
    cuts: [Pass; LEVELS],
    cut: usize,
    leaves: [Pass; LEVELS],
    leaf: usize,
}

impl Passes {
    /// Returns the passes over what was changed.
    #[must_use]
    #[inline]
    pub fn new(ranges: &Ranges, levels: &LevelTable, folding: Folding) -> Self {
        match ranges.kept() {
            Kept::Run(level, extent) => Self::of_run(level, extent, levels, folding),
            Kept::Sorted(sorted) => Self::of_sorted(sorted, levels, folding),
        }
    }

    #[inline]
    fn of_run(level: Level, extent: Extent, levels: &LevelTable, folding: Folding) -> Self {
        let pass = stride(levels, level).and_then(|(at, facts)| {
            let (pass, _) = leaves_of(at, extent, facts)?;
            let hint = pass.hint.filter(|_| at == level);
            Some(Pass { hint, ..pass })
        });
        Self {
            sorted: Sorting::One(pass),
            pages: pass.map_or(0, |pass| pass.pages(levels)),
            live: false,
            apart: matches!(folding.walks, Walks::Apart),
        }
    }

    #[inline(never)]
    fn of_sorted(sorted: &Sorted, levels: &LevelTable, folding: Folding) -> Self {
        let mut many = Many {
            cuts: [Pass::default(); LEVELS],
            cut: 0,
            leaves: [Pass::default(); LEVELS],
            leaf: 0,
        };
        let apart = matches!(folding.walks, Walks::Apart);
        let named = many.name_leaves(sorted, levels, folding);
        if !apart {
            many.name_cuts(sorted, levels, folding, &named);
        }
        let pages = many.leaves.iter().take(many.leaf);
        Self {
            pages: pages.fold(0, |sum: u64, pass| sum.saturating_add(pass.pages(levels))),
            sorted: Sorting::Many(many),
            live: sorted.live,
            apart,
        }
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
/// whose strides contain entries of other levels. Negative entries are of one level each, so entries that appeared are not merged.
fn merged(sorted: &Sorted, levels: &LevelTable) -> ([Extent; LEVELS], Levels) {
    let (mut leaf, mut mixed) = (sorted.leaf, Levels::NONE);
    for (level, facts) in Level::all().zip(levels) {
        let extent = sorted.leaf.get(level.index()).copied();
        let extent = extent.filter(|extent| facts.merged && !extent.is_empty());
        if !sorted.appeared
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
            let appeared = LevelFacts {
                leaf: facts.leaf || sorted.appeared && facts.shift != 0,
                ..*facts
            };
            if sorted.appeared && folding.negative && self.absorb(&named, extent) {
                continue;
            }
            let Some((pass, extent)) = leaves_of(level, extent, &appeared) else {
                continue;
            };
            if folding.leaves && !sorted.appeared && self.absorb(&named, extent) {
                continue;
            }
            let (Some(place), Some(slot)) =
                (self.leaves.get_mut(self.leaf), named.get_mut(self.leaf))
            else {
                break;
            };
            let negative = sorted.appeared;
            let hint = pass.hint.filter(|_| !mixed.contains(level));
            *place = Pass {
                negative,
                hint,
                ..pass
            };
            *slot = extent;
            self.leaf = self.leaf.wrapping_add(1);
        }
        named
    }

    /// Adds a pass over the cuts of each level, unless a pass over leaf entries invalidates their walk entries as well.
    fn name_cuts(
        &mut self,
        sorted: &Sorted,
        levels: &LevelTable,
        folding: Folding,
        named: &[Extent; LEVELS],
    ) {
        let all = matches!(folding.walks, Walks::All);
        // Leaf entries of one pass must not be invalidated while a walk entry that another pass invalidates can still be used
        // to fill them again.
        let apart = !folding.joint || sorted.live && self.leaf > 1;
        for ((level, &extent), facts) in Level::all().zip(&sorted.walk).zip(levels) {
            let shift = facts.shift;
            if extent.is_empty() || shift == 0 {
                continue;
            }
            let rounded = extent.rounded(shift);
            if !apart && self.take(named, level, rounded, shift, all) || all && self.cut > 0 {
                continue;
            }
            let Some(slot) = self.cuts.get_mut(self.cut) else {
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
            self.cut = self.cut.wrapping_add(1);
        }
    }

    /// Returns whether the pass of a lower level names every address of `extent`. That pass then has no hint any more.
    fn absorb(&mut self, named: &[Extent; LEVELS], extent: Extent) -> bool {
        for (pass, within) in self.leaves.iter_mut().zip(named).take(self.leaf) {
            if within.contains(extent) {
                pass.hint = None;
                return true;
            }
        }
        false
    }

    /// Returns whether a pass over leaf entries names an address that each cut of `level` translates. That pass then invalidates
    /// walk entries as well.
    fn take(
        &mut self,
        named: &[Extent; LEVELS],
        level: Level,
        cut: Extent,
        shift: u32,
        all: bool,
    ) -> bool {
        for (pass, within) in self.leaves.iter_mut().zip(named).take(self.leaf) {
            let names = pass.stride < level && within.rounded(shift).contains(cut);
            if all || names {
                pass.walk = true;
                return true;
            }
        }
        false
    }
}

impl Passes {
    /// Returns the sum of a number over all passes.
    #[inline]
    fn sum(&self, of: impl Fn(&Pass) -> u64) -> u64 {
        match &self.sorted {
            Sorting::One(pass) => pass.as_ref().map_or(0, of),
            Sorting::Many(_) => {
                let all = self.cuts().iter().chain(self.leaves());
                all.fold(0, |sum: u64, pass| sum.saturating_add(of(pass)))
            }
        }
    }

    /// Returns the passes over cuts.
    #[must_use]
    #[inline]
    pub fn cuts(&self) -> &[Pass] {
        match &self.sorted {
            Sorting::One(_) => &[],
            Sorting::Many(many) => many.cuts.get(..many.cut).unwrap_or(&[]),
        }
    }

    /// Returns whether instructions of their own invalidate walk entries and what is below the cuts is still valid, so that
    /// these instructions must be complete before those for leaf entries.
    #[must_use]
    #[inline]
    pub fn cuts_are_live(&self) -> bool {
        self.live && (!self.cuts().is_empty() || self.apart) && !self.leaves().is_empty()
    }

    /// Returns the passes over leaf entries.
    #[must_use]
    #[inline]
    pub fn leaves(&self) -> &[Pass] {
        match &self.sorted {
            Sorting::One(pass) => pass.as_slice(),
            Sorting::Many(many) => many.leaves.get(..many.leaf).unwrap_or(&[]),
        }
    }

    /// Returns how many instructions the passes take with one instruction for each entry.
    #[must_use]
    #[inline]
    pub fn entries(&self) -> u64 {
        self.sum(|pass| pass.entries)
    }

    /// Returns how many instructions the passes take if entries of `levels` are invalidated in runs of at most `most` entries.
    /// `walks` is whether this includes passes with walk entries.
    #[must_use]
    pub fn entry_runs(&self, most: u32, levels: Levels, walks: bool) -> u64 {
        let most = u64::from(if most == 0 { 1 } else { most });
        self.in_runs(walks, |pass| {
            if !levels.contains(pass.stride) {
                return pass.entries;
            }
            pass.entries.checked_div(most).map_or(pass.entries, |full| {
                full.saturating_add(u64::from(full.wrapping_mul(most) < pass.entries))
            })
        })
    }

    /// Returns the most instructions that the passes take if entries that a run can name are invalidated in runs of pages.
    /// `walks` is whether this includes passes with walk entries.
    #[must_use]
    pub fn page_runs(&self, levels: &LevelTable, units: Units, walks: bool) -> u64 {
        let page = levels[0].shift;
        self.in_runs(walks, |pass| {
            let entry = pass.shift.wrapping_sub(page);
            if pass.entries <= 1 || !units.hold(entry) {
                return pass.entries;
            }
            let full = units.most.wrapping_shl(units.largest());
            let pages = pass.entries.saturating_mul(1u64.wrapping_shl(entry));
            let runs = pages.checked_div(full).unwrap_or(pages);
            runs.saturating_add(u64::from(units.scales).wrapping_add(1))
        })
    }

    #[inline]
    fn in_runs(&self, walks: bool, runs: impl Fn(&Pass) -> u64) -> u64 {
        self.sum(|pass| {
            let one_by_one = pass.walk && !walks;
            if one_by_one { pass.entries } else { runs(pass) }
        })
    }

    /// Returns how many base pages of leaf entries the passes name.
    #[must_use]
    #[inline]
    pub fn pages(&self) -> u64 {
        self.pages
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
        Folding {
            leaves: false,
            walks,
            joint: true,
            negative: false,
        }
    }

    #[test]
    fn neighbours_that_one_translation_covers_are_named_once() {
        let mut ranges = Ranges::new();
        // From the second entry of a pair to the first entry of another: three pairs.
        ranges.leaf(Level(0), Extent::new(0x1000, 0x4000));
        let passes = Passes::new(&ranges, &PAIRED, folding(Walks::Named));
        let [pass] = passes.leaves() else {
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
            let passes = Passes::new(&ranges, &MERGED, folding(Walks::Apart));
            let [pass] = passes.leaves() else {
                panic!("{passes:?}");
            };
            assert_eq!((pass.start, pass.entries), (0x20_0000, 1024));
            assert_eq!((pass.stride, pass.shift, pass.hint), (Level(0), 12, None));
            assert_eq!((passes.pages(), passes.entries()), (1024, 1024));
            // Where the policy states the stride, the pass has a hint.
            let stated = Passes::new(&ranges, &PAIRED, folding(Walks::Apart));
            assert!(matches!(
                stated.leaves(),
                [pass] if pass.hint == Some(Level(1)) && pass.stride == Level(1)
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
        let passes = Passes::new(&ranges, &MERGED, folding(Walks::Apart));
        let [pass] = passes.leaves() else {
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
        let passes = Passes::new(&ranges, &two, folding(Walks::Apart));
        let strides = passes.leaves().iter();
        let strides = strides.map(|pass| (pass.stride, pass.entries, pass.hint));
        assert!(strides.eq([
            (Level(0), 1, Some(Level(0))),
            (Level(1), (0x8000_0000 >> 21) - 1, None)
        ]));
    }

    #[test]
    fn entries_that_appear_are_not_merged() {
        let mut ranges = Ranges::new();
        ranges.appeared(Level(1), Extent::new(0x20_0000, 0x20_0000));
        let passes = Passes::new(&ranges, &MERGED, folding(Walks::Apart));
        assert!(matches!(passes.leaves(), [pass] if pass.stride == Level(1) && pass.negative));
    }

    #[test]
    fn a_cut_is_of_one_entry_whatever_a_translation_covers() {
        let mut ranges = Ranges::new();
        ranges.walk(Level(1), Extent::new(0x20_0000, 0x20_0000));
        let passes = Passes::new(&ranges, &PAIRED, folding(Walks::Named));
        let [pass] = passes.cuts() else {
            panic!("{passes:?}");
        };
        assert_eq!((pass.start, pass.entries, pass.shift), (0x20_0000, 1, 21));
    }

    #[test]
    fn cuts_take_no_pass_where_walk_entries_go_apart() {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(0, 0x4000));
        ranges.walk(Level(1), Extent::new(0, 0x20_0000));
        let passes = Passes::new(&ranges, &PAIRED, folding(Walks::Apart));
        assert!(passes.cuts().is_empty());
        assert!(passes.leaves().iter().all(|pass| pass.leaf && !pass.walk));
        assert!(!passes.cuts_are_live());
        ranges.below_live();
        let live = Passes::new(&ranges, &PAIRED, folding(Walks::Apart));
        assert!(live.cuts_are_live());
    }

    #[test]
    fn cuts_have_passes_of_their_own_where_leaf_and_walk_entries_take_two_instructions() {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(0, 0x4000));
        ranges.walk(Level(1), Extent::new(0, 0x20_0000));
        let joint = Passes::new(&ranges, &PAIRED, folding(Walks::Named));
        assert!(joint.cuts().is_empty() && joint.leaves().iter().all(|pass| pass.walk));
        let apart = Folding {
            joint: false,
            ..folding(Walks::Named)
        };
        let apart = Passes::new(&ranges, &PAIRED, apart);
        assert_eq!(apart.cuts().len(), 1);
        assert!(apart.leaves().iter().all(|pass| !pass.walk));
    }

    #[test]
    fn no_leaves_wait_for_cuts_where_there_are_none() {
        let mut ranges = Ranges::new();
        ranges.walk(Level(1), Extent::new(0, 0x20_0000));
        ranges.below_live();
        let cuts = Passes::new(&ranges, &PAIRED, folding(Walks::Named));
        assert!(!cuts.cuts().is_empty() && !cuts.cuts_are_live());
        ranges.leaf(Level(1), Extent::new(0, 0x20_0000));
        ranges.leaf(Level(0), Extent::new(0, 0x4000));
        let both = Passes::new(&ranges, &PAIRED, folding(Walks::Named));
        assert!(both.cuts_are_live());
    }

    #[test]
    fn entries_that_appear_have_a_pass_at_every_level() {
        let passes = |ranges: &Ranges, negative| {
            let folding = Folding {
                negative,
                ..folding(Walks::Named)
            };
            let passes = Passes::new(ranges, &PAIRED, folding);
            let levels = passes.leaves().iter().map(|pass| pass.stride);
            levels.fold(Levels::NONE, |all, level| all.union(Levels::only(level)))
        };
        // A new table, at a level that maps no page.
        let mut table = Ranges::new();
        table.appeared(Level(2), Extent::new(0, 0x4000_0000));
        assert_eq!(passes(&table, false), Levels::only(Level(2)));
        // A page and its tables take one pass, if an instruction invalidates the entries of every level.
        let mut page = Ranges::new();
        for level in 0..3 {
            page.appeared(Level(level), Extent::new(0x5000, 0x1000));
        }
        assert_eq!(passes(&page, false), Levels(7));
        assert_eq!(passes(&page, true), Levels::only(Level(0)));
    }

    #[test]
    fn levels_have_passes_of_their_own_if_an_instruction_names_the_level() {
        let mut ranges = Ranges::new();
        ranges.leaf(Level(0), Extent::new(0, 0x80_0000));
        ranges.leaf(Level(1), Extent::new(0, 0x40_0000));
        let apart = Passes::new(&ranges, &PAIRED, folding(Walks::Named));
        let levels = |passes: &Passes| {
            let mut levels = passes.leaves().iter().map(|pass| pass.stride);
            (levels.next(), levels.next())
        };
        assert_eq!(levels(&apart), (Some(Level(0)), Some(Level(1))));
        let both = Folding {
            leaves: true,
            walks: Walks::Named,
            joint: true,
            negative: false,
        };
        let folded = Passes::new(&ranges, &PAIRED, both);
        assert_eq!(levels(&folded), (Some(Level(0)), None));
    }
}
