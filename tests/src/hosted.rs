//! A platform on a host: CPUs are threads, and what they do is written down.
//!
//! A thread becomes a CPU by [`Hosted::on`]. An interrupt runs the handler at once where the CPU takes interrupts, on
//! whichever thread sent it, and otherwise when its thread turns them on again. Everything that the runtime
//! issues or asks for is an [`Event`], in one order for the whole machine.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use tlbc_runtime::request::Request;
use tlbc_runtime::sync::Word;
use tlbc_runtime::{
    AddressSpace, Backend, CpuId, CpuSet, Cpus, Current, Flushed, Issue, Local, Mmu, Platform,
    Record, Root, TagSource, Unlinked,
};

pub use crate::counted::{Memory, Page, Table, pages_dropped};

/// A backend that threads may share: all are.
pub trait HostBackend: Backend<Op: Send + std::fmt::Debug> + Send + Sync + 'static {}

impl<B: Backend<Op: Send + std::fmt::Debug> + Send + Sync + 'static> HostBackend for B {}

/// The runtime on a host.
pub type Host<B> = Mmu<Hosted<B>>;

/// What happened, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<Op> {
    /// A CPU issued an instruction.
    Issued(u32, Op),
    /// A CPU interrupted others.
    Interrupted(Vec<u32>),
    /// A page came out, by its number.
    Released(u64),
    /// Tables came out, to be freed when walkers are gone.
    Deferred(Vec<u64>),
    /// A table came out that nobody walks.
    Freed(u64),
    /// A page's reverse mapping was removed.
    RmapRemoved(u64),
    /// Devices were told, of this scope.
    Devices(String),
    /// Something that a test or an example says.
    Note(&'static str),
}

/// A CPU of the host.
struct Cpu<B: HostBackend> {
    local: Local<Hosted<B>>,
    /// Held while interrupts are off.
    interrupts: Mutex<()>,
    /// An interrupt waits.
    pending: AtomicBool,
}

/// What a test does with tables that come out: their numbers, and whether nobody walks them any more.
pub type TablesOut = Box<dyn Fn(&[u64], bool) + Send + Sync>;

/// A kernel of threads.
pub struct Hosted<B: HostBackend> {
    backend: B,
    cpus: Vec<Cpu<B>>,
    words: Vec<Word>,
    tables_out: OnceLock<TablesOut>,
    issuing: OnceLock<Box<dyn Fn() + Send + Sync>>,
    events: Mutex<Vec<Event<B::Op>>>,
    mmu: OnceLock<Weak<Host<B>>>,
    /// How many more batches the platform has to give.
    pub batches: AtomicUsize,
    /// How many batches it has given that did not come back.
    pub memory_out: Arc<AtomicUsize>,
    /// How often it was asked for one.
    pub asked: AtomicUsize,
    /// Which of these requests it refuses, whatever it has to give.
    pub refused: AtomicUsize,
    /// How many pages it takes at most when some come out.
    pub takes: AtomicUsize,
}

thread_local! {
    /// The CPU that this thread is.
    static CPU: Cell<Option<u32>> = const { Cell::new(None) };
    /// How often interrupts were turned off on it.
    static OFF: Cell<usize> = const { Cell::new(0) };
}

/// How many CPUs a set of the host holds.
pub const MOST_CPUS: usize = 128;

impl<B: HostBackend> Hosted<B> {
    /// A machine of so many CPUs, all of which have arrived.
    pub fn machine(backend: B, cpus: usize) -> Arc<Host<B>> {
        let mmu = Self::machine_off_line(backend, cpus);
        for cpu in 0..cpus {
            Self::on(&mmu, cpu as u32, || {
                let arrived = mmu.platform().pinned(true, |cpu| mmu.arrive(cpu));
                let _ = arrived.expect("a usable machine");
            });
        }
        mmu.platform().events.lock().unwrap().clear();
        mmu
    }

    /// A machine none of whose CPUs has arrived.
    pub fn machine_off_line(backend: B, cpus: usize) -> Arc<Host<B>> {
        Self::with_tag_words(backend, cpus, 2048)
    }

