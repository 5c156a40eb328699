//! Mappings of the kernel itself, which a larger kernel has for modules, stacks and buffers.

use core::ops::Range;

use tlbc_runtime::SpaceId;

use crate::boot::{self, PteFormat};
use crate::frames::{FRAME, Frame};
use crate::lock::SpinLock;
use crate::platform::{MMU, config};
use crate::process::Error;
use crate::pte::{Format, TableEntry};
use crate::tables::{find_or_link, pages, unlink_unused};

/// Held while entries of the kernel change. Interrupts are on.
static LOCK: SpinLock<()> = SpinLock::new(());

/// Maps frames from an address on. When this returns every CPU that learns of it may use them.
pub fn map(start: u64, frames: impl Iterator<Item = Frame>) -> Result<(), Error> {
    let is_global = !config().has(boot::SEPARATE_VIEWS);
    MMU.gather(MMU.kernel(), |gather| {
        gather.locked(LOCK.lock(), |section, _| {
            for (va, frame) in (start..).step_by(FRAME as usize).zip(frames) {
                let link = |entry: &TableEntry, bits| Ok(section.map(entry, bits)?);
                let entry = find_or_link(top_entry(va), 0, link)?;
                section.map(&entry, PteFormat::kernel_page(frame.address(), is_global))?;
                let _ = frame.into_address(); // the entry has it now
            }
            Ok(())
        })
    })
}

/// Unmaps what is mapped in a range, and the tables that nothing else uses. When this returns the frames are free.
pub fn unmap(range: Range<u64>) -> Result<(), Error> {
    MMU.gather(MMU.kernel(), |gather| {
        gather.locked(LOCK.lock(), |section, _| {
            section.unmap_all(pages(range.clone(), top_entry))?;
            unlink_unused(range, top_entry, section)
        })
    })
}

fn top_entry(va: u64) -> TableEntry {
    TableEntry::top(SpaceId::KERNEL, boot::kernel_table(), va)
}
