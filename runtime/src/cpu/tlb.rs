//! What the runtime keeps for each CPU.

use crate::cpu::message::Outbox;
use crate::deferred::{AsidSlots, LoadedTag, SLOTS};
use crate::mask::{CpuMask, no_cpus};
use crate::request::SpaceId;
use crate::stats::CpuStats;
use crate::sync::{Barrier, Own, Word, const_fn};

/// What the runtime keeps for a CPU: the platform holds one for each.
pub struct CpuTlb<S: CpuMask> {
    /// The space whose root is loaded, by its id. Others read it to see whom to tell.
    pub(crate) loaded: Word,
    /// Whether it is loaded without being used. Others read it as well.
    pub(crate) lazy: Word,
    /// The tag that is loaded, if it means the same space on every CPU; otherwise 0.
    pub(crate) tag: Own,
    /// The spaces that this CPU remembers, and what it has deferred.
    pub(crate) slots: AsidSlots,
    /// The tag that runs here, from the machine's generations; 0 from a rollover to the next load.
    pub(crate) running_tag: Word,
    /// The tag that ran here at the last rollover.
    pub(crate) reserved_tag: Word,
    /// During a switch the tag that may still be loaded; otherwise 0.
    pub(crate) leaving_tag: Word,
    /// Whose outboxes are meant for this CPU.
    pub(crate) inbox: S::Shared,
    /// What this CPU asks of others.
    pub(crate) outbox: Outbox,
    /// What happened here.
    pub(crate) stats: CpuStats,
}

impl<S: CpuMask> CpuTlb<S> {
    const_fn! {
        /// Returns the data of a CPU that is not on line.
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
                inbox: no_cpus(),
                outbox: Outbox::new(),
                stats: CpuStats::new(),
            }
        }
    }
}

/// What a CPU has loaded, as [`Mmu::loaded`](crate::Mmu::loaded) answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// No root that the runtime knows: the CPU is offline.
    Nothing,
    /// The kernel's root.
    Kernel,
    /// The root of a user space. Whether it is in use or lazy makes no difference to what an access reaches.
    Space(SpaceId),
    /// One of two: the CPU is replacing its root.
    Switching,
}

impl<S: CpuMask> CpuTlb<S> {
    /// What this CPU has loaded, as others see it; what it did through another one before is done.
    pub(crate) fn loaded(&self) -> SpaceId {
        SpaceId(self.loaded.acquire(Barrier::Unloaded))
    }

    /// Which tag this CPU has loaded. Called on that CPU.
    pub(crate) fn loaded_tag(&self) -> LoadedTag {
        match SpaceId(self.loaded.mine()) {
            SpaceId::KERNEL => LoadedTag::KernelRoot,
            space => LoadedTag::Slot(self.slots.find(space, SLOTS)),
        }
    }

    /// Whether it has a space loaded, or is on the way from one to another that may be this.
    pub(crate) fn may_have_loaded(&self, space: SpaceId) -> bool {
        let loaded = self.loaded();
        loaded == space || loaded == SpaceId::SWITCHING
    }
}

impl<S: CpuMask> Default for CpuTlb<S> {
    fn default() -> Self {
        Self::new()
    }
}
