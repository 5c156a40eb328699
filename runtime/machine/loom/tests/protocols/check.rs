//! Runs the model checker: on the runtime as it is, with a barrier left out, and with a fault that it once had.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};

use tlbc_runtime::fault::{Fault, put_back};
use tlbc_runtime::sync::watched::block;
use tlbc_runtime::sync::{Barrier, begin_counters_at, leave_out};

/// How many interleavings are explored.
#[derive(Clone, Copy)]
pub enum Depth {
    /// All of them.
    Full,
    /// All of them takes minutes: those with at most five preemptions, unless [`EVERYTHING`] is set.
    Long,
    /// Those with at most this many preemptions.
    Preemptions(usize),
}

/// The environment variable that makes tests explore all interleavings of two CPUs, however long that takes.
const EVERYTHING: &str = "TLBC_ALL_INTERLEAVINGS";

fn explore(depth: Depth, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.preemption_bound = match depth {
        Depth::Full => None,
        Depth::Long => std::env::var_os(EVERYTHING).is_none().then_some(5),
        Depth::Preemptions(most) => Some(most),
    };
    block(builder.preemption_bound.is_some());
    let executions = Arc::new(AtomicUsize::new(0));
    let begun = std::time::Instant::now();
    builder.check({
        let executions = executions.clone();
        move || {
            executions.fetch_add(1, Relaxed);
            test();
        }
    });
    let (executions, took) = (executions.load(Relaxed), begun.elapsed());
    println!("{executions} executions in {took:.1?}");
}

/// Checks that a test passes in every interleaving.
pub fn holds(depth: Depth, test: impl Fn() + Send + Sync + 'static) {
    explore(depth, test);
}

/// The model checker's message about two accesses that are not ordered.
pub const RACE: &str = "Causality violation";

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Checks that without a barrier some interleaving fails, with this message.
pub fn fails(depth: Depth, without: Barrier, how: &str, test: impl Fn() + Send + Sync + 'static) {
    leave_out(Some(without));
    let said = explore_silently(depth, test);
    leave_out(None);
    assert_went_wrong(said, how);
}

/// Checks that with a fault some interleaving fails, with this message.
pub fn finds(depth: Depth, fault: Fault, how: &str, test: impl Fn() + Send + Sync + 'static) {
    put_back(Some(fault));
    let said = explore_silently(depth, test);
    put_back(None);
    assert_went_wrong(said, how);
}

/// Checks that a test which is wrong itself fails, with this message.
pub fn goes_wrong(how: &str, test: impl Fn() + Send + Sync + 'static) {
    assert_went_wrong(explore_silently(Depth::Full, test), how);
}

/// Runs a check with counters that may wrap starting at a value.
pub fn with_counters_at(count: u64, check: impl FnOnce()) {
    begin_counters_at(count);
    check();
    begin_counters_at(0);
}

/// Explores a test that is expected to panic, without printing the panic. Returns the message of the panic.
fn explore_silently(depth: Depth, test: impl Fn() + Send + Sync + 'static) -> Option<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !SILENT.get() {
                before(info);
            }
        }));
    });
    SILENT.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| explore(depth, test)));
    SILENT.set(false);
    let panic = result.err()?;
    let said = panic.downcast_ref::<String>().cloned();
    let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    Some(said.unwrap_or_default())
}

fn assert_went_wrong(said: Option<String>, how: &str) {
    let said = said.expect("a failure");
    assert!(said.contains(how), "it failed in another way: {said}");
}
