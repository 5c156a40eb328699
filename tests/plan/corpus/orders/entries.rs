//! Orders in which an entry changes that others look at, or that is replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tlbc_backends::x86_64;
use tlbc_runtime::Level;
use tlbc_tests::machines;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::tables::{Entries, WRITE, table_bits};

use super::{broadcasting, first, require};

/// The memory type of a page changes.
pub fn changes_attributes() -> Result<(), String> {
    let mut cpus = Scheduler::new(machines::x86(x86_64::Config::PGE), 2);
    let process = cpus.process();
    cpus.run(0, &process);
    let table = Entries::new(cpus.mmu.platform().backend(), &process, Level(0), 0x1000, 1);
    table.map(0, 100, WRITE);
    cpus.forget();
    cpus.on(0, |mmu| {
        mmu.gather(&process, |gather| {
            gather.locked((), |section, ()| {
                let changed = section.protect(&table.at(0), |bits| bits | 0x40);
                changed.expect("an entry of this space");
            });
        });
    });
    let lines = cpus.lines();
    let flushed = first(&lines, "cpu 0: invlpg").is_some();
    require(flushed, "the old attributes stay cached", &lines)
}

/// One gather has unmapped a page and not flushed it; another one begins and ends; a third finds the entry invalid, and its
/// caller relies on it.
pub fn looks_at_an_unflushed_entry() -> Result<(), String> {
    let (mut cpus, process, table) = broadcasting();
    cpus.run(1, &process);
    cpus.forget();
    let section = |index: usize| {
        cpus.on(1, |mmu| {
            mmu.gather(&process, |gather| {
                gather.locked((), |section, ()| {
                    if let Some(leaf) = table.leaf(index) {
                        section.unmap(leaf).expect("an entry of this space");
                    }
                });
            });
        });
        cpus.lines()
    };
    cpus.on(0, |mmu| {
        mmu.gather(&process, |gather| {
            gather.locked((), |section, ()| {
                let leaf = table.leaf(0).expect("a mapped page");
                section.unmap(leaf).expect("an entry of this space");
            });
            section(1);
            let lines = section(0);
            let flushed = lines.iter().any(|line| line.starts_with("cpu 1: "));
            require(flushed, "the third gather ends without a flush", &lines)
        })
    })
}

/// A large page is unmapped and a table is linked in its place, in one gather: both sizes must not be cached at once.
pub fn splits_a_large_page() -> Result<(), String> {
    let mut cpus = Scheduler::new(machines::x86(x86_64::Config::PGE), 1);
    let process = cpus.process();
    cpus.run(0, &process);
    let upper = Entries::new(
        cpus.mmu.platform().backend(),
        &process,
        Level(1),
        1 << 30,
        1,
    );
    upper.map(0, 512, WRITE);
    let upper = Arc::new(upper);
    let flushed = Arc::new(AtomicBool::new(false));
    let (entry, seen) = (upper.clone(), flushed.clone());
    cpus.mmu.platform().on_issued(Box::new(move |_, op| {
        if op.name() == "invlpg" && entry.bits(0) == 0 {
            seen.store(true, SeqCst);
        }
    }));
    cpus.forget();
    cpus.on(0, |mmu| {
        mmu.gather(&process, |gather| {
            gather.locked((), |section, ()| {
                let leaf = upper.leaf(0).expect("a large page");
                section.unmap(leaf).expect("an entry of this space");
                let linked = section.map(&upper.at(0), table_bits(7, 0));
                linked.expect("an entry that is invalid");
            });
        });
    });
    let what = "the table is linked before the large page is flushed";
    require(flushed.load(SeqCst), what, &cpus.lines())
}
