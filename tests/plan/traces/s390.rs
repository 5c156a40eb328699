//! s390: flushes, and every change of an entry, because the instructions that change entries flush as well.

use tlbc::trace::{Change, Event, Memory, To};
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::request::{Extent, Space};

use crate::traces::{GIB, MIB, PAGE, themes};
use tlbc_tests::requests::{Ask, level, s390};

const USER: u64 = 0x100_0000_0000;

/// The ASCE of a space: its top table is a region-third table of full length.
const ASCE: u64 = 0x8000_4007;
/// Machines without features, with each feature alone, with all, and with all but one.
const MACHINES: &[&str] = &[
    "",
    "ipte_range",
    "local_clear",
    "edat1",
    "edat2",
    "local_clear rdp",
    "ipte_range local_clear edat1 edat2 rdp",
    "local_clear edat1 edat2 rdp",
    "ipte_range edat1 edat2",
    "ipte_range local_clear edat2 rdp",
    "ipte_range local_clear edat1 rdp",
    "ipte_range local_clear edat1 edat2",
];

fn theme(name: &str, asks: &[(String, Ask)]) {
    theme_on(name, MACHINES, asks);
}

fn theme_on(name: &str, machines: &[&str], asks: &[(String, Ask)]) {
    themes::compare(&format!("s390_{name}"), s390(), machines, asks);
}

/// Entries of a table change, from the fourth on.
fn change(to: To, at: &str, entries: u64, others: bool, may_defer: bool) -> Ask {
    let level = level(&s390().model, at);
    let bytes = 1u64 << [12, 20, 31, 42, 53][level.index()];
    let start = if at == "pgd" { 0 } else { USER } + 3 * bytes;
    let ask = Ask::event(Event::Change(Change {
        to,
        level,
        extent: Extent::new(start, entries * bytes),
        memory: Memory::default(),
        may_defer,
    }));
    let ask = ask.tag(ASCE);
    if others { ask.others() } else { ask }
}

const CHANGES: [(&str, To); 5] = [
    ("becomes invalid", To::Unmap),
    ("is replaced", To::Replace),
    ("gains rights", To::MoreRights),
    ("gets other attributes", To::Attributes),
    ("becomes valid", To::Map),
];

fn changes(levels: &[&str], others: bool, may_defer: bool) -> Vec<(String, Ask)> {
    let who = if others {
        "others too"
    } else {
        "this CPU alone"
    };
    let pairs = levels
        .iter()
        .flat_map(|level| CHANGES.map(|(words, to)| (level, words, to)));
    pairs
        .map(|(level, words, to)| {
            let ask = change(to, level, 1, others, may_defer);
            (format!("user: a {level} entry {words}, {who}"), ask)
        })
        .collect()
}

#[test]
fn changes_of_one_entry() {
    let levels = &["pte", "pmd", "pud"];
    theme("changes_wide", &changes(levels, true, false));
    theme("changes_here", &changes(levels, false, false));
    // The levels above map nothing, and the machines differ in nothing that matters there.
    let all = ["", "ipte_range local_clear edat1 edat2 rdp"];
    let upper = [true, false].map(|others| changes(&["p4d", "pgd"], others, false));
    theme_on("changes_upper", &all, &upper.concat());
}

#[test]
fn deferred_changes() {
    let asks = [true, false].map(|others| changes(&["pte", "pmd"], others, true));
    theme("changes_deferred", &asks.concat());
}

#[test]
fn changes_of_several_entries() {
    let of = |words: &str, to, at, entries, others| {
        let who = if others {
            "others too"
        } else {
            "this CPU alone"
        };
        let words = format!("user: {entries} {at} entries {words}, {who}");
        (words, change(to, at, entries, others, false))
    };
    theme(
        "changes_of_several",
        &[
            of("become invalid", To::Unmap, "pte", 3, true),
            of("become invalid", To::Unmap, "pte", 3, false),
            of("become invalid", To::Unmap, "pte", 253, true),
            of("of two tables become invalid", To::Unmap, "pte", 254, true),
            of("become invalid", To::Unmap, "pmd", 3, true),
            of("are replaced", To::Replace, "pte", 3, true),
            of("are replaced", To::Replace, "pmd", 3, false),
            of("gain rights", To::MoreRights, "pte", 3, true),
        ],
    );
}

