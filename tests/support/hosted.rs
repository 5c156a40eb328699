//! A platform on a host: CPUs are threads, and their actions are recorded.
//!
//! A thread becomes a CPU by [`Hosted::on`]. If the target CPU takes interrupts, an interrupt runs the handler at once
//! on the thread that sent it; otherwise when the target's thread enables interrupts. Everything that the runtime
//! issues or calls for is an [`Event`], in one order for the whole machine.
//!
//! The host checks every call of the runtime: the contexts that the documentation promises
//! ([`Rule`](crate::rules::Rule)), and that every page, every table and all memory for batches has been returned when
//! the machine is dropped.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};
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

/// A backend that threads may share, as all can.
pub trait HostBackend: Backend<Op: Send + std::fmt::Debug> + Send + Sync + 'static {}

impl<B: Backend<Op: Send + std::fmt::Debug> + Send + Sync + 'static> HostBackend for B {}

/// The runtime on a host.
pub type Host<B> = Mmu<Hosted<B>>;

/// An action on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<Op> {
    /// A CPU issued an instruction.
    Issued(u32, Op),
    /// A CPU called for others.
    Called(u32, Vec<u32>, Op),
    /// A CPU interrupted others.
    Interrupted(Vec<u32>),
    /// A page was released, by its number.
    Released(u64),
    /// Tables were released, to be freed after a grace period.
    Deferred(Vec<u64>),
    /// A table was released that has no walkers.
    Freed(u64),
    /// A page's reverse mapping was removed.
    RmapRemoved(u64),
    /// A flush of this scope invalidated devices.
    Devices(String),
    /// A note of a test or an example.
    Note(&'static str),
}

/// A CPU of the host.
pub(crate) struct Cpu {
    pub(crate) local: CpuTlb<Cpus>,
    /// Held by the thread that is this CPU while it is pinned.
    pub(crate) running: Mutex<()>,
    /// Held while interrupts are off.
    pub(crate) interrupts: Mutex<()>,
    /// Whether an interrupt is pending.
    pub(crate) pending: AtomicBool,
}

/// A kernel whose CPUs are threads.
pub struct Hosted<B: HostBackend> {
    pub(crate) backend: Checked<B>,
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) words: Vec<Word>,
    pub(crate) hooks: Hooks<B::Op>,
    events: Mutex<Vec<Event<B::Op>>>,
    pub(crate) mmu: OnceLock<Weak<Host<B>>>,
    pub(crate) shared: Arc<Shared>,
    /// Whether pages and tables may be lost, as in a test that abandons a gather.
    pub loses: AtomicBool,
    /// Whether tables that are to be freed after a grace period are dropped instead, by a mistake of the kernel.
    pub drops_tables: AtomicBool,
    /// The CPUs that calls for other CPUs reach, one bit each. The others are missed.
    pub calls_reach: AtomicU64,
    /// The `empty` table of the kernel's root ([`Root::empty`](tlbc_runtime::Root::empty)).
    pub empty: AtomicU64,
    /// The flags of the kernel's root.
    pub kernel_flags: AtomicU32,
    /// Whether there are grace periods after which tables may be freed.
    pub grace_periods: AtomicBool,
    /// The number of further batches that the platform can allocate.
    pub batches: AtomicUsize,
    /// The number of batches that are allocated.
    pub memory_out: Arc<AtomicUsize>,
    /// The number of requests for a batch.
    pub asked: AtomicUsize,
    /// The request that the platform refuses even if it can allocate.
    pub refused: AtomicUsize,
    /// The request in which the platform panics.
    pub panics: AtomicUsize,
    /// The maximum number of pages that it takes from each release.
    pub takes: AtomicUsize,
}

/// The number of CPUs in a set of the host.
pub const MOST_CPUS: usize = 128;

/// A set of the CPUs of a hosted machine.
pub type Cpus = CpuSet<{ MOST_CPUS / 64 }>;

impl<B: HostBackend> Hosted<B> {
    /// Creates a machine with this many CPUs, all of which are online.
    pub fn machine(backend: B, cpus: usize) -> Arc<Host<B>> {
        let mmu = Self::machine_offline(backend, cpus);
        for cpu in 0..cpus {
            let _ = Self::cpu_online(&mmu, cpu as u32).expect("a usable machine");
        }
        lock(&mmu.platform().events).clear();
        mmu
    }

