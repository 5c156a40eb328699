//! Page tables in memory.

use tlbc_runtime::sync::Word;

/// The number of entries in a table.
pub const ENTRIES: usize = 2;

/// A table, by its number, which is also its physical address. Table 0 never has a valid entry.
pub type TableId = usize;

/// The index in every root of the entry that translates the kernel's addresses. Lower indices are for user addresses.
pub const KERNEL: usize = ENTRIES - 1;

/// The first page of the kernel's addresses.
pub const KERNEL_PAGE: u64 = (KERNEL * ENTRIES) as u64;

/// The content of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// An invalid entry.
    Invalid,
    /// A leaf entry, which maps a page.
    Page {
        /// The number of the page.
        frame: usize,
        /// Whether the page may be written.
        write: bool,
        /// Further attributes, the memory type for example. They are only compared.
        attributes: u8,
    },
    /// A pointer to a table.
    Table(TableId),
}

const VALID: u64 = 1;
const TABLE: u64 = 2;
const WRITE: u64 = 4;
const ATTRIBUTES: u32 = 4;
const SHIFT: u32 = 12;

impl Entry {
    /// Returns an entry for a page that may be written.
    #[must_use]
    pub const fn page(frame: usize) -> Self {
        Self::Page {
            frame,
            write: true,
            attributes: 0,
        }
    }

    /// Encodes the entry as it is stored in memory.
    #[must_use]
    pub const fn bits(self) -> u64 {
        match self {
            Self::Invalid => 0,
            Self::Page {
                frame,
                write,
                attributes,
            } => {
                let write = if write { WRITE } else { 0 };
                (frame as u64) << SHIFT | (attributes as u64) << ATTRIBUTES | VALID | write
            }
            Self::Table(table) => (table as u64) << SHIFT | VALID | TABLE,
        }
    }

    /// Decodes an entry from memory.
    #[must_use]
    pub const fn of(bits: u64) -> Self {
        let number = (bits >> SHIFT) as usize;
        if bits & VALID == 0 {
            Self::Invalid
        } else if bits & TABLE != 0 {
            Self::Table(number)
        } else {
            Self::Page {
                frame: number,
                write: bits & WRITE != 0,
                attributes: (bits >> ATTRIBUTES) as u8,
            }
        }
    }
}

/// What walkers see of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stores {
    /// What a load by the walker's CPU would see.
    AsLoaded,
    /// Both the old and the new value until the store is published, then the new value.
    Published,
}

/// The memory that holds the tables.
#[derive(Debug)]
pub struct Memory {
    pub(crate) stores: Stores,
    /// The values that loads see.
    words: Vec<Word>,
}

/// The values that a walker may see, for each entry.
pub(crate) type VisibleValues = Vec<Vec<u64>>;

/// Returns the index of an entry among all entries.
pub(crate) const fn at(table: TableId, index: usize) -> usize {
    table * ENTRIES + index
}

impl Memory {
    pub(crate) fn new(stores: Stores, tables: usize) -> Self {
        Self {
            stores,
            words: (0..tables * ENTRIES).map(|_| Word::new(0)).collect(),
        }
    }

    pub(crate) fn store(&self, table: TableId, index: usize, bits: u64) {
        if self.stores == Stores::AsLoaded {
            self.words[at(table, index)].put(bits);
        }
    }

    pub(crate) fn load(&self, table: TableId, index: usize) -> u64 {
        self.words[at(table, index)].get()
    }

    /// Returns what the calling CPU sees of these tables and of those that they point at, or `None` if walkers do not
    /// see stores as loads do.
    pub(crate) fn loaded(&self, mut tables: Vec<TableId>) -> Option<VisibleValues> {
        if self.stores != Stores::AsLoaded {
            return None;
        }
        let mut seen = vec![Vec::new(); self.words.len()];
        let mut looked = vec![0]; // table 0 has no entry
        while let Some(table) = tables.pop() {
            if looked.contains(&table) {
                continue;
            }
            looked.push(table);
            for index in 0..ENTRIES {
                let bits = self.load(table, index);
                seen[at(table, index)].push(bits);
                if let Entry::Table(below) = Entry::of(bits) {
                    tables.push(below);
                }
            }
        }
        Some(seen)
    }
}
