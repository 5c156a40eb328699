//! Faults that this crate once had, or could have, which a test can switch on.
//!
//! In: nothing. Out: whether a fault is put back. Holds: in a kernel's build none is.
//!
//! Each fault is kept next to its fix, as the other branch of one `if`. In a kernel's build the condition is a constant
//! `false`, and the compiler removes the branch. A test puts one fault back and expects the model checker, or random programs
//! (`tlbc torment --runtime --knobs`), to find it, so a test that stops finding it fails.

/// Declares the faults, and the list of them.
macro_rules! faults {
    ($($(#[$what:meta])* $fault:ident,)*) => {
        /// A fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($(#[$what])* $fault,)*
        }

        impl Fault {
            /// All of them.
            #[cfg(any(loom, feature = "torment"))]
            pub const ALL: &[Self] = &[$(Self::$fault),*];
        }
    };
}

faults! {
    /// Which CPUs leave the cpumask after a flush of everything is decided by what they have loaded after the flush.
    TrimsAfterFlush,
    /// A CPU that enters the cpumask while a flush of everything removes it stays removed.
    TrimsEntering,
    /// A flush looks for other CPUs in the cpumask before walkers see the change.
    LooksBeforePublish,
    /// A flush of this CPU alone takes changes for published that are not.
    ClaimsPublished,
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
    /// A page is redeemed with the proof of an earlier wait.
    RedeemsEarly,
    /// A batched unmap ends without a wait for the pages that nothing has waited for.
    EndsUnwaited,
    /// A dirty page may be written to disk before its entry is flushed.
    WritesUnwaited,
    /// A page whose entry is clean may be written to disk while another gather has not flushed what it cleared.
    TrustsCleanEntries,
    /// The stricter entry stays after a fault that the table does not justify.
    LeavesStricter,
    /// A fault leaves the negative entry.
    LeavesNegative,
    /// A new entry requires no flush although a negative entry may be cached.
    IgnoresNegative,
    /// A flush that sends a message to other CPUs runs with interrupts on.
    FlushesInterrupted,
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
    /// Pages are released before the flush.
    ReleasesBeforeFlush,
    /// Tables are freed before the flush.
    FreesTablesBeforeFlush,
    /// A gather that ends while others of its space have changes that are not flushed does not flush them.
    IgnoresOtherGathers,
    /// Of the changes of a gather only the first range is recorded.
    RecordsFirstRange,
    /// A flush does not raise the generation of its space.
    RaisesNoGeneration,
    /// A CPU that missed a generation flushes only what the present one requires.
    SkipsGenerations,
    /// A lazy CPU uses its space again without looking at the generation.
    LeavesLazyStale,
    /// A CPU enters the cpumask after it has loaded the root.
    EntersMaskLate,
    /// A CPU reads the generation of a space before it is a target of flushes of the space.
    ReadsGenerationEarly,
    /// A CPU attaches a space while an instruction changes an entry of it.
    AttachesDuringChange,
    /// A sender does not wait for the acknowledgement of one of the CPUs.
    WaitsForOneLess,
    /// A CPU acknowledges a message before it reads it.
    AcknowledgesUnread,
    /// A rollover does not make CPUs flush.
    RollsOverUnflushed,
    /// A CPU that reserves the old tag of a space does not reserve its tag in the present generation.
    KeepsOldReservation,
    /// A slot is given to another space without a flush of its tag.
    ReusesSlotUnflushed,
    /// The flush of the user view that was deferred is forgotten.
    ForgetsView,
    /// Other tags of a CPU are not invalidated.
    ForgetsOtherTags,
    /// The loaded space gets a new tag in place of a flush, which is not loaded.
    KeepsLoadedTag,
    /// What a flush defers on its CPU is recorded after the CPU has waited for others.
    DefersAfterWait,
    /// A locked section does not complete the batched unmaps that are pending.
    ForgetsBatchedUnmaps,
    /// A CPU leaves the cpumask of a space before it has loaded another root.
    LeavesMaskEarly,
    /// A large page is replaced by a table, or a table by a large page, while the old one may be cached.
    ChangesSizeInPlace,
    /// When a table with valid entries is unlinked, only what was cached of its link is flushed.
    OverlooksBelow,
    /// A table is detached without a flush.
    DetachesUnflushed,
    /// User code runs on the top table of the kernel's view.
    LoadsOneTable,
    /// The counts of flags are changed without a lock.
    CountsUnlocked,
    /// The release of a space leaves its tag pinned.
    KeepsPins,
    /// The release of a space reads what a CPU has loaded again, after it has waited for the end of a switch.
    ReadsLoadedAgain,
    /// The bits of an entry that is replaced are those that were read before it changed.
    ReturnsEarlyMarks,
    /// A change by an instruction requires no flush for devices that only their driver can reach.
    OverlooksDrivers,
}

#[cfg(any(loom, feature = "torment"))]
mod put_back {
    extern crate std;
    use core::cell::Cell;

    use crate::fault::Fault;

    std::thread_local! {
        /// The fault that is put back. All CPUs of a test run on one host thread.
        static BACK: Cell<Option<Fault>> = const { Cell::new(None) };
        /// Whether its place was reached.
        static REACHED: Cell<bool> = const { Cell::new(false) };
    }

    /// Puts a fault back, on this host thread, until the next call.
    pub fn put_back(fault: Option<Fault>) {
        BACK.set(fault);
        REACHED.set(false);
    }

    /// Returns whether the place of the fault was reached since it was put back.
    #[must_use]
    pub fn is_reached() -> bool {
        REACHED.get()
    }

    pub(crate) fn is_back(fault: Fault) -> bool {
        let is_back = BACK.get() == Some(fault);
        if is_back {
            REACHED.set(true);
        }
        is_back
    }
}

#[cfg(any(loom, feature = "torment"))]
pub(crate) use put_back::is_back;
#[cfg(any(loom, feature = "torment"))]
pub use put_back::{is_reached, put_back};

/// Returns whether a fault is put back.
#[cfg(not(any(loom, feature = "torment")))]
#[inline]
pub(crate) const fn is_back(_: Fault) -> bool {
    false
}
