//! The right to write is taken away while CPUs write. From then on the kernel may rely on the pages: it puts seals into
//! the words that programs only store to, and finds them there later.

use core::sync::atomic::{AtomicU64, Ordering};

use tlbc_runtime::Entry;

use super::{PAGES, READ_WRITE, WINDOW, accesses, process, thread};
use crate::frames::{self, FRAME};
use crate::mprotect::mprotect;
use crate::process::{Contents, Error, Process};
use crate::program::{access, is_only_stored, pattern};
use crate::pte::Rights;
use crate::sched::{self, Job};
use crate::user::Cpu;
use crate::{boot, exit, report};

const SEAL: u64 = 0x005e_a100_005e_a100;

pub fn run(cpu: &mut Cpu, pages: usize) -> Result<(), Error> {
    let rounds = pages / 2000;
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
        sched::wait_for_round(1..boot::CPUS);
        mprotect(&process, WINDOW, Rights::READ)?;
        each_word(&process, |_, word| word.store(SEAL, Ordering::Relaxed));
        sched::run_once(&process, &mut state);
        sched::wait_for_round(1..boot::CPUS);
        each_word(&process, |va, word| {
            // Programs find their pattern again before they may store.
            let value = word.swap(pattern(va), Ordering::Relaxed);
            if value != SEAL {
                report::stale(va, value);
            }
        });
        mprotect(&process, WINDOW, READ_WRITE)?;
    }
    (1..boot::CPUS).for_each(sched::stop);
    cpu.switch(None);
    exit::exit(&process)
}

/// Calls a function for each word that programs only store to, of each page that is mapped.
fn each_word(process: &Process, mut each: impl FnMut(u64, &AtomicU64)) {
    let tables = process.lock();
    let range = WINDOW..WINDOW + PAGES * FRAME;
    for entry in tables.pages(process.space.id(), range) {
        let Entry::Leaf { page, .. } = entry.says() else {
            continue;
        };
        for (index, word) in (0..).zip(frames::words(page)) {
            if is_only_stored(index) {
                each(entry.va() + 8 * index, word);
            }
        }
    }
}
