//! Caches that are filled from another cache: they are flushed after the entries of the other cache are gone.

use tlbc::Analysis;
use tlbc::trace::Event;
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::request::{Extent, Ranges};

use super::{issues, with};
use tlbc_tests::requests::{Ask, Steps, flush_on, good, level, lines, read};

const RELAY: &str = include_str!("definitions/relay.arch");
const TWOFOLD: &str = include_str!("definitions/twofold.arch");
const FORK: &str = include_str!("definitions/fork.arch");

/// The first addresses of the kernel.
const KERNEL: u64 = 0xffff_ffc0_0000_0000;

fn pages(count: u64) -> Ask {
    Ask::user(0x1000, count * 0x1000, &["pte"])
}

/// Checks the instructions of this CPU for pages whose table is unlinked as well.
#[track_caller]
pub(super) fn live(arch: &Analysis, count: u64, expected: &[&str]) {
    let extent = Extent::new(0x1000, count * 0x1000);
    let mut ranges = Ranges::new();
    ranges.leaf(level(&arch.model, "pte"), extent);
    ranges.walk(level(&arch.model, "pmd"), extent);
    ranges.subtree();
    let made = flush_on(arch, "", false, ranges);
    assert_eq!(lines(made.instructions()), expected);
}

/// Two caches in a row: by address and tag, and whole.
#[test]
fn each_cache_of_a_row_is_dropped_when_the_one_before_is_gone() {
    let relay = good(RELAY);
    let one = [
        "order",
        "page 0x1000, 0x42",
        "settle",
        "micro 0x1000, 0x42",
        "settle",
        "nano",
        "settle",
    ];
    issues(&relay, "", &pages(1), &one);
    issues(&relay, "", &pages(1).tables(), &one);
    let many = [
        "order",
        "page 0x1000, 0x42",
        "page 0x2000, 0x42",
        "settle",
        "micro 0x1000, 0x42",
        "micro 0x2000, 0x42",
        "settle",
        "nano",
        "settle",
    ];
    issues(&relay, "", &pages(2), &many);
    live(&relay, 2, &many);
    // More than the ceiling allows: by tag, stage by stage as well.
    let space = [
        "order",
        "space 0x42",
        "settle",
        "micro.space 0x42",
        "settle",
        "nano",
        "settle",
    ];
    issues(&relay, "", &pages(9), &space);
    issues(&relay, "", &Ask::event(Event::Everything), &space);
    issues(&relay, "", &Ask::event(Event::Teardown), &space);
    // One instruction for all caches needs no stages.
    let kernel = Ask::kernel(KERNEL, 9 * 0x1000, &["pte"]).here();
    issues(
        &relay,
        "",
        &kernel,
        &["order", "everything", "settle", "refetch"],
    );
    issues(
        &relay,
        "",
        &Ask::event(Event::CpuOnline),
        &["order", "everything", "settle", "refetch"],
    );
}

#[test]
fn broadcasts_and_interrupts_take_the_same_stages() {
    let relay = good(RELAY);
    let broadcast = [
        "order",
        "page.all 0x1000, 0x42",
        "settle.all",
        "micro.all 0x1000, 0x42",
        "settle.all",
        "nano.all",
        "settle.all",
    ];
    issues(&relay, "wide", &pages(1).others(), &broadcast);
    let wide = pages(1).others().on(&relay, "");
    assert_eq!(lines(wide.issued()), lines(wide.issued_elsewhere()));
    let alone = pages(1).on(&relay, "");
    assert_eq!(lines(wide.issued()), lines(alone.issued()));
}

#[test]
fn a_switch_that_completes_the_flush_of_a_tag_takes_the_stages_as_well() {
    let expected = [
        "order",
        "space 0x42",
        "settle",
        "micro.space 0x42",
        "settle",
        "nano",
        "settle",
        "root 0x42000040000000",
        "refetch",
    ];
    issues(
        &good(RELAY),
        "",
        &Ask::event(Event::Switch(Pending::Tag)),
        &expected,
    );
}

/// Instructions by address alone, by address and tag, and for several caches at once.
#[test]
fn a_second_cache_takes_what_its_instruction_compares() {
    // The last cache is flushed with the one that it is made from.
    let edits = [
        (
            "drops leaf of one page, this tag or global in micro;",
            "drops leaf of one page, any tag in micro, nano;",
        ),
        (
            "\"micro{sent} {address}, {number}\"",
            "\"micro{sent} {address}\"",
        ),
    ];
    let both = with(RELAY, &edits);
    let two = [
        "order",
        "page 0x1000, 0x42",
        "settle",
        "micro 0x1000",
        "settle",
    ];
    issues(&both, "", &pages(1), &two);
    // An instruction that drops the second cache while the first still has entries counts for nothing then.
    let third = (
        "drops leaf of everything, any tag in nano;",
        "drops leaf of everything, any tag in micro, nano;",
    );
    let whole = with(RELAY, &[third]);
    let last = ["order", "page 0x1000, 0x42", "settle", "nano", "settle"];
    issues(&whole, "", &pages(1), &last);
}

