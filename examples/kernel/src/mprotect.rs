//! mprotect.

use crate::boot::PteFormat;
use crate::process::{Body, Error};
use crate::pte::{Format, Rights};

/// Changes what may be done with the area at an address, whole.
///
/// When this returns no CPU can do any more what is not allowed now. What is newly allowed may fault once on each CPU, which
/// the fault handler finds to be spurious.
pub fn mprotect(process: &Body, va: u64, rights: Rights) -> Result<(), Error> {
    let id = process.space.id();
    process.change(process.lock(), |section, tables| {
        let area = tables.areas.find_mut(va).ok_or(Error::NoArea)?;
        area.rights = rights;
        if rights.contains(Rights::WRITE) {
            // A page may be shared after a fork, so the right comes with the first write (`fault.rs`).
            return Ok(());
        }
        let range = area.range();
        for entry in tables.pages(id, range) {
            section.protect(&entry, PteFormat::without_write)?;
        }
        Ok(())
    })
}
