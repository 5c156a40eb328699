//! A kernel of the model checker's threads, on the adversarial machine.
//!
//! A thread becomes a CPU by [`World::on`]. Interrupts are off while a bit of the CPU's word is held. An interrupt is handled
//! on the thread that sends it, as one step, where the CPU takes interrupts; otherwise by the CPU's own thread, when it
//! turns them on or serves others while it waits. The words are built so that they order nothing for
//! anybody beyond what a platform promises: what a CPU did is seen by its own handler, and what was stored before an
//! interrupt was sent is seen by whoever handles it.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::entries::unlink_in;
use loom::cell::UnsafeCell;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use loom::sync::atomic::fence;
use tlbc_machine_loom::toys::{Kind, Toy, VIEW};
use tlbc_machine_loom::{Kept, Machine, Op, Shared, TableId};
use tlbc_runtime::batch::Boxed;
use tlbc_runtime::request::Request;
use tlbc_runtime::sync::{Lock, Word, wait_until};
use tlbc_runtime::watched::AtomicU64;
use tlbc_runtime::{
    AddressSpace, Conditions, CpuId, CpuSet, Cpus, Current, Flushed, Frame, Issue, Local, Mmu,
    NewSpace, Platform, Record, Root, Tag, Unlinked,
};

/// A page: its number.
pub struct Page(pub usize);

impl Frame for Page {}

/// A table: its number.
pub struct Table(pub TableId);

pub type Space<K> = AddressSpace<Kernel<K>>;
pub type Handle<K> = Arc<Space<K>>;
/// What a CPU runs in.
pub type Runs<K> = Current<Handle<K>>;

/// Interrupts are off, or handled.
const OFF: u64 = 1;
/// One has come since they were turned off.
const PENDING: u64 = 2;

loom::thread_local! {
    /// The CPU that this thread is.
    static CPU: Cell<u32> = Cell::new(u32::MAX);
    /// Whether its interrupts are off.
    static HELD: Cell<bool> = Cell::new(false);
}

struct Cpu<K: Kind> {
    local: Local<Kernel<K>>,
    interrupts: AtomicU64,
    /// The space that user code runs in, on a view of its own.
    user: RefCell<Option<Handle<K>>>,
}

pub struct Kernel<K: Kind> {
    backend: Toy<K>,
    pub machine: Shared,
    cpus: Vec<Cpu<K>>,
    words: Vec<Word>,
    mmu: OnceCell<Weak<Mmu<Self>>>,
    /// The root that the kernel runs on: one without entries, or a space's.
    root: TableId,
    /// Whether there is no memory for batches.
    refuses: Cell<bool>,
    /// Held while the device is told something.
    device: Lock,
    /// What is in pages and tables: who uses one and who takes it for something else have to be ordered, or the
    /// model checker complains.
    frames: Vec<UnsafeCell<()>>,
    tables: Vec<UnsafeCell<()>>,
}

impl<K: Kind> Kernel<K> {
    fn run_handler(&self, cpu: usize) {
        let mmu = self.mmu.get().and_then(Weak::upgrade).expect("a machine");
        let (before, held) = (
            CPU.with(|this| this.replace(cpu as u32)),
            HELD.with(|held| held.replace(true)),
        );
        let user = self.enter(cpu);
        mmu.interrupted(CpuId(cpu as u32));
        if let Some(space) = user {
            self.resume(&mmu, cpu, space);
        }
        CPU.with(|this| this.set(before));
        HELD.with(|this| this.set(held));
    }

    /// From user code on a view of its own to the kernel: the space that it ran in.
    fn enter(&self, cpu: usize) -> Option<Handle<K>> {
        let user = self.cpus[cpu].user.take();
        if user.is_some() {
            self.machine.stop_user(cpu);
            let (root, tag) = self.machine.loaded(cpu);
            let load = Op::Load {
                root: root.expect("a root"),
                tag: tag & !VIEW,
                kept: Kept::All,
            };
            self.machine.issue(cpu, &load);
        }
        user
    }

    /// And back.
    fn resume(&self, mmu: &Mmu<Self>, cpu: usize, space: Handle<K>) {
        mmu.resume(CpuId(cpu as u32), &space);
        self.cpus[cpu].user.replace(Some(space));
        self.machine.run_user(cpu);
    }

    /// Interrupts are off, behind those that are being handled.
    fn turn_off(&self, cpu: usize) {
        let word = &self.cpus[cpu].interrupts;
        let off = || word.compare_exchange(0, OFF, Acquire, Relaxed).is_ok();
        wait_until(off, || ());
        HELD.with(|held| held.set(true));
    }

