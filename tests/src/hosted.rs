//! A platform on a host: CPUs are threads, and what they do is written down.
//!
//! A thread becomes a CPU by [`Hosted::on`]. An interrupt runs the handler at once where the CPU takes interrupts, on
//! whichever thread sent it, and otherwise when its thread turns them on again. Everything that the runtime
//! issues or asks for is an [`Event`], in one order for the whole machine.
//!
//! The host checks every call of the runtime: the contexts that the documentation promises ([`Rule`](crate::rules::Rule)),
//! and that every page, every table and all memory for batches has come out when the machine is dropped.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, TryLockError, Weak};

use tlbc_runtime::sync::Word;
use tlbc_runtime::{
    AddressSpace, Backend, CpuId, CpuSet, CpuTlb, Current, Mmu, NewSpace, NoTag, Platform, Tag,
    Unusable,
};

use crate::checked::Checked;
use crate::context::{self, Interrupts, Shared};
pub use crate::counted::{Memory, Page, Table, pages_dropped};
use crate::hooks::Hooks;
use crate::platform::lock;

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
pub(crate) struct Cpu {
    pub(crate) local: CpuTlb<Cpus>,
    /// Held by the thread that runs on it and may not be replaced by another.
    pub(crate) running: Mutex<()>,
    /// Held while interrupts are off.
    pub(crate) interrupts: Mutex<()>,
    /// An interrupt waits.
    pub(crate) pending: AtomicBool,
}

/// A kernel of threads.
pub struct Hosted<B: HostBackend> {
    pub(crate) backend: Checked<B>,
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) words: Vec<Word>,
    pub(crate) hooks: Hooks<B::Op>,
    events: Mutex<Vec<Event<B::Op>>>,
    pub(crate) mmu: OnceLock<Weak<Host<B>>>,
    pub(crate) shared: Arc<Shared>,
    /// Whether pages and tables may be lost: a test abandons a gather.
    pub loses: AtomicBool,
    /// The table that [`Root::empty`](tlbc_runtime::Root::empty) of the kernel's root names.
    pub empty: AtomicU64,
    /// Whether there are grace periods: tables may be freed after one.
    pub grace_periods: AtomicBool,
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

/// How many CPUs a set of the host holds.
pub const MOST_CPUS: usize = 128;

/// A set of the CPUs of a hosted machine.
pub type Cpus = CpuSet<{ MOST_CPUS / 64 }>;

impl<B: HostBackend> Hosted<B> {
    /// A machine of so many CPUs, all of which have arrived.
    pub fn machine(backend: B, cpus: usize) -> Arc<Host<B>> {
        let mmu = Self::machine_off_line(backend, cpus);
        for cpu in 0..cpus {
            let _ = Self::cpu_online(&mmu, cpu as u32).expect("a usable machine");
        }
        lock(&mmu.platform().events).clear();
        mmu
    }

    /// A machine none of whose CPUs has arrived.
    pub fn machine_off_line(backend: B, cpus: usize) -> Arc<Host<B>> {
        Self::with_tag_words(backend, cpus, 2048)
    }

    /// The same, with so many [words](Platform::tag_words) to keep track of tags: 32 tags each.
    pub fn with_tag_words(backend: B, cpus: usize, words: usize) -> Arc<Host<B>> {
        Self::with_tags(backend, cpus, words, u64::MAX)
    }

