//! The machine with its kernel, and what the threads of a test do as CPUs.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use tlbc_machine_loom::toys::{Kind, Toy};
use tlbc_machine_loom::{Machine, Op, TableId};
use tlbc_runtime::sync::{Lock, Word};
use tlbc_runtime::watched::AtomicU64;
use tlbc_runtime::{CpuId, Current, Local, Mmu, NewSpace, Platform};

use super::{CPU, Cpu, HELD, Handle, Kernel, OFF, Runs, Table};
use crate::entries::unlink_in;

/// A machine with its kernel. Space `n` has table `2n + 1` as its root, which points at table `2n + 2`, which maps
/// pages `2n` and `2n + 1`.
pub struct World<K: Kind> {
    pub mmu: Rc<Mmu<Kernel<K>>>,
}

impl<K: Kind> Clone for World<K> {
    fn clone(&self) -> Self {
        Self {
            mmu: self.mmu.clone(),
        }
    }
}

/// The root of a space.
pub const fn root(space: usize) -> TableId {
    2 * space + 1
}

/// The table of a space that maps its pages.
pub const fn table(space: usize) -> TableId {
    2 * space + 2
}

impl<K: Kind> World<K> {
    /// A machine of so many CPUs, all on line, with memory for so many spaces.
    pub fn new(cpus: usize, spaces: usize) -> Self {
        Self::coming(cpus, cpus, 0, spaces)
    }

    /// The same, where only the first CPUs are on line, and the kernel runs on a root of its own.
    pub fn coming(cpus: usize, online: usize, kernel: TableId, spaces: usize) -> Self {
        let machine = Machine::new(Toy::<K>::stores(), cpus, 2 * spaces + 1, 2 * spaces);
        let cpu = |_| Cpu {
            local: Local::new(),
            interrupts: AtomicU64::new(OFF),
            user: RefCell::default(),
        };
        let kernel = Kernel {
            backend: Toy::new(&machine),
            machine,
            cpus: (0..cpus).map(cpu).collect(),
            words: (0..2).map(|_| Word::new(0)).collect(),
            mmu: OnceCell::new(),
            root: kernel,
            refuses: Cell::new(false),
            device: Lock::new(),
            frames: (0..2 * spaces).map(|_| UnsafeCell::new(())).collect(),
            tables: (0..=2 * spaces).map(|_| UnsafeCell::new(())).collect(),
        };
        let mmu = Rc::new(Mmu::new(kernel));
        let _ = mmu.platform().mmu.set(Rc::downgrade(&mmu));
        let world = Self { mmu };
        for cpu in 0..online {
            let _ = world.on(cpu, || world.arrive());
        }
        world
    }

    pub fn machine(&self) -> &Machine {
        &self.mmu.platform().machine
    }

    /// A space, its tables and pages.
    pub fn space(&self, nth: usize) -> Handle<K> {
        use tlbc_machine_loom::Entry::{Page, Table};
        let machine = self.machine();
        for index in 0..2 {
            let frame = 2 * nth + index;
            machine.own(frame, root(nth));
            machine.store(table(nth), index, Page { frame, write: true }.bits());
        }
        machine.store(root(nth), 0, Table(table(nth)).bits());
        machine.issue(0, &Op::Publish);
        let new = NewSpace {
            table: root(nth) as u64,
            user_table: root(nth) as u64,
            ..NewSpace::default()
        };
        Arc::new(self.mmu.address_space(new).expect("a tag"))
    }

    /// Runs as a CPU.
    pub fn on<R>(&self, cpu: usize, run: impl FnOnce() -> R) -> R {
        assert!(cpu < self.mmu.platform().cpus.len(), "no such CPU");
        let before = CPU.with(|this| this.replace(cpu as u32));
        let result = run();
        CPU.with(|this| this.set(before));
        result
    }

