//! Reclaim: pages of several processes are unmapped one by one, with one wait for all of them. A page is free only
//! after that wait.
//!
//! CPU 0 reclaims, and runs the first process; CPU 1 runs the second.

use std::process::ExitCode;

use tlbc_runtime::Level;
use tlbc_tests::scheduler::Scheduler;
use tlbc_tests::show::{self, Example, Machine};
use tlbc_tests::tables::{DIRTY, Entries, WRITE};

/// A batched unmap, on any machine.
pub struct Reclaim;

impl Example for Reclaim {
    fn run<B: Machine>(backend: B) -> Vec<String> {
        let mut cpus = Scheduler::new(backend, 2);
        let processes = [cpus.process(), cpus.process()];
        cpus.run(0, &processes[0]);
        cpus.run(1, &processes[1]);

        let backend = cpus.mmu.platform().backend();
        let map = |process: usize, flags| {
            let table = Entries::new(backend, &processes[process], Level(0), 0x1000, 2);
            table.map(0, 100 * (process as u64 + 1), flags);
            table.map(1, 100 * (process as u64 + 1) + 1, 0);
            table
        };
        let tables = [map(0, WRITE | DIRTY), map(1, 0)];
        let _ = cpus.lines();

        cpus.on(0, |mmu| {
            let say = |what| mmu.platform().note(what);
            mmu.reclaim(|batch| {
                let mut unmapped = Vec::new();
                for (process, table) in processes.iter().zip(&tables) {
                    say("two pages of a process");
                    for leaf in table.leaves() {
                        // Under the lock of the table.
                        let page = batch.unmap(process, leaf);
                        unmapped.extend(page.expect("an entry of this space"));
                    }
                }
                say("CPU 1 locks a table: no CPU may still use an entry that is not valid");
                cpus.on(1, |mmu| {
                    mmu.gather(&processes[1], |gather| gather.locked((), |_, ()| ()));
                });
                say("a page is written to disk: no CPU may write to it any more");
                batch.before_io();
                say("wait");
                let waited = batch.wait();
                for page in unmapped {
                    let page = waited.redeem(page).expect("unmapped before this wait");
                    say(if page.number < 200 {
                        "a page of the first process is free"
                    } else {
                        "a page of the second process is free"
                    });
                }
            });
        });

        cpus.lines()
    }
}

#[allow(dead_code, reason = "the tests have a main of their own")]
fn main() -> ExitCode {
    show::main::<Reclaim>()
}
