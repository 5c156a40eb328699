//! arm64: tags that leaves have and walk entries have not, level hints, domains, the refill rule.

use tlbc_runtime::request::{Extent, Ranges};

use crate::known_mistakes::{KERNEL, KIB, MIB, PAGE, USER, count, operands, without};
use tlbc_tests::requests::{
    ARM64, Ask, arm64, bits, edited, findings, good, level, names, ranges_on,
};

/// Trap 1: `tag or global` promises less for walk entries than for leaves. VAE1 drops a global leaf for any ASID operand,
/// but only the walk entries of that ASID: a freed kernel table would stay reachable under all others.
#[test]
fn trap_1_kernel_tables_go_under_every_asid() {
    for words in ["", "ttl", "ranges", "kpti", "ttl ranges kpti"] {
        let table = Ask::kernel(KERNEL, PAGE, &["pte"])
            .tables()
            .on(arm64(), words);
        assert_eq!(
            names(&table),
            ["dsb_ishst", "vaae1is", "dsb_ish", "isb"],
            "{words}"
        );
    }
    // Without VAAE1 no instruction works by address, and VMALLE1 is the only one left.
    let text = without(
        &without(ARM64, "invalidate vaae1{is}"),
        "invalidate rvaae1{is}",
    );
    let table = Ask::kernel(KERNEL, PAGE, &["pte"])
        .tables()
        .on(&good(&text), "ttl ranges");
    assert_eq!(names(&table), ["dsb_ishst", "vmalle1is", "dsb_ish", "isb"]);
    // Without that as well there is no instruction, and VAE1 is not used.
    let found = findings(&without(&text, "invalidate vmalle1{is}"));
    let walk = found
        .iter()
        .find(|f| f.contains("walk entries of the kernel"));
    let walk = walk.unwrap_or_else(|| panic!("{found:#?}"));
    assert!(
        walk.starts_with("E0501") || walk.starts_with("E0502"),
        "{walk}"
    );
}

/// Trap 3: a level hint makes the plain forms promise no walk entries, and some levels have none.
#[test]
fn trap_3_no_hint_where_walk_entries_are_flushed() {
    for words in ["ttl", "g16k ttl", "g64k ttl"] {
        let table = Ask::user(USER, 64 * KIB, &["pte"])
            .tables()
            .others()
            .on(arm64(), words);
        let pages = operands(&table, "page");
        assert!(count(&table, "vae1is") > 0);
        assert!(
            pages.iter().all(|page| bits(*page, 47, 44) == 0),
            "{words}: {pages:x?}"
        );
    }
    // Ranges promise walk entries above the level described, and so may say the level of the leaf.
    let table = Ask::user(USER, 2 * MIB, &["pte"])
        .tables()
        .others()
        .on(arm64(), "ttl ranges");
    let ttl: Vec<u64> = operands(&table, "range")
        .iter()
        .map(|r| bits(*r, 38, 37))
        .collect();
    assert_eq!((names(&table)[1], ttl), ("rvae1is", vec![3]));
    // If the manual promised the same of the plain form, it would be hinted: the clause decides.
    let clause = "this tag unless hinted;";
    let promised = edited(
        ARM64,
        &format!("drops walk of one page, {clause}"),
        "drops walk above hint of one page, this tag;",
    );
    let table = Ask::user(USER, PAGE, &["pte"])
        .tables()
        .on(&good(&promised), "ttl");
    assert_eq!(bits(operands(&table, "page")[0], 47, 44), 0b0111);
}

/// Trap 9: the inner shareable domain is all CPUs by a fact of the platform alone.
#[test]
fn trap_9_inner_is_every_cpu_only_because_it_says_so() {
    let broadcast = Ask::user(USER, PAGE, &["pte"]).others();
    assert_eq!(count(&broadcast.on(arm64(), ""), "vale1is"), 1);
    // A domain of this CPU's core: the same barriers and instructions no longer reach the others.
    let found = findings(&edited(
        ARM64,
        "domain inner is cpus;",
        "domain inner is core;",
    ));
    assert!(found.iter().all(|f| f.starts_with("E0411")), "{found:#?}");
    let assumed = "domain inner is core;\n    publishes assumed \"for the test\";";
    let found = findings(&edited(ARM64, "domain inner is cpus;", assumed));
    assert!(found.iter().any(|f| f.starts_with("E0601")), "{found:#?}");
}

/// Trap 21: a range with a level hint is unpredictable unless it starts where an entry of that level
/// does, so what is asked for is rounded out first.
#[test]
fn trap_21_hinted_ranges_start_at_an_entry() {
    let of = |words, start, bytes| {
        let mut ranges = Ranges::new();
        ranges.leaf(level(&arm64().model, "pmd"), Extent::new(start, bytes));
        let issued = ranges_on(arm64(), words, ranges);
        let mut runs = issued.iter().filter_map(|it| it.split_once("range=0x"));
        let (_, range) = runs.next().expect("a run");
        let range = u128::from_str_radix(range, 16).expect("a number");
        (bits(range, 38, 37), bits(range, 36, 0))
    };
    // VA[20:12], VA[24:14] and VA[28:16] are zero.
    assert_eq!(
        of("ttl ranges", USER + 2 * MIB + PAGE, 4 * MIB),
        (2, 0x400_0200)
    );
    assert_eq!(
        of("g16k ttl ranges", USER + 16 * KIB, 64 * MIB),
        (2, 0x100_0000)
    );
    assert_eq!(
        of("g64k ttl ranges", USER + 64 * KIB, 1024 * MIB),
        (2, 0x40_0000)
    );
}

/// The refill rule: what is below an unlinked table is still valid, so no leaf is invalidated while a walk entry above it
/// can make it again. The page's VAE1 drops the walk entry over both leaves; the leaf of 2 MiB may
/// only go once that is complete.
#[test]
fn leaves_of_another_level_wait_for_the_walk_entry() {
    let arch = arm64();
    let level = |name| level(&arch.model, name);
    let mut ranges = Ranges::new();
    ranges.leaf(level("pte"), Extent::new(USER, PAGE));
    ranges.leaf(level("pmd"), Extent::new(USER + 2 * MIB, 2 * MIB));
    ranges.walk(level("pud"), Extent::new(USER, 1024 * MIB));
    ranges.subtree();
    let issued = ranges_on(arch, "", ranges);
    let names: Vec<&str> = issued
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let walk = names
        .iter()
        .position(|n| *n == "vae1is")
        .expect("the walk entry is invalidated");
    let leaf = names
        .iter()
        .rposition(|n| n.starts_with("va"))
        .expect("the leaf is invalidated");
    let same = names[walk..=leaf].iter().all(|n| *n == "vae1is");
    assert!(same || names[walk..leaf].contains(&"dsb_ish"), "{names:?}");
}

/// Section 3, step 5: a walk clause takes one instruction for each unlinked table, whatever its reach. One
/// table below an entry of the top level is one VAE1, not the whole ASID.
#[test]
fn one_cut_is_one_instruction_however_far_it_reaches() {
    let table = Ask::user(USER, 64 * 1024 * MIB, &["pud"]).tables().others();
    assert_eq!(
        names(&table.on(arm64(), "g16k ets2")),
        ["dsb_ishst", "vae1is", "dsb_ish"]
    );
}
