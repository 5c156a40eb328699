//! Waiting, for the model checker.
//!
//! A CPU that waits looks at words again and again. What it sees is the same until one of them was stored to, and looking
//! without seeing anything new, and without doing anything, is as good as not looking: so a thread of the
//! model waits until somebody has stored to a word that it looked at. Any store counts, whatever the value: a thread
//! is let look at every value that it could see, and what the model checker knows of who depends on whom is as
//! complete as if it had looked all the time.
//!
//! There are two ways to wait. One lets others go on: that somebody stored orders nothing, and a CPU sees what its own
//! loads let it see; but the model checker tries again and again what comes of going on in vain. The
//! [other](block) blocks, which the model checker knows about, and is behind whoever stored: as everybody who waits is
//! anyway, where no barrier is missing. So only the first one says anything about barriers; the other is for more CPUs.

extern crate std;

use core::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec::Vec;

use loom::sync::atomic::Ordering;
use loom::thread::{self, Thread};

/// What was stored to a word so far, in the order in which the model checker runs.
#[derive(Debug, Default)]
struct Stores {
    count: Cell<usize>,
    last: Cell<u64>,
    /// Who waits for another one.
    waiters: RefCell<Vec<Thread>>,
}

/// A look at a word.
#[derive(Debug)]
struct Look {
    stores: Rc<Stores>,
    /// Behind how many stores.
    seen: usize,
    /// Whether it saw what is older than the last of those: it may see that one as well.
    is_old: bool,
}

impl Look {
    fn would_be_new(&self) -> bool {
        self.is_old || self.stores.count.get() != self.seen
    }
}

std::thread_local! {
    /// Whether a thread of the model blocks that waits.
    static BLOCKS: Cell<bool> = const { Cell::new(false) };
}

/// How threads wait, on this host thread, from here on.
pub fn block(blocks: bool) {
    BLOCKS.set(blocks);
}

loom::thread_local! {
    /// What this thread has looked at since it last began to look.
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

    /// Replaces a value that is still there, and says which it was.
    ///
    /// # Errors
    /// When there is another one: that.
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
pub fn wait_until(mut done: impl FnMut() -> bool, mut poll: impl FnMut()) {
    loop {
        SEEN.with(|all| all.borrow_mut().clear());
        if done() {
            return;
        }
        poll();
        let seen = SEEN.with(RefCell::take);
        if seen.iter().any(|look| look.is_old) {
            thread::yield_now(); // the model checker shows what is old again until then
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

/// Blocks until somebody stores to one of these.
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
