//! Ways to leave a gather: on each of them pages and tables are released after a flush, or not at all.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;

use tlbc_runtime::pages::BUNDLE;
use tlbc_runtime::{Backend, Current, Level, NewSpace, Section};
use tlbc_tests::hosted::{Event, Handle, Hosted, pages_dropped};
use tlbc_tests::model::{Machine, Model, Out, machine};
use tlbc_tests::tables::{DIRTY, Entries, FILE};
use tlbc_tests::watched::{Asked, Seen, Stale, Watched};

const PAGES: usize = 600;
const TABLES: usize = 4;

/// A machine of two CPUs that both run in a space in which this much is mapped.
struct World<B: Backend + Send + Sync + 'static> {
    mmu: Machine<B>,
    space: Handle<Watched<B>>,
    pages: Entries,
    tables: Entries,
}

impl<B: Backend + Send + Sync + 'static> World<B> {
    fn new(backend: B, new: NewSpace) -> Self {
        let mmu = machine(backend, 2);
        let space = Hosted::space(&mmu, new).expect("a tag");
        for cpu in 0..2 {
            let _ = Hosted::on(&mmu, cpu, || {
                Hosted::switch(&mmu, Current::Kernel, Some(&space))
            });
        }
        let backend = mmu.platform().backend();
        let pages = Entries::new(backend, &space, Level(0), 0, PAGES);
        (0..PAGES).for_each(|index| pages.map(index, index as u64, 0));
        let tables = Entries::new(backend, &space, Level(1), 1 << 46, TABLES);
        (0..TABLES).for_each(|index| tables.link(index, index as u64));
        Self {
            mmu,
            space,
            pages,
            tables,
        }
    }

    /// Unmaps pages and unlinks a table.
    fn clear(
        &self,
        section: &mut Section<'_, '_, Hosted<Watched<B>>>,
        pages: std::ops::Range<usize>,
        table: usize,
    ) {
        let leaves = pages.filter_map(|index| self.pages.leaf(index));
        section.unmap_all(leaves).expect("entries of this space");
        let link = self.tables.pointer(table).expect("it points at a table");
        section.unlink(link).expect("a table of this space");
    }

    /// Checks that the next section begins with a flush of everything if one is deferred, and that no other section
    /// does.
    fn begins_with_deferred(&self, deferred: bool) {
        let platform = self.mmu.platform();
        assert_eq!(self.space.flush_pending(), deferred);
        platform.events();
        self.mmu.gather(&self.space, |gather| {
            let mut in_section = || gather.locked((), |_, ()| platform.events());
            assert_eq!(is_flush_of_everything(&in_section()), deferred);
            assert_eq!(in_section(), []);
        });
        assert!(!self.space.flush_pending());
        assert_eq!(platform.events(), [], "nothing was cleared");
    }
}

/// Returns whether the events are one flush of everything that is finished.
fn is_flush_of_everything(events: &[Event<Seen>]) -> bool {
    let flush = |event: &Event<Seen>| match event {
        Event::Issued(0, Seen::Started(flush)) => {
            assert_eq!(flush.asked, Asked::Everything { tables: true });
            true
        }
        _ => false,
    };
    let flushes = events.iter().filter(|event| flush(event)).count();
    let last = events.last();
    assert!(flushes == 0 || matches!(last, Some(Event::Issued(0, Seen::Finished(_)))));
    assert!(flushes <= 1);
    flushes == 1
}

/// Returns whether a page or a table was released.
fn returned(event: &Event<Seen>) -> bool {
    matches!(
        event,
        Event::Released(_) | Event::Deferred(_) | Event::Freed(_) | Event::RmapRemoved(_)
    )
}

/// A lock whose release is recorded as an event.
struct Guard<B: Backend + Send + Sync + 'static>(Machine<B>);

impl<B: Backend + Send + Sync + 'static> Drop for Guard<B> {
    fn drop(&mut self) {
        self.0.platform().note("unlocked");
    }
}

