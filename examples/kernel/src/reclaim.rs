//! Reclaim: pages of several processes are unmapped, with one wait for all of them.

use core::ops::Range;

use crate::platform::MMU;
use crate::process::{Body, Error};

/// How many pages are unmapped before the wait.
pub const MOST: usize = 32;

/// Unmaps pages of processes, each in a range of addresses, and frees them after one wait. Returns how many.
///
/// Their contents are the ones that the pages get again when they are next used. So this writes nothing back, and shows only
/// where that would be.
pub fn reclaim(victims: &[(&Body, Range<u64>)]) -> Result<usize, Error> {
    MMU.reclaim(|batch| {
        let mut unmapped = [const { None }; MOST];
        let mut count = 0;
        for (process, range) in victims {
            let tables = process.lock();
            let entries = tables.pages(process.space.id(), range.clone());
            for (entry, room) in entries.zip(&mut unmapped[count..]) {
                *room = batch.unmap(&process.space, entry)?;
                count += 1;
            }
            // CPUs may still use the pages when the lock is released. A section that locks the tables flushes first, so a fault
            // handler finds no entry that is invalid and in use.
        }
        batch.before_io();
        // From here on no CPU can write to the pages: those that were dirty are written to disk.
        let waited = batch.wait();
        let pages = unmapped.into_iter().flatten();
        let free = pages.filter_map(|page| waited.redeem(page).ok());
        free.for_each(drop);
        Ok(count)
    })
}
