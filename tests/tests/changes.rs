//! When a change wants a flush, when it wants the entry invalid first, and what a spurious fault is answered
//! with: all from the facts of the definition.

use std::sync::Arc;

use tlbc_backends::{arm64, powerpc64, s390, x86_64};
use tlbc_runtime::change::{Below, Change, Entry};
use tlbc_runtime::{AddressSpace, Conditions, Current, Level, Misuse, NewSpace, Platform};
use tlbc_tests::hosted::{Event, Host, HostBackend, Hosted};
use tlbc_tests::tables::{Entries, WRITE};

const PTE: Level = Level(0);
const PMD: Level = Level(1);
const VA: u64 = 0x20_0000;

const READ: Entry = Entry::Leaf { page: 5, rights: 1 };
const READ_WRITE: Entry = Entry::Leaf { page: 5, rights: 3 };
const OTHER: Entry = Entry::Leaf { page: 6, rights: 3 };
const TABLE: Entry = Entry::Table { table: 7 };

fn change(level: Level, old: Entry, new: Entry) -> Change {
    Change {
        level,
        old,
        new,
        new_bits: 0,
        below: Below::Live,
    }
}

/// A machine of two CPUs, the first of which runs in a space that both know.
fn machine<B: HostBackend>(
    backend: B,
    conditions: Conditions,
) -> (Arc<Host<B>>, Arc<AddressSpace<Hosted<B>>>) {
    let mmu = Hosted::machine(backend, 2);
    let new = NewSpace {
        table: 0x1000,
        user_table: 0x1000,
        conditions,
        ..NewSpace::default()
    };
    let space = Arc::new(mmu.address_space(new).expect("a tag"));
    for cpu in [1, 0] {
        Hosted::on(&mmu, cpu, || {
            let user = Hosted::switch(&mmu, Current::Kernel, Some(&space));
            assert!(matches!(user, Current::User(_)));
        });
    }
    mmu.platform().events();
    (mmu, space)
}

/// Whether each change wants a flush, and whether it may be made in one step.
fn wants<B: HostBackend>(backend: B, conditions: Conditions) -> [(bool, Result<(), Misuse>); 5] {
    let (mmu, space) = machine(backend, conditions);
    [
        change(PTE, Entry::Invalid, READ),
        change(PTE, READ, READ_WRITE),
        change(PTE, READ_WRITE, READ),
        change(PTE, READ, OTHER),
        change(PMD, TABLE, OTHER),
    ]
    .map(|change| {
        let at_once = mmu.check_change(&space, &change);
        (mmu.needs_flush(&space, &change).expect("a level"), at_once)
    })
}

const AT_ONCE: Result<(), Misuse> = Ok(());
const BROKEN: Result<(), Misuse> = Err(Misuse::ThroughInvalid);

#[test]
fn what_a_change_wants_follows_from_the_facts() {
    let arm64 = || arm64::Tlb {
        config: arm64::Config::NONE,
    };
    let power = || powerpc64::Tlb {
        config: powerpc64::Config::NONE.with(powerpc64::Config::GTSE),
    };
    let x86 = x86_64::Tlb {
        config: x86_64::Config::NONE,
        invlpgb_pages: 1,
    };
    let none = Conditions::NONE;
    let nothing = (false, AT_ONCE);
    let flush = (true, AT_ONCE);
    let broken = (true, BROKEN);
    // A fault drops the stricter entry.
    assert_eq!(
        wants(x86, none),
        [nothing, nothing, flush, flush, broken],
        "x86-64"
    );
    // A stricter entry faults, and is dropped then; another page goes in through an invalid entry.
    assert_eq!(
        wants(arm64(), none),
        [nothing, nothing, flush, broken, broken],
        "arm64"
    );
    // CPUs look again before they fault; devices do not, and want the entry invalid in between.
    assert_eq!(
        wants(power(), none),
        [nothing, nothing, flush, broken, broken],
        "powerpc64"
    );
    let devices = powerpc64::Config::NONE
        .with(powerpc64::Config::COPROCESSORS)
        .conditions();
    assert_eq!(
        wants(power(), devices),
        [nothing, broken, flush, broken, broken],
        "powerpc64 with a coprocessor"
    );
    // Instructions replace valid entries.
    let s390 = s390::Tlb {
        config: s390::Config::EDAT1, // large pages
    };
    assert_eq!(
        wants(s390, none),
        [nothing, nothing, flush, flush, flush],
        "s390"
    );
}

/// The instructions of a fix-up on the first CPU, by name, and whether it did anything.
fn fix<B: HostBackend>(backend: B, name: fn(B::Op) -> &'static str) -> (bool, Vec<&'static str>) {
    let (mmu, space) = machine(backend, Conditions::NONE);
    let fixed = Hosted::on(&mmu, 0, || mmu.fix_spurious(&space, VA, PTE));
    let events = mmu.platform().events();
    let issued = events.into_iter().map(|event| match event {
        Event::Issued(0, op) => name(op),
        other => panic!("{other:?}: a fix-up is for this CPU alone"),
    });
    let issued = issued.collect();
    let no_level = Hosted::on(&mmu, 0, || mmu.fix_spurious(&space, VA, Level(5)));
    assert_eq!(no_level, Err(Misuse::NoSuchLevel));
    (fixed.expect("a level of leaves"), issued)
}

