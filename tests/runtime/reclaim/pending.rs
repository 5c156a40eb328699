//! What becomes of the flush of a batch that is still pending: the next section completes it, or a flush of everything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;

use tlbc_runtime::{Backend, CpuId, NewSpace, Section};
use tlbc_tests::hosted::{Event, Hosted};
use tlbc_tests::watched::{Asked, Flush, Seen};

use super::{World, number, redeemed};

/// Returns the flushes that a section begins with, and whether it found a pending flush.
fn begins_with<B: Backend + Send + Sync + 'static>(world: &World<B>, nth: usize) -> Vec<Flush> {
    world.events();
    let space = &world.spaces[nth];
    let body = |_: &mut Section<'_, '_, _>, (): &mut ()| world.events();
    let events = world.mmu.gather(space, |gather| gather.locked((), body));
    let ends_with = world.events();
    let flushes = |events: Vec<Event<Seen>>| {
        let flushes = events.into_iter().filter_map(|event| match event {
            Event::Issued(_, Seen::Started(flush)) => Some(flush),
            _ => None,
        });
        flushes.collect::<Vec<_>>()
    };
    assert_eq!(flushes(ends_with), []);
    flushes(events)
}

/// A section that locks the tables in between relies on no pending flush: it completes the flush first, and once.
fn the_next_section_completes_pending_flushes<B: Backend + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    let world = World::new(backend, new);
    let before = world.mmu.stats_of(CpuId(0));
    world.reclaim(|reclaim| {
        let token = world.unmap(reclaim, 0, 0);
        assert_eq!(world.spaces[0].flush_pending(), world.defers);
        assert!(!world.spaces[1].flush_pending());
        assert_eq!(
            begins_with(&world, 1),
            [],
            "nothing of this space is pending"
        );
        let flushes = begins_with(&world, 0);
        assert_eq!(flushes.len(), usize::from(world.defers));
        let everything = Asked::Everything { tables: true };
        assert!(flushes.iter().all(|flush| flush.asked == everything));
        assert!(!world.spaces[0].flush_pending());
        assert_eq!(begins_with(&world, 0), [], "once is enough");
        let again = world.unmap(reclaim, 0, 1);
        assert_eq!(begins_with(&world, 0).len(), flushes.len());
        let waited = reclaim.wait();
        assert_eq!(redeemed(&waited, token), number(0, 0));
        assert_eq!(redeemed(&waited, again), number(0, 1));
    });
    assert_eq!(begins_with_on_cpu(&world, 0), []);
    let counts = world.mmu.stats_of(CpuId(0));
    let pending = 2 * u64::from(world.defers);
    assert_eq!(counts.full_deferred, pending);
    assert_eq!(counts.completed - before.completed, pending);
    assert!(counts.deferred - before.deferred >= pending);
}

fn begins_with_on_cpu<B: Backend + Send + Sync + 'static>(
    world: &World<B>,
    nth: usize,
) -> Vec<Flush> {
    Hosted::on(&world.mmu, 0, || begins_with(world, nth))
}

mod next_section {
    tlbc_tests::tests_on_every_machine!(super::the_next_section_completes_pending_flushes);
}

/// A flush of everything of a space completes its pending flushes: an explicit one, and the one at teardown.
fn a_flush_of_everything_completes_pending_flushes<B: Backend + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    let world = World::new(backend, new);
    world.reclaim(|reclaim| {
        let token = world.unmap(reclaim, 0, 0);
        world.mmu.flush_everything(&world.spaces[0]);
        assert!(!world.spaces[0].flush_pending());
        assert_eq!(redeemed(&reclaim.wait(), token), number(0, 0));
        let token = world.unmap(reclaim, 1, 0);
        world.mmu.teardown(&world.spaces[1], |_| ());
        assert!(!world.spaces[1].flush_pending());
        assert_eq!(redeemed(&reclaim.wait(), token), number(1, 0));
    });
}

mod everything {
    tlbc_tests::tests_on_every_machine!(super::a_flush_of_everything_completes_pending_flushes);
}

/// A batch that panics has waited for nothing; the flush stays pending.
fn a_panic_leaves_the_flush_pending<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace) {
    let world = World::new(backend, new);
    world.mmu.platform().loses.store(true, SeqCst);
    let mut token = None;
    Hosted::on(&world.mmu, 0, || {
        let result = catch_unwind(AssertUnwindSafe(|| {
            world.mmu.reclaim(|reclaim| {
                token = Some(world.unmap(reclaim, 0, 0));
                panic!("within");
            });
        }));
        assert!(result.is_err());
        let pending = world.defers;
        assert_eq!(world.spaces[0].flush_pending(), pending);
        let waited = world.mmu.reclaim(|reclaim| {
            world.events();
            reclaim.wait()
        });
        let token = token.expect("it was unmapped");
        assert_eq!(waited.redeem(token).is_err(), pending, "of another round");
        assert_eq!(begins_with(&world, 0).len(), usize::from(pending));
        assert_eq!(begins_with(&world, 0), []);
    });
}

mod panics {
    tlbc_tests::tests_on_every_machine!(super::a_panic_leaves_the_flush_pending);
}
