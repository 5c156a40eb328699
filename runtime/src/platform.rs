//! What a kernel implements: [`Platform`] for itself, and [`Pte`] for its page-table entries.
//!
//! The documentation of each function states what the kernel must do and in which contexts the runtime calls it. The guarantees of
//! the runtime depend on these statements, on those in [`responsibilities`](crate::responsibilities), and on nothing else of the
//! kernel.

use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

use crate::backend::{Backend, Issue, Record, Root};
use crate::cpu::CpuTlb;
use crate::level::Level;
use crate::mask::{CpuId, CpuMask};
use crate::pte::{Entry, Slot};
use crate::request::Request;
use crate::space::AddressSpace;
use crate::sync::Word;

/// A value that dereferences to itself, to be returned where a reference is expected.
#[derive(Debug, Clone, Copy)]
pub struct ByValue<T>(pub T);

impl<T> Deref for ByValue<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// An event of a lock of the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockEvent {
    /// This CPU has acquired it.
    Acquired,
    /// This CPU is about to release it.
    Releasing,
}

/// A page-table entry, as a value that owns what the entry maps. The kernel's type, often a reference into a table.
///
/// At most one such value of an entry exists at a time, and it exists only while the lock of the table is held, or while no other
/// code can change the table. Passing it to [`Section::unmap`](crate::Section::unmap) transfers the page that the entry owns to the
/// gather; a [`Refused`](crate::Refused) returns the value.
///
/// [`decode`](Self::decode), [`is_accessed`](Self::is_accessed) and [`is_dirty`](Self::is_dirty) say what bits of an entry
/// mean to the machine. They depend only on their arguments.
///
/// # Context
///
/// The runtime calls every method with the lock of the entry's table held.
pub trait Pte<P: Platform>: Sized {
    /// Returns whether the entry is in the tables of this space.
    fn belongs_to(&self, space: &AddressSpace<P::CpuSet>) -> bool;

    /// Returns the level of the entry.
    fn level(&self) -> Level;

    /// Returns where the entry is in memory, and which addresses it translates. Several entries form one slot if they map one page
    /// together and have the same bits, except for accessed and dirty marks.
    fn slot(&self) -> Slot<'_>;

    /// Returns what the bits of an entry of a level say to the machine.
    fn decode(level: Level, bits: u64) -> Entry;

    /// Returns whether the bits of a valid entry say that it was used by a walk (accessed, referenced, access flag).
    ///
    /// It is always true on a machine that does not set such a mark: then no [`protect`](crate::Section::protect) clears it.
    fn is_accessed(level: Level, bits: u64) -> bool;

    /// Returns whether the bits of a valid entry say that its page was written (dirty, changed).
    ///
    /// On a machine that does not set such a mark, this is whether the entry permits writing.
    fn is_dirty(level: Level, bits: u64) -> bool;

    /// Returns the page of a leaf entry that was unmapped or replaced, if the entry owned one. `old` has the bits that the entry
    /// had before, with the marks that the machine had set. The page is released after the flush.
    fn into_page(self, old: u64) -> Option<P::Page>;

    /// Returns the table that an entry pointed at. `old` has the bits that the entry had before.
    fn into_table(self, old: u64) -> P::Table;
}

/// What a kernel provides to the runtime.
///
/// In turn the kernel calls [`Mmu::handle_ipi`](crate::Mmu::handle_ipi) when a CPU takes the interrupt of
/// [`send_ipi`](Self::send_ipi); [`Mmu::switch`](crate::Mmu::switch) in its scheduler;
/// [`Mmu::return_to_user`](crate::Mmu::return_to_user) before user code runs, and
/// [`Mmu::enter_from_user`](crate::Mmu::enter_from_user) after it; [`Mmu::cpu_online`](crate::Mmu::cpu_online) and
/// [`Mmu::cpu_offline`](crate::Mmu::cpu_offline) when CPUs come online and go offline.
///
/// Software walkers that take no lock run with interrupts off, or in a section for whose end
/// [`free_tables_deferred`](Self::free_tables_deferred) waits. If the facts say that tables are free after the flush
/// ([`TableFree::AfterFlush`](crate::TableFree)), they walk only the space that is loaded on their CPU, since a flush sends no IPI
/// to other CPUs. A CPU that waits, with interrupts off, for a lock that is held during a flush, such as a page-table lock, calls
/// [`Mmu::handle_ipi`](crate::Mmu::handle_ipi) while it waits, since the flush may be waiting for this CPU.
///
/// # Context
///
/// A method that states no context is called in any: with interrupts on or off, and with any of the caller's locks held. It
/// does not wait.
pub trait Platform: Sized {
    /// The generated backend.
    type Backend: Backend;
    /// A set of the kernel's CPUs.
    type CpuSet: CpuMask;
    /// The owner of a page that an entry maps. Code that has the value may give the page to a new owner.
    type Page;
    /// The owner of a page table's memory.
    type Table;
    /// Owned memory for the batches of a gather, such as `Box<T>` in a kernel with a heap. Dropping it frees the memory. A kernel
    /// that does not implement [`page_batch`](Self::page_batch) and [`table_batch`](Self::table_batch) uses
    /// [`NoBatch`](crate::NoBatch).
    type BatchBox<T>: DerefMut<Target = T>;
    /// A counted reference to an address space, or to what contains one (a process), as the scheduler holds it.
    type Handle: AsRef<AddressSpace<Self::CpuSet>>;

