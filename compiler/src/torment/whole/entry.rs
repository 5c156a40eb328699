//! Entries of page tables, as the runtime reads and changes them.
//!
//! In: the tables of a space, and the bits of an entry. Out: what an entry means, and what it gives back. Holds: an entry belongs
//! to the space of its tables.

use std::rc::Rc;

use tlbc_runtime::level::Level;
use tlbc_runtime::pte::{Entry, Slot};
use tlbc_runtime::{AddressSpace, CpuSet, Pte};

use super::kernel::{Kernel, MappedPage, is_of_file};
use super::memory::{ACCESSED, ATTRIBUTE, DIRTY, LEAF, NUMBER, Table, VALID, WRITABLE};
use super::process::PageTables;

/// An entry of a table.
pub struct Slotted<'k> {
    tables: &'k PageTables,
    table: Rc<Table>,
    nth: usize,
    /// The table that the entry points at, if it does.
    below: Option<Rc<Table>>,
    /// Whether the kernel removes the reverse mapping of the page itself.
    is_reclaimed: bool,
}

impl Slotted<'_> {
    /// Returns its table, and its index there.
    pub fn place(&self) -> (&Table, usize) {
        (&self.table, self.nth)
    }

    /// Returns the entry for a batched unmap, which leaves reverse mappings to the kernel.
    pub fn reclaimed(self) -> Self {
        Self {
            is_reclaimed: true,
            ..self
        }
    }
}

impl PageTables {
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
            is_reclaimed: false,
        }
    }
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

    fn is_accessed(_: Level, bits: u64) -> bool {
        bits & ACCESSED != 0
    }

    fn is_dirty(_: Level, bits: u64) -> bool {
        bits & DIRTY != 0
    }

    fn into_page(self, old: u64) -> Option<MappedPage> {
        let number = (old >> NUMBER) as usize;
        let is_large = Rc::ptr_eq(&self.table, self.tables.upper());
        let delays = !self.is_reclaimed && old & WRITABLE != 0 && is_of_file(number);
        Some(MappedPage {
            number,
            bits: old,
            count: if is_large { self.tables.large_pages } else { 1 },
            delayed: delays.then(|| {
                let delayed = self.tables.delayed.clone();
                delayed.set(delayed.get() + 1);
                delayed
            }),
        })
    }

    fn into_table(self, _: u64) -> Rc<Table> {
        self.below.expect("the entry of a table")
    }
}
