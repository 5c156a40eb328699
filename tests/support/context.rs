//! The context of a thread on a hosted machine: a CPU, with interrupts on or off, within some call of the runtime.
//!
//! Each thread has a stack of contexts, because an interrupt is handled on the thread that sends it, and a test may act
//! as another CPU within a hook. A check that fails panics with the [`Rule`] that was violated, and makes every other
//! CPU of the machine that waits for this one panic.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use tlbc_runtime::platform::LockEvent;

use crate::counted::Outstanding;
use crate::rules::Rule;

/// State that the CPUs of one machine share, besides the runtime.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Pages, tables and memory that the runtime holds.
    pub outstanding: Arc<Outstanding>,
    /// The first failure, if there was one.
    failed: OnceLock<String>,
}

impl Shared {
    /// Records a failure. Only the first is kept.
    pub fn fail(&self, why: String) {
        let _ = self.failed.set(why);
    }

    /// Returns whether there was a failure.
    pub fn has_failed(&self) -> bool {
        self.failed.get().is_some()
    }

    /// Panics if there was a failure on any CPU.
    pub fn check(&self) {
        if let Some(why) = self.failed.get() {
            panic!("the machine has failed: {why}");
        }
    }
}

/// Whether interrupts are on, and what disabled them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupts {
    On,
    /// The caller, before it called the runtime.
    OffByKernel,
    /// The runtime.
    OffByRuntime,
}

/// The method of the platform that is being called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    Defer,
    Secondary,
}

/// A thread's context as a CPU.
#[derive(Debug, Clone)]
struct Context {
    machine: Arc<Shared>,
    cpu: u32,
    interrupts: Interrupts,
    /// The outermost `pin_cpu` that is running, by a unique number; 0 if there is none.
    pinned: u64,
    /// The `pin_cpu` in which the last flush was started.
    started: u64,
    within: Option<Within>,
    /// Whether a lock of the runtime is held.
    locked: bool,
    /// Whether a lock was released since the last look.
    unlocked: bool,
}

static PINS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static STACK: RefCell<Vec<Context>> = const { RefCell::new(Vec::new()) };
}

fn top<R>(run: impl FnOnce(&mut Context) -> R) -> R {
    STACK.with_borrow_mut(|stack| run(stack.last_mut().expect("a thread that is a CPU")))
}

/// Restores the context that [`change`] changed, when it is dropped.
#[must_use]
pub(crate) struct Undo(Option<Context>);

impl Drop for Undo {
    fn drop(&mut self) {
        STACK.with_borrow_mut(|stack| match self.0.take() {
            // A flush that was started stays started.
            Some(before) => {
                if let Some(top) = stack.last_mut() {
                    let started = top.started;
                    *top = Context { started, ..before };
                }
            }
            None => drop(stack.pop()),
        });
    }
}

/// Makes this thread a CPU. If the thread is this CPU already, the new context continues that one.
pub(crate) fn enter(machine: &Arc<Shared>, cpu: u32) -> Undo {
    STACK.with_borrow_mut(|stack| {
        let same =
            |context: &&Context| Arc::ptr_eq(&context.machine, machine) && context.cpu == cpu;
        let known = stack.iter().rev().find(same).cloned();
        stack.push(known.unwrap_or_else(|| Context {
            machine: machine.clone(),
            cpu,
            interrupts: Interrupts::On,
            pinned: 0,
            started: 0,
            within: None,
            locked: false,
            unlocked: false,
        }));
    });
    Undo(None)
}

/// Makes this thread a CPU that handles an interrupt.
pub(crate) fn enter_handler(machine: &Arc<Shared>, cpu: u32) -> Undo {
    STACK.with_borrow_mut(|stack| {
        stack.push(Context {
            machine: machine.clone(),
            cpu,
            interrupts: Interrupts::OffByKernel,
            pinned: PINS.fetch_add(1, SeqCst),
            started: 0,
            within: None,
            locked: false,
            unlocked: false,
        });
    });
    Undo(None)
}

