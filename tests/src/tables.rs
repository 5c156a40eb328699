//! Tables of a hosted machine, in a form of its own: what the runtime needs of entries is what they say.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tlbc_runtime::pte::{Entry, Slot, Was};
use tlbc_runtime::{AddressSpace, Level, Linked, Mapped, OwnedEntry, SpaceId};

use crate::hosted::{HostBackend, Hosted, Page, Table};

/// A valid entry; the rest of the bits is a number and these flags.
const VALID: u64 = 1;
/// Points at a table.
const TABLE: u64 = 2;
/// May be written.
pub const WRITE: u64 = 4;
/// Was written.
pub const DIRTY: u64 = 8;
/// Maps a file's page.
pub const FILE: u64 = 16;
const SHIFT: u32 = 12;

/// One table, or a stretch of it.
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
    /// A table of so many entries of a level, for addresses from `va`.
    pub fn new<B: HostBackend>(
        backend: &B,
        space: &AddressSpace<Hosted<B>>,
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

    /// Points at a table by its number.
    pub fn link(&self, index: usize, table: u64) {
        self.set(index, table << SHIFT | VALID | TABLE);
    }

    /// What stands in an entry.
    pub fn bits(&self, index: usize) -> u64 {
        self.words[index].load(Relaxed)
    }

    /// What an entry says.
    pub fn entry(&self, index: usize) -> Entry {
        says(self.bits(index))
    }

    /// Where an entry stands.
    pub fn slot(&self, index: usize) -> Slot<'_> {
        Slot {
            entries: &self.words[index..=index],
            table: self.table,
            index: index as u16,
            va: self.va + ((index as u64) << self.shift),
        }
    }

    /// Sets bits in an entry, as the machine does when it is used.
    pub fn mark(&self, index: usize, bits: u64) {
        self.words[index].fetch_or(bits, Relaxed);
    }

    /// Where some neighbouring entries stand that map one page together.
    pub fn slots(&self, indices: Range<usize>) -> Slot<'_> {
        Slot {
            entries: &self.words[indices.clone()],
            ..self.slot(indices.start)
        }
    }

    /// A valid leaf entry, to be cleared.
    pub fn leaf(&self, index: usize) -> Option<Leaf<'_>> {
        let entry = Leaf { table: self, index };
        matches!(self.entry(index), Entry::Leaf { .. }).then_some(entry)
    }

    /// All valid leaf entries.
    pub fn leaves(&self) -> impl Iterator<Item = Leaf<'_>> {
        (0..self.words.len()).filter_map(|index| self.leaf(index))
    }

    /// An entry that points at a table, to be cut.
    pub fn pointer(&self, index: usize) -> Option<Pointer<'_>> {
        let number = self.linked(index)?;
        Some(Pointer {
            table: self,
            index,
            number,
        })
    }

    /// The table that an entry points at, as a walker sees it: by one read.
    pub fn linked(&self, index: usize) -> Option<u64> {
        match says(self.bits(index)) {
            Entry::Table { table, .. } => Some(table),
            Entry::Leaf { .. } | Entry::Invalid => None,
        }
    }
}

/// The bits of an entry that maps a page by its number.
#[must_use]
pub const fn leaf_bits(page: u64, flags: u64) -> u64 {
    page << SHIFT | VALID | flags
}

/// Decodes the bits of an entry.
#[must_use]
pub fn says(bits: u64) -> Entry {
    if bits & VALID == 0 {
        Entry::Invalid
    } else if bits & TABLE != 0 {
        Entry::Table {
            table: bits >> SHIFT,
            attributes: 0,
        }
    } else {
        Entry::Leaf {
            page: bits >> SHIFT,
            rights: if bits & WRITE == 0 { 1 } else { 3 },
            attributes: 0,
        }
    }
}

/// A leaf entry that is given up.
#[derive(Debug)]
pub struct Leaf<'t> {
    table: &'t Entries,
    index: usize,
}

impl OwnedEntry for Leaf<'_> {
    fn space(&self) -> SpaceId {
        self.table.space
    }

    fn level(&self) -> Level {
        self.table.level
    }

    fn slot(&self) -> Slot<'_> {
        self.table.slot(self.index)
    }

    fn entry(&self) -> Entry {
        self.table.entry(self.index)
    }
}

impl<B: HostBackend> Mapped<Hosted<B>> for Leaf<'_> {
    fn unmapped(self, was: Was) -> Option<Page> {
        assert_ne!(was.first & VALID, 0, "a page of an entry that mapped none");
        let dirty_file = was.any & (DIRTY | FILE) == DIRTY | FILE;
        Some(Page::given_up(was.first >> SHIFT, dirty_file))
    }
}

/// An entry that points at a table, which is given up or moved.
#[derive(Debug)]
pub struct Pointer<'t> {
    table: &'t Entries,
    index: usize,
    number: u64,
}

impl OwnedEntry for Pointer<'_> {
    fn space(&self) -> SpaceId {
        self.table.space
    }

    fn level(&self) -> Level {
        self.table.level
    }

    fn slot(&self) -> Slot<'_> {
        self.table.slot(self.index)
    }

    fn entry(&self) -> Entry {
        self.table.entry(self.index)
    }
}

impl<B: HostBackend> Linked<Hosted<B>> for Pointer<'_> {
    fn unlinked(self) -> Table {
        Table::given_up(self.number)
    }
}
