//! The scheduler of a hosted kernel: it keeps for each CPU what the runtime returned, and passes that in again.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

use tlbc_runtime::{CpuId, Current, NewSpace, Platform, Record, Stats};

use crate::hosted::{Handle, Host, HostBackend, Hosted};
use crate::show::{self, Shown};
use crate::tables::Entries;

/// A machine, and what its CPUs run.
pub struct Scheduler<B: HostBackend> {
    /// The runtime.
    pub mmu: Arc<Host<B>>,
    /// What each CPU that is online runs.
    running: Vec<Option<Current<Handle<B>>>>,
    processes: AtomicU64,
    /// The counters at the last look.
    counts: Stats,
}

/// A CPU with a separate scheduler: a hook makes it run something at a certain moment.
pub struct Apart<B: HostBackend> {
    mmu: Weak<Host<B>>,
    cpu: u32,
    running: Mutex<Option<Current<Handle<B>>>>,
}

impl<B: HostBackend> Apart<B> {
    /// Switches to a thread of a process, or of the kernel.
    pub fn run(&self, process: Option<&Handle<B>>) {
        let mmu = self.mmu.upgrade().expect("a machine");
        let mut running = self.running.lock().expect("no switch within a switch");
        let from = running.take().expect("a CPU that is online");
        *running = Some(Hosted::on(&mmu, self.cpu, || {
            Hosted::switch(&mmu, from, process)
        }));
    }
}

impl<B: HostBackend> Scheduler<B> {
    /// Creates a machine with this many CPUs, all of which are online.
    pub fn new(backend: B, cpus: usize) -> Self {
        let mut this = Self::offline(Hosted::machine_offline(backend, cpus));
        (0..cpus).for_each(|cpu| this.cpu_online(cpu as u32));
        this.forget();
        this
    }

    /// Creates a machine with this many CPUs, all of which are online, and at most this many tags.
    pub fn with_tags(backend: B, cpus: usize, most: u64) -> Self {
        let words = 2 * most.div_ceil(64) as usize;
        let mut this = Self::offline(Hosted::with_tags(backend, cpus, words, most));
        (0..cpus).for_each(|cpu| this.cpu_online(cpu as u32));
        this.forget();
        this
    }

    /// Creates the scheduler of a machine whose CPUs are all offline.
    pub fn offline(mmu: Arc<Host<B>>) -> Self {
        let running = (0..mmu.platform().cpus()).map(|_| None).collect();
        Self {
            mmu,
            running,
            processes: AtomicU64::new(0),
            counts: Stats::default(),
        }
    }

    /// Creates a process, which runs nowhere.
    pub fn process(&self) -> Handle<B> {
        self.process_with(NewSpace::default())
    }

    /// Creates a process that differs from the default in more than its tables.
    pub fn process_with(&self, new: NewSpace) -> Handle<B> {
        let table = (self.processes.fetch_add(1, Relaxed) + 1) << 16;
        let new = NewSpace {
            table,
            user_table: table + 0x1000,
            ..new
        };
        Hosted::space(&self.mmu, new).expect("a tag")
    }

    /// Brings a CPU online.
    pub fn cpu_online(&mut self, cpu: u32) {
        let current = Hosted::cpu_online(&self.mmu, cpu);
        self.running[cpu as usize] = Some(current.expect("a usable machine"));
    }

    /// Takes a CPU offline.
    pub fn cpu_offline(&mut self, cpu: u32) {
        let current = self.running[cpu as usize]
            .take()
            .expect("a CPU that is online");
        self.off(cpu, |mmu| mmu.cpu_offline(CpuId(cpu), current));
    }

    /// Lets a CPU run with a separate scheduler.
    pub fn set_apart(&mut self, cpu: u32) -> Apart<B> {
        Apart {
            mmu: Arc::downgrade(&self.mmu),
            cpu,
            running: Mutex::new(self.running[cpu as usize].take()),
        }
    }

    /// Switches a CPU to a thread of a process, up to the return to user code.
    pub fn run(&mut self, cpu: u32, process: &Handle<B>) {
        self.switch(cpu, Some(process.clone()));
    }

    /// Switches a CPU to a kernel thread.
    pub fn kernel_thread(&mut self, cpu: u32) {
        self.switch(cpu, None);
    }

