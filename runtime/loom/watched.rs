//! Waiting, for the model checker.
//!
//! In: a condition on words. Out: a wait that the model checker can explore to its end. Holds: a waiting thread still sees
//! every value that it could see if it polled all the time.
//!
//! A CPU that waits loads the same words repeatedly. Until another thread stores to one of them, the loads return the same
//! values, and a poll without new values and without effects is equivalent to no poll. So a thread of the model waits
//! until another thread has stored to a word that it has loaded. Any store counts, whatever its value. So a thread gets to
//! load every value that it could see, and the model checker finds the same dependencies between threads as if the
//! thread had polled all the time.
//!
//! There are two ways to wait. The first yields to other threads. A store by another thread then orders nothing, and a CPU
//! sees what its own loads return; but the model checker also explores executions in which the thread continues without a
//! new value. The [other](block) blocks. The model checker knows about blocking, and orders the thread after the one
//! that stored, which every waiting CPU is in any case where no barrier is missing. So only the first way tests
//! barriers; the other makes tests with more CPUs feasible.

extern crate std;

use core::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec::Vec;

use loom::sync::atomic::Ordering;
use loom::thread::{self, Thread};

/// The stores to a word so far, in the order in which the model checker runs them.
#[derive(Debug, Default)]
struct Stores {
    count: Cell<usize>,
    last: Cell<u64>,
    /// The threads that wait for another store.
    waiters: RefCell<Vec<Thread>>,
}

/// A load of a word.
#[derive(Debug)]
struct Load {
    stores: Rc<Stores>,
    /// The number of stores before it.
    stores_before: usize,
    /// Whether it returned an older value than that of the last store: a later load may return that one.
    is_old: bool,
}

impl Load {
    /// Returns whether another load may return a new value.
    fn would_be_new(&self) -> bool {
        self.is_old || self.stores.count.get() != self.stores_before
    }
}

std::thread_local! {
    /// Whether a waiting thread of the model blocks.
    static BLOCKS: Cell<bool> = const { Cell::new(false) };
}

/// Sets whether waiting threads block or yield, on this host thread, from here on.
pub fn block(blocks: bool) {
    BLOCKS.set(blocks);
}

loom::thread_local! {
    /// The loads of this thread since its last poll began.
    static SEEN: RefCell<Vec<Load>> = RefCell::new(Vec::new());
}

/// A word of the model checker, with the methods that the runtime uses.
#[derive(Debug)]
pub struct AtomicU64 {
    value: loom::sync::atomic::AtomicU64,
    stores: Rc<Stores>,
}

impl AtomicU64 {
    /// Returns a word with a value.
    #[must_use]
    pub fn new(value: u64) -> Self {
        Self {
            value: loom::sync::atomic::AtomicU64::new(value),
            stores: Rc::new(Stores {
                count: Cell::new(1),
                last: Cell::new(value),
                waiters: RefCell::default(),
            }),
        }
    }

    /// Records a load that returned a value, and returns the value.
    fn record_load(&self, seen: u64) -> u64 {
        let load = Load {
            stores: self.stores.clone(),
            stores_before: self.stores.count.get(),
            is_old: seen != self.stores.last.get(),
        };
        SEEN.with(|all| all.borrow_mut().push(load));
        seen
    }

    /// Records a store, wakes the waiting threads, and returns the result of the store.
    fn record_store<R>(&self, was: R, now: u64) -> R {
        self.stores.count.set(self.stores.count.get() + 1);
        self.stores.last.set(now);
        for waiter in self.stores.waiters.take() {
            waiter.unpark();
        }
        was
    }

    /// Returns the value stored last. Called only by the one thread that stores, or by a thread that is ordered after it
    /// without this load. The model checker does not see an access: it remembers only one load of a word, which must be
    /// that of another thread.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.stores.last.get()
    }

    /// Loads the value.
    pub fn load(&self, order: Ordering) -> u64 {
        self.record_load(self.value.load(order))
    }

    /// Stores a value.
    pub fn store(&self, value: u64, order: Ordering) {
        self.value.store(value, order);
        self.record_store((), value);
    }

    /// Stores a value and returns the old one.
    pub fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.record_store(self.value.swap(value, order), value)
    }

    /// Adds to the value and returns the old one.
    pub fn fetch_add(&self, count: u64, order: Ordering) -> u64 {
        let was = self.value.fetch_add(count, order);
        self.record_store(was, was.wrapping_add(count))
    }

    /// Subtracts from the value and returns the old one.
    pub fn fetch_sub(&self, count: u64, order: Ordering) -> u64 {
        let was = self.value.fetch_sub(count, order);
        self.record_store(was, was.wrapping_sub(count))
    }

    /// Sets bits and returns the old value.
    pub fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        let was = self.value.fetch_or(bits, order);
        self.record_store(was, was | bits)
    }

    /// Clears all bits but these and returns the old value.
    pub fn fetch_and(&self, bits: u64, order: Ordering) -> u64 {
        let was = self.value.fetch_and(bits, order);
        self.record_store(was, was & bits)
    }

    /// Replaces a value if it is still there, and returns it.
    ///
    /// # Errors
    ///
    /// When the value is another one. The error is that value.
    pub fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        done: Ordering,
        not: Ordering,
    ) -> Result<u64, u64> {
        match self.value.compare_exchange(old, new, done, not) {
            Ok(was) => Ok(self.record_store(was, new)),
            Err(is) => Err(self.record_load(is)),
        }
    }
}

/// Calls `poll` repeatedly until `done` returns true.
pub fn wait_until(mut done: impl FnMut() -> bool, mut poll: impl FnMut()) {
    loop {
        SEEN.with(|all| all.borrow_mut().clear());
        if done() {
            return;
        }
        poll();
        let seen = SEEN.with(RefCell::take);
        if seen.iter().any(|load| load.is_old) {
            thread::yield_now(); // until then the model checker may return the old value again
        }
        while !seen.iter().any(Load::would_be_new) {
            if BLOCKS.get() {
                wait_for(&seen);
            } else {
                thread::yield_now();
            }
        }
    }
}

/// Blocks until another thread stores to one of these words.
fn wait_for(seen: &[Load]) {
    let this = thread::current();
    for load in seen {
        load.stores.waiters.borrow_mut().push(this.clone());
    }
    thread::park();
    for load in seen {
        let mut waiters = load.stores.waiters.borrow_mut();
        waiters.retain(|waiter| waiter.id() != this.id());
    }
}
