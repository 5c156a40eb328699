//! Tags: no two spaces have one at the same time, and one that is given out again is clean.

use tlbc_machine_loom::toys::{Broadcast, Called, Kind};
use tlbc_runtime::Current;
use tlbc_runtime::sync::Barrier;

use crate::check::{Depth, fails, holds};
use crate::kernel::{World, root};

/// All tags are taken. CPU 0 loads a space that has none, so that everybody starts anew, while CPU 1 goes to one that had
/// one; then both go on.
fn roll_over<K: Kind>() {
    let world = World::<K>::new(2, 5);
    let spaces: Vec<_> = (0..5).map(|nth| world.space(nth)).collect();
    let mut now = vec![Current::Kernel, Current::Kernel];
    for (nth, space) in spaces[..4].iter().enumerate() {
        let runs = core::mem::replace(&mut now[nth % 2], Current::Kernel);
        now[nth % 2] = world.on(nth % 2, || world.switch(runs, Some(space)));
    }
    // CPU 0 runs in space 2, CPU 1 in space 3.
    let there = now.pop().unwrap();
    let here = now.pop().unwrap();
    let there = world.spawn(1, {
        let space = spaces[0].clone();
        move |world| world.switch(there, Some(&space))
    });
    let here = world.on(0, || world.switch(here, Some(&spaces[4])));
    let there = there.join().unwrap();
    let tags = [0, 1].map(|cpu| world.machine().loaded(cpu));
    assert_eq!(tags.map(|tag| tag.0), [Some(root(4)), Some(root(0))]);
    assert_ne!(tags[0].1, tags[1].1, "two spaces have one tag");
    let _ = world.on(0, || world.switch(here, Some(&spaces[0])));
    let tags = [0, 1].map(|cpu| world.machine().loaded(cpu));
    assert_eq!(tags[0], tags[1], "a space has two tags");
    let _ = world.on(1, || world.switch(there, Some(&spaces[1])));
    assert!(world.mmu.counts().rollovers > 0);
    world.check();
}

#[test]
fn everybody_starts_anew_while_a_space_is_loaded() {
    holds(Depth::Full, roll_over::<Broadcast>);
    holds(Depth::Full, roll_over::<Called>);
}

#[test]
fn without_lock() {
    let how = "two spaces have one tag";
    fails(Depth::Full, Barrier::Lock, how, roll_over::<Broadcast>);
}

#[test]
fn without_unlock() {
    let how = "two spaces have one tag";
    fails(Depth::Full, Barrier::Unlock, how, roll_over::<Broadcast>);
}

/// The same, while CPU 0 unmaps a page of the space that CPU 1 loads: under whichever tag it has by then.
fn roll_over_and_unmap<K: Kind>() {
    let world = World::<K>::new(2, 5);
    let spaces: Vec<_> = (0..5).map(|nth| world.space(nth)).collect();
    let mut there = Current::Kernel;
    for space in &spaces {
        there = world.on(1, || world.switch(there, Some(space)));
    }
    let there = world.spawn(1, {
        let space = spaces[0].clone();
        move |world| world.switch(there, Some(&space))
    });
    world.on(0, || world.unmap(&spaces[0], 0, 0));
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_unmapped_while_its_space_gets_another_tag() {
    holds(Depth::Full, roll_over_and_unmap::<Broadcast>);
    holds(Depth::Full, roll_over_and_unmap::<Called>);
}
