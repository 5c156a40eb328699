//! Ranges of virtual addresses.

/// A range of virtual addresses: `bytes` from `start`, both multiples of the page size.
///
/// It has a length and no end, so that the last page of the address space needs no special case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// The first address.
    pub start: u64,
    /// The number of bytes.
    pub bytes: u64,
}

impl Extent {
    /// No address.
    pub const EMPTY: Self = Self { start: 0, bytes: 0 };
    /// Every address except the last, which is in the same entries: 64 bits cannot count all 2^64 bytes.
    pub const EVERYTHING: Self = Self {
        start: 0,
        bytes: u64::MAX,
    };

    /// Returns the extent of `bytes` from `start`.
    #[must_use]
    #[inline]
    pub const fn new(start: u64, bytes: u64) -> Self {
        Self { start, bytes }
    }

    /// Returns whether it has no address.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.bytes == 0
    }

    /// Returns the last address, which has no meaning for an empty extent.
    #[must_use]
    #[inline]
    pub const fn last(self) -> u64 {
        self.start.wrapping_add(self.bytes).wrapping_sub(1)
    }

    /// Returns the extent rounded out to multiples of `1 << shift`.
    #[must_use]
    #[inline]
    pub const fn rounded(self, shift: u32) -> Self {
        if self.is_empty() {
            return self;
        }
        let low = (1u64 << shift).wrapping_sub(1);
        let start = self.start & !low;
        Self {
            start,
            bytes: (self.last() | low).wrapping_sub(start).saturating_add(1),
        }
    }

    /// Returns how many entries of `1 << shift` bytes it overlaps.
    #[must_use]
    #[inline]
    pub const fn entries(self, shift: u32) -> u64 {
        if self.is_empty() {
            return 0;
        }
        // This uses the last address, since 64 bits cannot count all 2^64 bytes.
        let first = self.start.wrapping_shr(shift);
        self.last()
            .wrapping_shr(shift)
            .wrapping_sub(first)
            .wrapping_add(1)
    }

    /// Returns whether it contains all of `other`.
    #[must_use]
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        other.is_empty()
            || !self.is_empty() && self.start <= other.start && other.last() <= self.last()
    }

    /// Returns whether some address is in both.
    #[must_use]
    #[inline]
    pub const fn overlaps(self, other: Self) -> bool {
        !self.is_empty()
            && !other.is_empty()
            && self.start <= other.last()
            && other.start <= self.last()
    }

    /// Returns whether their hull has no address that is in neither.
    #[must_use]
    #[inline]
    pub const fn adjoins(self, other: Self) -> bool {
        self.is_empty()
            || other.is_empty()
            || self.start <= other.last().saturating_add(1)
                && other.start <= self.last().saturating_add(1)
    }

    /// Returns the smallest extent that contains both.
    #[must_use]
    #[inline]
    pub const fn hull(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let start = if self.start < other.start {
            self.start
        } else {
            other.start
        };
        let last = if self.last() > other.last() {
            self.last()
        } else {
            other.last()
        };
        // 64 bits cannot count all 2^64 bytes. All except the last one can be counted, and round to the same entries.
        Self {
            start,
            bytes: last.wrapping_sub(start).saturating_add(1),
        }
    }
}
