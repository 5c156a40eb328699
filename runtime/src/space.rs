//! Address spaces, as the runtime knows them.

use crate::cpus::{CpuMask, no_cpus};
use crate::debts::Ledger;
use crate::devices::Wanted;
use crate::platform::Platform;
use crate::request::{Space, SpaceFlags};
use crate::sync::{Barrier, Word, const_fn};
use crate::tags::Tagging;

/// Which address space: given out once, never again. 64 bits, so that at a new space every nanosecond none is given out
/// again for 500 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceId(pub(crate) u64);

impl SpaceId {
    /// No space at all.
    pub(crate) const NONE: Self = Self(0);
    /// The kernel's.
    pub const KERNEL: Self = Self(1);
    /// The first of a user's.
    pub(crate) const FIRST: u64 = 2;
    /// What a CPU has loaded that is loading another: it counts as a CPU of every space.
    pub(crate) const SWITCHING: Self = Self(u64::MAX);
}

/// An address space: who may have cached something of it, and what is owed for it.
///
/// The kernel keeps one beside the tables, in memory that lives as long as a CPU may have the root loaded:
/// [`Mmu::release`](crate::Mmu::release) says when that is over.
pub struct AddressSpace<P: Platform> {
    pub(crate) id: SpaceId,
    pub(crate) kind: Space,
    /// Top tables: of the view that the kernel runs on, and of the one that user code runs on.
    pub(crate) table: u64,
    pub(crate) user_table: u64,
    pub(crate) tagging: Tagging,
    /// Its tag, where that is the same on every CPU; with its generation, where tags have generations.
    pub(crate) tag: Word,
    /// How many pins keep the tag across rollovers. Read and written with the lock of the tags held.
    pub(crate) pins: Word,
    /// Of how many lines of its book a CPU remembers it in; 0 where instructions reach every CPU.
    pub(crate) lines: usize,
    /// CPUs that may have entries of it. Only a CPU itself takes itself out, except behind
    /// [`changes`](Self::changes).
    pub(crate) holders: <P::CpuSet as CpuMask>::Shared,
    /// What is owed.
    pub(crate) ledger: Ledger,
    /// Gathers under way: fewer than there are threads, so that 64 bits do not wrap. So do the next two not.
    pub(crate) gathers: Word,
    /// Changes under way, where attaching waits for them.
    pub(crate) changes: Word,
    /// Devices attached.
    pub(crate) devices: Word,
    /// What holds of the space now: what [always](Self::always) does, and what some device [wants](Self::wanted).
    pub(crate) flags: Word,
    /// What holds of a user's without any device.
    pub(crate) always: SpaceFlags,
    /// How many devices want each flag. Read and written with the lock of the devices held.
    pub(crate) wanted: Wanted,
}

impl<P: Platform> AddressSpace<P> {
    const_fn! {
        pub(crate) const fn new(
            id: SpaceId,
            kind: Space,
            tables: (u64, u64),
            tagging: Tagging,
            lines: usize,
        ) -> Self {
            Self {
                id,
                kind,
                table: tables.0,
                user_table: tables.1,
                tagging,
                tag: Word::new(0),
                pins: Word::new(0),
                lines,
                holders: no_cpus(),
                ledger: Ledger::new(),
                gathers: Word::new(0),
                changes: Word::new(0),
                devices: Word::new(0),
                flags: Word::new(0),
                always: SpaceFlags::NONE,
                wanted: Wanted::none(),
            }
        }
    }

    /// Which it is.
    #[must_use]
    pub fn id(&self) -> SpaceId {
        self.id
    }

    /// Whether it is the kernel's or a user's.
    #[must_use]
    pub fn kind(&self) -> Space {
        self.kind
    }

    /// Whether devices are attached; what those did that are not any more is done.
    #[inline]
    pub(crate) fn has_devices(&self) -> bool {
        self.devices.acquire(Barrier::Due) != 0
    }

    /// What holds of it now; what was done through devices that wanted more is done.
    #[must_use]
    pub fn flags(&self) -> SpaceFlags {
        SpaceFlags(self.flags.acquire(Barrier::Due) as u32)
    }

    /// Whether entries that were cleared may still be cached: a gather is under way, or a flush is owed. Under the
    /// lock of a table whose entries somebody changed this is never a moment too early.
    ///
    /// For those who would otherwise believe that an entry which is not valid cannot be used.
    #[must_use]
    pub fn flush_pending(&self) -> bool {
        self.gathers.get() != 0 || self.ledger.dues().count() != 0
    }
}
