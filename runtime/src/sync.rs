//! Atomic words and barriers, by what they are for.
//!
//! Everything that CPUs share in this crate is made of [`Word`]s and [`Lock`]s, and everything that orders
//! accesses to them names a [`Barrier`]: the list of these is the list of what pairs with what. Built with
//! `--cfg loom` the words are those of the model checker, and a test can leave out one barrier at a time to see
//! that its absence is found.

#[cfg(loom)]
#[path = "../loom/watched.rs"]
pub mod watched;

#[cfg(loom)]
use self::watched::AtomicU64;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(loom)]
use loom::sync::atomic::{Ordering, fence};

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

/// What orders two accesses of one CPU, and what on another CPU it pairs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Barrier {
    /// Full. A CPU that loads a space has said so, and then looks for what it owes. Pairs with [`Flush`](Self::Flush):
    /// the CPU sees the new generation, or the sender sees the CPU.
    SwitchIn,
    /// Full. A lazy CPU has said that it uses its space again, and then looks for what it owes. Pairs with
    /// [`Flush`](Self::Flush).
    LeaveLazy,
    /// Full. Entries have changed, and the generation is raised where CPUs follow it; then it is read who may have them
    /// cached, CPUs and devices. Pairs with [`SwitchIn`](Self::SwitchIn), [`LeaveLazy`](Self::LeaveLazy) and
    /// [`Attach`](Self::Attach). Where instructions reach every CPU, and only devices would be left to read, there is
    /// none ([`AttachEverywhere`](Self::AttachEverywhere)).
    Flush,
    /// Full. A device is counted; then it may fill, or it is read who is online. Pairs with [`Flush`](Self::Flush), and
    /// with [`SwitchIn`](Self::SwitchIn) of a CPU that arrives.
    Attach,
    /// Full, on every CPU at once, by an interrupt: a device is counted, and may fill when each CPU has come. What a CPU
    /// changed before it came is changed for the device; flushes behind that see the device. So that flushes, of which
    /// there are many, need no barrier for devices, which come rarely.
    AttachEverywhere,
    /// Full. A change is under way; then it is read who has the space loaded. Pairs with
    /// [`AttachWaits`](Self::AttachWaits).
    Change,
    /// Full. A CPU has said that it loads a space, and then waits for changes under way. Pairs with
    /// [`Change`](Self::Change).
    AttachWaits,
    /// Full. A CPU is no longer online, and then serves what it was sent. Pairs with [`Send`](Self::Send).
    Offline,
    /// Full. A message is left with a CPU, and then it is read whether that is online. Pairs with
    /// [`Offline`](Self::Offline).
    Send,
    /// Release, of the message in it. Pairs with the acquire in [`Receive`](Self::Receive).
    Post,
    /// Acquire, of the message and of the changes that it is about.
    Receive,
    /// Release: what the message asked for is done, and its words are read. Pairs with
    /// [`Acknowledged`](Self::Acknowledged).
    Acknowledge,
    /// Acquire: what was asked for is done there.
    Acknowledged,
    /// Release: a CPU no longer has the space loaded that it had. Pairs with [`Unloaded`](Self::Unloaded).
    Unload,
    /// Acquire: what that CPU did through the space is done.
    Unloaded,
    /// Release: a flush is deferred. Pairs with [`Pending`](Self::Pending).
    Defer,
    /// Acquire: a CPU that sees a pending flush sees the changes that it is about.
    Pending,
    /// Release: a deferred flush is completed, a gather or a change is over, a device counts no longer. Pairs with
    /// [`Pending`](Self::Pending),
    /// and for a change with [`SwitchIn`](Self::SwitchIn), behind the read that none is under way.
    Complete,
    /// Release, where a CPU says which tag it runs, having noted the one that it leaves; acquire, where a rollover reads
    /// both. Pairs with itself: of the two tags that a CPU may use in a switch a rollover sees each.
    RunTag,
    /// Acquire: whoever has a [`Lock`] sees what was done behind it. Pairs with [`Unlock`](Self::Unlock).
    Lock,
    /// Release: what was done behind a [`Lock`] is done. Pairs with [`Lock`](Self::Lock).
    Unlock,
}

#[cfg(loom)]
mod mutant {
    extern crate std;
    use core::cell::Cell;

    std::thread_local! {
        /// Where counters begin.
        static FIRST_COUNT: Cell<u64> = const { Cell::new(0) };
        /// The barrier that is left out. The model checker runs all threads of a test on one of the host's.
        static LEFT_OUT: Cell<Option<crate::sync::Barrier>> = const { Cell::new(None) };
    }

