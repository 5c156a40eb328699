//! Pages and tables, and whether somebody still uses those that are released.

use std::cell::Cell;

use loom::cell::UnsafeCell;
use tlbc_machine_loom::{Machine, TableId};

use super::{Page, Table};

/// What a page or a table is used for.
#[derive(Default)]
struct Memory {
    /// Accesses of the one who uses it and of the one who gets it next: where nothing orders them the model checker complains.
    content: UnsafeCell<()>,
    is_free: Cell<bool>,
}

/// The pages and tables of the machine.
pub(super) struct Owned {
    pages: Vec<Memory>,
    tables: Vec<Memory>,
}

impl Owned {
    /// So many of them, none free.
    pub fn new(pages: usize, tables: usize) -> Self {
        let some = |count| (0..count).map(|_| Memory::default()).collect();
        Self {
            pages: some(pages),
            tables: some(tables),
        }
    }

    /// A page is read or written through an entry.
    pub fn use_page(&self, page: usize) {
        self.pages[page].content.with(|_| ());
    }

    /// A table is walked.
    pub fn use_table(&self, table: TableId) {
        self.tables[table].content.with(|_| ());
    }

    /// The next owner writes a page.
    pub fn write_page(&self, page: usize) {
        self.pages[page].content.with_mut(|_| ());
    }

    /// Frees a page, which no entry maps any more. Returns its number.
    pub fn free_page(&self, machine: &Machine, page: Page) -> usize {
        let Page(page) = page;
        assert!(
            !self.pages[page].is_free.replace(true),
            "page {page} is released twice"
        );
        assert!(
            !machine.maps(page),
            "page {page} is released while an entry maps it"
        );
        page
    }

    /// Frees a table, to which no entry points any more, for something else.
    pub fn free_table(&self, machine: &Machine, table: Table) {
        let Table(table) = table;
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
