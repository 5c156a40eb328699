//! Pages of two processes are reclaimed, with one wait for both, while their programs load and store.

use super::{PAGES, WINDOW, accesses, process, thread};
use crate::exit::exit;
use crate::frames::FRAME;
use crate::process::{Contents, Error};
use crate::program::access;
use crate::random::Random;
use crate::reclaim::{MOST, reclaim};
use crate::sched::{self, Job};
use crate::user::Cpu;
use crate::{boot, report};

/// The CPU that runs the second process.
const OTHER: usize = boot::CPUS - 1;

pub fn run(cpu: &mut Cpu, pages: usize) -> Result<(), Error> {
    let processes = [process(Contents::Pattern)?, process(Contents::Pattern)?];
    for worker in 1..boot::CPUS {
        let process = &processes[usize::from(worker == OTHER)];
        let state = thread(worker, access, accesses(worker, 1000));
        sched::start(worker, Job::User(process.clone(), state));
    }
    cpu.switch(Some(processes[0].clone()));
    let mut state = thread(0, access, accesses(0, 400));
    let mut random = Random(1);
    let mut reclaimed = 0;
    while reclaimed < pages / 40 && report::wrong() == 0 {
        sched::run_once(&processes[0], &mut state);
        sched::wait_for_round(1..boot::CPUS);
        let victims = processes.each_ref().map(|process| {
            let first = random.below(PAGES);
            let end = first + 1 + random.below((MOST as u64 / 2).min(PAGES - first));
            (&**process, WINDOW + first * FRAME..WINDOW + end * FRAME)
        });
        let count = reclaim(&victims)?;
        report::unmapped(count);
        reclaimed += count;
    }
    (1..boot::CPUS).for_each(sched::stop);
    cpu.switch(None);
    processes.iter().try_for_each(exit)
}