/// Every early exit: `return`, `?`, a labelled block.
fn early_exits_flush<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace) {
    let world = World::new(backend, new);
    let mut model = Model::new(&world.mmu);
    model.begin(0);
    model.see();
    Hosted::on(&world.mmu, 0, || {
        let (mmu, space) = (&world.mmu, &world.space);
        for way in 0..3 {
            let result: Result<u32, &str> = mmu.gather(space, |gather| {
                let out = 'block: {
                    let fails = gather.locked((), |section, ()| {
                        let pages = way * 20..(way + 1) * 20;
                        world.clear(section, pages.clone(), way);
                        let table = (Level(1), world.tables.slot(way).va);
                        let places = pages.clone().map(|at| (Level(0), world.pages.slot(at).va));
                        let places: Vec<_> = places.chain([table]).collect();
                        let made = model.made(&places);
                        for (made, page) in made.iter().zip(pages) {
                            let out = Some(Out::Page(page as u64));
                            model.requires(0, made, vec![Stale::Leaf(Level(0), made.va)], out);
                        }
                        let stale = vec![Stale::Walk(table.0, table.1)];
                        let out = Some(Out::Table(way as u64));
                        model.requires(0, made.last().unwrap(), stale, out);
                        if way == 0 { Err("it fails") } else { Ok(1) }
                    });
                    let number = fails?;
                    if way == 1 {
                        return Ok(number);
                    }
                    break 'block number + 1;
                };
                Ok(out)
            });
            assert_eq!(result, [Err("it fails"), Ok(1), Ok(2)][way]);
            model.see();
            model.all_is_met(0);
            model.nothing_waits();
        }
        assert!(!space.flush_pending());
        assert_eq!(mmu.stats().abandoned, 0);
    });
}

mod exits {
    tlbc_tests::tests_on_every_machine!(super::early_exits_flush);
}

/// Where a panic happens.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Panics {
    InSection,
    BetweenSections,
    InTeardown,
    InNested,
}

fn a_panic_loses_everything_and_flushes_nothing<B: Backend + Copy + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    use Panics::{BetweenSections, InNested, InSection, InTeardown};
    for panics in [InSection, BetweenSections, InTeardown, InNested] {
        // Few enough for the gather to hold them all.
        for pages in [
            3,
            if B::FACTS.pte_update.batches_pages() {
                300
            } else {
                8
            },
        ] {
            let world = World::new(backend, new);
            world.pages.map(1, 1, DIRTY | FILE);
            Hosted::on(&world.mmu, 0, || panic_in(&world, panics, pages));
        }
    }
}

fn panic_in<B: Backend + Send + Sync + 'static>(world: &World<B>, panics: Panics, pages: usize) {
    let World { mmu, space, .. } = world;
    let platform = mmu.platform();
    platform.loses.store(true, SeqCst);
    platform.events();
    let dropped = pages_dropped();
    let unwound = |body: &mut dyn FnMut()| {
        let result = catch_unwind(AssertUnwindSafe(body));
        assert!(result.is_err());
    };
    unwound(&mut || match panics {
        Panics::InSection => mmu.gather(space, |gather| {
            gather.locked(Guard(mmu.clone()), |section, _| {
                world.clear(section, 0..pages, 0);
                panic!("in the section");
            });
        }),
        Panics::BetweenSections => mmu.gather(space, |gather| {
            gather.locked(Guard(mmu.clone()), |section, _| {
                world.clear(section, 2..pages, 0); // none of them a file's
            });
            assert!(!platform.events().iter().any(returned));
            platform.note("unlocked");
            panic!("between sections");
        }),
        Panics::InTeardown => mmu.teardown(space, |gather| {
            gather.locked(Guard(mmu.clone()), |section, _| {
                world.clear(section, 0..pages, 0);
                panic!("in the last section");
            });
        }),
        Panics::InNested => mmu.gather(space, |outer| {
            outer.locked(Guard(mmu.clone()), |section, _| {
                world.clear(section, 2..pages, 0);
            });
            mmu.gather(space, |inner| {
                inner.locked((), |section, ()| world.clear(section, 398..400, 1));
                assert!(!platform.events().iter().any(returned));
                platform.note("unlocked");
                panic!("in the inner one, and through the outer one");
            });
        }),
    });
    let events = platform.events();
    assert!(!events.iter().any(returned), "{panics:?}: {events:?}");
    assert!(events.contains(&Event::Note("unlocked")));
    assert_eq!(pages_dropped(), dropped, "lost pages are not dropped");
    let abandoned = if panics == Panics::InNested { 2 } else { 1 };
    assert_eq!(mmu.stats().abandoned, abandoned);
    world.begins_with_deferred(true);
    world.begins_with_deferred(false);
    assert_eq!(mmu.stats().full_nested, 0, "no gather is left under way");
    // The next gather releases what it unmaps itself, and nothing that was lost.
    mmu.gather(space, |gather| {
        gather.locked((), |section, ()| world.clear(section, 400..402, 2));
    });
    let mut out: Vec<_> = platform.events();
    out.retain(returned);
    let pages = [Event::Released(400), Event::Released(401)];
    assert_eq!(out[..2], pages);
    assert_eq!(out[2..], [Event::Deferred(vec![2])]);
    assert_eq!(pages_dropped(), dropped + 2);
}

