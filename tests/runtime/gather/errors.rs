//! Misuse that types cannot exclude is answered with an error, and changes nothing.

use std::fmt::Debug;

use tlbc_backends::arm64::{Config, Tlb};
use tlbc_runtime::pte::{Entry, Slot};
use tlbc_runtime::request::{Extent, LevelTable, Ranges, Reach, Request, Scope, Space};
use tlbc_runtime::{
    AddressSpace, Backend, CpuId, Current, Level, Misuse, NewSpace, Pte, Record, Refused, Tag,
    TagSource, Unusable,
};
use tlbc_tests::hosted::{Cpus, Event, Handle, HostBackend, Hosted, MOST_CPUS, Page, Table};
use tlbc_tests::model::{Machine, machine};
use tlbc_tests::tables::{Entries, EntryAt, leaf_bits, table_bits};
use tlbc_tests::watched::{Asked, Flush, Seen, Stale, Watched};

/// Creates a machine whose only CPU runs in a space.
fn prepared<B: Backend + Send + Sync + 'static>(
    backend: B,
    new: NewSpace,
) -> (Machine<B>, Handle<Watched<B>>) {
    let mmu = machine(backend, 1);
    let space = Hosted::space(&mmu, new).expect("a tag");
    let _ = Hosted::on(&mmu, 0, || {
        Hosted::switch(&mmu, Current::Kernel, Some(&space))
    });
    mmu.platform().events();
    (mmu, space)
}

/// Creates another space, whose tables no CPU uses.
fn another<B: Backend + Send + Sync + 'static>(
    mmu: &Machine<B>,
    new: NewSpace,
) -> AddressSpace<Cpus> {
    let new = NewSpace {
        table: new.table + 0x10_0000,
        ..new
    };
    Hosted::on(mmu, 0, || mmu.address_space(new)).expect("a tag")
}

/// Returns a level whose entries only point at tables, if there is one, and a level that the machine does not have.
fn odd_levels(levels: &LevelTable) -> (Option<Level>, Level) {
    let of = |level: &Level| levels[level.index()];
    let pointers = Level::all().find(|level| of(level).shift != 0 && !of(level).leaf);
    let negative = Level::all().find(|level| of(level).shift == 0);
    (pointers, negative.expect("not all levels are there"))
}

/// Returns the flushes among the events, and checks that all are finished.
fn flushes<B: Backend + Send + Sync + 'static>(mmu: &Machine<B>) -> Vec<Flush> {
    let events = mmu.platform().events().into_iter();
    let flushes = events.filter_map(|event| match event {
        Event::Issued(_, Seen::Started(flush)) => Some(flush),
        _ => None,
    });
    let (started, finished) = mmu.platform().backend().flushes();
    assert_eq!(started, finished);
    flushes.collect()
}

fn ranges_are_checked<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace) {
    let (mmu, space) = prepared(backend, new);
    let levels = mmu.platform().backend().levels();
    let shift = levels[0].shift;
    let page = 1 << shift;
    let last = u64::MAX << shift;
    Hosted::on(&mmu, 0, || {
        let flush = |start, bytes, level| mmu.flush_range(&space, Extent::new(start, bytes), level);
        let base = Level(0);
        assert_eq!(flush(0, 0, base), Err(Misuse::Empty));
        assert_eq!(flush(1, 0, base), Err(Misuse::Empty));
        assert_eq!(flush(last, 2 * page, base), Err(Misuse::Wraps));
        assert_eq!(
            flush(page, 0u64.wrapping_sub(page / 2), base),
            Err(Misuse::Wraps)
        );
        assert_eq!(flush(page / 2, page, base), Err(Misuse::Misaligned));
        assert_eq!(flush(page, page / 2, base), Err(Misuse::Misaligned));
        assert_eq!(flush(page, page + 1, base), Err(Misuse::Misaligned));
        assert_eq!(flush(0, u64::MAX, base), Err(Misuse::Misaligned));
        let larger = Level::all().skip(1);
        if let Some(larger) = larger.into_iter().find(|level| levels[level.index()].leaf) {
            assert_eq!(flush(page, page, larger), Err(Misuse::Misaligned));
        }
        let (pointers, negative) = odd_levels(levels);
        let missing = [negative, Level(6), Level(255)];
        for level in pointers.into_iter().chain(missing) {
            assert_eq!(flush(0, 1 << 60, level), Err(Misuse::NoSuchLevel));
        }
        assert_eq!(mmu.platform().events(), []);
        assert!(!space.flush_pending());

        for (start, count) in [(0, 1), (last, 1), (last - page, 2), (page, 3)] {
            assert_eq!(flush(start, count * page, base), Ok(()));
            let flushed = flushes(&mmu);
            let [flushed] = &flushed[..] else {
                panic!("{flushed:?}");
            };
            let covers = |va| flushed.asked.covers(levels, &Stale::Leaf(base, va));
            assert!(covers(start) && covers(start + (count * page - 1)));
            assert!(!covers(start.wrapping_sub(page)));
            assert!(!covers(start.wrapping_add(count * page)));
        }
        mmu.flush_everything(&space);
        let asked = Asked::Everything { tables: true };
        assert_eq!(flushes(&mmu).last().map(|flush| flush.asked), Some(asked));
    });
}

