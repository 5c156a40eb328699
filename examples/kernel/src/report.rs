//! What was counted, and the verdict.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::console::say;
use crate::frames;
use crate::platform::MMU;

static ACCESSES: AtomicU64 = AtomicU64::new(0);
static UNMAPPED: AtomicU64 = AtomicU64::new(0);
static STALE: AtomicU64 = AtomicU64::new(0);

/// How many wrong words are printed.
const SHOWN: u64 = 4;

/// Counts accesses of a program.
pub fn ran(accesses: u64) {
    ACCESSES.fetch_add(accesses, Ordering::Relaxed);
}

/// Counts pages that were unmapped.
pub fn unmapped(pages: usize) {
    UNMAPPED.fetch_add(pages as u64, Ordering::Relaxed);
}

/// Counts a word with a wrong value: it was accessed through a translation that is not there any more.
pub fn stale(address: u64, value: u64) {
    if STALE.fetch_add(1, Ordering::Relaxed) < SHOWN {
        say!("  stale: {value:#x} at {address:#x}");
    }
}

/// Counts a walk that has read a freed table.
pub fn walk_of_freed(address: u64) {
    if STALE.fetch_add(1, Ordering::Relaxed) < SHOWN {
        say!("  stale: a freed table was walked for {address:#x}");
    }
}

/// Returns how many words were wrong so far: those that were seen, and those that were overwritten while their frame was free.
pub fn wrong() -> u64 {
    STALE.load(Ordering::Relaxed) + frames::OVERWRITTEN.load(Ordering::Relaxed)
}

/// Prints a line about a scenario that is over.
pub fn scenario(name: &str) {
    let unmapped = UNMAPPED.load(Ordering::Relaxed);
    say!(
        "{name}: {unmapped} pages unmapped so far, {} words wrong",
        wrong()
    );
}

/// Prints the verdict. Returns 0 where nothing was wrong, and otherwise 1.
pub fn verdict() -> u32 {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    say!(
        "{} accesses, {} pages unmapped: {} stale accesses, {} overwritten words of free frames",
        load(&ACCESSES),
        load(&UNMAPPED),
        load(&STALE),
        load(&frames::OVERWRITTEN)
    );
    let stats = MMU.stats();
    say!("{} rollovers of tags, {} IPIs", stats.rollovers, stats.sent);
    u32::from(wrong() != 0)
}
