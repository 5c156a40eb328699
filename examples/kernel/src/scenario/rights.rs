//! The right to write is taken away while CPUs write. From then on the kernel may rely on the pages: it puts a seal into a word
//! of each that programs only store to, and finds it there later.

use core::sync::atomic::Ordering;

use tlbc_runtime::change::Entry;

use super::{PAGES, READ_WRITE, WINDOW, accesses, process, thread};
use crate::frames::{self, FRAME, Words};
use crate::mprotect::mprotect;
use crate::process::{Contents, Error, Process};
use crate::program::{access, pattern};
use crate::pte::Rights;
use crate::sched::{self, Job};
use crate::user::Cpu;
use crate::{boot, exit, report};

/// The word that programs only store to.
const SEALED: usize = 511;
const SEAL: u64 = 0x005e_a100_005e_a100;

pub fn run(cpu: &mut Cpu, rounds: usize) -> Result<(), Error> {
    let process = process(Contents::Pattern)?;
    for worker in 1..boot::CPUS {
        let state = thread(worker, access, accesses(worker, 4000));
        sched::start(worker, Job::User(process.clone(), state));
    }
    cpu.switch(Some(process.clone()));
    let mut state = thread(0, access, accesses(0, 4000));
    for _ in 0..rounds {
        if report::wrong() != 0 {
            break;
        }
        sched::run_once(&process, &mut state);
        mprotect(&process, WINDOW, Rights::READ)?;
        each_page(&process, |_, words| words[SEALED].store(SEAL, Ordering::Relaxed));
        sched::run_once(&process, &mut state);
        each_page(&process, |va, words| {
            // Unsealed for the programs, which are allowed to store there again.
            let value = words[SEALED].swap(pattern(va + 8 * SEALED as u64), Ordering::Relaxed);
            if value != SEAL {
                report::stale(va + 8 * SEALED as u64, value);
            }
        });
        mprotect(&process, WINDOW, READ_WRITE)?;
    }
    (1..boot::CPUS).for_each(sched::stop);
    cpu.switch(None);
    exit::exit(process)
}

/// Calls a function for each page of the window that is mapped now and was mapped in between.
fn each_page(process: &Process, mut each: impl FnMut(u64, &Words)) {
    let tables = process.lock();
    let range = WINDOW..WINDOW + PAGES * FRAME;
    for entry in tables.pages(process.space.id(), range) {
        if let Entry::Leaf { page, .. } = entry.says() {
            each(entry.va(), frames::words(page));
        }
    }
}
