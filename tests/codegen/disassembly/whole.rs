//! A kernel of statics that calls everything that a kernel calls of the runtime. None of it may panic.
#![no_std]
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};
use tlbc_backends::ARCH::{Hardware, Tlb};
use tlbc_runtime::pte::{Entry, Slot};
use tlbc_runtime::request::{Extent, Request};
use tlbc_runtime::sync::Word;
use tlbc_runtime::{
    AddressSpace, Attached, Backend, SpaceFlags, Stats, CpuId, CpuSet, CpuMask, Current, Flushed,
    Issue, Level, Loaded, CpuTlb, Misuse, Mmu, NewSpace, NoTag, NotPinned, PageBatch, Platform, Pte,
    Root, SpaceId, StillLoaded, TableBatch, Tag, TooManyDevices, Unlinked, Unusable,
};

const CPUS: usize = 128;

static MMU: Mmu<Kernel> = Mmu::new(Kernel);
static LOCALS: [CpuTlb<CpuSet<{ CPUS / 64 }>>; CPUS] = [const { CpuTlb::new() }; CPUS];
static TAGS: [Word; 64] = [const { Word::new(0) }; 64];
/// The configuration is detected when the machine starts.
static TLB: AtomicPtr<Tlb> = AtomicPtr::new(core::ptr::null_mut());
static ROOT: AtomicU64 = AtomicU64::new(0);
static CPU: AtomicU32 = AtomicU32::new(0);
static SENT: AtomicU64 = AtomicU64::new(0);
static FREE_PAGES: AtomicPtr<PageBatch<Kernel>> = AtomicPtr::new(core::ptr::null_mut());
static FREE_TABLES: AtomicPtr<TableBatch<Kernel>> = AtomicPtr::new(core::ptr::null_mut());

struct Kernel;
type Space = &'static AddressSpace<CpuSet<{ CPUS / 64 }>>;

/// Stops the CPU.
fn halt() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

fn cpu() -> Hardware {
    // SAFETY: none of this is ever run.
    unsafe { Hardware::new() }
}

impl Platform for Kernel {
    type Backend = Tlb;
    type CpuSet = CpuSet<{ CPUS / 64 }>;
    type Page = Page;
    type Table = Table;
    type BatchBox<T> = Owned<T>;
    type Handle = Space;

    fn backend(&self) -> impl Deref<Target = Tlb> {
        // SAFETY: none of this is ever run.
        unsafe { &*TLB.load(Relaxed) }
    }

    fn sink(&self, _: CpuId) -> impl Issue<<Tlb as Backend>::Op> {
        cpu()
    }

    fn cpus(&self) -> usize {
        CPUS
    }

    fn cpu(&self, cpu: CpuId) -> &CpuTlb<Self::CpuSet> {
        LOCALS.get(cpu.index()).unwrap_or_else(|| halt())
    }

    fn tag_words(&self) -> &[Word] {
        &TAGS
    }

    fn kernel_root(&self) -> Root {
        let table = ROOT.load(Relaxed);
        Root {
            table,
            tag: Tag { value: table, global: true },
            empty: table,
            flags: SpaceFlags::NONE,
        }
    }

    fn pin_cpu<R>(&self, _: bool, run: impl FnOnce(CpuId) -> R) -> R {
        run(CpuId(CPU.load(Relaxed)))
    }

    fn send_ipi(&self, cpus: &Self::CpuSet) {
        cpus.iter().for_each(|cpu| SENT.store(u64::from(cpu.0), Relaxed));
    }

    fn page_batch(&self) -> Option<Owned<PageBatch<Self>>> {
        NonNull::new(FREE_PAGES.swap(core::ptr::null_mut(), Relaxed)).map(Owned)
    }

    fn table_batch(&self) -> Option<Owned<TableBatch<Self>>> {
        NonNull::new(FREE_TABLES.swap(core::ptr::null_mut(), Relaxed)).map(Owned)
    }

    fn release_pages(&self, pages: Flushed<'_, Self>) {
        pages.for_each(|page| SENT.store(page.number, Relaxed));
    }

    fn delays_rmap_removal(page: &Page) -> bool {
        page.dirty_file
    }

    fn remove_rmap(&self, page: &mut Page) {
        page.dirty_file = false;
    }

    fn free_tables_deferred(&self, tables: Unlinked<Self>) -> Result<(), Unlinked<Self>> {
        if SENT.load(Relaxed) == 0 {
            return Err(tables);
        }
        tables.after_grace_period().for_each(|table| SENT.store(table.0, Relaxed));
        Ok(())
    }

