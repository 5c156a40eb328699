//! Passes over entries of several levels, and over entries that pointed at tables.

use crate::level::{LEVELS, Level, Levels};
use crate::request::extent::Extent;
use crate::request::folding::{Folding, Leaves, Passes, Walks};
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
            if sorted.negative
                && folding.negative
                && self.absorb(&mut named, extent, facts.shift, Leaves::Named)
            {
                continue;
            }
            let Some((pass, extent)) = leaves_of(level, extent, &facts) else {
                continue;
            };
            if !sorted.negative && self.absorb(&mut named, extent, pass.shift, folding.leaves) {
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

    /// Adds a pass over the walk entries of each level, unless a pass over leaf entries, or over walk entries of a lower level,
    /// invalidates them as well.
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
        let mut walked = [Extent::EMPTY; LEVELS];
        for ((level, &extent), facts) in Level::all().zip(&sorted.walk).zip(levels) {
            let shift = facts.shift;
            if extent.is_empty() || shift == 0 {
                continue;
            }
            let rounded = extent.rounded(shift);
            // An instruction invalidates those of every level above the address that it names.
            let is_named = |within: &Extent| all || within.rounded(shift).contains(rounded);
            let is_walked = folding.walks != Walks::Level;
            if !apart && self.take(named, level, rounded, shift, all)
                || is_walked && walked.iter().take(self.walk).any(is_named)
            {
                continue;
            }
            let (Some(place), Some(slot)) =
                (self.walks.get_mut(self.walk), walked.get_mut(self.walk))
            else {
                break;
            };
            *slot = rounded;
            *place = Pass {
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

    /// Returns whether the pass of a lower level names the entries of `1 << shift` bytes of `extent`, as far as an instruction needs
    /// that to invalidate them, or can do so as well. That pass then has no hint any more.
    fn absorb(
        &mut self,
        named: &mut [Extent; LEVELS],
        extent: Extent,
        shift: u32,
        leaves: Leaves,
    ) -> bool {
        for (pass, within) in self.leaves.iter_mut().zip(named).take(self.leaf) {
            let names = match leaves {
                Leaves::Apart => false,
                Leaves::Whole => within.adjoins(extent),
                Leaves::Named => within.rounded(shift).contains(extent),
            };
            if !names {
                continue;
            }
            if leaves == Leaves::Whole {
                *within = within.hull(extent);
                pass.start = within.start;
                pass.entries = within.entries(pass.shift);
            }
            pass.hint = None;
            return true;
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
mod tests;
