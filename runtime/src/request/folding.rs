//! What the ways to make passes have in common: which entries they fold together, and what a backend reads of them.

use crate::level::Levels;
use crate::request::pass::Pass;
use crate::request::runs::{Units, largest};

/// Which entries of other levels one by-address instruction of a pass invalidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Folding {
    /// Which leaf entries of higher levels an instruction without a hint invalidates.
    pub leaves: Leaves,
    /// How the walk entries of unlinked tables are invalidated.
    pub walks: Walks,
    /// Whether one instruction invalidates leaf and walk entries of an address, so that a pass over leaf entries can cover
    /// the walk entries above it.
    pub joint: bool,
    /// Whether an instruction for negative entries invalidates those of every level at its address.
    pub negative: bool,
}

impl Folding {
    /// Returns the folding of instructions that invalidate leaf entries of one level, or walk entries, or negative entries of one
    /// level.
    #[must_use]
    pub const fn new(walks: Walks) -> Self {
        Self {
            leaves: Leaves::Apart,
            walks,
            joint: false,
            negative: false,
        }
    }

    /// Returns the same if one instruction invalidates the leaf entries of every level that translate an address that it names.
    #[must_use]
    pub const fn with_leaves(self) -> Self {
        Self {
            leaves: Leaves::Named,
            ..self
        }
    }

    /// Returns the same if one instruction invalidates the leaf entries of every level that translate only addresses that it names,
    /// of which there may be any number.
    #[must_use]
    pub const fn with_whole_leaves(self) -> Self {
        Self {
            leaves: Leaves::Whole,
            ..self
        }
    }

    /// Returns the same if one instruction invalidates leaf and walk entries.
    #[must_use]
    pub const fn with_joint(self) -> Self {
        Self {
            joint: true,
            ..self
        }
    }

    /// Returns the same if one instruction invalidates negative entries of every level.
    #[must_use]
    pub const fn with_negative(self) -> Self {
        Self {
            negative: true,
            ..self
        }
    }
}

/// Which leaf entries of higher levels an instruction without a hint invalidates. A level needs no pass of its own if the pass of
/// a lower level invalidates its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Leaves {
    /// None.
    #[default]
    Apart,
    /// Those that translate only addresses that it names, and it names any number of them.
    Whole,
    /// Those that translate an address that it names.
    Named,
}

/// How the walk entries of unlinked tables are invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Walks {
    /// An instruction invalidates those of every level above the address that it names.
    #[default]
    Named,
    /// An instruction invalidates those of one level: each level has a pass.
    Level,
    /// An instruction invalidates all walk entries, for any address: one instruction is enough.
    All,
    /// An instruction of its own that names no address invalidates them before the passes: they have no pass.
    Apart,
}

/// The passes of a request.
pub trait Passes {
    /// Returns whether some entry no longer points at the table that it pointed at.
    fn tables(&self) -> bool;

    /// Returns whether new entries were added, whose negative entries must be invalidated.
    fn negative(&self) -> bool;

    /// Returns the passes over the walk entries of unlinked entries. They come first, since a walk entry could otherwise be used to
    /// fill a leaf entry again.
    fn walks(&self) -> impl Iterator<Item = Pass>;

    /// Returns whether instructions of their own invalidate walk entries and what is below the unlinked tables is still valid, so that
    /// these instructions must be complete before those for leaf entries.
    fn walks_complete_first(&self) -> bool;

    /// Returns the passes over leaf entries.
    fn leaves(&self) -> impl Iterator<Item = Pass>;

    /// Returns how many base pages of leaf entries the passes name.
    fn pages(&self) -> u64;

    /// Returns the sum of a number over all passes.
    #[inline]
    fn sum(&self, of: impl Fn(&Pass) -> u64) -> u64 {
        let all = self.walks().chain(self.leaves());
        all.fold(0, |sum: u64, pass| sum.saturating_add(of(&pass)))
    }

    /// Returns how many instructions the passes take with one instruction for each entry.
    #[inline]
    fn entries(&self) -> u64 {
        self.sum(|pass| pass.entries)
    }

    /// Returns how many instructions the passes take if entries of `levels` are invalidated in runs of at most `most` entries, or
    /// of any number if that is [`u32::MAX`]. `walks` is whether this includes passes with walk entries.
    #[inline]
    fn entry_runs(&self, most: u32, levels: Levels, walks: bool) -> u64 {
        let most = largest(most);
        self.sum(|pass| {
            if !levels.contains(pass.stride) || pass.walk && !walks {
                return pass.entries;
            }
            pass.entries.checked_div(most).map_or(pass.entries, |full| {
                full.saturating_add(u64::from(full.wrapping_mul(most) < pass.entries))
            })
        })
    }

    /// Returns the most instructions that the passes take if entries that a run can name are invalidated in runs of pages of
    /// `1 << page` bytes. `walks` is whether this includes passes with walk entries.
    #[inline]
    fn page_runs(&self, page: u32, units: Units, walks: bool) -> u64 {
        self.sum(|pass| {
            let entry = pass.shift.wrapping_sub(page);
            if pass.entries <= 1 || !units.hold(entry) || pass.walk && !walks {
                return pass.entries;
            }
            let full = units.most.wrapping_shl(units.largest());
            let pages = pass.entries.saturating_mul(1u64.wrapping_shl(entry));
            let runs = pages.checked_div(full).unwrap_or(pages);
            runs.saturating_add(u64::from(units.scales).wrapping_add(1))
        })
    }
}

#[cfg(test)]
mod tests;
