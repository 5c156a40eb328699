//! A kernel of the model checker's threads, on the adversarial machine.
//!
//! A thread becomes a CPU by [`World::on`]. The words of the kernel are built so that they order nothing beyond what a
//! platform promises: what a CPU did is seen by its own handler, and what was stored before an interrupt was sent is seen by
//! the CPU that handles it.
//!
//! The kernel checks what the runtime promises to a platform: the contexts of instructions ([`interrupts`]), and that no
//! page or table is released twice, or while an entry still refers to it ([`owned`]).

use std::cell::{Cell, OnceCell, RefCell};
use std::ops::Deref;
use std::rc::Weak;
use std::sync::Arc;

use loom::sync::atomic::Ordering::SeqCst;
use loom::sync::atomic::fence;
use tlbc_machine_loom::toys::{Kind, Toy, VIEW};
use tlbc_machine_loom::{Kept, Op, Shared, TableId, DeviceFlush};
use tlbc_runtime::request::Request;
use tlbc_runtime::sync::{Lock, Word};
use tlbc_runtime::{
    AddressSpace, CpuId, CpuSet, CpuTlb, Current, Flushed, Issue, LockEvent, Mmu, PageBatch,
    Platform, Record, Root, SpaceFlags, TableBatch, Tag, Unlinked,
};

mod interrupts;
mod owned;
mod world;

use interrupts::Interrupts;
use owned::Owned;
pub use world::{Layout, World, root, table};

/// A page: its number.
pub struct Page(pub usize);

/// A table: its number.
pub struct Table(pub TableId);

pub type Space = AddressSpace<CpuSet<1>>;
pub type Handle = Arc<Space>;
/// What a CPU runs in.
pub type Runs = Current<Handle>;

/// A thread that is no CPU.
const NO_CPU: u32 = u32::MAX;

loom::thread_local! {
    /// The CPU that this thread is.
    static CPU: Cell<u32> = Cell::new(NO_CPU);
}

struct Cpu {
    local: CpuTlb<CpuSet<1>>,
    interrupts: Interrupts,
    /// The space that user code runs in, on a view of its own.
    user: RefCell<Option<Handle>>,
}

pub struct Kernel<K: Kind> {
    backend: Toy<K>,
    pub machine: Shared,
    cpus: Vec<Cpu>,
    words: Vec<Word>,
    mmu: OnceCell<Weak<Mmu<Self>>>,
    /// The root that the kernel runs on: one without entries, or one with the kernel's alone.
    root: TableId,
    /// Whether there is no memory for batches.
    refuses: Cell<bool>,
    /// Held while devices are told something.
    device: Lock,
    owned: Owned,
}

impl<K: Kind> Kernel<K> {
    /// From user code on a view of its own to the kernel: the space that it ran in.
    fn enter(&self, cpu: usize) -> Option<Handle> {
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
    fn return_to_user(&self, mmu: &Mmu<Self>, cpu: usize, space: Handle) {
        mmu.return_to_user(CpuId(cpu as u32), &space);
        self.cpus[cpu].user.replace(Some(space));
        self.machine.run_user(cpu);
    }
}

impl<K: Kind> Platform for Kernel<K> {
    type Backend = Toy<K>;
    type CpuSet = CpuSet<1>;
    type Page = Page;
    type Table = Table;
    type BatchBox<T> = Box<T>;
    type Handle = Handle;

    fn backend(&self) -> impl Deref<Target = Toy<K>> {
        self.point();
        &self.backend
    }

    fn sink(&self, cpu: CpuId) -> impl Issue<Op> {
        Record(move |op| {
            Self::check_context(&op);
            if K::INTERRUPTS && matches!(op, Op::Load { .. }) {
                // Until now this CPU may have walked what it had loaded. A broadcast is complete when such walks are.
                for table in self.machine.walks(cpu.index()) {
                    self.owned.use_table(table);
                }
            }
            let issue = || self.machine.issue(cpu.index(), &op);
            if op == Op::InvalidateDevices {
                self.tell_devices(DeviceFlush::ByInstructions, issue);
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

    fn cpu(&self, cpu: CpuId) -> &CpuTlb<Self::CpuSet> {
        self.point();
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
                global: true,
            },
            empty: 0,
            flags: SpaceFlags::NONE,
        }
    }

    fn pin_cpu<R>(&self, interrupts_off: bool, run: impl FnOnce(CpuId) -> R) -> R {
        self.run_pinned(interrupts_off, run)
    }

    fn lock_event(&self, _: CpuId, event: LockEvent) {
        self.check_lock(event);
    }

    fn send_ipi(&self, cpus: &CpuSet<1>) {
        self.send_interrupts(cpus);
    }

    fn page_batch(&self) -> Option<Box<PageBatch<Self>>> {
        (!self.refuses.get()).then(Box::default)
    }

    fn table_batch(&self) -> Option<Box<TableBatch<Self>>> {
        (!self.refuses.get()).then(Box::default)
    }

    fn release_pages(&self, pages: Flushed<'_, Self>) {
        self.free_pages(pages);
    }

    fn free_tables_deferred(&self, tables: Unlinked<Self>) -> Result<(), Unlinked<Self>> {
        // No walker in software runs.
        tables
            .after_walkers()
            .for_each(|table| self.free_table(table));
        Ok(())
    }

    fn free_table(&self, table: Table) {
        self.owned.free_table(&self.machine, table.0);
    }

    fn invalidate_secondary(&self, _: &Space, _: &Request<'_>) {
        self.tell_devices(DeviceFlush::ByDriver, || self.machine.invalidate_devices());
    }
}

impl<K: Kind> Kernel<K> {
    /// Makes devices drop all that they have, after what they did with it; later callers are ordered after that.
    fn tell_devices(&self, by: DeviceFlush, tell: impl FnOnce()) {
        if !self.machine.has_devices(by) {
            return;
        }
        let wait = || ();
        self.device.with(wait, || {
            for frame in self.machine.devices_use(by) {
                self.owned.use_page(frame);
            }
            tell();
        });
    }

    /// Releases pages that no entry maps any more, and gives them to another owner, who writes them.
    pub fn free_pages(&self, pages: impl Iterator<Item = Page>) {
        let frames: Vec<_> = pages.map(|page| page.0).collect();
        for frame in &frames {
            self.owned.free_page(&self.machine, *frame);
        }
        self.reuse(&frames);
    }

    /// Gives pages to another owner, who writes them.
    fn reuse(&self, frames: &[usize]) {
        self.machine.reuse(frames);
        for frame in frames {
            self.owned.write_page(*frame);
        }
    }
}
