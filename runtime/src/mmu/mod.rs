//! [`Mmu`]: the state of the runtime, and what connects its parts to a kernel.
//!
//! The parts are structs that know no kernel: `Flush`, `Mailbox`, `AsidAllocator`, the state of a CPU ([`CpuTlb`]) and of a
//! space ([`AddressSpace`]). The files of this module pass them what the [`Platform`] has: the CPU, its sink, IPIs.

mod changes;
pub mod devices;
mod locks;
mod publish;
pub mod shootdown;
mod tags;

use crate::asid::{AsidAllocator, NoTag};
use crate::backend::{Backend, TagSource};
use crate::cpu::{CpuTlb, Cpus};
use crate::deferred::{AsidSlots, SLOTS};
use crate::mask::{CpuId, CpuMask, no_cpus};
use crate::platform::Platform;
use crate::request::{Space, SpaceFlags, SpaceId};
use crate::space::{AddressSpace, Tagging};
use crate::stats::Stats;
use crate::sync::{Barrier, Lock, Word, const_fn};

/// The runtime of a machine: one for all CPUs and all spaces.
///
/// Its constructor and that of [`CpuTlb`] are `const`, so a kernel keeps both in statics.
#[doc = include_str!("../../doc/statics.md")]
pub struct Mmu<P: Platform> {
    pub(crate) platform: P,
    /// CPUs that take interrupts and have loaded a root.
    pub(crate) online: <P::CpuSet as CpuMask>::Shared,
    pub(crate) asids: AsidAllocator,
    /// Held from the start to the finish of a flush, if the machine permits only one flush at a time.
    pub(crate) one_at_a_time: Lock,
    /// Held while the counts of a space's devices change.
    pub(crate) devices: Lock,
    ids: Word,
    /// The number of waits of batched unmaps that were given a number.
    pub(crate) waits: Word,
    kernel: AddressSpace<P::CpuSet>,
}

/// Why a CPU cannot [come online](Mmu::cpu_online): what the platform says about the machine is contradictory or insufficient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// The CPU's number is not below [`Platform::cpus`].
    NoSuchCpu {
        /// The CPU.
        cpu: CpuId,
        /// The number of CPUs.
        cpus: usize,
    },
    /// The machine has more CPUs than a CPU set can hold.
    TooManyCpus {
        /// The number of CPUs of the machine.
        cpus: usize,
        /// The number of CPUs that a set can hold.
        capacity: usize,
    },
    /// There are at most two tags for each CPU, or not enough [words](Platform::tag_words) to keep track of more. A CPU may use
    /// two tags at once: that of the space that it runs and, during a switch, that of the space that it leaves.
    TooFewTags,
}

impl core::fmt::Display for Unusable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoSuchCpu { cpu, cpus } => {
                write!(f, "CPU {} of a platform with {cpus} CPUs", cpu.0)
            }
            Self::TooManyCpus { cpus, capacity } => {
                write!(
                    f,
                    "the platform has {cpus} CPUs, and its sets hold {capacity}"
                )
            }
            Self::TooFewTags => f.write_str("there are not more than two tags for each CPU"),
        }
    }
}

impl core::error::Error for Unusable {}

/// The properties of a new address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewSpace {
    /// The physical address of the top table, in the view that is loaded while the kernel runs. On a machine on which this is the
    /// tag, it includes the other bits that the register requires.
    pub table: u64,
    /// The same for the view that user code runs on. It is the same table if there is only one view.
    pub user_table: u64,
    /// The flags that the space always has.
    pub flags: SpaceFlags,
    /// Whether the space has per-CPU tags, on a machine that has both per-CPU and global tags.
    pub per_cpu_tag: bool,
}

impl From<u64> for NewSpace {
    /// Returns a space with one top table, at this physical address, for every view.
    fn from(table: u64) -> Self {
        Self {
            table,
            user_table: table,
            ..Self::default()
        }
    }
}

impl<P: Platform> Mmu<P> {
    const_fn! {
        /// Returns the runtime of a machine whose CPUs are all offline until each calls [`cpu_online`](Self::cpu_online). That
        /// checks what the platform says; no method of the platform is called before.
        ///
        /// # Context
        ///
        /// Any, and in constants.
        #[must_use]
        pub const fn new(platform: P) -> Self {
            Self {
                platform,
                online: no_cpus(),
                asids: AsidAllocator::new(),
                one_at_a_time: Lock::new(),
                devices: Lock::new(),
                ids: Word::new(SpaceId::FIRST),
                waits: Word::counter(),
                kernel: AddressSpace::new(
                    SpaceId::KERNEL,
                    Space::Kernel,
                    (0, 0),
                    Tagging::Kernel,
                    0,
                ),
            }
        }
    }

