//! Points at which another CPU may run, for tests that run all CPUs on one host thread.
//!
//! In: a function of the test. Out: a call of it after each access to what CPUs share. Holds: two such accesses of a CPU have
//! a point between them, and so have a load and the use of its value.
//!
//! The accesses are sequentially consistent if the test schedules its CPUs one after the other: a test finds wrong orders of
//! accesses, but no missing barrier.

extern crate std;

use core::cell::RefCell;
use core::sync::atomic::{self, Ordering};
use std::rc::Rc;

std::thread_local! {
    static AT_EACH: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Calls a function at each point on this host thread, until the next call.
pub fn at_each(function: Option<Rc<dyn Fn()>>) {
    AT_EACH.set(function);
}

/// Marks a point.
pub(crate) fn point() {
    // The function may run other CPUs, which get to points of their own.
    let function = AT_EACH.with_borrow(Clone::clone);
    if let Some(function) = function {
        function();
    }
}

/// A word with a point after each access, with the methods that the runtime uses.
#[derive(Debug)]
pub(crate) struct AtomicU64(atomic::AtomicU64);

/// Returns the result of an access, after a point.
fn after<R>(result: R) -> R {
    point();
    result
}

impl AtomicU64 {
    pub const fn new(value: u64) -> Self {
        Self(atomic::AtomicU64::new(value))
    }

    pub fn load(&self, order: Ordering) -> u64 {
        after(self.0.load(order))
    }

    pub fn store(&self, value: u64, order: Ordering) {
        after(self.0.store(value, order));
    }

    pub fn swap(&self, value: u64, order: Ordering) -> u64 {
        after(self.0.swap(value, order))
    }

    pub fn fetch_add(&self, count: u64, order: Ordering) -> u64 {
        after(self.0.fetch_add(count, order))
    }

    pub fn fetch_sub(&self, count: u64, order: Ordering) -> u64 {
        after(self.0.fetch_sub(count, order))
    }

    pub fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        after(self.0.fetch_or(bits, order))
    }

    pub fn fetch_and(&self, bits: u64, order: Ordering) -> u64 {
        after(self.0.fetch_and(bits, order))
    }

    pub fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        done: Ordering,
        not: Ordering,
    ) -> Result<u64, u64> {
        after(self.0.compare_exchange(old, new, done, not))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::{CpuId, CpuSet, SharedCpuMask, no_cpus};
    use crate::sync::{Barrier, Lock, Word};
    use core::cell::Cell;

    /// Returns how many points there are in a closure.
    fn points(run: impl FnOnce()) -> u32 {
        let count = Rc::new(Cell::new(0));
        let seen = count.clone();
        at_each(Some(Rc::new(move || seen.set(seen.get() + 1))));
        run();
        at_each(None);
        count.get()
    }

    #[test]
    fn each_access_to_what_cpus_share_is_followed_by_a_point() {
        let word = Word::new(1);
        assert_eq!(points(|| word.put(word.get())), 2);
        assert_eq!(points(|| assert_eq!(word.add(1, Barrier::Defer), 1)), 1);
        let set: <CpuSet<1> as crate::CpuMask>::Shared = no_cpus();
        assert_eq!(points(|| set.insert(CpuId(0), Barrier::Unload)), 1);
        assert_eq!(points(|| Lock::new().with(|| (), || ())), 2);
        let entry = atomic::AtomicU64::new(1);
        let entries = crate::Entries::from(core::slice::from_ref(&entry));
        let slot = crate::Slot {
            entries,
            table: 0,
            index: 0,
            va: 0,
        };
        assert_eq!(points(|| slot.store(slot.exchange(2).any)), 2);
    }

    #[test]
    fn without_a_function_a_point_does_nothing() {
        point();
        let outer = Rc::new(|| {
            let nested = AT_EACH.with_borrow(Option::is_some);
            assert!(nested, "the function is called without a borrow of itself");
        });
        at_each(Some(outer));
        point();
        at_each(None);
    }
}
