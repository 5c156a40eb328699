//! New entries: what a kernel issues before it uses a new mapping. Unlinked tables: what the walker of this CPU has to see
//! before one is freed. Devices: what they have to see once they are attached.

use std::sync::atomic::Ordering::SeqCst;

use tlbc_backends::{arm64, loongarch64, powerpc64, s390, x86_64};
use tlbc_runtime::{Current, Gather, Level, NewSpace, SpaceFlags};
use tlbc_tests::hosted::{Event, HostBackend, Hosted};
use tlbc_tests::tables::{DIRTY, Entries, FILE, leaf_bits};

/// Returns what publishing on CPU 1 of two issues, for the kernel and for a user space.
fn published<B: HostBackend>(
    backend: B,
    name: fn(B::Op) -> &'static str,
) -> [Vec<&'static str>; 2] {
    let mmu = Hosted::machine(backend, 2);
    let user = Hosted::on(&mmu, 1, || {
        mmu.address_space(tlbc_runtime::NewSpace::default())
    });
    let user = user.expect("a tag");
    [mmu.kernel(), &user].map(|space| {
        mmu.platform().events();
        Hosted::on(&mmu, 1, || mmu.publish(space));
        let events = mmu.platform().events().into_iter();
        let names = events.map(|event| match event {
            Event::Issued(1, op) => name(op),
            other => panic!("{other:?}: nothing else is issued for new entries"),
        });
        names.collect()
    })
}

#[test]
fn new_entries_are_published_by_what_the_definition_says() {
    let none: [&str; 0] = [];
    let arm64 = |config| published(arm64::Tlb { config }, arm64::Op::name);
    let [kernel, user] = arm64(arm64::Config::ETS2);
    assert_eq!(kernel, ["dsb_ishst", "isb"]);
    assert_eq!(user, ["dsb_ishst"]);
    // Without FEAT_ETS2 an access to user memory may fault too early. It is repeated after the exception, which synchronizes.
    let [kernel, user] = arm64(arm64::Config::NONE);
    assert_eq!(kernel, ["dsb_ishst", "isb"]);
    assert_eq!(user, ["dsb_ishst"]);
    let powerpc64 = powerpc64::Tlb {
        config: powerpc64::Config::NONE.with(powerpc64::Config::GTSE),
    };
    let [kernel, user] = published(powerpc64, powerpc64::Op::name);
    assert_eq!(kernel, ["ptesync"]);
    assert_eq!(user, ["ptesync"]);
    let x86 = x86_64::Tlb {
        config: x86_64::Config::NONE,
        invlpgb_pages: 1,
    };
    assert_eq!(published(x86, x86_64::Op::name), [none, none]);
    let s390 = s390::Tlb {
        config: s390::Config::NONE,
    };
    assert_eq!(published(s390, s390::Op::name), [none, none]);
}

/// What has to be done with the lock of a section held is done there, and no more: reverse mappings of pages that wait for it are
/// removed after the flush, and new entries of the kernel are published.
#[test]
fn nothing_else_is_done_before_a_lock_is_released() {
    let mmu = Hosted::machine(
        arm64::Tlb {
            config: arm64::Config::ETS2,
        },
        1,
    );
    let table = Entries::new(mmu.platform().backend(), mmu.kernel(), Level(0), 0, 3);
    for (flags, maps) in [
        (0, false),
        (0, true),
        (FILE | DIRTY, false),
        (FILE | DIRTY, true),
    ] {
        table.map(0, 7, flags);
        table.set(1, 0);
        mmu.platform().events();
        let (locked, next) = Hosted::on(&mmu, 0, || {
            mmu.gather(mmu.kernel(), |gather| {
                gather.locked((), |section, ()| {
                    let leaf = table.leaf(0).expect("a mapped page");
                    section.unmap(leaf).expect("an entry of the kernel");
                    if maps {
                        let mapped = section.map(&table.at(1), leaf_bits(8, 0));
                        mapped.expect("an invalid entry");
                    }
                });
                let locked = mmu.platform().events();
                gather.locked((), |_, ()| ());
                (locked, mmu.platform().events())
            })
        });
        let is_op = |event: &Event<arm64::Op>, name| matches!(event, Event::Issued(0, op) if op.name() == name);
        let flushes = locked.iter().any(|event| is_op(event, "vaale1is"));
        let removed = locked.contains(&Event::RmapRemoved(7));
        let publishes = locked.last().is_some_and(|event| is_op(event, "isb"));
        let case = format!("{flags} {maps}: {locked:?}");
        assert_eq!((flushes, removed), (flags != 0, flags != 0), "{case}");
        assert_eq!(publishes, maps, "{case}");
        assert_eq!(next, [], "nothing is left");
    }
}