    /// Checks what the platform says about the machine, for a CPU that comes online.
    pub(crate) fn check(&self, cpu: CpuId) -> Result<(), Unusable> {
        let (cpus, capacity) = (self.platform.cpus(), P::CpuSet::CAPACITY);
        if cpu.index() >= cpus {
            return Err(Unusable::NoSuchCpu { cpu, cpus });
        }
        if cpus > capacity {
            return Err(Unusable::TooManyCpus { cpus, capacity });
        }
        self.check_tags()
    }

    /// Returns the kernel's [`Platform`].
    ///
    /// # Context
    ///
    /// Any.
    #[must_use]
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// Returns the kernel's space, which every online CPU has loaded.
    ///
    /// # Context
    ///
    /// Any.
    #[must_use]
    pub fn kernel(&self) -> &AddressSpace<P::CpuSet> {
        &self.kernel
    }

    /// Returns a new user space, which no CPU has loaded.
    ///
    /// # Context
    ///
    /// Any except a non-maskable interrupt. It may wait for a lock of the runtime, which a CPU holds for a bounded number of
    /// instructions.
    ///
    /// # Errors
    ///
    /// If each space has one tag for its life and no tag is left.
    pub fn address_space(&self, new: NewSpace) -> Result<AddressSpace<P::CpuSet>, NoTag> {
        let backend = self.platform.backend();
        let tags = backend.tags();
        let tagging = match (tags.per_cpu, tags.global) {
            (Some(_), Some(_)) if new.per_cpu_tag => Tagging::Cpu,
            (_, Some((_, TagSource::Generations))) => Tagging::Generations,
            (_, Some((_, TagSource::Life))) => Tagging::Life,
            (_, Some((_, TagSource::Root))) => Tagging::Root,
            (Some(_), None) => Tagging::Cpu,
            (None, None) => Tagging::None,
        };
        let tag = match tagging {
            Tagging::Life => self.tag_for_life()?,
            Tagging::Root => new.table,
            _ => 0,
        };
        let slots = match tagging {
            Tagging::None => 1,
            Tagging::Cpu => AsidSlots::used_by(tags.per_cpu),
            // If a flush sends IPIs, each CPU has to record the generation that it has followed.
            _ if backend.sends_ipis() => SLOTS,
            _ => 0,
        };
        let mut space = AddressSpace::new(
            SpaceId(self.ids.add(1, Barrier::Defer)),
            Space::User,
            (new.table, new.user_table),
            tagging,
            slots,
        );
        space.tag.put(tag);
        space.flags.put(u64::from(new.flags.0));
        space.always = new.flags;
        Ok(space)
    }

    /// Returns the sums of the statistics of all CPUs.
    ///
    /// # Context
    ///
    /// Any. It takes no lock.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        self.tlbs().for_each(|cpu| cpu.stats.add_to(&mut sum));
        sum.rollovers = self.asids.rollovers.get();
        sum
    }

    /// Returns the statistics of one CPU.
    ///
    /// # Context
    ///
    /// Any. It takes no lock.
    #[must_use]
    pub fn stats_of(&self, cpu: CpuId) -> Stats {
        let mut sum = Stats::default();
        self.platform.cpu(cpu).stats.add_to(&mut sum);
        sum
    }
}

impl<P: Platform> Cpus for Mmu<P> {
    type Set = P::CpuSet;

    #[inline]
    fn tlb(&self, cpu: CpuId) -> &CpuTlb<P::CpuSet> {
        self.platform.cpu(cpu)
    }

    #[inline]
    fn count(&self) -> usize {
        self.platform.cpus()
    }

    fn tlbs(&self) -> impl Iterator<Item = &CpuTlb<P::CpuSet>> {
        (0..self.platform.cpus()).map(|cpu| self.platform.cpu(CpuId(cpu as u32)))
    }

    #[inline]
    fn online(&self) -> &<P::CpuSet as CpuMask>::Shared {
        &self.online
    }
}
