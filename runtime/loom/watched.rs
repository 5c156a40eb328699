//! Waiting, for the model checker.
//!
//! A CPU that waits loads the same words repeatedly. What it sees is the same until one of the words is stored to, and
//! a load that returns nothing new has no effect. So a thread of the model waits until another thread has stored to a
//! word that it has loaded. Any store counts, whatever the value: the thread may see every value that it could see with
//! repeated loads, and the model checker knows all the dependencies between threads that it would know then.
//!
//! There are two ways to wait. The first yields to other threads: the other thread's store orders nothing, and a CPU
//! sees what its own loads return. But the model checker explores again and again what happens if the thread continues
//! too early. The [second](block) blocks the thread, which the model checker knows about, and orders it after the
//! thread that stored, as a waiting CPU is ordered anyway if no barrier is missing. So only the first way checks
//! barriers; the second is for more CPUs.

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
struct Look {
    stores: Rc<Stores>,
    /// The number of stores before the load.
    seen: usize,
    /// Whether the load returned an older value than the last one stored, so that another load may return that.
    is_old: bool,
}

impl Look {
    fn would_be_new(&self) -> bool {
        self.is_old || self.stores.count.get() != self.seen
    }
}

std::thread_local! {
    /// Whether a waiting thread of the model blocks.
    static BLOCKS: Cell<bool> = const { Cell::new(false) };
}

/// Sets how threads wait from here on, on this host thread.
pub fn block(blocks: bool) {
    BLOCKS.set(blocks);
}

loom::thread_local! {
    /// The loads of this thread since it last began to wait.
    static SEEN: RefCell<Vec<Look>> = RefCell::new(Vec::new());
}

/// A word of the model checker, with the methods that the runtime uses.
#[derive(Debug)]
pub struct AtomicU64 {
    value: loom::sync::atomic::AtomicU64,
    stores: Rc<Stores>,
}

impl AtomicU64 {
    /// Creates a word.
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

    fn looked_at(&self, seen: u64) -> u64 {
        let look = Look {
            stores: self.stores.clone(),
            seen: self.stores.count.get(),
            is_old: seen != self.stores.last.get(),
        };
        SEEN.with(|all| all.borrow_mut().push(look));
        seen
    }

    fn stored_to<R>(&self, was: R, now: u64) -> R {
        self.stores.count.set(self.stores.count.get() + 1);
        self.stores.last.set(now);
        for waiter in self.stores.waiters.take() {
            waiter.unpark();
        }
        was
    }

    /// Returns the last value stored, for the only thread that stores, or for one that is ordered after it in any case.
    /// This is not an access to the model checker, which remembers only one load of a word: that of another thread.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.stores.last.get()
    }

    /// Loads.
    pub fn load(&self, order: Ordering) -> u64 {
        self.looked_at(self.value.load(order))
    }

    /// Stores.
    pub fn store(&self, value: u64, order: Ordering) {
        self.value.store(value, order);
        self.stored_to((), value);
    }

    /// Stores another value, and returns the old one.
    pub fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.stored_to(self.value.swap(value, order), value)
    }

    /// Adds, and returns the old value.
    pub fn fetch_add(&self, count: u64, order: Ordering) -> u64 {
        let was = self.value.fetch_add(count, order);
        self.stored_to(was, was.wrapping_add(count))
    }

    /// Subtracts, and returns the old value.
    pub fn fetch_sub(&self, count: u64, order: Ordering) -> u64 {
        let was = self.value.fetch_sub(count, order);
        self.stored_to(was, was.wrapping_sub(count))
    }

    /// Sets bits, and returns the old value.
    pub fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        let was = self.value.fetch_or(bits, order);
        self.stored_to(was, was | bits)
    }

    /// Keeps only these bits, and returns the old value.
    pub fn fetch_and(&self, bits: u64, order: Ordering) -> u64 {
        let was = self.value.fetch_and(bits, order);
        self.stored_to(was, was & bits)
    }

    /// Replaces a value if it is the current one, and returns it.
    ///
    /// # Errors
    /// If the current value is another one, which is returned.
    pub fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        done: Ordering,
        not: Ordering,
    ) -> Result<u64, u64> {
        match self.value.compare_exchange(old, new, done, not) {
            Ok(was) => Ok(self.stored_to(was, new)),
            Err(is) => Err(self.looked_at(is)),
        }
    }
}

/// Calls `poll` repeatedly until `done` returns `true`.
pub fn wait_until(mut done: impl FnMut() -> bool, mut poll: impl FnMut()) {
    loop {
        SEEN.with(|all| all.borrow_mut().clear());
        if done() {
            return;
        }
        poll();
        let seen = SEEN.with(RefCell::take);
        if seen.iter().any(|look| look.is_old) {
            thread::yield_now(); // the model checker returns old values again until then
        }
        while !seen.iter().any(Look::would_be_new) {
            if BLOCKS.get() {
                wait_for(&seen);
            } else {
                thread::yield_now();
            }
        }
    }
}

/// Blocks until another thread stores to one of these words.
fn wait_for(seen: &[Look]) {
    let this = thread::current();
    for look in seen {
        look.stores.waiters.borrow_mut().push(this.clone());
    }
    thread::park();
    for look in seen {
        let mut waiters = look.stores.waiters.borrow_mut();
        waiters.retain(|waiter| waiter.id() != this.id());
    }
}
