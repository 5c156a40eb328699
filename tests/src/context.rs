//! What a thread is to a hosted machine: a CPU, with interrupts on or off, within some call of the runtime.
//!
//! Each thread has a stack of contexts, for an interrupt is handled on the thread that sends it, and a test may act as
//! another CPU within a hook. A check that fails panics with the [`Rule`] that was violated, and makes every other CPU of
//! the machine panic that waits for this one.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use tlbc_runtime::platform::LockEvent;

use crate::counted::Ledger;
use crate::rules::Rule;

/// What the CPUs of one machine share beside the runtime.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Pages, tables and memory that were given to the runtime.
    pub ledger: Arc<Ledger>,
    /// What went wrong, if anything did.
    failed: OnceLock<String>,
}

impl Shared {
    /// Notes what went wrong; only the first counts.
    pub fn fail(&self, why: String) {
        let _ = self.failed.set(why);
    }

    /// Whether something went wrong.
    pub fn has_failed(&self) -> bool {
        self.failed.get().is_some()
    }

    /// Panics if something went wrong on any CPU.
    pub fn check(&self) {
        if let Some(why) = self.failed.get() {
            panic!("the machine has failed: {why}");
        }
    }
}

/// Who turned interrupts off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupts {
    On,
    /// They were off before the runtime was called.
    OffByKernel,
    /// The runtime asked for it.
    OffByRuntime,
}

/// A method of the platform that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    Defer,
    Secondary,
}

/// A thread as a CPU.
#[derive(Debug, Clone)]
struct Context {
    machine: Arc<Shared>,
    cpu: u32,
    interrupts: Interrupts,
    /// Which outermost `pinned` runs, by a number that no other has; 0 for none.
    pinned: u64,
    /// In which `pinned` a flush was started last.
    started: u64,
    within: Option<Within>,
    /// Whether a lock of the runtime is held.
    locked: bool,
    /// Whether one was, and is not since.
    unlocked: bool,
}

static PINS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static STACK: RefCell<Vec<Context>> = const { RefCell::new(Vec::new()) };
}

fn top<R>(run: impl FnOnce(&mut Context) -> R) -> R {
    STACK.with_borrow_mut(|stack| run(stack.last_mut().expect("a thread that is a CPU")))
}

/// What [`change`] did is undone when this is dropped.
#[must_use]
pub(crate) struct Undo(Option<Context>);

impl Drop for Undo {
    fn drop(&mut self) {
        STACK.with_borrow_mut(|stack| match self.0.take() {
            // What was started is started.
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

/// Makes this thread a CPU; the same as it is already, further down on this thread, if it is.
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

/// From here on nothing else runs on this CPU, but for interrupts.
pub(crate) fn pin() -> Undo {
    change(|context| context.pinned = PINS.fetch_add(1, SeqCst))
}

/// From here on interrupts are off.
pub(crate) fn turn_off(by: Interrupts) -> Undo {
    change(|context| context.interrupts = by)
}

/// From here on a method of the platform is called.
pub(crate) fn within(method: Within) -> Undo {
    change(|context| context.within = Some(method))
}

/// Which CPU this thread is, if it is one.
pub(crate) fn cpu() -> Option<u32> {
    STACK.with_borrow(|stack| stack.last().map(|context| context.cpu))
}

/// Whether something is pinned to this CPU.
pub(crate) fn is_pinned() -> bool {
    top(|context| context.pinned != 0)
}

/// Whether its interrupts are off.
pub(crate) fn interrupts_off() -> bool {
    top(|context| context.interrupts != Interrupts::On)
}

/// The ledger of the machine of which this thread is a CPU.
pub(crate) fn ledger() -> Arc<Ledger> {
    top(|context| context.machine.ledger.clone())
}

/// A lock of the runtime is taken here, or about to be released.
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

/// Whether a lock of the runtime was released here since this was last asked.
pub(crate) fn was_unlocked() -> bool {
    top(|context| std::mem::take(&mut context.unlocked))
}

/// No lock of the runtime is held.
#[track_caller]
pub(crate) fn require_unlocked() {
    require(!top(|context| context.locked), Rule::LocksAreShort);
}

/// Panics with a rule that does not hold.
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

/// Interrupts are off.
#[track_caller]
pub(crate) fn require_off(rule: Rule) {
    require(cpu().is_some() && interrupts_off(), rule);
}

/// This thread is that CPU.
#[track_caller]
pub(crate) fn require_cpu(number: u32, rule: Rule) {
    require(cpu() == Some(number), rule);
}

/// Interrupts are as the caller of the runtime left them.
#[track_caller]
pub(crate) fn require_callers_interrupts(rule: Rule) {
    require(
        top(|context| context.interrupts) != Interrupts::OffByRuntime,
        rule,
    );
}

/// No method of the platform is called that may not flush or wait.
#[track_caller]
pub(crate) fn require_outside(within: Within, rule: Rule) {
    require(top(|context| context.within) != Some(within), rule);
}

/// A flush starts here.
#[track_caller]
pub(crate) fn start_flush() {
    require(is_pinned(), Rule::FlushStaysOnCpu);
    top(|context| context.started = context.pinned);
}

/// A flush that was started here is finished.
#[track_caller]
pub(crate) fn finish_flush() {
    let same = top(|context| context.pinned != 0 && context.started == context.pinned);
    require(same, Rule::FlushStaysOnCpu);
}
