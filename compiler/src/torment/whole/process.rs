//! Processes: a space, its page tables and how many CPUs use it.
//!
//! In: tables and a space. Out: handles, which are counted. Holds: a table changes only while the lock of its space is held.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

use tlbc_runtime::level::Level;
use tlbc_runtime::pte::{Entry, Slot};
use tlbc_runtime::request::SpaceId;
use tlbc_runtime::{AddressSpace, CpuSet, Pte};

use super::kernel::{Kernel, MappedPage, is_of_file};
use super::memory::{ATTRIBUTE, KERNEL, LEAF, NUMBER, Table, VALID, WRITABLE};

/// The page tables of a space.
pub struct PageTables {
    /// The number of the space, which owns its pages.
    pub number: usize,
    pub space: SpaceId,
    pub locked: Cell<bool>,
    /// How often each entry of the lowest tables was changed.
    pub changes: RefCell<HashMap<u64, u64>>,
    /// The tables that are not unlinked before the end of the space, from the top. The last one is of the second lowest level.
    pub chain: Vec<Rc<Table>>,
    /// Whether a gather was abandoned, so that its pages are lost.
    pub lost_pages: Cell<bool>,
}

impl PageTables {
    pub fn new(number: usize, space: SpaceId, chain: Vec<Rc<Table>>) -> Self {
        Self {
            number,
            space,
            locked: Cell::new(false),
            changes: RefCell::default(),
            chain,
            lost_pages: Cell::new(false),
        }
    }

    /// Returns the name of the space.
    pub fn name(&self) -> String {
        if self.number == KERNEL {
            "the kernel".to_owned()
        } else {
            format!("space {}", self.number)
        }
    }

    /// Returns the table of the second lowest level.
    pub fn upper(&self) -> &Rc<Table> {
        self.chain.last().expect("a machine has two levels")
    }

    /// Returns how often the entry of an address was changed.
    pub fn changes_of(&self, va: u64) -> u64 {
        self.changes.borrow().get(&va).copied().unwrap_or_default()
    }

    /// Counts a change of the entry of an address, and returns the count.
    pub fn count_change(&self, va: u64) -> u64 {
        let count = self.changes_of(va) + 1;
        self.changes.borrow_mut().insert(va, count);
        count
    }

    /// Returns an entry of one of the tables.
    pub fn entry<'k>(
        &'k self,
        table: &Rc<Table>,
        nth: usize,
        below: Option<Rc<Table>>,
    ) -> Slotted<'k> {
        let table = table.clone();
        Slotted {
            tables: self,
            table,
            nth,
            below,
        }
    }
}

/// A process, counted.
#[derive(Clone)]
pub struct Process(pub Rc<Owned>);

/// What a process has.
pub struct Owned {
    pub tables: PageTables,
    pub space: AddressSpace<CpuSet<1>>,
    /// How many CPUs run in the space or change its entries.
    pub users: Cell<usize>,
    /// Whether the space is torn down when its last user has left.
    pub ends: Cell<bool>,
}

impl Deref for Process {
    type Target = Owned;

    fn deref(&self) -> &Owned {
        &self.0
    }
}

impl AsRef<AddressSpace<CpuSet<1>>> for Process {
    fn as_ref(&self) -> &AddressSpace<CpuSet<1>> {
        &self.space
    }
}

/// An entry of a table.
pub struct Slotted<'k> {
    tables: &'k PageTables,
    table: Rc<Table>,
    nth: usize,
    /// The table that the entry points at, if it does.
    below: Option<Rc<Table>>,
}

impl Pte<Kernel<'_>> for Slotted<'_> {
    fn belongs_to(&self, space: &AddressSpace<CpuSet<1>>) -> bool {
        self.tables.space == space.id()
    }

    fn level(&self) -> Level {
        self.table.level
    }

    fn slot(&self) -> Slot<'_> {
        Slot {
            entries: (&self.table.entries[self.nth..=self.nth]).into(),
            table: self.table.address(),
            index: self.nth as u16,
            va: self.table.va_of(self.nth),
        }
    }

    fn decode(_: Level, bits: u64) -> Entry {
        let number = bits >> NUMBER;
        if bits & VALID == 0 {
            Entry::Invalid
        } else if bits & LEAF == 0 {
            Entry::Table {
                table: number,
                attributes: 0,
            }
        } else {
            Entry::Leaf {
                page: number,
                rights: (1 | bits & WRITABLE) as _,
                attributes: (bits & ATTRIBUTE) as _,
            }
        }
    }

    fn is_accessed(_: Level, _: u64) -> bool {
        true
    }

    fn is_dirty(_: Level, bits: u64) -> bool {
        bits & WRITABLE != 0
    }

    fn into_page(self, old: u64) -> Option<MappedPage> {
        let number = (old >> NUMBER) as usize;
        Some(MappedPage {
            number,
            is_dirty: old & WRITABLE != 0 && is_of_file(number),
        })
    }

    fn into_table(self, _: u64) -> Rc<Table> {
        self.below.expect("the entry of a table")
    }
}
