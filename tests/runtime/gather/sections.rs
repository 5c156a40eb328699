//! What a section does besides unmapping: it replaces pages, maps pages where others were unmapped, unlinks subtrees,
//! and computes a change from the content of an entry.

use std::sync::atomic::Ordering::SeqCst;

use tlbc_runtime::{Backend, Current, Level, Misuse, NewSpace, Section};
use tlbc_tests::hosted::{Event, Handle, Hosted};
use tlbc_tests::model::{Machine, Model, Out, machine, subtree};
use tlbc_tests::tables::{ATTRIBUTES, DIRTY, Entries, WRITE, leaf_bits};
use tlbc_tests::watched::{Made, Seen, Stale, Watched};

const PAGES: usize = 4;

/// A machine whose two CPUs run in a space, with some pages and with a table above others.
struct World<B: Backend + Send + Sync + 'static> {
    mmu: Machine<B>,
    space: Handle<Watched<B>>,
    low: Level,
    high: Level,
    pages: Entries,
    tables: Entries,
    model: Model<B>,
}

type In<'a, 'g, 'm, B> = &'a mut Section<'g, 'm, Hosted<Watched<B>>>;

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
        let levels = backend.levels();
        let mut there = Level::all().filter(|level| levels[level.index()].shift != 0);
        let [low, high] = [(); 2].map(|()| there.next().expect("two levels"));
        let pages = Entries::new(backend, &space, low, 0, PAGES);
        (0..PAGES).for_each(|page| pages.map(page, 100 + page as u64, WRITE));
        let tables = Entries::new(backend, &space, high, 1 << 40, PAGES);
        (0..PAGES).for_each(|table| tables.link(table, 200 + table as u64));
        let mut model = Model::new(&mmu);
        model.begin(0);
        model.see();
        model.made(&[]);
        Self {
            mmu,
            space,
            low,
            high,
            pages,
            tables,
            model,
        }
    }

    /// Runs a gather of one section on CPU 0.
    fn section<R>(&mut self, body: impl FnOnce(In<'_, '_, '_, B>, &mut Self) -> R) -> R {
        let (mmu, space) = (self.mmu.clone(), self.space.clone());
        let result = Hosted::on(&mmu, 0, || {
            mmu.gather(&space, |gather| {
                gather.locked((), |section, ()| body(section, self))
            })
        });
        self.model.see();
        self.model.all_is_met(0);
        self.model.nothing_waits();
        result
    }

    fn place(&self, index: usize) -> (Level, u64) {
        (self.low, self.pages.slot(index).va)
    }

    fn leaf(&self, index: usize) -> Vec<Stale> {
        let (level, va) = self.place(index);
        vec![Stale::Leaf(level, va)]
    }

    /// Returns whether entries of an unmapped page are flushed before another page is mapped at its address: the machine
    /// requires it for another page, or for other attributes, which the new page may have.
    fn another_page_is_flushed_before(&self) -> bool {
        let facts = self.facts();
        facts.output_through_invalid || facts.attributes_through_invalid
    }

    /// Returns the facts about a change of an entry.
    fn facts(&self) -> tlbc_runtime::pte::ChangeFacts {
        let backend = self.mmu.platform().backend();
        backend.change_facts(self.space.flags())
    }
}

/// A replaced page is released after a flush that covers it, on every machine.
fn a_replaced_page_is_released_once<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace) {
    let mut world = World::new(backend, new);
    world.section(|section, world| {
        for index in 0..PAGES {
            let bits = leaf_bits(300 + index as u64, WRITE);
            let leaf = world.pages.leaf(index).expect("a page");
            section.replace(leaf, bits).expect("of this space");
            assert_eq!(world.pages.bits(index), bits);
            let breaks = world.facts().output_through_invalid && B::FACTS.pte_update.is_store();
            let steps = if breaks { 2 } else { 1 };
            let made = world.model.made(&vec![world.place(index); steps]);
            let stale = world.leaf(index);
            let out = Some(Out::Page(100 + index as u64));
            world.model.requires(0, &made[0], stale.clone(), out);
            world.model.see();
            assert!(steps == 1 || world.model.is_invalidated(0, &made, stale));
        }
    });
    let released = |event: &Event<Seen>| matches!(event, Event::Released(_));
    assert!(
        !world.mmu.platform().events().iter().any(released),
        "all were seen"
    );
}

mod replace {
    tlbc_tests::tests_on_every_machine!(super::a_replaced_page_is_released_once);
}