    /// Returns the backend, for the configuration that all CPUs have: a reference, or a [`ByValue`] that is built for each call, for
    /// example from features that were found at boot and are stored in an atomic word. The result does not change after the first
    /// CPU [has come online](crate::Mmu::cpu_online).
    fn backend(&self) -> impl Deref<Target = Self::Backend>;

    /// Returns the sink that executes the instructions of a CPU.
    ///
    /// # Context
    ///
    /// On that CPU.
    fn sink(&self, cpu: CpuId) -> impl Issue<<Self::Backend as Backend>::Op>;

    /// Returns a sink whose calls act on other CPUs: those of `cpus`, which does not contain this one. The functions that the
    /// definition calls `where given` are the only instructions that it gets, and barriers before them.
    ///
    /// A call that does not reach one of them adds it to `missed`; it then gets an [IPI](Self::send_ipi). On every other CPU the
    /// entries are gone, and accesses through them complete, when the call returns; or it is a virtual CPU that does not run then,
    /// and they are gone before it does. A CPU that is not online needs no flush.
    ///
    /// By default nothing is called, and each CPU gets an IPI.
    ///
    /// # Context
    ///
    /// As [`send_ipi`](Self::send_ipi), on this CPU.
    fn sink_for<'s>(
        &'s self,
        cpu: CpuId,
        cpus: &'s Self::CpuSet,
        missed: &'s mut Self::CpuSet,
    ) -> impl Issue<<Self::Backend as Backend>::Op> {
        let _ = cpu;
        missed.extend(cpus);
        Record(|_| ())
    }

    /// Returns the greatest number of CPUs that there may ever be; the number of each CPU is less. The result is always the same.
    fn cpus(&self) -> usize;

    /// Returns the runtime's data of a CPU. It exists for every number below [`cpus`](Self::cpus), online or not. It should not
    /// share cache lines with other data.
    fn cpu(&self, cpu: CpuId) -> &CpuTlb<Self::CpuSet>;

    /// Returns memory that records which global tags are in use: two bits for each tag, and more than two tags for each CPU. If
    /// the memory is too small for all tags of the machine, fewer tags are used. The result is always the same.
    fn tag_words(&self) -> &[Word] {
        &[]
    }

    /// Returns the root that a CPU loads when it runs in no user space. Its tag is one that no space gets. If the kernel's own
    /// entries have a tag, it is not that one either, since user addresses would be looked up with it. Every CPU loads the same
    /// root with the same tag, so [`global`](crate::Tag::global) of the tag is true. The result is always the same.
    fn kernel_root(&self) -> Root;

    /// Runs a closure on one CPU without a switch to another thread, and with interrupts off if `interrupts_off`. Calls nest.
    fn pin_cpu<R>(&self, interrupts_off: bool, run: impl FnOnce(CpuId) -> R) -> R;

    /// Records an event of a lock of the runtime, for a kernel that checks the use of its locks (as Linux's lockdep does).
    ///
    /// # Context
    ///
    /// On `cpu`, with interrupts off. Any of the caller's locks may be held. A CPU holds one lock of the runtime at a time, for a
    /// bounded number of instructions. The exception is a machine that permits only one flush at a time
    /// ([`Facts::one_at_a_time`](crate::Facts)), whose lock is held during a flush. This must not call the runtime.
    fn lock_event(&self, cpu: CpuId, event: LockEvent) {
        let _ = (cpu, event);
    }

    /// Sends an IPI to CPUs. Each of them calls [`Mmu::handle_ipi`](crate::Mmu::handle_ipi) as soon as its interrupts are on, and
    /// sees what this CPU stored before. This does not wait; two IPIs to a CPU may become one. The runtime also calls it on
    /// machines whose instructions reach every CPU: for software walkers without locks, and when a device is attached.
    ///
    /// The runtime executes a full memory barrier before it calls this. That is not enough for an interrupt controller that
    /// may send before earlier stores are visible to other CPUs, since a memory barrier does not order the access that sends.
    /// The platform then executes an instruction that does order it, before it sends. Examples are a WRMSR to the ICR of a local
    /// APIC in x2APIC mode, which needs `mfence; lfence` (SDM volume 3A, 11.12.3, MSR Access in x2APIC Mode; Linux
    /// `weak_wrmsr_fence`), and a write of the system register that generates an SGI (GIC version 3), which needs `dsb ishst`
    /// (Linux `gic_ipi_send_mask`).
    ///
    /// # Context
    ///
    /// Interrupts are off; any of the caller's locks may be held. This must not fail: it ignores a CPU that is no longer online.
    fn send_ipi(&self, cpus: &Self::CpuSet);

    /// Returns the CPUs of an erratum set, by its index in the definition: those that are in the set for this space now, and those
    /// that may be. The set of all CPUs is a correct result.
    fn erratum_set(&self, set: u32, space: &AddressSpace<Self::CpuSet>) -> Self::CpuSet {
        let _ = (set, space);
        let mut all = Self::CpuSet::NONE;
        (0..self.cpus()).for_each(|cpu| all.insert(CpuId(cpu as u32)));
        all
    }

    /// Returns memory for more pages of a gather, or `None`. Without it the gather flushes and continues.
    ///
    /// # Context
    ///
    /// Any of the caller's locks may be held; must not sleep or wait for a flush.
    fn page_batch(&self) -> Option<Self::BatchBox<PageBatch<Self>>> {
        None
    }

    /// Returns memory for tables that were unlinked, or `None`. Without it the runtime flushes, waits and frees for each table by
    /// itself.
    ///
    /// # Context
    ///
    /// As [`page_batch`](Self::page_batch).
    fn table_batch(&self) -> Option<Self::BatchBox<TableBatch<Self>>> {
        None
    }

    /// Takes pages that no CPU and no device can access through the entries that were unmapped. Pages that the iterator has not
    /// returned are dropped. The default drops all of them. The pages of a [batched unmap](crate::Mmu::reclaim) do not come here:
    /// [`Waited::redeem`](crate::Waited::redeem) returns each to the code that unmapped it.
    ///
    /// # Context
    ///
    /// That of the flush. A section's lock may be held if memory for a batch was refused.
    fn release_pages(&self, pages: Flushed<'_, Self>) {
        drop(pages);
    }

    /// Returns whether the reverse mapping of a page has to stay until no CPU can write through the entry any more. That is the case
    /// for a page of a file whose entry was dirty. [`remove_rmap`](Self::remove_rmap) removes the mapping; after that this
    /// returns false.
    fn delays_rmap_removal(_: &Self::Page) -> bool {
        false
    }

    /// Removes the reverse mapping of a page for which [`delays_rmap_removal`](Self::delays_rmap_removal) returns true.
    ///
    /// # Context
    ///
    /// After the flush, with the section's lock still held.
    fn remove_rmap(&self, page: &mut Self::Page) {
        let _ = page;
    }

    /// Takes tables that no CPU and no device walks any more, but that software walkers without locks may still walk, and frees
    /// them after a grace period. The runtime calls this if [`table_batch`](Self::table_batch) returned memory and the machine
    /// does not send an IPI to every CPU for a flush.
    ///
    /// # Errors
    ///
    /// Returns the tables if there is no grace period, as by default, or if none can be started now. Then the runtime sends an IPI
    /// to every CPU, and [`free_table`](Self::free_table) takes them.
    ///
    /// # Context
    ///
    /// That of [`release_pages`](Self::release_pages). This must not wait.
    fn free_tables_deferred(&self, tables: Unlinked<Self>) -> Result<(), Unlinked<Self>> {
        Err(tables)
    }

    /// Takes a table that neither hardware nor software walks any more. The default drops it.
    ///
    /// # Context
    ///
    /// That of [`release_pages`](Self::release_pages).
    fn free_table(&self, table: Self::Table) {
        drop(table);
    }

    /// Invalidates what the request names in devices that share the tables and keep translations of their own, and returns
    /// when that is complete. The runtime calls it once for each flush, between its start and its finish, if a device is
    /// [attached](crate::Mmu::attach_device).
    ///
    /// # Context
    ///
    /// That of the flush. This must not sleep or flush.
    fn invalidate_secondary(&self, space: &AddressSpace<Self::CpuSet>, request: &Request<'_>) {
        let _ = (space, request);
    }
}

/// The number of pages or tables that fit in one batch. With the two other words they fill 4 KiB.
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

/// Pages that no CPU and no device can access any more, so that they may have a new owner. Only a finished flush creates one.
///
/// It is an iterator over the pages. Dropping it drops the pages that it has not returned.
pub struct Flushed<'r, P: Platform> {
    pub(crate) bundle: &'r mut [Option<P::Page>],
    pub(crate) batch: &'r mut Option<P::BatchBox<PageBatch<P>>>,
}

/// Tables that no CPU and no device walks any more, but that software walkers without locks may still walk.
///
/// If this is dropped, the tables are not: they are lost, with the memory of their batch, since they may still be walked.
#[must_use = "tables that are dropped are lost"]
pub struct Unlinked<P: Platform>(pub(crate) ManuallyDrop<P::BatchBox<TableBatch<P>>>);
