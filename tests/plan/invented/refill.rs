//! What a machine caches under a condition, TLBs that software fills, and numbers that are read at boot.

use tlbc::Analysis;
use tlbc::trace::{AddressRange, Event};
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::pte::{Marks, Negative, Stricter};
use tlbc_runtime::request::Extent;

use super::{issues, with};
use tlbc_tests::configurations::machine;
use tlbc_tests::requests::{Ask, POWERPC64, good};

const REFILL: &str = include_str!("definitions/refill.arch");

fn interrupted(arch: &Analysis, words: &str, ask: &Ask) -> Vec<String> {
    ask.on(arch, words).targets().collect()
}

/// Where no pointers to tables are cached, a lazy CPU has none to a table that is freed.
#[test]
fn a_lazy_cpu_gets_no_ipi_where_no_pointers_are_cached() {
    let arch = good(REFILL);
    let page = Ask::user(0x1000, 0x1000, &["pte"]).tables().others();
    let whole = Ask::event(Event::Everything).others();
    issues(&arch, "", &page, &["order", "page 0x1000, 0x42"]);
    issues(&arch, "walker", &page, &["order", "space 0x42"]);
    for ask in [page, whole] {
        assert_eq!(interrupted(&arch, "", &ask), ["active CPUs"]);
        let both = ["active CPUs", "lazy CPUs"];
        assert_eq!(interrupted(&arch, "walker", &ask), both);
    }
}

/// Between the loads of root and tag nothing fills entries, unless the machine walks by speculation. Then the root is empty until
/// the tag is loaded.
#[test]
fn an_empty_root_is_loaded_only_before_a_walker() {
    let arch = good(REFILL);
    let switch = Ask::event(Event::Switch(Pending::None));
    let (root, tag) = ("load.root 0x40000000", "load.tag 0x42");
    issues(&arch, "", &switch, &[root, tag]);
    issues(&arch, "walker", &switch, &["load.root 0x1000", tag, root]);
}

/// A fault on a negative entry flushes it where it is kept until then. One that expires requires nothing of user code; the
/// stricter entry that the fault may have met as well is flushed.
#[test]
fn a_fault_flushes_what_is_kept_until_then() {
    let arch = good(REFILL);
    let fault = Ask::event(Event::Fault(AddressRange {
        extent: Extent::new(0x1000, 0x1000),
        levels: vec![0],
    }));
    let page = ["order", "page 0x1000, 0x42"];
    issues(&arch, "", &fault, &page);
    issues(&arch, "brief", &fault, &page);
    issues(&arch, "forgets", &fault, &page);
    issues(&arch, "brief forgets", &fault, &[]);
    issues(&arch, "walker forgets", &fault, &[]);
}

/// Where an instruction drops the negative entries of the lowest level alone, a fault flushes everything, as the entry of an upper
/// level may have been invalid, unless each negative entry is of a single page.
#[test]
fn a_fault_flushes_one_page_where_negative_entries_are_of_pages() {
    let at_pte = (
        "drops negative of one page",
        "drops negative at pte of one page",
    );
    let as_pages = ("invalid cached,", "invalid cached as pages,");
    let fault = Ask::event(Event::Fault(AddressRange {
        extent: Extent::new(0x1000, 0x1000),
        levels: vec![0],
    }));
    let of_any = with(REFILL, &[at_pte]);
    issues(&of_any, "", &fault, &["order", "space 0x42"]);
    let of_pages = with(REFILL, &[at_pte, as_pages]);
    issues(&of_pages, "", &fault, &["order", "page 0x1000, 0x42"]);
    issues(&of_pages, "brief forgets", &fault, &[]);
}

#[test]
fn the_facts_of_changes_depend_on_the_machine() {
    let arch = good(REFILL);
    let facts = |words| arch.model.change_facts(machine(&arch.model, words).config);
    let plain = facts("");
    assert!(!plain.walk_cached && plain.clean_to_dirty_walks);
    assert_eq!(plain.negative, Negative::UntilDropped);
    assert_eq!(plain.cleared_may_stay, Marks::NONE);
    assert_eq!(plain.stricter, Stricter::FaultsUntilDropped);
    let walker = facts("brief walker");
    assert!(walker.walk_cached && !walker.clean_to_dirty_walks);
    assert_eq!(walker.negative, Negative::Never, "the last case counts");
    assert_eq!(walker.cleared_may_stay, Marks::ACCESSED);
    assert_eq!(facts("brief").negative, Negative::Expires);
    assert_eq!(facts("forgets").stricter, Stricter::DroppedByFault);
}

/// A ceiling that is read at boot.
#[test]
fn a_ceiling_is_that_of_the_machine() {
    let arch = good(REFILL);
    let three = Ask::user(0x1000, 0x3000, &["pte"]);
    let pages = [
        "order",
        "page 0x1000, 0x42",
        "page 0x2000, 0x42",
        "page 0x3000, 0x42",
    ];
    let whole = ["order", "space 0x42"];
    issues(&arch, "entries=3", &three, &pages);
    issues(&arch, "entries=2", &three, &whole);
}

