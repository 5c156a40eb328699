//! Three CPUs access the pages of a process without pause, and a fourth one, which also does, takes pages away. A frame that
//! comes out is filled with poison at once and is the next one to be mapped, at another address.

use super::{PAGES, READ_WRITE, WINDOW, accesses, process, thread};
use crate::frames::FRAME;
use crate::process::{Area, Contents, Error};
use crate::program::access;
use crate::random::Random;
use crate::sched::{self, Job};
use crate::user::Cpu;
use crate::{boot, exit, munmap, report};

/// Takes away so many pages, or somewhat more.
pub fn run(cpu: &mut Cpu, pages: usize) -> Result<(), Error> {
    let process = process(Contents::Pattern)?;
    for worker in 1..boot::CPUS {
        let state = thread(worker, access, accesses(worker, 1000));
        sched::start(worker, Job::User(process.clone(), state));
    }
    cpu.switch(Some(process.clone()));
    let mut state = thread(0, access, accesses(0, 400));
    let mut random = Random(1);
    let mut unmapped = 0;
    for round in 0.. {
        if unmapped >= pages || report::wrong() != 0 {
            break;
        }
        sched::run_once(&process, &mut state);
        sched::wait_for_round(1..boot::CPUS);
        let count = if round % 16 == 0 {
            // All of it, and the tables: until it is mapped again every access is refused.
            let count = munmap::munmap(&process, WINDOW)?;
            let area = Area {
                start: WINDOW,
                pages: PAGES,
                rights: READ_WRITE,
                contents: Contents::Pattern,
            };
            munmap::mmap(&process, area)?;
            count
        } else {
            // Few pages are flushed one by one, and many all at once.
            let most = if round % 2 == 0 { 8 } else { PAGES };
            let first = random.below(PAGES);
            let end = first + 1 + random.below(most.min(PAGES - first));
            munmap::discard(&process, WINDOW + first * FRAME..WINDOW + end * FRAME)?
        };
        report::unmapped(count);
        unmapped += count;
    }
    (1..boot::CPUS).for_each(sched::stop);
    cpu.switch(None);
    exit::exit(&process)
}
