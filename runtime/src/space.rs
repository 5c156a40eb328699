//! Address spaces, as the runtime knows them.

use crate::deferred::{PendingFlushes, TlbGen};
use crate::mask::{CpuMask, no_cpus};
use crate::request::{Space, SpaceFlags, SpaceId};
use crate::sync::{Barrier, Own, Word, const_fn};

/// An address space: who may have cached something of it, and what is owed for it.
///
/// The kernel keeps one beside the tables, in memory that lives as long as a CPU may have the root loaded:
/// [`Mmu::release`](crate::Mmu::release) says when that is over.
pub struct AddressSpace<S: CpuMask> {
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
    /// How many of its slots a CPU may remember it in; 0 where instructions reach every CPU.
    pub(crate) slots: usize,
    /// CPUs that may have entries of it. Only a CPU itself takes itself out, except behind
    /// [`changes`](Self::changes).
    pub(crate) holders: S::Shared,
    /// How often its tables have changed.
    pub(crate) tlb_gen: TlbGen,
    /// Flushes of everything of it that are deferred.
    pub(crate) pending: PendingFlushes,
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

impl<S: CpuMask> AddressSpace<S> {
    const_fn! {
        pub(crate) const fn new(
            id: SpaceId,
            kind: Space,
            tables: (u64, u64),
            tagging: Tagging,
            slots: usize,
        ) -> Self {
            Self {
                id,
                kind,
                table: tables.0,
                user_table: tables.1,
                tagging,
                tag: Word::new(0),
                pins: Word::new(0),
                slots,
                holders: no_cpus(),
                tlb_gen: TlbGen::new(),
                pending: PendingFlushes::new(),
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
        self.devices.acquire(Barrier::Pending) != 0
    }

    /// What holds of it now; what was done through devices that wanted more is done.
    #[must_use]
    pub fn flags(&self) -> SpaceFlags {
        SpaceFlags(self.flags.acquire(Barrier::Pending) as u32)
    }

    /// Whether entries that were cleared may still be cached: a gather is under way, or a flush is owed. Under the
    /// lock of a table whose entries somebody changed this is never a moment too early.
    ///
    /// For those who would otherwise believe that an entry which is not valid cannot be used.
    #[must_use]
    pub fn flush_pending(&self) -> bool {
        self.gathers.get() != 0 || self.pending.pending().count() != 0
    }
}

/// Where a space has its tag from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tagging {
    /// It has none: loading a root drops everything.
    None,
    /// Each CPU gives it one of its own.
    Cpu,
    /// From the machine's generations.
    Generations,
    /// One for life.
    Life,
    /// The address of its top table.
    Root,
    /// That of [`Platform::kernel_root`](crate::Platform::kernel_root): the kernel's space alone.
    Kernel,
}

/// How many devices want a flag of a space, for each flag: sixteen bits each.
#[derive(Debug)]
pub(crate) struct Wanted([Own; 8]);

impl Wanted {
    /// Returns counts of 0.
    pub(crate) const fn none() -> Self {
        Self([const { Own::new(0) }; 8])
    }

    /// The count of a flag, by its bit.
    pub(crate) fn count(&self, bit: u32) -> u64 {
        let word = self.0.get(bit as usize / 4).map_or(0, Own::get);
        word >> (16 * (bit % 4)) & 0xffff
    }

    /// Sets the count of a flag.
    pub(crate) fn set(&self, bit: u32, count: u64) {
        if let Some(word) = self.0.get(bit as usize / 4) {
            let shift = 16 * (bit % 4);
            word.put(word.get() & !(0xffff << shift) | count << shift);
        }
    }
}