mod ranges {
    tlbc_tests::tests_on_every_machine!(super::ranges_are_checked);
}

/// The last page of all addresses is unmapped: its extent has no end address.
fn the_last_page_is_released<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace) {
    let (mmu, space) = prepared(backend, new);
    let backend = mmu.platform().backend();
    let levels = backend.levels();
    for count in [1, 3] {
        let start = u64::MAX << levels[0].shift;
        let start = start - ((count as u64 - 1) << levels[0].shift);
        let table = Entries::new(backend, &space, Level(0), start, count);
        (0..count).for_each(|index| table.map(index, index as u64, 0));
        Hosted::on(&mmu, 0, || {
            mmu.gather(&space, |gather| {
                gather.locked((), |section, ()| section.unmap_all(table.leaves()).unwrap());
            });
        });
        let events = mmu.platform().events();
        let released = |event: &&Event<_>| matches!(event, Event::Released(_));
        assert_eq!(events.iter().filter(released).count(), count);
        let mut asked = events.iter().filter_map(|event| match event {
            Event::Issued(_, Seen::Started(flush)) => Some(flush.asked),
            _ => None,
        });
        // If the change flushes by itself, or defers all of that, no flush of these pages is requested.
        if B::FACTS.pte_update.is_store() {
            let asked = asked.next().expect("a flush");
            for index in 0..count {
                let va = table.slot(index).va;
                assert!(asked.covers(levels, &Stale::Leaf(Level(0), va)));
            }
            assert!(!asked.covers(levels, &Stale::Leaf(Level(0), 0)));
        }
    }
}

mod last_page {
    tlbc_tests::tests_on_every_machine!(super::the_last_page_is_released);
}

/// Checks that it was refused for this reason, and returns it.
fn is_refused<T, E: Debug>(result: Result<T, Refused<E>>, why: Misuse) -> E {
    match result {
        Err(refused) => {
            assert_eq!(refused.why, why);
            refused.entry
        }
        Ok(_) => panic!("it was accepted, not refused: {why}"),
    }
}

/// An entry whose owner says that it is of another level.
#[derive(Debug)]
struct AtLevel<'t>(EntryAt<'t>, Level);

impl<'t, B: HostBackend> Pte<Hosted<B>> for AtLevel<'t> {
    fn belongs_to(&self, space: &AddressSpace<Cpus>) -> bool {
        Pte::<Hosted<B>>::belongs_to(&self.0, space)
    }

    fn level(&self) -> Level {
        self.1
    }

    fn slot(&self) -> Slot<'_> {
        Pte::<Hosted<B>>::slot(&self.0)
    }

    fn decode(level: Level, bits: u64) -> Entry {
        <EntryAt<'t> as Pte<Hosted<B>>>::decode(level, bits)
    }

    fn is_accessed(level: Level, bits: u64) -> bool {
        <EntryAt<'t> as Pte<Hosted<B>>>::is_accessed(level, bits)
    }

    fn is_dirty(level: Level, bits: u64) -> bool {
        <EntryAt<'t> as Pte<Hosted<B>>>::is_dirty(level, bits)
    }

    fn into_page(self, old: u64) -> Option<Page> {
        Pte::<Hosted<B>>::into_page(self.0, old)
    }

    fn into_table(self, old: u64) -> Table {
        Pte::<Hosted<B>>::into_table(self.0, old)
    }
}