    fn free_table(&self, table: Table) {
        SENT.store(table.0, Relaxed);
    }

    fn invalidate_secondary(&self, space: &AddressSpace<Self::CpuSet>, request: &Request<'_>) {
        SENT.store(request.tag.value + u64::from(space.flush_pending()), Relaxed);
    }
}

pub struct Page {
    number: u64,
    dirty_file: bool,
}

pub struct Table(u64);

pub struct Owned<T>(NonNull<T>);

impl<T> Deref for Owned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: none of this is ever run.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for Owned<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: none of this is ever run.
        unsafe { self.0.as_mut() }
    }
}

/// An entry that the kernel owns.
pub struct Owns {
    space: SpaceId,
    level: Level,
    words: &'static [AtomicU64],
    va: u64,
}

impl Pte<Kernel> for Owns {
    fn belongs_to(&self, space: &AddressSpace<CpuSet<2>>) -> bool {
        space.id() == self.space
    }
    fn level(&self) -> Level {
        self.level
    }
    fn slot(&self) -> Slot<'_> {
        Slot { entries: self.words.into(), table: 0x1000, index: 0, va: self.va }
    }
    fn decode(_: Level, bits: u64) -> Entry {
        match bits & 3 {
            0 => Entry::Invalid,
            1 => Entry::Leaf { page: bits >> 12, rights: (bits >> 2 & 3) as u8, attributes: bits >> 8 & 15 },
            _ => Entry::Table { table: bits >> 12, attributes: 0 },
        }
    }
    fn is_accessed(_: Level, bits: u64) -> bool {
        bits & 16 != 0
    }
    fn is_dirty(_: Level, bits: u64) -> bool {
        bits & 32 != 0
    }
    fn into_page(self, old: u64) -> Option<Page> {
        (old != 0).then_some(Page { number: old, dirty_file: old & 32 != 0 })
    }
    fn into_table(self, old: u64) -> Table {
        Table(old ^ self.va)
    }
}

/// Initializes the statics. Without it the compiler would know that they never change.
#[unsafe(no_mangle)]
pub fn kernel_start(
    tlb: *mut Tlb,
    (root, cpu, sent): (u64, u32, u64),
    pages: *mut PageBatch<Kernel>,
    tables: *mut TableBatch<Kernel>,
) {
    TLB.store(tlb, Relaxed);
    ROOT.store(root, Relaxed);
    CPU.store(cpu, Relaxed);
    SENT.store(sent, Relaxed);
    FREE_PAGES.store(pages, Relaxed);
    FREE_TABLES.store(tables, Relaxed);
}

#[unsafe(no_mangle)]
pub fn kernel_space(new: NewSpace) -> Result<AddressSpace<CpuSet<{ CPUS / 64 }>>, NoTag> {
    MMU.address_space(new)
}

#[unsafe(no_mangle)]
pub fn kernel_unmap(space: Space, leaves: &mut [Option<Owns>], table: Owns) -> bool {
    MMU.gather(space, |gather| {
        let done = gather.locked((), |section, ()| {
            let leaves = leaves.iter_mut().filter_map(Option::take);
            section.unmap_all(leaves).is_ok() && section.unlink(table).is_ok()
        });
        if gather.is_full() {
            gather.flush();
        }
        done
    })
}

#[unsafe(no_mangle)]
pub fn kernel_unmap_one(space: Space, leaf: Owns) -> bool {
    MMU.gather(space, |gather| gather.locked((), |section, ()| section.unmap(leaf).is_ok()))
}

#[unsafe(no_mangle)]
pub fn kernel_map(space: Space, pte: &Owns, bits: u64) -> Result<(), Misuse> {
    MMU.gather(space, |gather| gather.locked((), |section, ()| section.map(pte, bits)))?;
    MMU.publish(space);
    Ok(())
}

#[unsafe(no_mangle)]
pub fn kernel_protect(space: Space, pte: &Owns, mask: u64) -> Result<u64, Misuse> {
    MMU.gather(space, |gather| {
        gather.locked((), |section, ()| section.protect(pte, |old| old & mask))
    })
}

#[unsafe(no_mangle)]
pub fn kernel_replace(space: Space, leaf: Owns, bits: u64) -> bool {
    MMU.gather(space, |gather| gather.locked((), |section, ()| section.replace(leaf, bits).is_ok()))
}

