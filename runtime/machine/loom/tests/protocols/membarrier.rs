//! What `membarrier` relies on: there is a full barrier between the scheduler's store of what runs and user code.

use std::rc::Rc;

use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::{Relaxed, SeqCst};
use loom::sync::atomic::fence;
use tlbc_machine_loom::toys::Slots;
use tlbc_runtime::Current;
use tlbc_runtime::sync::Barrier;

use crate::check::{Depth::Full, fails, holds};
use crate::kernel::World;

/// CPU 1 switches to a space, lazily loaded or not. CPU 0 requires a barrier on every CPU that runs in it, and finds
/// none.
fn barrier_and_switch(lazy: bool) {
    let world = World::<Slots>::new(2, 1);
    let space = world.space(0);
    let now = if lazy {
        world.on(1, || {
            let now = world.switch(Current::Kernel, Some(&space));
            world.switch(now, None)
        })
    } else {
        Current::Kernel
    };
    let running = Rc::new(AtomicUsize::new(0));
    let data = Rc::new(AtomicUsize::new(0));
    let there = world.spawn(1, {
        let (running, data) = (running.clone(), data.clone());
        move |world| {
            running.store(1, Relaxed);
            let now = world.switch(now, Some(&space));
            (now, data.load(Relaxed))
        }
    });
    data.store(1, Relaxed);
    fence(SeqCst);
    let runs = running.load(Relaxed);
    let (_, seen) = there.join().unwrap();
    assert!(runs == 1 || seen == 1, "neither side saw the other");
}

#[test]
fn the_barrier_sees_the_cpu_or_the_cpu_sees_its_stores() {
    holds(Full, || barrier_and_switch(false));
    holds(Full, || barrier_and_switch(true));
}

#[test]
fn without_switch_in() {
    fails(Full, Barrier::SwitchIn, "neither", || {
        barrier_and_switch(false);
    });
}

#[test]
fn without_leave_lazy() {
    fails(Full, Barrier::LeaveLazy, "neither", || {
        barrier_and_switch(true);
    });
}
