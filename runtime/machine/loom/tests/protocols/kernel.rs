//! A kernel on the adversarial machine, whose CPUs are threads of the model checker.
//!
//! A thread becomes a CPU by [`World::on`]. The kernel's words order nothing beyond what a platform promises: a CPU's
//! handler sees what that CPU did before, and a CPU that handles an interrupt sees what was stored before the interrupt
//! was sent.
//!
//! The kernel checks what the runtime promises to a platform: the contexts of instructions ([`interrupts`]), and that
//! no page or table is released twice, or while an entry still refers to it ([`owned`]).

use std::cell::{Cell, OnceCell, RefCell};
use std::ops::Deref;
use std::rc::Weak;
use std::sync::Arc;

use loom::sync::atomic::Ordering::SeqCst;
use loom::sync::atomic::fence;
use tlbc_machine_loom::toys::{Toy, ToyKind, VIEW};
use tlbc_machine_loom::{DeviceFlush, Kept, Op, SharedMachine, TableId};
use tlbc_runtime::request::Request;
use tlbc_runtime::sync::{Lock, Word};
use tlbc_runtime::{
    AddressSpace, CpuId, CpuMask, CpuSet, CpuTlb, Current, Flushed, Issue, LockEvent, Mmu,
    PageBatch, Platform, Record, Root, SpaceFlags, TableBatch, Tag, Unlinked,
};

mod interrupts;
mod owned;
mod world;

use interrupts::Interrupts;
use owned::Owned;
pub use world::{Layout, World, root, table};

/// A page, by its number.
pub struct Page(pub usize);

/// A table, by its number.
pub struct Table(pub TableId);

pub type Space = AddressSpace<CpuSet<1>>;
pub type Handle = Arc<Space>;
/// What a CPU runs.
pub type Runs = Current<Handle>;

/// The value of [`CPU`] on a thread that is not a CPU.
const NO_CPU: u32 = u32::MAX;

loom::thread_local! {
    /// The CPU that this thread is.
    static CPU: Cell<u32> = Cell::new(NO_CPU);
}

struct Cpu {
    local: CpuTlb<CpuSet<1>>,
    interrupts: Interrupts,
    /// The space whose user code runs, if it has a separate view.
    user: RefCell<Option<Handle>>,
}

pub struct Kernel<K: ToyKind> {
    backend: Toy<K>,
    pub machine: SharedMachine,
    cpus: Vec<Cpu>,
    words: Vec<Word>,
    mmu: OnceCell<Weak<Mmu<Self>>>,
    /// The root that the kernel runs on: it has no entries, or only the kernel's.
    root: TableId,
    /// Whether the platform refuses memory for batches.
    refuses: Cell<bool>,
    /// Held while devices are flushed.
    device: Lock,
    owned: Owned,
}

impl<K: ToyKind> Kernel<K> {
    /// Enters the kernel from user code with a separate view, in the space that it ran in.
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

    /// Returns to user code.
    fn return_to_user(&self, mmu: &Mmu<Self>, cpu: usize, space: Handle) {
        mmu.return_to_user(CpuId(cpu as u32), &space);
        self.cpus[cpu].user.replace(Some(space));
        self.machine.run_user(cpu);
    }
}

impl<K: ToyKind> Platform for Kernel<K> {
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
            self.serve_calls(cpu.index());
            Self::check_context(&op);
            if K::INTERRUPTS && matches!(op, Op::Load { .. }) {
                // Until now this CPU may have walked the root that it had loaded. A broadcast is complete when such
                // walks are.
                for table in self.machine.walks(cpu.index()) {
                    self.owned.use_table(table);
                }
            }
            let issue = || self.machine.issue(cpu.index(), &op);
            if op == Op::InvalidateDevices {
                self.flush_devices(DeviceFlush::ByInstructions, issue);
            } else {
                issue();
            }
            if op == Op::Publish {
                // The instruction waits until stores are visible; later accesses are not performed before.
                fence(SeqCst);
            }
        })
    }

    fn sink_for<'s>(
        &'s self,
        _: CpuId,
        cpus: &'s CpuSet<1>,
        missed: &'s mut CpuSet<1>,
    ) -> impl Issue<Op> {
        Record(move |op| {
            for cpu in cpus.iter() {
                if K::CALLS_REACH & 1 << cpu.0 == 0 {
                    missed.insert(cpu);
                } else {
                    self.call_for(cpu.index(), op);
                }
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
        // There are no software walkers.
        tables
            .after_grace_period()
            .for_each(|table| self.free_table(table));
        Ok(())
    }

    fn free_table(&self, table: Table) {
        self.owned.free_table(&self.machine, table.0);
    }

    fn invalidate_secondary(&self, _: &Space, _: &Request<'_>) {
        self.flush_devices(DeviceFlush::ByDriver, || self.machine.invalidate_devices());
    }
}

impl<K: ToyKind> Kernel<K> {
    /// Flushes devices after their accesses. Later callers are ordered after the flush.
    fn flush_devices(&self, by: DeviceFlush, flush: impl FnOnce()) {
        if !self.machine.has_devices(by) {
            return;
        }
        let wait = || ();
        self.device.with(wait, || {
            for frame in self.machine.devices_use(by) {
                self.owned.use_page(frame);
            }
            flush();
        });
    }

    /// Releases pages that no entry maps any more, and gives them another owner, which writes to them.
    pub fn free_pages(&self, pages: impl Iterator<Item = Page>) {
        let frames: Vec<_> = pages.map(|page| page.0).collect();
        for frame in &frames {
            self.owned.free_page(&self.machine, *frame);
        }
        self.reuse(&frames);
    }

    /// Gives pages another owner, which writes to them.
    fn reuse(&self, frames: &[usize]) {
        self.machine.reuse(frames);
        for frame in frames {
            self.owned.write_page(*frame);
        }
    }
}