/// If a section maps a page that the gather has unmapped, it flushes before if the machine requires that, and only
/// then.
fn an_unmapped_address_is_flushed_before_it_is_mapped<B: Backend + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    let mut world = World::new(backend, new);
    world.section(|section, world| {
        let clear = |section: In<'_, '_, '_, B>, world: &mut World<B>, index| {
            let leaf = world.pages.leaf(index).expect("a page");
            section.unmap(leaf).expect("of this space");
            let made = world.model.made(&[world.place(index)]);
            let out = Some(Out::Page(100 + index as u64));
            world.model.requires(0, &made[0], world.leaf(index), out);
            made[0]
        };
        let map = |section: In<'_, '_, '_, B>, world: &mut World<B>, index| -> Made {
            let bits = leaf_bits(300 + index as u64, WRITE);
            let mapped = section.map(&world.pages.at(index), bits);
            mapped.expect("an invalid entry");
            world.model.made(&[world.place(index)])[0]
        };
        let [first, second] = [0, 1].map(|index| clear(section, world, index));
        // Otherwise nothing is stale, and neither is anything if the change flushes by itself.
        world.pages.map(3, 0, 0);
        let (there, here) = (first, map(section, world, 0));
        world.model.see();
        let flushed = world.model.is_invalidated(0, &[there, here], world.leaf(0));
        let wants = world.another_page_is_flushed_before() || !B::FACTS.pte_update.is_store();
        assert_eq!(flushed, wants);
        let flushes = world.mmu.platform().backend().flushes();
        // All of the gather is flushed at once: the second page is not flushed again.
        let again = map(section, world, 1);
        world.model.see();
        assert_eq!(world.mmu.platform().backend().flushes(), flushes);
        let flushed = world
            .model
            .is_invalidated(0, &[second, again], world.leaf(1));
        assert_eq!(flushed, wants);
    });
}

mod map {
    tlbc_tests::tests_on_every_machine!(super::an_unmapped_address_is_flushed_before_it_is_mapped);
}

/// An entry of another size in place of a table or a page: stale entries are flushed before if the machine requires
/// that.
fn the_old_entry_is_flushed_before_one_of_another_size<B: Backend + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    let mut world = World::new(backend, new);
    let backend = world.mmu.platform().backend();
    if !backend.levels()[world.high.index()].leaf {
        return;
    }
    world.tables.map(1, 500, WRITE);
    world.section(|section, world| {
        for index in [0, 1] {
            let at = (world.high, world.tables.slot(index).va);
            let (stale, out, bits) = if index == 0 {
                let link = world.tables.pointer(0).expect("a table");
                section.unlink(link).expect("of this space");
                let bits = leaf_bits(600, WRITE);
                (Stale::Walk(at.0, at.1), Out::Table(200), bits)
            } else {
                let leaf = world.tables.leaf(1).expect("a page");
                section.unmap(leaf).expect("of this space");
                let other = world.tables.bits(2);
                (Stale::Leaf(at.0, at.1), Out::Page(500), other)
            };
            let before = world.model.made(&[at])[0];
            world.model.requires(0, &before, vec![stale], Some(out));
            let mapped = section.map(&world.tables.at(index), bits);
            mapped.expect("an invalid entry");
            let after = world.model.made(&[at])[0];
            world.model.see();
            let page = index == 1 && world.another_page_is_flushed_before();
            // A table of which nothing is cached requires no flush.
            let facts = world.facts();
            let unneeded = index == 0 && !facts.walk_cached;
            let wants = facts.size_through_invalid || page || unneeded;
            let flushed = world.model.is_invalidated(0, &[before, after], vec![stale]);
            assert_eq!(flushed, wants || !B::FACTS.pte_update.is_store());
        }
    });
}

mod another_size {
    tlbc_tests::tests_on_every_machine!(super::the_old_entry_is_flushed_before_one_of_another_size);
}

/// A table with everything below it is unlinked by one store, and released after one flush of all of it, with and
/// without memory for it.
fn a_live_table_is_released_after_one_flush<B: Backend + Copy + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    for batches in [0, usize::MAX] {
        let mut world = World::new(backend, new);
        world.mmu.platform().batches.store(batches, SeqCst);
        world.section(|section, world| {
            for index in 0..PAGES {
                world.model.begin(0);
                let at = (world.high, world.tables.slot(index).va);
                let stale = subtree(&world.mmu, &world.tables, index);
                let link = world.tables.pointer(index).expect("a table");
                section.unlink_subtree(link).expect("of this space");
                assert_eq!(world.tables.linked(index), None);
                let made = world.model.made(&[at]);
                let out = Some(Out::Table(200 + index as u64));
                world.model.requires(0, &made[0], stale, out);
                let events = world.model.see();
                let flushed = B::FACTS.pte_update.is_store() && batches == 0;
                let started =
                    |event: &Event<_>| matches!(event, Event::Issued(_, Seen::Started(_)));
                assert_eq!(events.iter().any(started), flushed, "{events:?}");
            }
        });
    }
}

