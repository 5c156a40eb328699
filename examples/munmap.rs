//! munmap: entries are cleared under the lock of their table, one flush covers them all, and pages and tables are
//! released after it.
//!
//! CPUs 0 and 1 run the process. CPU 2 is lazy in it: it runs a kernel thread. CPU 3 runs another process.

use std::process::ExitCode;
use std::sync::Mutex;

use tlbc_runtime::Level;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::{self, Example, Machine};
use tlbc_tests::tables::Entries;

/// An munmap, on any machine.
pub struct Munmap;

impl Example for Munmap {
    fn run<B: Machine>(backend: B) -> Vec<String> {
        let mut cpus = Scheduler::new(backend, 4);
        let (process, other) = (cpus.process(), cpus.process());
        for cpu in 0..3 {
            cpus.run(cpu, &process);
        }
        cpus.kernel_thread(2);
        cpus.run(3, &other);

        let backend = cpus.mmu.platform().backend();
        let upper = Entries::new(backend, &process, Level(1), 0, 1);
        let table = Entries::new(backend, &process, Level(0), 0, 8);
        upper.link(0, 77);
        (0..8).for_each(|page| table.map(page as usize, 100 + page, 0));
        let lock = Mutex::new(());
        let _ = cpus.lines();

        cpus.note("one page: the lazy CPU is not interrupted for it");
        cpus.on(0, |mmu| {
            mmu.gather(&process, |gather| {
                gather.locked(lock.lock().unwrap(), |section, _| {
                    let leaf = table.leaf(0).expect("a mapped page");
                    section.unmap(leaf).expect("an entry of this space");
                });
            });
        });

        cpus.note(
            "the rest, and the table: lazy CPUs walk tables, so they are interrupted as well",
        );
        cpus.on(0, |mmu| {
            mmu.gather(&process, |gather| {
                gather.locked(lock.lock().unwrap(), |section, _| {
                    section
                        .unmap_all(table.leaves())
                        .expect("entries of this space");
                    let link = upper.pointer(0).expect("a linked table");
                    section.unlink(link).expect("an entry of this space");
                });
            });
        });

        cpus.note("CPU 2 switches back to the process");
        cpus.run(2, &process);
        cpus.lines()
    }
}

#[allow(dead_code, reason = "the tests have a main of their own")]
fn main() -> ExitCode {
    show::main::<Munmap>()
}
