//! Tags: no two spaces have the same tag at one time, and a reused tag has no stale entries.

use tlbc_machine_loom::toys::{Broadcast, Called, ToyKind};
use tlbc_runtime::Current;
use tlbc_runtime::fault::Fault;
use tlbc_runtime::sync::Barrier;

use crate::check::{Depth, Depth::Full, Depth::Preemptions, fails, finds, holds};
use crate::kernel::{Handle, Runs, World, root};

/// Creates six spaces, of which the first five have all the tags: CPU 1 has loaded these of them, the last one now, and
/// CPU 0 the others.
fn all_tags_taken<K: ToyKind>(world: &World<K>, by_cpu_1: &[usize]) -> (Vec<Handle>, [Runs; 2]) {
    let spaces: Vec<_> = (0..6).map(|nth| world.space(nth)).collect();
    let mut now = [Current::Kernel, Current::Kernel];
    for (nth, space) in spaces[..5].iter().enumerate() {
        let cpu = usize::from(by_cpu_1.contains(&nth));
        let runs = core::mem::replace(&mut now[cpu], Current::Kernel);
        now[cpu] = world.on(cpu, || world.switch(runs, Some(space)));
    }
    (spaces, now)
}

/// All tags are taken. CPU 0 loads a space that has no tag, so that the tags roll over, while CPU 1 switches to a space
/// that had one; then both continue.
pub fn roll_over<K: ToyKind>() {
    let world = World::<K>::new(2, 6);
    let (spaces, [here, there]) = all_tags_taken(&world, &[1, 3]);
    let there = world.spawn(1, {
        let space = spaces[0].clone();
        move |world| world.switch(there, Some(&space))
    });
    let here = world.on(0, || world.switch(here, Some(&spaces[5])));
    let there = there.join().unwrap();
    let tags = [0, 1].map(|cpu| world.machine().loaded(cpu));
    assert_eq!(tags.map(|tag| tag.0), [Some(root(5)), Some(root(0))]);
    assert_ne!(tags[0].1, tags[1].1, "two spaces have one tag");
    let _ = world.on(0, || world.switch(here, Some(&spaces[0])));
    let tags = [0, 1].map(|cpu| world.machine().loaded(cpu));
    assert_eq!(tags[0], tags[1], "a space has two tags");
    let _ = world.on(1, || world.switch(there, Some(&spaces[1])));
    assert!(world.mmu.stats().rollovers > 0);
    world.check();
}

#[test]
fn the_tags_roll_over_while_a_space_is_loaded() {
    holds(Full, roll_over::<Broadcast>);
    holds(Full, roll_over::<Called>);
}

#[test]
fn without_lock() {
    let how = "two spaces have one tag";
    fails(Full, Barrier::Lock, how, roll_over::<Broadcast>);
}

#[test]
fn without_unlock() {
    let how = "two spaces have one tag";
    fails(Full, Barrier::Unlock, how, roll_over::<Broadcast>);
}

/// Does the same, while CPU 0 unmaps a page of the space that CPU 1 loads, under whichever tag it has then.
fn roll_over_and_unmap<K: ToyKind>() {
    let world = World::<K>::new(2, 6);
    let (spaces, [_, there]) = all_tags_taken(&world, &[0, 1, 2, 3, 4]);
    let there = world.on(1, || world.switch(there, Some(&spaces[5])));
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
    holds(Full, roll_over_and_unmap::<Broadcast>);
    holds(Full, roll_over_and_unmap::<Called>);
}

/// The tags roll over at any point of a switch of CPU 1, which leaves space 0. The space that gets a tag then may get
/// that of space 0, and is loaded by CPU 1 next.
fn roll_over_in_a_switch<K: ToyKind>() {
    let world = World::<K>::new(2, 6);
    let (spaces, [here, there]) = all_tags_taken(&world, &[0]);
    let there = world.spawn(1, {
        let space = spaces[1].clone();
        move |world| world.switch(there, Some(&space))
    });
    let _ = world.on(0, || world.switch(here, Some(&spaces[5])));
    let there = there.join().unwrap();
    let _ = world.on(1, || world.switch(there, Some(&spaces[5])));
    world.check();
}

#[test]
fn the_tags_roll_over_in_a_switch() {
    holds(Full, roll_over_in_a_switch::<Broadcast>);
    holds(Full, roll_over_in_a_switch::<Called>);
}

#[test]
fn a_flush_under_the_old_root_is_found() {
    let fault = Fault::FlushesUnderOldRoot;
    let test = roll_over_in_a_switch::<Broadcast>;
    finds(Full, fault, "ForeignPage", test);
}

/// Does the same, and CPU 0 frees the table of space 0, under whichever tag it has then: CPU 1 may still have it
/// loaded.
fn roll_over_and_free<K: ToyKind>() {
    let world = World::<K>::new(2, 6);
    let (spaces, [here, there]) = all_tags_taken(&world, &[0]);
    let there = world.spawn(1, {
        let space = spaces[1].clone();
        move |world| world.switch(there, Some(&space))
    });
    let _ = world.on(0, || {
        let here = world.switch(here, Some(&spaces[5]));
        let now = world.switch(here, Some(&spaces[0]));
        world.unlink(&spaces[0], 0);
        now
    });
    let _ = there.join().unwrap();
    world.check();
}

const ROLLS_OVER_AND_FREES: Depth = Preemptions(3);

#[test]
fn a_tag_that_a_cpu_leaves_is_not_reused_early() {
    holds(ROLLS_OVER_AND_FREES, roll_over_and_free::<Broadcast>);
    holds(ROLLS_OVER_AND_FREES, roll_over_and_free::<Called>);
}

#[test]
fn a_tag_that_is_reused_in_a_switch_is_found() {
    let (fault, how) = (Fault::FlushesUnderOldRoot, "FreedTable");
    let test = roll_over_and_free::<Broadcast>;
    finds(ROLLS_OVER_AND_FREES, fault, how, test);
}

#[test]
fn without_run_tag() {
    let test = roll_over_and_free::<Broadcast>;
    fails(ROLLS_OVER_AND_FREES, Barrier::RunTag, "ForeignPage", test);
}
