//! Waiting, for the model checker.
//!
//! A CPU that waits looks at words again and again. What it sees is the same until one of them was stored to, and looking
//! without seeing anything new, and without doing anything, is as good as not looking: so a thread of the
//! model waits until somebody has stored to a word that it looked at. Any store counts, whatever the value: a thread
//! is let look at every value that it could see, and what the model checker knows of who depends on whom is as
//! complete as if it had looked all the time. That somebody stored orders nothing: a CPU sees what its own loads
//! let it see.

extern crate std;

use core::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec::Vec;

use loom::sync::atomic::Ordering;
use loom::thread;

/// What was stored to a word so far, in the order in which the model checker runs.
#[derive(Debug, Default)]
struct Stores {
    count: Cell<usize>,
    last: Cell<u64>,
}

/// A look at a word, and behind how many stores to it.
type Look = (Rc<Stores>, usize);

loom::thread_local! {
    /// What this thread has looked at since it last began to look, and how often had been stored to that.
    static SEEN: RefCell<Vec<Look>> = RefCell::new(Vec::new());
}

/// A word of the model checker's, with the methods that the runtime uses.
#[derive(Debug)]
pub struct AtomicU64 {
    value: loom::sync::atomic::AtomicU64,
    stores: Rc<Stores>,
}

impl AtomicU64 {
    /// A word.
    #[must_use]
    pub fn new(value: u64) -> Self {
        Self {
            value: loom::sync::atomic::AtomicU64::new(value),
            stores: Rc::new(Stores {
                count: Cell::new(1),
                last: Cell::new(value),
            }),
        }
    }

    fn looked_at(&self, seen: u64) -> u64 {
        // What is older than the last store may be seen anew as well.
        let is_old = seen != self.stores.last.get();
        let look = self.stores.count.get() - usize::from(is_old);
        SEEN.with(|all| all.borrow_mut().push((self.stores.clone(), look)));
        seen
    }

    fn stored_to<R>(&self, was: R, now: u64) -> R {
        self.stores.count.set(self.stores.count.get() + 1);
        self.stores.last.set(now);
        was
    }

    /// What was stored last, for the only thread that stores, or for one that is ordered behind it in any case. That is
    /// no access to the model checker: it remembers but one load of a word, which is to be somebody else's.
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

    /// Stores another value and says which there was.
    pub fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.stored_to(self.value.swap(value, order), value)
    }

    /// Adds, and says what it was.
    pub fn fetch_add(&self, count: u64, order: Ordering) -> u64 {
        let was = self.value.fetch_add(count, order);
        self.stored_to(was, was.wrapping_add(count))
    }

    /// Subtracts, and says what it was.
    pub fn fetch_sub(&self, count: u64, order: Ordering) -> u64 {
        let was = self.value.fetch_sub(count, order);
        self.stored_to(was, was.wrapping_sub(count))
    }

    /// Sets bits, and says what they were.
    pub fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        let was = self.value.fetch_or(bits, order);
        self.stored_to(was, was | bits)
    }

    /// Keeps only these bits, and says what they were.
    pub fn fetch_and(&self, bits: u64, order: Ordering) -> u64 {
        let was = self.value.fetch_and(bits, order);
        self.stored_to(was, was & bits)
    }

    /// Replaces a value that is still there.
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

/// Does something again and again until something is so.
pub fn wait_until(mut done: impl FnMut() -> bool, mut meanwhile: impl FnMut()) {
    loop {
        SEEN.with(|all| all.borrow_mut().clear());
        if done() {
            return;
        }
        meanwhile();
        let seen = SEEN.with(RefCell::take);
        let is_new = |(stores, then): &Look| stores.count.get() != *then;
        // Once at least: what was seen may be old, and the model checker shows it again until then.
        loop {
            thread::yield_now();
            if seen.iter().any(is_new) {
                break;
            }
        }
    }
}