    /// Interrupts are on again, behind whatever came meanwhile.
    fn turn_on(&self, cpu: usize) {
        let word = &self.cpus[cpu].interrupts;
        while word.compare_exchange(OFF, 0, Release, Relaxed).is_err() {
            self.handle(cpu);
        }
    }

    /// Handles what is pending.
    fn handle(&self, cpu: usize) {
        self.cpus[cpu].interrupts.fetch_and(!PENDING, Acquire);
        self.run_handler(cpu);
    }
}

impl<K: Kind> Platform for Kernel<K> {
    type Backend = Toy<K>;
    type Set = CpuSet<1>;
    type Page = Page;
    type Table = Table;
    type PageBatch = Boxed<Page>;
    type TableBatch = Boxed<Table>;
    type Handle = Handle<K>;

    fn backend(&self) -> &Toy<K> {
        &self.backend
    }

    fn sink(&self, cpu: CpuId) -> impl Issue<Op> {
        Record(move |op| {
            if matches!(op, Op::Load { .. }) {
                // Until now this CPU may have walked what it had loaded.
                for table in self.machine.walks(cpu.index()) {
                    self.tables[table].with(|_| ());
                }
            }
            let issue = || self.machine.issue(cpu.index(), &op);
            if op == Op::DropDevice {
                self.tell_device(issue);
            } else {
                issue();
            }
            if op == Op::Publish {
                // It waits until stores are seen; nothing behind it is done before.
                fence(SeqCst);
            }
        })
    }

    fn cpus(&self) -> usize {
        self.cpus.len()
    }

    fn local(&self, cpu: CpuId) -> &Local<Self> {
        &self.cpus[cpu.index()].local
    }

    fn tag_words(&self) -> &[Word] {
        &self.words
    }

    fn kernel_root(&self) -> Root {
        Root {
            table: self.root as u64,
            tag: Tag {
                value: 0,
                of_machine: true,
            },
            empty: 0,
            conditions: Conditions::NONE,
        }
    }

    fn pinned<R>(&self, interrupts_off: bool, run: impl FnOnce(CpuId) -> R) -> R {
        let cpu = CPU.with(Cell::get);
        if !interrupts_off || HELD.with(Cell::get) {
            return run(CpuId(cpu));
        }
        self.turn_off(cpu as usize);
        let result = run(CpuId(cpu));
        HELD.with(|held| held.set(false));
        self.turn_on(cpu as usize);
        result
    }

    fn interrupt(&self, cpus: &CpuSet<1>) {
        for cpu in cpus.iter() {
            let word = &self.cpus[cpu.index()].interrupts;
            if word.fetch_or(PENDING | OFF, Release) & OFF == 0 {
                self.handle(cpu.index());
                self.turn_on(cpu.index());
            }
        }
    }

    fn page_batch(&self) -> Option<Boxed<Page>> {
        (!self.refuses.get()).then(Boxed::new)
    }

    fn table_batch(&self) -> Option<Boxed<Table>> {
        (!self.refuses.get()).then(Boxed::new)
    }

    fn release(&self, pages: Flushed<'_, Self>) {
        self.reuse(&pages.map(|page| page.0).collect::<Vec<_>>());
    }

    fn defer(&self, tables: Unlinked<Self>) {
        // No walker in software runs.
        tables
            .after_walkers()
            .for_each(|table| self.free_table(table));
    }

    fn free_table(&self, table: Table) {
        self.machine.free_table(table.0);
        self.tables[table.0].with_mut(|_| ());
    }

    fn secondary(&self, space: &Space<K>, _: &Request<'_>) {
        // Otherwise instructions reach it.
        if space.conditions() == Conditions::NONE {
            self.tell_device(|| self.machine.drop_device());
        }
    }
}

impl<K: Kind> Kernel<K> {
    /// Makes the device drop all, behind what it did with it; whoever does so next is behind that.
    fn tell_device(&self, tell: impl FnOnce()) {
        let wait = || ();
        self.device.with(wait, || {
            for frame in self.machine.device_uses() {
                self.frames[frame].with(|_| ());
            }
            tell();
        });
    }

    /// Pages belong to somebody else, who writes them.
    fn reuse(&self, frames: &[usize]) {
        self.machine.reuse(frames);
        for frame in frames {
            self.frames[*frame].with_mut(|_| ());
        }
    }
}

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
        let mmu = Rc::new(Mmu::new(kernel).expect("a usable machine"));
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

    /// This CPU comes on line.
    pub fn arrive(&self) -> Runs<K> {
        let kernel = self.mmu.platform();
        let cpu = CPU.with(Cell::get);
        HELD.with(|held| held.set(true));
        let now = self.mmu.arrive(CpuId(cpu));
        HELD.with(|held| held.set(false));
        kernel.turn_on(cpu as usize);
        now
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
