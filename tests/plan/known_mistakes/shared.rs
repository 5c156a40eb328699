//! Traps that arm64 and x86-64 avoid in different ways.

use tlbc::plan::ir::Shape;
use tlbc_runtime::request::{Reach, Space};

use crate::known_mistakes::{MIB, PAGE, USER, count, operands, page_effects};
use tlbc_tests::requests::{ARM64, Ask, X86_64, arm64, bits, edited, findings, lines, names, x86};

/// Trap 4: where pages and large leaves are mixed, a hint of one level would leave entries of the other, and steps of 2 MiB
/// would skip pages.
#[test]
fn trap_4_leaves_of_unknown_size_are_named_without_a_level() {
    let mixed = Ask::user(USER, 4 * MIB, &["pte", "pmd"]).others();
    let arm = mixed.on(arm64(), "ttl ranges ets2");
    let ranges = operands(&arm, "range");
    assert_eq!(names(&arm), ["dsb_ishst", "rvale1is", "dsb_ish"]);
    // 1024 pages: (15+1) << 6, TTL 00.
    assert_eq!(
        (bits(ranges[0], 38, 37), bits(ranges[0], 45, 39)),
        (0, 0b01_01111)
    );
    let x86 = mixed.on(x86(), "pge pcid invpcid invlpgb invlpgb_pages=512");
    let ecx = operands(&x86, "ecx");
    assert_eq!(ecx, [0x1ff, 0x1ff], "two runs of 512 pages, bit 31 clear");
}

/// Trap 5: one address drops all of a large leaf only where its pieces are dropped together.
#[test]
fn trap_5_a_fractured_leaf_goes_by_one_address() {
    let large = Ask::user(USER, 2 * MIB, &["pmd"]).here();
    assert_eq!(large.here_on(x86(), "pge pcid"), ["invlpg [0x4000000000]"]);
    assert_eq!(count(&large.on(arm64(), ""), "vale1"), 1);
    // Without that fact the compiler reports a gap.
    let (sole, both) = (
        "large leaf may split;",
        "large leaf may split, dropped together;",
    );
    for text in [ARM64, X86_64] {
        let found = findings(&edited(text, both, sole));
        assert!(!found.is_empty(), "pieces that stay are not reported");
    }
}

/// Trap 17: an interrupt drains only if it is taken after the invalidation: CPUs that flush for themselves do so in the
/// handler, and CPUs for which the interrupt is enough get it after the flush is complete.
#[test]
fn trap_17_ipis_drain_after_the_flush() {
    let wide = Ask::user(USER, PAGE, &["pte"])
        .others()
        .on(x86(), "pge pcid");
    assert_eq!(lines(wide.issued_elsewhere()), ["invlpg [0x4000000000]"]);
    let words = "c1pro_sme ets2";
    let start = page_effects(arm64(), words, Shape::Page(Space::User, Reach::Wide), true);
    let finish = page_effects(
        arm64(),
        words,
        Shape::Finish(Space::User, Reach::Wide),
        true,
    );
    assert!(start.sync_ipis.is_empty() && start.flush_ipis.is_empty());
    assert_eq!(
        (finish.sync_ipis.sets, finish.ops.len()),
        (1, 1),
        "the set `sme`, after one DSB"
    );
    // The erratum does not concern the kernel's mappings, or a flush of this CPU alone.
    let kernel = page_effects(
        arm64(),
        words,
        Shape::Finish(Space::Kernel, Reach::Wide),
        true,
    );
    let here = page_effects(
        arm64(),
        words,
        Shape::Finish(Space::User, Reach::Here),
        true,
    );
    assert!(kernel.sync_ipis.is_empty() && here.sync_ipis.is_empty());
}

/// Trap 22: the last page of the addresses ends at 2^64, and an address that is not canonical makes
/// INVLPG do nothing.
#[test]
fn trap_22_addresses_at_the_very_end() {
    let last = |pages: u64| Ask::kernel((pages * PAGE).wrapping_neg(), pages * PAGE, &["pte"]);
    assert_eq!(
        last(1).here_on(x86(), "pge"),
        ["invlpg [0xfffffffffffff000]"]
    );
    let two = ["invlpg [0xffffffffffffe000]", "invlpg [0xfffffffffffff000]"];
    assert_eq!(last(2).here_on(x86(), "pge"), two);
    let arm = [
        "dsb ishst",
        "tlbi vaale1is, 0xfffffffffff",
        "dsb ish",
        "isb",
    ];
    assert_eq!(last(1).here_on(arm64(), ""), arm);
    // VA[48:12] of the last two pages, and bit 55 set in VA[55:12] of the lowest kernel page.
    let range = operands(&last(2).on(arm64(), "ranges"), "range_any")[0];
    assert_eq!(bits(range, 36, 0), 0x1f_ffff_fffe);
    let lowest = Ask::kernel(0xffff_0000_0000_0000, PAGE, &["pte"]).on(arm64(), "");
    assert_eq!(operands(&lowest, "page_any"), [0xff0_0000_0000]);
    // The addresses depend on the machine: with four levels, bit 47 is in the other half.
    let (four, five) = ("pge", "pge la57");
    let high = Ask::user(1 << 47, PAGE, &["pte"]);
    assert_eq!(high.here_on(x86(), five), ["invlpg [0x800000000000]"]);
    assert!(std::panic::catch_unwind(|| high.here_on(x86(), four)).is_err());
}
