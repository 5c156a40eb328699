//! The pages of a gather: kept until the flush, then released as [`Flushed`].
//!
//! In: pages whose entries were unmapped and recorded. Out: [`Platform::release_pages`], with an iterator over the pages. Holds: only
//! [`Pages::release`] lets a page out, and the gather calls it after a flush.

use crate::platform::{BATCH, Flushed, PageBatch, Platform};

/// The number of pages that fit in a gather without a batch. Most gathers have one page.
pub const BUNDLE: usize = 8;
/// The number of batches that a gather takes before it flushes: 10,000 pages.
pub const BATCHES: usize = 19;

/// The pages that a gather keeps.
pub(crate) struct Pages<P: Platform> {
    /// The number of pages in the bundle.
    used: usize,
    bundle: [Option<P::Page>; BUNDLE],
    /// Further pages: the batch that is being filled, and those before it, which are full.
    batch: Option<P::BatchBox<PageBatch<P>>>,
    batches: usize,
}

impl<P: Platform> Pages<P> {
    /// Returns no pages.
    pub const fn new() -> Self {
        Self {
            used: 0,
            bundle: [const { None }; BUNDLE],
            batch: None,
            batches: 0,
        }
    }

    /// Keeps a page, or returns it if there is no room.
    #[inline]
    pub fn push(&mut self, page: P::Page) -> Option<P::Page> {
        match (self.bundle.get_mut(self.used), &mut self.batch) {
            (Some(room), _) => {
                *room = Some(page);
                self.used += 1;
                None
            }
            (None, Some(batch)) => batch.push(page),
            (None, None) => Some(page),
        }
    }

    /// Keeps a page in an empty batch, which is filled from now on.
    pub fn push_into(&mut self, mut batch: P::BatchBox<PageBatch<P>>, page: P::Page) {
        batch.next = self.batch.take();
        batch.used = 0;
        let _ = batch.push(page); // there is room
        self.batch = Some(batch);
        self.batches += 1;
    }

    /// Returns whether there are as many batches as a gather may take.
    pub const fn has_all_batches(&self) -> bool {
        self.batches >= BATCHES
    }

    /// Returns whether there is no room, and no further batch may be added.
    pub fn is_full(&self) -> bool {
        let room = |batch: &P::BatchBox<PageBatch<P>>| batch.used < BATCH;
        self.has_all_batches() && !self.batch.as_ref().is_some_and(room)
    }

    /// Returns whether there is a batch.
    pub const fn has_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// Returns the pages in the bundle and in the batch that is being filled.
    pub fn held(&mut self) -> impl Iterator<Item = &mut P::Page> {
        let batch = self.batch.iter_mut().flat_map(|batch| batch.held());
        let bundle = self.bundle.iter_mut().take(self.used).flatten();
        bundle.chain(batch)
    }

    /// Gives the pages, whose entries are flushed, to the platform. May keep the memory of a batch for more pages.
    #[inline]
    pub fn release(&mut self, platform: &P) {
        if self.used != 0 || self.batch.is_some() {
            platform.release_pages(Flushed {
                bundle: self.bundle.get_mut(..self.used).unwrap_or_default(),
                batch: &mut self.batch,
            });
            self.used = 0;
            if self.batches != 0 {
                self.batches = usize::from(self.batch.is_some());
            }
        }
    }

    /// Frees the memory that was kept for more pages.
    #[inline]
    pub fn free_batch(&mut self) {
        if self.batch.is_some() {
            drop(self.batch.take());
        }
    }
}

impl<P: Platform> Iterator for Flushed<'_, P> {
    type Item = P::Page;

    #[inline]
    fn next(&mut self) -> Option<P::Page> {
        let bundle = core::mem::take(&mut self.bundle);
        if let Some((first, rest)) = bundle.split_first_mut() {
            self.bundle = rest;
            return first.take();
        }
        loop {
            let batch = self.batch.as_mut()?;
            if let Some(page) = batch.pop() {
                return Some(page);
            }
            let next = batch.next.take()?;
            *self.batch = Some(next);
        }
    }

    /// Does the same as `next` for each page, without testing for a batch each time.
    #[inline]
    fn fold<A, F: FnMut(A, P::Page) -> A>(mut self, first: A, mut each: F) -> A {
        let bundle = core::mem::take(&mut self.bundle)
            .iter_mut()
            .filter_map(Option::take);
        let so_far = bundle.fold(first, &mut each);
        if self.batch.is_none() {
            return so_far;
        }
        self.fold_batches(so_far, each)
    }
}

impl<P: Platform> Flushed<'_, P> {
    /// Folds the pages in the batches.
    #[inline(never)]
    fn fold_batches<A, F: FnMut(A, P::Page) -> A>(self, first: A, mut each: F) -> A {
        let mut so_far = first;
        while let Some(mut batch) = self.batch.take() {
            so_far = batch.drain().fold(so_far, &mut each);
            *self.batch = batch.next.take();
        }
        so_far
    }
}

impl<P: Platform> Drop for Flushed<'_, P> {
    /// Drops the pages that the platform did not take.
    #[inline]
    fn drop(&mut self) {
        if !self.bundle.is_empty() || self.batch.is_some() {
            self.for_each(drop);
        }
    }
}