    /// The same, with so many [words](Platform::tag_words) to keep track of tags: 32 tags each.
    pub fn with_tag_words(backend: B, cpus: usize, words: usize) -> Arc<Host<B>> {
        let cpu = |_| Cpu {
            local: Local::new(),
            interrupts: Mutex::new(()),
            pending: AtomicBool::new(false),
        };
        let hosted = Self {
            backend,
            cpus: (0..cpus).map(cpu).collect(),
            words: (0..words).map(|_| Word::new(0)).collect(),
            tables_out: OnceLock::new(),
            issuing: OnceLock::new(),
            events: Mutex::new(Vec::new()),
            mmu: OnceLock::new(),
            batches: AtomicUsize::new(usize::MAX),
            memory_out: Arc::default(),
            asked: AtomicUsize::new(0),
            refused: AtomicUsize::new(usize::MAX),
            takes: AtomicUsize::new(usize::MAX),
        };
        let mmu = Arc::new(Mmu::new(hosted));
        let _ = mmu.platform().mmu.set(Arc::downgrade(&mmu));
        mmu
    }

    /// Runs as a CPU.
    pub fn on<R>(_: &Arc<Host<B>>, cpu: u32, run: impl FnOnce() -> R) -> R {
        let before = CPU.replace(Some(cpu));
        let result = run();
        CPU.set(before);
        result
    }

    /// Makes a CPU run in a space, or in the kernel.
    pub fn switch(
        mmu: &Arc<Host<B>>,
        from: Current<Handle<B>>,
        to: Option<&Handle<B>>,
    ) -> Current<Handle<B>> {
        let to = to.cloned();
        mmu.platform().pinned(true, |cpu| mmu.switch(cpu, from, to))
    }

    /// What happened since this was last asked.
    pub fn events(&self) -> Vec<Event<B::Op>> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    /// Says something among the events.
    pub fn note(&self, what: &'static str) {
        self.happened(Event::Note(what));
    }

    /// Tells of every table that comes out, at the moment when it does.
    pub fn on_tables_out(&self, tell: TablesOut) {
        assert!(self.tables_out.set(tell).is_ok(), "told already");
    }

    /// Does something before every instruction: it looks at what there is at that moment.
    pub fn on_issue(&self, look: Box<dyn Fn() + Send + Sync>) {
        assert!(self.issuing.set(look).is_ok(), "looks already");
    }

    /// Whether an interrupt waits for a CPU, whose interrupts are off.
    pub fn is_interrupted(&self, cpu: u32) -> bool {
        self.cpus[cpu as usize].pending.load(SeqCst)
    }

    /// Waits until every other CPU has had interrupts on: whoever walked tables without a lock is gone.
    pub fn wait_for_interrupts_on(&self) {
        let here = CPU.get();
        for cpu in (0..self.cpus.len() as u32).filter(|cpu| Some(*cpu) != here) {
            let off = self.cpus[cpu as usize].interrupts.lock().unwrap();
            self.take_pending(cpu, off);
        }
    }

    fn happened(&self, event: Event<B::Op>) {
        self.events.lock().unwrap().push(event);
    }

    /// Takes the interrupts that wait for a CPU, whose interrupts are on again.
    fn take_pending<'c>(&'c self, cpu: u32, mut off: MutexGuard<'c, ()>) {
        let this = &self.cpus[cpu as usize];
        loop {
            while this.pending.swap(false, SeqCst) {
                self.handle(cpu);
            }
            drop(off);
            // One may have come between the last look and the moment when interrupts were on.
            if !this.pending.load(SeqCst) {
                return;
            }
            match this.interrupts.try_lock() {
                Ok(again) => off = again,
                Err(_) => return, // whoever has turned them off looks again
            }
        }
    }

    /// Runs the handler of a CPU whose interrupts are off.
    fn handle(&self, cpu: u32) {
        let mmu = self.mmu.get().and_then(Weak::upgrade);
        let (cpu_before, off_before) = (CPU.replace(Some(cpu)), OFF.replace(1));
        mmu.expect("a machine").interrupted(CpuId(cpu));
        CPU.set(cpu_before);
        OFF.set(off_before);
    }

    fn has_batch(&self) -> bool {
        if self.asked.fetch_add(1, SeqCst) == self.refused.load(SeqCst) {
            return false;
        }
        let take = |left: usize| (left > 0).then(|| left - usize::from(left != usize::MAX));
        self.batches.fetch_update(SeqCst, SeqCst, take).is_ok()
    }
}

