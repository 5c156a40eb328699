//! The page tables of a process, and the way through them.
//!
//! Four levels of 512 entries; those of the second one may map large pages. User code has the part of the top table's first entry: that entry and the table below exist
//! from the beginning, and so the second view of a process (`user_top`), where there is one, is a top table with a copy of
//! one entry that never changes until the end.

use core::ops::Range;
use core::sync::atomic::Ordering;

use tlbc_runtime::{Entry, Section, SpaceId};

use crate::boot::{self, PteFormat};
use crate::frames::{self, Frame};
use crate::platform::Kernel;
use crate::process::{Areas, Error};
use crate::pte::{Format, TOP, TableEntry, page_of, shift, table_of};

/// User addresses end here: what the top table's first entry translates.
pub const USER_END: u64 = 1 << shift(TOP);

/// A table that was unlinked. It has what its entries name: the pages of a table in whose place a large page was mapped.
pub struct Table {
    frame: Frame,
    /// The height of its entries.
    height: u8,
}

impl Table {
    /// Takes the reference back that a table entry kept; `None` as in [`Frame::from_address`].
    pub fn from_address(at: u64, height: usize) -> Option<Self> {
        let frame = Frame::from_address(at)?;
        let height = height as u8;
        Some(Self { frame, height })
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        for word in self.frame.words() {
            let bits = word.load(Ordering::Relaxed);
            drop(page_of(self.height.into(), bits));
            drop(table_of(self.height.into(), bits));
        }
    }
}

/// The tables of a process, what its addresses are for, and the lock that protects both is around this.
pub struct Tables {
    pub areas: Areas,
    top: Frame,
    /// What user code runs on, where the kernel is unmapped and that takes another top table.
    user_top: Option<Frame>,
}

impl Tables {
    /// Returns tables that map nothing but the kernel, if there are frames for them.
    pub fn new(kernel_is_unmapped: bool) -> Option<Self> {
        let below = Frame::table(|_| 0)?;
        let first = PteFormat::table(below.address());
        let entry = |index: usize| {
            if index == 0 {
                first
            } else {
                boot::kernel_entry(index)
            }
        };
        let top = Frame::table(entry)?;
        let user_top = if kernel_is_unmapped && boot::HAS_USER_TOP {
            let entry = |index| match index {
                0 => first,
                _ => boot::user_top_entry(index),
            };
            Some(Frame::table(entry)?)
        } else {
            None
        };
        let _ = below.into_address(); // the entry has it now
        Some(Self {
            areas: Areas::default(),
            top,
            user_top,
        })
    }

    pub fn top(&self) -> u64 {
        self.top.address()
    }

    pub fn user_top(&self) -> u64 {
        self.user_top.as_ref().unwrap_or(&self.top).address()
    }

    /// Returns the top table's entry for an address.
    pub fn entry(&self, space: SpaceId, va: u64) -> TableEntry {
        TableEntry::top(space, self.top(), va)
    }

    /// Returns the entries of a range that map pages.
    pub fn pages(&self, space: SpaceId, range: Range<u64>) -> impl Iterator<Item = TableEntry> {
        pages(range, move |va| self.entry(space, va))
    }

    /// Unlinks the tables for a range that have no valid entry any more, but not the one below the top table.
    pub fn unlink_unused(
        &self,
        space: SpaceId,
        range: Range<u64>,
        section: &mut Section<'_, '_, Kernel>,
    ) -> Result<(), Error> {
        unlink_unused(range, |va| self.entry(space, va), section)
    }

    /// Unlinks the last table, at the end of the process. No CPU runs user code of it any more.
    pub fn unlink_last(
        &self,
        space: SpaceId,
        section: &mut Section<'_, '_, Kernel>,
    ) -> Result<(), Error> {
        // The copy first: one flush covers what either of them left in caches.
        if let Some(user_top) = &self.user_top {
            TableEntry::top(space, user_top.address(), 0).store(0);
        }
        section.unlink(self.entry(space, 0))?;
        Ok(())
    }
}

/// Returns an entry, and those below it on the way to the same address.
pub fn descend(top: TableEntry) -> impl Iterator<Item = TableEntry> {
    core::iter::successors(Some(top), TableEntry::below)
}

/// Returns the lowest entry that there is for the address of an entry above it. It maps a page, or is invalid.
pub fn lowest(top: TableEntry) -> TableEntry {
    descend(top).last().unwrap_or(top)
}

/// Returns the lowest entry for the address of a top table's entry, but none below a height, and links the tables that it takes:
/// with `link`, which stores an entry. The entry is higher if it maps a large page, and lower if there is a table already.
pub fn find_or_link(
    top: TableEntry,
    height: usize,
    mut link: impl FnMut(&TableEntry, u64) -> Result<(), Error>,
) -> Result<TableEntry, Error> {
    let mut entry = lowest(top);
    while entry.height() > height && entry.says() == Entry::Invalid {
        let table = Frame::table(|_| 0).ok_or(Error::NoMemory)?;
        link(&entry, PteFormat::table(table.address()))?;
        let _ = table.into_address(); // the entry has it now
        entry = lowest(entry);
    }
    Ok(entry)
}

/// Returns the entries of a range that map pages, given the top table's entry for an address. A large page may begin before the
/// range or end after it, unless it was [split](crate::large::split_at).
pub fn pages(
    range: Range<u64>,
    top: impl Fn(u64) -> TableEntry,
) -> impl Iterator<Item = TableEntry> {
    let entry = move |va| (va < range.end).then(|| lowest(top(va)));
    let first = entry(range.start);
    let entries = core::iter::successors(first, move |before| entry(before.end()));
    entries.filter(|entry| entry.says() != Entry::Invalid)
}

/// Unlinks the tables for a range that have no valid entry any more, but not the one below the top table. From the lowest up:
/// each is unused when those below it are unlinked.
pub fn unlink_unused(
    range: Range<u64>,
    top: impl Fn(u64) -> TableEntry,
    section: &mut Section<'_, '_, Kernel>,
) -> Result<(), Error> {
    for height in 1..TOP {
        let reach = 1 << shift(height);
        let first = range.start & !(reach - 1);
        for va in (first..range.end).step_by(reach as usize) {
            let link = descend(top(va)).find(|entry| entry.height() == height);
            if let Some(link) = link
                && let Entry::Table { table, .. } = link.says()
                && is_unused(table)
            {
                section.unlink(link)?;
            }
        }
    }
    Ok(())
}

fn is_unused(table: u64) -> bool {
    let words = frames::words(table);
    words.iter().all(|word| word.load(Ordering::Relaxed) == 0)
}
