//! The machine with its kernel, and what the threads of a test do as CPUs.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tlbc_machine_loom::toys::{Kind, Toy};
use tlbc_machine_loom::{Entry, KERNEL, Machine, Op, TableId};
use tlbc_runtime::sync::{Lock, Word};
use tlbc_runtime::{CpuId, CpuTlb, Current, Mmu, NewSpace, Platform};

use super::{CPU, Cpu, Handle, Interrupts, Kernel, NO_CPU, Owned, Page, Runs, Table};
use crate::entries::unlink_in;

/// A machine with its kernel. Space `n` has table `2n + 1` as its root, which points at table `2n + 2`, which maps
/// pages `2n` and `2n + 1`.
pub struct World<K: Kind> {
    pub mmu: Rc<Mmu<Kernel<K>>>,
    pub layout: Layout,
}

impl<K: Kind> Clone for World<K> {
    fn clone(&self) -> Self {
        Self {
            mmu: self.mmu.clone(),
            layout: self.layout,
        }
    }
}

/// What there is in a world.
#[derive(Clone, Copy)]
pub struct Layout {
    pub cpus: usize,
    /// How many of the CPUs are on line from the start: the first ones.
    pub online: usize,
    /// For how many spaces there is memory.
    pub spaces: usize,
    /// Whether the kernel has pages: those of a table of its own, at which every root points. Otherwise its root has no
    /// entry.
    pub kernel: bool,
}

