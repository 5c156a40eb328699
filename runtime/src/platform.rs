//! What a kernel implements: [`Platform`] for itself, and [`Pte`] for its page-table entries.
//!
//! In: what the runtime asks of the kernel. Out: which of it the kernel has to do, and in which contexts it is asked. The
//! guarantees of the runtime rest on these sentences and on nothing else of the kernel.

use core::ops::{Deref, DerefMut};

use crate::backend::{Backend, Issue, Root};
use crate::cpu::CpuTlb;
use crate::level::Level;
use crate::mask::{CpuId, CpuMask};
use crate::pte::{Entry, Slot};
use crate::request::Request;
use crate::space::AddressSpace;
use crate::sync::Word;

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

/// A page-table entry, as a value that owns what the entry maps. The kernel's type, often a reference into a table.
///
/// There is at most one such value of an entry at a time, and it exists only while the lock of the table is held, or while
/// no other code can change the table. Giving it to [`Section::unmap`](crate::Section::unmap) gives up the page that the
/// entry keeps mapped; a [`Refused`](crate::Refused) gives it back.
///
/// [`decode`](Self::decode), [`is_accessed`](Self::is_accessed) and [`is_dirty`](Self::is_dirty) say what bits of an entry
/// mean to the machine. They depend on nothing but their arguments.
pub trait Pte<P: Platform>: Sized {
    /// Returns whether the entry is in the tables of this space.
    fn belongs_to(&self, space: &AddressSpace<P::CpuSet>) -> bool;

    /// Returns the level of the entry.
    fn level(&self) -> Level;

    /// Returns where the entry is in memory, and which addresses it translates. Several entries together are one where they
    /// map one page together, and have the same bits but for accessed and dirty marks.
    fn slot(&self) -> Slot<'_>;

    /// Returns what the bits of an entry of a level say to the machine.
    fn decode(level: Level, bits: u64) -> Entry;

    /// Returns whether the bits of a valid entry say that it was used by a walk (accessed, referenced, access flag).
    ///
    /// Always true on a machine that does not note it: no [`protect`](crate::Section::protect) then clears the mark.
    fn is_accessed(level: Level, bits: u64) -> bool;

    /// Returns whether the bits of a valid entry say that its page was written (dirty, changed).
    ///
    /// On a machine that does not note it: whether the entry permits writing.
    fn is_dirty(level: Level, bits: u64) -> bool;

    /// Returns the page that a leaf entry kept mapped, if the entry owned one. The entry was unmapped or replaced; `old` is
    /// what was in it until then, with the marks that the machine had set. The page is released after the flush.
    fn into_page(self, old: u64) -> Option<P::Page>;

    /// Returns the table that an entry pointed at; `old` is what was in the entry until then.
    fn into_table(self, old: u64) -> P::Table;
}

/// What a kernel brings to the runtime.
///
/// The kernel calls back in four places: [`Mmu::handle_ipi`](crate::Mmu::handle_ipi) when a CPU takes the interrupt
/// of [`send_ipi`](Self::send_ipi); [`Mmu::switch`](crate::Mmu::switch) in its scheduler;
/// [`Mmu::return_to_user`](crate::Mmu::return_to_user) before user code runs; [`Mmu::cpu_online`](crate::Mmu::cpu_online) and
/// [`Mmu::cpu_offline`](crate::Mmu::cpu_offline) when CPUs come online and go offline.
///
/// Walkers of the tables that take no lock run with interrupts off, or within whatever
/// [`free_tables_deferred`](Self::free_tables_deferred) waits for. Where the facts say that tables need not wait, they walk
/// only the space that is loaded on their CPU, since a flush sends no IPI to other CPUs. A lock that is held during a flush,
/// such as a page-table lock, is never waited for with interrupts off, unless the waiting CPU calls
/// [`Mmu::handle_ipi`](crate::Mmu::handle_ipi) meanwhile: the flush may be waiting for it.
pub trait Platform: Sized {
    /// The generated backend.
    type Backend: Backend;
    /// A set of the kernel's CPUs.
    type CpuSet: CpuMask;
    /// The owner of a page that an entry keeps mapped. Whoever has the value may give the page to a new owner.
    type Page;
    /// The owner of a page table's memory.
    type Table;
    /// Owned memory for the batches of a gather, such as `Box<T>` of a kernel with a heap. Dropped, it goes back to where it
    /// came from. [`NoBatch`](crate::NoBatch) for a kernel that leaves out [`page_batch`](Self::page_batch) and
    /// [`table_batch`](Self::table_batch).
    type BatchBox<T>: DerefMut<Target = T>;
    /// A counted reference to an address space, as the scheduler holds it.
    type Handle: Deref<Target = AddressSpace<Self::CpuSet>>;

