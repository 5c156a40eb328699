//! Page-table entries in memory: functions that read and change them.
//!
//! In: consecutive entries of one table, in which the machine may set accessed and dirty marks at any time. Out: what was in
//! them. Holds: an exchange returns every mark that the machine has set before it.

use crate::pte::entries::{Entries, Word};
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
            Ok(nth) => self.entries.get(nth).map_or(0, Word::load),
            Err(_) => 0,
        }
    }

    /// Returns what is in the entries now.
    #[must_use]
    #[inline]
    pub fn was(&self) -> Was {
        self.each(Word::load)
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
    fn each(&self, mut read: impl FnMut(Word<'a>) -> u64) -> Was {
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
