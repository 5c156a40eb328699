//! Changes of entries: in gathers, which may be nested or abandoned, and in batched unmaps.
//!
//! In: the tables of a space. Out: calls of the runtime, and a check of each entry that this CPU relies on afterwards. Holds: the
//! lock of a space is held in each section, and not between sections or during the last flush.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use tlbc_runtime::request::Space;
use tlbc_runtime::{AddressSpace, Backend, CpuSet, Section};

use super::super::kernel::{Kernel, Mistake, is_of_file};
use super::super::memory::{ATTRIBUTE, KERNEL, LEAF, NO_OWNER, NUMBER, VALID, WRITABLE};
use super::super::process::PageTables;
use super::World;
use crate::interpreted::Interpreted;

/// The addresses whose entries this CPU relies on, each with the count of its changes.
type Changes = Vec<(u64, u64)>;

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
        let is_careless = self.mix.is_careless && is_outer;
        let gather = || {
            self.mmu.gather(space, |gather| {
                for _ in 0..rng.usize(1..4) {
                    kernel.lock(tables);
                    let result = gather.locked((), |section, ()| {
                        let mut result = Ok(());
                        for _ in 0..rng.usize(1..=self.mix.entries) {
                            result = result
                                .and_then(|()| self.change(section, tables, &mut changes, rng));
                        }
                        result
                    });
                    kernel.unlock(tables);
                    if let Err(why) = result {
                        kernel.refused(&why);
                    }
                    if is_careless && rng.u8(..6) == 0 {
                        self.gather(space, tables, rng, false);
                    }
                    if rng.u8(..8) == 0 {
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
        let fixes_faults = Interpreted::facts().kernel_faults_fixed;
        let mut cores = kernel.cores.borrow_mut();
        cores.step();
        for (va, count) in changes {
            if tables.changes_of(va) != count {
                continue; // a later change may not be flushed yet
            }
            let upper = tables.upper();
            let link = upper.load((va.wrapping_sub(upper.va) >> upper.shift) as usize);
            let below = cores.memory.tables[(link >> NUMBER) as usize].clone();
            let bits = match link & VALID {
                0 => 0,
                _ => below.load((va.wrapping_sub(below.va) >> below.shift) as usize),
            };
            cores.check_settled(tables.number, (va, bits), fixes_faults);
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
        let nth_table = rng.usize(..self.mix.tables);
        let bits = upper.load(nth_table);
        if bits & VALID == 0 {
            return self.link(section, tables, nth_table);
        }
        let mut cores = kernel.cores.borrow_mut();
        let table = cores.memory.tables[(bits >> NUMBER) as usize].clone();
        if rng.u8(..6) == 0 {
            drop(cores);
            kernel.note(format!("{name}: unlinks table {}", table.number));
            let mapped = (0..table.entries.len()).filter(|nth| table.load(*nth) & VALID != 0);
            let mapped: Vec<_> = mapped.map(|nth| tables.entry(&table, nth, None)).collect();
            // Before the first of them changes: another gather may end while they are unmapped.
            for nth in 0..table.entries.len() {
                let va = table.va_of(nth);
                changes.push((va, tables.count_change(va)));
            }
            section.unmap_all(mapped).map_err(|why| why.to_string())?;
            let link = tables.entry(upper, nth_table, Some(table));
            return section.unlink(link).map_err(|why| why.to_string());
        }
        let nth = rng.usize(..table.entries.len());
        let entry = tables.entry(&table, nth, None);
        let (va, bits) = (table.va_of(nth), table.load(nth));
        let name = format!("{name}: {va:#x}");
        let rights = rng.u64(..) & (WRITABLE | ATTRIBUTE);
        if bits & VALID == 0 && rng.bool() {
            // The kernel relies on the entry being invalid.
            changes.push((va, tables.changes_of(va)));
            return Ok(());
        }
        changes.push((va, tables.count_change(va)));
        if bits & VALID == 0 {
            let page = cores.memory.page(tables.number);
            drop(cores);
            kernel.note(format!("{name} is mapped to page {page}"));
            let bits = page << NUMBER | VALID | LEAF | rights;
            return section.map(&entry, bits).map_err(|why| why.to_string());
        }
        match rng.u8(..3) {
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
                let other = |bits| bits & !(WRITABLE | ATTRIBUTE) | rights;
                let done = section.protect(&entry, other);
                done.map(|_| ()).map_err(|why| why.to_string())
            }
            _ => {
                let page = cores.memory.page(tables.number);
                drop(cores);
                kernel.note(format!("{name} is replaced by page {page}"));
                let bits = page << NUMBER | VALID | LEAF | rights;
                section.replace(entry, bits).map_err(|why| why.to_string())
            }
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
        let kind = if tables.number == KERNEL {
            Space::Kernel
        } else {
            Space::User
        };
        let garbage = kernel.mistake == Some(Mistake::LinksUninitialized);
        let table = {
            let memory = &mut kernel.cores.borrow_mut().memory;
            let table = memory.table(self.levels[0], (kind, upper.va_of(nth)), self.mix.entries);
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

    /// Unmaps pages of several spaces with one wait.
    pub(super) fn reclaim(&self, rng: &mut Rng) {
        let kernel = self.kernel();
        let mut used = Vec::new();
        self.mmu.reclaim(|batch| {
            let mut unmapped = Vec::new();
            for _ in 0..rng.usize(1..6) {
                let Some(process) = self.any_process(rng) else {
                    continue;
                };
                let tables = &process.tables;
                kernel.lock(tables);
                let link = tables.upper().load(rng.usize(..self.mix.tables));
                if link & VALID != 0 {
                    let number = (link >> NUMBER) as usize;
                    let table = kernel.cores.borrow().memory.tables[number].clone();
                    let nth = rng.usize(..table.entries.len());
                    if table.load(nth) & VALID != 0 {
                        let va = table.va_of(nth);
                        kernel.note(format!("{}: {va:#x} is reclaimed", tables.name()));
                        tables.count_change(va);
                        match batch.unmap(&process.space, tables.entry(&table, nth, None)) {
                            Ok(page) => unmapped.extend(page),
                            Err(why) => kernel.refused(&why.to_string()),
                        }
                    }
                }
                kernel.unlock(tables);
                used.push(process);
            }
            let waited = batch.wait();
            kernel.note("has waited for reclaimed pages".to_owned());
            for page in unmapped {
                match waited.redeem(page) {
                    Ok(page) => kernel.free_page(page.number),
                    Err(_) => kernel.refused("a page was unmapped before the wait"),
                }
            }
        });
        for process in used {
            self.leave(process);
        }
    }
}
