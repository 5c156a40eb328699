//! How far the tables of a space have changed, and which flushes of all of it are pending.
//!
//! CPUs read this with the page-table lock held, or after the barriers of a switch.

use crate::sync::{Barrier, Word, const_fn};

/// A deferred flush of everything of a space: a count of how often it was deferred, and the count up to which it is complete.
///
/// Only whether the two counts differ is read, so they may wrap. If a completion is recorded late, a flush is done twice; none is
/// left out.
#[derive(Debug)]
pub struct PendingFlush {
    deferred: Word,
    completed: Word,
}

impl Default for PendingFlush {
    fn default() -> Self {
        Self::new()
    }
}

impl PendingFlush {
    const_fn! {
        /// Returns one of which nothing is deferred.
        #[must_use]
        pub const fn new() -> Self {
            Self {
                deferred: Word::counter(),
                completed: Word::counter(),
            }
        }
    }

    /// Defers a flush of entries that were changed before.
    #[inline]
    pub fn defer(&self) {
        self.deferred.add(1, Barrier::Defer);
    }

    /// Returns the count of the pending flush, if one is pending. The caller passes it to [`complete`](Self::complete) after the
    /// flush.
    #[inline]
    pub fn pending(&self) -> Option<u64> {
        let deferred = self.deferred.acquire(Barrier::Pending);
        (self.completed.acquire(Barrier::Pending) != deferred).then_some(deferred)
    }

    /// Returns whether a flush is pending.
    #[inline]
    pub fn is_pending(&self) -> bool {
        self.deferred.acquire(Barrier::Pending) != self.completed.acquire(Barrier::Pending)
    }

    /// Records that what was [pending](Self::pending) is flushed.
    #[inline]
    pub fn complete(&self, deferred: u64) {
        self.completed.release(deferred, Barrier::Complete);
    }
}

/// The deferred flushes of everything of a space, by the moment before which they must be complete.
#[derive(Debug, Default)]
pub struct PendingFlushes {
    /// Before another CPU attaches the space.
    pub attach: PendingFlush,
    /// Before code relies on entries that a batched unmap made invalid.
    pub unmaps: PendingFlush,
    /// Before code relies on entries that an abandoned gather made invalid.
    pub abandoned: PendingFlush,
}

/// The counts of [`PendingFlushes`] that were pending at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingThen([Option<u64>; 3]);

impl PendingThen {
    /// Returns how many kinds of flushes were pending.
    pub fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }
}

impl PendingFlushes {
    const_fn! {
        /// Returns those of a space of which nothing is deferred.
        #[must_use]
        pub const fn new() -> Self {
            Self {
                attach: PendingFlush::new(),
                unmaps: PendingFlush::new(),
                abandoned: PendingFlush::new(),
            }
        }
    }

    fn all(&self) -> [&PendingFlush; 3] {
        [&self.attach, &self.unmaps, &self.abandoned]
    }

    /// Returns whether entries that a batched unmap or an abandoned gather made invalid may not be flushed yet.
    #[inline]
    pub(crate) fn are_unmaps_pending(&self) -> bool {
        self.unmaps.is_pending() || self.abandoned.is_pending()
    }

    /// Returns which flushes are pending. The caller passes it to [`complete`](Self::complete) after a flush of everything of the
    /// space.
    pub(crate) fn pending(&self) -> PendingThen {
        PendingThen(self.all().map(PendingFlush::pending))
    }

    /// Records that what was [pending](Self::pending) is flushed.
    pub(crate) fn complete(&self, then: PendingThen) {
        for (flush, deferred) in self.all().into_iter().zip(then.0) {
            if let Some(deferred) = deferred {
                flush.complete(deferred);
            }
        }
    }
}

/// The TLB generation of a space: the count of changes of its tables that a CPU may have to follow when it loads the space.
///
/// It has 64 bits and may wrap: a CPU would have to miss exactly 2^64 changes to take an old generation for the present one.
#[derive(Debug)]
pub struct TlbGen(Word);

impl Default for TlbGen {
    fn default() -> Self {
        Self::new()
    }
}

impl TlbGen {
    const_fn! {
        /// Returns the generation of a space that never changed.
        #[must_use]
        pub const fn new() -> Self {
            Self(Word::counter())
        }
    }

    /// Increments the generation after entries have changed, and returns it. From now on a CPU that loads the space has to follow
    /// the change.
    #[inline]
    pub fn raise(&self) -> u64 {
        self.0.add(1, Barrier::Defer).wrapping_add(1)
    }

    /// Returns the generation.
    #[inline]
    pub fn now(&self) -> u64 {
        self.0.acquire(Barrier::Pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_is_pending_until_all_that_was_deferred_is_completed() {
        let flush = PendingFlush {
            deferred: Word::new(u64::MAX - 1),
            completed: Word::new(u64::MAX - 1),
        };
        assert_eq!(flush.pending(), None);
        flush.defer();
        let first = flush.pending().unwrap();
        flush.defer(); // the count wraps
        flush.defer();
        flush.complete(first);
        let all = flush.pending().unwrap();
        flush.complete(all);
        assert_eq!(flush.pending(), None);
    }

    #[test]
    fn what_is_deferred_while_everything_is_flushed_stays_pending() {
        let flushes = PendingFlushes::new();
        flushes.unmaps.defer();
        let then = flushes.pending();
        flushes.unmaps.defer();
        flushes.abandoned.defer();
        assert_eq!(then.count(), 1);
        flushes.complete(then);
        assert_eq!(flushes.pending().count(), 2);
    }

    #[test]
    fn a_generation_wraps() {
        let generation = TlbGen(Word::new(u64::MAX));
        assert_eq!(generation.raise(), 0);
        assert_eq!(generation.now(), 0);
    }
}
