//! Large pages: mapped, changed, split and made of small ones.
//!
//! In: an entry of the second lowest level. Out: calls of the runtime. Holds: a large page consists of as many pages in a row as
//! a table of the lowest level has entries, and each of its addresses counts as changed with it.

use std::rc::Rc;

use fastrand::Rng;
use tlbc_runtime::Section;

use super::super::kernel::Kernel;
use super::super::memory::{LEAF, NUMBER, Table, VALID, rights};
use super::super::process::PageTables;
use super::World;
use super::gathers::Changes;

impl<'m> World<'m> {
    /// Returns the bits of a large page that the space has not had before.
    fn new_large(&self, tables: &PageTables, rights: u64) -> u64 {
        let memory = &mut self.kernel().cores.borrow_mut().memory;
        memory.pages(tables.number, self.mix.entries) << NUMBER | VALID | LEAF | rights
    }

    pub(super) fn map_large(
        &self,
        section: &mut Section<'_, '_, Kernel<'m>>,
        tables: &PageTables,
        nth: usize,
        changes: &mut Changes,
        rng: &mut Rng,
    ) -> Result<(), String> {
        let bits = self.new_large(tables, rights(rng.u64(..), self.mix.has_marks));
        self.note_large(tables, nth, "a large page is mapped");
        self.count_changes(tables, nth, changes);
        let entry = tables.entry(tables.upper(), nth, None);
        section.map(&entry, bits).map_err(|why| why.to_string())
    }

    /// Makes a change of a large page.
    pub(super) fn change_large(
        &self,
        section: &mut Section<'_, '_, Kernel<'m>>,
        tables: &PageTables,
        nth: usize,
        changes: &mut Changes,
        rng: &mut Rng,
    ) -> Result<(), String> {
        let upper = tables.upper();
        let entry = tables.entry(upper, nth, None);
        let drawn = rng.u64(..);
        self.count_changes(tables, nth, changes);
        match rng.u8(..4) {
            0 => {
                self.note_large(tables, nth, "the large page is unmapped");
                section.unmap(entry).map_err(|why| why.to_string())
            }
            1 => {
                self.note_large(tables, nth, "the large page gets other rights");
                self.protect(section, &entry, drawn)
            }
            2 => {
                self.note_large(tables, nth, "the large page is replaced");
                let bits = self.new_large(tables, rights(drawn, self.mix.has_marks));
                section.replace(entry, bits).map_err(|why| why.to_string())
            }
            _ => {
                let large = upper.load(nth);
                let table = {
                    let memory = &mut self.kernel().cores.borrow_mut().memory;
                    let table = self.lowest_table(memory, upper, nth);
                    for page in 0..table.entries.len() as u64 {
                        let address = table.address() + page * memory.entry_size;
                        memory.store(address, large + (page << NUMBER));
                    }
                    table.publish();
                    table
                };
                let text = format!("the large page is split into table {}", table.number);
                self.note_large(tables, nth, &text);
                let bits = (table.number as u64) << NUMBER | VALID;
                let old = section.split(&entry, bits);
                self.kernel().returned(old.map_err(|why| why.to_string())?);
                Ok(())
            }
        }
    }

    /// Replaces a table by a large page. The pages that it maps are freed with it.
    pub(super) fn collapse(
        &self,
        section: &mut Section<'_, '_, Kernel<'m>>,
        tables: &PageTables,
        (nth, table): (usize, Rc<Table>),
        changes: &mut Changes,
        rng: &mut Rng,
    ) -> Result<(), String> {
        let bits = self.new_large(tables, rights(rng.u64(..), self.mix.has_marks));
        let text = format!("table {} becomes a large page", table.number);
        self.note_large(tables, nth, &text);
        self.count_changes(tables, nth, changes);
        let link = tables.entry(tables.upper(), nth, Some(table));
        section.collapse(link, bits).map_err(|why| why.to_string())
    }

    /// Records a note about an entry of the second lowest level.
    pub(super) fn note_large(&self, tables: &PageTables, nth: usize, text: &str) {
        let va = tables.upper().va_of(nth);
        self.kernel()
            .note(format!("{}: {va:#x}: {text}", tables.name()));
    }
}
