//! Page-table entries in memory, of 32 or of 64 bits.
//!
//! In: the memory of entries, and bits. Out: the bits that were there. Holds: each entry is read and changed by one atomic
//! access, so a walk sees an entry as it was or as it becomes, and never a half of each.

#[cfg(target_has_atomic = "64")]
use core::sync::atomic::AtomicU64;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::sync::point;

/// Consecutive entries of one table in memory, of the size that the machine's entries have.
#[derive(Debug, Clone, Copy)]
pub enum Entries<'a> {
    /// Entries of 32 bits. Bits above these are not stored, and are read as 0.
    Narrow(&'a [AtomicU32]),
    /// Entries of 64 bits, on machines with atomic accesses of that size.
    #[cfg(target_has_atomic = "64")]
    Wide(&'a [AtomicU64]),
}

impl<'a> From<&'a [AtomicU32]> for Entries<'a> {
    #[inline]
    fn from(entries: &'a [AtomicU32]) -> Self {
        Self::Narrow(entries)
    }
}

#[cfg(target_has_atomic = "64")]
impl<'a> From<&'a [AtomicU64]> for Entries<'a> {
    #[inline]
    fn from(entries: &'a [AtomicU64]) -> Self {
        #[cfg(target_has_atomic = "64")]
        Self::Wide(entries)
    }
}

impl<'a> Entries<'a> {
    /// Returns how many entries there are.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        match self {
            Self::Narrow(entries) => entries.len(),
            #[cfg(target_has_atomic = "64")]
            Self::Wide(entries) => entries.len(),
        }
    }

    /// Returns whether there is no entry.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns log2 of the bytes of an entry.
    #[must_use]
    #[inline]
    pub(super) const fn size_shift(self) -> u32 {
        match self {
            Self::Narrow(_) => 2,
            #[cfg(target_has_atomic = "64")]
            Self::Wide(_) => 3,
        }
    }

    /// Returns the nth entry, if there are so many.
    #[inline]
    pub(super) fn get(self, nth: usize) -> Option<EntryWord<'a>> {
        match self {
            Self::Narrow(entries) => entries.get(nth).map(EntryWord::Narrow),
            #[cfg(target_has_atomic = "64")]
            Self::Wide(entries) => entries.get(nth).map(EntryWord::Wide),
        }
    }

    /// Returns the entries in order.
    #[inline]
    pub(super) fn iter(self) -> impl Iterator<Item = EntryWord<'a>> {
        (0..self.len()).filter_map(move |nth| self.get(nth))
    }
}

/// One entry in memory.
#[derive(Clone, Copy)]
pub(super) enum EntryWord<'a> {
    Narrow(&'a AtomicU32),
    #[cfg(target_has_atomic = "64")]
    Wide(&'a AtomicU64),
}

impl EntryWord<'_> {
    /// Returns the bits.
    #[inline]
    pub(super) fn load(self) -> u64 {
        match self {
            Self::Narrow(word) => word.load(Ordering::Relaxed).into(),
            #[cfg(target_has_atomic = "64")]
            Self::Wide(word) => word.load(Ordering::Relaxed),
        }
    }

    /// Stores bits.
    #[inline]
    pub(super) fn store(self, bits: u64) {
        match self {
            Self::Narrow(word) => word.store(bits as u32, Ordering::Relaxed),
            #[cfg(target_has_atomic = "64")]
            Self::Wide(word) => word.store(bits, Ordering::Relaxed),
        }
        point();
    }

    /// Stores bits and returns those that were there.
    #[inline]
    pub(super) fn swap(self, bits: u64) -> u64 {
        let was = match self {
            Self::Narrow(word) => word.swap(bits as u32, Ordering::Relaxed).into(),
            #[cfg(target_has_atomic = "64")]
            Self::Wide(word) => word.swap(bits, Ordering::Relaxed),
        };
        point();
        was
    }

    /// Stores bits if others are still there. Returns whether they were.
    #[inline]
    pub(super) fn replace(self, old: u64, new: u64) -> bool {
        const RELAXED: Ordering = Ordering::Relaxed;
        let is_stored = match self {
            Self::Narrow(word) => {
                let (old, new) = (old as u32, new as u32);
                word.compare_exchange(old, new, RELAXED, RELAXED).is_ok()
            }
            #[cfg(target_has_atomic = "64")]
            Self::Wide(word) => word.compare_exchange(old, new, RELAXED, RELAXED).is_ok(),
        };
        point();
        is_stored
    }
}
