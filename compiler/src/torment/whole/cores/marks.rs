//! Accessed and dirty marks that the machine sets in entries.
//!
//! In: the tables in memory, and a number that was drawn. Out: an entry with more marks. Holds: only an entry that a walk finds now is
//! marked, and it is dirty only if it permits writing.

use std::rc::Rc;

use super::Cores;
use crate::torment::whole::memory::{
    ACCESSED, DIRTY, KERNEL, LEAF, NUMBER, Table, VALID, WRITABLE,
};

/// An entry of a table.
type Leaf = (Rc<Table>, usize);

impl Cores<'_> {
    /// Lets a CPU or a device use an entry that lacks a mark, if the code that it runs can: its walker sets the mark.
    pub fn mark(&mut self, drawn: u64) {
        let core = &self.all[drawn as usize % self.all.len()];
        let user = core.user.and_then(|space| Some((space, core.root?)));
        let kernel = self.kernel_top.filter(|_| core.kernel && core.walks_kernel);
        let kernel = kernel.map(|top| (KERNEL, top));
        let Some((space, top)) = user.or(kernel) else {
            return;
        };
        let mut found = Vec::new();
        self.leaves(top, &mut found);
        found.retain(|(table, nth)| missing(table.load(*nth)) != 0);
        let drawn = (drawn >> 8) as usize;
        let Some((table, nth)) = found.get(drawn % found.len().max(1)) else {
            return;
        };
        let marks = missing(table.load(*nth));
        self.memory.mark(table, *nth, marks);
        let (first, shift) = (table.va_of(*nth), table.shift);
        if let Some(settled) = self.memory.settled.get_mut(&space) {
            let is_of = |va: u64| va.wrapping_sub(first) >> shift == 0;
            let of_entry = settled.iter_mut().filter(|(va, _)| is_of(**va));
            of_entry.for_each(|(_, bits)| *bits |= marks);
        }
        self.step();
    }

    /// Adds the leaf entries that a walk from a table finds now.
    fn leaves(&self, table: usize, found: &mut Vec<Leaf>) {
        let table = &self.memory.tables[table];
        for nth in 0..table.entries.len() {
            let bits = table.load(nth);
            if bits & VALID == 0 {
                continue;
            }
            if bits & LEAF != 0 {
                found.push((table.clone(), nth));
            } else {
                self.leaves((bits >> NUMBER) as usize, found);
            }
        }
    }
}

/// Returns the marks that an entry gets when it is used, and when its page is written if it permits that.
fn missing(bits: u64) -> u64 {
    let dirty = if bits & WRITABLE == 0 { 0 } else { DIRTY };
    (ACCESSED | dirty) & !bits
}
