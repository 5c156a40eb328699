//! Running the model checker, on what is right and on what has a barrier left out.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};

use tlbc_runtime::sync::{Barrier, leave_out};
use tlbc_runtime::watched::block;

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
    leave_out(None);
    explore(depth, test);
}

/// What the model checker says of two accesses that nothing orders.
pub const RACE: &str = "Causality violation";

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Without a barrier some interleaving goes wrong, in the way that is said.
pub fn fails(depth: Depth, without: Barrier, how: &str, test: impl Fn() + Send + Sync + 'static) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !SILENT.get() {
                before(info);
            }
        }));
    });
    leave_out(Some(without));
    SILENT.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| explore(depth, test)));
    SILENT.set(false);
    leave_out(None);
    let panic = result.expect_err("nothing is wrong without it");
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or("");
    assert!(said.contains(how), "it went wrong in another way: {said}");
}
