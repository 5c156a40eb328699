//! Devices that share the tables of a space are counted before they fill.

use tlbc_machine_loom::DeviceFlush;
use tlbc_machine_loom::toys::{Broadcast, DEVICE, Slots, ToyKind, Untagged, Writer};
use tlbc_runtime::fault::Fault;
use tlbc_runtime::sync::Barrier;
use tlbc_runtime::{Attached, SpaceFlags};

use crate::check::{Depth::Full, Depth::Preemptions, RACE, fails, finds, holds};
use crate::kernel::{Handle, Layout, World, root};

/// Returns how a device is flushed whose space has these flags.
pub const fn device_flush(holds: SpaceFlags) -> DeviceFlush {
    if holds.0 == DEVICE.0 {
        DeviceFlush::ByInstructions
    } else {
        DeviceFlush::ByDriver
    }
}

impl<K: ToyKind> World<K> {
    /// Attaches a device, which needs these flags, to a space.
    pub fn attach(&self, device: usize, space: &Handle, nth: usize, flags: SpaceFlags) -> Attached {
        let attached = self.mmu.attach_device(space, flags).expect("few devices");
        self.machine().attach_device(device, root(nth), 0);
        attached
    }

    /// Detaches a device from a space.
    pub fn detach(&self, device: usize, space: &Handle, attached: Attached) {
        self.machine().detach_device(device);
        let detached = self.mmu.detach_device(space, attached);
        assert!(detached.is_ok(), "a device of the space");
    }
}

/// Attaches a device to a space on CPU 1, while CPU 0 unmaps a page.
fn unmap_and_attach<K: ToyKind>(holds: SpaceFlags) {
    let world = World::<K>::new(2, 1);
    let device = world.machine().add_device(device_flush(holds));
    let space = world.space(0);
    let there = world.spawn_in(1, &space, move |world, space| {
        world.attach(device, &space, 0, holds)
    });
    world.on(0, || world.unmap(&space, 0, 0));
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_unmapped_while_a_device_is_attached() {
    for holds_then in [SpaceFlags::NONE, DEVICE] {
        holds(Full, move || unmap_and_attach::<Slots>(holds_then));
        holds(Full, move || unmap_and_attach::<Untagged>(holds_then));
    }
    // The instructions reach CPUs, but not this device. Every CPU takes an interrupt, so there are too many
    // interleavings to explore all of them.
    holds(Preemptions(4), || {
        unmap_and_attach::<Broadcast>(SpaceFlags::NONE);
    });
    holds(Preemptions(4), || {
        unmap_and_attach::<Writer>(SpaceFlags::NONE);
    });
}

/// Where publishing is an instruction that waits, as on [`Broadcast`], that instruction has the same effect.
#[test]
fn without_attach_everywhere() {
    let writer = || unmap_and_attach::<Writer>(SpaceFlags::NONE);
    fails(Full, Barrier::AttachEverywhere, "ForeignPage", writer);
}

#[test]
fn without_flush() {
    for holds_then in [SpaceFlags::NONE, DEVICE] {
        let test = move || unmap_and_attach::<Slots>(holds_then);
        fails(Full, Barrier::Flush, "ForeignPage", test);
    }
}

#[test]
fn without_attach() {
    let test = || unmap_and_attach::<Slots>(SpaceFlags::NONE);
    fails(Full, Barrier::Attach, "ForeignPage", test);
}

/// CPU 1 comes online and unmaps a page, while CPU 0 attaches a device, for which the CPUs that are online take an
/// interrupt.
fn online_and_attach<K: ToyKind>() {
    let world = World::<K>::with(Layout {
        online: 1,
        ..Layout::of(2, 1)
    });
    let device = world.machine().add_device(DeviceFlush::ByDriver);
    let space = world.space(0);
    let there = world.spawn_in(1, &space, move |world, space| {
        let now = world.cpu_online();
        world.unmap(&space, 0, 0);
        now
    });
    let _device = world.on(0, || world.attach(device, &space, 0, SpaceFlags::NONE));
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_cpu_comes_online_and_unmaps_while_a_device_is_attached() {
    holds(Preemptions(4), online_and_attach::<Writer>);
    holds(Preemptions(4), online_and_attach::<Broadcast>);
}

#[test]
fn without_attach_when_a_cpu_comes_online() {
    fails(
        Full,
        Barrier::Attach,
        "ForeignPage",
        online_and_attach::<Writer>,
    );
}

/// Detaches a device from a space on CPU 1, while CPU 0 unmaps a page.
fn unmap_and_detach<K: ToyKind>(holds: SpaceFlags) {
    let world = World::<K>::new(2, 1);
    let device = world.machine().add_device(device_flush(holds));
    let space = world.space(0);
    let attached = world.on(0, || world.attach(device, &space, 0, holds));
    let there = world.spawn_in(1, &space, move |world, space| {
        world.detach(device, &space, attached);
    });
    world.on(0, || world.clear(&space, 0, 0));
    there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_unmapped_while_a_device_is_detached() {
    for holds_then in [SpaceFlags::NONE, DEVICE] {
        holds(Full, move || unmap_and_detach::<Slots>(holds_then));
        holds(Full, move || unmap_and_detach::<Untagged>(holds_then));
    }
}

#[test]
fn without_complete() {
    for holds_then in [SpaceFlags::NONE, DEVICE] {
        let test = move || unmap_and_detach::<Slots>(holds_then);
        fails(Full, Barrier::Complete, RACE, test);
    }
}

#[test]
fn without_pending() {
    for holds_then in [SpaceFlags::NONE, DEVICE] {
        let test = move || unmap_and_detach::<Slots>(holds_then);
        fails(Full, Barrier::Pending, RACE, test);
    }
}

/// Detaches a device from a space on CPU 1, while CPU 0 attaches another one and then unmaps a page. Both devices need
/// the same flag of the space.
fn detach_and_attach<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let [goes, comes] = [0, 1].map(|_| world.machine().add_device(DeviceFlush::ByInstructions));
    let space = world.space(0);
    let attached = world.on(0, || world.attach(goes, &space, 0, DEVICE));
    let there = world.spawn_in(1, &space, move |world, space| {
        world.detach(goes, &space, attached);
    });
    let _device = world.on(0, || {
        let device = world.attach(comes, &space, 0, DEVICE);
        world.clear(&space, 0, 0);
        device
    });
    there.join().unwrap();
    world.check();
}

#[test]
fn a_device_is_attached_while_another_is_detached() {
    holds(Preemptions(3), detach_and_attach::<Slots>);
    holds(Preemptions(3), detach_and_attach::<Untagged>);
}

#[test]
fn clearing_flags_of_another_device_is_found() {
    let fault = Fault::ClearsFlagsOfOthers;
    let test = detach_and_attach::<Slots>;
    finds(Preemptions(3), fault, "ForeignPage", test);
}