    /// The same, of which the machine has at most so many.
    pub fn with_tags(backend: B, cpus: usize, words: usize, most: u64) -> Arc<Host<B>> {
        let cpu = |_| Cpu {
            local: CpuTlb::new(),
            running: Mutex::new(()),
            interrupts: Mutex::new(()),
            pending: AtomicBool::new(false),
        };
        let hosted = Self {
            backend: Checked::new(backend, most),
            cpus: (0..cpus).map(cpu).collect(),
            words: (0..words).map(|_| Word::new(0)).collect(),
            hooks: Hooks::default(),
            events: Mutex::new(Vec::new()),
            mmu: OnceLock::new(),
            shared: Arc::default(),
            loses: AtomicBool::new(false),
            empty: AtomicU64::new(0xe000),
            grace_periods: AtomicBool::new(true),
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

    /// A CPU comes online.
    ///
    /// # Errors
    /// When it cannot, on this machine.
    pub fn cpu_online(mmu: &Arc<Host<B>>, cpu: u32) -> Result<Current<Handle<B>>, Unusable> {
        Self::on(mmu, cpu, || {
            mmu.platform().interrupts_off(|| mmu.cpu_online(CpuId(cpu)))
        })
    }

    /// Runs as a CPU.
    pub fn on<R>(mmu: &Arc<Host<B>>, cpu: u32, run: impl FnOnce() -> R) -> R {
        let _entered = context::enter(&mmu.platform().shared, cpu);
        run()
    }

    /// Runs with interrupts off, as a kernel's scheduler and its hotplug do.
    pub fn interrupts_off<R>(&self, run: impl FnOnce() -> R) -> R {
        self.pinned_by(Interrupts::OffByKernel, |_| run())
    }

    /// The backend.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// A new space, which CPU 0 makes.
    ///
    /// # Errors
    /// When the machine has no tag for it.
    pub fn space(mmu: &Arc<Host<B>>, new: NewSpace) -> Result<Handle<B>, NoTag> {
        Self::on(mmu, 0, || mmu.address_space(new)).map(Arc::new)
    }

    /// Makes a CPU run in a space, or in the kernel.
    pub fn switch(
        mmu: &Arc<Host<B>>,
        from: Current<Handle<B>>,
        to: Option<&Handle<B>>,
    ) -> Current<Handle<B>> {
        let to = to.cloned();
        mmu.platform()
            .pinned_by(Interrupts::OffByKernel, |cpu| mmu.switch(cpu, from, to))
    }

    /// The tag that a CPU has loaded, in the view that the kernel runs on.
    pub fn loaded_tag(&self, cpu: u32) -> Option<Tag> {
        self.backend.loaded(cpu)
    }

    /// What happened since this was last asked.
    pub fn events(&self) -> Vec<Event<B::Op>> {
        std::mem::take(&mut lock(&self.events))
    }

    /// Says something among the events.
    pub fn note(&self, what: &'static str) {
        self.happened(Event::Note(what));
    }

    /// Whether an interrupt waits for a CPU, whose interrupts are off.
    pub fn is_interrupted(&self, cpu: u32) -> bool {
        self.cpus[cpu as usize].pending.load(SeqCst)
    }

    /// Whether the interrupts of a CPU are off at this moment.
    pub fn are_interrupts_off(&self, cpu: u32) -> bool {
        let off = &self.cpus[cpu as usize].interrupts;
        matches!(off.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// Waits until every other CPU has had interrupts on: walkers that take no lock are gone.
    pub fn wait_for_interrupts_on(&self) {
        let here = context::cpu();
        for cpu in (0..self.cpus.len() as u32).filter(|cpu| Some(*cpu) != here) {
            let off = lock(&self.cpus[cpu as usize].interrupts);
            self.take_pending(cpu, off);
        }
    }

    pub(crate) fn happened(&self, event: Event<B::Op>) {
        lock(&self.events).push(event);
    }
}

impl<B: HostBackend> Drop for Hosted<B> {
    /// Everything that the runtime was given has come out.
    fn drop(&mut self) {
        let failed = std::thread::panicking() || self.shared.has_failed();
        if failed || self.loses.load(SeqCst) {
            return;
        }
        let lost = self.shared.ledger.held();
        assert!(lost.is_empty(), "{lost:?} never came out");
        let memory = self.memory_out.load(SeqCst);
        assert_eq!(memory, 0, "memory for batches never came back");
    }
}

/// A reference to a space.
pub type Handle<B> = Arc<AddressSpace<<Hosted<B> as Platform>::CpuSet>>;
