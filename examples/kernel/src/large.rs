//! Large pages: split where a part of them changes, and made of small ones. The fault handler maps them.

use tlbc_runtime::{Entry, Section};

use crate::boot::PteFormat;
use crate::frames::{self, FRAME, Frame, Page};
use crate::platform::{Kernel, MMU};
use crate::process::{Area, Body, Contents, Error};
use crate::pte::{Format, TableEntry, shift};
use crate::tables::{descend, lowest};

/// The height of entries that map large pages.
pub const HEIGHT: usize = 1;
const BYTES: u64 = 1 << shift(HEIGHT);

/// Returns the first address of the large page that an address would be in, if an area has all of its addresses, and contents
/// that are not in the kernel's image.
pub fn start_in(area: &Area, va: u64) -> Option<u64> {
    let start = va & !(BYTES - 1);
    let range = area.range();
    let is_within = range.start <= start && start + BYTES <= range.end;
    (is_within && area.contents != Contents::Programs).then_some(start)
}

/// Splits a large page that contains an address of which the top table's entry is given, unless it begins there. After that a
/// change of a range may begin or end at the address.
pub fn split_at(section: &mut Section<'_, '_, Kernel>, top: TableEntry) -> Result<(), Error> {
    let entry = lowest(top);
    let begins = entry.va() == top.looked_for();
    if begins || entry.height() == 0 || entry.says() == Entry::Invalid {
        return Ok(());
    }
    split(section, &entry)
}

/// Splits a large page. What the machine notes in its entry after the table is filled would go to the flags of the page, in a
/// kernel that writes pages back: the section returns it.
pub fn split(section: &mut Section<'_, '_, Kernel>, entry: &TableEntry) -> Result<(), Error> {
    let bits = entry.bits();
    let small = |nth| PteFormat::small(bits, nth as u64 * FRAME);
    let table = Frame::table(small).ok_or(Error::NoMemory)?;
    section.split(entry, PteFormat::table(table.address()))?;
    let _ = table.into_address(); // the entry has it now
    Ok(())
}

/// Maps a large page in place of a table, as kernels do in the background. Returns whether it did: there must be a table for the
/// address, and memory.
pub fn collapse(process: &Body, va: u64) -> Result<bool, Error> {
    let id = process.space.id();
    MMU.gather(&process.space, |gather| {
        let mut tables = process.lock();
        let area = tables.areas.find(va).copied().ok_or(Error::NoArea)?;
        let link = descend(tables.entry(id, va)).find(|entry| entry.height() == HEIGHT);
        let (Some(start), Some(link)) = (start_in(&area, va), link) else {
            return Ok(false);
        };
        if !matches!(link.says(), Entry::Table { .. }) {
            return Ok(false);
        }
        // The guard of this section is a reference to the guard of both: the tables stay locked in between.
        gather.locked(&mut tables, |section, tables| {
            for entry in tables.pages(id, start..start + BYTES) {
                section.protect(&entry, PteFormat::without_write)?;
            }
            Ok::<(), Error>(())
        })?;
        gather.flush();
        // From here on no CPU can write to the pages. A fault handler waits for the lock.
        let copy = Page::large(|nth, word| {
            let va = start + nth as u64 * FRAME;
            match lowest(tables.entry(id, va)).says() {
                Entry::Leaf { page, .. } => frames::word(page, word),
                _ => area.contents.word(va + 8 * word as u64).unwrap_or_default(),
            }
        });
        // Without memory the pages stay as they are, and the next write makes each writable again.
        let Some(copy) = copy else { return Ok(false) };
        let bits = PteFormat::user_page(copy.address(), area.rights);
        gather.locked(tables, |section, _| {
            // The table has the small pages, and is freed with them after the flush.
            section.collapse(link, PteFormat::large(bits))
        })?;
        let _ = copy.into_address(); // the entry has it now
        Ok(true)
    })
}
