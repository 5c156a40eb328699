//! Views of user code: their flush is deferred, and completed before user code runs.

use tlbc_machine_loom::toys::Viewed;
use tlbc_runtime::Current;
use tlbc_runtime::sync::Barrier;

use crate::check::{Depth::Full, fails, holds};
use crate::kernel::World;

/// CPU 1 ran user code in a space, runs in another one, and comes back to user code while CPU 0 unmaps a page.
fn unmap_and_come_back() {
    let world = World::<Viewed>::new(2, 2);
    let (space, other) = (world.space(0), world.space(1));
    let now = world.on(1, || {
        let now = world.switch(Current::Kernel, Some(&space));
        world.return_to_user(&space);
        world.enter();
        let now = world.switch(now, Some(&other));
        world.switch(now, None)
    });
    let there = world.spawn_in(1, &space, move |world, space| {
        let now = world.switch(now, Some(&space));
        world.return_to_user(&space);
        now
    });
    world.on(0, || world.clear(&space, 0, 0));
    let _ = there.join().unwrap();
    world.check();
}

/// CPU 1 runs user code, enters the kernel and returns, while CPU 0 unmaps a page.
fn unmap_and_return() {
    let world = World::<Viewed>::new(2, 1);
    let space = world.space(0);
    let _ = world.on(1, || {
        let now = world.switch(Current::Kernel, Some(&space));
        world.return_to_user(&space);
        now
    });
    let there = world.spawn_in(1, &space, move |world, space| {
        world.enter();
        world.return_to_user(&space);
    });
    world.on(0, || world.clear(&space, 0, 0));
    there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_unmapped_before_user_code_continues() {
    holds(Full, unmap_and_come_back);
    holds(Full, unmap_and_return);
}

#[test]
fn without_switch_in() {
    fails(Full, Barrier::SwitchIn, "ForeignPage", unmap_and_come_back);
}

#[test]
fn without_flush() {
    fails(Full, Barrier::Flush, "ForeignPage", unmap_and_come_back);
}
