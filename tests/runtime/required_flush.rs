//! Which changes require a flush, which require an invalid entry in between, and what is returned for a spurious fault:
//! all from the facts of the definition.

use std::sync::Arc;

use tlbc_backends::{arm64, powerpc64, s390, x86_64};
use tlbc_runtime::pte::{Below, Change, Deadline, Marks};
use tlbc_runtime::request::Space;
use tlbc_runtime::{AddressSpace, Current, Flags, Level, Misuse, NewSpace, SpaceFlags};
use tlbc_tests::hosted::{Cpus, Event, Host, HostBackend, Hosted};
use tlbc_tests::tables::{DIRTY, Entries, FILE, WRITE, leaf_bits, says, table_bits};

const PTE: Level = Level(0);
const PMD: Level = Level(1);
const VA: u64 = 0x20_0000;

const INVALID: u64 = 0;
const READ: u64 = leaf_bits(5, 0);
const READ_WRITE: u64 = leaf_bits(5, WRITE);
const OTHER: u64 = leaf_bits(6, WRITE);
const TABLE: u64 = table_bits(7, 0);
const UNCACHED: u64 = 1 << 6;
const CONTIGUOUS: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;

fn change(level: Level, old: u64, new: u64) -> Change {
    Change {
        level,
        old: says(old),
        new: says(new),
        new_bits: new,
        clears: Marks::NONE,
        below: Below::Live,
    }
}

/// Creates a machine of two CPUs, the first of which runs in a space that both use.
fn machine<B: HostBackend>(
    backend: B,
    flags: SpaceFlags,
) -> (Arc<Host<B>>, Arc<AddressSpace<Cpus>>) {
    let mmu = Hosted::machine(backend, 2);
    let new = NewSpace {
        table: 0x1000,
        user_table: 0x1000,
        flags,
        ..NewSpace::default()
    };
    let space = Hosted::space(&mmu, new).expect("a tag");
    for cpu in [1, 0] {
        Hosted::on(&mmu, cpu, || {
            let user = Hosted::switch(&mmu, Current::Kernel, Some(&space));
            assert!(matches!(user, Current::User(_)));
        });
    }
    mmu.platform().events();
    (mmu, space)
}

/// Whether a change requires a flush, and whether it may be made in one step.
type Requires = (bool, bool);

const NOTHING: Requires = (false, true);
const FLUSH: Requires = (true, true);
const BROKEN: Requires = (true, false);

fn requirements_of<B: HostBackend>(
    backend: &B,
    flags: SpaceFlags,
    space: Space,
    change: &Change,
) -> Requires {
    let required = change.required_flush(&backend.change_facts(flags));
    let before = required.deadline == Deadline::Store && !required.is_nothing();
    let at_once = !before || !B::FACTS.pte_update.is_store();
    (required.is_required_now(B::FACTS.may_fault(space)), at_once)
}

fn requirements<B: HostBackend, const N: usize>(
    backend: &B,
    flags: SpaceFlags,
    changes: [Change; N],
) -> [Requires; N] {
    changes.map(|change| requirements_of(backend, flags, Space::User, &change))
}

const ARM64: arm64::Tlb = arm64::Tlb {
    config: arm64::Config::ETS2,
};
const POWERPC64: powerpc64::Tlb = powerpc64::Tlb {
    config: powerpc64::Config::NONE.with(powerpc64::Config::GTSE),
};
const S390: s390::Tlb = s390::Tlb {
    config: s390::Config::EDAT1, // large pages
};
const X86_64: x86_64::Tlb = x86_64::Tlb {
    config: x86_64::Config::NONE,
    invlpgb_pages: 1,
};

