//! What a kernel brings.
//!
//! A kernel implements [`Platform`] once. Each method says in which contexts it is called and what it may do there;
//! the runtime's proofs rest on these sentences and on nothing else of the kernel.

use core::ops::{Deref, DerefMut};

use crate::backend::{Backend, Issue, Root};
use crate::batch::Batch;
use crate::cpus::{CpuId, Cpus};
use crate::flushed::Flushed;
use crate::local::Local;
use crate::request::Request;
use crate::space::AddressSpace;
use crate::sync::Word;
use crate::tables::Unlinked;

/// What an entry kept mapped, owned: whoever has one may give the page to somebody else.
pub trait Frame {
    /// Whether the page's reverse mapping has to stay until no CPU can write through the entry any more: a file's
    /// page whose entry was dirty. It is removed by [`Platform::remove_rmap`], after which this is false.
    fn keeps_rmap(&self) -> bool {
        false
    }
}

/// A value where a reference is expected.
#[derive(Debug, Clone, Copy)]
pub struct Value<T>(pub T);

impl<T> Deref for Value<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// What happens to a lock of the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockEvent {
    /// This CPU has it from now on.
    Acquired,
    /// This CPU is about to release it.
    Releasing,
}

/// What a kernel brings to the runtime.
///
/// The kernel calls back in four places: [`Mmu::handle_ipi`](crate::Mmu::handle_ipi) when a CPU takes the interrupt
/// of [`send_ipi`](Self::send_ipi); [`Mmu::switch`](crate::Mmu::switch) in its scheduler;
/// [`Mmu::return_to_user`](crate::Mmu::return_to_user) before user code runs; [`Mmu::cpu_online`](crate::Mmu::cpu_online) and
/// [`Mmu::cpu_offline`](crate::Mmu::cpu_offline) when CPUs come and go.
///
/// Walkers of the tables that take no lock run with interrupts off, or within whatever
/// [`free_tables_deferred`](Self::free_tables_deferred) waits for. Where the facts say that tables need not wait they walk only the space that is
/// loaded on their CPU: a flush interrupts no other. Locks held over a flush (page-table locks among them) are never waited for
/// with interrupts off, or the waiting CPU serves its messages meanwhile: the flush may be waiting for it.
pub trait Platform: Sized {
    /// The generated backend.
    type Backend: Backend;
    /// A set of the kernel's CPUs.
    type CpuSet: Cpus;
    /// A page that an entry kept mapped.
    type Page: Frame;
    /// A table that an entry pointed at.
    type Table;
    /// Memory for more pages of a gather, owned; dropped, it goes back to where it came from.
    type PageBatch: DerefMut<Target = Batch<Self::Page, Self::PageBatch>>;
    /// Memory for tables on their way out, owned.
    type TableBatch: DerefMut<Target = Batch<Self::Table, Self::TableBatch>>;
    /// A counted reference to an address space, as the scheduler holds it.
    type Handle: Deref<Target = AddressSpace<Self>>;

    /// Returns the backend, for the configuration that all CPUs have: a reference, or a [`Value`] that is made anew each time,
    /// such as from features that were found at boot and are kept in an atomic word. The answer does not change once a CPU
    /// [is online](crate::Mmu::cpu_online).
    fn backend(&self) -> impl Deref<Target = Self::Backend>;

    /// Where instructions of a CPU go. Called on that CPU.
    fn sink(&self, cpu: CpuId) -> impl Issue<<Self::Backend as Backend>::Op>;

    /// How many CPUs there may ever be; their numbers are less. Constant.
    fn cpus(&self) -> usize;

    /// The runtime's own data of a CPU, which exists for every number below [`cpus`](Self::cpus), on line or not.
    /// Worth a cache line of its own.
    fn cpu(&self, cpu: CpuId) -> &Local<Self>;

    /// Memory to keep track of tags that mean the same space everywhere: two bits a tag, and more than two tags for each
    /// CPU. With less memory than the machine has tags fewer of them are used. Constant.
    fn tag_words(&self) -> &[Word] {
        &[]
    }

    /// What a CPU loads that runs in no user space. Its tag is one that no space is given; where the kernel's own
    /// entries stand under a tag it is not that one either, for user addresses would be looked up under it. Every CPU
    /// loads the same root under the same tag, so [`of_machine`](crate::Tag::of_machine) of the tag is true. Constant.
    fn kernel_root(&self) -> Root;