impl Layout {
    /// So many CPUs, all on line, and memory for so many spaces.
    pub const fn of(cpus: usize, spaces: usize) -> Self {
        Self {
            cpus,
            online: cpus,
            spaces,
            kernel: false,
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
        Self::with(Layout::of(cpus, spaces))
    }

    /// A machine that is laid out so.
    pub fn with(layout: Layout) -> Self {
        let spaces = layout.spaces + usize::from(layout.kernel);
        let (tables, pages) = (2 * spaces + 1, 2 * spaces);
        let machine = Machine::new(Toy::<K>::stores(), layout.cpus, tables, pages);
        let cpu = |_| Cpu {
            local: CpuTlb::new(),
            interrupts: Interrupts::new(),
            user: RefCell::default(),
        };
        let kernel = Kernel {
            backend: Toy::new(&machine),
            machine,
            cpus: (0..layout.cpus).map(cpu).collect(),
            words: (0..2).map(|_| Word::new(0)).collect(),
            mmu: OnceCell::new(),
            root: if layout.kernel {
                root(layout.spaces)
            } else {
                0
            },
            refuses: Cell::new(false),
            device: Lock::new(),
            owned: Owned::new(pages, tables),
        };
        let mmu = Rc::new(Mmu::new(kernel));
        let _ = mmu.platform().mmu.set(Rc::downgrade(&mmu));
        let world = Self { mmu, layout };
        if layout.kernel {
            world.make_kernel_tables();
        }
        for cpu in 0..layout.online {
            let _ = world.on(cpu, || world.cpu_online());
        }
        world
    }

    pub fn machine(&self) -> &Machine {
        &self.mmu.platform().machine
    }

    /// The tables of the kernel, as of a space after all others.
    fn make_kernel_tables(&self) {
        let (machine, kernel) = (self.machine(), self.layout.spaces);
        for index in 0..2 {
            let frame = 2 * kernel + index;
            machine.own_by_kernel(frame);
            machine.store(table(kernel), index, Entry::page(frame).bits());
        }
        self.point_at_kernel(kernel);
    }

    /// Makes the root of a space point at the kernel's table.
    fn point_at_kernel(&self, space: usize) {
        let entry = Entry::Table(table(self.layout.spaces));
        self.machine().store(root(space), KERNEL, entry.bits());
    }

    /// The tables of a space, with its pages and the kernel's.
    pub fn make_tables(&self, nth: usize) {
        let machine = self.machine();
        for index in 0..2 {
            let frame = 2 * nth + index;
            machine.own(frame, root(nth));
            machine.store(table(nth), index, Entry::page(frame).bits());
        }
        machine.store(root(nth), 0, Entry::Table(table(nth)).bits());
        if self.layout.kernel {
            self.point_at_kernel(nth);
        }
        machine.issue(0, &Op::Publish);
    }

    /// A space, its tables and pages.
    pub fn space(&self, nth: usize) -> Handle {
        self.make_tables(nth);
        let new = NewSpace {
            table: root(nth) as u64,
            user_table: root(nth) as u64,
            ..NewSpace::default()
        };
        let space = self.on_some(|| self.mmu.address_space(new));
        Arc::new(space.expect("a tag"))
    }

    /// Runs as a CPU.
    pub fn on<R>(&self, cpu: usize, run: impl FnOnce() -> R) -> R {
        assert!(cpu < self.mmu.platform().cpus.len(), "no such CPU");
        let before = CPU.with(|this| this.replace(cpu as u32));
        let result = run();
        CPU.with(|this| this.set(before));
        result
    }

    /// Runs as the CPU that this thread is, or as the first one.
    fn on_some<R>(&self, run: impl FnOnce() -> R) -> R {
        match CPU.with(Cell::get) {
            NO_CPU => self.on(0, run),
            _ => run(),
        }
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
        space: &Handle,
        run: impl FnOnce(Self, Handle) -> R + 'static,
    ) -> loom::thread::JoinHandle<R> {
        let space = space.clone();
        self.spawn(cpu, move |world| run(world, space))
    }

    /// This CPU comes on line.
    pub fn cpu_online(&self) -> Runs {
        let cpu = CPU.with(Cell::get);
        let kernel = self.mmu.platform();
        let now = kernel.come(cpu as usize, || self.mmu.cpu_online(CpuId(cpu)));
        self.machine().run_kernel(cpu as usize);
        now.expect("a usable machine")
    }

    /// This CPU starts on boot tables that are loaded under a tag, and comes on line.
    pub fn arrive_from(&self, nth: usize, tag: u64) -> Runs {
        let cpu = CPU.with(Cell::get);
        self.machine().boot(cpu as usize, root(nth), tag);
        self.cpu_online()
    }

    /// Boot tables, in the place of a space's: they map its pages at user addresses and at the kernel's.
    pub fn make_boot_tables(&self, nth: usize) {
        let machine = self.machine();
        for index in 0..2 {
            let frame = 2 * nth + index;
            machine.own_by_kernel(frame);
            machine.store(table(nth), index, Entry::page(frame).bits());
        }
        for index in [0, KERNEL] {
            machine.store(root(nth), index, Entry::Table(table(nth)).bits());
        }
        machine.issue(0, &Op::Publish);
    }

    /// Boot tables are freed with their pages.
    pub fn free_boot_tables(&self, nth: usize) {
        let invalid = Entry::Invalid.bits();
        for index in 0..2 {
            self.machine().store(root(nth), index, invalid);
            self.machine().store(table(nth), index, invalid);
        }
        let kernel = self.mmu.platform();
        kernel.free_pages((0..2).map(|index| Page(2 * nth + index)));
        kernel.free_table(Table(table(nth)));
        kernel.free_table(Table(root(nth)));
    }

    /// From here on there is no memory for batches.
    pub fn refuse_batches(&self) {
        self.mmu.platform().refuses.set(true);
    }

    /// This CPU walks the tables of a space in software, without a lock but with interrupts off.
    pub fn walk(&self, space: usize) {
        let kernel = self.mmu.platform();
        kernel.pin_cpu(true, |_| {
            if let Entry::Table(table) = self.machine().load(root(space), 0) {
                kernel.owned.use_table(table);
            }
        });
    }

    /// Makes this CPU run in a space, or in the kernel.
    pub fn switch(&self, from: Runs, to: Option<&Handle>) -> Runs {
        let mmu = &self.mmu;
        mmu.platform().pin_cpu(true, |cpu| {
            self.machine().stop_user(cpu.index());
            let now = mmu.switch(cpu, from, to.cloned());
            if matches!(now, Current::User(_)) && !K::VIEWS {
                self.machine().run_user(cpu.index());
            }
            now
        })
    }

    /// User code runs on the view of a space.
    pub fn return_to_user(&self, space: &Handle) {
        let kernel = self.mmu.platform();
        kernel.pin_cpu(true, |cpu| {
            kernel.return_to_user(&self.mmu, cpu.index(), space.clone());
        });
    }

    /// User code on a view of its own calls the kernel.
    pub fn enter(&self) {
        let kernel = self.mmu.platform();
        let _ = kernel.pin_cpu(true, |cpu| kernel.enter(cpu.index()));
    }

    /// User code of this CPU uses a page, if it reaches it. An interrupt comes before or behind.
    pub fn touch(&self, page: u64) {
        let kernel = self.mmu.platform();
        kernel.pin_cpu(true, |cpu| {
            if let Some(frame) = self.machine().reaches(cpu.index(), page) {
                kernel.owned.use_page(frame);
            }
        });
    }

    /// Another owner relies on nobody using a page.
    pub fn rely_on(&self, frame: usize) {
        self.mmu.platform().reuse(&[frame]);
    }

    /// Has another thread run on this CPU at the nth point from here at which the scheduler may run it.
    pub fn preempt(&self, nth: usize, by: impl FnOnce() + 'static) {
        let cpu = CPU.with(Cell::get) as usize;
        self.mmu.platform().preempt(cpu, nth, by);
    }

    /// Whether that point was reached.
    pub fn was_preempted(&self) -> bool {
        let cpu = CPU.with(Cell::get) as usize;
        self.mmu.platform().was_preempted(cpu)
    }

    /// Frees a page that was unmapped.
    pub fn free(&self, page: Page) {
        self.mmu.platform().free_pages(std::iter::once(page));
    }

    /// This CPU goes, and takes no interrupt any more.
    pub fn cpu_offline(&self, runs: Runs) {
        let kernel = self.mmu.platform();
        let cpu = CPU.with(Cell::get) as usize;
        kernel.go(cpu);
        self.machine().stop_user(cpu);
        if self.layout.kernel {
            self.machine().stop_kernel(cpu);
        }
        self.mmu.cpu_offline(CpuId(cpu as u32), runs);
    }

    /// Ends a space that no CPU uses, and gives its tables to somebody else.
    pub fn end(&self, space: &Handle, nth: usize) {
        self.mmu.teardown(space, |g| unlink_in(g, space, nth));
        assert!(self.mmu.release(space).is_ok(), "nobody has it loaded");
        self.mmu.platform().free_table(Table(root(nth)));
    }

    /// Nothing was wrong at any time.
    pub fn check(&self) {
        if let Some(report) = self.machine().report() {
            panic!("{report}");
        }
    }
}
