//! The machine with its kernel, and what the threads of a test do as CPUs.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tlbc_machine_loom::toys::{Toy, ToyKind};
use tlbc_machine_loom::{Entry, KERNEL, Machine, Op, TableId};
use tlbc_runtime::sync::{Lock, Word};
use tlbc_runtime::{CpuId, CpuTlb, Current, Mmu, NewSpace, Platform};

use super::{CPU, Cpu, Handle, Interrupts, Kernel, NO_CPU, Owned, Page, Runs, Table};
use crate::entries::unlink_in;

/// A machine with its kernel. Space `n` has table `2n + 1` as its root, which points at table `2n + 2`, which maps
/// pages `2n` and `2n + 1`.
pub struct World<K: ToyKind> {
    pub mmu: Rc<Mmu<Kernel<K>>>,
    pub layout: Layout,
}

impl<K: ToyKind> Clone for World<K> {
    fn clone(&self) -> Self {
        Self {
            mmu: self.mmu.clone(),
            layout: self.layout,
        }
    }
}

/// The size of a world.
#[derive(Clone, Copy)]
pub struct Layout {
    pub cpus: usize,
    /// The number of CPUs that are online from the start: the first ones.
    pub online: usize,
    /// The number of spaces that there is memory for.
    pub spaces: usize,
    /// Whether the kernel has pages, in a table that every root points at. Otherwise the kernel's root has no entry.
    pub kernel: bool,
}

impl Layout {
    /// Returns a layout with this many CPUs, all online, and memory for this many spaces.
    pub const fn of(cpus: usize, spaces: usize) -> Self {
        Self {
            cpus,
            online: cpus,
            spaces,
            kernel: false,
        }
    }
}

/// Returns the root of a space.
pub const fn root(space: usize) -> TableId {
    2 * space + 1
}

/// Returns the table of a space that maps its pages.
pub const fn table(space: usize) -> TableId {
    2 * space + 2
}

impl<K: ToyKind> World<K> {
    /// Creates a machine with this many CPUs, all online, and memory for this many spaces.
    pub fn new(cpus: usize, spaces: usize) -> Self {
        Self::with(Layout::of(cpus, spaces))
    }

    /// Creates a machine with a layout.
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

    /// Makes the tables of the kernel, as those of a space after all others.
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

    /// Makes the tables of a space, with its pages and the kernel's.
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

    /// Creates a space with its tables and pages.
    #[expect(
        clippy::arc_with_non_send_sync,
        reason = "the model checker runs its threads on one thread of the host"
    )]
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

    /// Starts a thread that is a CPU.
    pub fn spawn<R: 'static>(
        &self,
        cpu: usize,
        run: impl FnOnce(Self) -> R + 'static,
    ) -> loom::thread::JoinHandle<R> {
        let world = self.clone();
        loom::thread::spawn(move || world.clone().on(cpu, || run(world)))
    }

    /// Starts a thread that is a CPU, with a handle of a space.
    pub fn spawn_in<R: 'static>(
        &self,
        cpu: usize,
        space: &Handle,
        run: impl FnOnce(Self, Handle) -> R + 'static,
    ) -> loom::thread::JoinHandle<R> {
        let space = space.clone();
        self.spawn(cpu, move |world| run(world, space))
    }

    /// Brings this CPU online.
    pub fn cpu_online(&self) -> Runs {
        let cpu = CPU.with(Cell::get);
        let kernel = self.mmu.platform();
        let now = kernel.come_online(cpu as usize, || self.mmu.cpu_online(CpuId(cpu)));
        self.machine().run_kernel(cpu as usize);
        now.expect("a usable machine")
    }

    /// Starts this CPU on boot tables that are loaded under a tag, and brings it online.
    pub fn online_from(&self, nth: usize, tag: u64) -> Runs {
        let cpu = CPU.with(Cell::get);
        self.machine().boot(cpu as usize, root(nth), tag);
        self.cpu_online()
    }

    /// Makes boot tables in the memory of a space: they map its pages at user addresses and at the kernel's.
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

    /// Frees boot tables with their pages.
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

    /// Refuses memory for batches from here on.
    pub fn refuse_batches(&self) {
        self.mmu.platform().refuses.set(true);
    }

    /// Walks the tables of a space in software, without a lock but with interrupts off.
    pub fn walk(&self, space: usize) {
        let kernel = self.mmu.platform();
        kernel.pin_cpu(true, |_| {
            if let Entry::Table(table) = self.machine().load(root(space), 0) {
                kernel.owned.use_table(table);
            }
        });
    }

    /// Switches this CPU to a space, or to the kernel.
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

    /// Runs user code on the view of a space.
    pub fn return_to_user(&self, space: &Handle) {
        let kernel = self.mmu.platform();
        kernel.pin_cpu(true, |cpu| {
            kernel.return_to_user(&self.mmu, cpu.index(), space.clone());
        });
    }

    /// Enters the kernel from user code with a separate view.
    pub fn enter(&self) {
        let kernel = self.mmu.platform();
        let _ = kernel.pin_cpu(true, |cpu| kernel.enter(cpu.index()));
    }

    /// Makes user code of this CPU use a page, if the CPU reaches it. A pending interrupt is handled before or after.
    pub fn touch(&self, page: u64) {
        let kernel = self.mmu.platform();
        kernel.pin_cpu(true, |cpu| {
            if let Some(frame) = self.machine().reaches(cpu.index(), page) {
                kernel.owned.use_page(frame);
            }
        });
    }

    /// Relies on no agent using a page, as its next owner.
    pub fn rely_on(&self, frame: usize) {
        self.mmu.platform().reuse(&[frame]);
    }

    /// Runs another thread on this CPU at the nth point from here at which the scheduler may do so.
    pub fn preempt(&self, nth: usize, by: impl FnOnce() + 'static) {
        let cpu = CPU.with(Cell::get) as usize;
        self.mmu.platform().preempt(cpu, nth, by);
    }

    /// Returns whether that point was reached.
    pub fn was_preempted(&self) -> bool {
        let cpu = CPU.with(Cell::get) as usize;
        self.mmu.platform().was_preempted(cpu)
    }

    /// Frees a page that was unmapped.
    pub fn free(&self, page: Page) {
        self.mmu.platform().free_pages(std::iter::once(page));
    }

    /// Takes this CPU offline.
    pub fn cpu_offline(&self, runs: Runs) {
        let kernel = self.mmu.platform();
        let cpu = CPU.with(Cell::get) as usize;
        kernel.go_offline(cpu);
        self.machine().stop_user(cpu);
        if self.layout.kernel {
            self.machine().stop_kernel(cpu);
        }
        self.mmu.cpu_offline(CpuId(cpu as u32), runs);
    }

    /// Releases a space that no CPU uses, and gives its tables another owner.
    pub fn end(&self, space: &Handle, nth: usize) {
        self.mmu.teardown(space, |g| unlink_in(g, space, nth));
        assert!(self.mmu.release(space).is_ok(), "no CPU has it loaded");
        self.mmu.platform().free_table(Table(root(nth)));
    }

    /// Checks that nothing went wrong at any time.
    pub fn check(&self) {
        if let Some(report) = self.machine().report() {
            panic!("{report}");
        }
    }
}
