//! Pins: the tag of a space is kept for every device that uses it, and no other space gets it.

use std::rc::Rc;

use tlbc_machine_loom::DeviceFlush;
use tlbc_machine_loom::toys::{Broadcast, Coherent, Crowd, ToyKind};
use tlbc_runtime::fault::Fault;
use tlbc_runtime::sync::Barrier;
use tlbc_runtime::{Current, NotPinned};

use crate::check::{Depth::Full, Depth::Preemptions, fails, finds, holds};
use crate::kernel::{Handle, Runs, World, root};

impl<K: ToyKind> World<K> {
    /// Pins the tag of a space for a device, which walks the space under it.
    fn pin_for(&self, device: usize, space: &Handle, nth: usize) -> u64 {
        let tag = self.mmu.pin_tag(space).expect("tags that are not pinned");
        self.machine().attach_device(device, root(nth), tag.value);
        tag.value
    }

    /// Detaches a device and undoes its pin.
    fn unpin_for(&self, device: usize, space: &Handle) {
        self.machine().detach_device(device);
        self.mmu.flush_everything(space);
        self.mmu.unpin_tag(space).expect("a pin");
    }
}

/// Switches this CPU through these spaces.
fn run_in_all<K: ToyKind>(world: &World<K>, now: Runs, spaces: &[Handle]) -> Runs {
    spaces
        .iter()
        .fold(now, |now, space| world.switch(now, Some(space)))
}

/// Two devices have pinned one space. One is detached, the tags roll over, and a page that the other device uses is
/// unmapped.
fn two_devices_pin() {
    let world = World::<Broadcast>::new(1, 8);
    let devices = [0, 1].map(|_| world.machine().add_device(DeviceFlush::ByBroadcasts));
    let spaces: Vec<_> = (0..8).map(|nth| world.space(nth)).collect();
    world.on(0, || {
        for device in devices {
            world.pin_for(device, &spaces[0], 0);
        }
        world.unpin_for(devices[0], &spaces[0]);
        let now = run_in_all(&world, Current::Kernel, &spaces[1..]);
        let _ = world.switch(now, Some(&spaces[0]));
        world.unmap(&spaces[0], 0, 0);
        world.check();
        world.unpin_for(devices[1], &spaces[0]);
        assert_eq!(world.mmu.unpin_tag(&spaces[0]), Err(NotPinned));
    });
}

#[test]
fn two_devices_pin_a_space() {
    holds(Full, two_devices_pin);
}

#[test]
fn pins_that_are_not_counted_are_found() {
    finds(Full, Fault::PinsOnce, "ForeignPage", two_devices_pin);
}

/// A space had the tag in the last generation that another space has pinned in this one.
fn pin_an_old_tag() {
    let world = World::<Broadcast>::new(1, 6);
    let spaces: Vec<_> = (0..6).map(|nth| world.space(nth)).collect();
    world.on(0, || {
        let now = run_in_all(&world, Current::Kernel, &spaces);
        let tag = world.mmu.pin_tag(&spaces[5]).expect("a tag").value;
        assert_eq!(world.machine().loaded(0), (Some(root(5)), tag));
        let _ = run_in_all(&world, now, &spaces[..5]);
    });
    world.check();
}

#[test]
fn a_pin_belongs_to_one_space() {
    holds(Full, pin_an_old_tag);
}

#[test]
fn pins_by_value_are_found() {
    let fault = Fault::PinsByValue;
    finds(Full, fault, "ForeignPage", pin_an_old_tag);
}

/// CPU 1 pins a space for a device, while the tags roll over on CPU 0; then a page of the space is unmapped.
fn pin_and_roll_over() {
    let world = World::<Crowd<Broadcast>>::new(2, 8);
    let device = world.machine().add_device(DeviceFlush::ByBroadcasts);
    let spaces: Vec<_> = (0..8).map(|nth| world.space(nth)).collect();
    let here = world.on(0, || run_in_all(&world, Current::Kernel, &spaces[..7]));
    let there = world.spawn_in(1, &spaces[0], move |world, space| {
        world.pin_for(device, &space, 0)
    });
    world.on(0, || {
        let now = world.switch(here, Some(&spaces[7]));
        let _ = world.switch(now, Some(&spaces[0]));
        world.unmap(&spaces[0], 0, 0);
    });
    let tag = there.join().unwrap();
    assert_eq!(world.machine().loaded(0).1, tag, "a space has two tags");
    world.check();
}

#[test]
fn a_generation_begins_while_a_space_is_pinned() {
    holds(Preemptions(3), pin_and_roll_over);
}

/// CPU 0 is the only CPU that has run a space, and unmaps a page of it while CPU 1 pins the space for a device.
fn pin_and_unmap<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let device = world.machine().add_device(DeviceFlush::ByBroadcasts);
    let space = world.space(0);
    let _ = world.on(0, || world.switch(Current::Kernel, Some(&space)));
    let there = world.spawn_in(1, &space, move |world, space| {
        world.pin_for(device, &space, 0)
    });
    world.on(0, || world.unmap(&space, 0, 0));
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_unmapped_while_its_space_is_pinned() {
    holds(Full, pin_and_unmap::<Crowd<Broadcast>>);
    holds(Full, pin_and_unmap::<Crowd<Coherent>>);
}