mod unlink_subtree {
    tlbc_tests::tests_on_every_machine!(super::a_live_table_is_released_after_one_flush);
}

/// Accessed and dirty bits that the machine sets while a change is computed are not lost, and what the change requires
/// is flushed.
fn protect_loses_no_accessed_or_dirty_bit<B: Backend + Copy + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    for entries in [1, 2, 4] {
        for marked in 0..entries {
            let mut world = World::new(backend, new);
            (0..PAGES).for_each(|index| world.pages.map(index, 100, WRITE));
            let mut computed = Vec::new();
            let was = world.section(|section, world| {
                let was = section.protect(&world.pages.group(0..entries), |bits| {
                    if computed.is_empty() {
                        world.pages.mark(marked, DIRTY); // a write sets it at the same time
                    }
                    computed.push(bits);
                    bits & !WRITE
                });
                let places: Vec<_> = world.mmu.platform().backend().made();
                assert!(!places.is_empty());
                let stale = world.leaf(0);
                world.model.requires(0, &places[0], stale, None);
                was
            });
            let was = was.expect("fewer rights");
            assert_eq!(was & DIRTY, DIRTY, "{marked} of {entries}");
            for index in 0..entries {
                let bits = world.pages.bits(index);
                assert_eq!(bits & (DIRTY | WRITE), DIRTY, "{marked} of {entries}");
            }
            assert_eq!(computed.last().expect("once") & DIRTY, DIRTY);
        }
    }
}

mod protect {
    tlbc_tests::tests_on_every_machine!(super::protect_loses_no_accessed_or_dirty_bit);
}

/// If other attributes require an invalid entry in between, bits that the machine sets at that moment are not lost
/// either. If the second computation then gives another result, the entry is restored.
fn protect_breaks_and_makes<B: Backend + Copy + Send + Sync + 'static>(backend: B, new: NewSpace) {
    for is_refused in [false, true] {
        let mut world = World::new(backend, new);
        let before = world.pages.bits(0);
        let breaks = world.facts().attributes_through_invalid && B::FACTS.pte_update.is_store();
        let mut computed = 0;
        let was = world.section(|section, world| {
            let was = section.protect(&world.pages.at(0), |bits| {
                computed += 1;
                if computed == 1 {
                    world.pages.mark(0, DIRTY); // a write sets it at the same time
                } else if is_refused {
                    return leaf_bits(300, WRITE);
                }
                bits | ATTRIBUTES
            });
            let places = world.model.made(&vec![
                world.place(0);
                if breaks { 2 } else { places_of(&was) }
            ]);
            if let Some(first) = places.first() {
                world.model.requires(0, first, world.leaf(0), None);
                world.model.see();
                assert!(!breaks || world.model.is_invalidated(0, &places, world.leaf(0)));
            }
            was
        });
        assert_eq!(computed, 2);
        let expected = if is_refused {
            Err(Misuse::OtherPage)
        } else {
            Ok(before | DIRTY)
        };
        assert_eq!(was, expected);
        let attributes = if is_refused { 0 } else { ATTRIBUTES };
        assert_eq!(world.pages.bits(0), before | DIRTY | attributes);
    }
}

/// Returns how many changes were made by a step that was not refused.
fn places_of(was: &Result<u64, Misuse>) -> usize {
    usize::from(was.is_ok())
}

mod attributes {
    tlbc_tests::tests_on_every_machine!(super::protect_breaks_and_makes);
}

/// An entry may become invalid and keep its page, which is not released, and become valid again.
fn an_invalid_entry_keeps_its_page<B: Backend + Copy + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) {
    let mut world = World::new(backend, new);
    let before = world.pages.bits(0);
    let kept = before & !1;
    world.section(|section, world| {
        assert_eq!(section.protect(&world.pages.at(0), |_| kept), Ok(before));
        assert_eq!(world.pages.bits(0), kept);
        let made = world.model.made(&[world.place(0)]);
        world.model.requires(0, &made[0], world.leaf(0), None);
    });
    let events = world.mmu.platform().events();
    let released = |event: &Event<Seen>| matches!(event, Event::Released(_));
    assert!(!events.iter().any(released), "{events:?}");
    world.section(|section, world| {
        section
            .map(&world.pages.at(0), before)
            .expect("an invalid entry");
        world.model.made(&[world.place(0)]);
    });
    assert_eq!(world.pages.bits(0), before);
}

mod keep {
    tlbc_tests::tests_on_every_machine!(super::an_invalid_entry_keeps_its_page);
}
