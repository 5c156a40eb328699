//! Entries in memory: what stands in them, and what stands there from now on.
//!
//! In: consecutive entries of one table, whose machine may note in them that a page was used or written while they
//! change. Out: what stood there, with all that was noted until then; an exchange loses nothing of it.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::request::Extent;

/// Consecutive entries of one table in memory: one, or several that all change alike.
#[derive(Debug)]
pub struct Slot<'a> {
    /// The entries.
    pub entries: &'a [AtomicU64],
    /// The physical address of the table that they stand in.
    pub table: u64,
    /// The index of the first of them in it.
    pub index: u16,
    /// The first address that the first of them translates.
    pub va: u64,
}

/// What stood in entries before they changed, with what the machine itself had noted in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Was {
    /// The first of them.
    pub first: u64,
    /// The bits that any of them had: where several entries map one page, it is dirty if any says so.
    pub any: u64,
}

impl Was {
    /// The same, with further bits.
    #[must_use]
    pub(crate) const fn with(self, bits: u64) -> Self {
        Self {
            first: self.first | bits,
            any: self.any | bits,
        }
    }
}

impl Slot<'_> {
    /// The physical address of the nth of them.
    #[must_use]
    #[inline]
    pub const fn address(&self, nth: u64) -> u64 {
        self.table
            .wrapping_add((self.index as u64).wrapping_add(nth) << 3)
    }

    /// What they translate, where each reaches `1 << shift` bytes.
    #[must_use]
    #[inline]
    pub(crate) const fn extent(&self, shift: u32) -> Extent {
        Extent::new(self.va, (self.entries.len() as u64) << shift)
    }

    /// Returns what is in the first of them; 0 where there is none.
    #[must_use]
    #[inline]
    pub fn first(&self) -> u64 {
        let first = self.entries.first();
        first.map_or(0, |entry| entry.load(Ordering::Relaxed))
    }

    /// What stands in the nth of them; 0 where there is none.
    #[must_use]
    #[inline]
    pub fn load(&self, nth: u64) -> u64 {
        let entry = usize::try_from(nth).ok().and_then(|n| self.entries.get(n));
        entry.map_or(0, |entry| entry.load(Ordering::Relaxed))
    }

    /// What stands in them.
    #[must_use]
    #[inline]
    pub fn was(&self) -> Was {
        self.each(|entry| entry.load(Ordering::Relaxed))
    }

    /// Stores the same in each of them, and says what stood there: nothing that the machine notes in an
    /// entry meanwhile is lost.
    #[must_use]
    #[inline]
    pub fn exchange(&self, bits: u64) -> Was {
        self.each(|entry| entry.swap(bits, Ordering::Relaxed))
    }

    /// Stores the same in each of them, if nothing but what was [`seen`](Self::was) stands there; returns whether it did. If
    /// not, some of several entries may have changed.
    #[must_use]
    #[inline]
    pub fn compare_exchange(&self, seen: Was, bits: u64) -> bool {
        let relaxed = Ordering::Relaxed;
        let mut expected = seen.first;
        for (nth, entry) in self.entries.iter().enumerate() {
            if nth != 0 {
                expected = entry.load(relaxed);
            }
            let is_seen = expected & !seen.any == 0;
            if !is_seen
                || entry
                    .compare_exchange(expected, bits, relaxed, relaxed)
                    .is_err()
            {
                return false;
            }
        }
        true
    }

    #[inline]
    fn each(&self, mut stood: impl FnMut(&AtomicU64) -> u64) -> Was {
        let Some((first, rest)) = self.entries.split_first() else {
            return Was::default();
        };
        let first = stood(first);
        let any = rest.iter().fold(first, |any, entry| any | stood(entry));
        Was { first, any }
    }

    /// Stores the same in each of them.
    #[inline]
    pub fn store(&self, bits: u64) {
        for entry in self.entries {
            entry.store(bits, Ordering::Relaxed);
        }
    }
}