#[test]
fn what_a_change_requires_follows_from_the_facts() {
    let changes = [
        change(PTE, INVALID, READ),
        change(PTE, READ, READ_WRITE),
        change(PTE, READ_WRITE, READ),
        change(PTE, READ, OTHER),
        change(PMD, TABLE, OTHER),
    ];
    let none = SpaceFlags::NONE;
    // A fault invalidates the stricter entry.
    assert_eq!(
        requirements(&X86_64, none, changes),
        [NOTHING, NOTHING, FLUSH, FLUSH, BROKEN],
        "x86-64"
    );
    // A stricter entry faults and is invalidated then; another page requires an invalid entry in between.
    assert_eq!(
        requirements(&ARM64, none, changes),
        [NOTHING, NOTHING, FLUSH, BROKEN, BROKEN],
        "arm64"
    );
    // CPUs walk again before they fault; devices do not, and require an invalid entry in between.
    assert_eq!(
        requirements(&POWERPC64, none, changes),
        [NOTHING, NOTHING, FLUSH, BROKEN, BROKEN],
        "powerpc64"
    );
    let devices = powerpc64::Config::NONE
        .with(powerpc64::Config::COPROCESSORS)
        .space_flags();
    assert_eq!(
        requirements(&POWERPC64, devices, changes),
        [NOTHING, BROKEN, FLUSH, BROKEN, BROKEN],
        "powerpc64 with a coprocessor"
    );
    // Instructions replace valid entries.
    assert_eq!(
        requirements(&S390, none, changes),
        [NOTHING, NOTHING, FLUSH, FLUSH, FLUSH],
        "s390"
    );
}

/// Attributes that the machine caches besides the page and the rights: memory type, contiguity, whether the entry is
/// global.
#[test]
fn other_attributes_require_a_flush() {
    let restricts = table_bits(7, UNCACHED);
    let contiguous = leaf_bits(5, CONTIGUOUS);
    let changes = [
        change(PTE, READ, leaf_bits(5, UNCACHED)),
        change(PTE, READ, contiguous),
        change(PTE, contiguous, READ),
        change(PTE, READ, leaf_bits(5, GLOBAL)),
        // More rights as well: the invalidation by a fault is not enough.
        change(PTE, READ, leaf_bits(5, WRITE | UNCACHED)),
        change(PMD, TABLE, restricts),
        change(PMD, restricts, TABLE),
    ];
    let none = SpaceFlags::NONE;
    let in_place = [FLUSH; 7];
    let broken = [BROKEN, BROKEN, BROKEN, BROKEN, BROKEN, FLUSH, FLUSH];
    assert_eq!(requirements(&X86_64, none, changes), in_place, "x86-64");
    assert_eq!(requirements(&ARM64, none, changes), broken, "arm64");
    assert_eq!(requirements(&POWERPC64, none, changes), broken, "powerpc64");
    assert_eq!(requirements(&S390, none, changes), in_place, "s390");
}

/// A page in place of a table, and a table in place of a page.
#[test]
fn another_size_goes_through_invalid_unless_an_instruction_replaces_it() {
    let changes = [change(PMD, READ, TABLE), change(PMD, TABLE, READ)];
    let none = SpaceFlags::NONE;
    assert_eq!(requirements(&X86_64, none, changes), [BROKEN; 2], "x86-64");
    assert_eq!(requirements(&ARM64, none, changes), [BROKEN; 2], "arm64");
    assert_eq!(
        requirements(&POWERPC64, none, changes),
        [BROKEN; 2],
        "powerpc64"
    );
    assert_eq!(requirements(&S390, none, changes), [FLUSH; 2], "s390");
}

#[test]
fn a_cleared_accessed_or_dirty_bit_requires_a_flush() {
    let clearing = |old, new, clears| Change {
        clears,
        ..change(PTE, old, new)
    };
    let changes = [
        clearing(READ, READ, Marks::ACCESSED),
        clearing(READ_WRITE, READ_WRITE, Marks::DIRTY),
        clearing(READ, READ_WRITE, Marks::DIRTY),
        clearing(INVALID, READ, Marks::DIRTY),
    ];
    let none = SpaceFlags::NONE;
    let all = [FLUSH, FLUSH, FLUSH, NOTHING];
    let accessed_may_stay = [NOTHING, FLUSH, FLUSH, NOTHING];
    assert_eq!(
        requirements(&X86_64, none, changes),
        accessed_may_stay,
        "x86-64"
    );
    assert_eq!(requirements(&ARM64, none, changes), all, "arm64");
    assert_eq!(
        requirements(&POWERPC64, none, changes),
        accessed_may_stay,
        "powerpc64"
    );
    assert_eq!(requirements(&S390, none, changes), all, "s390");
}

