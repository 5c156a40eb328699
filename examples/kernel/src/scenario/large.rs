//! Large pages are unmapped, split, shared and made of small ones while programs on all CPUs load and store.

use super::{READ_WRITE, process, thread};
use crate::console::say;
use crate::exit::exit;
use crate::fork::fork;
use crate::frames::{FRAME, LARGE};
use crate::large::{self, collapse};
use crate::munmap::{discard, mmap, munmap};
use crate::process::{Area, Contents, Error, Process, reap};
use crate::program::access;
use crate::random::Random;
use crate::sched::{self, Job};
use crate::user::Cpu;
use crate::{boot, report};

/// Two large pages.
const AREA: Area = Area {
    start: 0x8000_0000,
    pages: 2 * LARGE as u64,
    rights: READ_WRITE,
    contents: Contents::Pattern,
};

pub fn run(cpu: &mut Cpu, pages: usize) -> Result<(), Error> {
    let rounds = pages / 4000;
    let process = process(Contents::Zeros)?;
    mmap(&process, AREA)?;
    let arguments = |cpu, count| [AREA.start, AREA.pages, 0x517c_c1b7 + cpu as u64, count];
    for worker in 1..boot::CPUS {
        let state = thread(worker, access, arguments(worker, 1000));
        sched::start(worker, Job::User(process.clone(), state));
    }
    cpu.switch(Some(process.clone()));
    let mut state = thread(0, access, arguments(0, 400));
    let mut random = Random(1);
    let (mut split, mut made) = (0, 0);
    for round in 0..rounds {
        if report::wrong() != 0 {
            break;
        }
        sched::run_once(&process, &mut state);
        sched::wait_for_round(1..boot::CPUS);
        let before = large_pages(&process);
        match round % 6 {
            0 => {
                report::unmapped(munmap(&process, AREA.start)?);
                mmap(&process, AREA)?;
            }
            1 | 4 => {
                let first = random.below(AREA.pages);
                let end = first + 1 + random.below(AREA.pages - first);
                let at = |page| AREA.start + page * FRAME;
                report::unmapped(discard(&process, at(first)..at(end))?);
            }
            3 => {
                let child = fork(&process)?;
                // The first write to each page takes a copy.
                sched::run_once(&process, &mut state);
                sched::wait_for_round(1..boot::CPUS);
                split += before.saturating_sub(large_pages(&process));
                exit(&child)?;
                drop(child);
                reap();
            }
            _ => {
                for start in starts() {
                    made += usize::from(collapse(&process, start)?);
                }
            }
        }
    }
    say!("  {split} large pages split by writes after a fork, {made} made of small ones");
    (1..boot::CPUS).for_each(sched::stop);
    cpu.switch(None);
    exit(&process)
}

/// Returns where large pages may begin.
fn starts() -> impl Iterator<Item = u64> {
    AREA.range().step_by(LARGE * FRAME as usize)
}

/// Returns how many large pages are mapped.
fn large_pages(process: &Process) -> usize {
    let tables = process.lock();
    let pages = tables.pages(process.space.id(), AREA.range());
    pages
        .filter(|entry| entry.height() == large::HEIGHT)
        .count()
}
