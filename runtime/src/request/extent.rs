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

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Returns the first and the last address of an extent that is not empty.
    fn bounds(extent: Extent) -> Option<(u128, u128)> {
        let bounds = (u128::from(extent.start), u128::from(extent.last()));
        (!extent.is_empty()).then_some(bounds)
    }

    /// Returns extents between addresses that are neighbours, or at either end of the address space.
    fn extents() -> Vec<Extent> {
        let ends = [0, 1, 2, 0xfff, 0x1000, 0x2fff, u64::MAX - 1, u64::MAX];
        let pairs = ends.iter().flat_map(|a| ends.map(|b| (*a, b)));
        let counted = pairs.filter(|(a, b)| a <= b && b - a != u64::MAX);
        let all = counted.map(|(a, b)| Extent::new(a, b - a + 1));
        all.chain([Extent::EMPTY, Extent::new(0x1000, 0), Extent::EVERYTHING])
            .collect()
    }

    #[test]
    fn an_extent_is_a_set_of_addresses() {
        for (a, b) in extents()
            .into_iter()
            .flat_map(|a| extents().into_iter().map(move |b| (a, b)))
        {
            let (of_a, of_b) = (bounds(a), bounds(b));
            let contains = of_b.is_none_or(|b| of_a.is_some_and(|a| a.0 <= b.0 && b.1 <= a.1));
            assert_eq!(a.contains(b), contains, "{a:x?} {b:x?}");
            let (Some((first, last)), Some((start, end))) = (of_a, of_b) else {
                assert!(!a.overlaps(b) && a.adjoins(b));
                assert_eq!(bounds(a.hull(b)), of_a.or(of_b));
                continue;
            };
            assert_eq!(
                a.overlaps(b),
                first <= end && start <= last,
                "{a:x?} {b:x?}"
            );
            assert_eq!(
                a.adjoins(b),
                first <= end + 1 && start <= last + 1,
                "{a:x?} {b:x?}"
            );
            let (low, bytes) = (first.min(start), last.max(end) - first.min(start) + 1);
            let hull = (u128::from(a.hull(b).start), u128::from(a.hull(b).bytes));
            assert_eq!(
                hull,
                (low, bytes.min(u128::from(u64::MAX))),
                "{a:x?} {b:x?}"
            );
        }
    }

    #[test]
    fn entries_are_those_that_an_extent_touches() {
        for (extent, shift) in extents()
            .into_iter()
            .flat_map(|extent| [1, 12, 21].map(|shift| (extent, shift)))
        {
            let Some((first, last)) = bounds(extent) else {
                assert_eq!((extent.rounded(shift), extent.entries(shift)), (extent, 0));
                continue;
            };
            let entries = (last >> shift) - (first >> shift) + 1;
            assert_eq!(u128::from(extent.entries(shift)), entries);
            let rounded = extent.rounded(shift);
            let start = u128::from(rounded.start);
            assert_eq!(
                (start, u128::from(rounded.entries(shift))),
                (first >> shift << shift, entries)
            );
            // The last of all addresses is not counted.
            assert!(rounded.contains(extent) || rounded == Extent::EVERYTHING);
        }
    }
}
