//! Mappings of the kernel come and go at the same addresses, and every CPU reads them while they are there.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::boot::{self, KERNEL_WINDOW};
use crate::frames::{FRAME, Frame};
use crate::kernel_map::{map, unmap};
use crate::process::Error;
use crate::sched::{self, Job};
use crate::user::Cpu;
use crate::{report, turns};

const PAGES: u64 = 16;

/// The round in which the pages are mapped; 0 while they are not.
static ROUND: AtomicU64 = AtomicU64::new(0);
/// How many CPUs read them.
static READERS: AtomicUsize = AtomicUsize::new(0);
/// How often they were read.
static READS: AtomicU64 = AtomicU64::new(0);

/// Returns what a page contains in a round.
fn contents(round: u64, page: u64) -> u64 {
    round << 16 | page
}

pub fn run(_cpu: &mut Cpu, pages: usize) -> Result<(), Error> {
    let rounds = pages as u64 / 2000;
    (1..boot::CPUS).for_each(|worker| sched::start(worker, Job::Kernel(read)));
    for round in 1..=rounds {
        if report::wrong() != 0 {
            break;
        }
        let frame = |page| Frame::page(|_| contents(round, page));
        let frames = (0..PAGES).map_while(frame);
        map(KERNEL_WINDOW, frames)?;
        let before = READS.load(Ordering::Relaxed);
        ROUND.store(round, Ordering::SeqCst);
        while READS.load(Ordering::Relaxed) < before + 8 {
            turns::hand_over();
        }
        // After this no CPU begins to read, and then no CPU reads.
        ROUND.store(0, Ordering::SeqCst);
        while READERS.load(Ordering::SeqCst) != 0 {
            turns::hand_over();
        }
        unmap(KERNEL_WINDOW..KERNEL_WINDOW + PAGES * FRAME)?;
        report::unmapped(PAGES as usize);
    }
    (1..boot::CPUS).for_each(sched::stop);
    Ok(())
}

/// Reads the pages while they are mapped.
fn read(cpu: usize) {
    while !sched::must_stop(cpu) {
        READERS.fetch_add(1, Ordering::SeqCst);
        let round = ROUND.load(Ordering::SeqCst);
        if round != 0 {
            for page in 0..PAGES {
                let address = KERNEL_WINDOW + page * FRAME;
                // SAFETY: it is mapped, and stays so while there are readers.
                let value = unsafe { (address as *const u64).read_volatile() };
                if value != contents(round, page) {
                    report::stale(address, value);
                }
            }
            report::ran(PAGES);
            READS.fetch_add(1, Ordering::Relaxed);
        }
        READERS.fetch_sub(1, Ordering::SeqCst);
        for _ in 0..100 {
            turns::hand_over();
        }
    }
}
