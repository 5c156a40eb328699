//! Three CPUs: each protocol with a third CPU that takes part.

use std::rc::Rc;

use loom::sync::Mutex;
use tlbc_machine_loom::toys::{
    Broadcast, Crowd, DEVICE, Deferrer, ForLife, Hypervisor, HypervisorUntagged, Slots, ToyKind,
    Untagged, Writer,
};
use tlbc_runtime::sync::Barrier;
use tlbc_runtime::{Current, SpaceFlags};

use crate::check::{Depth::Preemptions, RACE, fails, holds};
use crate::devices::device_flush;
use crate::entries::leaf;
use crate::kernel::{Handle, Layout, Runs, World, root};

/// Makes these CPUs run in a space.
fn all_run<K: ToyKind, const N: usize>(
    world: &World<K>,
    space: &Handle,
    cpus: [usize; N],
) -> [Runs; N] {
    cpus.map(|cpu| world.on(cpu, || world.switch(Current::Kernel, Some(space))))
}

/// Two CPUs come back, separately and with entries that they kept, to a space of which CPU 0 unmaps a page.
fn unmap_and_two_switch_in<K: ToyKind>() {
    let world = World::<K>::new(3, 2);
    let (space, other) = (world.space(0), world.space(1));
    let there = [1, 2].map(|cpu| {
        let now = world.on(cpu, || {
            let now = world.switch(Current::Kernel, Some(&space));
            let now = world.switch(now, Some(&other));
            world.switch(now, None)
        });
        world.spawn_in(cpu, &space, move |world, space| {
            world.switch(now, Some(&space))
        })
    });
    world.on(0, || world.unmap(&space, 0, 0));
    for cpu in there {
        let _ = cpu.join().unwrap();
    }
    world.check();
}

#[test]
fn a_page_is_unmapped_while_two_cpus_load_its_space() {
    holds(Preemptions(3), unmap_and_two_switch_in::<Slots>);
    holds(Preemptions(3), unmap_and_two_switch_in::<Untagged>);
}

