//! Batched unmaps: pages that are unmapped one by one and waited for together.

mod alone;
mod pending;

use std::sync::atomic::Ordering::SeqCst;

use tlbc_runtime::request::Reach;
use tlbc_runtime::{
    Backend, Current, FinishSteps, Gather, Level, NewSpace, UnmapBatch, Unmapped, Waited,
};
use tlbc_tests::hosted::{Event, Handle, Hosted, Page};
use tlbc_tests::model::{Machine, machine};
use tlbc_tests::tables::{DIRTY, Entries, WRITE};
use tlbc_tests::watched::{Seen, Stale, Watched};

const PAGES: usize = 4;

type Token = Unmapped<Page>;

/// Two spaces on three CPUs: CPU 0, which reclaims, and CPU 2 run in the first, and CPU 1 in the second.
struct World<B: Backend + Send + Sync + 'static> {
    mmu: Machine<B>,
    spaces: [Handle<Watched<B>>; 2],
    tables: [Entries; 2],
    /// Whether flushes of a space are sent as IPIs, and instructions do not reach the CPUs.
    interrupts: bool,
    /// Whether the flush of an unmapped page is deferred until the wait: entries change by plain stores, and what is clean
    /// stays clean. If not, the unmapping flushes.
    defers: bool,
}

/// The space that each CPU runs in.
const RUNS: [usize; 3] = [0, 1, 0];

impl<B: Backend + Send + Sync + 'static> World<B> {
    fn new(backend: B, new: NewSpace) -> Self {
        let mmu = machine(backend, RUNS.len());
        let spaces = [0, 1].map(|nth| {
            let new = NewSpace {
                table: new.table + (nth << 32),
                ..new
            };
            Hosted::space(&mmu, new).expect("a tag")
        });
        for (cpu, space) in (0..).zip(RUNS) {
            let _ = Hosted::on(&mmu, cpu, || {
                Hosted::switch(&mmu, Current::Kernel, Some(&spaces[space]))
            });
        }
        let tables = [0, 1].map(|nth: usize| {
            let table = Entries::new(mmu.platform().backend(), &spaces[nth], Level(0), 0, PAGES);
            (0..PAGES).for_each(|index| table.map(index, number(nth, index), 0));
            table
        });
        // A flush names the agents that it reaches.
        Hosted::on(&mmu, 0, || mmu.flush_everything(&spaces[1]));
        let interrupted = |event: &Event<_>| matches!(event, Event::Interrupted(_));
        let interrupts = mmu.platform().events().iter().any(interrupted);
        mmu.platform().backend().made();
        let facts = mmu.platform().backend().change_facts(spaces[0].flags());
        Self {
            mmu,
            spaces,
            tables,
            interrupts,
            defers: B::FACTS.pte_update.is_store() && facts.clean_to_dirty_walks,
        }
    }

    /// Runs on CPU 0.
    fn reclaim<R>(&self, body: impl FnOnce(&mut UnmapBatch<'_, Hosted<Watched<B>>>) -> R) -> R {
        let left = || self.mmu.platform().backend().steps_left().0;
        let before = left();
        let result = Hosted::on(&self.mmu, 0, || self.mmu.reclaim(body));
        let left = FinishSteps(left() & !before);
        assert_eq!(
            left,
            FinishSteps::NONE,
            "each flush is completed as it requires"
        );
        result
    }

    fn unmap(
        &self,
        reclaim: &mut UnmapBatch<'_, Hosted<Watched<B>>>,
        nth: usize,
        index: usize,
    ) -> Token {
        let backend = self.mmu.platform().backend();
        backend.subject.store(nth as u64, SeqCst);
        let leaf = self.tables[nth].leaf(index).expect("it is mapped");
        let unmapped = reclaim.unmap(&self.spaces[nth], leaf);
        unmapped
            .expect("an entry of this space")
            .expect("it kept a page")
    }

    /// Returns whether the events invalidate the page on every CPU that may use it: an IPI makes the CPU flush what names the
    /// page, or CPU 0, which reclaims, starts and finishes a flush that names it; that flush reaches all CPUs if no CPU gets
    /// an IPI, since another CPU runs in each space.
    fn is_invalidated(&self, events: &[Event<Seen>], nth: usize, index: usize) -> bool {
        let levels = self.mmu.platform().backend().levels();
        let stale = Stale::Leaf(Level(0), self.tables[nth].slot(index).va);
        let started = events.iter().position(|event| match event {
            Event::Issued(0, Seen::Started(flush)) => {
                let reaches = self.interrupts || flush.reach == Reach::Wide;
                reaches && flush.subject == nth as u64 && flush.asked.covers(levels, &stale)
            }
            _ => false,
        });
        let finished = |event: &Event<Seen>| matches!(event, Event::Issued(0, Seen::Finished(_)));
        let flushed = started.is_some_and(|started| events[started..].iter().any(finished));
        if !self.interrupts {
            return flushed;
        }
        let mut runs = (0..).zip(RUNS).filter(|(_, space)| *space == nth);
        runs.all(|(cpu, _)| {
            let handled = |event: &Event<Seen>| match event {
                Event::Issued(by, Seen::Handled(asked)) => {
                    *by == cpu && asked.covers(levels, &stale)
                }
                _ => false,
            };
            cpu == 0 && flushed || events.iter().any(handled)
        })
    }

    /// Returns the number of waits among the events: flushes that were finished, or IPIs.
    fn waits(&self, events: &[Event<Seen>]) -> usize {
        let waits = events.iter().filter(|event| match event {
            Event::Issued(_, Seen::Finished(_)) => !self.interrupts,
            Event::Interrupted(_) => self.interrupts,
            _ => false,
        });
        waits.count()
    }

    fn events(&self) -> Vec<Event<Seen>> {
        self.mmu.platform().events()
    }
}

