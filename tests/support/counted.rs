//! Pages, tables and memory for batches that a host hands out and counts.
//!
//! A page or a table that was removed from an entry is [`Outstanding`] until the kernel has it again. What is still
//! outstanding when the machine is dropped was lost.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use crate::context;

thread_local! {
    /// The number of pages that this thread has dropped, and of tables that a panic has dropped.
    static DROPPED: Cell<usize> = const { Cell::new(0) };
}

/// Something that the runtime holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// A page, by its number.
    Page(u64),
    /// A table, by its number.
    Table(u64),
}

/// The pages and tables that the runtime of a machine holds.
#[derive(Debug, Default)]
pub struct Outstanding(Mutex<BTreeMap<Held, usize>>);

impl Outstanding {
    fn enter(self: Arc<Self>, held: Held) -> Entry {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(held).or_default() += 1;
        drop(all);
        Entry {
            outstanding: self,
            held,
        }
    }

    /// Returns the pages and tables that the runtime holds.
    pub(crate) fn held(&self) -> Vec<Held> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.keys().copied().collect()
    }
}

/// One outstanding page or table. Dropping it ends that.
#[derive(Debug)]
struct Entry {
    outstanding: Arc<Outstanding>,
    held: Held,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut all = self
            .outstanding
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.held) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(all.remove(&self.held)),
        }
    }
}

/// A page.
#[derive(Debug)]
pub struct Page {
    /// The number of the page.
    pub number: u64,
    /// Whether it is a file's page that was written to through an entry which is not flushed yet.
    pub dirty_file: bool,
    _entry: Entry,
}

impl Page {
    /// Creates the page that was removed from an entry, on a CPU of the machine.
    pub(crate) fn removed(number: u64, dirty_file: bool) -> Self {
        Self {
            number,
            dirty_file,
            _entry: context::outstanding().enter(Held::Page(number)),
        }
    }
}

/// Returns the number of pages that this thread has dropped, including those that the platform did not take, and of tables that
/// a panic has dropped.
pub fn pages_dropped() -> usize {
    DROPPED.get()
}

impl Drop for Page {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

/// A table.
#[derive(Debug)]
pub struct Table {
    number: u64,
    /// Present until the kernel has the table again.
    entry: Option<Entry>,
}

impl Table {
    /// Creates the table that was removed from an entry, on a CPU of the machine.
    pub fn removed(number: u64) -> Self {
        let entry = Some(context::outstanding().enter(Held::Table(number)));
        Self { number, entry }
    }

    /// Returns the table to the kernel, and its number to the caller.
    pub fn returned(mut self) -> u64 {
        self.entry = None;
        self.number
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let is_lost = self.entry.is_some();
        if is_lost && std::thread::panicking() {
            DROPPED.set(DROPPED.get() + 1);
            return;
        }
        assert!(
            !is_lost,
            "table {} is dropped and was never returned",
            self.number
        );
    }
}

/// Memory for a batch, which is counted.
pub struct Memory<T> {
    batch: Box<T>,
    out: Arc<AtomicUsize>,
}

impl<T: Default> Memory<T> {
    /// Creates the memory, and increments the count.
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
    type Target = T;
    fn deref(&self) -> &T {
        &self.batch
    }
}

impl<T> DerefMut for Memory<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.batch
    }
}