mod panics {
    tlbc_tests::tests_on_every_machine!(super::a_panic_loses_everything_and_flushes_nothing);
}

/// The platform panics while the gather has a page or a table that is in no batch yet: that one is lost like the others.
fn a_panic_of_the_platform_releases_nothing<B: Backend + Copy + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    // The gather asks for memory for the first table, and before that for the first page that does not fit, unless all pages are
    // flushed already.
    let pages = BUNDLE + usize::from(B::FACTS.pte_update.batches_pages());
    for pages in [pages, 0] {
        let world = World::new(backend, new);
        let World { mmu, space, .. } = &world;
        let platform = mmu.platform();
        platform.loses.store(true, SeqCst);
        Hosted::on(mmu, 0, || {
            platform.panics.store(platform.asked.load(SeqCst), SeqCst);
            platform.events();
            let dropped = pages_dropped();
            let result = catch_unwind(AssertUnwindSafe(|| {
                mmu.gather(space, |gather| {
                    gather.locked((), |section, ()| world.clear(section, 0..pages, 0));
                });
            }));
            assert!(result.is_err());
            assert!(!platform.events().iter().any(returned));
            assert_eq!(pages_dropped(), dropped, "what is lost is not dropped");
            world.begins_with_deferred(true);
        });
    }
}

mod platform_panics {
    tlbc_tests::tests_on_every_machine!(super::a_panic_of_the_platform_releases_nothing);
}

/// An inner gather panics and the outer one continues: the outer gather's next section completes the deferred flush,
/// and its own pages are released.
fn an_outer_gather_continues<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace) {
    let world = World::new(backend, new);
    let World { mmu, space, .. } = &world;
    let platform = mmu.platform();
    platform.loses.store(true, SeqCst);
    platform.events();
    Hosted::on(mmu, 0, || {
        mmu.gather(space, |outer| {
            outer.locked((), |section, ()| world.clear(section, 0..2, 0));
            let inner = catch_unwind(AssertUnwindSafe(|| {
                mmu.gather(space, |inner| {
                    inner.locked((), |section, ()| world.clear(section, 2..4, 1));
                    panic!("in the inner one");
                });
            }));
            assert!(inner.is_err());
            assert_eq!(mmu.stats().abandoned, 1);
            platform.events();
            let events = outer.locked((), |section, ()| {
                let events = platform.events();
                world.clear(section, 4..6, 2);
                events
            });
            assert!(is_flush_of_everything(&events));
        });
        let mut out = platform.events();
        out.retain(|event| matches!(event, Event::Released(_)));
        assert_eq!(out, [0, 1, 4, 5].map(Event::Released));
        assert!(!space.flush_pending());
        assert_eq!(mmu.stats().full_nested, 0);
    });
}

mod outer {
    tlbc_tests::tests_on_every_machine!(super::an_outer_gather_continues);
}

/// Pages that the platform leaves in a receipt are dropped: each once, and after the flush.
fn pages_that_are_not_taken_are_dropped<B: Backend + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    let world = World::new(backend, new);
    let platform = world.mmu.platform();
    for (takes, cleared) in [(0, 0..4), (3, 4..12), (7, 12..600)] {
        platform.takes.store(takes, SeqCst);
        platform.events();
        let (dropped, count) = (pages_dropped(), cleared.len());
        Hosted::on(&world.mmu, 0, || {
            world.mmu.gather(&world.space, |gather| {
                gather.locked((), |section, ()| {
                    let leaves = cleared.filter_map(|index| world.pages.leaf(index));
                    section.unmap_all(leaves).expect("entries of this space");
                });
                assert!(!B::FACTS.pte_update.batches_pages() || pages_dropped() == dropped);
            });
        });
        assert_eq!(pages_dropped(), dropped + count);
        let released = |event: &Event<_>| matches!(event, Event::Released(_));
        let out = platform.events().into_iter().filter(released).count();
        if B::FACTS.pte_update.batches_pages() {
            assert_eq!(out, takes);
        } else {
            assert!(out <= count); // in several receipts
        }
    }
}

mod not_taken {
    tlbc_tests::tests_on_every_machine!(super::pages_that_are_not_taken_are_dropped);
}