/// One instruction that drops from all caches at the start is enough for all of them.
#[test]
fn what_drops_a_cache_and_its_source_is_issued_at_once() {
    let all = (
        "drops leaf, walk of one page, this tag or global in tlb;",
        "drops leaf, walk of one page, this tag or global;",
    );
    let relay = with(RELAY, &[all]);
    issues(
        &relay,
        "",
        &pages(1),
        &["order", "page 0x1000, 0x42", "settle"],
    );
}

#[test]
fn views_are_each_dropped_at_every_stage() {
    let twofold = good(TWOFOLD);
    let pages = pages(2).others();
    let one_view = [
        "order",
        "stage.page 0x4200000000000001",
        "stage.page 0x4200000000000002",
        "wait",
        "joined.tag 0x42",
        "wait",
    ];
    issues(&twofold, "", &pages, &one_view);
    let two_views = [
        "order",
        "stage.page 0x4200000000000001",
        "stage.page 0xc200000000000001",
        "stage.page 0x4200000000000002",
        "stage.page 0xc200000000000002",
        "wait",
        "joined.tag 0x42",
        "joined.tag 0xc2",
        "wait",
    ];
    issues(&twofold, "apart", &pages, &two_views);
    // For everything the joined entries go together with the others.
    let everything = Ask::event(Event::Everything).others();
    issues(
        &twofold,
        "apart",
        &everything,
        &["order", "both.tag 0x42", "both.tag 0xc2", "wait"],
    );
    // The tag of the kernel is known in completion.
    let kernel = Ask::kernel(KERNEL, 0x1000, &["pte"]);
    let expected = [
        "order",
        "stage.page 0x100000ffc000000",
        "wait",
        "joined.tag 0x1",
        "wait",
    ];
    issues(&twofold, "", &kernel, &expected);
}

/// Leaf entries can be made again from walk entries until the walk entries of every cache are gone.
#[test]
fn leaf_entries_of_a_live_table_go_when_no_cache_has_walk_entries() {
    let fork = good(FORK);
    let tables = |count| pages(count).tables();
    let freed = [
        "order",
        "upper.page 0x0",
        "leaf.page 0x1000, 0x42",
        "leaf.page 0x2000, 0x42",
        "wait",
        "recent.page 0x0",
        "wait",
    ];
    issues(&fork, "", &tables(2), &freed);
    let by_address = [
        "order",
        "upper.page 0x0",
        "wait",
        "recent.page 0x0",
        "wait",
        "leaf.page 0x1000, 0x42",
        "leaf.page 0x2000, 0x42",
        "wait",
        "recent.page 0x0",
        "wait",
    ];
    live(&fork, 2, &by_address);
    // Everything may be live as well.
    let everything = ["order", "walk.all", "wait", "leaf.space 0x42", "wait"];
    live(&fork, 9, &everything);
    issues(&fork, "", &Ask::event(Event::Everything), &everything);
    // Without tables there is one stage.
    issues(
        &fork,
        "",
        &pages(1),
        &["order", "leaf.page 0x1000, 0x42", "wait"],
    );
    issues(
        &fork,
        "",
        &pages(2),
        &[
            "order",
            "leaf.page 0x1000, 0x42",
            "leaf.page 0x2000, 0x42",
            "wait",
        ],
    );
}

/// If one instruction drops both, there is no wait between them.
#[test]
fn leaf_and_walk_entries_of_one_instruction_go_together() {
    let edits = [
        ("recent holds walk from upper;", "recent holds walk;"),
        (
            "drops leaf of one page, this tag or global;",
            "drops leaf, walk of one page, this tag or global;",
        ),
        ("any tag in upper;", "any tag;"),
        ("any tag in recent;", "any tag;"),
    ];
    let joint = with(FORK, &edits);
    let expected = [
        "order",
        "leaf.page 0x1000, 0x42",
        "leaf.page 0x2000, 0x42",
        "wait",
    ];
    live(&joint, 2, &expected);
}

#[test]
fn a_cache_that_nothing_drops_after_its_source_is_named() {
    let relay = RELAY
        .replace(
            "drops leaf of one page, this tag or global in micro;",
            "drops nothing;",
        )
        .replace(
            "drops leaf of everything, this tag in micro;",
            "drops nothing;",
        )
        .replace(
            "drops leaf, walk of everything, any tag;",
            "drops leaf, walk of everything, any tag in tlb, nano;",
        );
    let (_, found) = read(&relay);
    assert!(!found.is_empty());
    let reason = "`micro` makes its entries from those of `tlb`";
    for diagnostic in &found {
        assert_eq!(diagnostic.code.name(), "E0501", "{diagnostic:?}");
    }
    let named = found
        .iter()
        .flat_map(|d| &d.notes)
        .any(|note| note.starts_with(reason));
    assert!(named, "{found:#?}");
}