#[unsafe(no_mangle)]
pub fn kernel_split(space: Space, pte: &Owns, table: u64) -> Result<u64, Misuse> {
    MMU.gather(space, |gather| gather.locked((), |section, ()| section.split(pte, table)))
}

#[unsafe(no_mangle)]
pub fn kernel_unlink_subtree(space: Space, table: Owns) -> bool {
    MMU.gather(space, |gather| gather.locked((), |section, ()| section.unlink_subtree(table).is_ok()))
}

#[unsafe(no_mangle)]
pub fn kernel_move(space: Space, table: Owns, other: Owns, leaf: u64) -> Option<Table> {
    MMU.gather(space, |gather| {
        gather.locked((), |section, ()| {
            section.collapse(other, leaf).ok()?;
            section.detach(table).ok()
        })
    })
}

#[unsafe(no_mangle)]
pub fn kernel_teardown(space: Space, leaf: Owns) -> Result<(), StillLoaded> {
    MMU.teardown(space, |gather| {
        gather.locked((), |section, ()| section.unmap(leaf).is_ok())
    });
    MMU.release(space)
}

#[unsafe(no_mangle)]
pub fn kernel_reclaim(space: Space, first: Owns, second: Owns) -> Option<u64> {
    MMU.reclaim(|batch| {
        let first = batch.unmap(space, first).ok()??;
        batch.before_io();
        let second = batch.unmap(space, second).ok()??;
        let waited = batch.wait();
        let first = waited.redeem(first).ok()?;
        Some(first.number ^ waited.redeem(second).ok()?.number)
    })
}

#[unsafe(no_mangle)]
pub fn kernel_switch(cpu: CpuId, from: Current<Space>, to: Option<Space>) -> Current<Space> {
    MMU.switch(cpu, from, to)
}

#[unsafe(no_mangle)]
pub fn kernel_return_to_user(cpu: CpuId, space: Space) {
    MMU.return_to_user(cpu, space);
}

#[unsafe(no_mangle)]
pub fn kernel_enter(cpu: CpuId, space: Space) -> Loaded {
    MMU.enter_from_user(cpu, space);
    MMU.loaded(cpu)
}

#[unsafe(no_mangle)]
pub fn kernel_interrupted(cpu: CpuId) {
    MMU.handle_ipi(cpu);
}

#[unsafe(no_mangle)]
pub fn kernel_faulted(space: Space, va: u64, level: Level) -> Result<bool, Misuse> {
    MMU.fix_spurious(space, va, level)
}

#[unsafe(no_mangle)]
pub fn kernel_flush(space: Space, extent: Extent, level: Level) -> Result<(), Misuse> {
    MMU.flush_everything(space);
    MMU.wait_for_walkers();
    MMU.flush_range(MMU.kernel(), extent, level)
}

#[unsafe(no_mangle)]
pub fn kernel_attach(space: Space, needs: SpaceFlags) -> Result<Attached, TooManyDevices> {
    MMU.attach_device(space, needs)
}

#[unsafe(no_mangle)]
pub fn kernel_detach(space: Space, device: Attached) -> Result<(), Attached> {
    MMU.detach_device(space, device)
}

#[unsafe(no_mangle)]
pub fn kernel_pins(space: Space) -> Result<Tag, NoTag> {
    match MMU.unpin_tag(space) {
        Ok(()) => MMU.pin_tag(space),
        Err(NotPinned) => Err(NoTag),
    }
}

#[unsafe(no_mangle)]
pub fn kernel_hotplug(cpu: CpuId) -> Result<(), Unusable> {
    let current = MMU.cpu_online(cpu)?;
    MMU.cpu_offline(cpu, current);
    Ok(())
}

#[unsafe(no_mangle)]
pub fn kernel_counts(cpu: CpuId) -> [Stats; 2] {
    [MMU.stats(), MMU.stats_of(cpu)]
}

// Functions that compilers call implicitly, and that every kernel provides.

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    for at in 0..bytes {
        // SAFETY: none of this is ever run.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
    to
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(to: *mut u8, byte: i32, bytes: usize) -> *mut u8 {
    for at in 0..bytes {
        // SAFETY: none of this is ever run.
        unsafe { to.add(at).write_volatile(byte as u8) };
    }
    to
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, bytes: usize) -> i32 {
    for at in 0..bytes {
        // SAFETY: none of this is ever run.
        let (left, right) = unsafe { (left.add(at).read_volatile(), right.add(at).read_volatile()) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}