/// CPU 0 unmaps a page in a space that CPU 1, which calls reach, and CPU 2, which they do not, run in; CPU 2 comes from
/// another space.
fn unmap_by_call<K: ToyKind>() {
    let world = World::<K>::new(3, 2);
    let (space, other) = (world.space(0), world.space(1));
    let [_, _] = all_run(&world, &space, [0, 1]);
    let now = world.on(2, || {
        let now = world.switch(Current::Kernel, Some(&space));
        world.switch(now, Some(&other))
    });
    let there = world.spawn_in(2, &space, move |world, space| {
        world.switch(now, Some(&space))
    });
    world.on(0, || world.unmap(&space, 0, 0));
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn calls_reach_one_cpu_and_not_another() {
    holds(Preemptions(3), unmap_by_call::<Hypervisor>);
    holds(Preemptions(3), unmap_by_call::<HypervisorUntagged>);
}

/// Two CPUs unmap a page each, so that the third is sent both flushes in either order, while it leaves the space and
/// comes back.
fn two_send_to_one<K: ToyKind>(gathers: bool) {
    let world = World::<K>::new(3, 1);
    let space = world.space(0);
    let [_, _, third] = all_run(&world, &space, [0, 1, 2]);
    let second = world.spawn_in(1, &space, move |world, space| {
        if gathers {
            world.unmap(&space, 0, 1);
        } else {
            world.clear(&space, 0, 1);
        }
    });
    let last = world.spawn_in(2, &space, move |world, space| {
        world.touch(1);
        let now = world.switch(third, None);
        world.switch(now, Some(&space))
    });
    world.on(0, || {
        if gathers {
            world.unmap(&space, 0, 0);
        } else {
            world.clear(&space, 0, 0);
        }
    });
    second.join().unwrap();
    let _ = last.join().unwrap();
    world.check();
}

#[test]
fn a_cpu_is_sent_two_flushes_in_either_order() {
    holds(Preemptions(2), || two_send_to_one::<Slots>(false));
    holds(Preemptions(2), || two_send_to_one::<Slots>(true));
    holds(Preemptions(2), || two_send_to_one::<Untagged>(false));
}

/// One CPU becomes active and one lazy, while CPU 0 unmaps a page.
fn unmap_and_come_and_go<K: ToyKind>() {
    let world = World::<K>::new(3, 1);
    let space = world.space(0);
    let [comes, goes] = all_run(&world, &space, [1, 2]);
    let comes = world.on(1, || world.switch(comes, None));
    let one = world.spawn_in(1, &space, move |world, space| {
        world.switch(comes, Some(&space))
    });
    let two = world.spawn(2, move |world| {
        world.touch(0);
        world.switch(goes, None)
    });
    world.on(0, || world.clear(&space, 0, 0));
    let _ = (one.join().unwrap(), two.join().unwrap());
    world.check();
}

/// A space is torn down in which one CPU is lazy, and which another one leaves.
fn end_and_leave<K: ToyKind>() {
    let world = World::<K>::new(3, 2);
    let (space, other) = (world.space(0), world.space(1));
    let lazies = all_run(&world, &space, [1, 2]);
    let mut cpus = 1..;
    let [stays, leaves] = lazies.map(|now| {
        let cpu = cpus.next().unwrap();
        world.on(cpu, || world.switch(now, None))
    });
    let one = world.spawn(1, move |world| world.switch(stays, None));
    let two = world.spawn(2, move |world| world.switch(leaves, Some(&other)));
    world.on(0, || world.end(&space, 0));
    let _ = (one.join().unwrap(), two.join().unwrap());
    world.check();
}

#[test]
fn cpus_become_active_and_lazy() {
    holds(Preemptions(3), unmap_and_come_and_go::<Slots>);
    holds(Preemptions(3), unmap_and_come_and_go::<Untagged>);
}

#[test]
fn a_space_is_torn_down_that_is_used_lazily() {
    holds(Preemptions(3), end_and_leave::<Slots>);
    holds(Preemptions(3), end_and_leave::<ForLife>);
}

/// CPU 0 clears an entry in a gather, or unmaps it without waiting; CPU 1 finds it cleared in a gather of its own; CPU
/// 2 has used it and comes back to the space.
fn find_cleared<K: ToyKind>(reclaims: bool) {
    let world = World::<K>::new(3, 1);
    let space = world.space(0);
    let cleared = Rc::new(Mutex::new(false));
    let [last] = all_run(&world, &space, [2]);
    let last = world.on(2, || world.switch(last, None));
    let finds = world.spawn(1, {
        let (space, cleared) = (space.clone(), cleared.clone());
        move |world| {
            let found = world.mmu.gather(&space, |g| {
                g.locked(cleared.lock().unwrap(), |_, cleared| **cleared)
            });
            if found {
                world.machine().reuse(&[0]);
            }
        }
    });
    let comes = world.spawn_in(2, &space, move |world, space| {
        world.switch(last, Some(&space))
    });
    world.on(0, || {
        if reclaims {
            world.reclaim(&space, &cleared);
        } else {
            world.mmu.gather(&space, |g| {
                g.locked(cleared.lock().unwrap(), |section, cleared| {
                    assert!(section.unmap(leaf(&space, 0, 0)).is_ok());
                    **cleared = true;
                });
            });
        }
    });
    finds.join().unwrap();
    let _ = comes.join().unwrap();
    world.check();
}

#[test]
fn a_gather_finds_what_another_one_cleared() {
    holds(Preemptions(3), || find_cleared::<Slots>(false));
    holds(Preemptions(3), || find_cleared::<Broadcast3>(false));
}

#[test]
fn a_gather_finds_what_was_unmapped_without_waiting() {
    holds(Preemptions(3), || find_cleared::<Slots>(true));
    holds(Preemptions(3), || find_cleared::<Broadcast3>(true));
}

type Broadcast3 = Crowd<Broadcast>;

/// All tags are taken, and each CPU loads a space whose tag another CPU has by then, or that has none.
fn roll_over() {
    let world = World::<Broadcast3>::new(3, 8);
    let spaces: Vec<_> = (0..8).map(|nth| world.space(nth)).collect();
    let mut now = [Current::Kernel, Current::Kernel, Current::Kernel];
    for (nth, space) in spaces[..7].iter().enumerate() {
        let runs = core::mem::replace(&mut now[nth % 3], Current::Kernel);
        now[nth % 3] = world.on(nth % 3, || world.switch(runs, Some(space)));
    }
    let [first, second, third] = now;
    let to = |cpu, runs, space: &Handle| {
        world.spawn_in(cpu, space, move |world, space| {
            world.switch(runs, Some(&space))
        })
    };
    let there = [to(1, second, &spaces[0]), to(2, third, &spaces[1])];
    let _ = world.on(0, || world.switch(first, Some(&spaces[7])));
    for cpu in there {
        let _ = cpu.join().unwrap();
    }
    let tags = [0, 1, 2].map(|cpu| world.machine().loaded(cpu));
    assert_eq!(
        tags.map(|tag| tag.0),
        [Some(root(7)), Some(root(0)), Some(root(1))]
    );
    let tags = tags.map(|tag| tag.1);
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2]);
    assert!(world.mmu.stats().rollovers > 0);
    world.check();
}

