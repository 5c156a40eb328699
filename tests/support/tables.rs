//! Tables of a hosted machine, in a format of the tests: the runtime only depends on decoded entries.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tlbc_runtime::pte::{Entry, Slot};
use tlbc_runtime::{AddressSpace, Level, Pte, SpaceId};

use crate::hosted::{Cpus, HostBackend, Hosted, Page, Table};

/// The bit of a valid entry. The other bits are a number and these flags.
const VALID: u64 = 1;
/// The entry points at a table.
const TABLE: u64 = 2;
/// The page may be written.
pub const WRITE: u64 = 4;
/// The page was written.
pub const DIRTY: u64 = 8;
/// The page belongs to a file.
pub const FILE: u64 = 16;
/// The entry was used.
pub const ACCESSED: u64 = 32;
/// Attributes that the machine caches besides the page and the rights.
pub const ATTRIBUTES: u64 = 0x1c0;
const SHIFT: u32 = 12;

/// A table, or a part of it.
#[derive(Debug)]
pub struct Entries {
    space: SpaceId,
    /// The level of its entries.
    pub level: Level,
    shift: u32,
    /// The first address that it translates.
    pub va: u64,
    /// Its physical address.
    pub table: u64,
    words: Vec<AtomicU64>,
}

impl Entries {
    /// Creates a table with this many entries of a level, for addresses from `va`.
    pub fn new<B: HostBackend>(
        backend: &B,
        space: &AddressSpace<Cpus>,
        level: Level,
        va: u64,
        count: usize,
    ) -> Self {
        let shift = backend.levels()[level.index()].shift;
        assert_ne!(shift, 0, "no such level");
        Self {
            space: space.id(),
            level,
            shift,
            va,
            table: 0x10_0000 + (va >> 4 & !0xfff) + (u64::from(level.0) << 40),
            words: (0..count).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Maps a page by its number.
    pub fn map(&self, index: usize, page: u64, flags: u64) {
        self.set(index, leaf_bits(page, flags));
    }

    /// Stores an entry.
    pub fn set(&self, index: usize, bits: u64) {
        self.words[index].store(bits, Relaxed);
    }

    /// Makes an entry point at a table, by its number.
    pub fn link(&self, index: usize, table: u64) {
        self.set(index, table_bits(table, 0));
    }

    /// Returns the bits of an entry.
    pub fn bits(&self, index: usize) -> u64 {
        self.words[index].load(Relaxed)
    }

    /// Returns a decoded entry.
    pub fn entry(&self, index: usize) -> Entry {
        says(self.bits(index))
    }

    /// Returns the location of an entry.
    pub fn slot(&self, index: usize) -> Slot<'_> {
        Slot {
            entries: (&self.words[index..=index]).into(),
            table: self.table,
            index: index as u16,
            va: self.va + ((index as u64) << self.shift),
        }
    }

    /// Sets bits in an entry, as the machine does when the entry is used.
    pub fn mark(&self, index: usize, bits: u64) {
        self.words[index].fetch_or(bits, Relaxed);
    }

    /// Returns the location of neighbouring entries that together map one page.
    pub fn slots(&self, indices: Range<usize>) -> Slot<'_> {
        Slot {
            entries: (&self.words[indices.clone()]).into(),
            ..self.slot(indices.start)
        }
    }

    /// Returns an entry, whatever its content.
    pub fn at(&self, index: usize) -> EntryAt<'_> {
        self.group(index..index + 1)
    }

    /// Returns neighbouring entries that together map one page.
    pub fn group(&self, indices: Range<usize>) -> EntryAt<'_> {
        EntryAt {
            table: self,
            indices,
        }
    }

    /// Returns an entry if it maps a page.
    pub fn leaf(&self, index: usize) -> Option<EntryAt<'_>> {
        matches!(self.entry(index), Entry::Leaf { .. }).then(|| self.at(index))
    }

    /// Returns all entries that map pages.
    pub fn leaves(&self) -> impl Iterator<Item = EntryAt<'_>> {
        (0..self.words.len()).filter_map(|index| self.leaf(index))
    }

    /// Returns an entry if it points at a table.
    pub fn pointer(&self, index: usize) -> Option<EntryAt<'_>> {
        self.linked(index).map(|_| self.at(index))
    }

    /// Returns the table that an entry points at, as a walker sees it: by one read.
    pub fn linked(&self, index: usize) -> Option<u64> {
        match says(self.bits(index)) {
            Entry::Table { table, .. } => Some(table),
            Entry::Leaf { .. } | Entry::Invalid => None,
        }
    }
}

/// Returns the bits of an entry that maps a page by its number.
#[must_use]
pub const fn leaf_bits(page: u64, flags: u64) -> u64 {
    page << SHIFT | VALID | flags
}

/// Returns the bits of an entry that points at a table by its number.
#[must_use]
pub const fn table_bits(table: u64, flags: u64) -> u64 {
    table << SHIFT | VALID | TABLE | flags
}

/// Decodes the bits of an entry.
#[must_use]
pub fn says(bits: u64) -> Entry {
    let attributes = bits & ATTRIBUTES;
    if bits & VALID == 0 {
        Entry::Invalid
    } else if bits & TABLE != 0 {
        Entry::Table {
            table: bits >> SHIFT,
            attributes,
        }
    } else {
        Entry::Leaf {
            page: bits >> SHIFT,
            rights: if bits & WRITE == 0 { 1 } else { 3 },
            attributes,
        }
    }
}

/// An entry of a table, or several that together map one page.
#[derive(Debug)]
pub struct EntryAt<'t> {
    table: &'t Entries,
    indices: Range<usize>,
}

impl<B: HostBackend> Pte<Hosted<B>> for EntryAt<'_> {
    fn belongs_to(&self, space: &AddressSpace<Cpus>) -> bool {
        space.id() == self.table.space
    }

    fn level(&self) -> Level {
        self.table.level
    }

    fn slot(&self) -> Slot<'_> {
        self.table.slots(self.indices.clone())
    }

    fn decode(_: Level, bits: u64) -> Entry {
        says(bits)
    }

    fn is_accessed(_: Level, bits: u64) -> bool {
        bits & ACCESSED != 0
    }

    fn is_dirty(_: Level, bits: u64) -> bool {
        bits & DIRTY != 0
    }

    fn into_page(self, old: u64) -> Option<Page> {
        assert_ne!(old & VALID, 0, "a page from an entry that mapped none");
        let dirty_file = old & (DIRTY | FILE) == DIRTY | FILE;
        Some(Page::removed(old >> SHIFT, dirty_file))
    }

    fn into_table(self, old: u64) -> Table {
        assert_ne!(old & TABLE, 0, "a table from an entry that pointed at none");
        Table::removed(old >> SHIFT)
    }
}
