//! A platform that does almost nothing itself, so that the runtime is measured.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::num::NonZeroU64;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tlbc_backends::{arm64, x86_64};
use tlbc_runtime::pte::{Entry, Slot};
use tlbc_runtime::request::Extent;
use tlbc_runtime::sync::Word;
use tlbc_runtime::{
    AddressSpace, Backend, Constant, CpuId, CpuMask, CpuSet, CpuTlb, Current, Flushed, Gather,
    Issue, Level, Mmu, PageBatch, Platform, Pte, Record, Root, SpaceFlags, SpaceId, TableBatch,
    Tag, Unlinked,
};

/// A machine whose configuration is constant, as in a kernel built for it.
pub trait Machine: Sized + Sync + 'static {
    const NAME: &'static str;
    type Backend: Backend + 'static;
    fn backend() -> &'static Self::Backend;
}

/// The features of the first machine. The C program tests none either: Linux patches such tests away at boot.
type Arm64Config = Constant<{ arm64::Config::TTL.with(arm64::Config::ETS2).bits() }>;

/// The features of the second machine.
type X86Config = Constant<
    {
        x86_64::Config::PGE
            .with(x86_64::Config::PCID)
            .with(x86_64::Config::INVPCID)
            .bits()
    },
>;

/// Instructions reach every CPU.
pub struct Arm64;

impl Machine for Arm64 {
    const NAME: &'static str = "arm64";
    type Backend = arm64::Tlb<Arm64Config>;
    fn backend() -> &'static Self::Backend {
        &arm64::Tlb { config: Constant }
    }
}

/// Other CPUs are interrupted, if there are any.
pub struct X86;

impl Machine for X86 {
    const NAME: &'static str = "x86_64";
    type Backend = x86_64::Tlb<X86Config>;
    fn backend() -> &'static Self::Backend {
        &x86_64::Tlb {
            config: Constant,
            invlpgb_pages: 1,
        }
    }
}

/// A page or a table, by its number. It is never 0, like a pointer to a kernel's page structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page(pub NonZeroU64);

thread_local! {
    /// The memory of empty batches that [`Pooled`] uses, like a CPU's list of free pages.
    static POOL: RefCell<Vec<NonNull<()>>> = const { RefCell::new(Vec::new()) };
    /// The CPU that this thread is, as a register would hold it.
    static CPU: Cell<u32> = const { Cell::new(0) };
}

/// A batch from the pool.
pub struct Pooled<T>(NonNull<T>);

impl<T: Default> Pooled<T> {
    fn take() -> Self {
        const { assert!(size_of::<T>() == 4096 && align_of::<T>() == 8) }
        match POOL.with_borrow_mut(Vec::pop) {
            Some(batch) => Self(batch.cast()),
            None => Self(NonNull::from(Box::leak(Box::<T>::default()))),
        }
    }
}

impl<T> Drop for Pooled<T> {
    fn drop(&mut self) {
        POOL.with_borrow_mut(|pool| pool.push(self.0.cast()));
    }
}

impl<T> Deref for Pooled<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: only this batch uses the memory until it is dropped. It was created as an empty batch, and returns to
        // the pool as one; an empty batch of pages and one of tables have the same representation here, on every
        // machine.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { self.0.as_mut() }
    }
}

/// The platform, with sets of up to `64 * W` CPUs.
pub struct Bare<M: Machine, const W: usize = 1> {
    machine: std::marker::PhantomData<M>,
    cpus: Vec<CpuTlb<CpuSet<W>>>,
    words: [Word; 16],
    /// The runtime that this is the platform of, which handles IPIs.
    mmu: OnceLock<&'static Mmu<Self>>,
    /// The sum of the pages and tables that were released.
    sum: AtomicU64,
}

impl<M: Machine, const W: usize> Platform for Bare<M, W> {
    type Backend = M::Backend;
    type CpuSet = CpuSet<W>;
    type Page = Page;
    type Table = Page;
    type BatchBox<T> = Pooled<T>;
    type Handle = &'static AddressSpace<Self::CpuSet>;

    #[inline]
    fn backend(&self) -> impl Deref<Target = M::Backend> {
        M::backend()
    }

    #[inline]
    fn sink(&self, _: CpuId) -> impl Issue<<M::Backend as Backend>::Op> {
        // The operand is computed, as for an instruction.
        Record(|op| {
            black_box(op);
        })
    }

    fn cpus(&self) -> usize {
        self.cpus.len()
    }

    #[inline]
    fn cpu(&self, cpu: CpuId) -> &CpuTlb<Self::CpuSet> {
        &self.cpus[cpu.index()]
    }

    fn kernel_root(&self) -> Root {
        Root {
            table: 0xf000,
            tag: Tag {
                value: 0,
                global: true,
            },
            empty: 0xe000,
            flags: SpaceFlags::NONE,
        }
    }

    fn tag_words(&self) -> &[Word] {
        &self.words
    }

    #[inline]
    fn pin_cpu<R>(&self, _: bool, run: impl FnOnce(CpuId) -> R) -> R {
        run(CpuId(CPU.get()))
    }

