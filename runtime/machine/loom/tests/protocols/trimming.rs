//! A flush of everything removes CPUs from the cpumask of the space, except those that fill entries after it.

use tlbc_machine_loom::toys::{Deferrer, ToyKind, Writer};
use tlbc_runtime::Current;
use tlbc_runtime::fault::Fault;

use crate::check::{Depth::Preemptions, finds, holds};
use crate::kernel::World;

/// CPU 0 flushes everything of a space, then unmaps a page of it; CPU 1 runs in the space, leaves it in between and
/// comes back.
fn flush_and_leave<K: ToyKind>() {
    let world = World::<K>::new(2, 2);
    let (space, other) = (world.space(0), world.space(1));
    let [_, there] =
        [0, 1].map(|cpu| world.on(cpu, || world.switch(Current::Kernel, Some(&space))));
    let there = world.spawn_in(1, &space, move |world, space| {
        let now = world.switch(there, Some(&other));
        world.switch(now, Some(&space))
    });
    world.on(0, || {
        world.mmu.flush_everything(&space);
        world.unmap(&space, 0, 0);
    });
    let _ = there.join().unwrap();
    world.check();
}

#[test]
fn a_cpu_that_fills_after_a_flush_of_everything_stays_in_the_cpumask() {
    holds(Preemptions(3), flush_and_leave::<Writer>);
    holds(Preemptions(3), flush_and_leave::<Deferrer>);
}

#[test]
fn reading_the_cpumask_after_the_flush_or_losing_a_cpu_is_found() {
    for fault in [Fault::TrimsAfterFlush, Fault::TrimsEntering] {
        finds(
            Preemptions(3),
            fault,
            "ForeignPage",
            flush_and_leave::<Writer>,
        );
        finds(
            Preemptions(3),
            fault,
            "ForeignPage",
            flush_and_leave::<Deferrer>,
        );
    }
}
