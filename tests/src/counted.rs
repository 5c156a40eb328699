//! What a host hands out and gets back, and counts: pages, tables, memory for batches.
//!
//! A page or a table that an entry gave up stands in the [`Ledger`] of its machine until the kernel has it again. What
//! stands there when the machine is dropped was lost.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use crate::context;

thread_local! {
    /// How many pages this thread has dropped.
    static DROPPED: Cell<usize> = const { Cell::new(0) };
}

/// What the runtime holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// A page, by its number.
    Page(u64),
    /// A table, by its number.
    Table(u64),
}

/// Pages and tables that were given to the runtime of a machine and have not come out.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<BTreeMap<Held, usize>>);

impl Ledger {
    fn enter(self: Arc<Self>, held: Held) -> Entry {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(held).or_default() += 1;
        drop(all);
        Entry { ledger: self, held }
    }

    /// What has not come out.
    pub(crate) fn held(&self) -> Vec<Held> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.keys().copied().collect()
    }
}

/// One thing in a ledger; dropped, it is in it no longer.
#[derive(Debug)]
struct Entry {
    ledger: Arc<Ledger>,
    held: Held,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut all = self.ledger.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.held) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(all.remove(&self.held)),
        }
    }
}

/// A page: its number.
#[derive(Debug)]
pub struct Page {
    /// Which.
    pub number: u64,
    /// Whether it is a file's, and was written through an entry that is not flushed yet.
    pub dirty_file: bool,
    _entry: Entry,
}

impl Page {
    /// A page that an entry gives up, on a CPU of the machine.
    pub(crate) fn given_up(number: u64, dirty_file: bool) -> Self {
        Self {
            number,
            dirty_file,
            _entry: context::ledger().enter(Held::Page(number)),
        }
    }
}

/// How many pages this thread has dropped: those that came out, and those that the platform did not take.
pub fn pages_dropped() -> usize {
    DROPPED.get()
}

impl Drop for Page {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

/// A table: its number.
#[derive(Debug)]
pub struct Table {
    number: u64,
    /// Until the kernel has it again.
    entry: Option<Entry>,
}

impl Table {
    /// A table that an entry gives up, on a CPU of the machine.
    pub fn given_up(number: u64) -> Self {
        let entry = Some(context::ledger().enter(Held::Table(number)));
        Self { number, entry }
    }

    /// The kernel has it again. Its number.
    pub fn came_out(mut self) -> u64 {
        self.entry = None;
        self.number
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let lost = self.entry.is_some() && !std::thread::panicking();
        assert!(!lost, "table {} is dropped and never came out", self.number);
    }
}

/// Memory for a batch, which counts itself.
pub struct Memory<T> {
    batch: Box<T>,
    out: Arc<AtomicUsize>,
}

impl<T: Default> Memory<T> {
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
