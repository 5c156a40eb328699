//! Devices that share a space's tables are counted in before they fill.

use tlbc_machine_loom::toys::{Broadcast, DEVICE, Kind, Slots, Untagged, Writer};
use tlbc_runtime::Conditions;
use tlbc_runtime::sync::Barrier;

use crate::check::{Depth::Full, RACE, fails, holds};
use crate::kernel::{World, root};

/// A device comes to a space on CPU 1, while CPU 0 unmaps a page.
fn unmap_and_attach<K: Kind>(holds: Conditions) {
    let world = World::<K>::new(2, 1);
    world.machine().add_device();
    let space = world.space(0);
    let there = world.spawn_in(1, &space, move |world, space| {
        let _device = world.mmu.attach_device(&space, holds).unwrap();
        world.machine().attach_device(root(0));
    });
    world.on(0, || world.unmap(&space, 0, 0));
    there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_unmapped_while_a_device_comes() {
    for holds_then in [Conditions::NONE, DEVICE] {
        holds(Full, move || unmap_and_attach::<Slots>(holds_then));
        holds(Full, move || unmap_and_attach::<Untagged>(holds_then));
    }
    // Instructions reach CPUs, and not this device.
    holds(Full, || unmap_and_attach::<Broadcast>(Conditions::NONE));
    holds(Full, || unmap_and_attach::<Writer>(Conditions::NONE));
}

/// Where publishing is an instruction that waits, as of [`Broadcast`], it would do as well.
#[test]
fn without_attach_everywhere() {
    let writer = || unmap_and_attach::<Writer>(Conditions::NONE);
    fails(Full, Barrier::AttachEverywhere, "ForeignPage", writer);
}

#[test]
fn without_flush() {
    for holds_then in [Conditions::NONE, DEVICE] {
        let test = move || unmap_and_attach::<Slots>(holds_then);
        fails(Full, Barrier::Flush, "ForeignPage", test);
    }
}

#[test]
fn without_attach() {
    let test = || unmap_and_attach::<Slots>(Conditions::NONE);
    fails(Full, Barrier::Attach, "ForeignPage", test);
}

/// CPU 1 comes on line and unmaps a page, while CPU 0 attaches a device, for which those come who are on line.
fn come_and_attach<K: Kind>() {
    let world = World::<K>::coming(2, 1, 0, 1);
    world.machine().add_device();
    let space = world.space(0);
    let there = world.spawn_in(1, &space, move |world, space| {
        let now = world.arrive();
        world.unmap(&space, 0, 0);
        now
    });
    world.on(0, || {
        let _device = world.mmu.attach_device(&space, Conditions::NONE).unwrap();
        world.machine().attach_device(root(0));
    });
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_cpu_comes_and_unmaps_a_page_while_a_device_comes() {
    holds(Full, come_and_attach::<Writer>);
    holds(Full, come_and_attach::<Broadcast>);
}

#[test]
fn without_attach_where_a_cpu_comes() {
    fails(
        Full,
        Barrier::Attach,
        "ForeignPage",
        come_and_attach::<Writer>,
    );
}

/// A device goes that had a space, on CPU 1, while CPU 0 unmaps a page.
fn unmap_and_detach<K: Kind>(holds: Conditions) {
    let world = World::<K>::new(2, 1);
    world.machine().add_device();
    let space = world.space(0);
    let device = world.on(0, || {
        let device = world.mmu.attach_device(&space, holds).unwrap();
        world.machine().attach_device(root(0));
        device
    });
    let there = world.spawn_in(1, &space, move |world, space| {
        world.machine().detach_device();
        world.mmu.detach_device(&space, device).unwrap();
    });
    world.on(0, || world.clear(&space, 0, 0));
    there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_unmapped_while_a_device_goes() {
    for holds_then in [Conditions::NONE, DEVICE] {
        holds(Full, move || unmap_and_detach::<Slots>(holds_then));
        holds(Full, move || unmap_and_detach::<Untagged>(holds_then));
    }
}

#[test]
fn without_pay() {
    for holds_then in [Conditions::NONE, DEVICE] {
        let test = move || unmap_and_detach::<Slots>(holds_then);
        fails(Full, Barrier::Pay, RACE, test);
    }
}

#[test]
fn without_due() {
    for holds_then in [Conditions::NONE, DEVICE] {
        let test = move || unmap_and_detach::<Slots>(holds_then);
        fails(Full, Barrier::Due, RACE, test);
    }
}
