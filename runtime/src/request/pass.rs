//! A pass over addresses.

use crate::level::Level;

/// Consecutive entries of one level that one loop invalidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    /// The first address.
    pub start: u64,
    /// The number of entries.
    pub entries: u64,
    /// Their level.
    pub stride: Level,
    /// log2 of the bytes by which the loop steps: those that one entry translates, or that one cached leaf entry covers with
    /// joined entries.
    pub shift: u32,
    /// The level of the leaf entries in these addresses, if all have the same.
    pub hint: Option<Level>,
    /// Whether leaf entries are flushed.
    pub leaf: bool,
    /// Whether walk entries are flushed.
    pub walk: bool,
    /// Whether negative entries are flushed as well.
    pub negative: bool,
}

impl Pass {
    /// Returns the first address of each entry.
    #[inline]
    pub fn addresses(&self) -> impl Iterator<Item = u64> + use<> {
        let Self {
            start,
            entries,
            shift,
            ..
        } = *self;
        (0..entries).map(move |nth| start.wrapping_add(nth.wrapping_shl(shift)))
    }

    /// Returns the first address after `entries` entries from an address.
    #[must_use]
    #[inline]
    pub const fn after(&self, va: u64, entries: u64) -> u64 {
        va.wrapping_add(entries.wrapping_shl(self.shift))
    }

    /// Returns how many base pages of `1 << page` bytes it names.
    #[inline]
    pub(crate) const fn pages(&self, page: u32) -> u64 {
        self.entries.wrapping_shl(self.shift.wrapping_sub(page))
    }
}