    /// Leaves a barrier out, on this host thread, until told otherwise.
    pub fn leave_out(barrier: Option<crate::sync::Barrier>) {
        LEFT_OUT.with(|cell| cell.set(barrier));
    }

    /// Has counters that are made on this host thread begin here.
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

/// Where counters begin.
#[cfg(not(loom))]
pub(crate) const fn first_count() -> u64 {
    0
}

/// Whether a barrier is not left out.
#[cfg(not(loom))]
#[inline]
pub(crate) const fn in_force(_: Barrier) -> bool {
    true
}

/// The ordering of a barrier's access, where the barrier stands.
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

/// Does something again and again until something is so.
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

    /// Its value, without any order.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Its value, on the only CPU that stores it.
    #[inline]
    pub fn mine(&self) -> u64 {
        #[cfg(loom)]
        return self.0.last();
        #[cfg(not(loom))]
        self.get()
    }

    /// Stores, without any order.
    #[inline]
    pub fn put(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Its value; what was stored before it was released is seen.
    #[inline]
    pub fn acquire(&self, barrier: Barrier) -> u64 {
        self.0.load(order(barrier, Ordering::Acquire))
    }

    /// Stores, behind all that this CPU did before.
    #[inline]
    pub fn release(&self, value: u64, barrier: Barrier) {
        self.0.store(value, order(barrier, Ordering::Release));
    }

    /// Adds behind all that this CPU did before, and says what it was.
    #[inline]
    pub fn add(&self, count: u64, barrier: Barrier) -> u64 {
        self.0.fetch_add(count, order(barrier, Ordering::AcqRel))
    }

    /// Subtracts behind all that this CPU did before, and says what it was.
    #[inline]
    pub fn sub(&self, count: u64, barrier: Barrier) -> u64 {
        self.0.fetch_sub(count, order(barrier, Ordering::AcqRel))
    }

    /// Sets bits behind all that this CPU did before, and says what they were.
    #[inline]
    pub fn or(&self, bits: u64, barrier: Barrier) -> u64 {
        self.0.fetch_or(bits, order(barrier, Ordering::AcqRel))
    }

    /// Keeps only these bits, behind all that this CPU did before.
    #[inline]
    pub fn and(&self, bits: u64, barrier: Barrier) {
        self.0.fetch_and(bits, order(barrier, Ordering::AcqRel));
    }

    /// Stores another value and returns the one that was there; ordered with everything that the CPU did before and does
    /// after.
    #[inline]
    pub fn swap(&self, value: u64, barrier: Barrier) -> u64 {
        self.0.swap(value, order(barrier, Ordering::AcqRel))
    }

    /// Replaces a value that is still there, after everything that this CPU did before. Returns whether it was there.
    #[inline]
    pub fn replace(&self, old: u64, new: u64, barrier: Barrier) -> bool {
        let release = order(barrier, Ordering::Release);
        let done = self
            .0
            .compare_exchange(old, new, release, Ordering::Relaxed);
        done.is_ok()
    }
}

/// A number that one CPU writes, and that orders nothing: the model checker does not look at it.
#[derive(Debug, Default)]
pub struct Own(core::sync::atomic::AtomicU64);

impl Own {
    /// Returns a number with a value.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(core::sync::atomic::AtomicU64::new(value))
    }

    /// Its value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// Stores.
    #[inline]
    pub fn put(&self, value: u64) {
        self.0.store(value, core::sync::atomic::Ordering::Relaxed);
    }

    /// Adds.
    #[inline]
    pub fn count(&self, more: u64) {
        self.put(self.get().wrapping_add(more));
    }
}

/// Numbers that one CPU leaves for others, and that order nothing: who writes and who reads is ordered by other
/// words, or the model checker complains.
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

    /// For whoever writes them: nobody else reads or writes them meanwhile.
    #[inline]
    pub fn to_write(&self) -> impl Iterator<Item = &Own> {
        #[cfg(loom)]
        self.order.with_mut(|_| ());
        self.numbers.iter()
    }

    /// For whoever reads them: nobody writes them meanwhile.
    #[inline]
    pub fn to_read(&self) -> impl Iterator<Item = &Own> {
        #[cfg(loom)]
        self.order.with(|_| ());
        self.numbers.iter()
    }
}

/// A lock of the runtime's own, held for a few instructions.
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

    /// Runs behind the lock; `meanwhile` is called again and again while somebody else has it.
    pub fn with<R>(&self, poll: impl FnMut(), run: impl FnOnce() -> R) -> R {
        // Orderings are named in the call: where they are known an exchange has no panic left.
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
