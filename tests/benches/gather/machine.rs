//! A platform that does almost nothing itself, so that the runtime is measured.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::num::NonZeroU64;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tlbc_backends::{arm64, x86_64};
use tlbc_runtime::pte::{Entry, Slot};
use tlbc_runtime::request::Extent;
use tlbc_runtime::sync::Word;
use tlbc_runtime::{
    AddressSpace, Backend, CpuId, CpuSet, CpuTlb, Current, Flushed, Gather, Issue, Level, Mmu,
    NewSpace, PageBatch, Platform, Pte, Record, Root, SpaceFlags, SpaceId, TableBatch, Tag,
    Unlinked,
};

/// A machine whose configuration is constant, as in a kernel built for it.
pub trait Machine: Sized + 'static {
    const NAME: &'static str;
    type Backend: Backend + 'static;
    fn backend() -> &'static Self::Backend;
}

/// Instructions reach every CPU.
pub struct Arm64;

impl Machine for Arm64 {
    const NAME: &'static str = "arm64";
    type Backend = arm64::Tlb;
    fn backend() -> &'static arm64::Tlb {
        const TLB: arm64::Tlb = arm64::Tlb {
            config: arm64::Config::NONE
                .with(arm64::Config::TTL)
                .with(arm64::Config::ETS2),
        };
        &TLB
    }
}

/// Other CPUs are interrupted, if there are any.
pub struct X86;

impl Machine for X86 {
    const NAME: &'static str = "x86_64";
    type Backend = x86_64::Tlb;
    fn backend() -> &'static x86_64::Tlb {
        const TLB: x86_64::Tlb = x86_64::Tlb {
            config: x86_64::Config::NONE
                .with(x86_64::Config::PGE)
                .with(x86_64::Config::PCID)
                .with(x86_64::Config::INVPCID),
            invlpgb_pages: 1,
        };
        &TLB
    }
}

/// A page or a table, by its number. It is never 0, like a pointer to a kernel's page structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page(pub NonZeroU64);

