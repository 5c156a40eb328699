//! A page is unmapped, or a table freed, while another CPU loads the space.

use tlbc_machine_loom::toys::{
    Broadcast, Called, Hypervisor, HypervisorUntagged, Slots, ToyKind, Untagged,
};
use tlbc_runtime::Current;
use tlbc_runtime::sync::Barrier;

use crate::check::{
    Depth::{Full, Preemptions},
    fails, holds,
};
use crate::kernel::World;

/// CPU 1 had the space loaded, keeps its entries under a tag if there are tags, runs in another space, and comes back
/// while CPU 0 unmaps a page.
pub fn unmap_and_switch_in<K: ToyKind>() {
    let world = World::<K>::new(2, 2);
    let (space, other) = (world.space(0), world.space(1));
    let now = world.on(1, || {
        let now = world.switch(Current::Kernel, Some(&space));
        let now = world.switch(now, Some(&other));
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
fn a_page_is_unmapped_while_another_cpu_loads_its_space() {
    holds(Full, unmap_and_switch_in::<Slots>);
    holds(Full, unmap_and_switch_in::<Untagged>);
    holds(Full, unmap_and_switch_in::<Called>);
    holds(Full, unmap_and_switch_in::<Broadcast>);
    holds(Preemptions(3), unmap_and_switch_in::<Hypervisor>);
    holds(Preemptions(3), unmap_and_switch_in::<HypervisorUntagged>);
}

#[test]
fn without_switch_in() {
    fails(
        Full,
        Barrier::SwitchIn,
        "ForeignPage",
        unmap_and_switch_in::<Slots>,
    );
}

#[test]
fn without_flush() {
    fails(
        Full,
        Barrier::Flush,
        "ForeignPage",
        unmap_and_switch_in::<Slots>,
    );
}

#[test]
fn without_pending() {
    fails(
        Full,
        Barrier::Pending,
        "ForeignPage",
        unmap_and_switch_in::<Slots>,
    );
}

/// Does the same, while CPU 0 unlinks the table of all pages with its entries.
fn unlink_and_switch_in<K: ToyKind>() {
    let world = World::<K>::new(2, 2);
    let (space, other) = (world.space(0), world.space(1));
    let now = world.on(1, || {
        let now = world.switch(Current::Kernel, Some(&space));
        world.switch(now, Some(&other))
    });
    let there = world.spawn_in(1, &space, move |world, space| {
        world.switch(now, Some(&space))
    });
    world.on(0, || world.unlink_subtree(&space, 0));
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_live_table_is_unlinked_while_another_cpu_loads_its_space() {
    holds(Full, unlink_and_switch_in::<Slots>);
    holds(Full, unlink_and_switch_in::<Untagged>);
    holds(Full, unlink_and_switch_in::<Called>);
    holds(Full, unlink_and_switch_in::<Broadcast>);
    holds(Preemptions(3), unlink_and_switch_in::<Hypervisor>);
    holds(Preemptions(3), unlink_and_switch_in::<HypervisorUntagged>);
}
