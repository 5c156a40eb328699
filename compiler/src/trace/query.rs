//! Requests.
//!
//! Data types alone. `tlbc trace` makes a [`Query`] from its options; the samples of `tlbc matrix` and `tlbc doc` are
//! queries as well.

use tlbc_runtime::deferred::Pending;
use tlbc_runtime::level::Level;
use tlbc_runtime::pte::{self, Below, Entry, Marks};
use tlbc_runtime::request::{Extent, Space, Tag};

use crate::model::Config;

/// A request.
#[derive(Debug, Clone)]
pub struct Query {
    /// The configuration.
    pub config: Config,
    /// The limits of the machine, by index.
    pub limits: Vec<u64>,
    /// Whose mappings.
    pub space: Space,
    /// What happened.
    pub event: Event,
    /// The tag of the space.
    pub tag: Tag,
    /// Whether other CPUs may have cached the entries as well.
    pub others: bool,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Entries were unmapped.
    Unmapped(UnmappedEntries),
    /// Entries of these ranges became valid where there were none.
    Mapped(Vec<AddressRange>),
    /// Entries change.
    Change(Change),
    /// A CPU took a fault in this range that the table does not justify.
    Fault(AddressRange),
    /// The whole space is unmapped, with its tables.
    Everything,
    /// The space is torn down: all its entries are flushed, and its tag may be given to another space.
    Teardown,
    /// The space is loaded, with this flush pending for it.
    Switch(Pending),
    /// The space, which is loaded, gets a new tag, with this flush pending.
    NewTag(Pending),
    /// The kernel returns to user code; whether the flush of its view is pending.
    ReturnToUser(bool),
    /// The kernel is entered from user code.
    EnterFromUser,
    /// The CPU comes online.
    CpuOnline,
    /// Entries became valid where there were none, and are made visible.
    Publish,
}

impl Event {
    /// Returns whether it matters which CPUs may have cached the entries.
    #[must_use]
    pub fn concerns_others(&self) -> bool {
        matches!(
            self,
            Self::Unmapped(_)
                | Self::Mapped(_)
                | Self::Change(_)
                | Self::Everything
                | Self::Teardown
        )
    }
}

/// Addresses, and the levels of their entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRange {
    /// The addresses.
    pub extent: Extent,
    /// The levels, by index.
    pub levels: Vec<usize>,
}

/// Entries that were unmapped.
#[derive(Debug, Clone)]
pub struct UnmappedEntries {
    /// Which.
    pub ranges: Vec<AddressRange>,
    /// What happened to the tables that contained them.
    pub tables: Tables,
    /// Whether the entries were stored already, and the flush alone is asked for. It makes no difference where entries
    /// change by plain stores.
    pub stored: bool,
}

/// What happened to the tables that contained unmapped entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// They stay linked.
    Kept,
    /// They were unlinked; all entries below were unmapped.
    Unlinked,
    /// They were unlinked with everything below them, which is still valid.
    UnlinkedLive,
}

/// A change of entries of one level.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// The change of each.
    pub to: To,
    /// Their level.
    pub level: Level,
    /// The addresses that they translate.
    pub extent: Extent,
    /// Their place in memory, and their values.
    pub memory: EntriesInMemory,
    /// Whether the flush may be deferred: no other CPU has the space loaded.
    pub may_defer: bool,
}

/// The change of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// It becomes invalid.
    Unmap,
    /// It maps another page, or points at another table.
    Replace,
    /// It allows less.
    FewerRights,
    /// It allows more.
    MoreRights,
    /// It has other attributes.
    Attributes,
    /// It mapped a page, and points at a table.
    Split,
    /// It pointed at a table, whose entries are still valid, and maps a page.
    Collapse,
    /// It has other bits that software alone reads.
    SoftwareBits,
    /// It becomes valid.
    Map,
    /// Its accessed mark is unmapped.
    Accessed,
    /// Its dirty mark is unmapped.
    Dirty,
}

impl To {
    /// Returns whether an entry of a level whose entries map no pages can change like this.
    #[must_use]
    pub fn suits_tables(self) -> bool {
        matches!(
            self,
            Self::Unmap | Self::Replace | Self::Attributes | Self::SoftwareBits | Self::Map
        )
    }

    /// Returns the change of one entry for the runtime. `maps_pages`: whether entries of the level may map pages.
    #[must_use]
    pub fn change(self, level: Level, maps_pages: bool, new_bits: u64) -> pte::Change {
        const READ: u8 = 1;
        const READ_WRITE: u8 = 3;
        let page = |page, rights, attributes| Entry::Leaf {
            page,
            rights,
            attributes,
        };
        let table = |table, attributes| Entry::Table { table, attributes };
        let (old, new) = match self {
            Self::Split => (page(1, READ_WRITE, 0), table(1, 0)),
            Self::Collapse => (table(1, 0), page(1, READ_WRITE, 0)),
            Self::Unmap if maps_pages => (page(1, READ_WRITE, 0), Entry::Invalid),
            Self::Unmap => (table(1, 0), Entry::Invalid),
            Self::Map if maps_pages => (Entry::Invalid, page(1, READ_WRITE, 0)),
            Self::Map => (Entry::Invalid, table(1, 0)),
            Self::Replace if maps_pages => (page(1, READ_WRITE, 0), page(2, READ_WRITE, 0)),
            Self::Replace => (table(1, 0), table(2, 0)),
            Self::Attributes if maps_pages => (page(1, READ_WRITE, 0), page(1, READ_WRITE, 1)),
            Self::Attributes => (table(1, 0), table(1, 1)),
            Self::FewerRights => (page(1, READ_WRITE, 0), page(1, READ, 0)),
            Self::MoreRights => (page(1, READ, 0), page(1, READ_WRITE, 0)),
            Self::SoftwareBits if !maps_pages => (table(1, 0), table(1, 0)),
            Self::Accessed | Self::Dirty | Self::SoftwareBits => {
                (page(1, READ_WRITE, 0), page(1, READ_WRITE, 0))
            }
        };
        pte::Change {
            level,
            old,
            new,
            new_bits,
            clears: match self {
                Self::Accessed => Marks::ACCESSED,
                Self::Dirty => Marks::DIRTY,
                _ => Marks::NONE,
            },
            below: match self {
                Self::Replace | Self::Collapse => Below::Live,
                _ => Below::Cleared,
            },
        }
    }
}

/// The place of changed entries in memory, and their values, for instructions that take them as operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntriesInMemory {
    /// The physical address of their table.
    pub table: u64,
    /// The index of the first in it.
    pub index: u64,
    /// The old value of each.
    pub old: u64,
    /// The new value of each, if it is valid.
    pub new: u64,
}

impl Default for EntriesInMemory {
    /// Returns sample values.
    fn default() -> Self {
        Self {
            table: 0x2000_0000,
            index: 0,
            old: 0x1000_0001,
            new: 0x3000_0001,
        }
    }
}

/// The sample physical address of the top table of a space.
pub const ROOT: u64 = 0x4000_0000;

/// The sample physical address of an empty top table.
pub const EMPTY: u64 = 0x1000;
