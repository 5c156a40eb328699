//! What remains the kernel's responsibility.
//!
//! The runtime knows which entries change, and decides what is flushed, where and when. It does not know the purpose of the
//! entries, and it sees no faults, no entries from user code and no registers except those that it loads. This page lists what
//! the kernel has to do itself, with the reason and the function to call. [`Platform`] states the requirements for its methods,
//! for locks and for software walkers without locks.
//!
//! # Page tables
//!
//! ## The kernel's part of every top table
//!
//! If the top table of each space also translates the kernel's addresses, each top table has a copy of the kernel's top entries.
//! The runtime changes the entry that it is given and does not know the copies.
//!
//! * When the kernel adds a top entry, it stores the entry in the top table of every space, in that of the view that user code runs
//!   on if it is needed there, and in the table of [`Platform::kernel_root`]. It does so within the section that creates the
//!   entry, which then [publishes](Mmu::publish) all copies at its end. The simplest way is to create all top entries of the
//!   kernel at boot, so that the copies never change.
//! * When [`Section::unlink`] unlinks a table of the kernel that top tables point at, the kernel makes all copies of the entry
//!   invalid within the same section. A flush of the kernel's space covers what CPUs have cached under every tag, so one flush
//!   covers all copies.
//!
//! ## Splitting a large page
//!
//! [`Section::split`] replaces the leaf entry by an entry that points at a table. The kernel has filled the table before, so that
//! it maps the same memory in smaller pages. The machine may have set marks in the large entry after the table was filled: `split`
//! returns them, and the kernel transfers the dirty mark.
//!
//! [`Section::collapse`] is the reverse. The kernel copies the small pages to the large one, and no CPU may write to them in between.
//! So it takes the right to write from their entries in one section, calls [`Gather::flush`], and copies and collapses in a second
//! section, with the lock held from the first to the second: the guard of the first section is a reference to that of the second
//! (`examples/kernel/src/large.rs`).
//!
//! On a machine that requires the entry to be invalid in between ([`ChangeFacts::size_through_invalid`]) every access to these
//! addresses faults during that time. The same is true for other attributes of a page
//! ([`ChangeFacts::attributes_through_invalid`]) and for another page ([`ChangeFacts::output_through_invalid`]). For a user
//! space the fault handler waits for the lock of the section. The kernel has no such handler: it must not change in this way
//! memory that any CPU may access during that time, which includes what the flush itself uses (code, stacks, per-CPU data, the
//! tables). Such memory is mapped in the smallest pages from the beginning.
//!
//! ## Copy at fork
//!
//! A fork changes the entries of the parent, and creates those of the child. The gather is the parent's; the guard of
//! [`Gather::locked`] may be any value, so it can be a pair of cursors, each of which keeps the tables of one space locked. The
//! kernel stores the child's entries by plain stores, since no CPU has loaded the child. [`Section::protect`] removes the right
//! to write, and [`Section::replace`] gives a writer its copy. `examples/cursor.rs` shows all of it.
//!
//! ## Accessed and dirty marks
//!
//! The machine sets marks at any time until the entry has been exchanged. [`Section::protect`] computes the new entry
//! from what is in it and loses no mark; the bits that it returns have all of them. The bits that [`Pte::into_page`] gets have them
//! too, and the kernel records the dirty mark for the page.
//!
//! A change whose new bits clear a mark may require a flush: as long as a cached entry has the mark, the machine does not
//! set it again in the table, so a page would be written and stay clean. [`Pte::is_accessed`] and [`Pte::is_dirty`] return the
//! marks to the runtime. The machine's facts say which of them may be cleared without a flush
//! ([`ChangeFacts::cleared_may_stay`]).
//!
//! ## Entries that are not valid
//!
//! The kernel decides what an invalid entry contains (a swap entry, a page that must fault). After
//! [`Section::unmap`] it stores such an entry within the same section. [`Section::protect`] may make an entry invalid that
//! keeps its page; [`Section::map`] makes it valid again.
//!
//! ## What an entry says
//!
//! [`Pte::decode`] translates entries to [`Entry`]. If the machine caches a bit that is in none of its fields, changes of that bit
//! are not flushed. The runtime does not maintain data and instruction caches: a change of memory type, or of a page's code,
//! requires the maintenance that the architecture prescribes in addition to the flush.
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
//! between finds the entry invalid while CPUs may still have it cached. If it maps a page through [`Section::map`], nothing more
//! is required. On a machine that requires the old entry to be flushed before another one is stored (break before make),
//! `map` flushes the entry's addresses first, with the lock held. On every machine the handler's gather finds at its end that the
//! other one is in progress, and flushes everything of the space, so that no CPU uses the old entry when it returns.
//!
//! A handler that stores entries without a gather calls [`AddressSpace::flush_pending`] with the lock held, and
//! [`Mmu::flush_everything`] before it stores if the result is true, on every machine: nothing else flushes then.
//!
//! ## Spurious faults
//!
//! A CPU may fault although the table permits the access: it has an older entry cached that permits less, or a negative entry on a
//! machine that has them; or it walked before a new entry was visible. A handler that finds that the table permits the access
//! calls [`Mmu::fix_spurious`] on that CPU and returns. It must not omit the call because it returns false on one machine:
//! whether anything has to be done depends on the machine.
//!
//! | change | user space | kernel |
//! |---|---|---|
//! | more rights | `fix_spurious` at the fault; the gather flushes for devices that keep the stricter entry | the gather flushes, unless the machine walks again before it faults |
//! | a valid entry where none was | `fix_spurious` at the fault | the section [publishes](Mmu::publish) it at its end; the gather flushes where there are negative entries |
//! | any other | the gather flushes | the gather flushes |
//!
//! Where the policy of the definition says `kernel faults fixed` ([`Facts::kernel_faults_fixed`](crate::backend::Facts)), the
//! column for user spaces holds for the kernel as well: the handler calls `fix_spurious` for the kernel's addresses, and uses no memory
//! itself, such as a stack, whose entries may be stale.
//!
//! Otherwise the kernel's own accesses require no handler for spurious faults after a section has changed its entries. For entries
//! that it stores without a section it calls [`Mmu::publish`], whose documentation says when they may be used. The flush
//! publishes an entry that becomes invalid.
//!
//! # Spaces and CPUs
//!
//! ## The last reference to a space
//!
//! [`Mmu::switch`] and [`Mmu::cpu_offline`] drop handles, with interrupts off and in the middle of a context switch. The
//! `Drop` of [`Platform::Handle`] must therefore call neither [`Mmu::teardown`] nor [`Mmu::release`], and must not
//! sleep: it passes the space to a thread that may. A kernel has two counts (Linux: `mm_users` and `mm_count`):
//!
//! * threads that run in the space. After the last one has switched to the kernel or to another space:
//!   [`Mmu::teardown`].
//! * references to the space, one of them for all those threads together and one for each handle that a CPU's
//!   [`Current`] holds. After the last one: [`Mmu::release`], then the top tables and the [`AddressSpace`] may be freed.
//!
//! `examples/exit.rs` shows the order. `examples/exec.rs` shows the same for a space that another CPU has loaded lazily.
//!
//! ## CPUs that come online and go offline
//!
//! Coming online, in this order and with interrupts off: the [setup of the machine](#the-setup-of-the-machine);
//! [`Mmu::cpu_online`]; only then accesses to anything that other CPUs may unmap or protect. After the call other CPUs wait for
//! this one in their shootdowns: it turns interrupts on soon, and until then waits for no lock that is held during a flush.
//! When every CPU that used the boot tables is online, they may be freed.
//!
//! Going offline: no thread is left that could run on the CPU; then [`Mmu::cpu_offline`], after which the CPU uses only
//! mappings that never change. An idle state that loses the root register, or from which an interrupt does not wake the CPU,
//! requires the same: `cpu_offline` before it, and `cpu_online` after it.
//!
//! ## Entry from user code
//!
//! If user code runs on a view of its own, [`Mmu::return_to_user`] loads it last, and the entry code loads the kernel's view
//! before anything of the runtime is called: [`Mmu::handle_ipi`] flushes what the loaded view names.
//! [`Mmu::enter_from_user`] does so, if its code is mapped in the user view. Entry code in assembly loads what
//! [`Mmu::enter_from_user_through`] recorded when the space was last loaded.
//!
//! ## Non-maskable interrupts
//!
//! A handler of non-maskable interrupts calls no function of the runtime except [`Mmu::loaded`], whose documentation gives the
//! reason. Shootdowns use an interrupt that can be masked.
//!
//! ## Machines without atomic accesses of 64 bits
//!
//! There a word of the runtime has a lock of its own, which a CPU holds for a few instructions. An interrupt handler that calls the
//! runtime would wait for ever for a word of the code that it interrupts, so on these machines every function of the runtime is
//! called with interrupts off, and a handler of non-maskable interrupts calls none.
//!
//! ## The setup of the machine
//!
//! A backend relies on control registers and on bits of entries that it does not set (which register holds the tag,
//! which entries are global, how walks are shared). The documentation of each generated module states them at the
//! constructor of its `Hardware`, and `tlbc doc` in its page. Every CPU has them before `cpu_online`.
//!
//! The configuration of the backend is what all CPUs have. The generated `Config::from_registers` returns the features of one CPU,
//! if registers report them, and [`Flags::least`](crate::Flags::least) those of two CPUs together. `with` and `without` change what the kernel decides: the page
//! size, errata, the features that it does not turn on. At the end `settled` clears features that lack what they need
//! (`examples/kernel/boot`).
//!
//! # Devices
//!
//! The kernel [attaches](Mmu::attach_device) a device that shares the tables of a space before the device can fill its TLB. If the
//! device uses the space's tag (in a PASID table, a stream table), the kernel also [pins](Mmu::pin_tag) the tag, so that no
//! rollover assigns it to another space. At the end the kernel stops the device; then [detaches](Mmu::detach_device) it, which
//! flushes what it has cached under the tag; and only then [unpins](Mmu::unpin_tag) the tag.
//!
//! # Shootdowns
//!
//! ## Why a shootdown waits
//!
//! A page is released as [`Flushed`], which only a finished flush creates: it proves to the code that frees the page that no CPU
//! can access it. A flush that did not wait would have to keep every page until the last CPU has handled its request. That takes
//! memory, which may be refused at that moment, and one reference for each page and CPU. Interrupts are off during the wait
//! because each CPU has one outbox for a request, which a context switch or another flush on the same CPU would use.
//!
//! The wait lasts as long as the slowest CPU that gets the IPI has interrupts off, plus its flush. A kernel with deadlines
//!
//! * unmaps many pages in one [`Mmu::gather`], ends sections when [`Gather::is_full`], and calls [`Gather::flush`] when no lock is
//!   held;
//! * uses [`Mmu::reclaim`], which waits once for many pages of many spaces;
//! * keeps threads with deadlines in spaces of their own, on CPUs of their own: CPUs that do not run a space get no IPI for its
//!   pages, and CPUs that have it loaded lazily get one only when tables are unlinked or at teardown;
//! * changes its own mappings rarely and many at the same time, since every CPU gets an IPI for them, and from a CPU without
//!   deadlines. Linux, for example, frees vmap areas lazily and unmaps many of them together.
//!
//! On a machine whose instructions reach every CPU no CPU gets an IPI, with four exceptions: errata; tables that cannot be
//! [deferred](Platform::free_tables_deferred) because memory was refused; lazy CPUs that hold no reference, at a
//! [teardown](Mmu::teardown); and the attachment of a device.
//!
//! ## Interrupt controllers
//!
//! [`Platform::send_ipi`] guarantees that a CPU that takes the interrupt sees what was stored before it was sent. If the write that
//! sends it is not ordered after earlier stores (a write to a system register often is not), the kernel executes the required
//! barrier in that method.
//!
//! ## Stacks
//!
//! [`Mmu::handle_ipi`] flushes on the stack of the interrupt, and [`Mmu::gather`] keeps its first pages on the caller's stack. The
//! README of the project has figures.

#[cfg(doc)]
use crate::{
    AddressSpace, Current, Flushed, Gather, Mmu, Platform, Pte, Section,
    pte::{Change, ChangeFacts, Entry, Was},
};