fn entries_are_checked<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace) {
    let (mmu, space) = prepared(backend, new);
    let other = another(&mmu, new);
    let backend = mmu.platform().backend();
    let (pointers, negative) = odd_levels(backend.levels());

    let theirs = Entries::new(backend, &other, Level(0), 0, 2);
    theirs.map(0, 7, 0);
    let their_links = Entries::new(backend, &other, Level(1), 0, 1);
    their_links.link(0, 8);
    let no_leaves = Entries::new(backend, &space, pointers.unwrap_or(Level(1)), 0, 3);
    no_leaves.map(0, 9, 0);
    no_leaves.link(1, 10);
    let no_links = Entries::new(backend, &space, Level(0), 0, 1);
    no_links.link(0, 11);
    let ours = Entries::new(backend, &space, Level(0), 0, 2);
    ours.map(0, 12, 0);
    let tables = [&theirs, &their_links, &no_leaves, &no_links, &ours];
    let bits = || tables.map(|table| table.bits(0));
    let before = bits();

    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |gather| {
            gather.locked((), |section, ()| {
                use Misuse::{NoSuchLevel, OtherSpace};
                let leaf = theirs.leaf(0).unwrap();
                let leaf = is_refused(section.unmap(leaf), OtherSpace);
                is_refused(section.unmap_all([leaf]), OtherSpace);
                let link = their_links.pointer(0).unwrap();
                let link = is_refused(section.unlink(link), OtherSpace);
                let link = is_refused(section.detach(link), OtherSpace);
                let link = is_refused(section.unlink_subtree(link), OtherSpace);
                let page = leaf_bits(1, 0);
                is_refused(section.collapse(link, page), OtherSpace);
                let leaf = theirs.leaf(0).unwrap();
                let leaf = is_refused(section.replace(leaf, page), OtherSpace);
                assert_eq!(section.split(&leaf, table_bits(1, 0)), Err(OtherSpace));
                assert_eq!(section.protect(&leaf, |bits| bits), Err(OtherSpace));
                assert_eq!(section.map(&leaf, page), Err(OtherSpace));

                if pointers.is_some() {
                    let leaf = no_leaves.leaf(0).unwrap();
                    is_refused(section.unmap(leaf), NoSuchLevel);
                    let link = no_leaves.pointer(1).unwrap();
                    is_refused(section.collapse(link, page), NoSuchLevel);
                    assert_eq!(section.map(&no_leaves.at(2), page), Err(NoSuchLevel));
                }
                let link = no_links.pointer(0).unwrap();
                let link = is_refused(section.unlink(link), NoSuchLevel);
                is_refused(section.detach(link), NoSuchLevel);

                let table = table_bits(1, 0);
                let leaf = ours.leaf(0).unwrap();
                assert_eq!(section.split(&leaf, table), Err(NoSuchLevel));
                assert_eq!(section.map(&ours.at(1), table), Err(NoSuchLevel));
                for level in [negative, Level(9), Level(255)] {
                    for bits in [page, table] {
                        let entry = AtLevel(no_leaves.at(2), level);
                        assert_eq!(section.map(&entry, bits), Err(NoSuchLevel));
                    }
                    let leaf = AtLevel(no_leaves.at(0), level);
                    assert_eq!(section.protect(&leaf, |bits| bits), Err(NoSuchLevel));
                    let leaf = is_refused(section.replace(leaf, page), NoSuchLevel);
                    assert_eq!(section.split(&leaf, table), Err(NoSuchLevel));
                    is_refused(section.unmap(leaf), NoSuchLevel);
                    let link = AtLevel(no_leaves.at(1), level);
                    let link = is_refused(section.unlink(link), NoSuchLevel);
                    is_refused(section.detach(link), NoSuchLevel);
                }
            });
        });
        mmu.reclaim(|reclaim| {
            let taken = reclaim.unmap(&space, theirs.leaf(0).unwrap());
            is_refused(taken, Misuse::OtherSpace);
            if pointers.is_some() {
                let taken = reclaim.unmap(&space, no_leaves.leaf(0).unwrap());
                is_refused(taken, Misuse::NoSuchLevel);
            }
        });
    });
    assert_eq!(bits(), before);
    assert_eq!(backend.made(), []);
    assert_eq!(mmu.platform().events(), [], "nothing is to be flushed");
    assert!(!space.flush_pending() && !other.flush_pending());
}

mod entries {
    tlbc_tests::tests_on_every_machine!(super::entries_are_checked);
}

