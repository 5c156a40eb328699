//! A kernel of the model checker's threads, on the adversarial machine.
//!
//! A thread becomes a CPU by [`World::on`]. Interrupts are off while a bit of the CPU's word is held. An interrupt is handled
//! on the thread that sends it, as one step, where the CPU takes interrupts; otherwise by the CPU's own thread, when it
//! turns them on or serves others while it waits. The words are built so that they order nothing for
//! anybody beyond what a platform promises: what a CPU did is seen by its own handler, and what was stored before an
//! interrupt was sent is seen by whoever handles it.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Weak;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use loom::sync::atomic::fence;
use tlbc_machine_loom::toys::{Kind, Toy, VIEW};
use tlbc_machine_loom::{Kept, Op, Shared, TableId};
use tlbc_runtime::batch::Boxed;
use tlbc_runtime::request::Request;
use tlbc_runtime::sync::{Lock, Word, wait_until};
use tlbc_runtime::watched::AtomicU64;
use tlbc_runtime::{
    AddressSpace, Conditions, CpuId, CpuSet, Cpus, Current, Flushed, Frame, Issue, Local, Mmu,
    Platform, Record, Root, Tag, Unlinked,
};

mod world;

pub use world::{World, root, table};

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

    /// Interrupts are off in any case: one that a CPU would take meanwhile it takes before or behind. It is handled on
    /// another thread, and in between it would not be ordered with what this one does, as it is on a CPU.
    fn pinned<R>(&self, _: bool, run: impl FnOnce(CpuId) -> R) -> R {
        let cpu = CPU.with(Cell::get);
        if HELD.with(Cell::get) {
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
