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
    #[must_use]
    #[inline]
    pub const fn addresses(&self) -> Addresses {
        Addresses {
            next: self.start,
            step: 1u64.wrapping_shl(self.shift),
            left: self.entries,
        }
    }

    /// Returns the first address after the entry at an address.
    #[must_use]
    #[inline]
    pub const fn after(&self, va: u64) -> u64 {
        va.wrapping_add(1u64.wrapping_shl(self.shift))
    }

    /// Returns how many base pages of `1 << page` bytes it names.
    #[inline]
    pub(crate) const fn pages(&self, page: u32) -> u64 {
        self.entries.wrapping_shl(self.shift.wrapping_sub(page))
    }
}

/// The first address of each entry of a pass.
#[derive(Debug, Clone)]
pub struct Addresses {
    next: u64,
    step: u64,
    left: u64,
}

impl Iterator for Addresses {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        if self.left == 0 {
            return None;
        }
        let va = self.next;
        self.next = va.wrapping_add(self.step);
        self.left = self.left.wrapping_sub(1);
        Some(va)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_step_by_the_bytes_of_an_entry_up_to_the_last() {
        let last = 0u64.wrapping_sub(0x20_0000);
        let pass = |start, entries| Pass {
            start,
            entries,
            shift: 21,
            ..Pass::default()
        };
        assert!(pass(0x40_0000, 2).addresses().eq([0x40_0000, 0x60_0000]));
        assert!(pass(last, 1).addresses().eq([last]));
        assert_eq!(pass(last, 0).addresses().next(), None);
        assert_eq!(pass(last, 1).after(last), 0);
    }
}
