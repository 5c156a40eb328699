//! Stretches of virtual addresses.

/// A stretch of virtual addresses: `bytes` from `start`, both multiples of the page size.
///
/// A length and not an end, so that the last page of the address space needs no special case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// The first address.
    pub start: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Extent {
    /// Nothing.
    pub const EMPTY: Self = Self { start: 0, bytes: 0 };
    /// Every address but the last, which is in the same entries: all 2^64 bytes cannot be counted.
    pub const EVERYTHING: Self = Self {
        start: 0,
        bytes: u64::MAX,
    };

    /// `bytes` from `start`.
    #[must_use]
    #[inline]
    pub const fn new(start: u64, bytes: u64) -> Self {
        Self { start, bytes }
    }

    /// Whether it has no address.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.bytes == 0
    }

    /// The last address. Meaningless for an empty extent.
    #[must_use]
    #[inline]
    pub const fn last(self) -> u64 {
        self.start.wrapping_add(self.bytes).wrapping_sub(1)
    }

    /// Rounded out to multiples of `1 << shift`.
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

    /// How many entries of `1 << shift` bytes it touches.
    #[must_use]
    #[inline]
    pub const fn entries(self, shift: u32) -> u64 {
        if self.is_empty() {
            return 0;
        }
        // Of the last address, for all 2^64 bytes cannot be counted.
        let first = self.start.wrapping_shr(shift);
        self.last()
            .wrapping_shr(shift)
            .wrapping_sub(first)
            .wrapping_add(1)
    }

    /// Whether all of `other` lies in it.
    #[must_use]
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        other.is_empty()
            || !self.is_empty() && self.start <= other.start && other.last() <= self.last()
    }

    /// Whether some address lies in both.
    #[must_use]
    #[inline]
    pub const fn overlaps(self, other: Self) -> bool {
        !self.is_empty()
            && !other.is_empty()
            && self.start <= other.last()
            && other.start <= self.last()
    }

    /// The smallest extent with both.
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
        // All 2^64 bytes cannot be counted; all but the last one can, and round to the same entries.
        Self {
            start,
            bytes: last.wrapping_sub(start).saturating_add(1),
        }
    }
}
