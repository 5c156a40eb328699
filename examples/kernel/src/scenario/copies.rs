//! A process forks while its threads write, and the child watches its pages: none of its words may change. Then the child ends,
//! while a CPU has it loaded lazily. There are more spaces than tags, so those are used again.

use super::{WINDOW, process, thread};
use crate::boot;
use crate::exit::exit;
use crate::fork::fork;
use crate::process::{self, Contents, Error};
use crate::program::{count_up, watch};
use crate::report;
use crate::sched::{self, Job};
use crate::user::Cpu;

/// Fewer than there are, so that a round is short.
const COPIED: u64 = 4;

/// The CPU that runs the children, one after the other.
const WATCHER: usize = boot::CPUS - 1;

pub fn run(cpu: &mut Cpu, pages: usize) -> Result<(), Error> {
    let children = pages / 1000;
    let parent = process(Contents::Zeros)?;
    for worker in 1..WATCHER {
        let state = thread(worker, count_up, [WINDOW, COPIED, worker as u64, 20]);
        sched::start(worker, Job::User(parent.clone(), state));
    }
    cpu.switch(Some(parent.clone()));
    let mut state = thread(0, count_up, [WINDOW, COPIED, 0, 4]);
    for _ in 0..children {
        if report::wrong() != 0 {
            break;
        }
        sched::run_once(&parent, &mut state);
        let child = fork(&parent)?;
        let watcher = thread(WATCHER, watch, [WINDOW, COPIED, WATCHER as u64, 4]);
        sched::start(WATCHER, Job::User(child.clone(), watcher));
        // The child has seen its pages, then all threads of the parent write, then it looks again.
        sched::wait_for_round(WATCHER..boot::CPUS);
        sched::run_once(&parent, &mut state);
        sched::wait_for_round(1..WATCHER);
        sched::wait_for_round(WATCHER..boot::CPUS);
        sched::stop(WATCHER);
        exit(&child)?;
        drop(child);
        process::reap();
    }
    (1..WATCHER).for_each(sched::stop);
    cpu.switch(None);
    exit(&parent)
}