thread_local! {
    /// The memory of empty batches that [`Pooled`] uses, like a CPU's list of free pages.
    static POOL: RefCell<Vec<NonNull<()>>> = const { RefCell::new(Vec::new()) };
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

/// The platform.
pub struct Bare<M: Machine> {
    machine: std::marker::PhantomData<M>,
    locals: [CpuTlb<CpuSet<1>>; 2],
    words: [Word; 16],
    /// The current CPU, as a register would hold it.
    cpu: AtomicU64,
    /// The sum of the pages and tables that were released.
    sum: AtomicU64,
}

impl<M: Machine> Platform for Bare<M> {
    type Backend = M::Backend;
    type CpuSet = CpuSet<1>;
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
        self.locals.len()
    }

    #[inline]
    fn cpu(&self, cpu: CpuId) -> &CpuTlb<Self::CpuSet> {
        &self.locals[cpu.index() & 1]
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
        run(CpuId(self.cpu.load(Relaxed) as u32))
    }

    fn send_ipi(&self, _: &Self::CpuSet) {
        unreachable!("there is no other CPU");
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
        let tables = tables.after_walkers();
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

/// Consecutive tables, for addresses from 0.
pub struct Arena {
    space: SpaceId,
    words: Vec<AtomicU64>,
}

impl Arena {
    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Makes every entry map a page.
    pub fn fill(&self) {
        for (word, page) in self.words.iter().zip(1..) {
            word.store(page << SHIFT | VALID, Relaxed);
        }
    }
}

/// A valid entry: of a page at level 0, of a table at level 1.
struct Valid<'a> {
    space: SpaceId,
    level: Level,
    word: &'a AtomicU64,
    at: usize,
}

impl<M: Machine> Pte<Bare<M>> for Valid<'_> {
    #[inline]
    fn belongs_to(&self, space: &AddressSpace<CpuSet<1>>) -> bool {
        space.id() == self.space
    }

    #[inline]
    fn level(&self) -> Level {
        self.level
    }

    #[inline]
    fn slot(&self) -> Slot<'_> {
        Slot {
            entries: std::slice::from_ref(self.word),
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

type Space = &'static AddressSpace<CpuSet<1>>;

/// A machine, two of its spaces, and what it runs.
pub struct Bench<M: Machine> {
    mmu: Mmu<Bare<M>>,
    spaces: [Space; 2],
    current: Cell<Current<Space>>,
}

const CPU: CpuId = CpuId(0);

impl<M: Machine> Bench<M> {
    /// The stack size of a gather.
    pub const SIZE: usize = size_of::<Gather<'_, Bare<M>>>();

    /// Creates a machine where one CPU of two is online, and runs in the first space.
    pub fn new() -> Self {
        let mmu = Mmu::new(Bare {
            machine: std::marker::PhantomData,
            locals: [CpuTlb::new(), CpuTlb::new()],
            words: [const { Word::new(0) }; 16],
            cpu: AtomicU64::new(u64::from(CPU.0)),
            sum: AtomicU64::new(0),
        });
        let spaces = [0x10_0000, 0x20_0000].map(|table| -> Space {
            let space = mmu.address_space(NewSpace {
                table,
                user_table: table,
                ..NewSpace::default()
            });
            Box::leak(Box::new(space.expect("a tag")))
        });
        let kernel = mmu.cpu_online(CPU).expect("a usable machine");
        let current = Cell::new(mmu.switch(CPU, kernel, Some(spaces[0])));
        Self {
            mmu,
            spaces,
            current,
        }
    }

    /// Returns this many entries of the first space.
    pub fn arena(&self, entries: usize) -> Arena {
        Arena {
            space: self.spaces[0].id(),
            words: (0..entries).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Unmaps pages in one gather, with a locked section for each table.
    #[inline(never)]
    pub fn unmap(&self, arena: &Arena, first: usize, pages: usize) {
        self.mmu.gather(self.spaces[0], |gather| {
            let (mut at, end) = (first, first + pages);
            while at < end {
                let next = end.min((at / TABLE + 1) * TABLE);
                let entries = arena.words[at..next].iter().zip(at..);
                let valid = entries.filter(|(word, _)| word.load(Relaxed) & VALID != 0);
                gather.locked((), |section, ()| {
                    let cleared = section.unmap_all(valid.map(|(word, at)| Valid {
                        space: arena.space,
                        level: Level(0),
                        word,
                        at,
                    }));
                    assert!(cleared.is_ok());
                });
                at = next;
            }
        });
    }

    /// Unmaps pages in one gather that are `apart` entries apart in one table.
    #[inline(never)]
    pub fn unmap_apart(&self, arena: &Arena, first: usize, pages: usize, apart: usize) {
        self.mmu.gather(self.spaces[0], |gather| {
            let entries = (first..).step_by(apart).take(pages);
            let valid = entries.map(|at| Valid {
                space: arena.space,
                level: Level(0),
                word: &arena.words[at],
                at,
            });
            gather.locked((), |section, ()| assert!(section.unmap_all(valid).is_ok()));
        });
    }

    /// Unlinks consecutive tables in one gather.
    #[inline(never)]
    pub fn free_tables(&self, links: &Arena) {
        self.mmu.gather(self.spaces[0], |gather| {
            gather.locked((), |section, ()| {
                for (at, word) in links.words.iter().enumerate() {
                    let link = Valid {
                        space: links.space,
                        level: Level(1),
                        word,
                        at,
                    };
                    assert!(section.unlink(link).is_ok());
                }
            });
        });
    }

    /// Flushes one page.
    pub fn flush_page(&self) {
        let page = Extent::new(0x1000, 0x1000);
        let flushed = self.mmu.flush_range(self.spaces[0], page, Level(0));
        assert_eq!(flushed, Ok(()));
    }

    fn switch(&self, to: Option<Space>) {
        let from = self.current.replace(Current::Kernel);
        self.current.set(self.mmu.switch(CPU, from, to));
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
