//! Batched unmaps.
//!
//! In: the tables of several spaces. Out: calls of the runtime, and pages that have no owner any more. Holds: a page gets a new
//! owner only after the wait that covers it, and is written to disk only after the runtime says that it may be.

use std::ops::Range;

use fastrand::Rng;
use tlbc_runtime::{UnmapBatch, Unmapped, Waited};

use super::super::kernel::{Kernel, MappedPage};
use super::super::memory::{LEAF, MARKS, NUMBER, VALID};
use super::super::process::{PageTables, Process};
use super::gathers::Changes;
use super::{CurrentProcess, World};

/// Pages that one entry mapped, and their numbers.
type Reclaimed = (Unmapped<MappedPage>, Range<usize>);

impl<'m> World<'m> {
    /// Unmaps pages of several spaces. The wait at the end covers those that nothing has waited for.
    pub(super) fn reclaim(&self, runs: &CurrentProcess, rng: &mut Rng) {
        let (kernel, has_more) = (self.kernel(), self.mix.has_more);
        let (mut used, mut left) = (Vec::new(), Vec::new());
        self.mmu.reclaim(|batch| {
            let mut earlier = None;
            for _ in 0..if has_more { rng.usize(1..=3) } else { 1 } {
                let unmapped = self.unmap_some(batch, runs, &mut used, rng);
                let unmapped = self.redeem(earlier.as_ref(), unmapped);
                if has_more && rng.bool() {
                    batch.before_io();
                    kernel.note("writes reclaimed pages to disk".to_owned());
                    for (_, numbers) in &unmapped {
                        kernel.cores.borrow_mut().clean(numbers.clone());
                    }
                }
                if has_more && rng.u8(..3) == 0 {
                    left.extend(unmapped.into_iter().map(|(_, numbers)| numbers));
                    continue;
                }
                let waited = batch.wait();
                kernel.note("has waited for reclaimed pages".to_owned());
                if !self.redeem(Some(&waited), unmapped).is_empty() {
                    kernel.refused("a page was unmapped before the wait");
                }
                earlier = Some(waited);
            }
        });
        for numbers in left {
            kernel.free_page(&MappedPage {
                number: numbers.start,
                bits: MARKS, // nothing is asked about a page that was written to disk
                count: numbers.len(),
                delayed: None,
            });
        }
        for process in used {
            self.leave(process);
        }
    }

    /// Checks that no code uses an entry that a batched unmap has made invalid, in a section, which begins with a flush of them.
    pub(super) fn check_reclaimed(&self, tables: &PageTables) {
        let mut cores = self.kernel().cores.borrow_mut();
        for (va, (level, page)) in tables.reclaimed.borrow().iter() {
            cores.check_reclaimed(tables.number, *va, (*level, *page));
        }
    }

    /// Frees the pages that a wait covers. Returns the others.
    fn redeem(&self, waited: Option<&Waited>, unmapped: Vec<Reclaimed>) -> Vec<Reclaimed> {
        let Some(waited) = waited else {
            return unmapped;
        };
        let others = unmapped.into_iter().filter_map(|(page, numbers)| {
            let page = waited
                .redeem(page)
                .map(|page| self.kernel().free_page(&page));
            Some((page.err()?, numbers))
        });
        others.collect()
    }

    /// Unmaps a few pages.
    fn unmap_some(
        &self,
        batch: &mut UnmapBatch<'_, Kernel<'m>>,
        runs: &CurrentProcess,
        used: &mut Vec<Process>,
        rng: &mut Rng,
    ) -> Vec<Reclaimed> {
        let kernel = self.kernel();
        let mut unmapped = Vec::new();
        for _ in 0..rng.usize(1..6) {
            let drawn = if self.mix.reclaims_own {
                self.process_for_change(runs, rng)
            } else {
                self.any_process(rng)
            };
            let Some(process) = drawn else {
                continue;
            };
            let tables = &process.tables;
            kernel.lock(tables);
            let nth = rng.usize(..self.mix.tables);
            let link = tables.upper().load(nth);
            let leaf = if link & VALID == 0 {
                None
            } else if link & LEAF != 0 {
                self.count_changes(tables, nth, &mut Changes::new());
                Some((tables.upper().clone(), nth, tables.large_pages))
            } else {
                let number = (link >> NUMBER) as usize;
                let table = kernel.cores.borrow().memory.tables[number].clone();
                let nth = rng.usize(..table.entries.len());
                let is_valid = table.load(nth) & VALID != 0;
                is_valid.then(|| {
                    let memory = &mut kernel.cores.borrow_mut().memory;
                    tables.count_change(memory, table.va_of(nth));
                    (table, nth, 1)
                })
            };
            if let Some((table, nth, pages)) = leaf {
                let va = table.va_of(nth);
                let first = (table.load(nth) >> NUMBER) as usize;
                kernel.note(format!("{}: {va:#x} is reclaimed", tables.name()));
                let entry = tables.entry(&table, nth, None).reclaimed();
                match batch.unmap(&process.space, entry) {
                    Ok(page) => {
                        unmapped.extend(page.map(|page| (page, first..first + pages)));
                        let reclaimed = &mut tables.reclaimed.borrow_mut();
                        reclaimed.insert(va, (table.level, first));
                    }
                    Err(why) => kernel.refused(&why.to_string()),
                }
            }
            kernel.unlock(tables);
            used.push(process);
        }
        unmapped
    }
}
