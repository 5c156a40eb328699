//! Faults that this crate once had, which a test can put back.
//!
//! Each stands where it was mended, as the other branch of one `if`. Outside the model checker's build the condition is
//! `false` when the crate is compiled, and nothing of it is left. A test puts one fault back and expects that it is found:
//! so a scenario that stops finding it fails.

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Which CPUs leave the cpumask after a flush of everything is decided by what they have loaded after the flush.
    TrimsAfterFlush,
    /// A CPU that enters the cpumask while a flush of everything takes it out stays out.
    TrimsEntering,
    /// The kernel root's tag is not among those that are invalidated lazily.
    ForgetsKernelRoot,
    /// A pin is looked up by the value of a tag, not by its space.
    PinsByValue,
    /// Pins are not counted: the first unpin ends all.
    PinsOnce,
    /// Locks are taken with interrupts on.
    LocksInterrupted,
    /// Of the tag generation only 32 bits are compared.
    ComparesHalfGenerations,
    /// Other attributes of the same page require nothing.
    IgnoresAttributes,
    /// More rights for a kernel page are left to a fault.
    KernelFaults,
    /// A batched unmap starts flushes with interrupts on.
    ReclaimsInterrupted,
    /// A CPU that takes part in a rollover flushes while the root is loaded that it leaves.
    FlushesUnderOldRoot,
    /// The flags of a space are a set of bits that the last device to leave clears.
    ClearsFlagsOfOthers,
    /// The flags of a space are read before an entry is stored, and not again.
    ReadsFlagsEarly,
    /// A CPU that comes online flushes before it loads the kernel's root.
    FlushesBeforeRoot,
    /// A CPU that comes online loads the kernel's root with what it had cached under the tag of that.
    KeepsStaleRoot,
}

#[cfg(loom)]
mod put_back {
    extern crate std;
    use core::cell::Cell;

    use crate::fault::Fault;

    std::thread_local! {
        /// The fault that is there. The model checker runs all threads of a test on one of the host's.
        static BACK: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Puts a fault back, on this host thread, until told otherwise.
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

/// Whether a fault is there.
#[cfg(not(loom))]
#[inline]
pub(crate) const fn is_back(_: Fault) -> bool {
    false
}
