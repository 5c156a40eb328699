//! s390: what is left to be flushed, and every change of an entry, since there the change itself flushes.

use tlbc::trace::Event;
use tlbc::trace::interpret::Changing;
use tlbc_runtime::backend::Debt;
use tlbc_runtime::change::Kind;
use tlbc_runtime::request::{Reach, Space};

use crate::common::{Ask, What, level, s390};
use crate::{GIB, MIB, PAGE, themes};

const USER: u64 = 0x100_0000_0000;

/// A space's ASCE: its top table is a region-third table of full length.
const ASCE: u64 = 0x8000_4007;
/// The table whose entries change, and what one of them says before and after.
const TABLE: u64 = 0x2000_0000;
const OLD: u64 = 0x1000_0001;
const NEW: u64 = 0x3000_0001;

/// Nothing; each feature alone; all; all but one.
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
fn change(kind: Kind, at: &str, entries: u64, reach: Reach, may_defer: bool) -> Ask {
    let change = Changing {
        kind,
        level: level(&s390().model, at),
        va: USER,
        entries,
        table: TABLE,
        index: 3,
        old: OLD,
        new: if kind == Kind::Vanishes { 0 } else { NEW },
        space: Space::User,
        reach,
        may_defer,
    };
    Ask::event(Event::Change(change)).tag(ASCE)
}

fn of_kernel(ask: &Ask) -> Ask {
    let Ask {
        event: What::Event(Event::Change(change)),
        ..
    } = ask
    else {
        panic!("a change");
    };
    let space = Space::Kernel;
    Ask {
        space,
        event: What::Event(Event::Change(Changing { space, ..*change })),
        ..*ask
    }
}

const KINDS: [(&str, Kind); 4] = [
    ("becomes invalid", Kind::Vanishes),
    ("is replaced", Kind::Replaces),
    ("gains rights", Kind::Relaxes),
    ("becomes valid", Kind::Appears),
];

fn changes(levels: &[&str], reach: Reach, may_defer: bool) -> Vec<(String, Ask)> {
    let who = match reach {
        Reach::Here => "this CPU alone",
        Reach::Wide => "others too",
    };
    let pairs = levels
        .iter()
        .flat_map(|level| KINDS.map(|(words, kind)| (level, words, kind)));
    pairs
        .map(|(level, words, kind)| {
            let ask = change(kind, level, 1, reach, may_defer);
            (format!("user: a {level} entry {words}, {who}"), ask)
        })
        .collect()
}

#[test]
fn changes_of_one_entry() {
    let levels = &["pte", "pmd", "pud"];
    theme("changes_wide", &changes(levels, Reach::Wide, false));
    theme("changes_here", &changes(levels, Reach::Here, false));
    // The levels above map nothing, and the machines differ in nothing that matters there.
    let all = ["", "ipte_range local_clear edat1 edat2 rdp"];
    let both = [Reach::Wide, Reach::Here];
    let upper = both.map(|reach| changes(&["p4d", "pgd"], reach, false));
    theme_on("changes_upper", &all, &upper.concat());
}

#[test]
fn deferred_changes() {
    let both = [Reach::Wide, Reach::Here];
    let asks = both.map(|reach| changes(&["pte", "pmd"], reach, true));
    theme("changes_deferred", &asks.concat());
}

#[test]
fn changes_of_several_entries() {
    let of = |words: &str, kind, at, entries, reach| {
        let who = match reach {
            Reach::Here => "this CPU alone",
            Reach::Wide => "others too",
        };
        let words = format!("user: {entries} {at} entries {words}, {who}");
        (words, change(kind, at, entries, reach, false))
    };
    theme(
        "changes_of_several",
        &[
            of("become invalid", Kind::Vanishes, "pte", 3, Reach::Wide),
            of("become invalid", Kind::Vanishes, "pte", 3, Reach::Here),
            of("become invalid", Kind::Vanishes, "pte", 253, Reach::Wide),
            of("become invalid", Kind::Vanishes, "pmd", 3, Reach::Wide),
            of("are replaced", Kind::Replaces, "pte", 3, Reach::Wide),
            of("are replaced", Kind::Replaces, "pmd", 3, Reach::Here),
            of("gain rights", Kind::Relaxes, "pte", 3, Reach::Wide),
        ],
    );
}

#[test]
fn changes_of_the_kernel() {
    let asks = changes(&["pte", "pmd"], Reach::Wide, false);
    let asks: Vec<_> = asks
        .into_iter()
        .map(|(words, ask)| (words.replace("user", "kernel"), of_kernel(&ask)))
        .collect();
    theme("changes_of_the_kernel", &asks);
}

fn named(asks: &[(&str, Ask)]) -> Vec<(String, Ask)> {
    let of = |(words, ask): &(&str, Ask)| ((*words).to_owned(), ask.clone().tag(ASCE));
    asks.iter().map(of).collect()
}

/// What is left to flush is what was put off: nothing drops one page without writing its entry.
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
            ("user: a table of one page is moved", page.live().others()),
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
                "switch, nothing owed",
                Ask::event(Event::Switch(Debt::None)),
            ),
            ("switch, the tag owed", Ask::event(Event::Switch(Debt::Tag))),
            (
                "switch, everything owed",
                Ask::event(Event::Switch(Debt::All)),
            ),
            (
                "return to user code, nothing owed",
                Ask::event(Event::Resume(false)),
            ),
            ("CPU bring-up", Ask::event(Event::Arrive)),
        ]),
    );
}
