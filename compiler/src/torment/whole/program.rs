//! The programs of the CPUs.
//!
//! In: a generator of random numbers, and a mix of operations. Out: calls of the runtime. Holds: an entry changes only while the
//! lock of its space is held, and a page belongs to a space from before it is mapped until the runtime releases it.

mod devices;
mod faults;
mod gathers;
mod hotplug;
mod large;
mod moved;
mod pins;
mod reclaim;
mod spaces;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use fastrand::Rng;
use tlbc_machine::schedule;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::Space;
use tlbc_runtime::{Backend, CpuId, Current, Mmu, Root, Tag, TagSource};

use super::cores::Cores;
use super::kernel::{Kernel, Mistake};
use super::memory::{KERNEL, LEAF, NUMBER, Table, VALID, address};
use super::mix::{Activity, Mix};
use super::operations::Program;
use super::process::{PageTables, Process};
use crate::interpreted::Interpreted;
use crate::model::Under;

/// A machine with its runtime and its processes.
pub struct World<'m> {
    mmu: Rc<Mmu<Kernel<'m>>>,
    mix: Mix,
    /// The processes, each in a place that another process gets when it ends.
    processes: RefCell<Vec<Option<Process>>>,
    /// The processes that have ended and are not released.
    ended: RefCell<Vec<Process>>,
    /// The number of the next space.
    next: Cell<usize>,
    /// How many spaces there are, with those that are being created, and not released.
    unreleased: Cell<u64>,
    /// How many pins there are, with those that are being made, and how many were ever begun.
    pins: Cell<u64>,
    begun_pins: Cell<u64>,
    /// The tables of the kernel.
    of_kernel: PageTables,
    /// The levels of the machine, from the lowest, with log2 of what their entries translate.
    levels: Vec<(Level, u32)>,
    /// Whether entries of the second lowest level may map large pages.
    has_large: bool,
    /// The lowest address of user spaces.
    base: u64,
}

type CurrentProcess = Current<Process>;

impl<'m> World<'m> {
    /// Creates a machine whose CPUs are offline.
    pub fn new(
        mut cores: Cores<'m>,
        backend: Interpreted<'m>,
        (cpus, mix): (usize, Mix),
        mistake: Option<Mistake>,
        rng: &mut Rng,
    ) -> Result<Self, String> {
        let (model, config) = (cores.hardware.model, cores.hardware.config);
        let table = model.level_table(config);
        let there = Level::all().filter(|level| table[level.index()].shift != 0);
        let levels: Vec<_> = there
            .map(|level| (level, table[level.index()].shift))
            .collect();
        let &[_, (second, _), ..] = levels.as_slice() else {
            return Err("the machine has no two levels".to_owned());
        };
        let has_large = table[second.index()].leaf;
        // Where instructions change entries, they do not return the marks of the old one.
        let by_store = model.change.plain_store.value;
        let base_of = |space| {
            let addresses = model.space(space).addresses.get(config);
            addresses.map_or(0, |it| it.base)
        };
        let [base, kernel_base] = [Space::User, Space::Kernel].map(base_of);
        let memory = &mut cores.memory;
        let chain = chain(memory, &levels, (Space::Kernel, kernel_base), mix.tables);
        let top = chain[0].number;
        let [root, empty] = [0, 1].map(|_| {
            memory
                .table(levels[levels.len() - 1], (Space::User, base), 1)
                .number
        });
        // Where the kernel has a space of its own, its root is the root of its tables.
        let is_own = matches!(
            model.kernel.leaf.get(config).map(|at| &at.value),
            Some(Under::Tags(_))
        );
        let root = address(if is_own { top } else { root });
        let tag = match (backend.tags().global, model.kernel.fixed_tag(config)) {
            _ if is_own => root,
            // No space has the tag of the kernel's root, and neither do the kernel's entries.
            (Some((values, _)), Some(_)) => values.last + 1,
            _ => 0,
        };
        let root = Root {
            tag: Tag {
                value: tag,
                global: true,
            },
            ..Root::untagged(root, address(empty))
        };
        (cores.kernel_top, cores.kernel_root_tag) = (Some(top), tag);
        cores.large_pages = mix.entries;
        let chance = Rng::with_seed(rng.u64(..));
        let kernel = Kernel::new(cores, backend, (cpus, root), mistake, chance);
        let mmu = Rc::new(Mmu::new(kernel));
        let _ = mmu.platform().mmu.set(Rc::downgrade(&mmu));
        mmu.platform().sets_marks.set(mix.has_marks && by_store);
        if rng.bool() {
            // The lower half of the generation is about to be 0.
            mmu.begin_generations_at((1 << 32) - rng.u64(..3));
        }
        let of_kernel = PageTables::new((KERNEL, mmu.kernel().id()), (chain, None), mix.entries);
        let world = Self {
            mmu,
            mix,
            processes: RefCell::default(),
            ended: RefCell::default(),
            next: Cell::new(0),
            unreleased: Cell::new(0),
            pins: Cell::new(0),
            begun_pins: Cell::new(0),
            of_kernel,
            levels,
            has_large,
            base,
        };
        // Where each space has a tag for its life there are at most as many spaces as tags.
        let processes = (0..world.mix.spaces).map(|_| world.create(rng)).collect();
        world.processes.replace(processes);
        Ok(world)
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
        let kernel = self.kernel();
        let cpu = schedule::current();
        let mut runs = match self.come_online(cpu) {
            Ok(runs) => runs,
            Err(why) => return kernel.cores.borrow_mut().complain(why),
        };
        while let Some(mut drawn) = program.begin() {
            let rng = &mut drawn;
            kernel.point();
            self.release_ended();
            match self.mix.activity(cpu, rng) {
                Activity::Switch => {
                    runs = self.switch(runs, self.any_process(rng));
                    if rng.bool() {
                        self.run_user(&runs, rng);
                    }
                }
                Activity::Lazy => runs = self.switch(runs, None),
                Activity::User => self.run_user(&runs, rng),
                Activity::Walk => self.walk(&runs, rng),
                Activity::Gather => {
                    if let Some(process) = self.process_for_change(&runs, rng) {
                        self.gather(&process.space, &process.tables, rng, true);
                        self.leave(process);
                    }
                }
                Activity::KernelGather => {
                    self.gather(self.mmu.kernel(), &self.of_kernel, rng, true);
                }
                Activity::Reclaim => self.reclaim(&runs, rng),
                Activity::Exit => self.exit(rng),
                Activity::Hotplug => {
                    self.go_offline(cpu, runs);
                    for _ in 0..rng.usize(1..200) {
                        kernel.point();
                    }
                    runs = match self.come_online(cpu) {
                        Ok(runs) => runs,
                        Err(why) => return kernel.cores.borrow_mut().complain(why),
                    };
                }
                Activity::Device => self.run_device(cpu, rng),
                Activity::Pin => self.run_pinned(cpu, rng),
                Activity::Flush => {
                    if let Some(process) = self.process_for_change(&runs, rng) {
                        self.mmu.flush_everything(&process.space);
                        self.leave(process);
                    }
                }
            }
            program.end(drawn);
        }
        self.go_offline(cpu, runs);
    }