#[test]
fn a_spurious_fault_is_fixed_here_where_the_machine_does_not() {
    let x86 = x86_64::Tlb {
        config: x86_64::Config::NONE,
        invlpgb_pages: 1,
    };
    assert_eq!(fix(x86, x86_64::Op::name), (false, vec![]));
    let power = powerpc64::Tlb {
        config: powerpc64::Config::NONE.with(powerpc64::Config::GTSE),
    };
    assert_eq!(fix(power, powerpc64::Op::name), (false, vec![]));
    let arm64 = arm64::Tlb {
        config: arm64::Config::ETS2,
    };
    let fixed = (true, vec!["dsb_nshst", "vale1", "dsb_nsh"]);
    assert_eq!(fix(arm64, arm64::Op::name), fixed);
    let s390 = s390::Tlb {
        config: s390::Config::NONE,
    };
    assert_eq!(fix(s390, s390::Op::name), (true, vec!["ptlb"]));
}

/// Break before make: the old entry is flushed before the new one is stored, and only where the machine wants it.
#[test]
fn an_entry_is_replaced_through_an_invalid_one_where_it_must_be() {
    fn replace<B: HostBackend>(backend: B, name: fn(B::Op) -> &'static str) -> Vec<&'static str> {
        let (mmu, space) = machine(backend, Conditions::NONE);
        let ptes = Entries::new(mmu.platform().backend(), &space, PTE, VA, 1);
        ptes.map(0, 5, 0);
        let new = Entries::new(mmu.platform().backend(), &space, PTE, VA, 1);
        new.map(0, 6, WRITE);
        let change = Change {
            level: PTE,
            old: ptes.entry(0),
            new: new.entry(0),
            new_bits: new.bits(0),
            below: Below::Cleared,
        };
        Hosted::on(&mmu, 0, || {
            mmu.gather(&space, |g| {
                g.locked((), |section, ()| {
                    let was = section.replace(&ptes.slot(0), &change);
                    assert_eq!(was.map(|was| was.first), Ok(5 << 12 | 1));
                    mmu.platform().note("replaced");
                });
            });
        });
        if B::FACTS.changes_plainly {
            assert_eq!(ptes.bits(0), new.bits(0)); // elsewhere an instruction stores, which is not executed here
        }
        let events = mmu.platform().events().into_iter();
        let names = events.map(|event| match event {
            Event::Issued(_, op) => name(op),
            Event::Note(note) => note,
            Event::Interrupted(_) => "interrupt",
            other => panic!("{other:?}"),
        });
        names.collect()
    }
    let arm64 = arm64::Tlb {
        config: arm64::Config::ETS2,
    };
    assert_eq!(
        replace(arm64, arm64::Op::name),
        ["dsb_ishst", "vale1is", "dsb_ish", "replaced"]
    );
    let x86 = x86_64::Tlb {
        config: x86_64::Config::NONE,
        invlpgb_pages: 1,
    };
    assert_eq!(
        replace(x86, x86_64::Op::name),
        ["replaced", "invlpg", "interrupt", "invlpg"]
    );
    let s390 = s390::Tlb {
        config: s390::Config::NONE.with(s390::Config::EDAT2),
    };
    assert_eq!(replace(s390, s390::Op::name), ["crdte", "replaced"]);
}

/// What is asked for directly is flushed at once, or refused with the reason.
#[test]
fn a_range_is_flushed_or_refused() {
    let x86 = x86_64::Tlb {
        config: x86_64::Config::NONE,
        invlpgb_pages: 1,
    };
    let (mmu, _) = machine(x86, Conditions::NONE);
    let kernel = |start: u64, bytes: u64, level: Level| {
        let extent = tlbc_runtime::request::Extent::new(start, bytes);
        Hosted::on(&mmu, 0, || mmu.flush_range(mmu.kernel(), extent, level))
    };
    let start = 0xffff_8000_0000_0000;
    assert_eq!(kernel(start, 0, PTE), Err(Misuse::Empty));
    assert_eq!(kernel(start + 1, 0x1000, PTE), Err(Misuse::Misaligned));
    assert_eq!(kernel(start, 0x1000, PMD), Err(Misuse::Misaligned));
    assert_eq!(kernel(start, 0x1000, Level(3)), Err(Misuse::NoSuchLevel));
    assert_eq!(kernel(start, 0x1000, Level(9)), Err(Misuse::NoSuchLevel));
    assert_eq!(
        kernel(0u64.wrapping_sub(0x1000), 0x2000, PTE),
        Err(Misuse::Wraps)
    );
    assert_eq!(mmu.platform().events(), []);
    // The last page of all addresses is one like any other.
    let last = 0u64.wrapping_sub(0x1000);
    assert_eq!(kernel(last, 0x1000, PTE), Ok(()));
    let invlpg = x86_64::Op::Invlpg { va: last };
    let expected = [
        Event::Issued(0, invlpg),
        Event::Interrupted(vec![1]),
        Event::Issued(1, invlpg),
    ];
    assert_eq!(mmu.platform().events(), expected);
}
