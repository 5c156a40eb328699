//! Page-table entries in memory: functions that read and change them.
//!
//! In: consecutive entries of one table, in which the machine may set accessed and dirty marks at any time. Out: what was in
//! them. Holds: an exchange returns every mark that the machine has set before it.

use crate::pte::entries::{Entries, EntryWord};
use crate::request::Extent;

/// Consecutive entries of one table in memory: one entry, or several that all get the same bits.
#[derive(Debug)]
pub struct Slot<'a> {
    /// The entries.
    pub entries: Entries<'a>,
    /// The physical address of the table that contains them.
    pub table: u64,
    /// The index of the first entry in the table.
    pub index: u16,
    /// The first address that the first entry translates.
    pub va: u64,
}

/// What was in entries before they changed, including the marks that the machine had set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Was {
    /// The bits of the first entry.
    pub first: u64,
    /// The bits that any of the entries had. If several entries map one page, the page is dirty if any entry says so.
    pub any: u64,
}

impl Was {
    /// Returns what was in one entry.
    const fn of(bits: u64) -> Self {
        Self {
            first: bits,
            any: bits,
        }
    }

    /// Returns the same with further bits.
    #[must_use]
    pub(crate) const fn with(self, bits: u64) -> Self {
        Self {
            first: self.first | bits,
            any: self.any | bits,
        }
    }
}

impl<'a> Slot<'a> {
    /// Returns the physical address of the nth entry.
    #[must_use]
    #[inline]
    pub const fn address(&self, nth: u64) -> u64 {
        self.table
            .wrapping_add((self.index as u64).wrapping_add(nth) << self.entries.size_shift())
    }

    /// Returns the addresses that the entries translate, if each translates `1 << shift` bytes.
    #[must_use]
    #[inline]
    pub(crate) const fn extent(&self, shift: u32) -> Extent {
        Extent::new(self.va, (self.entries.len() as u64) << shift)
    }

    /// Returns the bits of the first entry, or 0 if there is none.
    #[must_use]
    #[inline]
    pub fn first(&self) -> u64 {
        self.load(0)
    }

    /// Returns the bits of the nth entry, or 0 if there is none.
    #[must_use]
    #[inline]
    pub fn load(&self, nth: u64) -> u64 {
        match usize::try_from(nth) {
            Ok(nth) => self.entries.get(nth).map_or(0, EntryWord::load),
            Err(_) => 0,
        }
    }

    /// Returns what is in the entries now.
    #[must_use]
    #[inline]
    pub fn was(&self) -> Was {
        self.each(EntryWord::load)
    }

    /// Stores the same bits in each entry by an atomic exchange, and returns what was in them. No mark that the machine sets
    /// before the exchange is lost.
    #[must_use]
    #[inline]
    pub fn exchange(&self, bits: u64) -> Was {
        self.each(|entry| entry.swap(bits))
    }

    /// Stores the same bits in each entry, if no entry has bits other than those [`seen`](Self::was). Returns whether all were
    /// stored. If not, some of several entries may have changed.
    #[must_use]
    #[inline]
    pub fn compare_exchange(&self, seen: Was, bits: u64) -> bool {
        let mut expected = seen.first;
        for (nth, entry) in self.entries.iter().enumerate() {
            if nth != 0 {
                expected = entry.load();
            }
            let is_seen = expected & !seen.any == 0;
            if !is_seen || !entry.replace(expected, bits) {
                return false;
            }
        }
        true
    }

    /// Reads each entry by a function, and returns what was in them.
    #[inline]
    fn each(&self, mut read: impl FnMut(EntryWord<'a>) -> u64) -> Was {
        match self.entries.get(0) {
            Some(first) => self
                .entries
                .iter()
                .skip(1)
                .fold(Was::of(read(first)), |was, entry| Was {
                    any: was.any | read(entry),
                    ..was
                }),
            None => Was::default(),
        }
    }

    /// Stores the same bits in each entry.
    #[inline]
    pub fn store(&self, bits: u64) {
        for entry in self.entries.iter() {
            entry.store(bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU32, AtomicU64};

    /// Runs a test on three entries that contain these bits, of 32 bits and of 64.
    fn on_both(bits: [u64; 3], test: impl Fn(Slot<'_>, u64)) {
        let slot = |entries| Slot {
            entries,
            table: 0x1000,
            index: 2,
            va: 0x2000,
        };
        let narrow = bits.map(|bits| AtomicU32::new(bits as u32));
        test(slot(narrow.as_slice().into()), 4);
        let wide = bits.map(AtomicU64::new);
        test(slot(wide.as_slice().into()), 8);
    }

    #[test]
    fn entries_are_as_far_apart_as_they_are_large() {
        on_both([0; 3], |slot, size| {
            let addresses = [0, 1, 2].map(|nth| slot.address(nth));
            let first = 0x1000 + 2 * size;
            assert_eq!(addresses, [first, first + size, first + 2 * size]);
            assert_eq!(slot.extent(12), Extent::new(0x2000, 0x3000));
            assert!(slot.entries.len() == 3 && !slot.entries.is_empty());
        });
    }

    #[test]
    fn no_entries_have_no_bits() {
        let none: &[AtomicU32] = &[];
        let slot = Slot {
            entries: none.into(),
            table: 0x1000,
            index: 0,
            va: 0,
        };
        assert!(slot.entries.is_empty() && slot.extent(12).is_empty());
        assert_eq!(
            (slot.first(), slot.was(), slot.exchange(1)),
            (0, Was::default(), Was::default())
        );
    }

    #[test]
    fn an_exchange_returns_all_marks() {
        on_both([1, 1 | 4, 1 | 8], |slot, _| {
            let was = Was {
                first: 1,
                any: 1 | 4 | 8,
            };
            assert_eq!(slot.was(), was);
            assert_eq!(slot.exchange(0x8000_0001), was);
            assert_eq!(
                [0, 1, 2, 3].map(|nth| slot.load(nth)),
                [0x8000_0001, 0x8000_0001, 0x8000_0001, 0]
            );
            slot.store(6);
            assert_eq!((slot.first(), slot.was().any), (6, 6));
        });
    }

    /// Entries that the machine has marked since they were read are left as they are.
    /// A mark may be set again.
    #[test]
    fn marks_are_added_once() {
        let was = Was { first: 1, any: 5 };
        let [first, any] = [9, 0xd];
        assert_eq!(was.with(8), Was { first, any });
        assert_eq!(was.with(8).with(8), Was { first, any });
        assert_eq!(was.with(4), Was { first: 5, any: 5 });
    }

    #[test]
    fn a_mark_that_was_not_seen_is_kept() {
        on_both([1, 5, 1], |slot, _| {
            let none = Was { first: 1, any: 1 };
            assert!(!slot.compare_exchange(none, 0x80));
            assert_eq!([1, 2].map(|nth| slot.load(nth)), [5, 1]);
            slot.store(1);
            assert!(slot.compare_exchange(none, 0x80));
            assert_eq!(
                slot.was(),
                Was {
                    first: 0x80,
                    any: 0x80
                }
            );
        });
    }

    /// An entry of 32 bits has the lower half of the bits.
    #[test]
    fn an_entry_is_as_wide_as_the_machine_has_it() {
        on_both([0; 3], |slot, size| {
            slot.store(0x1_0000_0002);
            let kept = if size == 4 { 2 } else { 0x1_0000_0002 };
            assert_eq!(slot.first(), kept);
        });
    }
}
