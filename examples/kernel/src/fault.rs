//! Page faults of user code.

use core::sync::atomic::Ordering;

use tlbc_runtime::{Entry, Level};

use crate::boot::{self, PteFormat};
use crate::frames::{self, Frame};
use crate::platform::MMU;
use crate::process::{Area, Body, Contents, Error};
use crate::program;
use crate::pte::{Format, Rights};
use crate::tables::find_or_link;

/// What a fault came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The access may be repeated.
    Resolved,
    /// The process may not do this.
    Refused,
}

/// Handles a fault at an address, on the CPU where it happened. Interrupts are on.
pub fn handle(process: &Body, address: u64, is_write: bool) -> Result<Outcome, Error> {
    let tables = process.lock();
    let Some(area) = tables.areas.find(address).copied() else {
        return Ok(Outcome::Refused);
    };
    if is_write && !area.rights.contains(Rights::WRITE) {
        return Ok(Outcome::Refused);
    }
    let id = process.space.id();
    process.change(tables, |section, tables| {
        let top = tables.entry(id, address);
        let entry = find_or_link(top, |entry, bits| Ok(section.map(entry, bits)?))?;
        match entry.says() {
            Entry::Leaf { page, rights, .. } if is_write && !Rights::allows_write(rights) => {
                // Copy on write, and nothing else takes the right to write from a page of a writable area.
                if frames::is_unshared(page) {
                    section.protect(&entry, PteFormat::with_write)?;
                } else {
                    let copy = copy(page)?;
                    section.replace(entry, PteFormat::user_page(copy.address(), area.rights))?;
                    let _ = copy.into_address(); // the entry has it now
                }
            }
            // Another CPU has resolved it, or this one has used an older entry.
            Entry::Leaf { .. } => {}
            _ => {
                let page = contents(&area, entry.va())?;
                section.map(&entry, PteFormat::user_page(page, area.rights))?;
            }
        }
        Ok(())
    })?;
    // This CPU may have an entry cached that allows less than the table: the access would fault again.
    MMU.fix_spurious(&process.space, address, Level(0))?;
    Ok(Outcome::Resolved)
}

/// Copies a page that no process can write to.
fn copy(page: u64) -> Result<Frame, Error> {
    let from = frames::words(page);
    let copy = Frame::page(|index| from[index].load(Ordering::Relaxed));
    copy.ok_or(Error::NoMemory)
}

/// Returns the page that belongs at an address.
fn contents(area: &Area, va: u64) -> Result<u64, Error> {
    let filled = match area.contents {
        Contents::Programs => return Ok(boot::programs().start + (va - area.start)),
        Contents::Pattern => Frame::page(|index| program::pattern(va + 8 * index as u64)),
        Contents::Zeros => Frame::page(|_| 0),
    };
    Ok(filled.ok_or(Error::NoMemory)?.into_address())
}
