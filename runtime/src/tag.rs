//! The values of tags: which there are, and where they come from.
//!
//! In: what a backend says about the tags of its machine. Out: the values that user spaces can have, in order. Holds: no value
//! has a bit that the tag of another view of a space has.

use core::ops::RangeInclusive;

/// The tags of user spaces: per-CPU tags, whose values each CPU assigns for itself, and global tags, which mean the same space on
/// every CPU. A machine may have both, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tags {
    /// The values of per-CPU tags, and how each CPU assigns them.
    pub per_cpu: Option<(TagValues, PerCpuSource)>,
    /// The values of global tags, and where they come from.
    pub global: Option<(TagValues, TagSource)>,
}

/// The values of a kind of tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagValues {
    /// The least value.
    pub first: u64,
    /// The greatest value.
    pub last: u64,
    /// Bits that other views of a space add to its tag. They are zero in the values that are assigned.
    pub views: u64,
}

/// How a CPU assigns the values of a per-CPU tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PerCpuSource {
    /// Each ASID slot has one value. It is flushed when the slot is assigned to another space.
    Slots,
    /// Values are assigned until none is left. Then the CPU flushes everything, and values are assigned again. A space gets a new
    /// value in place of the flush that it needs when it is loaded.
    Generations,
}

/// Where the values of a global tag come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TagSource {
    /// Values are assigned until none is left. Then a new generation begins: every CPU flushes everything, and values are
    /// assigned again.
    Generations,
    /// Each space has one value for its life. Another space may get the value after the flush of the teardown.
    Life,
    /// The value is the address of the top table.
    Root,
}

impl TagValues {
    /// Returns the values of a range, without those that have a bit of another view.
    #[must_use]
    #[inline]
    pub const fn of(range: RangeInclusive<u64>, views: u64) -> Self {
        Self {
            first: *range.start(),
            last: *range.end(),
            views,
        }
    }

    /// Returns the `nth` of the values.
    #[must_use]
    #[inline]
    pub fn nth(&self, nth: u64) -> Option<u64> {
        match self.first.checked_add(nth) {
            _ if self.views != 0 => self.nth_whole(nth),
            Some(value) if value <= self.last => Some(value),
            _ => None,
        }
    }

    /// Returns the `nth` of the values that have no bit of another view.
    fn nth_whole(&self, nth: u64) -> Option<u64> {
        let (mut left, mut value) = (nth, self.first);
        while value <= self.last {
            if self.is_whole(value) {
                if left == 0 {
                    return Some(value);
                }
                left -= 1;
            }
            value = value.checked_add(1)?;
        }
        None
    }

    /// Returns whether a value may be assigned.
    pub(crate) const fn is_whole(&self, value: u64) -> bool {
        value & self.views == 0
    }
}

/// The bits of a tag in the word that has a global tag and its generation. The tag is in the low bits. On a machine with wider tags
/// only values of this width are assigned.
pub(crate) const VALUE_BITS: u32 = 16;
/// The other bits of the word.
pub(crate) const GENERATION_BITS: u32 = 64 - VALUE_BITS;

/// Returns the tag in a word, without its generation.
pub(crate) const fn value(word: u64) -> u64 {
    word & ((1 << VALUE_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_skip_those_of_other_views() {
        let mut values = TagValues::of(1..=6, 0);
        let all = |values: TagValues| (0..).map_while(move |nth| values.nth(nth));
        assert!(all(values).eq([1, 2, 3, 4, 5, 6]));
        values.views = 2;
        assert!(all(values).eq([1, 4, 5]));
        assert!(all(values).all(|value| values.is_whole(value)) && !values.is_whole(3));
    }
}
