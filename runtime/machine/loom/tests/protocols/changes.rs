//! A CPU attaches a space that only one CPU had. On machines whose instructions change entries, the instruction depends on
//! which CPUs may have the entry cached, and a change may be deferred until a CPU attaches the space. Where instructions
//! reach every CPU, a flush of one CPU alone is sufficient before another attaches the space.

use tlbc_machine_loom::toys::{Broadcast, Coherent, Deferrer, ToyKind, Writer};
use tlbc_runtime::Current;
use tlbc_runtime::fault::Fault;
use tlbc_runtime::sync::Barrier;

use crate::check::{Depth::Full, Depth::Preemptions, fails, finds, holds};
use crate::entries::leaf;
use crate::kernel::World;

/// CPU 0 is the only CPU that has the space, and unmaps a page while CPU 1 attaches the space. The change is made
/// locally, is deferred, or is made on both CPUs.
fn change_and_attach<K: ToyKind>() {
    let world = World::<K>::new(2, 1);
    let space = world.space(0);
    let _ = world.on(0, || world.switch(Current::Kernel, Some(&space)));
    let there = world.spawn_in(1, &space, move |world, space| {
        world.switch(Current::Kernel, Some(&space))
    });
    world.on(0, || world.unmap(&space, 0, 0));
    let _ = there.join().unwrap();
    world.check();
}

/// CPU 0 clears an entry of a space that CPU 1 had, and loads it again. After the change no user code uses the entry:
/// either an instruction changed it, or no CPU attaches the space before the deferred flush is complete.
fn defer_and_attach() {
    let world = World::<Deferrer>::new(2, 2);
    let (space, other) = (world.space(0), world.space(1));
    let now = world.on(1, || {
        let now = world.switch(Current::Kernel, Some(&space));
        let now = world.switch(now, Some(&other));
        world.switch(now, None)
    });
    let there = world.spawn_in(1, &space, move |world, space| {
        world.switch(now, Some(&space))
    });
    world.on(0, || {
        world.mmu.gather(&space, |g| {
            g.locked((), |section, ()| {
                assert!(section.unmap(leaf(&space, 0, 0)).is_ok());
                let reaches = world.machine().reaches(1, 0).is_some();
                let attached = world.machine().runs_user(1);
                assert!(
                    !(reaches && attached),
                    "attached before the deferred flush was complete"
                );
                loom::skip_branch(); // the rest is not checked here
            });
        });
    });
    let _ = there.join().unwrap();
    world.check();
}

/// CPU 0 has deferred a change, and completes its flush while CPU 1 attaches the space.
pub fn complete_and_attach() {
    let world = World::<Deferrer>::new(2, 1);
    let space = world.space(0);
    let _ = world.on(0, || world.switch(Current::Kernel, Some(&space)));
    let there = world.on(0, || {
        world.mmu.gather(&space, |g| {
            g.locked((), |section, ()| {
                assert!(section.unmap(leaf(&space, 0, 0)).is_ok());
            });
            world.spawn_in(1, &space, move |world, space| {
                world.switch(Current::Kernel, Some(&space))
            })
        })
    });
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_page_is_unmapped_while_another_cpu_attaches() {
    holds(Full, change_and_attach::<Writer>);
    // The change is a store, and a flush of this CPU alone follows, or a broadcast.
    holds(Full, change_and_attach::<Broadcast>);
    holds(Full, change_and_attach::<Coherent>);
    // There are too many interleavings to explore all of them here; those of the two halves are explored below.
    holds(Preemptions(4), change_and_attach::<Deferrer>);
}

#[test]
fn a_change_is_deferred_while_a_cpu_attaches() {
    holds(Full, defer_and_attach);
}

#[test]
fn a_deferred_flush_is_completed_while_a_cpu_attaches() {
    holds(Preemptions(4), complete_and_attach);
}

#[test]
fn without_change() {
    let test = change_and_attach::<Writer>;
    fails(Full, Barrier::Change, "ForeignPage", test);
    fails(
        Full,
        Barrier::Change,
        "before the deferred flush",
        defer_and_attach,
    );
}

/// A CPU attaches the space without waiting for the change. Where an instruction publishes changes, it orders later reads too.
#[test]
fn without_the_barriers_of_a_flush_of_this_cpu_alone() {
    let test = change_and_attach::<Coherent>;
    for barrier in [Barrier::Change, Barrier::SwitchIn] {
        fails(Full, barrier, "ForeignPage", test);
    }
}

#[test]
fn looking_for_other_cpus_before_walkers_see_the_change_is_found() {
    let test = change_and_attach::<Broadcast>;
    finds(Full, Fault::LooksBeforePublish, "ForeignPage", test);
}

#[test]
fn a_local_flush_of_what_is_not_published_is_found() {
    let test = change_and_attach::<Broadcast>;
    finds(Full, Fault::ClaimsPublished, "ForeignPage", test);
}

#[test]
fn without_attach_waits() {
    let test = change_and_attach::<Writer>;
    fails(Full, Barrier::AttachWaits, "ForeignPage", test);
    fails(
        Full,
        Barrier::AttachWaits,
        "before the deferred flush",
        defer_and_attach,
    );
}