fn number(nth: usize, index: usize) -> u64 {
    (nth * 100 + index) as u64
}

fn redeemed(waited: &Waited, token: Token) -> u64 {
    waited.redeem(token).expect("its own batch").number
}

/// One wait for the pages of several spaces.
fn one_wait_serves_all<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace) {
    let world = World::new(backend, new);
    let all: Vec<_> = (0..2)
        .flat_map(|nth| (0..PAGES).map(move |index| (nth, index)))
        .collect();
    world.reclaim(|reclaim| {
        let unmapped = all
            .iter()
            .map(|&(nth, index)| world.unmap(reclaim, nth, index));
        let tokens: Vec<_> = unmapped.collect();
        let before = world.events();
        let pending = world.spaces.each_ref().map(|space| space.flush_pending());
        let waited = reclaim.wait();
        let after = world.events();
        if world.defers {
            assert_eq!(pending, [true, true]);
            assert_eq!((world.waits(&before), world.waits(&after)), (0, 1));
        } else {
            assert_eq!((pending, &after), ([false, false], &vec![]));
        }
        if B::FACTS.pte_update.is_store() {
            let events = [before, after].concat();
            for &(nth, index) in &all {
                assert!(
                    world.is_invalidated(&events, nth, index),
                    "{nth} {index} in {events:?}"
                );
            }
        }
        for (token, (nth, index)) in tokens.into_iter().zip(all) {
            assert_eq!(redeemed(&waited, token), number(nth, index));
        }
        assert_eq!(reclaim.before_io(), ());
        assert_eq!(world.events(), [], "all was waited for");
    });
    assert_eq!(world.events(), [], "at its end there is nothing left");
}

mod one_wait {
    tlbc_tests::tests_on_every_machine!(super::one_wait_serves_all);
}

/// Pages that the caller does not wait for are waited for at the end, but no wait redeems them.
fn the_end_waits<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace) {
    let world = World::new(backend, new);
    world.mmu.platform().loses.store(true, SeqCst);
    let _token = world.reclaim(|reclaim| world.unmap(reclaim, 1, 0));
    if B::FACTS.pte_update.is_store() {
        let events = world.events();
        assert_eq!(world.waits(&events), 1);
        assert!(world.is_invalidated(&events, 1, 0));
    }
}

mod end {
    tlbc_tests::tests_on_every_machine!(super::the_end_waits);
}

/// A page that was unmapped after the wait, or in another batch, is returned unredeemed.
fn batches_are_not_mixed<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace) {
    let world = World::new(backend, new);
    let defers = world.defers;
    let redeem = |waited: &Waited, token: Token, own: bool| match waited.redeem(token) {
        Ok(page) => {
            // If the unmapping has invalidated it any wait redeems it.
            assert!(own || !defers);
            Err(page.number)
        }
        Err(token) => {
            assert!(!own && defers);
            Ok(token)
        }
    };
    world.reclaim(|reclaim| {
        let first = world.unmap(reclaim, 0, 0);
        let waited = reclaim.wait();
        let second = world.unmap(reclaim, 0, 1);
        let other = world.reclaim(|inner| {
            let third = world.unmap(inner, 1, 0);
            let other = inner.wait();
            if let Ok(third) = redeem(&waited, third, false) {
                assert_eq!(redeemed(&other, third), number(1, 0));
            }
            other
        });
        if let Ok(second) = redeem(&waited, second, false)
            && let Ok(second) = redeem(&other, second, false)
        {
            assert_eq!(redeemed(&reclaim.wait(), second), number(0, 1));
        }
        assert_eq!(redeem(&waited, first, true).err(), Some(number(0, 0)));
    });
}

