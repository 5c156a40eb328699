//! Changes of an entry that stays valid: other attributes, and more rights for agents that cannot repeat an access.

use tlbc_machine_loom::toys::{Broadcast, DEVICE, Slots, ToyKind, Untagged};
use tlbc_machine_loom::{DeviceFlush, Entry, InvalidatedEntries, Op, Where};
use tlbc_runtime::Current;
use tlbc_runtime::fault::Fault;

use crate::check::{Depth::Full, finds, holds};
use crate::entries::{kernel_leaf, leaf};
use crate::kernel::{Layout, World, table};

/// Returns the entry of a page that may only be read.
const fn read_only(frame: usize) -> Entry {
    Entry::Page {
        frame,
        write: false,
        attributes: 0,
    }
}

/// Returns the entry of a page that is accessed in another way.
const fn other_attributes(frame: usize) -> Entry {
    Entry::Page {
        frame,
        write: true,
        attributes: 1,
    }
}

/// CPU 0 changes the attributes of a page and relies on them, while CPU 1 comes back to the space.
fn change_attributes<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let space = world.space(0);
    let now = world.on(1, || {
        let now = world.switch(Current::Kernel, Some(&space));
        world.switch(now, None)
    });
    let there = world.spawn_in(1, &space, move |world, space| {
        world.switch(now, Some(&space))
    });
    world.on(0, || {
        let entry = leaf(&space, 0, 0);
        world.protect(&space, &entry, Entry::page(0), other_attributes(0));
        world.machine().rely_on_attributes(0, 1);
    });
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn attributes_change_while_a_cpu_comes_back() {
    holds(Full, change_attributes::<Slots>);
    holds(Full, change_attributes::<Untagged>);
    holds(Full, change_attributes::<Broadcast>);
}

#[test]
fn ignoring_attributes_is_found() {
    let (fault, how) = (Fault::IgnoresAttributes, "OldAttributes");
    finds(Full, fault, how, change_attributes::<Slots>);
    finds(Full, fault, how, change_attributes::<Broadcast>);
}

/// CPU 0 makes a page of the kernel writable, which CPU 1 then writes to.
fn give_kernel_rights<K: ToyKind>() {
    let world = World::<K>::with(Layout {
        kernel: true,
        ..Layout::of(2, 1)
    });
    let (kernel, frame) = (world.mmu.kernel(), 2);
    world.machine().store(table(1), 0, read_only(frame).bits());
    for cpu in 0..2 {
        world
            .machine()
            .issue(cpu, &Op::Invalidate(InvalidatedEntries::ALL, Where::Here));
    }
    let space = world.space(0);
    let there = world.spawn_in(1, &space, |world, space| {
        world.switch(Current::Kernel, Some(&space))
    });
    world.on(0, || {
        let entry = kernel_leaf(&world, 0);
        world.protect(kernel, &entry, read_only(frame), Entry::page(frame));
        world.machine().rely_on_writable(frame);
    });
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn the_kernel_writes_a_page_that_has_become_writable() {
    holds(Full, give_kernel_rights::<Slots>);
    holds(Full, give_kernel_rights::<Untagged>);
    holds(Full, give_kernel_rights::<Broadcast>);
}

#[test]
fn faults_of_the_kernel_are_found() {
    let (fault, how) = (Fault::KernelFaults, "StricterEntry");
    finds(Full, fault, how, give_kernel_rights::<Slots>);
    finds(Full, fault, how, give_kernel_rights::<Broadcast>);
}

/// CPU 0 makes a page writable, while CPU 1 attaches a device that has stricter entries. Then the device writes to the
/// page.
fn give_rights_and_attach<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let device = world.machine().add_device(DeviceFlush::ByInstructions);
    let space = world.space(0);
    world.machine().store(table(0), 0, read_only(0).bits());
    let there = world.spawn_in(1, &space, move |world, space| {
        world.attach(device, &space, 0, DEVICE)
    });
    world.on(0, || {
        let entry = leaf(&space, 0, 0);
        world.protect(&space, &entry, read_only(0), Entry::page(0));
    });
    let _device = there.join().unwrap();
    world.machine().rely_on_writable(0);
    world.check();
}

#[test]
fn a_page_becomes_writable_while_a_device_is_attached() {
    holds(Full, give_rights_and_attach::<Slots>);
    holds(Full, give_rights_and_attach::<Untagged>);
}

#[test]
fn reading_flags_early_is_found() {
    let (fault, how) = (Fault::ReadsFlagsEarly, "StricterEntry");
    finds(Full, fault, how, give_rights_and_attach::<Slots>);
    finds(Full, fault, how, give_rights_and_attach::<Untagged>);
}
