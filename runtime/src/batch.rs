//! Batches: memory for many pages or tables, which a gather uses when its own memory is full.
//!
//! In: memory that [`Platform::page_batch`] and [`Platform::table_batch`] return. Out: the same memory, dropped when it is
//! empty. Holds: a gather that gets no memory flushes and goes on, so a kernel may return none at any time, or always.

use core::convert::Infallible;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use crate::platform::{BATCH, Batch, Platform};

impl<T, P: Platform> Default for Batch<T, P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, P: Platform> Batch<T, P> {
    /// Returns an empty batch.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: None,
            used: 0,
            slots: [const { None }; BATCH],
        }
    }

    /// Adds a page or table, or returns it if the batch is full.
    #[inline]
    pub(crate) fn push(&mut self, thing: T) -> Option<T> {
        let Some(room) = self.slots.get_mut(self.used) else {
            return Some(thing);
        };
        *room = Some(thing);
        self.used += 1;
        None
    }

    /// Removes and returns the last one of this batch.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.used = self.used.checked_sub(1)?;
        self.slots.get_mut(self.used)?.take()
    }

    /// Removes and returns everything in this batch.
    #[inline]
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        let used = core::mem::take(&mut self.used);
        self.slots.iter_mut().take(used).filter_map(Option::take)
    }

    /// Returns what this batch holds, without those before it.
    pub(crate) fn held(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().take(self.used).flatten()
    }
}

/// The [`Platform::BatchBox`] of a kernel that has no memory for batches: no value of it exists.
///
/// A gather then holds [`BUNDLE`](crate::pages::BUNDLE) pages, and flushes when there are more.
pub struct NoBatch<T> {
    never: Infallible,
    batch: PhantomData<T>,
}

impl<T> Deref for NoBatch<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self.never {}
    }
}

impl<T> DerefMut for NoBatch<T> {
    fn deref_mut(&mut self) -> &mut T {
        match self.never {}
    }
}