#[test]
fn changes_of_the_kernel() {
    let asks = changes(&["pte", "pmd"], true, false);
    let of_kernel = |(words, ask): (String, Ask)| {
        let space = Space::Kernel;
        (words.replace("user", "kernel"), Ask { space, ..ask })
    };
    let asks: Vec<_> = asks.into_iter().map(of_kernel).collect();
    theme("changes_of_the_kernel", &asks);
}

fn named(asks: &[(&str, Ask)]) -> Vec<(String, Ask)> {
    let of = |(words, ask): &(&str, Ask)| ((*words).to_owned(), ask.clone().tag(ASCE));
    asks.iter().map(of).collect()
}

/// Only deferred flushes remain: no instruction drops one page without writing its entry.
#[test]
fn flushes() {
    let page = Ask::user(USER + PAGE, PAGE, &["pte"]);
    theme(
        "flushes",
        &named(&[
            ("user: one page, this CPU alone", page.clone()),
            ("user: one page, others too", page.clone().others()),
            (
                "user: one page and its table",
                page.clone().tables().others(),
            ),
            (
                "user: 300 pages",
                Ask::user(USER, 300 * PAGE, &["pte"]).others(),
            ),
            (
                "user: 300 pages, this CPU alone",
                Ask::user(USER, 300 * PAGE, &["pte"]),
            ),
            (
                "user: a table of pages is moved, 1 MiB",
                Ask::user(USER, MIB, &["pte"]).live().others(),
            ),
            ("kernel: one page", Ask::kernel(USER, PAGE, &["pte"])),
            (
                "kernel: one page and its table",
                Ask::kernel(USER, PAGE, &["pte"]).tables(),
            ),
            (
                "kernel: the last page of the addresses",
                Ask::kernel(PAGE.wrapping_neg(), PAGE, &["pte"]),
            ),
        ]),
    );
}

#[test]
fn flushes_of_large_leaves() {
    let machines = [
        "edat1",
        "edat1 edat2",
        "ipte_range local_clear edat1 edat2 rdp",
    ];
    let leaf = Ask::user(USER, MIB, &["pmd"]).others();
    theme_on(
        "flushes_of_large_leaves",
        &machines,
        &named(&[
            ("user: a leaf of 1 MiB", leaf),
            (
                "user: 2 MiB of pages and leaves",
                Ask::user(USER, 2 * MIB, &["pte", "pmd"]).others(),
            ),
        ]),
    );
    let leaf = Ask::user(USER, 2 * GIB, &["pud"]).others();
    theme_on(
        "flushes_of_leaves_of_2_gib",
        &machines[1..],
        &named(&[
            ("user: a leaf of 2 GiB", leaf.clone()),
            ("user: the same, this CPU alone", leaf.here()),
        ]),
    );
}

#[test]
fn everything() {
    let all = Ask::event(Event::Everything);
    let end = Ask::event(Event::Teardown);
    theme(
        "everything",
        &named(&[
            ("user: the whole space, this CPU alone", all.clone()),
            ("user: the whole space, others too", all.others()),
            ("user: the space ends, this CPU alone", end.clone()),
            ("user: the space ends, others too", end.others()),
        ]),
    );
}

#[test]
fn events() {
    theme(
        "events",
        &named(&[
            (
                "switch, nothing deferred",
                Ask::event(Event::Switch(Pending::None)),
            ),
            (
                "switch, the tag deferred",
                Ask::event(Event::Switch(Pending::Tag)),
            ),
            (
                "switch, everything deferred",
                Ask::event(Event::Switch(Pending::All)),
            ),
            (
                "return to user code, nothing deferred",
                Ask::event(Event::ReturnToUser(false)),
            ),
            ("CPU bring-up", Ask::event(Event::CpuOnline)),
        ]),
    );
}
