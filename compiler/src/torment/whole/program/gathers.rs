//! Changes of entries in gathers, which may be nested or abandoned.
//!
//! In: the tables of a space. Out: calls of the runtime, and a check of each entry that this CPU relies on afterwards. Holds: the
//! lock of a space is held in each section, and not between sections or during the last flush.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use fastrand::Rng;
use tlbc_runtime::{AddressSpace, CpuSet, Section};

use super::super::entry::Slotted;
use super::super::kernel::{Kernel, Mistake, is_of_file};
use super::super::memory::{
    KERNEL, LEAF, MARKS, Memory, NO_OWNER, NUMBER, Table, VALID, WRITABLE, rights, with_rights,
};
use super::super::process::PageTables;
use super::World;

/// The addresses whose entries this CPU relies on, each with the count of its changes.
pub(super) type Changes = Vec<(u64, u64)>;

/// The payload of a panic that abandons a gather.
struct Abandoned;

impl<'m> World<'m> {
    /// Changes entries of a space. An entry that no other gather has changed since must be flushed at the end.
    pub(super) fn gather(
        &self,
        space: &AddressSpace<CpuSet<1>>,
        tables: &PageTables,
        rng: &mut Rng,
        is_outer: bool,
    ) {
        let kernel = self.kernel();
        let mut changes = Changes::new();
        let is_careless = self.mix.is_careless;
        let gather = || {
            self.mmu.gather(space, |gather| {
                for _ in 0..rng.usize(1..4) {
                    let guard = kernel.guard(tables);
                    let result = gather.locked(guard, |section, _| {
                        self.check_reclaimed(tables);
                        let mut result = Ok(());
                        for _ in 0..rng.usize(1..=self.mix.entries) {
                            result = result
                                .and_then(|()| self.change(section, tables, &mut changes, rng));
                        }
                        result
                    });
                    if let Err(why) = result {
                        kernel.refused(&why);
                    }
                    if is_careless && is_outer && rng.u8(..6) == 0 {
                        self.gather(space, tables, rng, false);
                    }
                    if rng.u8(..self.mix.flushes) == 0 {
                        gather.flush();
                    }
                }
                if is_careless && rng.u8(..10) == 0 {
                    tables.lost_pages.set(true);
                    kernel.note(format!("{}: the gather is abandoned", tables.name()));
                    std::panic::resume_unwind(Box::new(Abandoned));
                }
            });
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(gather)) {
            if panic.is::<Abandoned>() {
                return; // nothing is flushed before the next flush of the space
            }
            std::panic::resume_unwind(panic);
        }
        let mut cores = kernel.cores.borrow_mut();
        cores.step();
        for (va, count) in changes {
            if tables.changes_of(va) != count {
                continue; // a later change may not be flushed yet
            }
            let bits = cores.memory.page_bits(tables.upper(), va);
            cores.settled(tables.number, (va, bits));
            if tables.number == KERNEL {
                cores.check_published(tables.upper(), (va, bits));
            }
        }
        drop(cores);
        kernel.note(format!("{}: the gather has ended", tables.name()));
    }