    /// Returns a process for a change of its entries: often the one that runs here.
    fn process_for_change(&self, runs: &CurrentProcess, rng: &mut Rng) -> Option<Process> {
        match runs {
            Current::User(own) if rng.bool() => Some(Self::entered(own.clone())),
            _ => self.any_process(rng),
        }
    }

    /// Makes this CPU run in a space that it was entered for, or in the kernel alone.
    fn switch(&self, runs: CurrentProcess, to: Option<Process>) -> CurrentProcess {
        let left = match &runs {
            Current::User(process) => Some(process.clone()),
            Current::Kernel | Current::Lazy(_) => None,
        };
        let now = self.kernel().interrupts_off(|cpu| {
            let name = to.as_ref().map_or_else(
                || "the kernel".to_owned(),
                |it| format!("space {}", it.tables.number),
            );
            self.kernel().note(format!("switches to {name}"));
            self.mmu.switch(CpuId(cpu as u32), runs, to)
        });
        if let Some(left) = left {
            self.leave(left);
        }
        now
    }

    fn run_user(&self, runs: &CurrentProcess, rng: &mut Rng) {
        let Current::User(process) = runs else {
            return;
        };
        let kernel = self.kernel();
        kernel.interrupts_off(|cpu| {
            kernel.note(format!("runs user code of space {}", process.tables.number));
            kernel.run_user(&self.mmu, cpu, process.clone());
        });
        for _ in 0..rng.usize(1..30) {
            kernel.point();
            if self.mix.has_more && rng.u8(..4) == 0 {
                self.take_fault(process, rng);
            }
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
            let bits = process.tables.upper().load(rng.usize(..self.mix.tables));
            if bits & VALID == 0 || bits & LEAF != 0 {
                return;
            }
            let number = (bits >> NUMBER) as usize;
            kernel.note(format!("walks table {number} without a lock"));
            let table = kernel.cores.borrow().memory.tables[number].clone();
            for _ in 0..rng.usize(1..300) {
                kernel.point();
                if table.is_freed.get() {
                    let text =
                        format!("a walk without a lock reads table {number}, which is freed");
                    return kernel.cores.borrow_mut().complain(text);
                }
            }
        });
    }
}

/// Creates the tables of a space from the top to the second lowest level, which has so many entries. No walker sees them yet.
fn chain(
    memory: &mut super::memory::Memory,
    levels: &[(Level, u32)],
    (space, base): (Space, u64),
    entries: usize,
) -> Vec<Rc<Table>> {
    let mut chain: Vec<Rc<Table>> = Vec::new();
    for nth in (1..levels.len()).rev() {
        let entries = if nth == 1 { entries } else { 1 };
        let table = if chain.is_empty() {
            memory.top_table(levels[nth], (space, base), entries)
        } else {
            memory.table(levels[nth], (space, base), entries)
        };
        if let Some(above) = chain.last() {
            memory.store(above.address(), (table.number as u64) << NUMBER | VALID);
            above.publish();
        }
        chain.push(table);
    }
    chain
}
