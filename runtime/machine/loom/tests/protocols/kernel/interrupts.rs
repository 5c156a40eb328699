//! Interrupts and preemption of the kernel's CPUs.
//!
//! A CPU holds a bit of its word while no other thread may act for it. If the bit is free, an interrupt is handled as
//! one step on the thread that sends it. If the CPU holds the bit, its own thread handles the interrupt when it frees
//! the bit, when it handles messages while it waits, and at [points](Kernel::point) with interrupts on. On another
//! thread the handler would not be ordered with what the CPU does in between, as it is on a CPU.
//!
//! A [call](Kernel::call_for) flushes another CPU whatever its interrupts: if the CPU holds the bit, its own thread issues the
//! instruction before its next one, or at its next point, and the caller waits for that.
//!
//! The kernel also checks that locks are taken, and instructions issued, in the contexts that the runtime promises.

use std::cell::{Cell, RefCell};
use std::rc::Weak;

use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use tlbc_machine_loom::Op;
use tlbc_machine_loom::toys::{Toy, ToyKind};
use tlbc_runtime::sync::wait_until;
use tlbc_runtime::sync::watched::AtomicU64;
use tlbc_runtime::{Backend, CpuId, CpuMask, CpuSet, LockEvent};

use super::{CPU, Kernel};

/// The bit is held, or an interrupt is being handled.
const HELD: u64 = 1;
/// An interrupt has arrived since then.
const PENDING: u64 = 2;
/// A call for the CPU has arrived.
const CALLED: u64 = 4;

/// The interrupts that a CPU may take, as its own thread knows them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// All interrupts, at any time.
    Free,
    /// Interrupts are on, and no other thread may run.
    Pinned,
    /// No interrupts.
    Off,
}

loom::thread_local! {
    static MODE: Cell<Mode> = Cell::new(Mode::Free);
}

/// What another thread does when the scheduler runs it.
type Preempts = Box<dyn FnOnce()>;

/// The interrupts of a CPU.
pub(super) struct Interrupts {
    word: AtomicU64,
    /// The instructions of the calls that have arrived.
    calls: RefCell<Vec<Op>>,
    /// Another thread, and the number of points of this one that come before it.
    preempts: RefCell<Option<(usize, Preempts)>>,
    /// Whether a lock of the runtime is held.
    locked: Cell<bool>,
}

impl Interrupts {
    /// Creates the state of a CPU that is offline.
    pub fn new() -> Self {
        Self {
            word: AtomicU64::new(HELD),
            calls: RefCell::default(),
            preempts: RefCell::default(),
            locked: Cell::new(false),
        }
    }
}

impl Interrupts {
    /// Returns the other thread if it is to run at this point.
    fn preempting(&self) -> Option<Preempts> {
        let mut preempts = self.preempts.borrow_mut();
        if let Some((points @ 1.., _)) = &mut *preempts {
            *points -= 1;
            return None;
        }
        preempts.take().map(|(_, preempts)| preempts)
    }
}

impl<K: ToyKind> Kernel<K> {
    /// Runs with the CPU's mode changed, by its thread or on its behalf.
    fn in_mode<R>(mode: Mode, run: impl FnOnce() -> R) -> R {
        let before = MODE.with(|this| this.replace(mode));
        let result = run();
        MODE.with(|this| this.set(before));
        result
    }

    pub(super) fn run_pinned<R>(&self, interrupts_off: bool, run: impl FnOnce(CpuId) -> R) -> R {
        let cpu = CPU.with(Cell::get);
        let mode = if interrupts_off {
            Mode::Off
        } else {
            Mode::Pinned
        };
        let run = || run(CpuId(cpu));
        match MODE.with(Cell::get) {
            Mode::Off => run(),
            Mode::Pinned => Self::in_mode(mode, run),
            Mode::Free => {
                self.hold(cpu as usize);
                let result = Self::in_mode(mode, run);
                self.release(cpu as usize);
                result
            }
        }
    }

    /// Runs with interrupts off on a CPU that is not online, and turns its interrupts on afterwards.
    pub(super) fn come_online<R>(&self, cpu: usize, run: impl FnOnce() -> R) -> R {
        let result = Self::in_mode(Mode::Off, run);
        MODE.with(|mode| mode.set(Mode::Free));
        self.release(cpu);
        result
    }

    /// Makes a CPU take no interrupts from here on.
    pub(super) fn go_offline(&self, cpu: usize) {
        self.hold(cpu);
        MODE.with(|mode| mode.set(Mode::Off));
    }

    /// Holds the CPU, after interrupts that are being handled.
    fn hold(&self, cpu: usize) {
        let word = &self.cpus[cpu].interrupts.word;
        let take = || word.compare_exchange(0, HELD, Acquire, Relaxed).is_ok();
        wait_until(take, || ());
    }

