//! The programs of the CPUs.
//!
//! In: a generator of random numbers. Out: calls of the runtime. Holds: an entry changes only while the lock of its space is
//! held, and a page belongs to a space from before it is mapped until the runtime releases it.

use std::rc::Rc;

use fastrand::Rng;
use tlbc_machine::schedule;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::Space;
use tlbc_runtime::{Backend, CpuId, Current, Mmu, NewSpace, TagSource};

use super::cores::Cores;
use super::kernel::{Kernel, Mistake, Owned, Process, Slotted, is_of_file};
use super::memory::{LEAF, NUMBER, Table, VALID, WRITABLE, address};
use super::operations::Program;
use crate::interpreted::Interpreted;

/// The tables of the lowest level in each space, and the entries of each.
const TABLES: usize = 2;
const ENTRIES: usize = 2;
/// The spaces for each CPU.
const SPACES: usize = 4;

/// A machine with its runtime and its processes.
pub struct World<'m> {
    mmu: Rc<Mmu<Kernel<'m>>>,
    processes: Vec<Process>,
}

type CurrentProcess = Current<Process>;

impl<'m> World<'m> {
    /// Creates a machine whose CPUs are offline.
    pub fn new(
        mut cores: Cores<'m>,
        backend: Interpreted<'m>,
        mistake: Option<Mistake>,
        rng: &mut Rng,
    ) -> Result<Self, String> {
        let (model, config) = (cores.hardware.model, cores.hardware.config);
        let levels = model.level_table(config);
        let there = Level::all().filter(|level| levels[level.index()].shift != 0);
        let there: Vec<_> = there
            .map(|level| (level, levels[level.index()].shift))
            .collect();
        let base = model
            .space(Space::User)
            .addresses
            .get(config)
            .map_or(0, |it| it.base);
        let &[.., top] = there.as_slice() else {
            return Err("the machine has no levels".to_owned());
        };
        let [root, empty] = [0, 1].map(|_| cores.memory.table(top, base, 1).number);
        let cpus = cores.all.len();
        // With few spaces CPUs meet in one; with many there are rollovers.
        let spaces = if rng.bool() {
            rng.usize(1..=2)
        } else {
            rng.usize(1..=SPACES) * cpus
        };
        // The upper tables, which stay.
        let uppers = (0..spaces).map(|_| {
            let mut above: Option<Rc<Table>> = None;
            let mut first = None;
            for &level in there[1..].iter().rev() {
                let entries = if level == there[1] { TABLES } else { 1 };
                let table = cores.memory.table(level, base, entries);
                if let Some(above) = above {
                    let bits = (table.number as u64) << NUMBER | VALID;
                    cores.memory.store(above.address(), bits);
                }
                first.get_or_insert_with(|| table.clone());
                above = Some(table);
            }
            Some((first?, above?))
        });
        let uppers: Option<Vec<_>> = uppers.collect();
        let uppers = uppers.ok_or("the machine has one level")?;
        cores.memory.note(true);
        cores.memory.publish();
        let mmu = Rc::new(Mmu::new(Kernel::new(
            cores,
            backend,
            (root, empty),
            mistake,
        )));
        let _ = mmu.platform().mmu.set(Rc::downgrade(&mmu));
        let mut processes = Vec::new();
        for (number, (root, upper)) in uppers.into_iter().enumerate() {
            let new = NewSpace {
                table: address(root.number),
                user_table: address(root.number),
                per_cpu_tag: rng.bool(),
                ..NewSpace::default()
            };
            // Where each space has a tag for its life there are as many spaces as tags.
            let Ok(space) = mmu.address_space(new) else {
                break;
            };
            processes.push(Process(Rc::new(Owned::new(number, space, upper))));
        }
        Ok(Self { mmu, processes })
    }

    /// Returns whether a machine has enough tags for its CPUs: each may use two at once, and one more is free.
    pub fn has_tags(backend: &Interpreted<'m>, cpus: usize) -> bool {
        let generations = |(_, source): &(_, TagSource)| *source == TagSource::Generations;
        let global = backend.tags().global.filter(generations);
        global.is_none_or(|(values, _)| values.nth(2 * cpus as u64).is_some())
    }

