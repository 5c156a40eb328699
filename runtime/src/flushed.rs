//! The pages that a gather releases: an iterator over them, and the proof that a flush covers them.

use crate::platform::{Flushed, Platform};

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