/// The kernel must not fault on an entry that allows less than the table, even if the fault invalidates the entry.
#[test]
fn more_rights_of_the_kernel_are_flushed_if_a_cpu_could_fault() {
    fn flushes<B: HostBackend>(backend: &B) -> bool {
        let more = change(PTE, READ, READ_WRITE);
        let (flushes, at_once) = requirements_of(backend, SpaceFlags::NONE, Space::Kernel, &more);
        assert!(at_once);
        flushes
    }
    assert!(flushes(&X86_64));
    assert!(flushes(&ARM64));
    assert!(flushes(&S390));
    assert!(!flushes(&POWERPC64)); // CPUs look again
}

/// Returns the names of the instructions of one change in a gather, with IPIs and the moment when the entry has
/// changed.
fn issued<B: HostBackend>(
    backend: B,
    kernel: bool,
    (level, old, new): (Level, u64, u64),
    name: fn(B::Op) -> &'static str,
) -> Vec<&'static str> {
    let (mmu, space) = machine(backend, SpaceFlags::NONE);
    let space = if kernel { mmu.kernel() } else { &space };
    let entries = Entries::new(mmu.platform().backend(), space, level, VA, 1);
    entries.set(0, old);
    Hosted::on(&mmu, 0, || {
        mmu.gather(space, |g| {
            g.locked((), |section, ()| {
                let was = section.protect(&entries.at(0), |_| new);
                assert_eq!(was, Ok(old));
                mmu.platform().note("changed");
            });
        });
    });
    if B::FACTS.pte_update.is_store() {
        assert_eq!(entries.bits(0), new); // elsewhere an instruction stores, which is not executed here
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

/// If CPUs walk again nothing is flushed: the store must then be visible to walkers before the kernel uses it.
#[test]
fn more_rights_of_the_kernel_are_published_if_nothing_is_flushed() {
    let of = |kernel, new| issued(POWERPC64, kernel, (PTE, READ, new), powerpc64::Op::name);
    assert_eq!(of(true, READ_WRITE), ["changed", "ptesync"]);
    assert_eq!(of(true, READ), ["changed"], "the machine reads the same");
    assert_eq!(of(false, READ_WRITE), ["changed"], "user code faults");
}

/// Concatenates the parts.
fn all_of(parts: &[&[&'static str]]) -> Vec<&'static str> {
    parts.concat()
}

#[test]
fn changes_of_attributes_or_accessed_and_dirty_bits_are_flushed() {
    let uncached = (PTE, READ, leaf_bits(5, UNCACHED));
    let clean = (PTE, leaf_bits(5, WRITE | DIRTY), READ_WRITE);
    for change in [uncached, clean] {
        let x86 = issued(X86_64, false, change, x86_64::Op::name);
        assert_eq!(x86, ["changed", "invlpg", "interrupt", "invlpg"]);
        assert_eq!(
            issued(S390, false, change, s390::Op::name),
            ["ipte", "changed"]
        );
    }
    let arm64 = |change| issued(ARM64, false, change, arm64::Op::name);
    let flush: &[_] = &["dsb_ishst", "vale1is", "dsb_ish"];
    assert_eq!(arm64(uncached), all_of(&[flush, &["changed"]]));
    assert_eq!(arm64(clean), all_of(&[&["changed"], flush]));
    let power = |change| issued(POWERPC64, false, change, powerpc64::Op::name);
    let (start, finish) = (
        &["ptesync", "tlbiel_va"][..],
        &["ptesync", "slbia_user", "isync"][..],
    );
    let flush = all_of(&[start, &["interrupt"], start, finish, finish]);
    assert_eq!(power(uncached), all_of(&[&flush, &["changed"]]));
    assert_eq!(power(clean), all_of(&[&["changed"], &flush]));
}

/// Bits that only software reads: a store on every machine, even if instructions change valid entries.
#[test]
fn other_software_bits_are_stored() {
    let same = (PTE, READ_WRITE, leaf_bits(5, WRITE | FILE));
    for kernel in [false, true] {
        assert_eq!(issued(X86_64, kernel, same, x86_64::Op::name), ["changed"]);
        assert_eq!(issued(ARM64, kernel, same, arm64::Op::name), ["changed"]);
        assert_eq!(
            issued(POWERPC64, kernel, same, powerpc64::Op::name),
            ["changed"]
        );
        assert_eq!(issued(S390, kernel, same, s390::Op::name), ["changed"]);
        // The manual says this about page-table entries only.
        let table = (PMD, TABLE, table_bits(7, FILE));
        let table = issued(S390, kernel, table, s390::Op::name);
        assert_eq!(table.len(), 2, "{table:?}");
    }
}

#[test]
fn more_rights_are_flushed_for_the_kernel_only() {
    let more = (PTE, READ, READ_WRITE);
    let x86 = |kernel| issued(X86_64, kernel, more, x86_64::Op::name);
    assert_eq!(x86(false), ["changed"]);
    assert_eq!(x86(true), ["changed", "invlpg", "interrupt", "invlpg"]);
    let arm64 = |kernel| issued(ARM64, kernel, more, arm64::Op::name);
    assert_eq!(arm64(false), ["changed"]);
    assert_eq!(
        arm64(true),
        ["changed", "dsb_ishst", "vaale1is", "dsb_ish", "isb"]
    );
}

/// Returns the names of the instructions of a fix-up on the first CPU, and whether it did anything.
fn fix<B: HostBackend>(backend: B, name: fn(B::Op) -> &'static str) -> (bool, Vec<&'static str>) {
    let (mmu, space) = machine(backend, SpaceFlags::NONE);
    let fixed = Hosted::on(&mmu, 0, || mmu.fix_spurious(&space, VA, PTE));
    let events = mmu.platform().events();
    let issued = events.into_iter().map(|event| match event {
        Event::Issued(0, op) => name(op),
        other => panic!("{other:?}: a fix-up is for this CPU only"),
    });
    let issued = issued.collect();
    let no_level = Hosted::on(&mmu, 0, || mmu.fix_spurious(&space, VA, Level(5)));
    assert_eq!(no_level, Err(Misuse::NoSuchLevel));
    (fixed.expect("a level of leaves"), issued)
}

#[test]
fn a_spurious_fault_is_fixed_locally_if_the_machine_does_not() {
    assert_eq!(fix(X86_64, x86_64::Op::name), (false, vec![]));
    assert_eq!(fix(POWERPC64, powerpc64::Op::name), (false, vec![]));
    let fixed = (true, vec!["dsb_nshst", "vale1", "dsb_nsh"]);
    assert_eq!(fix(ARM64, arm64::Op::name), fixed);
    assert_eq!(fix(S390, s390::Op::name), (true, vec!["ptlb"]));
}

/// Break-before-make: the old entry is flushed before the new one is stored, only if the machine requires that. The old
/// page is released after the flush, on every machine.
#[test]
fn an_entry_is_replaced_through_an_invalid_one_if_required() {
    fn replace<B: HostBackend>(backend: B, name: fn(B::Op) -> &'static str) -> Vec<&'static str> {
        let (mmu, space) = machine(backend, SpaceFlags::NONE);
        let ptes = Entries::new(mmu.platform().backend(), &space, PTE, VA, 1);
        ptes.map(0, 5, 0);
        Hosted::on(&mmu, 0, || {
            mmu.gather(&space, |g| {
                g.locked((), |section, ()| {
                    let leaf = ptes.leaf(0).expect("a page");
                    section.replace(leaf, OTHER).expect("of this space");
                    mmu.platform().note("replaced");
                });
            });
        });
        if B::FACTS.pte_update.is_store() {
            assert_eq!(ptes.bits(0), OTHER); // elsewhere an instruction stores, which is not executed here
        }
        let events = mmu.platform().events().into_iter();
        let names = events.map(|event| match event {
            Event::Issued(_, op) => name(op),
            Event::Note(note) => note,
            Event::Interrupted(_) => "interrupt",
            Event::Released(5) => "released",
            other => panic!("{other:?}"),
        });
        names.collect()
    }
    assert_eq!(
        replace(ARM64, arm64::Op::name),
        ["dsb_ishst", "vale1is", "dsb_ish", "replaced", "released"]
    );
    assert_eq!(
        replace(X86_64, x86_64::Op::name),
        ["replaced", "invlpg", "interrupt", "invlpg", "released"]
    );
    let s390 = s390::Tlb {
        config: s390::Config::NONE.with(s390::Config::EDAT2),
    };
    assert_eq!(
        replace(s390, s390::Op::name),
        ["crdte", "replaced", "released"]
    );
}

/// A flush that is requested directly is done at once, or refused with the reason.
#[test]
fn a_range_is_flushed_or_refused() {
    let (mmu, _) = machine(X86_64, SpaceFlags::NONE);
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
    // The last page of all addresses is not special.
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