mod batches {
    tlbc_tests::tests_on_every_machine!(super::batches_are_not_mixed);
}

/// A page that was dirty is written to disk after a wait, and waited for once.
fn io_waits_for_dirty_pages<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace) {
    let world = World::new(backend, new);
    world.tables[1].map(1, number(1, 1), DIRTY);
    let waits = usize::from(B::FACTS.pte_update.is_store());
    world.reclaim(|reclaim| {
        let clean = world.unmap(reclaim, 1, 0);
        world.events();
        reclaim.before_io();
        assert_eq!(world.events(), [], "what was clean stays clean");
        let dirty = world.unmap(reclaim, 1, 1);
        reclaim.before_io();
        assert_eq!(world.waits(&world.events()), waits);
        reclaim.before_io();
        assert_eq!(world.events(), []);
        let late = world.unmap(reclaim, 1, 2);
        world.events();
        reclaim.before_io();
        assert_eq!(world.events(), [], "what is dirty was waited for");
        let waited = reclaim.wait();
        assert_eq!(world.waits(&world.events()), usize::from(world.defers));
        for (token, index) in [clean, dirty, late].into_iter().zip(0..) {
            assert_eq!(redeemed(&waited, token), number(1, index));
        }
    });
}

mod io {
    tlbc_tests::tests_on_every_machine!(super::io_waits_for_dirty_pages);
}

/// A page that another gather has made clean and has not flushed yet counts as dirty: a CPU that has it cached as dirty still
/// writes to it.
fn io_waits_for_what_a_gather_has_cleaned<B: Backend + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    let world = World::new(backend, new);
    world.tables[1].map(1, number(1, 1), DIRTY | WRITE);
    let gathers = |gather: &mut Gather<'_, _>| {
        let cleaned = gather.locked((), |section, ()| {
            let leaf = world.tables[1].leaf(1).expect("it is mapped");
            section.protect(&leaf, |bits| bits & !DIRTY)
        });
        cleaned.expect("an entry of this space");
        world.reclaim(|reclaim| {
            let token = world.unmap(reclaim, 1, 1);
            world.events();
            reclaim.before_io();
            assert_eq!(world.waits(&world.events()), usize::from(world.defers));
            assert_eq!(redeemed(&reclaim.wait(), token), number(1, 1));
        });
    };
    Hosted::on(&world.mmu, 1, || {
        world.mmu.gather(&world.spaces[1], gathers);
    });
}

mod cleaned {
    tlbc_tests::tests_on_every_machine!(super::io_waits_for_what_a_gather_has_cleaned);
}

/// If only one CPU holds a space, the machine could defer a change to a flush of the whole space. That would be too
/// much for a page that is waited for separately.
#[test]
fn a_change_is_not_deferred() {
    use tlbc_backends::s390::{Config, Tlb};
    let backend = Tlb {
        config: Config::EDAT1,
    };
    let mmu = machine(backend, 2);
    let new = NewSpace {
        table: 0x10_0000,
        ..NewSpace::default()
    };
    let space = Hosted::space(&mmu, new).expect("a tag");
    let table = Entries::new(mmu.platform().backend(), &space, Level(0), 0, PAGES);
    (0..PAGES).for_each(|index| table.map(index, index as u64, 0));
    Hosted::on(&mmu, 0, || {
        let _ = Hosted::switch(&mmu, Current::Kernel, Some(&space));
        mmu.platform().events();
        mmu.reclaim(|reclaim| {
            let leaf = table.leaf(0).expect("it is mapped");
            let token = reclaim.unmap(&space, leaf);
            let token = token.expect("of this space").expect("it kept a page");
            assert!(!space.flush_pending(), "it is not deferred");
            assert_eq!(redeemed(&reclaim.wait(), token), 0);
        });
        mmu.gather(&space, |gather| gather.locked((), |_, ()| ()));
        assert_eq!(mmu.platform().backend().flushes(), (0, 0));
    });
}
