//! A platform that does almost nothing itself, so that the runtime is measured.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tlbc_runtime::sync::Word;
use tlbc_runtime::{
    AddressSpace, Backend, CpuId, CpuMask, CpuSet, CpuTlb, Flushed, Issue, Mmu, PageBatch,
    Platform, Record, Root, SpaceFlags, TableBatch, Tag, Unlinked,
};

use super::machine::Machine;

/// A page or a table, by its number. It is never 0, like a pointer to a kernel's page structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page(pub NonZeroU64);

thread_local! {
    /// The memory of empty batches that [`Pooled`] uses, like a CPU's list of free pages.
    static POOL: RefCell<Vec<NonNull<()>>> = const { RefCell::new(Vec::new()) };
    /// The CPU that this thread is, as a register would hold it.
    pub static CPU: Cell<u32> = const { Cell::new(0) };
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
    machine: PhantomData<M>,
    cpus: Vec<CpuTlb<CpuSet<W>>>,
    words: [Word; 16],
    /// The runtime that this is the platform of, which handles IPIs.
    mmu: OnceLock<&'static Mmu<Self>>,
    /// The sum of the pages and tables that were released.
    sum: AtomicU64,
}

impl<M: Machine, const W: usize> Bare<M, W> {
    /// Creates a machine with this many CPUs, none of them online.
    pub fn machine(cpus: usize) -> &'static Mmu<Self> {
        let mmu: &Mmu<_> = Box::leak(Box::new(Mmu::new(Self {
            machine: PhantomData,
            cpus: (0..cpus).map(|_| CpuTlb::new()).collect(),
            words: [const { Word::new(0) }; 16],
            mmu: OnceLock::new(),
            sum: AtomicU64::new(0),
        })));
        let _ = mmu.platform().mmu.set(mmu);
        mmu
    }
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