    /// Handles the request in place of each of the CPUs, on which no thread runs.
    fn send_ipi(&self, targets: &Self::CpuSet) {
        let mmu = self.mmu.get().expect("the runtime");
        targets.iter().for_each(|target| mmu.handle_ipi(target));
    }

    fn page_batch(&self) -> Option<Pooled<PageBatch<Self>>> {
        Some(Pooled::take())
    }

    fn table_batch(&self) -> Option<Pooled<TableBatch<Self>>> {
        Some(Pooled::take())
    }

    #[inline(never)]
    fn release_pages(&self, pages: Flushed<'_, Self>) {
        let sum = pages.fold(0, |sum: u64, page| sum.wrapping_add(page.0.get()));
        self.sum.store(sum, Relaxed);
    }

    #[inline(never)]
    fn free_tables_deferred(&self, tables: Unlinked<Self>) -> Result<(), Unlinked<Self>> {
        let tables = tables.after_grace_period();
        let sum = tables.fold(0, |sum: u64, table| sum.wrapping_add(table.0.get()));
        self.sum.store(sum, Relaxed);
        Ok(())
    }

    fn free_table(&self, table: Page) {
        self.sum.store(table.0.get(), Relaxed);
    }
}

const VALID: u64 = 1;
const SHIFT: u32 = 12;
/// The number of entries in a table.
const TABLE: usize = 512;

/// The number of pages of a folio, which are unmapped together.
pub const FOLIO: usize = 16;

/// Consecutive tables, for addresses from 0, at the start of a page as tables are.
pub struct Arena {
    memory: Vec<AtomicU64>,
    skipped: usize,
    entries: usize,
}

impl Arena {
    /// Returns tables with this many entries.
    pub fn new(entries: usize) -> Self {
        let memory: Vec<_> = (0..entries + TABLE).map(|_| AtomicU64::new(0)).collect();
        let skipped = memory.as_ptr().align_offset(TABLE * 8);
        Self {
            memory,
            skipped,
            entries,
        }
    }

    /// Returns the entries.
    #[inline]
    pub fn words(&self) -> &[AtomicU64] {
        &self.memory[self.skipped..][..self.entries]
    }

    /// Makes every entry map a page.
    pub fn fill(&self) {
        for (word, page) in self.words().iter().zip(1..) {
            word.store(page << SHIFT | VALID, Relaxed);
        }
    }
}

/// Valid entries, one or those of a folio: of pages at level 0, of a table at level 1.
struct Valid<'a, const N: usize> {
    space: SpaceId,
    level: Level,
    entries: &'a [AtomicU64; N],
    at: usize,
}

impl<M: Machine, const W: usize, const N: usize> Pte<Bare<M, W>> for Valid<'_, N> {
    #[inline]
    fn belongs_to(&self, space: &AddressSpace<CpuSet<W>>) -> bool {
        space.id() == self.space
    }

    #[inline]
    fn level(&self) -> Level {
        self.level
    }

    #[inline]
    fn slot(&self) -> Slot<'_> {
        Slot {
            entries: self.entries.as_slice().into(),
            table: 0x1000,
            index: (self.at % TABLE) as u16,
            va: (self.at as u64) << (SHIFT + 9 * u32::from(self.level.0)),
        }
    }

    #[inline]
    fn decode(level: Level, bits: u64) -> Entry {
        let number = bits >> SHIFT;
        if bits & VALID == 0 {
            Entry::Invalid
        } else if level == Level(0) {
            Entry::Leaf {
                page: number,
                rights: 1,
                attributes: 0,
            }
        } else {
            Entry::Table {
                table: number,
                attributes: 0,
            }
        }
    }

    fn is_accessed(_: Level, _: u64) -> bool {
        true
    }

    fn is_dirty(_: Level, _: u64) -> bool {
        false
    }

    #[inline]
    fn into_page(self, old: u64) -> Option<Page> {
        NonZeroU64::new(old >> SHIFT).map(Page)
    }

    fn into_table(self, _: u64) -> Page {
        Page(NonZeroU64::MIN.saturating_add(self.at as u64))
    }
}

type Space<const W: usize> = &'static AddressSpace<CpuSet<W>>;

/// A space, and the runtime of its machine, for any CPU.
pub struct Task<M: Machine, const W: usize> {
    mmu: &'static Mmu<Bare<M, W>>,
    space: Space<W>,
}

impl<M: Machine, const W: usize> Clone for Task<M, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Machine, const W: usize> Copy for Task<M, W> {}

impl<M: Machine, const W: usize> Task<M, W> {
    /// Makes the current thread a CPU.
    pub fn run_on(cpu: CpuId) {
        CPU.set(cpu.0);
    }

