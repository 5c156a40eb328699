//! Words of 64 bits for machines whose atomic accesses have 32.
//!
//! In and out: as for the atomic words of `core`. Holds: an access takes the lock of its word, so no CPU sees a half of a value,
//! and each access sees what was stored before the access that it follows (acquire and release, whatever order is asked for).
//! The lock is given back by a read-modify-write, so on a machine where atomic accesses order everything these do as well.
//!
//! A CPU that is interrupted while it holds a lock must not wait for it in the interrupt handler: the kernel calls the runtime with
//! interrupts off ([`responsibilities`](crate::responsibilities)).

use core::sync::atomic::{AtomicU32, Ordering};

/// A number of 64 bits in two halves.
#[derive(Debug)]
pub struct AtomicU64 {
    lock: AtomicU32,
    low: AtomicU32,
    high: AtomicU32,
}

impl AtomicU64 {
    /// Returns a number with a value.
    pub const fn new(value: u64) -> Self {
        Self {
            lock: AtomicU32::new(0),
            low: AtomicU32::new(value as u32),
            high: AtomicU32::new((value >> u32::BITS) as u32),
        }
    }

    /// Stores what `next` returns for the value, if it returns anything. Returns the value.
    #[inline]
    fn update(&self, next: impl FnOnce(u64) -> Option<u64>) -> u64 {
        let take = || {
            self.lock
                .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
        };
        while take().is_err() {
            core::hint::spin_loop();
        }
        let low = u64::from(self.low.load(Ordering::Relaxed));
        let high = u64::from(self.high.load(Ordering::Relaxed));
        let value = high << u32::BITS | low;
        if let Some(next) = next(value) {
            self.low.store(next as u32, Ordering::Relaxed);
            self.high
                .store((next >> u32::BITS) as u32, Ordering::Relaxed);
        }
        self.lock.swap(0, Ordering::AcqRel);
        value
    }

    /// Returns the value.
    #[inline]
    pub fn load(&self, _: Ordering) -> u64 {
        self.update(|_| None)
    }

    /// Stores a value.
    #[inline]
    pub fn store(&self, value: u64, _: Ordering) {
        self.update(|_| Some(value));
    }

    /// Stores a value and returns the old one.
    #[inline]
    pub fn swap(&self, value: u64, _: Ordering) -> u64 {
        self.update(|_| Some(value))
    }

    /// Adds to the value and returns the old one.
    #[inline]
    pub fn fetch_add(&self, count: u64, _: Ordering) -> u64 {
        self.update(|old| Some(old.wrapping_add(count)))
    }

    /// Subtracts from the value and returns the old one.
    #[inline]
    pub fn fetch_sub(&self, count: u64, _: Ordering) -> u64 {
        self.update(|old| Some(old.wrapping_sub(count)))
    }

    /// Sets bits and returns the old value.
    #[inline]
    pub fn fetch_or(&self, bits: u64, _: Ordering) -> u64 {
        self.update(|old| Some(old | bits))
    }

    /// Clears all bits but these and returns the old value.
    #[inline]
    pub fn fetch_and(&self, bits: u64, _: Ordering) -> u64 {
        self.update(|old| Some(old & bits))
    }

    /// Replaces a value if it is still there.
    ///
    /// # Errors
    ///
    /// The value that is there, if it is another one.
    #[inline]
    pub fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        _: Ordering,
        _: Ordering,
    ) -> Result<u64, u64> {
        let was = self.update(|value| (value == old).then_some(new));
        if was == old { Ok(was) } else { Err(was) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use core::sync::atomic::AtomicU64 as Native;
    use std::sync::Barrier;
    use std::thread;

    const ORDER: Ordering = Ordering::AcqRel;
    /// A value next to the end of its lower half.
    const CARRIES: u64 = 0x1234_5678_ffff_fffe;

    /// Each access has the result that the same access of a whole word has.
    #[test]
    fn accesses_are_those_of_a_whole_word() {
        let (split, whole) = (AtomicU64::new(CARRIES), Native::new(CARRIES));
        macro_rules! same {
            ($($access:ident($($argument:expr),*)),* $(,)?) => {$(
                assert_eq!(split.$access($($argument),*), whole.$access($($argument),*));
                assert_eq!(split.load(Ordering::Acquire), whole.load(Ordering::Acquire));
            )*};
        }
        same!(
            fetch_add(3, ORDER),
            fetch_sub(5, ORDER),
            fetch_or(1 << 63 | 1, ORDER),
            fetch_or(1 << 63 | 3, ORDER),
            fetch_and(!(1 << 33 | 2), ORDER),
            swap(CARRIES, ORDER),
            store(7 << 32, Ordering::Release),
            compare_exchange(7, 8, ORDER, Ordering::Relaxed),
            compare_exchange(7 << 32, u64::MAX, ORDER, Ordering::Relaxed),
            fetch_add(1, ORDER),
        );
    }

    #[test]
    fn no_addition_is_lost() {
        const EACH: u64 = 200_000;
        let (word, start) = (AtomicU64::new(CARRIES), Barrier::new(4));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    (0..EACH).for_each(|_| _ = word.fetch_add(1 << 31 | 1, ORDER));
                });
            }
        });
        let sum = CARRIES.wrapping_add(4 * EACH * (1 << 31 | 1));
        assert_eq!(word.load(Ordering::Acquire), sum);
    }

    #[test]
    fn no_half_of_a_value_is_seen() {
        const ROUNDS: u64 = 400_000;
        let (word, start) = (AtomicU64::new(0), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                for round in 0..ROUNDS {
                    word.store(round << u32::BITS | round, Ordering::Release);
                }
            });
            scope.spawn(|| {
                start.wait();
                let mut last = 0;
                while last < ROUNDS - 1 {
                    let value = word.load(Ordering::Acquire);
                    let (high, low) = (value >> u32::BITS, value & u64::from(u32::MAX));
                    assert_eq!(high, low);
                    assert!(low >= last);
                    last = low;
                }
            });
        });
    }
}