    /// Returns the backend, for the configuration that all CPUs have: a reference, or a [`Value`] that is made anew each time,
    /// such as from features that were found at boot and are kept in an atomic word. The answer does not change once a CPU
    /// [is online](crate::Mmu::cpu_online).
    fn backend(&self) -> impl Deref<Target = Self::Backend>;

    /// Returns what executes the instructions of a CPU.
    ///
    /// # Context
    ///
    /// On that CPU.
    fn sink(&self, cpu: CpuId) -> impl Issue<<Self::Backend as Backend>::Op>;

    /// Returns how many CPUs there may ever be; their numbers are less. The answer is always the same.
    fn cpus(&self) -> usize;

    /// Returns the runtime's own data of a CPU. It exists for every number below [`cpus`](Self::cpus), online or not, and is
    /// best alone in its cache lines.
    fn cpu(&self, cpu: CpuId) -> &CpuTlb<Self::CpuSet>;

    /// Returns memory to keep track of tags that mean the same space on every CPU: two bits a tag, and more than two tags for
    /// each CPU. With less memory than the machine has tags, fewer of them are used. The answer is always the same.
    fn tag_words(&self) -> &[Word] {
        &[]
    }

    /// Returns what a CPU loads that runs in no user space. Its tag is one that no space is given. Where the kernel's own
    /// entries have a tag it is not that one either, since user addresses would be looked up with it. Every CPU loads the same
    /// root with the same tag, so [`global`](crate::Tag::global) of the tag is true. The answer is always the same.
    fn kernel_root(&self) -> Root;

    /// Runs on one CPU from beginning to end, while no other thread runs on it; with interrupts off if asked. Calls nest.
    fn pin_cpu<R>(&self, interrupts_off: bool, run: impl FnOnce(CpuId) -> R) -> R;

    /// Notes what happens to a lock of the runtime, for a kernel that checks the use of its locks (as Linux's lockdep does).
    ///
    /// # Context
    ///
    /// On `cpu`, with interrupts off; any of the caller's locks. A CPU holds one lock of the runtime at a time, for a bounded
    /// number of instructions, except for a machine that bears one flush at a time ([`Facts::one_at_a_time`](crate::Facts)),
    /// whose lock is held for a flush. Must not call the runtime.
    fn lock_event(&self, cpu: CpuId, event: LockEvent) {
        let _ = (cpu, event);
    }

    /// Sends an interrupt to CPUs: each of them calls [`Mmu::handle_ipi`](crate::Mmu::handle_ipi) as soon as its interrupts
    /// are on, and sees what was stored here before. Does not wait; two interrupts may become one. It is also called on
    /// machines whose instructions reach every CPU: for walkers without locks, and when a device is attached.
    ///
    /// The runtime executes a full memory barrier before it calls this. That is not enough for an interrupt controller that
    /// may send before earlier stores are visible to other CPUs, since the access that sends is not ordered by a barrier for
    /// memory: the platform then executes what does order it, before it sends. Examples are a WRMSR to the ICR of a local
    /// APIC in x2APIC mode, which needs `mfence; lfence` (SDM volume 3A, 11.12.3, MSR Access in x2APIC Mode; Linux
    /// `weak_wrmsr_fence`), and a write of the system register that generates an SGI (GIC version 3), which needs `dsb ishst`
    /// (Linux `gic_ipi_send_mask`).
    ///
    /// # Context
    ///
    /// Interrupts are off; any of the caller's locks may be held. Must not fail: a CPU that is no longer online is left out.
    fn send_ipi(&self, cpus: &Self::CpuSet);

    /// Returns the CPUs of a set that the kernel keeps for an erratum, by its index in the definition: those that are in
    /// it for this space now, and those that might be. Every CPU is a correct answer.
    fn erratum_set(&self, set: u32, space: &AddressSpace<Self::CpuSet>) -> Self::CpuSet {
        let _ = (set, space);
        let mut all = Self::CpuSet::NONE;
        (0..self.cpus()).for_each(|cpu| all.insert(CpuId(cpu as u32)));
        all
    }