    pub fn kernel(&self) -> &Kernel<'m> {
        self.mmu.platform()
    }

    /// Runs the program of a CPU.
    pub fn run(&self, mut program: Program) {
        let (kernel, mmu) = (self.kernel(), &self.mmu);
        let cpu = schedule::current();
        let id = CpuId(cpu as u32);
        let mut runs: CurrentProcess = match mmu.cpu_online(id) {
            Ok(runs) => runs,
            Err(why) => return kernel.cores.borrow_mut().complain(why.to_string()),
        };
        kernel.turn_on(cpu);
        while let Some(mut rng) = program.begin() {
            kernel.point();
            match rng.u8(..17) {
                0..=5 => runs = self.switch(runs, &mut rng),
                6..=9 => self.run_user(&runs, &mut rng),
                10 => self.walk(&runs, &mut rng),
                _ => {
                    let process = &self.processes[rng.usize(..self.processes.len())];
                    let running = match &runs {
                        Current::User(own) if rng.bool() => own,
                        _ => process,
                    };
                    self.gather(running, &mut rng);
                }
            }
            program.end(rng);
        }
        kernel.interrupts_off(|_| {
            mmu.cpu_offline(id, runs);
        });
        // The walker of a CPU that is offline stands still.
    }

    fn switch(&self, runs: CurrentProcess, rng: &mut Rng) -> CurrentProcess {
        let to = self
            .processes
            .get(rng.usize(..=self.processes.len()))
            .cloned();
        self.kernel().interrupts_off(|cpu| {
            let name = to.as_ref().map_or_else(
                || "the kernel".to_owned(),
                |it| format!("space {}", it.number),
            );
            self.kernel().note(format!("switches to {name}"));
            self.mmu.switch(CpuId(cpu as u32), runs, to)
        })
    }

    fn run_user(&self, runs: &CurrentProcess, rng: &mut Rng) {
        let Current::User(process) = runs else {
            return;
        };
        let kernel = self.kernel();
        kernel.interrupts_off(|cpu| {
            kernel.note(format!("runs user code of space {}", process.number));
            kernel.run_user(&self.mmu, cpu, process.clone());
        });
        for _ in 0..rng.usize(1..30) {
            kernel.point();
        }
        kernel.interrupts_off(|cpu| {
            kernel.note("enters the kernel".to_owned());
            let _ = kernel.leave_user(&self.mmu, cpu);
        });
    }

    /// Walks tables of the space that this CPU runs, without a lock.
    fn walk(&self, runs: &CurrentProcess, rng: &mut Rng) {
        let Current::User(process) = runs else {
            return;
        };
        let kernel = self.kernel();
        kernel.walk(|| {
            let bits = process.upper.load(rng.usize(..TABLES));
            if bits & VALID == 0 {
                return;
            }
            let number = (bits >> NUMBER) as usize;
            kernel.note(format!("walks table {number} without a lock"));
            let table = kernel.cores.borrow().memory.tables[number].clone();
            for _ in 0..rng.usize(1..20) {
                kernel.point();
                if table.is_freed.get() {
                    let text =
                        format!("a walk without a lock reads table {number}, which is freed");
                    return kernel.cores.borrow_mut().complain(text);
                }
            }
        });
    }

    /// Changes entries of a space. Its lock is held in each section, and not between sections or during the last flush. An
    /// entry that no other gather has changed since must be flushed at the end.
    fn gather(&self, process: &Process, rng: &mut Rng) {
        let kernel = self.kernel();
        let mut changed: Vec<(u64, u64)> = Vec::new();
        let change = |changed: &mut Vec<(u64, u64)>, va: u64| {
            let count = process.changes_of(va) + 1;
            process.changes.borrow_mut().insert(va, count);
            changed.push((va, count));
        };
        self.mmu.gather(&process.space, |gather| {
            for _ in 0..rng.usize(1..4) {
                kernel.lock(process);
                let result = gather.locked((), |section, ()| {
                    let upper = rng.usize(..TABLES);
                    let link = |below| Slotted {
                        process,
                        table: process.upper.clone(),
                        nth: upper,
                        below,
                    };
                    let bits = process.upper.load(upper);
                    let mut cores = kernel.cores.borrow_mut();
                    if bits & VALID == 0 {
                        let va = process.upper.va + ((upper as u64) << process.upper.shift);
                        let lowest = Self::lowest(&cores);
                        let table = cores.memory.table(lowest, va, ENTRIES);
                        let garbage = kernel.mistake == Some(Mistake::LinksUninitialized);
                        if garbage {
                            let other = cores.memory.page(usize::MAX);
                            let bits = other << NUMBER | VALID | LEAF;
                            cores.memory.store(table.address(), bits);
                        }
                        drop(cores);
                        kernel.note(format!(
                            "space {}: links table {}",
                            process.number, table.number
                        ));
                        let bits = (table.number as u64) << NUMBER | VALID;
                        let linked = section.map(&link(None), bits);
                        if garbage {
                            kernel.cores.borrow().memory.store(table.address(), 0);
                        }
                        return linked.map_err(|why| why.to_string());
                    }
                    let table = cores.memory.tables[(bits >> NUMBER) as usize].clone();
                    let nth = rng.usize(..ENTRIES);
                    let pte = |nth| Slotted {
                        process,
                        table: table.clone(),
                        nth,
                        below: None,
                    };
                    let bits = table.load(nth);
                    let writable = if rng.bool() { WRITABLE } else { 0 };
                    let va = table.va + ((nth as u64) << table.shift);
                    let name = format!("space {}: {va:#x}", process.number);
                    if rng.u8(..6) == 0 {
                        drop(cores);
                        kernel.note(format!(
                            "space {}: unlinks table {}",
                            process.number, table.number
                        ));
                        for nth in 0..ENTRIES {
                            if table.load(nth) & VALID != 0 {
                                section
                                    .unmap(pte(nth))
                                    .map_err(|refused| refused.to_string())?;
                            }
                            change(&mut changed, table.va + ((nth as u64) << table.shift));
                        }
                        let unlinked = section.unlink(link(Some(table.clone())));
                        return unlinked.map_err(|refused| refused.to_string());
                    }
                    if bits & VALID == 0 && rng.bool() {
                        // The kernel relies on the entry being invalid.
                        changed.push((va, process.changes_of(va)));
                        return Ok(());
                    }
                    change(&mut changed, va);
                    if bits & VALID == 0 {
                        let page = cores.memory.page(process.number);
                        drop(cores);
                        kernel.note(format!("{name} is mapped to page {page}"));
                        let bits = page << NUMBER | VALID | LEAF | writable;
                        return section.map(&pte(nth), bits).map_err(|why| why.to_string());
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
                            section
                                .unmap(pte(nth))
                                .map_err(|refused| refused.to_string())
                        }
                        1 => {
                            drop(cores);
                            kernel.note(format!("{name} gets other rights"));
                            let other = |bits| bits & !WRITABLE | writable;
                            let done = section.protect(&pte(nth), other);
                            done.map(|_| ()).map_err(|why| why.to_string())
                        }
                        _ => {
                            let page = cores.memory.page(process.number);
                            drop(cores);
                            kernel.note(format!("{name} is replaced by page {page}"));
                            let bits = page << NUMBER | VALID | LEAF | writable;
                            let done = section.replace(pte(nth), bits);
                            done.map_err(|refused| refused.to_string())
                        }
                    }
                });
                kernel.unlock(process);
                if let Err(why) = result {
                    kernel
                        .cores
                        .borrow_mut()
                        .complain(format!("a change was refused: {why}"));
                }
            }
        });
        let mut cores = kernel.cores.borrow_mut();
        cores.step();
        for (va, count) in changed {
            if process.changes_of(va) != count {
                continue; // a later change may not be flushed yet
            }
            let upper = &process.upper;
            let link = upper.load(((va - upper.va) >> upper.shift) as usize);
            let below = cores.memory.tables[(link >> NUMBER) as usize].clone();
            let bits = match link & VALID {
                0 => 0,
                _ => below.load(((va - below.va) >> below.shift) as usize),
            };
            cores.check_settled(process.number, va, bits);
        }
        drop(cores);
        kernel.note(format!("space {}: the gather has ended", process.number));
    }

    /// Returns the lowest level, and log2 of what its entries translate.
    fn lowest(cores: &Cores<'m>) -> (Level, u32) {
        let levels = cores.hardware.model.level_table(cores.hardware.config);
        let mut there = Level::all().filter(|level| levels[level.index()].shift != 0);
        let lowest = there.next().unwrap_or_default();
        (lowest, levels[lowest.index()].shift)
    }
}