    fn switch(&mut self, cpu: u32, to: Option<Handle<B>>) {
        let from = self.running[cpu as usize]
            .take()
            .expect("a CPU that is online");
        let current = self.off(cpu, |mmu| mmu.switch(CpuId(cpu), from, to));
        self.running[cpu as usize] = Some(current);
    }

    /// Returns to user code on a CPU.
    pub fn return_to_user(&self, cpu: u32) {
        let Some(Current::User(space)) = self.current(cpu) else {
            panic!("CPU {cpu} runs no process");
        };
        self.off(cpu, |mmu| mmu.return_to_user(CpuId(cpu), space));
    }

    /// Enters the kernel from user code on a CPU.
    pub fn enter_from_user(&self, cpu: u32) {
        let Some(Current::User(space)) = self.current(cpu) else {
            panic!("CPU {cpu} runs no process");
        };
        self.off(cpu, |mmu| mmu.enter_from_user(CpuId(cpu), space));
    }

    /// Returns what the entry from user code loads on a CPU, without loading it.
    pub fn loads_at_entry(&self, cpu: u32) -> Vec<B::Op> {
        let Some(Current::User(space)) = self.current(cpu) else {
            panic!("CPU {cpu} runs no process");
        };
        let mut loads = Vec::new();
        let mut sink = Record(|op| loads.push(op));
        self.off(cpu, |mmu| {
            mmu.enter_from_user_through(CpuId(cpu), space, &mut sink);
        });
        loads
    }

    /// Returns what a CPU runs, if it is online.
    pub fn current(&self, cpu: u32) -> Option<&Current<Handle<B>>> {
        self.running[cpu as usize].as_ref()
    }

    /// Runs a function on a CPU.
    pub fn on<R>(&self, cpu: u32, run: impl FnOnce(&Host<B>) -> R) -> R {
        Hosted::on(&self.mmu, cpu, || run(&self.mmu))
    }

    /// Runs a function on a CPU, with interrupts off.
    fn off<R>(&self, cpu: u32, run: impl FnOnce(&Host<B>) -> R) -> R {
        self.on(cpu, |mmu| mmu.platform().interrupts_off(|| run(mmu)))
    }

    /// Unmaps a page of a process, on a CPU.
    pub fn unmap(&self, cpu: u32, process: &Handle<B>, table: &Entries, index: usize) {
        self.on(cpu, |mmu| {
            mmu.gather(process, |gather| {
                gather.locked((), |section, ()| {
                    let leaf = table.leaf(index).expect("a mapped page");
                    section.unmap(leaf).expect("an entry of this space");
                });
            });
        });
    }

    /// Unlinks an empty table of a process, on a CPU.
    pub fn unlink(&self, cpu: u32, process: &Handle<B>, upper: &Entries, index: usize) {
        self.on(cpu, |mmu| {
            mmu.gather(process, |gather| {
                gather.locked((), |section, ()| {
                    let link = upper.pointer(index).expect("a linked table");
                    section.unlink(link).expect("an entry of this space");
                });
            });
        });
    }

    /// Tears down a process that has no entries left, on a CPU.
    pub fn teardown(&self, cpu: u32, process: &Handle<B>) {
        self.on(cpu, |mmu| mmu.teardown(process, |_| ()));
    }

    /// Discards the events and resets the counters.
    pub fn forget(&mut self) {
        let _ = self.mmu.platform().events();
        self.counts = self.mmu.stats();
    }

    /// Returns the counters that have changed since the last call, with their names.
    pub fn counted(&mut self) -> String {
        let (before, now) = (self.counts, self.mmu.stats());
        self.counts = now;
        macro_rules! named {
            ($($name:ident)*) => { [$((stringify!($name), now.$name - before.$name)),*] };
        }
        let named = named!(unneeded here broadcast by_ipi full_requested full_nested full_ceiling full_deferred
            sent received spurious deferred completed renewed rollovers abandoned);
        let counted = named.iter().filter(|(_, count)| *count != 0);
        let texts: Vec<String> = counted.map(|(name, n)| format!("{name} {n}")).collect();
        texts.join(", ")
    }

    /// Adds a note to the events.
    pub fn note(&self, what: &'static str) {
        self.mmu.platform().note(what);
    }

    /// Returns the events since the last call, one line each.
    pub fn lines(&self) -> Vec<String>
    where
        B::Op: Shown,
    {
        let events = self.mmu.platform().events();
        events.iter().map(show::line).collect()
    }
}
