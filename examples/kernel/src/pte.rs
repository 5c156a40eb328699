//! Page-table entries, as the runtime needs to know them.
//!
//! [`TableEntry`] is the owner of an entry: of the page or of the table that it names. Where entries say what, the runtime
//! knows from [`Pte::decode`]; the bits themselves are a [`Format`] of each machine.

use core::mem::ManuallyDrop;
use core::slice;
use core::sync::atomic::{AtomicU64, Ordering};

use tlbc_runtime::{AddressSpace, Backend, Level, Platform, Pte, SpaceId};
use tlbc_runtime::{Entry, Slot};

use crate::boot::PteFormat;
use crate::frames::{self, LARGE, Page, Words};
use crate::platform::{Cpus, Kernel, MMU};
use crate::tables::Table;

/// What may be done with a page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    pub const READ: Self = Self(1);
    pub const WRITE: Self = Self(1 << 1);
    pub const EXECUTE: Self = Self(1 << 2);

    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns them as the runtime has them, in [`Entry::Leaf`].
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Returns whether the rights of an [`Entry::Leaf`] allow to write.
    pub const fn allows_write(bits: u8) -> bool {
        Self(bits).contains(Self::WRITE)
    }
}

/// The format of table entries: one implementation a machine, in `boot/`.
pub trait Format {
    /// Returns the entry for a page of user code.
    fn user_page(page: u64, rights: Rights) -> u64;
    /// Returns the entry for a page that the kernel reads and writes. If it is `global`, a TLB has it once for all spaces.
    fn kernel_page(page: u64, global: bool) -> u64;
    /// Returns the entry that points at a table.
    fn table(table: u64) -> u64;
    /// Returns the entry of the next level that maps a large page at the same address, with the same rights.
    fn large(bits: u64) -> u64;
    /// Returns the entry of the lowest level that maps a part of a large page: the small page `offset` bytes after its start.
    fn small(bits: u64, offset: u64) -> u64;
    /// Returns the same entry without the right to write.
    fn without_write(bits: u64) -> u64;
    /// Returns the same entry with the right to write.
    fn with_write(bits: u64) -> u64;
    /// Returns whether the machine has noted in a valid entry that it was used.
    fn is_accessed(bits: u64) -> bool;
    /// Returns whether the machine has noted in a valid entry that its page was written; where it notes nothing, whether it
    /// may be written.
    fn is_dirty(bits: u64) -> bool;
    /// Returns what an entry says, of the lowest level or of another one. Everything that the machine caches of an entry must
    /// be in one of the fields: changes of other bits are not flushed.
    fn decode(bits: u64, is_lowest: bool) -> Entry;
}

/// The height of the top table's entries.
pub const TOP: usize = 3;
/// The level of entries that can only map pages.
const LOWEST: Level = Level(0);

/// An entry of a page table, for as long as its table is locked.
#[derive(Clone, Copy)]
pub struct TableEntry {
    space: SpaceId,
    /// How many levels it is above the lowest.
    height: usize,
    table: &'static Words,
    address: u64,
    index: usize,
    /// The address that was looked for.
    va: u64,
}

/// Returns the binary logarithm of the number of bytes that an entry of a height translates.
pub const fn shift(height: usize) -> u32 {
    12 + 9 * height as u32
}

impl TableEntry {
    /// Returns the entry for an address in a top table, whose physical address is known.
    pub fn top(space: SpaceId, table: u64, va: u64) -> Self {
        Self::in_table(space, TOP, table, va)
    }

    /// Returns the entry for the same address in the table that this one points at, if it points at one.
    pub fn below(&self) -> Option<Self> {
        match self.says() {
            Entry::Table { table, .. } => {
                let height = self.height.checked_sub(1)?;
                Some(Self::in_table(self.space, height, table, self.va))
            }
            _ => None,
        }
    }

    fn in_table(space: SpaceId, height: usize, address: u64, va: u64) -> Self {
        Self {
            space,
            height,
            table: frames::words(address),
            address,
            index: (va >> shift(height)) as usize % 512,
            va,
        }
    }

    /// Returns what it says.
    pub fn says(&self) -> Entry {
        Self::decode(self.level(), self.bits())
    }

    pub fn bits(&self) -> u64 {
        self.word().load(Ordering::Relaxed)
    }

    /// Returns the first address that it translates.
    pub fn va(&self) -> u64 {
        self.va >> shift(self.height) << shift(self.height)
    }

    /// Returns the first address after those that it translates.
    pub fn end(&self) -> u64 {
        self.va() + (1 << shift(self.height))
    }

    /// Returns the page that it maps, if it is one of frames. The entry keeps its references.
    pub fn page(&self) -> Option<ManuallyDrop<Page>> {
        page_of(self.height, self.bits()).map(ManuallyDrop::new)
    }

    /// Stores an entry past the runtime: of a table that no CPU walks, or where something else brings the flush.
    pub fn store(&self, bits: u64) {
        self.word().store(bits, Ordering::Relaxed);
    }

    /// Returns the address that was looked for.
    pub fn looked_for(&self) -> u64 {
        self.va
    }

    pub fn height(&self) -> usize {
        self.height
    }

    fn word(&self) -> &AtomicU64 {
        &self.table[self.index]
    }
}

impl Pte<Kernel> for TableEntry {
    fn belongs_to(&self, space: &AddressSpace<Cpus>) -> bool {
        self.space == space.id()
    }

    /// Returns the level that the backend has for the height. They differ if the definition has a level that this machine
    /// lacks, such as a fifth level of tables.
    fn level(&self) -> Level {
        let backend = MMU.platform().backend();
        backend.levels_up(self.height).unwrap_or(Level(u8::MAX))
    }

    fn slot(&self) -> Slot<'_> {
        Slot {
            entries: slice::from_ref(self.word()).into(),
            table: self.address,
            index: self.index as u16,
            va: self.va(),
        }
    }

    fn decode(level: Level, bits: u64) -> Entry {
        PteFormat::decode(bits, level == LOWEST)
    }

    fn is_accessed(_: Level, bits: u64) -> bool {
        PteFormat::is_accessed(bits)
    }

    fn is_dirty(_: Level, bits: u64) -> bool {
        PteFormat::is_dirty(bits)
    }

    /// Returns the references that the entry had to its page. What the machine noted in the entry until it was removed would go to the
    /// page's own flags in a kernel that writes pages back.
    fn into_page(self, old: u64) -> Option<Page> {
        page_of(self.height, old)
    }

    fn into_table(self, old: u64) -> Table {
        table_of(self.height, old).expect("tables that are linked are in frames of the pool")
    }
}

/// Takes the references back that an entry of a height kept to its page, if it maps one of frames.
pub fn page_of(height: usize, bits: u64) -> Option<Page> {
    match PteFormat::decode(bits, height == 0) {
        Entry::Leaf { page, .. } => Page::from_address(page, LARGE.pow(height as u32)),
        _ => None,
    }
}

/// Takes the reference back that an entry of a height kept to a table, if it points at one.
pub fn table_of(height: usize, bits: u64) -> Option<Table> {
    match PteFormat::decode(bits, height == 0) {
        Entry::Table { table, .. } => Table::from_address(table, height - 1),
        _ => None,
    }
}
