//! fork, with copy on write.

use crate::boot::PteFormat;
use crate::platform::MMU;
use crate::process::{Error, Process};
use crate::pte::Format;
use crate::tables::find_or_link;

/// Makes a process that shares the pages of another one. Neither can write to them from then on without a copy.
///
/// The gather is the parent's: only its entries may be in a TLB. The child was never loaded, so its entries are plain
/// stores. The guard of the section is the pair of locks; nothing else can have the child's.
pub fn fork(parent: &Process) -> Result<Process, Error> {
    let child = Process::new()?;
    let (from_id, to_id) = (parent.space.id(), child.space.id());
    MMU.gather(&parent.space, |gather| {
        let locks = (parent.lock(), child.lock());
        gather.locked(locks, |section, (from, to)| {
            to.areas = from.areas;
            for area in from.areas.iter() {
                for entry in from.pages(from_id, area.range()) {
                    let old = section.protect(&entry, PteFormat::without_write)?;
                    let top = to.entry(to_id, entry.va());
                    let copy = find_or_link(top, entry.height(), |link, bits| {
                        link.store(bits);
                        Ok(())
                    })?;
                    if let Some(page) = entry.page() {
                        page.share();
                    }
                    copy.store(PteFormat::without_write(old));
                }
            }
            Ok(())
        })
    })
    .map(|()| child)
    // From here on no CPU can write to the pages through the parent's entries.
}
