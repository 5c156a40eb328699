//! Address spaces: what the runtime records about each.

use crate::backend::Backend;
use crate::cpu::CpuTlb;
use crate::deferred::{AsidSlot, PendingFlushes, TlbGen};
use crate::mask::{CpuMask, no_cpus};
use crate::request::{Space, SpaceFlags, SpaceId, Tag};
use crate::sync::{Barrier, CacheLine, Word, const_fn};
use crate::tag::value;

/// An address space: which agents may have cached entries of it, and which flushes of it are pending.
///
/// The kernel keeps one with the tables, in memory that lives as long as a CPU may have the root loaded:
/// [`Mmu::release`](crate::Mmu::release) returns when no CPU can have it loaded any more.
pub struct AddressSpace<S: CpuMask> {
    pub(crate) id: SpaceId,
    pub(crate) kind: Space,
    /// The top tables of the view that the kernel runs on, and of the view that user code runs on.
    pub(crate) table: u64,
    pub(crate) user_table: u64,
    pub(crate) tagging: Tagging,
    /// The tag, if it is global; with its generation, if tags have generations. 0 if there is none.
    pub(crate) tag: Word,
    /// The number of pins that keep the tag across rollovers, for devices that use it. Written with the lock of the tags held.
    pub(crate) pins: Word,
    /// How many of its ASID slots a CPU may use for this space; 0 if instructions reach every CPU.
    pub(crate) slots: usize,
    /// The cpumask: the CPUs that may have entries of the space. Only a CPU itself clears its bit, except a flush that removes
    /// CPUs while [`changes`](Counts::changes) makes CPUs wait that attach the space.
    pub(crate) cpumask: CacheLine<S::Shared>,
    /// What every gather and every flush writes.
    pub(crate) counts: CacheLine<Counts>,
    /// Deferred flushes of everything of the space.
    pub(crate) pending: PendingFlushes,
    /// The number of devices attached. It is at most the number of devices, so 64 bits do not wrap.
    pub(crate) devices: Word,
    /// The space flags that are set now: those that are [always](Self::always) set, and those that some device
    /// [needs](Self::flag_counts).
    pub(crate) flags: Word,
    /// The flags that a user space has without any device.
    pub(crate) always: SpaceFlags,
    /// How many devices need each flag. Read and written with the lock of the devices held.
    pub(crate) flag_counts: FlagCounts,
}

/// The counts of a space that every gather or flush of it writes.
#[derive(Debug)]
pub(crate) struct Counts {
    /// The TLB generation: how often the tables have changed.
    pub tlb_gen: TlbGen,
    /// The number of gathers in progress. It is at most the number of threads, so 64 bits do not wrap; the same is true of
    /// [`changes`](Self::changes).
    pub gathers: Word,
    /// The number of changes in progress, on a machine on which attaching waits for them.
    pub changes: Word,
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
                cpumask: CacheLine(no_cpus()),
                counts: CacheLine(Counts {
                    tlb_gen: TlbGen::new(),
                    gathers: Word::new(0),
                    changes: Word::new(0),
                }),
                pending: PendingFlushes::new(),
                devices: Word::new(0),
                flags: Word::new(0),
                always: SpaceFlags::NONE,
                flag_counts: FlagCounts::none(),
            }
        }
    }

    /// Returns the number that identifies the space.
    ///
    /// # Context
    ///
    /// Any.
    #[must_use]
    pub fn id(&self) -> SpaceId {
        self.id
    }

    /// Returns whether this is the kernel's space or a user space.
    ///
    /// # Context
    ///
    /// Any.
    #[must_use]
    pub fn kind(&self) -> Space {
        self.kind
    }

    /// Returns the ASID slot that the space has on a CPU. Called on that CPU.
    #[inline]
    pub(crate) fn slot_on(&self, here: &CpuTlb<S>) -> Option<AsidSlot> {
        if self.slots == 0 {
            None
        } else {
            here.slots.find(self.id)
        }
    }

    /// Returns the tag of the space on a CPU that has it in this slot; 0 on a CPU on which it has none.
    #[inline]
    pub(crate) fn tag_on(
        &self,
        here: &CpuTlb<S>,
        slot: Option<AsidSlot>,
        backend: &impl Backend,
    ) -> Tag {
        match self.tagging {
            Tagging::Cpu => here.slots.tag(slot, backend.tags().per_cpu),
            tagging => Tag {
                value: match tagging {
                    Tagging::Generations => value(self.tag.get()),
                    _ => self.tag.get(),
                },
                global: tagging != Tagging::None,
            },
        }
    }

    /// Returns whether devices are attached. The flush that detached a device is complete when this no longer counts it (acquire).
    #[inline]
    pub(crate) fn has_devices(&self) -> bool {
        self.devices.acquire(Barrier::Pending) != 0
    }

    /// Returns whether devices may have entries of the space: those that are attached, and those that use its pinned tag. The flush
    /// after which a pin was undone is complete when this no longer counts it (acquire).
    #[inline]
    pub(crate) fn has_devices_or_pins(&self) -> bool {
        self.has_devices() || self.pins.acquire(Barrier::Pending) != 0
    }

    /// Returns the flags that the space has now. The flush that detached a device is complete when its flags are no longer set
    /// (acquire).
    ///
    /// # Context
    ///
    /// Any.
    #[must_use]
    pub fn flags(&self) -> SpaceFlags {
        SpaceFlags(self.flags.acquire(Barrier::Pending) as u32)
    }

    /// Returns whether entries that were made invalid may still be cached: a gather is in progress, or a flush is pending.
    ///
    /// Code calls this before it relies on the fact that an invalid entry cannot be used.
    ///
    /// # Context
    ///
    /// Any. With the lock of a table held, the result includes every change that was made with that lock held.
    #[must_use]
    pub fn flush_pending(&self) -> bool {
        self.counts.gathers.get() != 0 || self.pending.pending().count() != 0
    }
}

impl<S: CpuMask> AsRef<Self> for AddressSpace<S> {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Where the tag of a space comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tagging {
    /// It has none: loading a root invalidates everything.
    None,
    /// Each CPU assigns its own.
    Cpu,
    /// A global tag of the present generation.
    Generations,
    /// One global tag for the life of the space.
    Life,
    /// The address of its top table.
    Root,
    /// The tag of [`Platform::kernel_root`](crate::Platform::kernel_root). Only the kernel's space has it.
    Kernel,
}

/// How many devices need each flag of a space, sixteen bits for each flag.
#[derive(Debug)]
pub(crate) struct FlagCounts([Word; 8]);

impl FlagCounts {
    const_fn! {
        /// Returns counts of 0.
        pub(crate) const fn none() -> Self {
            #[cfg(not(loom))]
            return Self([const { Word::new(0) }; 8]);
            #[cfg(loom)]
            Self(core::array::from_fn(|_| Word::new(0)))
        }
    }

    /// Returns the count of a flag, by its bit.
    pub(crate) fn count(&self, bit: u32) -> u64 {
        let word = self.0.get(bit as usize / 4).map_or(0, Word::get);
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
