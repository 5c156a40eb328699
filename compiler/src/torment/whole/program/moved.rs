//! Tables that are moved, or detached for a moment, and those that are unlinked with everything below them.
//!
//! In: the entry of a table whose entries may be valid. Out: calls of the runtime. Holds: a table is linked elsewhere only after
//! nothing is accessed through its old entry.

use std::rc::Rc;

use fastrand::Rng;
use tlbc_runtime::Section;

use super::super::kernel::Kernel;
use super::super::memory::{NUMBER, Table, VALID};
use super::super::process::PageTables;
use super::World;
use super::gathers::Changes;

impl<'m> World<'m> {
    /// Unlinks a table by one store. The pages that it maps are freed with it.
    pub(super) fn unlink_subtree(
        &self,
        section: &mut Section<'_, '_, Kernel<'m>>,
        tables: &PageTables,
        (nth, table): (usize, Rc<Table>),
        changes: &mut Changes,
    ) -> Result<(), String> {
        let text = format!("table {} is unlinked with its pages", table.number);
        self.note_large(tables, nth, &text);
        self.count_changes(tables, nth, changes);
        let link = tables.entry(tables.upper(), nth, Some(table));
        let unlinked = section.unlink_subtree(link);
        unlinked.map_err(|why| why.to_string())
    }

    /// Detaches the table of the second lowest level with the tables below it, and links it again where it was.
    pub(super) fn detach_upper(
        &self,
        section: &mut Section<'_, '_, Kernel<'m>>,
        tables: &PageTables,
        changes: &mut Changes,
    ) -> Result<(), String> {
        let [.., above, upper] = tables.chain.as_slice() else {
            return Ok(()); // it is the top table
        };
        let (kernel, name) = (self.kernel(), tables.name());
        let is_below_top = above.number == tables.top().number;
        let count_all = |changes: &mut Changes| {
            (0..self.mix.tables).for_each(|nth| self.count_changes(tables, nth, changes));
        };
        kernel.note(format!("{name}: table {} is detached", upper.number));
        count_all(changes);
        if is_below_top {
            tables.store_user_top(&kernel.cores.borrow().memory, 0);
        }
        let link = tables.entry(above, 0, Some(upper.clone()));
        let table = section.detach(link).map_err(|why| why.to_string())?;
        {
            let mut cores = kernel.cores.borrow_mut();
            cores.step();
            let all = (0..self.mix.tables).flat_map(|nth| tables.addresses(nth, self.levels[0].1));
            all.for_each(|va| cores.settled(tables.number, (va, 0)));
        }
        kernel.note(format!("{name}: table {} is linked again", table.number));
        count_all(changes);
        let bits = (table.number as u64) << NUMBER | VALID;
        let linked = section.map(&tables.entry(above, 0, None), bits);
        if is_below_top {
            tables.store_user_top(&kernel.cores.borrow().memory, bits);
        }
        linked.map_err(|why| why.to_string())
    }

    /// Moves a table with its pages to other addresses of its space.
    pub(super) fn move_table(
        &self,
        section: &mut Section<'_, '_, Kernel<'m>>,
        tables: &PageTables,
        (nth, table): (usize, Rc<Table>),
        changes: &mut Changes,
        rng: &mut Rng,
    ) -> Result<(), String> {
        let (kernel, upper) = (self.kernel(), tables.upper());
        let text = format!("table {} is detached", table.number);
        self.note_large(tables, nth, &text);
        self.count_changes(tables, nth, changes);
        let link = tables.entry(upper, nth, Some(table));
        let table = section.detach(link).map_err(|why| why.to_string())?;
        {
            let mut cores = kernel.cores.borrow_mut();
            cores.step();
            for va in tables.addresses(nth, self.levels[0].1) {
                cores.settled(tables.number, (va, 0));
            }
        }
        let mut free: Vec<usize> = { 0..self.mix.tables }
            .filter(|to| upper.load(*to) & VALID == 0)
            .collect();
        rng.shuffle(&mut free);
        let to = free[0]; // the old place is free
        let text = format!("table {} is linked here", table.number);
        self.note_large(tables, to, &text);
        self.count_changes(tables, to, changes);
        table.va.set(upper.va_of(to));
        let bits = (table.number as u64) << NUMBER | VALID;
        let linked = section.map(&tables.entry(upper, to, None), bits);
        linked.map_err(|why| why.to_string())
    }
}
