//! What is measured: a CPU that unmaps, frees tables, flushes and switches.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tlbc_runtime::request::Extent;
use tlbc_runtime::{AddressSpace, CpuId, CpuSet, Current, Gather, Level, Mmu};

use super::entries::{Arena, TABLE, VALID, Valid};
use super::machine::Machine;
use super::platform::{Bare, CPU};

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
        let mmu = Bare::machine(cpus);
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
