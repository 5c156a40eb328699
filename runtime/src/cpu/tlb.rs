//! What the runtime keeps for each CPU.
//!
//! In: what a CPU loads and defers. Out: its state, for itself and for other CPUs. Holds: only the CPU writes its words,
//! except in its mailbox, and `running_tag` and `reserved_tag`, which other CPUs write with the lock of the tags held.

use crate::backend::Backend;
use crate::cpu::mailbox::Mailbox;
use crate::deferred::{AsidSlots, Deferred, LoadedTag};
use crate::mask::{CpuId, CpuMask};
use crate::request::SpaceId;
use crate::stats::CpuStats;
use crate::sync::{Barrier, Own, Word, const_fn};

/// What the runtime keeps for a CPU. The platform holds one for each. It shares no cache line with anything else.
#[repr(align(128))]
pub struct CpuTlb<S: CpuMask> {
    /// The id of the space whose root is loaded. Other CPUs read it to find IPI targets.
    pub(crate) loaded: Word,
    /// Whether the space is loaded lazily. Other CPUs read it to find IPI targets.
    pub(crate) lazy: Word,
    /// The tag that is loaded, if it means the same space on every CPU; otherwise 0.
    pub(crate) tag: Own,
    /// The spaces of which this CPU may hold entries, and its deferred flushes.
    pub(crate) slots: AsidSlots,
    /// The tag from generations that runs here; 0 from a rollover to the next load.
    pub(crate) running_tag: Word,
    /// The tag that ran here at the last rollover.
    pub(crate) reserved_tag: Word,
    /// During a switch, the tag that may still be loaded; otherwise 0.
    pub(crate) leaving_tag: Word,
    /// Messages to this CPU, and its message to others.
    pub(crate) mailbox: Mailbox<S>,
    /// Counts of this CPU's flushes and IPIs.
    pub(crate) stats: CpuStats,
}

impl<S: CpuMask> CpuTlb<S> {
    const_fn! {
        /// Returns the data of a CPU that is offline.
        #[must_use]
        pub const fn new() -> Self {
            Self {
                loaded: Word::new(SpaceId::NONE.0),
                lazy: Word::new(0),
                tag: Own::new(0),
                slots: AsidSlots::new(),
                running_tag: Word::new(0),
                reserved_tag: Word::new(0),
                leaving_tag: Word::new(0),
                mailbox: Mailbox::new(),
                stats: CpuStats::new(),
            }
        }
    }
}

/// What a CPU has loaded, as [`Mmu::loaded`](crate::Mmu::loaded) returns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// No root that the runtime knows: the CPU is offline.
    Nothing,
    /// The kernel's root.
    Kernel,
    /// The root of a user space. Whether it is in use or lazy makes no difference to what an access reaches.
    Space(SpaceId),
    /// The old root or the new one: the CPU is replacing its root.
    Switching,
}

impl<S: CpuMask> CpuTlb<S> {
    /// Returns what this CPU has loaded, as other CPUs see it. Its accesses through the previous root are complete.
    pub(crate) fn loaded(&self) -> SpaceId {
        SpaceId(self.loaded.acquire(Barrier::Unloaded))
    }

    /// Returns which tag this CPU has loaded. Called on that CPU.
    pub(crate) fn loaded_tag(&self) -> LoadedTag {
        match SpaceId(self.loaded.mine()) {
            SpaceId::KERNEL => LoadedTag::KernelRoot,
            space => LoadedTag::Slot(self.slots.find(space)),
        }
    }

    /// Returns whether this CPU has a space loaded, or is switching, possibly to that space.
    pub(crate) fn may_have_loaded(&self, space: SpaceId) -> bool {
        [space, SpaceId::SWITCHING].contains(&self.loaded())
    }

    /// Records the flushes that a backend has deferred on this CPU. Called on that CPU.
    #[inline]
    pub(crate) fn defer<B: Backend>(&self, backend: &B, deferred: Deferred) {
        if !deferred.is_nothing() {
            self.defer_under(backend, deferred, self.loaded_tag());
        }
    }

    /// Records deferred flushes of this CPU, which has this tag loaded. Flushes of lazy and inactive CPUs are recorded already,
    /// by the generation of the space.
    #[inline(never)]
    pub(crate) fn defer_under<B: Backend>(
        &self,
        backend: &B,
        deferred: Deferred,
        loaded: LoadedTag,
    ) {
        if deferred.contains(Deferred::OTHERS_UNTIL_LOAD) {
            self.stats.deferred.count(1);
            self.slots.invalidate_others(loaded);
            if backend.tags().global.is_some() {
                self.slots.defer_everything();
            }
        }
        if deferred.contains(Deferred::VIEW_UNTIL_RETURN) {
            match loaded {
                // No user code runs under the tag of the kernel's root.
                LoadedTag::KernelRoot => return,
                LoadedTag::Slot(Some(slot)) => self.slots.defer_view(slot),
                LoadedTag::Slot(None) => self.slots.defer_everything(),
            }
            self.stats.deferred.count(1);
        }
    }
}

/// The CPUs of a machine, as each of them sees the others.
pub(crate) trait Cpus {
    /// A set of them.
    type Set: CpuMask;

    /// Returns what is kept for a CPU.
    fn tlb(&self, cpu: CpuId) -> &CpuTlb<Self::Set>;

    /// Returns how many CPUs there are, online or not.
    fn count(&self) -> usize;

    /// Returns what is kept for every CPU, online or not.
    fn tlbs(&self) -> impl Iterator<Item = &CpuTlb<Self::Set>>;

    /// Returns the CPUs that take interrupts and have loaded a root.
    fn online(&self) -> &<Self::Set as CpuMask>::Shared;
}

impl<S: CpuMask> Default for CpuTlb<S> {
    fn default() -> Self {
        Self::new()
    }
}