/// One of many entries is refused: those before it are cleared, and those after it still belong to the caller.
fn one_of_many_is_refused<B: Backend + Send + Sync + 'static>(backend: B, new: NewSpace) {
    let (mmu, space) = prepared(backend, new);
    let other = another(&mmu, new);
    let backend = mmu.platform().backend();
    let ours = Entries::new(backend, &space, Level(0), 0, 20);
    (0..20).for_each(|index| ours.map(index, index as u64, 0));
    let theirs = Entries::new(backend, &other, Level(0), 0, 1);
    theirs.map(0, 99, 0);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |gather| {
            gather.locked((), |section, ()| {
                let before = (0..10).map(|index| ours.leaf(index).unwrap());
                let after = (10..20).map(|index| ours.leaf(index).unwrap());
                let mut all = before.chain(theirs.leaf(0)).chain(after);
                is_refused(section.unmap_all(&mut all), Misuse::OtherSpace);
                assert_eq!(all.count(), 10);
            });
        });
    });
    let events = mmu.platform().events().into_iter();
    let mut out: Vec<_> = events
        .filter_map(|event| match event {
            Event::Released(page) => Some(page),
            _ => None,
        })
        .collect();
    out.sort_unstable();
    assert!(out.into_iter().eq(0..10));
    assert!((10..20).all(|index| ours.leaf(index).is_some()));
    assert!(theirs.leaf(0).is_some());
}

mod one_of_many {
    tlbc_tests::tests_on_every_machine!(super::one_of_many_is_refused);
}

/// Ranges with a level that no machine has are flushed like everything.
fn an_impossible_level_flushes_everything<B: Backend<Op: Debug> + Copy>(backend: B, new: NewSpace) {
    let issued = |scope: Scope<'_>| {
        let request = Request {
            space: Space::User,
            tag: Tag {
                value: 6,
                global: true,
            },
            reach: Reach::Wide,
            published: false,
            flags: new.flags,
            scope,
        };
        let mut ops = Vec::new();
        let mut sink = Record(|op| ops.push(op));
        let started = backend.start(&mut sink, &request);
        let finished = backend.finish(&mut sink, started);
        (ops, finished)
    };
    let mut ranges = Ranges::new();
    ranges.leaf(Level(u8::MAX), Extent::new(0x1000, 0x1000));
    assert_eq!(
        format!("{:?}", issued(ranges.scope(backend.levels()))),
        format!("{:?}", issued(Scope::Everything { tables: true }))
    );
}

mod level {
    tlbc_tests::tests_on_every_machine!(super::an_impossible_level_flushes_everything);
}

/// Brings the first CPU of a machine online. If that fails, nothing has happened on the machine.
fn first_online<B: HostBackend>(backend: B, cpus: usize, words: usize) -> Result<(), Unusable> {
    let mmu = Hosted::with_tag_words(backend, cpus, words);
    let arrived = Hosted::cpu_online(&mmu, 0).map(drop);
    assert_eq!(mmu.platform().events().is_empty(), arrived.is_err());
    arrived
}

fn machines_are_checked<B: Backend + Copy + Send + Sync + 'static>(backend: B, _: NewSpace) {
    let new = |cpus, words| first_online(Watched::new(backend), cpus, words);
    let cpu = CpuId(0);
    let none = Hosted::with_tag_words(Watched::new(backend), 0, 64);
    let arrived = none.cpu_online(cpu).map(drop);
    assert_eq!(arrived, Err(Unusable::NoSuchCpu { cpu, cpus: 0 }));
    assert_eq!(none.platform().events(), []);
    let cpus = MOST_CPUS + 1;
    let capacity = MOST_CPUS;
    assert_eq!(new(cpus, 64), Err(Unusable::TooManyCpus { cpus, capacity }));
    let tags = backend
        .tags()
        .global
        .map(|(values, source)| (values.last, source));
    let enough = match tags {
        Some((last, TagSource::Generations)) if last <= 2 * MOST_CPUS as u64 => {
            Err(Unusable::TooFewTags)
        }
        _ => Ok(()),
    };
    assert_eq!(new(MOST_CPUS, 64), enough);
    let generations = matches!(backend.tags().global, Some((_, TagSource::Generations)));
    let few = if generations {
        Err(Unusable::TooFewTags)
    } else {
        Ok(())
    };
    assert_eq!(new(1, 0), few);
    assert_eq!(new(1, 1), few);
    assert_eq!(new(MOST_CPUS, 2), few);
    assert_eq!(new(1, 2), Ok(()));
}

mod machine {
    tlbc_tests::tests_on_every_machine!(super::machines_are_checked);
}

/// Every CPU may use two tags in a switch, and one more must be free.
#[test]
fn a_machine_needs_more_than_two_tags_for_each_cpu() {
    let new = |config, cpus| {
        let backend = Watched::new(Tlb { config });
        first_online(backend, cpus, 2)
    };
    assert_eq!(new(Config::NONE, 31), Ok(()));
    assert_eq!(new(Config::NONE, 32), Err(Unusable::TooFewTags));
    // Half of the values are tags of the user view.
    assert_eq!(new(Config::KPTI, 15), Ok(()));
    assert_eq!(new(Config::KPTI, 16), Err(Unusable::TooFewTags));
}
