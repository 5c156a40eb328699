//! exit: the end of a process.

use crate::platform::MMU;
use crate::process::{Error, Process};
use crate::tables::USER_END;

/// Takes everything out of a process whose last thread has switched to something else. Its pages and tables are free when this
/// returns; CPUs may still have its top table loaded, without using it, and keep references for that long.
///
/// # Errors
/// As for a change of an entry; no entry of a process is one that the runtime refuses.
pub fn exit(process: &Process) -> Result<(), Error> {
    let id = process.space.id();
    MMU.teardown(&process.space, |gather| {
        gather.locked(process.lock(), |section, tables| {
            let areas = core::mem::take(&mut tables.areas);
            for area in areas.iter() {
                section.unmap_all(tables.pages(id, area.range()))?;
                tables.unlink_unused(id, area.range(), section)?;
            }
            debug_assert!(areas.iter().all(|area| area.range().end <= USER_END));
            tables.unlink_last(id, section)
        })
    })
}