/// A number of sets that is read at boot. It costs as much as the largest number would.
#[test]
fn a_flush_goes_through_the_sets_of_the_machine() {
    let edits = [
        (
            "tlb  has 128 sets, 1 set when isa31;",
            "tlb  has limit(tlb_sets) sets, 1 set when isa31;",
        ),
        (
            "domain nest     is devices;",
            "limit tlb_sets \"sets of the TLB\" 1..256; domain nest is devices;",
        ),
    ];
    let arch = with(POWERPC64, &edits);
    let all = Ask::event(Event::Everything);
    let stated = |count: &str| {
        let sets = format!("tlb  has {count}, 1 set when isa31;");
        all.here_on(&with(POWERPC64, &[(edits[0].0, &sets)]), "")
    };
    assert_eq!(all.here_on(&arch, "tlb_sets=7"), stated("7 sets"));
    let [publish, walk, wait, first, .., done, erat, resync] = &stated("7 sets")[..] else {
        panic!("{:?}", stated("7 sets"));
    };
    let one = [publish, walk, wait, first, done, erat, resync].map(Clone::clone);
    assert_eq!(all.here_on(&arch, "tlb_sets=1"), one);
}

/// Where an instruction drops the leaf and walk entries of one set, walk entries of a set that is still to come can make
/// leaf entries of the others again: the sets are gone through twice.
#[test]
fn walk_entries_of_another_set_make_leaf_entries_again() {
    let edits = [
        ("tlb   holds leaf;", "tlb   holds leaf; tlb has 2 sets;"),
        (
            "paths holds walk when walker;",
            "paths holds walk when walker; paths has 2 sets;",
        ),
        (
            "operand number",
            "operand which 64 bits { [63:1] 0; [0] set; } operand number",
        ),
        ("\"space {number}\"", "\"space {number}, {which}\""),
        (
            "drops leaf, negative, walk of everything, this tag;",
            "drops leaf, negative, walk of one set, this tag;",
        ),
    ];
    let arch = with(REFILL, &edits);
    let all = Ask::event(Event::Everything);
    let (first, second) = ("space 0x42, 0x0", "space 0x42, 0x1");
    issues(&arch, "", &all, &["order", first, second]);
    let twice = ["order", first, second, first, second];
    issues(&arch, "walker", &all, &twice);
}

/// The values that spaces get end where the tag of the machine does.
#[test]
fn a_tag_has_the_width_of_the_machine() {
    let tag = |bits| good(REFILL).model.tags[0].on(&[bits, 1]).range();
    assert_eq!(tag(8), (1, 200));
    assert_eq!(tag(4), (1, 15));
}

/// An instruction that is ordered by barriers of its own: they cost as much as several pages save.
const QUEUE: &str = r#"barrier ahead "ahead" { cost 1; }
    barrier done "done" { completes on self; gone; drained; cost 1; }
    // allow W0401: the barriers beside it order it
    invalidate queue "queue {address}, {number}" {
        per "Refill manual, 4.4";
        drops leaf of one page, this tag or global;
        drops negative of one page, this tag or global;
        where self;
        follows ahead;
        after done;
    }
    invalidate page "page"#;

/// The barrier comes first, once for all pages, and the costs of both count for one page alone.
#[test]
fn one_page_and_several_may_take_different_instructions() {
    let edits = [
        (r#"invalidate page "page"#, QUEUE),
        (
            "per \"Refill manual, 4.1\";",
            "per \"Refill manual, 4.1\";\n        cost 2;",
        ),
    ];
    let arch = with(REFILL, &edits);
    let one = Ask::user(0x1000, 0x1000, &["pte"]);
    issues(&arch, "entries=9", &one, &["order", "page 0x1000, 0x42"]);
    let two = Ask::user(0x1000, 0x2000, &["pte"]);
    let queued = [
        "order",
        "ahead",
        "queue 0x1000, 0x42",
        "queue 0x2000, 0x42",
        "done",
    ];
    issues(&arch, "entries=9", &two, &queued);
    let all = Ask::event(Event::Everything);
    issues(&arch, "entries=9", &all, &["order", "space 0x42"]);
    issues(&arch, "entries=1", &two, &["order", "space 0x42"]);
    // The barrier that publishes precedes the instructions as well.
    let same = QUEUE.replace("follows ahead", "follows publish");
    let arch = with(REFILL, &[(edits[0].0, &same), edits[1]]);
    let once = ["order", "queue 0x1000, 0x42", "queue 0x2000, 0x42", "done"];
    issues(&arch, "entries=9", &two, &once);
    // Where barriers are free, any number of pages takes the cheaper instruction.
    let free = QUEUE.replace("cost 1; ", "");
    let arch = with(REFILL, &[(edits[0].0, &free), edits[1]]);
    let one_queued = ["order", "ahead", "queue 0x1000, 0x42", "done"];
    issues(&arch, "entries=9", &one, &one_queued);
}
