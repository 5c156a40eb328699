//! Atomic words and barriers, named by their purpose.
//!
//! Everything that CPUs share in this crate consists of [`Word`]s and [`Lock`]s. Everything that orders accesses to them
//! names a [`Barrier`], so the list of barriers is the list of what pairs with what. Built with `--cfg loom` the words
//! are those of the model checker, and a test can leave out one barrier at a time and check that the model checker finds
//! the error. With the feature `torment`, which is not for kernels, another CPU may run after each access (`points`).

#[cfg(loom)]
#[path = "../loom/watched.rs"]
pub mod watched;

#[cfg(any(test, not(target_has_atomic = "64")))]
mod split;

#[cfg(all(not(feature = "torment"), not(target_has_atomic = "64")))]
use self::split::AtomicU64;
#[cfg(loom)]
use self::watched::AtomicU64;
#[cfg(feature = "torment")]
use crate::points::AtomicU64;
#[cfg(feature = "torment")]
pub(crate) use crate::points::point;
#[cfg(all(not(any(loom, feature = "torment")), target_has_atomic = "64"))]
use core::sync::atomic::AtomicU64;
#[cfg(target_has_atomic = "64")]
use core::sync::atomic::AtomicU64 as UntrackedU64;
#[cfg(not(loom))]
use core::sync::atomic::{Ordering, fence};
#[cfg(loom)]
use loom::sync::atomic::{Ordering, fence};
#[cfg(not(target_has_atomic = "64"))]
use split::AtomicU64 as UntrackedU64;

