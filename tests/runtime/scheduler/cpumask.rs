//! Which CPUs are removed from the cpumask of a space when all of it is flushed: those that cannot have filled anything
//! since.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tlbc_backends::s390::{Config, Tlb};
use tlbc_runtime::{Level, Mmu};
use tlbc_tests::machines::s390;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::tables::Entries;

/// When CPU 1 leaves the space, relative to a flush of all of it on CPU 0.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Leaves {
    Before,
    /// After the instructions, and before the flush returns.
    Within,
    After,
}

/// Both CPUs run a space; CPU 1 leaves it, and CPU 0 flushes all of it. Returns what CPU 0 issues when it unmaps a page
/// then.
fn unmap(config: Config, leaves: Leaves) -> Vec<String> {
    let mut cpus = Scheduler::<Tlb>::new(s390(config), 2);
    let (process, other) = (cpus.process(), cpus.process());
    let table = Entries::new(cpus.mmu.platform().backend(), &process, Level(0), 0, 1);
    table.map(0, 77, 0);
    cpus.run(0, &process);
    cpus.run(1, &process);
    let apart = Arc::new(cpus.set_apart(1));
    if leaves == Leaves::Before {
        apart.run(Some(&other));
    }
    cpus.forget();
    let left = Arc::new(AtomicBool::new(leaves != Leaves::Within));
    let (hook, there) = (left.clone(), apart.clone());
    cpus.mmu.platform().on_issued(Box::new(move |cpu, op| {
        if cpu == 0 && op.name() == "idte_asce" && !hook.swap(true, SeqCst) {
            there.run(Some(&other)); // it may have filled any entry in between
        }
    }));
    let other = cpus.process();
    cpus.on(0, |mmu: &Mmu<_>| mmu.flush_everything(&process));
    assert!(left.load(SeqCst), "it leaves within the flush");
    if leaves == Leaves::After {
        apart.run(Some(&other));
    }
    cpus.forget();
    cpus.unmap(0, &process, &table, 0);
    cpus.lines()
}

#[test]
fn a_cpu_that_leaves_after_the_instructions_stays_in_the_cpumask() {
    for config in [Config::LOCAL_CLEAR, Config::NONE] {
        let [before, within, after] =
            [Leaves::Before, Leaves::Within, Leaves::After].map(|leaves| unmap(config, leaves));
        // It may have filled the page after the flush, as a CPU that left later may have.
        assert_eq!(within, after);
        // A CPU that left before has no entries: only CPU 0 is flushed.
        assert_eq!(before[0], "cpu 0: ptlb");
        assert_ne!(before, after);
    }
}
