//! Interrupts of the kernel's CPUs.
//!
//! A CPU holds a bit of its word while no other thread may act for it. Where the bit is free an interrupt is handled on the
//! thread that sends it, as one step. Where the CPU holds it, its own thread handles the interrupt when it frees the bit or
//! serves others while it waits: on another thread the handler would not be ordered with what the CPU does meanwhile, as it
//! is on a CPU.
//!
//! Whether interrupts are *off* is another question: a CPU that is [pinned](tlbc_runtime::Platform::pinned) with interrupts on
//! holds the bit as well. An interrupt by another CPU then comes late; the [timer](Kernel::set_timer) comes at once.

use std::cell::{Cell, RefCell};
use std::rc::Weak;

use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use tlbc_machine_loom::Op;
use tlbc_machine_loom::toys::{Kind, Toy};
use tlbc_runtime::sync::wait_until;
use tlbc_runtime::watched::AtomicU64;
use tlbc_runtime::{Backend, CpuId, CpuSet, Cpus};

use super::{CPU, Kernel};

/// The bit is held, or an interrupt is being handled.
const HELD: u64 = 1;
/// An interrupt has come since then.
const PENDING: u64 = 2;

/// What interrupts a CPU may take, as its own thread knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// All, at any time.
    Free,
    /// Its thread stays here; interrupts are on.
    Pinned,
    /// None.
    Off,
}

loom::thread_local! {
    static MODE: Cell<Mode> = Cell::new(Mode::Free);
}

/// What a timer's interrupt does.
type Handler = Box<dyn FnOnce()>;

/// The interrupts of a CPU.
pub(super) struct Interrupts {
    word: AtomicU64,
    /// How many points with interrupts on the timer still waits for, and what it does then.
    timer: RefCell<Option<(usize, Handler)>>,
}

impl Interrupts {
    /// Of a CPU that is off line.
    pub fn new() -> Self {
        Self {
            word: AtomicU64::new(HELD),
            timer: RefCell::default(),
        }
    }
}

impl<K: Kind> Kernel<K> {
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
                self.let_go(cpu as usize);
                result
            }
        }
    }

    /// Runs with interrupts off on a CPU that is not on line before, and takes them afterwards.
    pub(super) fn come<R>(&self, cpu: usize, run: impl FnOnce() -> R) -> R {
        let result = Self::in_mode(Mode::Off, run);
        MODE.with(|mode| mode.set(Mode::Free));
        self.let_go(cpu);
        result
    }

    /// From here on this CPU takes no interrupt.
    pub(super) fn go(&self, cpu: usize) {
        self.hold(cpu);
        MODE.with(|mode| mode.set(Mode::Off));
    }

    /// Holds the CPU, after interrupts that are being handled.
    fn hold(&self, cpu: usize) {
        let word = &self.cpus[cpu].interrupts.word;
        let take = || word.compare_exchange(0, HELD, Acquire, Relaxed).is_ok();
        wait_until(take, || ());
    }

    /// Lets go of the CPU, after handling what has come meanwhile.
    fn let_go(&self, cpu: usize) {
        let word = &self.cpus[cpu].interrupts.word;
        while word.compare_exchange(HELD, 0, Release, Relaxed).is_err() {
            self.handle(cpu);
        }
    }

    /// Handles what is pending.
    fn handle(&self, cpu: usize) {
        let word = &self.cpus[cpu].interrupts.word;
        word.fetch_and(!PENDING, Acquire);
        let mmu = self.mmu.get().and_then(Weak::upgrade).expect("a machine");
        let before = CPU.with(|this| this.replace(cpu as u32));
        Self::in_mode(Mode::Off, || {
            let user = self.enter(cpu);
            mmu.interrupted(CpuId(cpu as u32));
            if let Some(space) = user {
                self.resume(&mmu, cpu, space);
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
                self.let_go(cpu.index());
            }
        }
    }

    /// Sets the timer of a CPU, to the nth [point](Self::point) with interrupts on from here.
    pub(super) fn set_timer(&self, cpu: usize, nth: usize, handler: Handler) {
        let timer = &self.cpus[cpu].interrupts.timer;
        timer.replace(Some((nth, handler)));
    }

    /// Whether the timer is set and has not come.
    pub(super) fn timer_is_set(&self, cpu: usize) -> bool {
        self.cpus[cpu].interrupts.timer.borrow().is_some()
    }

    /// A point in the runtime's code: where interrupts are on the timer may come.
    pub(super) fn point(&self) {
        let cpu = CPU.with(Cell::get) as usize;
        if MODE.with(Cell::get) == Mode::Off {
            return;
        }
        let Some(this) = self.cpus.get(cpu) else {
            return;
        };
        let due = {
            let mut timer = this.interrupts.timer.borrow_mut();
            match &mut *timer {
                Some((0, _)) => timer.take(),
                Some((left, _)) => {
                    *left -= 1;
                    None
                }
                None => None,
            }
        };
        if let Some((_, handler)) = due {
            self.run_pinned(true, |_| handler());
        }
    }

    /// Checks the context in which an instruction is issued: [`Backend::start`] and [`Backend::deliver`] run with interrupts
    /// off where the facts say so, and everything that loads a root does.
    pub(super) fn check_context(&self, op: &Op) {
        let off = MODE.with(Cell::get) == Mode::Off;
        match op {
            Op::Load { .. } => assert!(off, "a root is loaded with interrupts on"),
            Op::Complete => {}
            _ => {
                let wants = <Toy<K> as Backend>::FACTS.interrupts_off;
                assert!(off || !wants, "a flush is started with interrupts on");
            }
        }
    }
}