    /// Makes one change.
    fn change(
        &self,
        section: &mut Section<'_, '_, Kernel<'m>>,
        tables: &PageTables,
        changes: &mut Changes,
        rng: &mut Rng,
    ) -> Result<(), String> {
        let (kernel, name) = (self.kernel(), tables.name());
        let upper = tables.upper();
        if self.mix.moves_upper && tables.number != KERNEL && rng.u8(..8) == 0 {
            return self.detach_upper(section, tables, changes);
        }
        let nth_table = rng.usize(..self.mix.tables);
        let bits = upper.load(nth_table);
        if bits & VALID == 0 {
            return if self.has_large && rng.u8(..3) == 0 {
                self.map_large(section, tables, nth_table, changes, rng)
            } else {
                self.link(section, tables, nth_table)
            };
        }
        if bits & LEAF != 0 {
            return self.change_large(section, tables, nth_table, changes, rng);
        }
        let mut cores = kernel.cores.borrow_mut();
        let table = cores.memory.tables[(bits >> NUMBER) as usize].clone();
        if rng.u8(..6) == 0 {
            drop(cores);
            match rng.u8(..5) {
                0 if self.has_large => {
                    return self.collapse(section, tables, (nth_table, table), changes, rng);
                }
                1 => return self.unlink_subtree(section, tables, (nth_table, table), changes),
                2 => return self.move_table(section, tables, (nth_table, table), changes, rng),
                _ => {}
            }
            kernel.note(format!("{name}: unlinks table {}", table.number));
            let mapped = (0..table.entries.len()).filter(|nth| table.load(*nth) & VALID != 0);
            let mapped: Vec<_> = mapped.map(|nth| tables.entry(&table, nth, None)).collect();
            // Before the first of them changes: another gather may end while they are unmapped.
            self.count_changes(tables, nth_table, changes);
            section.unmap_all(mapped).map_err(|why| why.to_string())?;
            let link = tables.entry(upper, nth_table, Some(table));
            return section.unlink(link).map_err(|why| why.to_string());
        }
        let nth = rng.usize(..table.entries.len());
        let entry = tables.entry(&table, nth, None);
        let (va, bits) = (table.va_of(nth), table.load(nth));
        let name = format!("{name}: {va:#x}");
        let drawn = rng.u64(..);
        if bits & VALID == 0 && rng.bool() {
            // The kernel relies on the entry being invalid.
            changes.push((va, tables.changes_of(va)));
            return Ok(());
        }
        changes.push((va, tables.count_change(&mut cores.memory, va)));
        if bits & VALID == 0 {
            let page = cores.memory.page(tables.number);
            drop(cores);
            kernel.note(format!("{name} is mapped to page {page}"));
            let bits = page << NUMBER | VALID | LEAF | rights(drawn, self.mix.has_marks);
            section.map(&entry, bits).map_err(|why| why.to_string())?;
            return check_stored(&table, nth, bits);
        }
        let (kind, drawn) = if self.mix.protects {
            (1, bits ^ WRITABLE)
        } else {
            (rng.u8(..3), drawn)
        };
        match kind {
            0 => {
                let page = (bits >> NUMBER) as usize;
                let early = kernel.mistake == Some(Mistake::RemovesRmapEarly);
                if early && bits & WRITABLE != 0 && is_of_file(page) {
                    cores.memory.clean.insert(page);
                }
                drop(cores);
                kernel.note(format!("{name} is unmapped"));
                section.unmap(entry).map_err(|why| why.to_string())
            }
            1 => {
                drop(cores);
                kernel.note(format!("{name} gets other rights"));
                self.protect(section, &entry, drawn)
            }
            _ => {
                let page = cores.memory.page(tables.number);
                drop(cores);
                kernel.note(format!("{name} is replaced by page {page}"));
                let bits = page << NUMBER | VALID | LEAF | rights(drawn, self.mix.has_marks);
                section
                    .replace(entry, bits)
                    .map_err(|why| why.to_string())?;
                check_stored(&table, nth, bits)
            }
        }
    }

    /// Gives an entry other rights, which are computed from the bits that it had.
    pub(super) fn protect(
        &self,
        section: &mut Section<'_, '_, Kernel<'m>>,
        entry: &Slotted<'_>,
        drawn: u64,
    ) -> Result<(), String> {
        let mut given = 0;
        let other = |bits| {
            given = bits;
            with_rights(bits, drawn, self.mix.has_marks)
        };
        let old = section.protect(entry, other);
        let old = old.map_err(|why| why.to_string())?;
        self.kernel().returned(old);
        if old == given {
            let (table, nth) = entry.place();
            check_stored(table, nth, with_rights(old, drawn, self.mix.has_marks))
        } else {
            Err(format!(
                "the entry had the bits {old:#x}, and the new ones are computed from {given:#x}"
            ))
        }
    }

    /// Counts a change of all addresses of an entry of the second lowest level.
    pub(super) fn count_changes(&self, tables: &PageTables, nth: usize, changes: &mut Changes) {
        let memory = &mut self.kernel().cores.borrow_mut().memory;
        for va in tables.addresses(nth, self.levels[0].1) {
            changes.push((va, tables.count_change(memory, va)));
        }
    }

    /// Links a table of the lowest level.
    fn link(
        &self,
        section: &mut Section<'_, '_, Kernel<'m>>,
        tables: &PageTables,
        nth: usize,
    ) -> Result<(), String> {
        let (kernel, upper) = (self.kernel(), tables.upper());
        let garbage = kernel.mistake == Some(Mistake::LinksUninitialized);
        let table = {
            let memory = &mut kernel.cores.borrow_mut().memory;
            let table = self.lowest_table(memory, upper, nth);
            if garbage {
                let other = memory.page(NO_OWNER);
                memory.store(table.address(), other << NUMBER | VALID | LEAF);
            }
            table
        };
        kernel.note(format!("{}: links table {}", tables.name(), table.number));
        let bits = (table.number as u64) << NUMBER | VALID;
        let linked = section.map(&tables.entry(upper, nth, None), bits);
        if garbage {
            kernel.cores.borrow().memory.store(table.address(), 0);
        }
        linked.map_err(|why| why.to_string())
    }

    /// Creates a table of the lowest level for an entry of the second lowest.
    pub(super) fn lowest_table(
        &self,
        memory: &mut Memory,
        upper: &Rc<Table>,
        nth: usize,
    ) -> Rc<Table> {
        let of = (upper.space, upper.va_of(nth));
        memory.table(self.levels[0], of, self.mix.entries)
    }
}

/// Checks that an entry has the bits that were stored in it. The machine may have set marks since; the lock of its space is held.
fn check_stored(table: &Table, nth: usize, bits: u64) -> Result<(), String> {
    let now = table.load(nth);
    if now | MARKS == bits | MARKS && bits & !now == 0 {
        Ok(())
    } else {
        Err(format!(
            "the bits {bits:#x} were stored, and the entry has {now:#x}"
        ))
    }
}