/// Declares a `const fn`. With the words of the model checker, which exist only while it runs, it is a plain `fn`.
macro_rules! const_fn {
    ($(#[$attribute:meta])* $visibility:vis const fn $($function:tt)*) => {
        $(#[$attribute])*
        #[cfg(not(loom))]
        $visibility const fn $($function)*

        $(#[$attribute])*
        #[cfg(loom)]
        $visibility fn $($function)*
    };
}
pub(crate) use const_fn;

/// What orders two accesses of one CPU. Each variant names what it pairs with on another CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Barrier {
    /// Full. A CPU stores that it is loading a space, and then reads which flushes are pending, and the tables. Pairs with
    /// [`Flush`](Self::Flush): the CPU sees the new generation, or the sender sees the CPU. Pairs with
    /// [`Change`](Self::Change): the CPU sees the change, or the flush reaches every CPU.
    SwitchIn,
    /// Full. A lazy CPU stores that it uses its space again, and then reads which flushes are pending. Pairs with
    /// [`Flush`](Self::Flush).
    LeaveLazy,
    /// Full. A CPU changes entries and raises the generation, where the space has one, and then reads which CPUs and
    /// devices may have the entries cached. Pairs with [`SwitchIn`](Self::SwitchIn), [`LeaveLazy`](Self::LeaveLazy) and
    /// [`Attach`](Self::Attach). Where instructions reach every CPU and only devices would have to be read, this barrier
    /// is not issued ([`AttachEverywhere`](Self::AttachEverywhere)).
    Flush,
    /// Full. A CPU counts a device or pins a tag for it, and then lets it fill entries, or reads which CPUs are online. Pairs with
    /// [`Flush`](Self::Flush), with [`Change`](Self::Change), and with [`SwitchIn`](Self::SwitchIn) of a CPU that comes online.
    Attach,
    /// Full, on every CPU at once, by an IPI: a device is counted, and may fill entries when each CPU has taken the IPI.
    /// The device sees what a CPU changed before it took the IPI; flushes after the IPI see the device. So flushes,
    /// which are frequent, need no barrier for devices, which are attached rarely.
    AttachEverywhere,
    /// Full. A CPU publishes a change, or stores that one is under way, and then reads which CPUs may have entries of the space
    /// or have it loaded, and which devices share it. Pairs with [`SwitchIn`](Self::SwitchIn), [`AttachWaits`](Self::AttachWaits)
    /// and [`Attach`](Self::Attach).
    Change,
    /// Full. A CPU stores that it is loading a space, and then waits for changes under way. Pairs with
    /// [`Change`](Self::Change).
    AttachWaits,
    /// Full. A CPU stores that it is no longer online, and then acknowledges what is in its inbox. Pairs with
    /// [`Send`](Self::Send).
    Offline,
    /// Full. A sender sets its bit in the inbox of a CPU, and then reads whether that CPU is online. Pairs with
    /// [`Offline`](Self::Offline).
    Send,
    /// Release: the message is written before the bit in the inbox is set. Pairs with the acquire in
    /// [`Receive`](Self::Receive).
    Post,
    /// Acquire: a CPU that sees the bit sees the message and the changes that it is about.
    Receive,
    /// Release: the request is carried out, and the message is read. Pairs with [`Acknowledged`](Self::Acknowledged).
    Acknowledge,
    /// Acquire: the receiver has carried out the request.
    Acknowledged,
    /// Release: a CPU no longer has the space loaded that it had. Pairs with [`Unloaded`](Self::Unloaded).
    Unload,
    /// Acquire: that CPU's accesses through the space are complete.
    Unloaded,
    /// Release: a flush is deferred. Pairs with [`Pending`](Self::Pending).
    Defer,
    /// Acquire: a CPU that sees a pending flush sees the changes that it is about.
    Pending,
    /// Release: a deferred flush is complete, a gather or a change has ended, or a device is no longer counted. Pairs with
    /// [`Pending`](Self::Pending), and for a change with [`SwitchIn`](Self::SwitchIn) after the read that none is under
    /// way.
    Complete,
    /// Release, where a CPU stores which tag it runs, after it has stored the one that it leaves; acquire, where a
    /// rollover reads both. Pairs with itself: a rollover sees both tags that a CPU may use during a switch.
    RunTag,
    /// Acquire: the CPU that takes a [`Lock`] sees what was done under the lock before. Pairs with [`Unlock`](Self::Unlock).
    Lock,
    /// Release: what was done under a [`Lock`] is complete. Pairs with [`Lock`](Self::Lock).
    Unlock,
}

#[cfg(loom)]
mod mutant {
    extern crate std;
    use core::cell::Cell;

    std::thread_local! {
        /// The first value of counters.
        static FIRST_COUNT: Cell<u64> = const { Cell::new(0) };
        /// The barrier that is left out. The model checker runs all threads of a test on one host thread.
        static LEFT_OUT: Cell<Option<crate::sync::Barrier>> = const { Cell::new(None) };
    }

    /// Leaves a barrier out, on this host thread, until the next call.
    pub fn leave_out(barrier: Option<crate::sync::Barrier>) {
        LEFT_OUT.with(|cell| cell.set(barrier));
    }

    /// Makes counters that are created on this host thread begin at a value.
    pub fn begin_counters_at(count: u64) {
        FIRST_COUNT.with(|cell| cell.set(count));
    }

    pub(crate) fn first_count() -> u64 {
        FIRST_COUNT.with(Cell::get)
    }

    pub(crate) fn in_force(barrier: crate::sync::Barrier) -> bool {
        LEFT_OUT.with(|cell| cell.get() != Some(barrier))
    }
}

#[cfg(loom)]
pub use mutant::{begin_counters_at, leave_out};
#[cfg(loom)]
pub(crate) use mutant::{first_count, in_force};

/// Returns the first value of counters.
#[cfg(not(loom))]
pub(crate) const fn first_count() -> u64 {
    0
}

/// Returns whether a barrier is in force, which only a test can change.
#[cfg(not(loom))]
#[inline]
pub(crate) const fn in_force(_: Barrier) -> bool {
    true
}

/// Marks a point at which a test may run another CPU.
#[cfg(not(feature = "torment"))]
#[inline]
pub(crate) const fn point() {}

/// Returns the ordering of a barrier's access: relaxed if the barrier is left out.
#[inline]
fn order(barrier: Barrier, ordering: Ordering) -> Ordering {
    if in_force(barrier) {
        ordering
    } else {
        Ordering::Relaxed
    }
}

/// Orders every access before it with every access after it, for all CPUs.
#[inline]
pub fn full_barrier(barrier: Barrier) {
    if in_force(barrier) {
        fence(Ordering::SeqCst);
    }
}

/// Calls `poll` repeatedly until `done` returns true.
#[cfg(not(loom))]
#[inline]
pub fn wait_until(mut done: impl FnMut() -> bool, mut poll: impl FnMut()) {
    while !done() {
        poll();
        core::hint::spin_loop();
    }
}

#[cfg(loom)]
pub use self::watched::wait_until;

/// A value on cache lines of its own, so that CPUs that write it do not slow down those that read what is beside it. Some processors
/// fetch lines of 64 bytes in pairs, and others have lines of 128 bytes.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct CacheLine<T>(pub T);

impl<T> core::ops::Deref for CacheLine<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// A number that CPUs share.
#[derive(Debug)]
pub struct Word(AtomicU64);

impl Default for Word {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Word {
    const_fn! {
        /// Returns a word with a value.
        #[must_use]
        pub const fn new(value: u64) -> Self {
            Self(AtomicU64::new(value))
        }
    }

    const_fn! {
        /// Returns a counter at 0. In the model checker's build a test can have it begin elsewhere (`begin_counters_at`), one
        /// step before it wraps.
        #[must_use]
        pub const fn counter() -> Self {
            Self::new(first_count())
        }
    }

    /// Returns the value, without any order.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns the value, on the only CPU that stores it.
    #[inline]
    pub fn mine(&self) -> u64 {
        #[cfg(loom)]
        return self.0.last();
        #[cfg(not(loom))]
        self.get()
    }

    /// Stores a value, without any order.
    #[inline]
    pub fn put(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Returns the value. What its writer stored before releasing it is seen (acquire).
    #[inline]
    pub fn acquire(&self, barrier: Barrier) -> u64 {
        self.0.load(order(barrier, Ordering::Acquire))
    }

    /// Stores a value, after all earlier accesses of this CPU (release).
    #[inline]
    pub fn release(&self, value: u64, barrier: Barrier) {
        self.0.store(value, order(barrier, Ordering::Release));
    }

    /// Adds to the value and returns the old one; ordered with all earlier and later accesses of this CPU.
    #[inline]
    pub fn add(&self, count: u64, barrier: Barrier) -> u64 {
        self.0.fetch_add(count, order(barrier, Ordering::AcqRel))
    }

    /// Subtracts from the value and returns the old one; ordered with all earlier and later accesses of this CPU.
    #[inline]
    pub fn sub(&self, count: u64, barrier: Barrier) -> u64 {
        self.0.fetch_sub(count, order(barrier, Ordering::AcqRel))
    }

    /// Sets bits and returns the old value; ordered with all earlier and later accesses of this CPU.
    #[inline]
    pub fn or(&self, bits: u64, barrier: Barrier) -> u64 {
        self.0.fetch_or(bits, order(barrier, Ordering::AcqRel))
    }

    /// Clears all bits but these; ordered with all earlier and later accesses of this CPU.
    #[inline]
    pub fn and(&self, bits: u64, barrier: Barrier) {
        self.0.fetch_and(bits, order(barrier, Ordering::AcqRel));
    }

    /// Stores a value and returns the old one; ordered with all earlier and later accesses of this CPU.
    #[inline]
    pub fn swap(&self, value: u64, barrier: Barrier) -> u64 {
        self.0.swap(value, order(barrier, Ordering::AcqRel))
    }

    /// Replaces a value if it is still there, after all earlier accesses of this CPU (release). Returns whether it was
    /// there.
    #[inline]
    pub fn replace(&self, old: u64, new: u64, barrier: Barrier) -> bool {
        let release = order(barrier, Ordering::Release);
        let done = self
            .0
            .compare_exchange(old, new, release, Ordering::Relaxed);
        done.is_ok()
    }
}

/// A number that one CPU writes, and that orders nothing: the model checker does not track it.
#[derive(Debug)]
pub struct Own(UntrackedU64);

impl Default for Own {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Own {
    /// Returns a number with a value.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(UntrackedU64::new(value))
    }

    /// Returns the value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// Stores a value.
    #[inline]
    pub fn put(&self, value: u64) {
        self.0.store(value, core::sync::atomic::Ordering::Relaxed);
    }

    /// Adds to the value.
    #[inline]
    pub fn count(&self, more: u64) {
        self.put(self.get().wrapping_add(more));
    }
}

/// Numbers that one CPU writes for others, and that order nothing. Other words order the writes and the reads; the model
/// checker reports an error where they do not.
#[derive(Debug)]
pub struct Handed<const N: usize> {
    numbers: [Own; N],
    #[cfg(loom)]
    order: loom::cell::UnsafeCell<()>,
}

impl<const N: usize> Default for Handed<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Handed<N> {
    const_fn! {
        /// Returns numbers that are all 0.
        #[must_use]
        pub const fn new() -> Self {
            Self {
                numbers: [const { Own::new(0) }; N],
                #[cfg(loom)]
                order: loom::cell::UnsafeCell::new(()),
            }
        }
    }

    /// Returns the numbers for writing. No other CPU reads or writes them at the same time.
    #[inline]
    pub fn to_write(&self) -> impl Iterator<Item = &Own> {
        #[cfg(loom)]
        self.order.with_mut(|_| ());
        self.numbers.iter().inspect(|_| point())
    }

    /// Returns the numbers for reading. No CPU writes them at the same time.
    #[inline]
    pub fn to_read(&self) -> impl Iterator<Item = &Own> {
        #[cfg(loom)]
        self.order.with(|_| ());
        self.numbers.iter().inspect(|_| point())
    }
}

/// A spin lock of the runtime, held for a few instructions.
#[derive(Debug, Default)]
pub struct Lock(Word);

impl Lock {
    const_fn! {
        /// Returns a free lock.
        #[must_use]
        pub const fn new() -> Self {
            Self(Word::new(0))
        }
    }

    /// Runs with the lock held, and returns the result. Calls `poll` repeatedly while another CPU has the lock.
    pub fn with<R>(&self, poll: impl FnMut(), run: impl FnOnce() -> R) -> R {
        // The orderings are constants in the call, so that the compiler removes the exchange's panic on invalid ones.
        let take = || {
            let acquire = order(Barrier::Lock, Ordering::Acquire);
            self.0.0.compare_exchange(0, 1, acquire, Ordering::Relaxed)
        };
        wait_until(|| take().is_ok(), poll);
        let result = run();
        self.0.0.swap(0, order(Barrier::Unlock, Ordering::Release));
        result
    }
}
