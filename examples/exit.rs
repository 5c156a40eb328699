//! exit: after the last thread of a process, all its entries are flushed once and its pages and tables are released.
//! Its tag is free when no CPU has its root loaded.
//!
//! CPU 0 runs the last thread. CPU 1 is lazy in the process: it runs a kernel thread.

use std::process::ExitCode;
use std::sync::Arc;

use tlbc_runtime::Level;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::{self, Example, Machine};
use tlbc_tests::tables::Entries;

/// An exit, on any machine.
pub struct Exit;

impl Example for Exit {
    fn run<B: Machine>(backend: B) -> Vec<String> {
        let mut cpus = Scheduler::new(backend, 2);
        let process = cpus.process();
        cpus.run(0, &process);
        cpus.run(1, &process);
        cpus.kernel_thread(1);

        let backend = cpus.mmu.platform().backend();
        let upper = Entries::new(backend, &process, Level(1), 0, 1);
        let table = Entries::new(backend, &process, Level(0), 0, 4);
        upper.link(0, 77);
        (0..4).for_each(|page| table.map(page as usize, 100 + page, 0));
        let _ = cpus.lines();

        cpus.note("the last thread leaves the process, and runs in the kernel");
        cpus.kernel_thread(0);
        cpus.note("teardown");
        cpus.on(0, |mmu| {
            mmu.teardown(&process, |gather| {
                // No other CPU changes these tables any more.
                gather.locked((), |section, ()| {
                    section
                        .unmap_all(table.leaves())
                        .expect("entries of this space");
                    let link = upper.pointer(0).expect("a linked table");
                    section.unlink(link).expect("an entry of this space");
                });
            });
        });

        cpus.note("both CPUs switch to other processes");
        let next = [cpus.process(), cpus.process()];
        cpus.run(0, &next[0]);
        cpus.run(1, &next[1]);

        cpus.note("the last reference is gone: the tag and the top table are free");
        let process = Arc::into_inner(process).expect("the last reference");
        cpus.on(0, |mmu| mmu.release(&process).expect("loaded nowhere"));
        cpus.lines()
    }
}

#[allow(dead_code, reason = "the tests have a main of their own")]
fn main() -> ExitCode {
    show::main::<Exit>()
}