    /// Releases the CPU, after handling the interrupts that arrived in between.
    fn release(&self, cpu: usize) {
        let word = &self.cpus[cpu].interrupts.word;
        while word.compare_exchange(HELD, 0, Release, Relaxed).is_err() {
            self.serve_calls(cpu);
            if word.load(Relaxed) & PENDING != 0 {
                self.handle(cpu);
            }
        }
    }

    /// Issues an instruction on another CPU, and returns when that is done.
    pub(super) fn call_for(&self, cpu: usize, op: Op) {
        let Interrupts { word, calls, .. } = &self.cpus[cpu].interrupts;
        calls.borrow_mut().push(op);
        if word.fetch_or(CALLED | HELD, Release) & HELD == 0 {
            self.serve_calls(cpu);
            self.release(cpu);
        } else {
            let here = CPU.with(Cell::get) as usize;
            let served = || word.load(Acquire) & CALLED == 0;
            wait_until(served, || self.serve_calls(here));
        }
    }

    /// Issues the instructions of calls for a CPU, which this thread holds.
    pub(super) fn serve_calls(&self, cpu: usize) {
        if K::CALLS_REACH == 0 {
            return;
        }
        let Interrupts { word, calls, .. } = &self.cpus[cpu].interrupts;
        if word.load(Acquire) & CALLED == 0 {
            return;
        }
        for op in calls.take() {
            self.machine.issue(cpu, &op);
        }
        word.fetch_and(!CALLED, Release);
    }

    /// Handles pending interrupts.
    fn handle(&self, cpu: usize) {
        let word = &self.cpus[cpu].interrupts.word;
        word.fetch_and(!PENDING, Acquire);
        let mmu = self.mmu.get().and_then(Weak::upgrade).expect("a machine");
        let before = CPU.with(|this| this.replace(cpu as u32));
        Self::in_mode(Mode::Off, || {
            let user = self.enter(cpu);
            mmu.handle_ipi(CpuId(cpu as u32));
            if let Some(space) = user {
                self.return_to_user(&mmu, cpu, space);
            }
        });
        CPU.with(|this| this.set(before));
    }

    pub(super) fn send_interrupts(&self, cpus: &CpuSet<1>) {
        assert!(MODE.with(Cell::get) == Mode::Off, "sent with interrupts on");
        for cpu in cpus.iter() {
            let word = &self.cpus[cpu.index()].interrupts.word;
            if word.fetch_or(PENDING | HELD, Release) & HELD == 0 {
                self.handle(cpu.index());
                self.release(cpu.index());
            }
        }
    }

    /// Runs another thread on a CPU at the nth [point](Self::point) from here at which the scheduler may do so.
    pub fn preempt(&self, cpu: usize, nth: usize, by: impl FnOnce() + 'static) {
        let preempts = &self.cpus[cpu].interrupts.preempts;
        preempts.replace(Some((nth, Box::new(by))));
    }

    /// Returns whether the other thread was run.
    pub fn was_preempted(&self, cpu: usize) -> bool {
        self.cpus[cpu].interrupts.preempts.borrow().is_none()
    }

    /// Marks a point in the runtime's code: a pending interrupt is handled, or the scheduler runs another thread, where
    /// the context allows it.
    pub(super) fn point(&self) {
        let cpu = CPU.with(Cell::get) as usize;
        if cpu < self.cpus.len() && MODE.with(Cell::get) != Mode::Free {
            self.serve_calls(cpu);
        }
        match MODE.with(Cell::get) {
            Mode::Off => {}
            Mode::Pinned => {
                let word = &self.cpus[cpu].interrupts.word;
                if word.load(Relaxed) & PENDING != 0 {
                    self.handle(cpu);
                }
            }
            Mode::Free => {
                let this = self.cpus.get(cpu);
                if let Some(preempts) = this.and_then(|this| this.interrupts.preempting()) {
                    self.run_pinned(true, |_| preempts());
                }
            }
        }
    }

    /// Checks the rule for all locks of the runtime: a CPU takes them with interrupts off, one at a time.
    pub(super) fn check_lock(&self, event: LockEvent) {
        let locked = &self.cpus[CPU.with(Cell::get) as usize].interrupts.locked;
        let acquires = event == LockEvent::Acquired;
        let off = MODE.with(Cell::get) == Mode::Off;
        assert!(off, "a lock is held with interrupts on");
        let held = locked.replace(acquires);
        assert!(held != acquires, "two locks are held");
    }

    /// Checks the context in which an instruction is issued: flushes are started and finished with interrupts off where
    /// the facts require it, and roots are always loaded with interrupts off.
    pub(super) fn check_context(op: &Op) {
        let loads = matches!(op, Op::Load { .. });
        let wants = loads || <Toy<K> as Backend>::FACTS.interrupts_off;
        let off = MODE.with(Cell::get) == Mode::Off;
        assert!(off || !wants, "{op:?} is issued with interrupts on");
    }
}