/// A machine that walks tables, and caches no walk entries.
const WALKER: loongarch64::Tlb = loongarch64::Tlb {
    config: loongarch64::Config::NONE.with(loongarch64::Config::PTW),
    asid_bits: 10,
    few: 8,
};

/// When the table of a space is unlinked.
#[derive(Debug, Clone, Copy)]
enum Unlinked {
    /// Nothing else changes, which takes no flush.
    Alone,
    /// A page is unmapped with it. The CPU has the space loaded lazily: it flushes only before it uses the space again, and its
    /// walker reads the tables until then.
    WithPage,
    /// The space is torn down, in the same state.
    AtTeardown,
    /// It is unlinked with a page below it that is still mapped, in the same state.
    Live,
    /// It is detached in the same way, and returned at once.
    Detached,
}

/// What follows a table that was detached.
const RETURNED: &str = "the table is returned";

/// Returns what happens when a table is unlinked on a machine that caches no walk entries, where this takes no flush.
fn unlinked(unlinked: Unlinked, has_memory: bool) -> Vec<Event<loongarch64::Op>> {
    let mmu = Hosted::machine(WALKER, 1);
    let space = Hosted::space(&mmu, NewSpace::default()).expect("a tag");
    let tables = Entries::new(mmu.platform().backend(), &space, Level(1), 0, 1);
    let below = Entries::new(mmu.platform().backend(), &space, Level(0), 0, 1);
    tables.link(0, 1);
    if !matches!(unlinked, Unlinked::Alone) {
        below.map(0, 7, 0);
        Hosted::on(&mmu, 0, || {
            let runs = Hosted::switch(&mmu, Current::Kernel, Some(&space));
            let _ = Hosted::switch(&mmu, runs, None);
        });
    }
    if !has_memory {
        mmu.platform().batches.store(0, SeqCst);
    }
    mmu.platform().events();
    Hosted::on(&mmu, 0, || {
        let body = |gather: &mut Gather<'_, _>| {
            gather.locked((), |section, ()| {
                let link = tables.pointer(0).expect("it points at a table");
                match unlinked {
                    Unlinked::Alone | Unlinked::WithPage | Unlinked::AtTeardown => {
                        section.unmap_all(below.leaves()).expect("its pages");
                        section.unlink(link).expect("a table of this space");
                    }
                    Unlinked::Live => {
                        section.unlink_subtree(link).expect("a table of this space");
                    }
                    Unlinked::Detached => {
                        let table = section.detach(link).expect("a table of this space");
                        table.returned();
                        mmu.platform().note(RETURNED);
                    }
                }
            });
        };
        match unlinked {
            Unlinked::AtTeardown => mmu.teardown(&space, body),
            _ => mmu.gather(&space, body),
        }
    });
    mmu.platform().events()
}

#[test]
fn a_table_that_is_given_away_without_a_flush_is_published_as_unlinked() {
    let each = [
        Unlinked::Alone,
        Unlinked::WithPage,
        Unlinked::AtTeardown,
        Unlinked::Live,
        Unlinked::Detached,
    ];
    for of in each {
        for (has_memory, freed) in [(false, Event::Freed(1)), (true, Event::Deferred(vec![1]))] {
            let events = unlinked(of, has_memory);
            let given = match of {
                Unlinked::Detached => Event::Note(RETURNED),
                _ => freed,
            };
            let is_published =
                |event: &Event<_>| matches!(event, Event::Issued(0, loongarch64::Op::Publish));
            let published = events.iter().position(is_published);
            let times = events.iter().filter(|event| is_published(event)).count();
            assert_eq!(times, 1, "{of:?}: {events:?}");
            let given = events.iter().position(|event| *event == given);
            assert!(
                published.is_some() && published < given,
                "{of:?}: {events:?}"
            );
        }
    }
}

/// A flush that no CPU needs issues nothing, and a device may walk the tables once it is attached.
#[test]
fn what_was_changed_before_is_published_when_a_device_is_attached() {
    let mmu = Hosted::machine(WALKER, 1);
    let space = Hosted::space(&mmu, NewSpace::default()).expect("a tag");
    let table = Entries::new(mmu.platform().backend(), &space, Level(0), 0, 1);
    table.map(0, 7, 0);
    Hosted::on(&mmu, 0, || {
        mmu.gather(&space, |gather| {
            gather.locked((), |section, ()| section.unmap_all(table.leaves()))
        })
        .expect("its pages");
        assert_eq!(mmu.platform().events(), [Event::Released(7)]);
        let device = mmu.attach_device(&space, SpaceFlags::NONE);
        let events = mmu.platform().events();
        let published = Event::Issued(0, loongarch64::Op::Publish);
        assert_eq!(events, [published]);
        mmu.detach_device(&space, device.expect("few devices"))
            .expect("of this space");
    });
}
