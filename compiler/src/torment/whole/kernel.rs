//! The kernel whose TLB management is the runtime's.
//!
//! Every function of the platform and every instruction is a point at which another CPU may run, or an IPI arrives if
//! interrupts are on. So is each access of the runtime to what CPUs share.
//!
//! Software walks tables without locks, with interrupts off. Tables are freed after a grace period: when each CPU that was in
//! such a walk has left it.

mod platform;

use std::cell::{Cell, OnceCell, RefCell};
use std::panic::Location;
use std::rc::{Rc, Weak};

use fastrand::Rng;
use tlbc_machine::schedule;
use tlbc_runtime::sync::Word;
use tlbc_runtime::{Backend, CpuId, CpuSet, CpuTlb, Mmu, Platform, Root};

use super::cores::Cores;
use super::cores::history::Seen;
use super::memory::{NUMBER, Table};
use super::process::{PageTables, Process};
use crate::interpreted::{Instruction, Interpreted};
use crate::model::Which;

/// What a kernel may do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A table is freed although software still walks it.
    FreesUnderWalkers,
    /// A table is linked before its entries are made invalid.
    LinksUninitialized,
    /// The reverse mapping of a page is removed before the flush.
    RemovesRmapEarly,
}

/// A page that was mapped, or a large page.
pub struct MappedPage {
    /// The number of the first page.
    pub number: usize,
    /// The bits that its entry had.
    pub bits: u64,
    /// How many pages it has.
    pub count: usize,
    /// The count of pages whose reverse mapping is still there, if it is a page of a file that may be written through an old entry.
    pub delayed: Option<Rc<Cell<usize>>>,
}

/// Returns whether a page is one of a file.
pub fn is_of_file(page: usize) -> bool {
    page.is_multiple_of(4)
}

#[derive(Default)]
pub struct CpuState {
    tlb: CpuTlb<CpuSet<1>>,
    /// How often interrupts were turned off.
    off: Cell<u32>,
    interrupted: Cell<bool>,
    /// Whether software walks tables without locks.
    walks: Cell<bool>,
    /// The process whose user code runs.
    pub user: RefCell<Option<Process>>,
}

pub struct Kernel<'m> {
    pub cores: RefCell<Cores<'m>>,
    backend: Interpreted<'m>,
    cpus: Vec<CpuState>,
    words: Vec<Word>,
    pub mmu: OnceCell<Weak<Mmu<Self>>>,
    /// What a timer interrupt does.
    pub at_timer: OnceCell<Box<dyn Fn() + 'm>>,
    root: Root,
    /// Tables to be freed when these CPUs have left the walks that they are in.
    waiting: RefCell<Vec<(Vec<usize>, Rc<Table>)>>,
    pub mistake: Option<Mistake>,
    /// Whether the machine sets marks.
    pub sets_marks: Cell<bool>,
    /// Decides when memory is refused, when a timer interrupts, and under which tag a CPU has booted.
    chance: RefCell<Rng>,
}

/// The lock of the tables of a space.
pub struct TablesGuard<'k, 'm> {
    kernel: &'k Kernel<'m>,
    tables: &'k PageTables,
}

impl Drop for TablesGuard<'_, '_> {
    fn drop(&mut self) {
        self.kernel.unlock(self.tables);
    }
}

impl<'m> Kernel<'m> {
    pub fn new(
        cores: Cores<'m>,
        backend: Interpreted<'m>,
        (cpus, root): (usize, Root),
        mistake: Option<Mistake>,
        chance: Rng,
    ) -> Self {
        let cpu = |_| CpuState {
            off: Cell::new(1),
            ..CpuState::default()
        };
        let cpus = (0..cpus).map(cpu).collect();
        Self {
            cores: RefCell::new(cores),
            backend,
            cpus,
            words: (0..2).map(|_| Word::new(0)).collect(),
            mmu: OnceCell::new(),
            at_timer: OnceCell::new(),
            root,
            waiting: RefCell::default(),
            mistake,
            sets_marks: Cell::new(false),
            chance: RefCell::new(chance),
        }
    }

