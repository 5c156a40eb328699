//! Runs the model checker: on the runtime as it is, with a barrier left out, and with a fault put back.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};

use tlbc_runtime::fault::{Fault, put_back};
use tlbc_runtime::sync::watched::block;
use tlbc_runtime::sync::{Barrier, begin_counters_at, leave_out};

/// How far threads are interleaved.
#[derive(Clone, Copy)]
pub enum Depth {
    /// In every way.
    Full,
    /// With so many preemptions.
    Preemptions(usize),
}

fn explore(depth: Depth, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.preemption_bound = match depth {
        Depth::Full => None,
        Depth::Preemptions(most) => Some(most),
    };
    block(matches!(depth, Depth::Preemptions(_)));
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

/// In every interleaving nothing is wrong.
pub fn holds(depth: Depth, test: impl Fn() + Send + Sync + 'static) {
    explore(depth, test);
}

/// What the model checker says of two accesses that nothing orders.
pub const RACE: &str = "Causality violation";

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Without a barrier some interleaving goes wrong, in the way that is said.
pub fn fails(depth: Depth, without: Barrier, how: &str, test: impl Fn() + Send + Sync + 'static) {
    leave_out(Some(without));
    let said = explore_silently(depth, test);
    leave_out(None);
    assert_went_wrong(said, how);
}

/// With a fault put back some interleaving goes wrong, in the way that is said.
pub fn finds(depth: Depth, fault: Fault, how: &str, test: impl Fn() + Send + Sync + 'static) {
    put_back(Some(fault));
    let said = explore_silently(depth, test);
    put_back(None);
    assert_went_wrong(said, how);
}

/// A test that is wrong itself goes wrong, in the way that is said.
pub fn goes_wrong(how: &str, test: impl Fn() + Send + Sync + 'static) {
    assert_went_wrong(explore_silently(Depth::Full, test), how);
}

/// Runs a check in which counters that may wrap begin at a value.
pub fn with_counters_at(count: u64, check: impl FnOnce()) {
    begin_counters_at(count);
    check();
    begin_counters_at(0);
}

/// Explores a test that is to panic, without printing the panic. Returns its message, if it did.
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
    let said = said.expect("nothing goes wrong");
    assert!(said.contains(how), "it went wrong in another way: {said}");
}
