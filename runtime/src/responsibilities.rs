//! What remains the kernel's responsibility.
//!
//! The runtime knows which entries change, and decides what is flushed, where and when. It does not know what the
//! entries are for, and it sees no fault, no interrupt entry and no register that it does not load. This page lists what
//! the kernel has to do itself, with the reason and the call to use. What [`Platform`] demands of each of its methods,
//! of locks and of walkers without locks is stated there.
//!
//! # Page tables
//!
//! ## The kernel's part of every top table
//!
//! Where the kernel's addresses are translated by the table that the space's root names, each top table has a copy of
//! the kernel's top entries. The runtime changes the entry that it is given and knows of no copies.
//!
//! * When the kernel's part grows by a top entry, the kernel stores it in every space's top table, in that of the view
//!   that user code runs on where it is needed there, and in the table of [`Platform::kernel_root`]. It does so within
//!   the section that creates the entry, which then [publishes](Mmu::publish) all copies at its end. Most simply the top
//!   entries of the kernel are all created at boot, so that copies never change.
//! * When a table of the kernel that top tables point at is given to [`Section::unlink`], the kernel makes all copies of
//!   the entry invalid within the same section. A flush of the kernel's space covers what CPUs cached under every tag,
//!   so one flush serves all copies.
//!
//! ## Splitting a large page
//!
//! [`Section::replace`] replaces the leaf entry by an entry that points at a table, which maps the same memory in
//! smaller pages and is complete before. The page itself stays in use, so [`Pte::into_page`] returns `None`. The
//! machine may have set marks in the large entry since the table was filled: `into_page` is given them, and
//! the kernel carries the dirty mark over. [`Section::collapse`] is the reverse.
//!
//! On a machine that requires the entry to be invalid in between ([`ChangeFacts::size_through_invalid`]) every access to
//! these addresses faults for that moment; the same holds for other attributes of a page
//! ([`ChangeFacts::attributes_through_invalid`]) and for another page ([`ChangeFacts::output_through_invalid`]). For a user
//! space the fault handler waits for the lock of the section. For the kernel there is no such handler: it must not change in
//! this way what any CPU may access in that moment, and least of all what the flush itself uses (code, stacks, per-CPU data,
//! the tables). Such memory is mapped in the smallest pages from the start.
//!
//! ## Copy at fork
//!
//! A fork changes the entries of the parent, and creates those of the child. The gather is the parent's; the guard of
//! [`Gather::locked`] is any value, so it is a pair of cursors, each of which keeps the tables of one space locked. The
//! child's entries are plain stores, since no CPU has loaded the child. [`Section::protect`] takes the right to write,
//! and [`Section::replace`] gives a writer its copy. `examples/cursor.rs` shows all of it.
//!
//! ## Accessed and dirty marks
//!
//! The machine sets marks at any time until the entry has been exchanged. [`Section::protect`] computes the new entry
//! from what is in it and loses none; the bits that it returns have all of them. The bits that [`Pte::into_page`] is given
//! have them too, and the kernel moves the dirty mark to where it keeps it for the page.
//!
//! A change whose new bits clear a mark may require a flush: as long as a cached entry has the mark, the machine does not
//! set it again in the table, so a page would be written and stay clean. [`Pte::is_accessed`] and [`Pte::is_dirty`] tell
//! the runtime of the marks. Which of them may be cleared without a flush is a fact of the machine
//! ([`ChangeFacts::cleared_may_stay`]).
//!
//! ## Entries that are not valid
//!
//! What software keeps in an invalid entry (a swap entry, a page that must fault) is the kernel's. After
//! [`Section::unmap`] it stores such an entry within the same section. [`Section::protect`] may make an entry invalid that
//! keeps its page; [`Section::map`] makes it valid again.
//!
//! ## What an entry says
//!
//! [`Pte::decode`] translates entries to [`Entry`]. A bit that the machine caches and that is in none of its fields is a
//! bit whose changes are not flushed. Contents of data and instruction caches are not the runtime's subject: a change of
//! memory type, or of a page's code, needs the maintenance that the architecture prescribes besides the flush.
//!
//! ## Tables that only an IOMMU walks
//!
//! [`Mmu::attach_device`] is for devices that walk the tables of an [`AddressSpace`]. Tables of an IOMMU alone, for DMA
//! addresses, are not an address space of this runtime: no CPU loads them, and the IOMMU has a queue of its own for
//! invalidations, with its own completion. Its driver waits for that before memory is freed.
//!
//! # Faults
//!
//! ## An invalid entry that another gather has not flushed
//!
//! A gather unmaps a page, releases the lock and flushes later. A fault handler on another CPU that takes the lock in
//! between finds the entry invalid while CPUs may still have it cached. If it maps a page through [`Mmu::gather`], the
//! handler's gather finds the other one under way at its end and flushes everything of the space, so that no CPU uses
//! the old entry when it returns. That is enough on a machine on which a valid entry is replaced in place. On one that
//! needs the old entry flushed before another one is stored (break before make) the handler flushes first, with the lock
//! held:
//!
//! ```
//! use tlbc_runtime::{AddressSpace, Backend, Misuse, Mmu, Platform, Pte};
//!
//! /// Maps a page where none is mapped. `lock` is the lock of the table, which the handler holds.
//! fn map_at_fault<P: Platform, L>(
//!     mmu: &Mmu<P>,
//!     space: &AddressSpace<P::CpuSet>,
//!     lock: L,
//!     pte: &impl Pte<P>,
//!     bits: u64,
//! ) -> Result<(), Misuse> {
//!     let facts = mmu.platform().backend().change_facts(space.flags());
//!     let through_invalid = facts.output_through_invalid
//!         || facts.size_through_invalid
//!         || facts.attributes_through_invalid;
//!     if through_invalid && space.flush_pending() {
//!         mmu.flush_everything(space);
//!     }
//!     mmu.gather(space, |gather| gather.locked(lock, |section, _| section.map(pte, bits)))
//! }
//! ```
//!
//! [`AddressSpace::flush_pending`] is asked before the handler's own gather changes anything, which counts as well. The whole
//! space is flushed, and not the page, because the entry that became invalid may have been one of another level. What the
//! same gather has changed before needs no such care ([`Section::map`] flushes first), nor does what was unmapped in
//! [`Mmu::reclaim`] ([`Gather::locked`] flushes first). A handler that stores entries without a gather flushes in this
//! way on every machine, since nothing else does it.
//!
//! ## Spurious faults
//!
//! A CPU may fault although the table allows the access: it has an older entry cached that allows less, or a negative
//! entry where the machine has them; or its walk came before a new entry was visible. A handler that finds the access
//! allowed calls [`Mmu::fix_spurious`] on that CPU and returns. It cannot leave the call out where it returns false now:
//! whether anything has to be done depends on the machine.
//!
//! | change | user space | kernel |
//! |---|---|---|
//! | more rights | `fix_spurious` at the fault; the gather flushes for devices that keep the stricter entry | the gather flushes, unless the machine walks again before it faults |
//! | a valid entry where none was | `fix_spurious` at the fault | the section [publishes](Mmu::publish) it at its end; the gather flushes where there are negative entries |
//! | any other | the gather flushes | the gather flushes |
//!
//! The kernel's own accesses therefore need no handler for spurious faults after a section has changed its entries. For
//! entries that it stores without one it calls [`Mmu::publish`], where it is stated from when on they may be used. An
//! entry that becomes invalid is published by the flush.
//!
//! # Spaces and CPUs
//!
//! ## The last reference to a space
//!
//! [`Mmu::switch`] and [`Mmu::cpu_offline`] drop handles, with interrupts off and in the middle of a context switch. The
//! `Drop` of [`Platform::Handle`] must therefore call neither [`Mmu::teardown`] nor [`Mmu::release`], and must not
//! sleep: it passes the space on to a thread that does. A kernel has two counts (Linux: `mm_users` and `mm_count`):
//!
//! * threads that run in the space. After the last one has switched to the kernel or to another space:
//!   [`Mmu::teardown`].
//! * references to the space, one of them for all those threads together and one for each handle that a CPU's
//!   [`Current`] holds. After the last one: [`Mmu::release`], then the top tables and the [`AddressSpace`] may be freed.
//!
//! `examples/exit.rs` shows the order, `examples/exec.rs` the same for a space that another CPU has loaded lazily.
//!
//! ## CPUs that come online and go offline
//!
//! Coming online, in this order and with interrupts off: the [setup of the machine](#the-setup-of-the-machine);
//! [`Mmu::cpu_online`]; only then anything that other CPUs may unmap or protect. From the call on other CPUs wait for this
//! one in their shootdowns: it turns interrupts on soon, and until then waits for no lock that is held during a flush.
//! When every CPU that used the boot tables is online, they may be freed.
//!
//! Going offline: no thread is left that could run on the CPU; then [`Mmu::cpu_offline`], after which the CPU uses only
//! mappings that never change. An idle state that loses the root register, or from which an interrupt does not wake the
//! CPU, is the same: `cpu_offline` before, `cpu_online` after.
//!
//! ## Entry from user code
//!
//! Where user code runs on a view of its own, [`Mmu::return_to_user`] loads it last, and the entry code loads the kernel's view
//! before anything of the runtime is called: [`Mmu::handle_ipi`] flushes what the loaded view names.
//! [`Mmu::enter_from_user`] does so where its code is mapped for user code; entry code in assembly loads what
//! [`Mmu::views`] returned when the space was last loaded.
//!
//! ## Non-maskable interrupts
//!
//! A handler of non-maskable interrupts calls [`Mmu::loaded`] and nothing else, for the reason given there. Shootdowns
//! are sent by an interrupt that is maskable.
//!
//! ## The setup of the machine
//!
//! A backend relies on control registers and on bits of entries that it does not set (which register holds the tag,
//! which entries are global, how walks are shared). The documentation of each generated module states them at the
//! constructor of its `Hardware`, and `tlbc doc` in its page. Every CPU has them before `cpu_online`, and the configuration
//! of the backend is what all CPUs have.
//!
//! # Devices
//!
//! A device that shares the tables of a space is [attached](Mmu::attach_device) before it can fill its TLB. One that is
//! given the space's tag (a PASID table, a stream table) also has it [pinned](Mmu::pin_tag), so that no rollover gives
//! the tag to another space. At the end: the device is stopped, then [detached](Mmu::detach_device), which flushes what
//! it holds under the tag, and only then is the tag [unpinned](Mmu::unpin_tag).
//!
//! # Shootdowns
//!
//! ## Why a shootdown waits
//!
//! A page is released as [`Flushed`], which only a finished flush makes: it proves to the code that frees the
//! page that no CPU reaches it. A flush that only sends its requests would have to keep every page until the last CPU
//! has served its request, which takes memory that may be refused at that moment, one reference a page and CPU. It has
//! interrupts off while it waits because each CPU has one place for a request that it sends, and a context switch or
//! another flush on the same CPU would need it.
//!
//! The wait lasts as long as the slowest interrupted CPU has interrupts off, and its flush. A kernel with deadlines
//!
//! * clears much in one [`Mmu::gather`], ends sections when [`Gather::is_full`], and calls [`Gather::flush`] where no
//!   lock is held;
//! * uses [`Mmu::reclaim`], which waits once for many pages of many spaces;
//! * keeps threads with deadlines in spaces of their own, on CPUs of their own: CPUs that do not run a space are not
//!   interrupted for its pages, those that have it loaded lazily only when tables are unlinked or the space ends;
//! * changes its own mappings rarely and many at once, on a CPU without deadlines: every CPU is interrupted for them.
//!   Memory that is unmapped later is unmapped together (Linux: lazily freed vmap areas).
//!
//! Where instructions reach every CPU none is interrupted, except for errata, for tables that cannot be
//! [deferred](Platform::free_tables_deferred) because memory was refused, for lazy CPUs at a [teardown](Mmu::teardown) where these hold
//! no reference, and when a device is attached.
//!
//! ## Interrupt controllers
//!
//! [`Platform::send_ipi`] promises that a CPU that takes the interrupt sees what was stored before it was sent. Where
//! the write that sends it is not ordered after earlier stores (a write to a system register often is not), the kernel
//! issues the barrier for it in that method.
//!
//! ## Stacks
//!
//! [`Mmu::handle_ipi`] flushes on the stack of the interrupt, and [`Mmu::gather`] holds its first pages on the
//! caller's. The README of the project has figures.

#[cfg(doc)]
use crate::{
    AddressSpace, Current, Flushed, Gather, Mmu, Platform, Pte, Section,
    pte::{Change, ChangeFacts, Entry, Was},
};
