//! Page faults of user code.

use tlbc_runtime::{Entry, Pte, Section};

use crate::boot::{self, PteFormat};
use crate::frames::{self, FRAME, Frame, Page};
use crate::large;
use crate::platform::{Kernel, MMU};
use crate::process::{Area, Body, Error};
use crate::pte::{Format, Rights, TableEntry};
use crate::tables::{find_or_link, lowest};

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
    let level = process.change(tables, |section, tables| {
        let top = tables.entry(id, address);
        let entry = lowest(top);
        match entry.says() {
            Entry::Leaf { rights, .. } if is_write && !Rights::allows_write(rights) => {
                // Nothing takes the right to write from a page of a writable area, except to share or to copy it.
                allow_write(section, entry, area.rights)?;
            }
            // Another CPU has resolved it, or this one has used an older entry.
            Entry::Leaf { .. } => {}
            _ => map(section, top, &area)?,
        }
        Ok(lowest(top).level())
    })?;
    // This CPU may have an entry cached that allows less than the table: the access would fault again.
    MMU.fix_spurious(&process.space, address, level)?;
    Ok(Outcome::Resolved)
}

/// Lets a process write to a page: to a copy, if another process has the page too. Of a large page only the part is copied that
/// the access was to.
fn allow_write(
    section: &mut Section<'_, '_, Kernel>,
    entry: TableEntry,
    rights: Rights,
) -> Result<(), Error> {
    let Entry::Leaf { page, .. } = entry.says() else {
        return Ok(());
    };
    if entry.page().is_some_and(|page| page.is_unshared()) {
        section.protect(&entry, PteFormat::with_write)?;
        return Ok(());
    }
    if entry.height() != 0 {
        large::split(section, &entry)?;
        return allow_write(section, lowest(entry), rights);
    }
    // No process can write to it.
    let copy = Frame::page(|index| frames::word(page, index)).ok_or(Error::NoMemory)?;
    section.replace(entry, PteFormat::user_page(copy.address(), rights))?;
    let _ = copy.into_address(); // the entry has it now
    Ok(())
}

/// Maps the page that belongs at an address, of which the top table's entry is given: a large one if there is room for it.
fn map(section: &mut Section<'_, '_, Kernel>, top: TableEntry, area: &Area) -> Result<(), Error> {
    let mut link = |entry: &TableEntry, bits| Ok(section.map(entry, bits)?);
    if let Some(start) = large::start_in(area, top.looked_for()) {
        let entry = find_or_link(top, large::HEIGHT, &mut link)?;
        let word = |va| area.contents.word(va).unwrap_or_default();
        let page = |nth, index| word(start + nth as u64 * FRAME + 8 * index as u64);
        if entry.height() == large::HEIGHT
            && let Some(page) = Page::large(page)
        {
            let bits = PteFormat::user_page(page.address(), area.rights);
            link(&entry, PteFormat::large(bits))?;
            let _ = page.into_address(); // the entry has it now
            return Ok(());
        }
    }
    let entry = find_or_link(top, 0, &mut link)?;
    let page = contents(area, entry.va())?;
    link(&entry, PteFormat::user_page(page, area.rights))
}

/// Returns the small page that belongs at an address.
fn contents(area: &Area, va: u64) -> Result<u64, Error> {
    if area.contents.word(va).is_none() {
        return Ok(boot::programs().start + (va - area.start));
    }
    let word = |index| area.contents.word(va + 8 * index as u64);
    let filled = Frame::page(|index| word(index).unwrap_or_default());
    Ok(filled.ok_or(Error::NoMemory)?.into_address())
}
