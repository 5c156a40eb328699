//! Pages and tables, and checks that those that are released are no longer used.

use std::cell::Cell;

use loom::cell::UnsafeCell;
use tlbc_machine_loom::{Machine, TableId};

/// The memory of a page or a table.
#[derive(Default)]
struct Memory {
    /// The accesses of its user and of its next owner. If they are not ordered, the model checker reports a race.
    content: UnsafeCell<()>,
    is_free: Cell<bool>,
}

/// The pages and tables of the machine.
pub(super) struct Owned {
    pages: Vec<Memory>,
    tables: Vec<Memory>,
}

impl Owned {
    /// Creates this many of them, none of them free.
    pub fn new(pages: usize, tables: usize) -> Self {
        let some = |count| (0..count).map(|_| Memory::default()).collect();
        Self {
            pages: some(pages),
            tables: some(tables),
        }
    }

    /// Reads or writes a page through an entry.
    pub fn use_page(&self, page: usize) {
        self.pages[page].content.with(|_| ());
    }

    /// Walks a table.
    pub fn use_table(&self, table: TableId) {
        self.tables[table].content.with(|_| ());
    }

    /// Writes to a page as its next owner.
    pub fn write_page(&self, page: usize) {
        self.pages[page].content.with_mut(|_| ());
    }

    /// Frees a page, which no entry may map any more.
    pub fn free_page(&self, machine: &Machine, page: usize) {
        assert!(
            !self.pages[page].is_free.replace(true),
            "page {page} is released twice"
        );
        assert!(
            !machine.maps(page),
            "page {page} is released while an entry maps it"
        );
    }

    /// Frees a table, which no entry may point at any more, for another use.
    pub fn free_table(&self, machine: &Machine, table: TableId) {
        assert!(
            !self.tables[table].is_free.replace(true),
            "table {table} is freed twice"
        );
        assert!(
            !machine.points_at(table),
            "table {table} is freed while an entry points at it"
        );
        machine.free_table(table);
        self.tables[table].content.with_mut(|_| ());
    }
}
