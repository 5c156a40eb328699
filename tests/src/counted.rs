//! What a host hands out and gets back, and counts: pages, tables, memory for batches.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tlbc_runtime::Frame;
use tlbc_runtime::batch::Batch;

thread_local! {
    /// How many pages this thread has dropped.
    static DROPPED: Cell<usize> = const { Cell::new(0) };
}

/// A page: its number.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Which.
    pub number: u64,
    /// Whether it is a file's, and was written through an entry that is not flushed yet.
    pub dirty_file: bool,
}

/// How many pages this thread has dropped: those that came out, and those that nobody took.
pub fn pages_dropped() -> usize {
    DROPPED.get()
}

impl Drop for Page {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

impl Frame for Page {
    fn keeps_rmap(&self) -> bool {
        self.dirty_file
    }
}

/// A table: its number.
#[derive(Debug, PartialEq, Eq)]
pub struct Table(pub u64);

/// Memory for a batch, which counts itself.
pub struct Memory<T> {
    batch: Box<Batch<T, Memory<T>>>,
    out: Arc<AtomicUsize>,
}

impl<T> Memory<T> {
    /// Memory, one more in the count.
    pub(crate) fn new(out: &Arc<AtomicUsize>) -> Self {
        out.fetch_add(1, SeqCst);
        Self {
            batch: Box::default(),
            out: Arc::clone(out),
        }
    }
}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        self.out.fetch_sub(1, SeqCst);
    }
}

impl<T> Deref for Memory<T> {
    type Target = Batch<T, Memory<T>>;
    fn deref(&self) -> &Self::Target {
        &self.batch
    }
}

impl<T> DerefMut for Memory<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.batch
    }
}