    /// Unmaps entries in a gather, `N` at a time, with a locked section for each table. The first is entry `at` of the arena.
    #[inline]
    fn unmap_in<const N: usize>(
        self,
        gather: &mut Gather<'_, Bare<M, W>>,
        mut left: &[AtomicU64],
        mut at: usize,
    ) {
        let space = self.space.id();
        while !left.is_empty() {
            let in_table = TABLE - at % TABLE;
            let (table, rest) = left.split_at_checked(in_table).unwrap_or((left, &[]));
            let entries = table.as_chunks::<N>().0.iter().zip((at..).step_by(N));
            let valid = entries.filter(|(entries, _)| entries[0].load(Relaxed) & VALID != 0);
            gather.locked((), |section, ()| {
                let cleared = section.unmap_all(valid.map(|(entries, at)| Valid {
                    space,
                    level: Level(0),
                    entries,
                    at,
                }));
                assert!(cleared.is_ok());
            });
            (left, at) = (rest, at + in_table);
        }
    }

    /// Unmaps entries in one gather, of pages or of folios of `N` pages. The first is entry `at` of the arena.
    #[inline(never)]
    pub fn unmap<const N: usize>(self, entries: &[AtomicU64], at: usize) {
        self.mmu.gather(self.space, |gather| {
            self.unmap_in::<N>(gather, entries, at);
        });
    }

    /// Unmaps everything in a teardown.
    #[inline(never)]
    pub fn teardown(self, arena: &Arena) {
        self.mmu.teardown(self.space, |gather| {
            self.unmap_in::<1>(gather, arena.words(), 0);
        });
    }

    /// Unlinks consecutive tables in one gather.
    #[inline(never)]
    pub fn free_tables(self, links: &Arena) {
        self.mmu.gather(self.space, |gather| {
            gather.locked((), |section, ()| {
                let (entries, _) = links.words().as_chunks();
                for (at, entries) in entries.iter().enumerate() {
                    let link = Valid::<1> {
                        space: self.space.id(),
                        level: Level(1),
                        entries,
                        at,
                    };
                    assert!(section.unlink(link).is_ok());
                }
            });
        });
    }

    /// Flushes one page.
    pub fn flush_page(self) {
        let page = Extent::new(0x1000, 0x1000);
        let flushed = self.mmu.flush_range(self.space, page, Level(0));
        assert_eq!(flushed, Ok(()));
    }
}

/// A machine, two of its spaces, and what its first CPU runs.
pub struct Bench<M: Machine, const W: usize = 1> {
    mmu: &'static Mmu<Bare<M, W>>,
    spaces: [Space<W>; 2],
    current: Cell<Current<Space<W>>>,
}

/// The CPU of the main thread.
pub const FIRST: CpuId = CpuId(0);

impl<M: Machine, const W: usize> Bench<M, W> {
    /// The stack size of a gather.
    pub const SIZE: usize = size_of::<Gather<'_, Bare<M, W>>>();

    /// Creates a machine with some CPUs, of which some are online. The first runs in the first space, the others in the kernel.
    pub fn new(cpus: usize, online: u32) -> Self {
        let mmu: &Mmu<_> = Box::leak(Box::new(Mmu::new(Bare {
            machine: std::marker::PhantomData,
            cpus: (0..cpus).map(|_| CpuTlb::new()).collect(),
            words: [const { Word::new(0) }; 16],
            mmu: OnceLock::new(),
            sum: AtomicU64::new(0),
        })));
        let _ = mmu.platform().mmu.set(mmu);
        for cpu in (1..online).map(CpuId) {
            let _ = mmu.cpu_online(cpu).expect("a usable machine");
        }
        let kernel = mmu.cpu_online(FIRST).expect("a usable machine");
        let spaces = [0x10_0000, 0x20_0000].map(|table| Self::new_space(mmu, table));
        let current = Cell::new(mmu.switch(FIRST, kernel, Some(spaces[0])));
        Self {
            mmu,
            spaces,
            current,
        }
    }

    fn new_space(mmu: &'static Mmu<Bare<M, W>>, table: u64) -> Space<W> {
        Box::leak(Box::new(mmu.address_space(table.into()).expect("a tag")))
    }

    /// Returns the first space.
    pub fn task(&self) -> Task<M, W> {
        Task {
            mmu: self.mmu,
            space: self.spaces[0],
        }
    }

    /// Runs the first space on another CPU as well.
    pub fn run_also_on(&self, cpu: CpuId) {
        let _ = self.mmu.switch(cpu, Current::Kernel, Some(self.spaces[0]));
    }

    /// Returns a new space, which the CPU has run, and uses lazily.
    pub fn exited(&self) -> Task<M, W> {
        let space = Self::new_space(self.mmu, 0x30_0000);
        self.switch(Some(space));
        self.switch(None);
        Task {
            mmu: self.mmu,
            space,
        }
    }

    fn switch(&self, to: Option<Space<W>>) {
        let from = self.current.replace(Current::Kernel);
        self.current.set(self.mmu.switch(FIRST, from, to));
    }

    /// Switches to the other space and back.
    pub fn switch_twice(&self) {
        self.switch(Some(self.spaces[1]));
        self.switch(Some(self.spaces[0]));
    }

    /// Switches to a kernel thread, which keeps the root, and back.
    pub fn lazy_and_back(&self) {
        self.switch(None);
        self.switch(Some(self.spaces[0]));
    }
}
