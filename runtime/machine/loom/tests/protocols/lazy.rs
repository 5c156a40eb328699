//! Lazy CPUs: a flush of pages skips them, a flush of tables interrupts them, and teardown of a space makes them leave
//! it.

use tlbc_machine_loom::toys::{Broadcast, Slots, ToyKind, Untagged};
use tlbc_runtime::Current;
use tlbc_runtime::fault::Fault;
use tlbc_runtime::sync::Barrier;

use crate::check::{Depth::Full, Depth::Long, Depth::Preemptions, RACE, fails, finds, holds};
use crate::entries::unlink_in;
use crate::kernel::World;

/// CPU 1 is lazy in a space and becomes active, while CPU 0 unmaps a page of it.
fn unmap_and_leave_lazy<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let space = world.space(0);
    let now = world.on(1, || {
        let now = world.switch(Current::Kernel, Some(&space));
        world.switch(now, None)
    });
    let there = world.spawn_in(1, &space, move |world, space| {
        world.switch(now, Some(&space))
    });
    world.on(0, || world.unmap(&space, 0, 0));
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_unmapped_while_a_lazy_cpu_becomes_active() {
    holds(Full, unmap_and_leave_lazy::<Slots>);
    holds(Full, unmap_and_leave_lazy::<Untagged>);
}

#[test]
fn without_leave_lazy() {
    let test = unmap_and_leave_lazy::<Slots>;
    fails(Full, Barrier::LeaveLazy, "ForeignPage", test);
}

/// CPU 1 uses a page and becomes lazy, while CPU 0 unmaps the page.
fn unmap_and_go_lazy<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let space = world.space(0);
    let now = world.on(1, || world.switch(Current::Kernel, Some(&space)));
    let there = world.spawn(1, move |world| {
        world.touch(0);
        world.switch(now, None)
    });
    world.on(0, || world.unmap(&space, 0, 0));
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_unmapped_while_a_cpu_becomes_lazy() {
    holds(Full, unmap_and_go_lazy::<Slots>);
    holds(Full, unmap_and_go_lazy::<Untagged>);
}

/// CPU 1 is lazy in a space and loads another one, while CPU 0 frees a table of the first.
fn free_and_load_another<K: ToyKind>() {
    let world = World::<K>::new(2, 2);
    let (space, other) = (world.space(0), world.space(1));
    let now = world.on(1, || {
        let now = world.switch(Current::Kernel, Some(&space));
        world.switch(now, None)
    });
    let there = world.spawn(1, move |world| world.switch(now, Some(&other)));
    world.on(0, || world.unlink(&space, 0));
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_table_is_freed_while_a_lazy_cpu_loads_another_space() {
    holds(Full, free_and_load_another::<Slots>);
    holds(Long, free_and_load_another::<Untagged>);
}

#[test]
fn without_unload() {
    fails(
        Full,
        Barrier::Unload,
        RACE,
        free_and_load_another::<Untagged>,
    );
}

#[test]
fn without_unloaded() {
    fails(
        Full,
        Barrier::Unloaded,
        RACE,
        free_and_load_another::<Untagged>,
    );
}

/// A space is torn down in which CPU 1 is lazy, or which it has just left for another one.
fn end_and_load_another<K: ToyKind>() {
    let world = World::<K>::new(2, 2);
    let (space, other) = (world.space(0), world.space(1));
    let now = world.on(1, || {
        let now = world.switch(Current::Kernel, Some(&space));
        world.switch(now, None)
    });
    let there = world.spawn(1, move |world| world.switch(now, Some(&other)));
    world.on(0, || world.end(&space, 0));
    let _ = there.join().unwrap();
    world.check();
}

/// Instructions reach every CPU, and CPU 0 tears a space down: it flushes if CPU 1 is lazy in it, and frees the table at once if
/// CPU 1 has left the space for another one.
fn tear_down_and_load_another() {
    let world = World::<Broadcast>::new(2, 2);
    let (space, other) = (world.space(0), world.space(1));
    let now = world.on(1, || {
        let now = world.switch(Current::Kernel, Some(&space));
        world.switch(now, None)
    });
    let there = world.spawn(1, move |world| world.switch(now, Some(&other)));
    world.on(0, || {
        world.mmu.teardown(&space, |g| unlink_in(g, &space, 0));
    });
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_space_is_torn_down_while_a_lazy_cpu_loads_another_one() {
    holds(Full, tear_down_and_load_another);
}

#[test]
fn a_teardown_that_overlooks_lazy_cpus_is_found() {
    let fault = Fault::OverlooksLazy;
    finds(Full, fault, "FreedTable", tear_down_and_load_another);
}

/// A lazy CPU unmaps a page of the space, and then uses the space again.
fn unmap_while_lazy<K: ToyKind>() {
    let world = World::<K>::new(1, 1);
    let space = world.space(0);
    let _ = world.on(0, || {
        let now = world.switch(Current::Kernel, Some(&space));
        let now = world.switch(now, None);
        world.unmap(&space, 0, 0);
        world.switch(now, Some(&space))
    });
    world.check();
}

#[test]
fn a_lazy_cpu_unmaps_a_page_and_uses_the_space_again() {
    holds(Full, unmap_while_lazy::<Slots>);
    holds(Full, unmap_while_lazy::<Untagged>);
}

#[test]
fn lazy_cpus_leave_a_space_at_its_teardown() {
    use tlbc_machine_loom::toys::ForLife;
    holds(Long, end_and_load_another::<Slots>);
    // The space is flushed twice, so there are too many interleavings to explore all of them.
    holds(Preemptions(4), end_and_load_another::<ForLife>);
}
