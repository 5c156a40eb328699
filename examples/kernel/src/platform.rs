//! What the runtime needs of this kernel: the only implementation of [`Platform`], and the statics that it names.

use core::ops::Deref;
use core::sync::atomic::{AtomicU32, Ordering};

use tlbc_runtime::sync::Word;
use tlbc_runtime::{
    ByValue, CpuId, CpuMask, CpuSet, CpuTlb, Flags, Flushed, Issue, Mmu, PageBatch, Platform, Root,
    SpaceFlags, TableBatch, Tag, Unlinked,
};

use crate::batch::FrameBox;
use crate::boot;
use crate::boot::backend::{Config, Op, Tlb};
use crate::frames::Page;
use crate::process::Process;
use crate::sink;
use crate::tables::Table;

/// The kernel, as the runtime sees it. It has no state of its own: everything is in statics.
pub struct Kernel;

/// A set of its CPUs: one word, for up to 64.
pub type Cpus = CpuSet<1>;

/// The runtime of the machine.
pub static MMU: Mmu<Kernel> = Mmu::new(Kernel);

/// A CPU's data of the runtime, in cache lines of its own.
#[repr(align(128))]
struct PerCpu(CpuTlb<Cpus>);

static PER_CPU: [PerCpu; boot::CPUS] = [const { PerCpu(CpuTlb::new()) }; boot::CPUS];

/// Two bits for each tag that is used. A kernel has as many words as its machine has tags (2048 for 16-bit ASIDs); with
/// 64 tags this one runs out of them every 64 spaces, so that tags are used again while it is watched.
static TAG_WORDS: [Word; 2] = [const { Word::new(0) }; 2];

/// The features of the machine, found before the first CPU comes online.
static CONFIG: AtomicU32 = AtomicU32::new(0);

/// Notes what all CPUs have. Called once, before the first of them comes online.
pub fn configure(config: Config) {
    CONFIG.store(config.bits(), Ordering::Relaxed);
}

pub fn config() -> Config {
    Config::from_bits(CONFIG.load(Ordering::Relaxed))
}

impl Platform for Kernel {
    type Backend = Tlb;
    type CpuSet = Cpus;
    type Page = Page;
    type Table = Table;
    type BatchBox<T> = FrameBox<T>;
    type Handle = Process;

    fn backend(&self) -> impl Deref<Target = Tlb> {
        ByValue(boot::tlb(config()))
    }

    fn sink(&self, cpu: CpuId) -> impl Issue<Op> {
        sink::sink(cpu)
    }

    fn sink_for<'s>(&'s self, _cpu: CpuId, cpus: &'s Cpus, missed: &'s mut Cpus) -> impl Issue<Op> {
        sink::sink_for(cpus, missed)
    }

    fn cpus(&self) -> usize {
        boot::CPUS
    }

    fn cpu(&self, cpu: CpuId) -> &CpuTlb<Cpus> {
        &PER_CPU[cpu.index()].0
    }

    fn tag_words(&self) -> &[Word] {
        &TAG_WORDS
    }

    fn kernel_root(&self) -> Root {
        let table = boot::kernel_root();
        Root {
            table,
            // No space is given tag 0. Where the kernel's addresses are in a table of their own this root maps nothing, so it
            // is also the empty one; the other machines here need none.
            tag: Tag {
                value: 0,
                global: true,
            },
            empty: table,
            flags: SpaceFlags::NONE,
        }
    }

    /// Turns interrupts off if necessary. Code of this kernel never moves to another CPU, so there is nothing else to do.
    fn pin_cpu<R>(&self, interrupts_off: bool, run: impl FnOnce(CpuId) -> R) -> R {
        let were_on = interrupts_off && boot::interrupts_on();
        if were_on {
            boot::set_interrupts(false);
        }
        let result = run(this_cpu());
        if were_on {
            boot::set_interrupts(true);
        }
        result
    }

    fn send_ipi(&self, cpus: &Self::CpuSet) {
        cpus.iter().for_each(|cpu| boot::send_ipi(cpu.0));
    }

    /// Returns a frame, from a list under a lock that is held for a few instructions and never over a flush. So this may be
    /// called with page tables locked.
    fn page_batch(&self) -> Option<FrameBox<PageBatch<Self>>> {
        FrameBox::new(PageBatch::<Self>::new())
    }

    fn table_batch(&self) -> Option<FrameBox<TableBatch<Self>>> {
        FrameBox::new(TableBatch::<Self>::new())
    }

    /// Drops the references that each entry had. No CPU can reach the pages any more; a frame without references is free.
    fn release_pages(&self, pages: Flushed<'_, Self>) {
        pages.for_each(drop);
    }

    /// Frees the tables at once, since nothing in this kernel walks page tables without their lock. A kernel with lockless
    /// walkers keeps `tables` until a grace period is over.
    fn free_tables_deferred(&self, tables: Unlinked<Self>) -> Result<(), Unlinked<Self>> {
        tables.after_grace_period().for_each(drop);
        Ok(())
    }

    fn free_table(&self, table: Table) {
        drop(table);
    }
}

pub fn this_cpu() -> CpuId {
    CpuId(boot::cpu())
}