/// A reference to a space.
pub type Handle<B> = Arc<AddressSpace<Hosted<B>>>;

impl<B: HostBackend> Platform for Hosted<B> {
    type Backend = B;
    type Set = CpuSet<{ MOST_CPUS / 64 }>;
    type Page = Page;
    type Table = Table;
    type PageBatch = Memory<Page>;
    type TableBatch = Memory<Table>;
    type Handle = Handle<B>;

    fn backend(&self) -> &B {
        &self.backend
    }

    fn sink(&self, cpu: CpuId) -> impl Issue<B::Op> {
        Record(move |op| {
            self.issuing.get().inspect(|look| look());
            self.happened(Event::Issued(cpu.0, op));
        })
    }

    fn cpus(&self) -> usize {
        self.cpus.len()
    }

    fn local(&self, cpu: CpuId) -> &Local<Self> {
        &self.cpus[cpu.index()].local
    }

    fn tag_words(&self) -> &[Word] {
        &self.words
    }

    fn kernel_root(&self) -> Root {
        Root {
            table: 0xf000,
            tag: tlbc_runtime::Tag {
                value: match self.backend.tags().of_machine {
                    Some((_, TagSource::Root)) => 0xf000,
                    // Neither a space's nor the one that the kernel's own entries are under.
                    Some((_, TagSource::Life)) => 1,
                    _ => 0,
                },
                of_machine: true,
            },
            empty: 0xe000,
            conditions: tlbc_runtime::Conditions::NONE,
        }
    }

    fn pinned<R>(&self, interrupts_off: bool, run: impl FnOnce(CpuId) -> R) -> R {
        let cpu = CPU.get().expect("a thread that is a CPU");
        if !interrupts_off || OFF.get() > 0 {
            let nested = OFF.get();
            OFF.set(if nested > 0 { nested + 1 } else { 0 });
            let result = run(CpuId(cpu));
            OFF.set(nested);
            return result;
        }
        let off = self.cpus[cpu as usize].interrupts.lock().unwrap();
        OFF.set(1);
        let result = run(CpuId(cpu));
        OFF.set(0);
        self.take_pending(cpu, off);
        result
    }

    fn interrupt(&self, cpus: &Self::Set) {
        self.happened(Event::Interrupted(cpus.iter().map(|cpu| cpu.0).collect()));
        for cpu in cpus.iter() {
            let this = &self.cpus[cpu.index()];
            this.pending.store(true, SeqCst);
            if let Ok(off) = this.interrupts.try_lock() {
                self.take_pending(cpu.0, off);
            }
        }
    }

    fn page_batch(&self) -> Option<Memory<Page>> {
        self.has_batch().then(|| Memory::new(&self.memory_out))
    }

    fn table_batch(&self) -> Option<Memory<Table>> {
        self.has_batch().then(|| Memory::new(&self.memory_out))
    }

    fn release(&self, pages: Flushed<'_, Self>) {
        let taken = pages.take(self.takes.load(SeqCst));
        taken.for_each(|page| self.happened(Event::Released(page.number)));
    }

    fn remove_rmap(&self, page: &mut Page) {
        page.dirty_file = false;
        self.happened(Event::RmapRemoved(page.number));
    }

    fn defer(&self, tables: Unlinked<Self>) {
        let tables: Vec<u64> = tables.after_walkers().map(|table| table.0).collect();
        self.tables_out.get().inspect(|tell| tell(&tables, false));
        self.happened(Event::Deferred(tables));
    }

    fn free_table(&self, table: Table) {
        self.tables_out.get().inspect(|tell| tell(&[table.0], true));
        self.happened(Event::Freed(table.0));
    }

    fn secondary(&self, _: &AddressSpace<Self>, request: &Request<'_>) {
        self.happened(Event::Devices(format!("{:?}", request.scope)));
    }
}