#[test]
fn without_the_barriers_between_a_pin_and_a_flush_of_this_cpu_alone() {
    for barrier in [Barrier::Attach, Barrier::Change] {
        fails(
            Full,
            barrier,
            "ForeignPage",
            pin_and_unmap::<Crowd<Coherent>>,
        );
    }
}

#[test]
fn overlooking_the_device_of_a_pin_is_found() {
    let fault = Fault::OverlooksDevices;
    finds(
        Full,
        fault,
        "ForeignPage",
        pin_and_unmap::<Crowd<Broadcast>>,
    );
    finds(Full, fault, "ForeignPage", unpin_and_unmap);
}

/// CPU 0 is the only CPU that has run a space, and unmaps a page of it while CPU 1 undoes the pin of a device.
fn unpin_and_unmap() {
    let world = World::<Crowd<Broadcast>>::new(2, 1);
    let device = world.machine().add_device(DeviceFlush::ByBroadcasts);
    let space = world.space(0);
    let _ = world.on(0, || {
        world.pin_for(device, &space, 0);
        world.switch(Current::Kernel, Some(&space))
    });
    let there = world.spawn_in(1, &space, move |world, space| {
        world.unpin_for(device, &space);
    });
    world.on(0, || world.unmap(&space, 0, 0));
    there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_unmapped_while_a_pin_is_undone() {
    holds(Full, unpin_and_unmap);
}

/// The spaces, what each CPU runs, and each space's pins with their tag.
struct Model {
    world: World<Crowd<Broadcast>>,
    spaces: Vec<Handle>,
    now: [Runs; 2],
    pins: Vec<(usize, u64)>,
}

impl Model {
    fn new() -> Self {
        let world = World::new(2, 9);
        Self {
            spaces: (0..9).map(|nth| world.space(nth)).collect(),
            world,
            now: [Current::Kernel, Current::Kernel],
            pins: vec![(0, 0); 9],
        }
    }

    /// Loads a space on a CPU. No other space may be pinned with its tag, or be loaded under it.
    fn load(&mut self, cpu: usize, nth: usize) {
        let now = core::mem::replace(&mut self.now[cpu], Current::Kernel);
        let world = &self.world;
        self.now[cpu] = world.on(cpu, || world.switch(now, Some(&self.spaces[nth])));
        self.check_tag(nth, world.machine().loaded(cpu).1);
    }

    fn check_tag(&self, nth: usize, tag: u64) {
        let machine = self.world.machine();
        for (other, (count, pinned)) in self.pins.iter().enumerate() {
            let is_wrong = *count != 0 && (*pinned == tag) != (other == nth);
            assert!(
                !is_wrong,
                "two spaces have one tag, or a pinned space has another one"
            );
        }
        for cpu in 0..2 {
            let (loaded, under) = machine.loaded(cpu);
            let same = loaded == Some(root(nth));
            assert!(!same || under == tag, "a space has two tags");
            assert!(same || under != tag, "two spaces have one tag");
        }
    }

    fn pin(&mut self, nth: usize) {
        if let Ok(tag) = self
            .world
            .on(0, || self.world.mmu.pin_tag(&self.spaces[nth]))
        {
            let (count, pinned) = self.pins[nth];
            assert!(count == 0 || pinned == tag.value, "a pinned tag changes");
            self.pins[nth] = (count + 1, tag.value);
            self.check_tag(nth, tag.value);
        }
    }

    fn unpin(&mut self, nth: usize) {
        let unpinned = self
            .world
            .on(0, || self.world.mmu.unpin_tag(&self.spaces[nth]));
        let (count, _) = &mut self.pins[nth];
        assert_eq!(unpinned.is_ok(), *count != 0, "an unpin without a pin");
        *count = count.saturating_sub(1);
    }

    /// Releases a space that no CPU runs. Another space has its tables from then on.
    fn exit(&mut self, nth: usize) {
        let world = &self.world;
        if (0..2).any(|cpu| world.machine().loaded(cpu).0 == Some(root(nth))) {
            return;
        }
        world.on(0, || {
            world.mmu.teardown(&self.spaces[nth], |_| ());
            assert!(world.mmu.release(&self.spaces[nth]).is_ok());
        });
        self.spaces[nth] = world.space(nth);
        self.pins[nth] = (0, 0);
    }
}

/// Pins, loads and releases spaces in an order that follows from a seed.
fn any_order(seed: u64) {
    let mut model = Model::new();
    let mut state = seed;
    let mut next = |below: usize| {
        // The linear congruential generator of Knuth's MMIX.
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..80 {
        let nth = next(9);
        match next(8) {
            0 => model.pin(nth),
            1 => model.unpin(nth),
            2 => model.exit(nth),
            _ => model.load(next(2), nth),
        }
    }
    model.world.check();
    let rollovers = model.world.mmu.stats().rollovers;
    assert!(rollovers > 1, "the tags roll over");
}

#[test]
fn spaces_keep_their_tags_in_any_order_of_pins_loads_and_releases() {
    for seed in 0..200 {
        holds(Full, move || any_order(seed));
    }
}

#[test]
fn faults_of_pins_are_found_in_some_order() {
    let all = Rc::new(0..200u64);
    for (fault, how) in [
        (Fault::PinsByValue, "two spaces have one tag"),
        (Fault::PinsOnce, "pin"),
    ] {
        let seeds = (*all).clone();
        finds(Full, fault, how, move || seeds.clone().for_each(any_order));
    }
}
