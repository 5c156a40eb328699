//! CPUs that go offline or come online while other CPUs send them messages.

use tlbc_machine_loom::toys::{Slots, ToyKind, Untagged};
use tlbc_runtime::Current;
use tlbc_runtime::sync::Barrier;

use crate::check::{Depth::Full, Depth::Long, fails, holds};
use crate::kernel::{Layout, World};

/// CPU 1, which runs in a space, goes offline while CPU 0 unmaps a page of it.
fn unmap_and_offline<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let space = world.space(0);
    let now = world.on(1, || world.switch(Current::Kernel, Some(&space)));
    let there = world.spawn(1, move |world| {
        world.touch(0);
        world.cpu_offline(now);
    });
    world.on(0, || world.unmap(&space, 0, 0));
    there.join().unwrap();
    world.check();
}

#[test]
fn a_cpu_goes_offline_while_it_is_sent_a_message() {
    holds(Long, unmap_and_offline::<Slots>);
    holds(Long, unmap_and_offline::<Untagged>);
}

#[test]
fn without_offline() {
    fails(
        Full,
        Barrier::Offline,
        "branches",
        unmap_and_offline::<Slots>,
    );
}

#[test]
fn without_send() {
    fails(Full, Barrier::Send, "branches", unmap_and_offline::<Slots>);
}

/// CPU 1 comes online while CPU 0 unmaps a page of the kernel.
fn unmap_and_online<K: ToyKind>() {
    let world = World::<K>::with(Layout {
        online: 1,
        kernel: true,
        ..Layout::of(2, 0)
    });
    let there = world.spawn(1, |world| world.cpu_online());
    world.on(0, || world.unmap_kernel(0));
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_kernel_page_is_unmapped_while_a_cpu_comes_online() {
    holds(Full, unmap_and_online::<Slots>);
    holds(Full, unmap_and_online::<Untagged>);
}

#[test]
fn without_switch_in() {
    let test = unmap_and_online::<Slots>;
    fails(Full, Barrier::SwitchIn, "ForeignPage", test);
}

#[test]
fn without_flush() {
    let test = unmap_and_online::<Slots>;
    fails(Full, Barrier::Flush, "ForeignPage", test);
}
