//! Faults that this crate once had, or could have, which a test can switch on.
//!
//! In: nothing. Out: whether a fault is put back. Holds: in a build without the model checker none is.
//!
//! Each fault is kept next to its fix, as the other branch of one `if`. Outside the model checker's build the condition is
//! a constant `false`, and the compiler removes the branch. A test puts one fault back and expects the model checker to
//! find it, so a scenario that stops finding it fails.

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Which CPUs leave the cpumask after a flush of everything is decided by what they have loaded after the flush.
    TrimsAfterFlush,
    /// A CPU that enters the cpumask while a flush of everything removes it stays removed.
    TrimsEntering,
    /// A flush looks for other CPUs in the cpumask before walkers see the change.
    LooksBeforePublish,
    /// A flush of this CPU alone is chosen although devices have the space attached or its tag pinned.
    OverlooksDevices,
    /// A teardown is not flushed although a CPU has the space loaded lazily.
    OverlooksLazy,
    /// The kernel root's tag is not among those that are invalidated lazily.
    ForgetsKernelRoot,
    /// A pin is looked up by the value of a tag, not by its space.
    PinsByValue,
    /// Pins are not counted: the first unpin ends all.
    PinsOnce,
    /// Locks are taken with interrupts on.
    LocksInterrupted,
    /// Only 32 bits of the tag generation are compared.
    ComparesHalfGenerations,
    /// A change of the attributes of a page requires no flush.
    IgnoresAttributes,
    /// A kernel page that gets more rights is not flushed: the stale entry is left to a fault.
    KernelFaults,
    /// A batched unmap starts flushes with interrupts on.
    ReclaimsInterrupted,
    /// A CPU that takes part in a rollover flushes while the root that it leaves is still loaded.
    FlushesUnderOldRoot,
    /// The flags of a space are not counted: the last device to leave clears the bits that other users set.
    ClearsFlagsOfOthers,
    /// The flags of a space are read before an entry is stored, and not again.
    ReadsFlagsEarly,
    /// A new entry is stored where others made one invalid, without the flush of the old one.
    MapsUnflushed,
    /// A CPU that comes online flushes before it loads the kernel's root.
    FlushesBeforeRoot,
    /// A CPU that comes online loads the kernel's root without flushing what it had cached under that root's tag.
    KeepsStaleRoot,
}

#[cfg(loom)]
mod put_back {
    extern crate std;
    use core::cell::Cell;

    use crate::fault::Fault;

    std::thread_local! {
        /// The fault that is put back. The model checker runs all threads of a test on one host thread.
        static BACK: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Puts a fault back, on this host thread, until the next call.
    pub fn put_back(fault: Option<Fault>) {
        BACK.with(|cell| cell.set(fault));
    }

    pub(crate) fn is_back(fault: Fault) -> bool {
        BACK.with(|cell| cell.get() == Some(fault))
    }
}

#[cfg(loom)]
pub(crate) use put_back::is_back;
#[cfg(loom)]
pub use put_back::put_back;

/// Returns whether a fault is put back.
#[cfg(not(loom))]
#[inline]
pub(crate) const fn is_back(_: Fault) -> bool {
    false
}