    /// A thread that is a CPU.
    pub fn spawn<R: 'static>(
        &self,
        cpu: usize,
        run: impl FnOnce(Self) -> R + 'static,
    ) -> loom::thread::JoinHandle<R> {
        let world = self.clone();
        loom::thread::spawn(move || world.clone().on(cpu, || run(world)))
    }

    /// A thread that is a CPU, and has a handle of a space.
    pub fn spawn_in<R: 'static>(
        &self,
        cpu: usize,
        space: &Handle<K>,
        run: impl FnOnce(Self, Handle<K>) -> R + 'static,
    ) -> loom::thread::JoinHandle<R> {
        let space = space.clone();
        self.spawn(cpu, move |world| run(world, space))
    }

    /// This CPU comes on line.
    pub fn arrive(&self) -> Runs<K> {
        let kernel = self.mmu.platform();
        let cpu = CPU.with(Cell::get);
        HELD.with(|held| held.set(true));
        let now = self.mmu.arrive(CpuId(cpu));
        HELD.with(|held| held.set(false));
        kernel.turn_on(cpu as usize);
        now.expect("a usable machine")
    }

    /// From here on there is no memory for batches.
    pub fn refuse_batches(&self) {
        self.mmu.platform().refuses.set(true);
    }

    /// This CPU walks the tables of a space in software, without a lock but with interrupts off.
    pub fn walk(&self, space: usize) {
        let kernel = self.mmu.platform();
        kernel.pinned(true, |_| {
            if let tlbc_machine_loom::Entry::Table(table) = self.machine().load(root(space), 0) {
                kernel.tables[table].with(|_| ());
            }
        });
    }

    /// Makes this CPU run in a space, or in the kernel.
    pub fn switch(&self, from: Runs<K>, to: Option<&Handle<K>>) -> Runs<K> {
        let mmu = &self.mmu;
        mmu.platform().pinned(true, |cpu| {
            self.machine().stop_user(cpu.index());
            let now = mmu.switch(cpu, from, to.cloned());
            if matches!(now, Current::User(_)) && !K::VIEWS {
                self.machine().run_user(cpu.index());
            }
            now
        })
    }

    /// User code runs on the view of a space.
    pub fn resume(&self, space: &Handle<K>) {
        let kernel = self.mmu.platform();
        kernel.pinned(true, |cpu| {
            kernel.resume(&self.mmu, cpu.index(), space.clone());
        });
    }

    /// User code on a view of its own calls the kernel.
    pub fn enter(&self) {
        let kernel = self.mmu.platform();
        let _ = kernel.pinned(true, |cpu| kernel.enter(cpu.index()));
    }

    /// User code of this CPU uses a page, if it reaches it. An interrupt comes before or behind.
    pub fn touch(&self, page: u64) {
        let kernel = self.mmu.platform();
        kernel.pinned(true, |cpu| {
            if let Some(frame) = self.machine().reaches(cpu.index(), page) {
                kernel.frames[frame].with(|_| ());
            }
        });
    }

    /// Somebody relies on nobody using a page.
    pub fn rely_on(&self, frame: usize) {
        self.mmu.platform().reuse(&[frame]);
    }

    /// This CPU goes, and takes no interrupt any more.
    pub fn offline(&self, runs: Runs<K>) {
        let kernel = self.mmu.platform();
        let cpu = CPU.with(Cell::get) as usize;
        kernel.turn_off(cpu);
        self.machine().stop_user(cpu);
        self.mmu.offline(CpuId(cpu as u32), runs);
    }

    /// Ends a space that no CPU uses, and gives its tables to somebody else.
    pub fn end(&self, space: &Handle<K>, nth: usize) {
        self.mmu.teardown(space, |g| unlink_in(g, space, nth));
        assert!(self.mmu.release(space).is_ok(), "nobody has it loaded");
        self.mmu.platform().free_table(Table(root(nth)));
    }

    /// Nothing was wrong at any time.
    pub fn check(&self) {
        if let Some(complaint) = self.machine().complaint() {
            panic!("{complaint:?}");
        }
    }
}
