//! Calls that flush other CPUs in place of the IPI: CPUs that they do not reach get it.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tlbc_runtime::Level;
use tlbc_runtime::request::{Reach, Request, Scope, Space};
use tlbc_tests::hosted::Event;
use tlbc_tests::machines::Case;
use tlbc_tests::on_every_machine;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::Machine;
use tlbc_tests::tables::Entries;

/// Returns whether a machine flushes other CPUs by calls.
fn has_calls<B: Machine>(case: &Case<B>) -> bool {
    let request = Request {
        space: Space::User,
        tag: tlbc_runtime::Tag {
            value: 1,
            global: true,
        },
        reach: Reach::Wide,
        published: false,
        flags: case.space.flags,
        scope: Scope::Everything { tables: true },
    };
    case.backend.ipi_targets(&request).by_call
}

/// Returns the CPUs that were called for, those that got an IPI, and whether an instruction was issued here.
fn reached<B: Machine>(cpus: &Scheduler<B>) -> (Vec<u32>, Vec<u32>, bool) {
    let (mut called, mut interrupted, mut here) = (Vec::new(), Vec::new(), false);
    for event in cpus.mmu.platform().events() {
        match event {
            Event::Called(0, to, _) => called = to,
            Event::Interrupted(to) => interrupted.extend(to),
            Event::Issued(0, _) => here = true,
            _ => {}
        }
    }
    (called, interrupted, here)
}

#[test]
fn cpus_that_calls_do_not_reach_get_an_ipi() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        if !has_calls(case) {
            return;
        }
        SEEN.fetch_add(1, SeqCst);
        for reach in [0, 0b10, 0b100, 0b110] {
            let mut cpus = case.scheduler(4);
            let process = case.process(&cpus);
            (0..3).for_each(|cpu| cpus.run(cpu, &process));
            let backend = cpus.mmu.platform().backend();
            let table = Entries::new(backend, &process, Level(0), 0, 3);
            (0..3).for_each(|page| table.map(page, 100 + page as u64, 0));
            let upper = Entries::new(backend, &process, Level(1), 1 << 30, 1);
            upper.link(0, 77);
            cpus.mmu.platform().calls_reach.store(reach, SeqCst);
            cpus.forget();
            let missed: Vec<u32> = (1..3).filter(|cpu| reach & 1 << cpu == 0).collect();
            let expected = (vec![1, 2], missed, true);
            // CPU 3 does not run the space. One page, an unlinked table, and everything.
            cpus.unmap(0, &process, &table, 0);
            assert_eq!(reached(&cpus), expected, "{}: {reach:#b}", case.name);
            cpus.unlink(0, &process, &upper, 0);
            assert_eq!(reached(&cpus), expected, "{}: {reach:#b}", case.name);
            cpus.on(0, |mmu| mmu.flush_everything(&process));
            assert_eq!(reached(&cpus), expected, "{}: {reach:#b}", case.name);
        }
    }
    on_every_machine!(scenario);
    assert!(SEEN.load(SeqCst) > 0, "some machine has calls");
}

/// A CPU that a call has flushed has not followed the change: it flushes when it loads the space again.
#[test]
fn a_cpu_that_was_called_for_flushes_at_its_next_load() {
    fn scenario<B: Machine + Clone>(case: &Case<B>) {
        if !has_calls(case) {
            return;
        }
        let mut cpus = case.scheduler(2);
        let (process, other) = (case.process(&cpus), case.process(&cpus));
        (0..2).for_each(|cpu| cpus.run(cpu, &process));
        let backend = cpus.mmu.platform().backend();
        let table = Entries::new(backend, &process, Level(0), 0, 1);
        table.map(0, 100, 0);
        cpus.mmu.platform().calls_reach.store(0b10, SeqCst);
        cpus.unmap(0, &process, &table, 0);
        cpus.run(1, &other);
        cpus.forget();
        cpus.run(1, &process);
        let counted = cpus.counted();
        assert!(counted.contains("completed 1"), "{}: {counted}", case.name);
    }
    on_every_machine!(scenario);
}