    /// Runs on one CPU from beginning to end, and no other thread runs on it meanwhile; without interrupts where asked.
    /// Nests.
    fn pin_cpu<R>(&self, interrupts_off: bool, run: impl FnOnce(CpuId) -> R) -> R;

    /// Notes what happens to a lock of the runtime, for a kernel that checks the use of its locks (as Linux's lockdep does).
    ///
    /// # Context
    /// On `cpu`, with interrupts off; any of the caller's locks. A CPU holds one lock of the runtime at a time, for a bounded
    /// number of instructions, except for a machine that bears one flush at a time ([`Facts::one_at_a_time`](crate::Facts)),
    /// whose lock is held for a flush. Must not call the runtime.
    fn lock_event(&self, cpu: CpuId, event: LockEvent) {
        let _ = (cpu, event);
    }

    /// Interrupts CPUs: each of them calls [`Mmu::handle_ipi`](crate::Mmu::handle_ipi) as soon as its interrupts
    /// are on, and sees there what was stored here before. Does not wait; two interrupts may become one. Also where
    /// instructions reach every CPU: for walkers without locks, and when a device comes.
    ///
    /// The runtime executes a full memory barrier before it calls this. That is not enough for an interrupt controller that
    /// may send before earlier stores are visible to other CPUs, since the access that sends is not ordered by a barrier for
    /// memory: the platform then executes what does order it, before it sends. Examples are a WRMSR to the ICR of a local
    /// APIC in x2APIC mode, which needs `mfence; lfence` (SDM volume 3A, 11.12.3, MSR Access in x2APIC Mode; Linux
    /// `weak_wrmsr_fence`), and a write of the system register that generates an SGI (GIC version 3), which needs `dsb ishst`
    /// (Linux `gic_ipi_send_mask`).
    ///
    /// Contexts: interrupts off; any of the caller's locks. Must not fail: a CPU that is not on line any more is left out.
    fn send_ipi(&self, cpus: &Self::CpuSet);

    /// The CPUs of a set that the kernel keeps for an erratum, by its index in the definition: those that are in
    /// it for this space now, and those that might be. Every CPU is a good answer.
    fn erratum_set(&self, set: u32, space: &AddressSpace<Self>) -> Self::CpuSet {
        let _ = (set, space);
        let mut all = Self::CpuSet::NONE;
        (0..self.cpus()).for_each(|cpu| all.insert(CpuId(cpu as u32)));
        all
    }

    /// Memory for more pages of a gather; without any it flushes and goes on.
    ///
    /// Contexts: any of the caller's locks; must not sleep or wait for a flush.
    fn page_batch(&self) -> Option<Self::PageBatch>;

    /// Memory for tables on their way out; without any each table is flushed, waited for and freed by itself.
    ///
    /// Contexts: as [`page_batch`](Self::page_batch).
    fn table_batch(&self) -> Option<Self::TableBatch>;

    /// Takes pages that no CPU and no device can reach through the entries that were cleared. What is not taken out
    /// is dropped.
    ///
    /// Contexts: those of the flush; a section's lock may be held where memory for a batch was refused.
    fn release_pages(&self, pages: Flushed<'_, Self>);

    /// Removes the reverse mapping of a page that [kept](Frame::keeps_rmap) it: behind the flush, before the section's
    /// lock is released.
    fn remove_rmap(&self, page: &mut Self::Page) {
        let _ = page;
    }

    /// Takes tables that no CPU and no device walks any more, but that may still have walkers in software: frees
    /// them when all those are gone that run now.
    ///
    /// Contexts: as [`release`](Self::release); must not wait.
    fn free_tables_deferred(&self, tables: Unlinked<Self>);

    /// Takes a table that nobody walks, in hardware or in software.
    ///
    /// Contexts: as [`release`](Self::release).
    fn free_table(&self, table: Self::Table);

    /// Tells devices that share the tables and keep translations of their own: they drop what the request names
    /// before this returns. Called once a flush, between its start and its finish, if any is
    /// [attached](crate::Mmu::attach_device).
    ///
    /// Contexts: those of the flush; must not sleep or flush.
    fn invalidate_secondary(&self, space: &AddressSpace<Self>, request: &Request<'_>) {
        let _ = (space, request);
    }
}
