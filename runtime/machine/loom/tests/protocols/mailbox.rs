//! Messages: a CPU acknowledges the message that it was sent, and an outbox is free when all targets have read it.

use tlbc_machine_loom::toys::{Slots, ToyKind, Untagged};
use tlbc_runtime::Current;
use tlbc_runtime::sync::Barrier;

use crate::check::{Depth::Full, Depth::Long, Depth::Preemptions, RACE, fails, holds};
use crate::kernel::{Handle, World};

/// Runs these functions on CPU 0 and CPU 1, both of which run in a space.
fn both_run<K: ToyKind>(
    here: impl FnOnce(&World<K>, &Handle),
    there: impl FnOnce(&World<K>, &Handle) + 'static,
) {
    let world = World::<K>::new(2, 1);
    let space = world.space(0);
    for cpu in 0..2 {
        let _ = world.on(cpu, || world.switch(Current::Kernel, Some(&space)));
    }
    let there = world.spawn_in(1, &space, move |world, space| there(&world, &space));
    world.on(0, || here(&world, &space));
    there.join().unwrap();
    world.check();
}

/// CPU 0 unmaps a page that CPU 1 has used and frees it; CPU 1 flushes everything.
fn both_send<K: ToyKind>() {
    both_run::<K>(
        |world, space| world.clear(space, 0, 0),
        |world, space| {
            world.touch(0);
            world.mmu.flush_everything(space);
        },
    );
}

/// Does the same in gathers, which find that they overlap, and frees both pages.
fn both_unmap<K: ToyKind>() {
    both_run::<K>(
        |world, space| world.unmap(space, 0, 0),
        |world, space| {
            world.touch(0);
            world.unmap(space, 0, 1);
        },
    );
}

#[test]
fn two_cpus_send_to_each_other() {
    holds(Full, both_send::<Slots>);
    holds(Full, both_send::<Untagged>);
    holds(Preemptions(4), both_unmap::<Slots>);
}

#[test]
fn without_post() {
    fails(Full, Barrier::Post, RACE, both_send::<Slots>);
}

#[test]
fn without_receive() {
    fails(Full, Barrier::Receive, RACE, both_send::<Slots>);
}

#[test]
fn without_acknowledge() {
    fails(Full, Barrier::Acknowledge, RACE, both_send::<Slots>);
}

#[test]
fn without_acknowledged() {
    fails(Full, Barrier::Acknowledged, RACE, both_send::<Slots>);
}

/// Uses the outbox of CPU 0 twice, while CPU 1 sends as well.
fn send_twice<K: ToyKind>() {
    both_run::<K>(
        |world, space| {
            world.mmu.wait_for_walkers();
            world.mmu.flush_everything(space);
        },
        |world, space| world.mmu.flush_everything(space),
    );
}

/// Does the same in gathers.
fn unmap_twice<K: ToyKind>() {
    both_run::<K>(
        |world, space| {
            world.unmap(space, 0, 0);
            world.unmap(space, 0, 1);
        },
        |world, space| world.mmu.flush_everything(space),
    );
}

#[test]
fn an_outbox_is_used_again() {
    holds(Long, send_twice::<Slots>);
    holds(Preemptions(4), unmap_twice::<Slots>);
}

/// CPU 1 walks a space in software, without a lock. CPU 0 frees the table, without memory to defer that.
fn walk_and_free<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let space = world.space(0);
    world.refuse_batches();
    let there = world.spawn(1, |world| {
        world.walk(0);
        world.walk(0);
    });
    world.on(0, || world.unlink(&space, 0));
    there.join().unwrap();
    world.check();
}

#[test]
fn a_table_is_freed_after_lockless_walkers() {
    holds(Full, walk_and_free::<Slots>);
}

#[test]
fn without_acknowledge_a_walker_uses_a_freed_table() {
    fails(Full, Barrier::Acknowledge, RACE, walk_and_free::<Slots>);
}

#[test]
fn without_acknowledged_a_walker_uses_a_freed_table() {
    fails(Full, Barrier::Acknowledged, RACE, walk_and_free::<Slots>);
}