#[test]
fn all_cpus_roll_over() {
    holds(Preemptions(3), roll_over);
}

/// CPU 0 is the only CPU that has the space, and unmaps a page while two CPUs attach it.
fn change_and_two_attach<K: ToyKind>() {
    let world = World::<K>::new(3, 1);
    let space = world.space(0);
    let _ = all_run(&world, &space, [0]);
    let there = [1, 2].map(|cpu| {
        world.spawn_in(cpu, &space, move |world, space| {
            world.switch(Current::Kernel, Some(&space))
        })
    });
    world.on(0, || world.unmap(&space, 0, 0));
    for cpu in there {
        let _ = cpu.join().unwrap();
    }
    world.check();
}

#[test]
fn a_page_is_unmapped_while_two_cpus_attach() {
    holds(Preemptions(3), change_and_two_attach::<Writer>);
    holds(Preemptions(1), change_and_two_attach::<Deferrer>);
}

/// CPU 1 attaches a device to a space and CPU 2 loads the space, while CPU 0 unmaps a page.
fn unmap_and_attach_device<K: ToyKind>(holds: SpaceFlags) {
    let world = World::<K>::new(3, 1);
    let device = world.machine().add_device(device_flush(holds));
    let space = world.space(0);
    let attaches = world.spawn_in(1, &space, move |world, space| {
        world.attach(device, &space, 0, holds)
    });
    let loads = world.spawn_in(2, &space, move |world, space| {
        world.switch(Current::Kernel, Some(&space))
    });
    world.on(0, || world.clear(&space, 0, 0));
    let _device = attaches.join().unwrap();
    let _ = loads.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_unmapped_while_a_device_is_attached() {
    for holds_then in [SpaceFlags::NONE, DEVICE] {
        holds(Preemptions(3), move || {
            unmap_and_attach_device::<Slots>(holds_then);
        });
    }
    // Every CPU takes an interrupt.
    holds(Preemptions(3), || {
        unmap_and_attach_device::<Writer>(SpaceFlags::NONE);
    });
}

/// One CPU goes offline and one comes online, while CPU 0 unmaps a page of the kernel.
fn unmap_and_change_places<K: ToyKind>() {
    let world = World::<K>::with(Layout {
        online: 2,
        kernel: true,
        ..Layout::of(3, 0)
    });
    let goes = world.spawn(1, |world| world.cpu_offline(Current::Kernel));
    let comes = world.spawn(2, |world| world.cpu_online());
    world.on(0, || world.unmap_kernel(0));
    goes.join().unwrap();
    let _ = comes.join().unwrap();
    world.check();
}

#[test]
fn a_cpu_goes_offline_while_another_comes_online() {
    holds(Preemptions(3), unmap_and_change_places::<Slots>);
}

#[test]
fn without_switch_in() {
    let test = unmap_and_two_switch_in::<Slots>;
    fails(Preemptions(3), Barrier::SwitchIn, "ForeignPage", test);
}

#[test]
fn without_attach_waits() {
    let test = change_and_two_attach::<Writer>;
    fails(Preemptions(3), Barrier::AttachWaits, "ForeignPage", test);
}

#[test]
fn without_leave_lazy() {
    let test = unmap_and_come_and_go::<Slots>;
    fails(Preemptions(3), Barrier::LeaveLazy, "ForeignPage", test);
}

#[test]
fn without_attach() {
    let test = || unmap_and_attach_device::<Slots>(SpaceFlags::NONE);
    fails(Preemptions(3), Barrier::Attach, "ForeignPage", test);
}

#[test]
fn without_acknowledged() {
    let test = || two_send_to_one::<Slots>(false);
    fails(Preemptions(2), Barrier::Acknowledged, RACE, test);
}
