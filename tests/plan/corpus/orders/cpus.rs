//! Orders in which a CPU loads or leaves a space while another one flushes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tlbc_backends::{arm64, s390};
use tlbc_runtime::{Level, Platform};
use tlbc_tests::hosted::{Host, Hosted};
use tlbc_tests::machines;
use tlbc_tests::moments::Moment;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::tables::Entries;

use super::{at_each_moment, broadcasting, first, is_broadcast, require, unmap};

/// CPU 1 switches to a process, and in between CPU 0 unmaps a page of it: CPU 1 may have cached the page if its root is loaded.
pub fn unmaps_within_a_switch() -> Result<(), String> {
    at_each_moment(3, |nth| {
        let (mut cpus, process, table) = broadcasting();
        let (space, page) = (process.clone(), table.clone());
        let act = move |mmu: &Arc<Host<_>>| unmap(mmu, &space, &page);
        let moment = Moment::new(&cpus.mmu, Box::new(act));
        moment.arm(1, nth);
        cpus.run(1, &process);
        let happened = moment.happened();
        let lines = cpus.lines();
        let loaded = first(&lines, "cpu 1: ttbr0 ttbr0=0x10000");
        let flushed = first(&lines, "cpu 0: vale1");
        if happened && loaded < flushed {
            let what = "CPU 1 has the root loaded and is not flushed";
            require(is_broadcast(&lines), what, &lines)?;
        }
        Ok(happened)
    })
}

/// CPU 0 unmaps a page, and in between CPU 1 loads the process: it may cache the page until the change is published.
pub fn loads_within_a_flush() -> Result<(), String> {
    at_each_moment(3, |nth| {
        let (mut cpus, process, table) = broadcasting();
        let there = cpus.set_apart(1);
        let space = process.clone();
        let moment = Moment::new(&cpus.mmu, Box::new(move |_| there.run(Some(&space))));
        moment.arm(0, nth);
        unmap(&cpus.mmu, &process, &table);
        let happened = moment.happened();
        let lines = cpus.lines();
        let loaded = first(&lines, "cpu 1: ttbr0 ttbr0=0x10000");
        let stores = ["cpu 0: dsb_ishst", "cpu 0: dsb_nshst"].map(|start| first(&lines, start));
        let published = stores.into_iter().flatten().min();
        if happened && loaded < published {
            let what = "CPU 1 saw the old entry and is not flushed";
            require(is_broadcast(&lines), what, &lines)?;
        }
        Ok(happened)
    })
}

/// CPU 1 leaves a process after the instructions of a flush of everything, and before CPU 0 looks which CPUs have it loaded: it may have
/// cached a page in between.
pub fn leaves_within_a_flush() -> Result<(), String> {
    let mut cpus = Scheduler::new(machines::s390(s390::Config::LOCAL_CLEAR), 2);
    let (process, other) = (cpus.process(), cpus.process());
    let table = Entries::new(cpus.mmu.platform().backend(), &process, Level(0), 0, 1);
    table.map(0, 77, 0);
    cpus.run(0, &process);
    cpus.run(1, &process);
    let there = cpus.set_apart(1);
    let has_left = AtomicBool::new(false);
    cpus.mmu.platform().on_issued(Box::new(move |cpu, op| {
        if cpu == 0 && op.name() == "idte_asce" && !has_left.swap(true, SeqCst) {
            there.run(Some(&other));
        }
    }));
    cpus.on(0, |mmu| mmu.flush_everything(&process));
    cpus.forget();
    cpus.unmap(0, &process, &table, 0);
    let lines = cpus.lines();
    let what = "CPU 1 may have cached the page and is not flushed";
    require(first(&lines, "cpu 0: ptlb").is_none(), what, &lines)
}

/// A process is torn down while a CPU has its root loaded without using it.
pub fn tears_down_a_lazy_space() -> Result<(), String> {
    let (mut cpus, process, table) = broadcasting();
    let other = cpus.process();
    cpus.run(1, &process);
    cpus.kernel_thread(1);
    cpus.run(0, &other);
    cpus.forget();
    cpus.on(0, |mmu| {
        mmu.teardown(&process, |gather| {
            gather.locked((), |section, ()| {
                let unmapped = section.unmap_all(table.leaves());
                unmapped.expect("entries of this space");
            });
        });
    });
    let lines = cpus.lines();
    let (flushed, freed) = (
        first(&lines, "cpu 0: dsb_ish"),
        first(&lines, "page 100 is free"),
    );
    let what = "the page is free and the lazy CPU is not flushed";
    require(flushed.is_some() && flushed < freed, what, &lines)
}

/// A CPU comes online, which until then walks its boot tables.
pub fn comes_online() -> Result<(), String> {
    let mut cpus = Scheduler::offline(Hosted::machine_offline(
        machines::arm64(arm64::Config::NONE),
        1,
    ));
    cpus.cpu_online(0);
    let lines = cpus.lines();
    let root = format!(
        "cpu 0: ttbr0 ttbr0={:#x}",
        cpus.mmu.platform().kernel_root().table
    );
    let (loaded, flushed) = (first(&lines, &root), first(&lines, "cpu 0: vmalle1"));
    let what = "entries of the boot tables are filled after the flush";
    require(loaded.is_some() && loaded < flushed, what, &lines)
}