    /// Creates a machine whose CPUs are all offline.
    pub fn machine_offline(backend: B, cpus: usize) -> Arc<Host<B>> {
        Self::with_tag_words(backend, cpus, 2048)
    }

    /// Creates such a machine with this many [words](Platform::tag_words) for the allocation of tags: 32 tags each.
    pub fn with_tag_words(backend: B, cpus: usize, words: usize) -> Arc<Host<B>> {
        Self::with_tags(backend, cpus, words, u64::MAX)
    }

    /// Creates such a machine with at most this many tags.
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
            calls_reach: AtomicU64::new(0),
            empty: AtomicU64::new(0xe000),
            kernel_flags: AtomicU32::new(0),
            grace_periods: AtomicBool::new(true),
            drops_tables: AtomicBool::new(false),
            batches: AtomicUsize::new(usize::MAX),
            memory_out: Arc::default(),
            asked: AtomicUsize::new(0),
            refused: AtomicUsize::new(usize::MAX),
            panics: AtomicUsize::new(usize::MAX),
            takes: AtomicUsize::new(usize::MAX),
        };
        let mmu = Arc::new(Mmu::new(hosted));
        let _ = mmu.platform().mmu.set(Arc::downgrade(&mmu));
        mmu
    }

    /// Brings a CPU online.
    ///
    /// # Errors
    /// If the CPU cannot be used with this backend.
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

    /// Runs with interrupts off, as a kernel's scheduler and its hotplug code do.
    pub fn interrupts_off<R>(&self, run: impl FnOnce() -> R) -> R {
        self.pinned_by(Interrupts::OffByKernel, |_| run())
    }

    /// The backend.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// Creates a space, on CPU 0.
    ///
    /// # Errors
    /// If there is no tag for it.
    pub fn space(mmu: &Arc<Host<B>>, new: NewSpace) -> Result<Handle<B>, NoTag> {
        Self::on(mmu, 0, || mmu.address_space(new)).map(Arc::new)
    }

    /// Switches a CPU to a space, or to the kernel.
    pub fn switch(
        mmu: &Arc<Host<B>>,
        from: Current<Handle<B>>,
        to: Option<&Handle<B>>,
    ) -> Current<Handle<B>> {
        let to = to.cloned();
        mmu.platform()
            .pinned_by(Interrupts::OffByKernel, |cpu| mmu.switch(cpu, from, to))
    }

    /// Returns the tag that a CPU has loaded, in the view that the kernel runs on.
    pub fn loaded_tag(&self, cpu: u32) -> Option<Tag> {
        self.backend.loaded(cpu)
    }

    /// Returns the events since the last call.
    pub fn events(&self) -> Vec<Event<B::Op>> {
        std::mem::take(&mut lock(&self.events))
    }

    /// Adds a note to the events.
    pub fn note(&self, what: &'static str) {
        self.happened(Event::Note(what));
    }

    /// Returns whether an interrupt is pending on a CPU whose interrupts are off.
    pub fn is_interrupted(&self, cpu: u32) -> bool {
        self.cpus[cpu as usize].pending.load(SeqCst)
    }

    /// Returns whether the interrupts of a CPU are off.
    pub fn are_interrupts_off(&self, cpu: u32) -> bool {
        let off = &self.cpus[cpu as usize].interrupts;
        matches!(off.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// Waits until every other CPU has had interrupts on: lockless walkers are then done.
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
    /// Checks that the runtime has returned everything.
    fn drop(&mut self) {
        let failed = std::thread::panicking() || self.shared.has_failed();
        if failed || self.loses.load(SeqCst) {
            return;
        }
        let lost = self.shared.outstanding.held();
        assert!(lost.is_empty(), "{lost:?} was never returned");
        let memory = self.memory_out.load(SeqCst);
        assert_eq!(memory, 0, "memory for batches was never returned");
    }
}

/// A reference to a space.
pub type Handle<B> = Arc<AddressSpace<<Hosted<B> as Platform>::CpuSet>>;