    /// Waits for the lock of the tables of a space.
    pub fn lock(&self, tables: &PageTables) {
        while tables.locked.get() {
            self.point();
        }
        tables.locked.set(true);
    }

    /// Waits for the lock of the tables of a space, which is held until the guard is dropped.
    pub fn guard<'k>(&'k self, tables: &'k PageTables) -> TablesGuard<'k, 'm> {
        self.lock(tables);
        TablesGuard {
            kernel: self,
            tables,
        }
    }

    pub fn unlock(&self, tables: &PageTables) {
        if tables.delayed.get() != 0 {
            let text = format!(
                "{}: the lock is released before reverse mappings of pages are removed",
                tables.name()
            );
            self.cores.borrow_mut().complain(text);
        }
        tables.locked.set(false);
        self.point();
    }

    /// Returns a number below another one, which nothing that a program does determines.
    pub fn draw(&self, end: u64) -> u64 {
        self.chance.borrow_mut().u64(..end)
    }

    /// Returns whether memory is refused now.
    fn refuses(&self) -> bool {
        self.draw(3) == 0
    }

    /// Runs a walk without locks, on this CPU, with interrupts off.
    pub fn walk(&self, walk: impl FnOnce()) {
        self.interrupts_off(|cpu| {
            self.cpus[cpu].walks.set(true);
            walk();
            self.cpus[cpu].walks.set(false);
            let waiting = self.waiting.take();
            let (free, waiting): (Vec<_>, Vec<_>) = { waiting.into_iter() }
                .map(|(cpus, table)| (cpus.into_iter().filter(|it| *it != cpu).collect(), table))
                .partition(|(cpus, _): &(Vec<usize>, _)| cpus.is_empty());
            self.waiting.borrow_mut().extend(waiting);
            for (_, table) in free {
                self.free_table(table);
            }
        });
    }

    /// Records a note of the CPU that runs.
    pub fn note(&self, text: String) {
        let mut cores = self.cores.borrow_mut();
        cores.record(schedule::current(), || Seen::Note(text));
    }

    /// Marks a point in a call of the platform, and remembers where the runtime made it.
    #[track_caller]
    fn called(&self) {
        self.called_from(Location::caller());
        self.point();
    }

    fn called_from(&self, place: &'static Location<'static>) {
        self.cores.borrow_mut().called[schedule::current()] = Some(place);
    }

    /// Complains about a call of the runtime that was refused.
    pub fn refused(&self, why: &str) {
        let text = format!("a call was refused: {why}");
        self.cores.borrow_mut().complain(text);
    }

    /// Checks that interrupts are off where the backend needs that: barriers alone, such as those that publish, do not.
    fn check_interrupts(&self, cpu: CpuId, instruction: &Instruction) {
        let is_on = self.cpus[cpu.index()].off.get() == 0;
        let is_barrier = matches!(instruction.which, Which::Barrier(_));
        if is_on && Interpreted::facts().interrupts_off && !is_barrier {
            let text = format!("CPU {} issues an instruction with interrupts on", cpu.0);
            self.cores.borrow_mut().complain(text);
        }
    }

    /// Marks a point at which another CPU may run, or an interrupt arrives.
    pub fn point(&self) {
        if std::thread::panicking() {
            return; // a gather is abandoned: other CPUs must not run within its destructor
        }
        self.cores.borrow_mut().step();
        schedule::point();
        if self.sets_marks.get() && self.draw(16) == 0 {
            self.cores.borrow_mut().mark(self.draw(u64::MAX));
        }
        let cpu = schedule::current();
        if self.cpus[cpu].off.get() == 0 {
            self.take_interrupt(cpu);
        }
    }

    /// Takes the interrupts that are pending, and now and then one of a timer.
    fn take_interrupt(&self, cpu: usize) {
        let here = &self.cpus[cpu];
        let timer = self.at_timer.get();
        let timer = timer.filter(|_| self.draw(256) == 0);
        let is_sent = here.interrupted.replace(false);
        if !is_sent && timer.is_none() {
            return;
        }
        here.off.set(here.off.get() + 1);
        let mmu = self.mmu.get().and_then(Weak::upgrade).expect("a machine");
        let user = self.leave_user(&mmu, cpu);
        if is_sent {
            {
                let mut cores = self.cores.borrow_mut();
                cores.record(cpu, || Seen::Takes);
                cores.forget_order(cpu);
                cores.publish();
            }
            mmu.handle_ipi(CpuId(cpu as u32));
        }
        if let Some(timer) = timer {
            timer();
        }
        if let Some(process) = user {
            self.run_user(&mmu, cpu, process);
        }
        here.off.set(here.off.get() - 1);
    }

    /// Enters the kernel from user code.
    pub fn leave_user(&self, mmu: &Mmu<Self>, cpu: usize) -> Option<Process> {
        let process = self.cpus[cpu].user.take()?;
        self.cores.borrow_mut().all[cpu].user = None;
        mmu.enter_from_user(CpuId(cpu as u32), &process.space);
        let top = ("code of the kernel", &**process.tables.top());
        self.cores.borrow_mut().check_root(cpu, top);
        self.run_kernel(cpu, true);
        Some(process)
    }

    /// Returns to user code.
    pub fn run_user(&self, mmu: &Mmu<Self>, cpu: usize, process: Process) {
        self.run_kernel(cpu, false);
        mmu.return_to_user(CpuId(cpu as u32), &process.space);
        let mut cores = self.cores.borrow_mut();
        cores.check_root(cpu, ("user code", process.tables.user_top()));
        cores.all[cpu].user = Some(process.tables.number);
        cores.settle();
        self.cpus[cpu].user.replace(Some(process));
    }

    /// Notes whether code of a CPU may use any entry of the kernel from here on.
    pub fn run_kernel(&self, cpu: usize, runs: bool) {
        let mut cores = self.cores.borrow_mut();
        let core = &mut cores.all[cpu];
        (core.kernel, core.is_user_next) = (runs, !runs);
        cores.settle();
    }

    /// Runs with interrupts off.
    pub fn interrupts_off<R>(&self, run: impl FnOnce(usize) -> R) -> R {
        let cpu = schedule::current();
        let here = &self.cpus[cpu];
        here.off.set(here.off.get() + 1);
        let result = run(cpu);
        self.turn_on(cpu);
        result
    }

    /// Turns interrupts on that were turned off once.
    pub fn turn_on(&self, cpu: usize) {
        let here = &self.cpus[cpu];
        here.off.set(here.off.get() - 1);
        if here.off.get() == 0 {
            self.take_interrupt(cpu);
        }
    }

    /// Turns interrupts off until they are [turned on](Self::turn_on).
    pub fn turn_off(&self, cpu: usize) {
        let here = &self.cpus[cpu];
        here.off.set(here.off.get() + 1);
    }

    /// Takes note of the bits that an entry had before it changed.
    pub fn returned(&self, bits: u64) {
        let page = (bits >> NUMBER) as usize;
        self.cores.borrow_mut().check_marks(page, bits);
    }

    pub fn free_page(&self, page: &MappedPage) {
        let mut cores = self.cores.borrow_mut();
        cores.check_marks(page.number, page.bits);
        if page.delayed.is_some() {
            cores.complain(format!(
                "page {} is released with its reverse mapping",
                page.number
            ));
        }
        for page in page.number..page.number + page.count {
            if cores.memory.owners[page].take().is_none() {
                cores.complain(format!("page {page} is released twice"));
            }
        }
        cores.step();
        cores.settle();
    }

    /// Returns whether a page is to be freed with a table that software may still walk.
    pub fn waits(&self, page: usize) -> bool {
        let waiting = self.waiting.borrow();
        let mut tables = waiting.iter().map(|(_, table)| table);
        tables.any(|table| table.pages().any(|of| of == page))
    }
}
