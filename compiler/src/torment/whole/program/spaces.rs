//! Spaces that are created, torn down and released.
//!
//! In: processes and the counts of their users. Out: teardowns. Holds: a space is torn down when no CPU runs in it and none changes
//! its entries, and released when no CPU holds a reference.

use std::cell::Cell;
use std::rc::Rc;

use fastrand::Rng;
use tlbc_runtime::request::{Space, SpaceFlags};
use tlbc_runtime::{Backend, NewSpace, Platform};

use super::super::cores::Cores;
use super::super::memory::{LEAF, NUMBER, Table, VALID, rights};
use super::super::process::{Owned, PageTables, Process};
use super::{World, chain};
use crate::interpreted::Interpreted;

impl World<'_> {
    /// Creates a space, if there is a tag for it. Some pages are mapped from the beginning, as after a fork.
    pub(super) fn create(&self, rng: &mut Rng) -> Option<Process> {
        let kernel = self.kernel();
        let user = (Space::User, self.base);
        let tables = {
            let cores = &mut *kernel.cores.borrow_mut();
            let chain = chain(&mut cores.memory, &self.levels, user, self.mix.tables);
            let user_top = Self::user_top(cores, &chain);
            (chain, user_top)
        };
        let number = self.next.get();
        self.next.set(number + 1);
        let new = NewSpace {
            table: tables.0[0].address(),
            user_table: tables.1.as_ref().unwrap_or(&tables.0[0]).address(),
            per_cpu_tag: rng.bool(),
            flags: self.flags_of_spaces(),
        };
        let before = self.unreleased.get();
        self.unreleased.set(before + 1);
        let Ok(space) = self.mmu.address_space(new) else {
            self.unreleased.set(self.unreleased.get() - 1);
            // Those that may have had a tag at some time since then: others may be released and created at the same time.
            let others = before + (self.next.get() - number - 1) as u64;
            let global = kernel.backend().tags().global;
            if global.is_some_and(|(values, _)| values.nth(others).is_some()) {
                kernel.refused(&format!("{others} spaces have no tag more"));
            }
            let cores = &mut *kernel.cores.borrow_mut();
            let (chain, user_top) = &tables;
            chain[1..].iter().for_each(|table| {
                cores.memory.free_table(table);
            });
            [&chain[0]]
                .into_iter()
                .chain(user_top)
                .for_each(|top| cores.free_top(top));
            return None;
        };
        self.populate(&tables.0[tables.0.len() - 1], number, rng);
        kernel.note(format!("creates space {number}"));
        Some(Process(Rc::new(Owned {
            tables: PageTables::new((number, space.id()), tables, self.mix.entries),
            space,
            users: Cell::new(0),
            keeps: Cell::new(0),
            has_per_cpu_tag: new.per_cpu_tag,
            pins: Cell::new(0),
            ends: Cell::new(false),
        })))
    }

    /// Returns the flags that each space has from the beginning.
    pub(super) fn flags_of_spaces(&self) -> SpaceFlags {
        if self.mix.has_flags {
            Interpreted::sender_only()
        } else {
            SpaceFlags::NONE
        }
    }

    /// Creates the top table of the view that user code runs on, if that is another one than the first table.
    fn user_top(cores: &mut Cores<'_>, chain: &[Rc<Table>]) -> Option<Rc<Table>> {
        cores.has_user_root.then(|| {
            let [top, below] = [&chain[0], &chain[1]];
            let of = (top.space, top.va.get());
            let user_top = cores.memory.top_table((top.level, top.shift), of, 1);
            let link = (below.number as u64) << NUMBER | VALID;
            cores.memory.store(user_top.address(), link);
            user_top.publish();
            cores.user_tops.insert(user_top.number);
            user_top
        })
    }

    /// Maps pages in tables that no walker has seen.
    fn populate(&self, upper: &Rc<Table>, number: usize, rng: &mut Rng) {
        let memory = &mut self.kernel().cores.borrow_mut().memory;
        for nth in 0..self.mix.tables {
            if rng.bool() {
                continue;
            }
            let table = self.lowest_table(memory, upper, nth);
            for entry in 0..self.mix.entries as u64 {
                if rng.bool() {
                    let page = memory.page(number);
                    let rights = rights(rng.u64(..), self.mix.has_marks);
                    let address = table.address() + entry * memory.entry_size;
                    memory.store(address, page << NUMBER | VALID | LEAF | rights);
                }
            }
            table.publish();
            let address = upper.address() + nth as u64 * memory.entry_size;
            memory.store(address, (table.number as u64) << NUMBER | VALID);
        }
        upper.publish();
    }

    /// Returns any process, which this CPU now uses until it [leaves](Self::leave) it.
    pub(super) fn any_process(&self, rng: &mut Rng) -> Option<Process> {
        let processes = self.processes.borrow();
        let drawn = processes.get(rng.usize(..processes.len()))?.clone()?;
        Some(Self::entered(drawn))
    }

    /// Counts one more user of a process that has one.
    pub(super) fn entered(process: Process) -> Process {
        process.users.set(process.users.get() + 1);
        process
    }

    /// Stops using a process. The last one that does tears it down, if it has ended.
    pub(super) fn leave(&self, process: Process) {
        let others = process.users.get() - 1;
        process.users.set(others);
        if others == 0 && process.ends.get() {
            self.tear_down(process);
        }
    }

    /// Ends a process, and creates another one in its place.
    pub(super) fn exit(&self, rng: &mut Rng) {
        let nth = rng.usize(..self.mix.spaces);
        let ended = self.processes.borrow_mut()[nth].take();
        if let Some(process) = ended {
            self.kernel()
                .note(format!("space {} ends", process.tables.number));
            let process = Self::entered(process);
            process.ends.set(true);
            self.leave(process);
        }
        self.release_ended();
        let new = self.create(rng);
        // Another CPU may have created one in the meantime.
        let unused = {
            let mut processes = self.processes.borrow_mut();
            match &mut processes[nth] {
                place @ None => {
                    *place = new;
                    None
                }
                Some(_) => new,
            }
        };
        if let Some(unused) = unused {
            self.tear_down(unused);
        }
    }

    /// Tears down a space that has no user.
    fn tear_down(&self, process: Process) {
        let (kernel, tables) = (self.kernel(), &process.tables);
        let number = tables.number;
        kernel.note(format!("tears down space {number}"));
        let result = self.mmu.teardown(&process.space, |gather| {
            for upper in 0..self.mix.tables {
                let guard = kernel.guard(tables);
                let unlinked = gather.locked(guard, |section, _| {
                    let bits = tables.upper().load(upper);
                    if bits & VALID == 0 {
                        return Ok(());
                    }
                    if bits & LEAF != 0 {
                        let large = tables.entry(tables.upper(), upper, None);
                        return section.unmap(large).map_err(|it| it.to_string());
                    }
                    let lowest =
                        kernel.cores.borrow().memory.tables[(bits >> NUMBER) as usize].clone();
                    let mapped =
                        (0..lowest.entries.len()).filter(|nth| lowest.load(*nth) & VALID != 0);
                    let mapped: Vec<_> =
                        mapped.map(|nth| tables.entry(&lowest, nth, None)).collect();
                    section.unmap_all(mapped).map_err(|it| it.to_string())?;
                    let link = tables.entry(tables.upper(), upper, Some(lowest));
                    section.unlink(link).map_err(|it| it.to_string())
                });
                unlinked?;
            }
            gather.locked((), |section, ()| {
                tables.store_user_top(&kernel.cores.borrow().memory, 0);
                for pair in tables.chain.windows(2).rev() {
                    let link = tables.entry(&pair[0], 0, Some(pair[1].clone()));
                    section.unlink(link).map_err(|it| it.to_string())?;
                }
                Ok::<(), String>(())
            })
        });
        if let Err(why) = result {
            return kernel.refused(&why);
        }
        if !tables.lost_pages.get() {
            let mut cores = kernel.cores.borrow_mut();
            let owners = cores.memory.owners.iter().enumerate();
            let mut left = owners.filter(|(_, owner)| **owner == Some(number));
            let left = left.find(|(page, _)| !kernel.waits(*page));
            if let Some((page, _)) = left {
                cores.complain(format!("page {page} of space {number} is never released"));
            }
        }
        kernel.cores.borrow_mut().memory.settled.remove(&number);
        kernel.note(format!("space {number} is torn down"));
        self.ended.borrow_mut().push(process);
    }

    /// Releases processes that have ended and to which there are no references.
    pub(super) fn release_ended(&self) {
        loop {
            let (kernel, mut is_early) = (self.kernel(), false);
            let next = {
                let mut ended = self.ended.borrow_mut();
                let mut nth = { ended.iter() }.position(|it| Rc::strong_count(&it.0) == 1);
                if nth.is_none() && self.mix.releases_early && kernel.draw(2) == 0 {
                    // References are left, all of CPUs that have used it lazily.
                    nth = ended.iter().position(|process| process.keeps.get() == 0);
                    is_early = nth.is_some();
                }
                nth.map(|nth| ended.swap_remove(nth))
            };
            let Some(process) = next else {
                return;
            };
            let number = process.tables.number;
            kernel.note(format!("releases space {number}"));
            match self.mmu.release(&process.space) {
                Ok(()) => {}
                Err(_) if is_early => return self.ended.borrow_mut().push(process),
                Err(why) => return kernel.refused(&why.to_string()),
            }
            self.unreleased.set(self.unreleased.get() - 1);
            self.pins.set(self.pins.get() - process.pins.take());
            let mut cores = kernel.cores.borrow_mut();
            process
                .tables
                .tops()
                .for_each(|top| cores.check_released(top));
            process.tables.tops().for_each(|top| cores.free_top(top));
            cores.step();
            cores.settle();
        }
    }
}