fn change(change: impl FnOnce(&mut Context)) -> Undo {
    top(|context| {
        let before = context.clone();
        change(context);
        Undo(Some(before))
    })
}

/// Disables preemption on this CPU; interrupts are still taken.
pub(crate) fn pin() -> Undo {
    change(|context| context.pinned = PINS.fetch_add(1, SeqCst))
}

/// Disables interrupts.
pub(crate) fn turn_off(by: Interrupts) -> Undo {
    change(|context| context.interrupts = by)
}

/// Enters a method of the platform.
pub(crate) fn within(method: Within) -> Undo {
    change(|context| context.within = Some(method))
}

/// Returns the CPU that this thread is, if it is one.
pub(crate) fn cpu() -> Option<u32> {
    STACK.with_borrow(|stack| stack.last().map(|context| context.cpu))
}

/// Returns whether this CPU is pinned.
pub(crate) fn is_pinned() -> bool {
    top(|context| context.pinned != 0)
}

/// Returns whether interrupts are off on this CPU.
pub(crate) fn interrupts_off() -> bool {
    top(|context| context.interrupts != Interrupts::On)
}

/// Returns the pages and tables that the runtime of this CPU's machine holds.
pub(crate) fn outstanding() -> Arc<Outstanding> {
    top(|context| context.machine.outstanding.clone())
}

/// Records that a lock of the runtime is taken here, or about to be released.
#[track_caller]
pub(crate) fn lock_event(number: u32, event: LockEvent) {
    require_cpu(number, Rule::LockInterruptsOff);
    require_off(Rule::LockInterruptsOff);
    let acquired = event == LockEvent::Acquired;
    let before = top(|context| {
        context.unlocked = !acquired;
        std::mem::replace(&mut context.locked, acquired)
    });
    require(before != acquired, Rule::OneLockAtATime);
}

/// Returns whether a lock of the runtime was released here since the last call.
pub(crate) fn was_unlocked() -> bool {
    top(|context| std::mem::take(&mut context.unlocked))
}

/// Requires that no lock of the runtime is held.
#[track_caller]
pub(crate) fn require_unlocked() {
    require(!top(|context| context.locked), Rule::LocksAreShort);
}

/// Panics with a rule if it is violated.
#[track_caller]
pub(crate) fn require(holds: bool, rule: Rule) {
    if !holds {
        let (file, sentence) = rule.stated();
        let on = cpu().map_or_else(String::new, |cpu| format!(" on CPU {cpu}"));
        let why = format!("violated{on}: \"{sentence}\" ({file})");
        if cpu().is_some() {
            top(|context| context.machine.fail(why.clone()));
        }
        panic!("{why}");
    }
}

/// Requires that interrupts are off.
#[track_caller]
pub(crate) fn require_off(rule: Rule) {
    require(cpu().is_some() && interrupts_off(), rule);
}

/// Requires that this thread is this CPU.
#[track_caller]
pub(crate) fn require_cpu(number: u32, rule: Rule) {
    require(cpu() == Some(number), rule);
}

/// Requires that interrupts are as the caller of the runtime left them.
#[track_caller]
pub(crate) fn require_callers_interrupts(rule: Rule) {
    require(
        top(|context| context.interrupts) != Interrupts::OffByRuntime,
        rule,
    );
}

/// Requires that no method of the platform is being called that must not flush or wait.
#[track_caller]
pub(crate) fn require_outside(within: Within, rule: Rule) {
    require(top(|context| context.within) != Some(within), rule);
}

/// Records the start of a flush.
#[track_caller]
pub(crate) fn start_flush() {
    require(is_pinned(), Rule::FlushStaysOnCpu);
    top(|context| context.started = context.pinned);
}

/// Records the end of a flush that was started here.
#[track_caller]
pub(crate) fn finish_flush() {
    let same = top(|context| context.pinned != 0 && context.started == context.pinned);
    require(same, Rule::FlushStaysOnCpu);
}