    /// Returns memory for more pages of a gather. Without it the gather flushes and goes on.
    ///
    /// # Context
    ///
    /// Any of the caller's locks may be held; must not sleep or wait for a flush.
    fn page_batch(&self) -> Option<Self::BatchBox<PageBatch<Self>>> {
        None
    }

    /// Returns memory for tables that were unlinked. Without it each table is flushed, waited for and freed by itself.
    ///
    /// # Context
    ///
    /// As [`page_batch`](Self::page_batch).
    fn table_batch(&self) -> Option<Self::BatchBox<TableBatch<Self>>> {
        None
    }

    /// Takes pages that no CPU and no device can reach through the entries that were unmapped. Pages that are not taken out
    /// are dropped, and so are all by default.
    ///
    /// # Context
    ///
    /// That of the flush; a section's lock may be held where memory for a batch was refused.
    fn release_pages(&self, pages: Flushed<'_, Self>) {
        drop(pages);
    }

    /// Returns whether the reverse mapping of a page has to stay until no CPU can write through the entry any more: that of a
    /// file's page whose entry was dirty. It is removed by [`remove_rmap`](Self::remove_rmap), after which this is false.
    fn delays_rmap_removal(page: &Self::Page) -> bool {
        let _ = page;
        false
    }

    /// Removes the reverse mapping of a page for which [`delays_rmap_removal`](Self::delays_rmap_removal) is true: after the
    /// flush, before the section's lock is released.
    fn remove_rmap(&self, page: &mut Self::Page) {
        let _ = page;
    }

    /// Takes tables that no CPU and no device walks any more, but that walkers in software without locks may, and frees them
    /// after a grace period. It is called where [`table_batch`](Self::table_batch) returned memory and the machine does not
    /// send an IPI to every CPU for a flush.
    ///
    /// # Errors
    ///
    /// Gives the tables back where there is no grace period, as by default, or none can be started now. Then every CPU is
    /// sent an IPI, and [`free_table`](Self::free_table) takes them.
    ///
    /// # Context
    ///
    /// That of [`release_pages`](Self::release_pages); must not wait.
    fn free_tables_deferred(&self, tables: Unlinked<Self>) -> Result<(), Unlinked<Self>> {
        Err(tables)
    }

    /// Takes a table that nothing walks any more, neither hardware nor software. It is dropped by default.
    ///
    /// # Context
    ///
    /// That of [`release_pages`](Self::release_pages).
    fn free_table(&self, table: Self::Table) {
        drop(table);
    }

    /// Invalidates what the request names in devices that share the tables and keep translations of their own, and returns
    /// when they have dropped it. Called once a flush, between its start and its finish, if a device is
    /// [attached](crate::Mmu::attach_device).
    ///
    /// # Context
    ///
    /// That of the flush; must not sleep or flush.
    fn invalidate_secondary(&self, space: &AddressSpace<Self::CpuSet>, request: &Request<'_>) {
        let _ = (space, request);
    }
}

/// How many pages or tables fit in one batch: with the two words beside them they fill 4 KiB.
pub const BATCH: usize = 510;

/// A list of up to [`BATCH`] pages or tables of a gather, and the batches that were filled before it.
pub struct Batch<T, P: Platform> {
    pub(crate) next: Option<P::BatchBox<Self>>,
    pub(crate) used: usize,
    pub(crate) slots: [Option<T>; BATCH],
}

/// A batch of pages.
pub type PageBatch<P> = Batch<<P as Platform>::Page, P>;

/// A batch of tables.
pub type TableBatch<P> = Batch<<P as Platform>::Table, P>;

/// Pages that no CPU and no device can reach any more: they may have a new owner. Only a finished flush makes one.
///
/// It is an iterator over the pages. Pages that are not taken out are dropped with it.
pub struct Flushed<'r, P: Platform> {
    pub(crate) bundle: &'r mut [Option<P::Page>],
    pub(crate) batch: &'r mut Option<P::BatchBox<PageBatch<P>>>,
}

/// Tables that no CPU and no device walks any more, but that walkers in software without locks may.
#[must_use = "tables that are dropped are lost"]
pub struct Unlinked<P: Platform>(pub(crate) P::BatchBox<TableBatch<P>>);
