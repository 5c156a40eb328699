//! The smallest kernel that the runtime can run in, and its first munmap.
//!
//! It has one CPU, and tables of one level in memory of the host. Comments say what a real kernel does instead.

use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tlbc_backends::x86_64::{Config, Op, Tlb};
use tlbc_runtime::{
    AddressSpace, CpuId, CpuSet, CpuTlb, Entry, Issue, Level, Mmu, Platform, Pte, Root, Slot,
};

/// The runtime, and its state for each CPU.
static MMU: Mmu<Kernel> = Mmu::new(Kernel);
static CPUS: [CpuTlb<CpuSet<1>>; 1] = [const { CpuTlb::new() }; 1];
/// The backend, with the features that every CPU of the machine has.
static TLB: Tlb = Tlb {
    config: Config::NONE,
    invlpgb_pages: 1,
};
/// The events, for the checks below.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn log(line: String) {
    LOG.lock().unwrap().push(line);
}

/// The kernel. It leaves out every method that has a default.
struct Kernel;

impl Platform for Kernel {
    type Backend = Tlb;
    type CpuSet = CpuSet<1>;
    type Page = Frame;
    type Table = Frame;
    type BatchBox<T> = Box<T>;
    type Handle = Arc<AddressSpace<CpuSet<1>>>;

    fn backend(&self) -> impl Deref<Target = Tlb> {
        &TLB
    }

    fn sink(&self, _: CpuId) -> impl Issue<Op> {
        Sink // a real kernel uses `Hardware::new()` of the backend's module
    }

    fn cpus(&self) -> usize {
        CPUS.len()
    }

    fn cpu(&self, cpu: CpuId) -> &CpuTlb<Self::CpuSet> {
        &CPUS[cpu.index()]
    }

    fn kernel_root(&self) -> Root {
        Root::untagged(0x1000, 0x2000) // the kernel's top table, and an empty one
    }

    fn pin_cpu<R>(&self, _interrupts_off: bool, run: impl FnOnce(CpuId) -> R) -> R {
        run(CpuId(0)) // a real kernel disables preemption, and interrupts if `_interrupts_off`
    }

    fn send_ipi(&self, cpus: &CpuSet<1>) {
        // The handler of the interrupt calls `MMU.handle_ipi` on each CPU of the set.
        unreachable!("there is no other CPU: {cpus:?}");
    }
}

/// Logs the instructions.
struct Sink;

impl Issue<Op> for Sink {
    fn issue(&mut self, op: Op) {
        log(format!("{op:x?}"));
    }
}

/// A frame of memory. It is free when this is dropped: the runtime drops the frame of a page after the flush.
struct Frame(u64);

impl Drop for Frame {
    fn drop(&mut self) {
        log(format!("frame {:x} is free", self.0));
    }
}

/// A page table of the lowest level, for addresses from 0, with the lock for its entries.
struct Table {
    space: Arc<AddressSpace<CpuSet<1>>>,
    entries: [AtomicU64; 512],
    lock: Mutex<()>,
}

/// An entry of the table.
struct TableEntry<'t> {
    table: &'t Table,
    index: usize,
}

impl TableEntry<'_> {
    fn is_mapped(&self) -> bool {
        self.table.entries[self.index].load(Relaxed) & PRESENT != 0
    }
}

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const FRAME: u64 = 0x000f_ffff_ffff_f000;

impl Pte<Kernel> for TableEntry<'_> {
    fn belongs_to(&self, space: &AddressSpace<CpuSet<1>>) -> bool {
        self.table.space.id() == space.id()
    }

    fn level(&self) -> Level {
        Level(0)
    }

    fn slot(&self) -> Slot<'_> {
        Slot {
            entries: (&self.table.entries[self.index..=self.index]).into(),
            table: 0x3000, // where the table is in physical memory
            index: self.index as u16,
            va: (self.index as u64) << 12,
        }
    }

    fn decode(_: Level, bits: u64) -> Entry {
        if bits & PRESENT == 0 {
            return Entry::Invalid;
        }
        Entry::Leaf {
            page: bits & FRAME,
            rights: if bits & WRITABLE == 0 { 1 } else { 3 },
            attributes: bits & !(FRAME | PRESENT | WRITABLE | ACCESSED | DIRTY),
        }
    }

    fn is_accessed(_: Level, bits: u64) -> bool {
        bits & ACCESSED != 0
    }

    fn is_dirty(_: Level, bits: u64) -> bool {
        bits & DIRTY != 0
    }

    fn into_page(self, old: u64) -> Option<Frame> {
        Some(Frame(old & FRAME))
    }

    fn into_table(self, old: u64) -> Frame {
        Frame(old & FRAME)
    }
}

/// Unmaps some pages. When it returns, no CPU can use the pages any more, and their frames are free.
fn munmap(table: &Table, pages: Range<usize>) {
    MMU.gather(&table.space, |gather| {
        gather.locked(table.lock.lock().unwrap(), |section, _| {
            let entries = pages.map(|index| TableEntry { table, index });
            let mapped = entries.filter(TableEntry::is_mapped);
            section
                .unmap_all(mapped)
                .expect("mapped pages of the space");
        });
    });
}

fn main() {
    let cpu = CpuId(0);
    let current = MMU.cpu_online(cpu).expect("a usable machine");
    let top_table = 0x4000; // where it is in physical memory
    let space = MMU.address_space(top_table.into()).expect("a tag");
    let space = Arc::new(space);
    let table = Table {
        space: space.clone(),
        entries: [const { AtomicU64::new(0) }; 512],
        lock: Mutex::new(()),
    };
    let _current = MMU.switch(cpu, current, Some(space));
    for (index, entry) in table.entries.iter().enumerate().take(3) {
        entry.store((0x10 + index as u64) << 12 | PRESENT | WRITABLE, Relaxed);
    }
    LOG.lock().unwrap().clear();

    munmap(&table, 1..8);
    let expected = [
        "Invlpg { va: 1000 }",
        "Invlpg { va: 2000 }",
        "frame 11000 is free",
        "frame 12000 is free",
    ];
    assert_eq!(*LOG.lock().unwrap(), expected);
}
