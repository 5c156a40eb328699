//! s390: instructions that write entries, entries of one table, and deferred flushes.

use std::sync::atomic::AtomicU64;

use tlbc::Analysis;
use tlbc::trace::interpret::Changing;
use tlbc::trace::{Event, Step};
use tlbc_backends::s390::{Config, Op, PTE, Tlb};
use tlbc_runtime::pte::{Below, Change, Entry, Kind, Marks, Owner, Slot};
use tlbc_runtime::request::{Reach, Space, SpaceFlags, Tag};
use tlbc_runtime::{Backend, Deferred, Record};

use crate::known_mistakes::PAGE;
use tlbc_tests::configurations::machine;
use tlbc_tests::requests::{
    Ask, Made, S390, TAG, What, change_on, edited, findings, good, level, names, s390,
};

const USER: u64 = 0x100_0000_0000;
const TABLE: u64 = 0x2000_0000;
const FEATURES: [&str; 5] = ["ipte_range", "local_clear", "edat1", "edat2", "rdp"];
const LEVELS: [&str; 5] = ["pte", "pmd", "pud", "p4d", "pgd"];
const KINDS: [Kind; 5] = [
    Kind::Map,
    Kind::Unmap,
    Kind::MoreRights,
    Kind::Same,
    Kind::Remap,
];

/// Returns every possible machine.
fn machines() -> Vec<String> {
    let all = (0u32..32).map(|set| {
        let features = FEATURES.iter().enumerate();
        let features = features.filter(|(i, _)| set & 1 << i != 0);
        features.map(|(_, name)| *name).collect::<Vec<_>>()
    });
    let possible = all.filter(|set| !set.contains(&"rdp") || set.contains(&"local_clear"));
    possible.map(|set| set.join(" ")).collect()
}

fn change(kind: Kind, at: &str, entries: u64, space: Space, reach: Reach) -> Changing {
    Changing {
        kind,
        level: level(&s390().model, at),
        va: USER,
        entries,
        table: TABLE,
        space,
        reach,
        ..Changing::default()
    }
}

/// Returns every kind of change, of this many entries.
fn changes(entries: u64) -> Vec<Changing> {
    let all = KINDS.iter().flat_map(|&kind| {
        LEVELS.iter().flat_map(move |&at| {
            let spaces = [Space::User, Space::Kernel];
            let pairs = spaces.map(|space| [(space, Reach::Here), (space, Reach::Wide)]);
            let pairs = pairs.into_iter().flatten();
            pairs.map(move |(space, reach)| change(kind, at, entries, space, reach))
        })
    });
    all.collect()
}

fn on(change: Changing, words: &str) -> Made {
    made(s390(), change, words)
}

fn made(arch: &Analysis, change: Changing, words: &str) -> Made {
    change_on(arch, machine(&arch.model, words).config, TAG, change)
}

/// A store never overwrites a valid entry of an attached space: an instruction makes the entry invalid first, or clears its
/// protection, or replaces it.
#[test]
fn no_store_to_a_valid_entry() {
    for words in machines() {
        for change in [1, 3].into_iter().flat_map(changes) {
            let trace = on(change, &words);
            let names = names(&trace);
            let store = names.iter().position(|name| *name == "store");
            let context = format!("{words}: {change:?}: {names:?}");
            assert!(trace.deferred.is_nothing(), "{context}");
            let software_bits = change.kind == Kind::Same && change.level.index() == 0;
            if change.kind == Kind::Map || software_bits {
                assert_eq!(names, ["store"], "{context}");
                continue;
            }
            let entries = usize::try_from(change.entries).expect("few");
            let of = |all: &[&str]| {
                let first = store.unwrap_or(names.len());
                let hits = names[..first].iter().filter(|name| all.contains(name));
                hits.count()
            };
            let invalid = of(&["ipte", "ipte_local", "idte", "idte_local"]);
            let runs = of(&["ipte_run", "ipte_run_local"]);
            let more_rights = of(&["rdp", "rdp_local"]);
            let replaced = of(&["crdte", "cspg"]);
            assert_eq!(
                invalid + runs + more_rights + replaced,
                store.unwrap_or(names.len()),
                "{context}"
            );
            assert!(
                invalid == entries || runs == 1 || more_rights == entries || replaced == entries
            );
            assert!(runs == 0 || entries > 1, "{context}");
            assert!(
                more_rights == 0 || change.kind == Kind::MoreRights,
                "{context}"
            );
            assert!(replaced == 0 || change.kind != Kind::Unmap, "{context}");
            // An entry that an instruction replaces is not stored again.
            assert_eq!(store.is_some(), replaced == 0, "{context}");
        }
    }
}

/// IPTE is for page tables alone, IDTE for all others, and each names the table and not the space.
#[test]
fn trap_14_the_table_is_the_operand() {
    let asce = 0x8000_4007;
    for words in machines() {
        for change in changes(1) {
            let config = machine(&s390().model, &words).config;
            let trace = change_on(s390(), config, asce, change);
            for i in trace.here.iter().filter_map(Step::instruction) {
                let is_page_table = change.level.index() == 0;
                let right = match i.name.as_str() {
                    "idte" | "idte_local" => !is_page_table,
                    "crdte" | "cspg" => true,
                    _ => is_page_table,
                };
                assert!(right, "{words}: {} of {change:?}", i.name);
                let table = ["table", "origin", "origin_in_r4", "entry"];
                let mut operands = i.operands.iter();
                let named = operands.find(|operand| table.contains(&operand.name.as_str()));
                let named = named.map(|operand| operand.value.0 & !0x7ff);
                assert_eq!(named, Some(u128::from(TABLE)), "{}", i.name);
            }
        }
    }
}

/// An instruction that flushes on this CPU alone is used only if no other CPU can hold entries.
#[test]
fn local_clearing_is_for_this_cpu_alone() {
    for words in machines() {
        for change in changes(3) {
            let trace = on(change, &words);
            let local = names(&trace).iter().any(|name| name.ends_with("_local"));
            let context = format!("{words}: {change:?}: {:?}", trace.here);
            assert!(!local || change.reach == Reach::Here, "{context}");
            let unmaps = change.kind == Kind::Unmap && change.reach == Reach::Here;
            let wanted = unmaps && words.contains("local_clear");
            assert!(!wanted || local, "{context}");
        }
    }
}

/// A flush does not use the instructions that write entries.
#[test]
fn writers_do_not_flush() {
    let writers: Vec<&str> = s390()
        .model
        .invalidates
        .iter()
        .filter(|it| it.writes_entry.is_some())
        .map(|it| it.named.name.as_str())
        .collect();
    assert_eq!(
        writers,
        [
            "ipte",
            "ipte_local",
            "ipte_run",
            "ipte_run_local",
            "idte",
            "idte_local",
            "crdte",
            "cspg",
            "rdp",
            "rdp_local"
        ]
    );
    let asks = [
        Ask::user(USER, PAGE, &["pte"]),
        Ask::user(USER, PAGE, &["pte"]).tables(),
        Ask::user(USER, 512 * PAGE, &["pte"]).live(),
        Ask::kernel(USER, PAGE, &["pte"]),
        Ask::kernel(USER, 300 * PAGE, &["pte"]).tables(),
        Ask::event(Event::Everything),
        Ask::event(Event::Teardown),
        Ask::event(Event::CpuOnline),
    ];
    for words in machines() {
        for ask in asks
            .iter()
            .flat_map(|ask| [ask.clone().here(), ask.clone().others()])
        {
            let trace = ask.on(s390(), &words);
            let is_arrival = matches!(ask.event, What::Event(Event::CpuOnline));
            let wanted = if ask.others && !is_arrival {
                "idte_asce"
            } else {
                "ptlb"
            };
            assert_eq!(names(&trace), [wanted], "{words}");
            assert!(trace.ipis.is_empty() && trace.deferred.is_empty());
        }
    }
}

/// While no other CPU is attached a store is enough. Everything of the ASCE is flushed before another CPU attaches, by the
/// one instruction that reaches all CPUs without a table.
#[test]
fn deferred_flushes_go_by_asce() {
    for words in machines() {
        for change in changes(3) {
            let change = Changing {
                may_defer: true,
                ..change
            };
            let trace = on(change, &words);
            if change.space == Space::Kernel {
                continue;
            }
            assert_eq!(names(&trace), ["store"], "{words}: {change:?}");
            let software_bits = change.kind == Kind::Same && change.level.index() == 0;
            let wanted = if change.kind == Kind::Map || software_bits {
                Deferred::NOTHING
            } else {
                Deferred::SPACE_UNTIL_ATTACH
            };
            assert_eq!(trace.deferred, wanted, "{change:?}");
        }
    }
    // If that instruction left leaf entries, no other would drop those of overwritten pages.
    let drops = "drops leaf, walk of everything, this tag;";
    let found = findings(&edited(S390, drops, "drops walk of everything, this tag;"));
    assert!(!found.is_empty(), "leaf entries would stay");
}

/// A flush is deferred only if the request allows it, even for the kernel or for this CPU alone.
#[test]
fn deferral_is_asked_for() {
    let text = edited(
        S390,
        "by writers, deferred while detached or here;",
        "by writers;",
    );
    let arch = good(&text);
    for change in changes(1) {
        let change = Changing {
            may_defer: true,
            ..change
        };
        let trace = made(&arch, change, "edat2");
        assert!(trace.deferred.is_nothing(), "{change:?}");
        let stores = names(&trace).first() == Some(&"store");
        let software_bits = change.kind == Kind::Same && change.level.index() == 0;
        let plain = change.kind == Kind::Map || software_bits;
        assert_eq!(stores, plain, "{change:?}");
    }
}

/// RDP leaves stricter entries in TLBs; a CPU that faults on one drops it. It is not used when rights are removed or another
/// page is mapped.
#[test]
fn rdp_only_gives_rights() {
    for words in machines() {
        for change in changes(1) {
            let trace = on(change, &words);
            let used = names(&trace).iter().any(|name| name.starts_with("rdp"));
            let may = change.kind == Kind::MoreRights && change.level.index() == 0;
            assert!(!used || may, "{words}: {change:?}");
        }
    }
}

/// An instruction that writes a run of entries is not used on machines where an erratum makes it leave translations.
#[test]
fn a_weakened_run_is_not_used() {
    let erratum =
        "erratum lazy \"invented\" { weakens ipte_run, ipte_run_local: not leaf; }\n\n    policy {";
    let weak = good(&edited(S390, "policy {", erratum));
    for reach in [Reach::Here, Reach::Wide] {
        let change = change(Kind::Unmap, "pte", 3, Space::User, reach);
        for (words, run) in [("ipte_range", true), ("ipte_range lazy", false)] {
            let trace = made(&weak, change, words);
            let names = names(&trace);
            assert_eq!(names.contains(&"ipte_run"), run, "{words}: {names:?}");
            assert_eq!(names.contains(&"ipte"), !run, "{words}: {names:?}");
        }
    }
}

/// CRDTE and CSPG replace an entry only if it has the expected value: each is given the value of its own entry.
#[test]
fn each_entry_is_compared_with_its_own_value() {
    let entries = [0x1000, 0x5000, 0x9000].map(AtomicU64::new);
    let slot = Slot {
        entries: entries.as_slice().into(),
        table: TABLE,
        index: 7,
        va: USER,
    };
    let page = |page| Entry::Leaf {
        page,
        rights: 3,
        attributes: 0,
    };
    let change = Change {
        level: PTE,
        old: page(1),
        new: page(2),
        new_bits: 0x2000,
        clears: Marks::NONE,
        below: Below::Cleared,
    };
    let owner = Owner {
        space: Space::Kernel,
        tag: Tag {
            value: 0x8000_4007,
            global: true,
        },
        reach: Reach::Wide,
        flags: SpaceFlags::NONE,
        may_defer: false,
    };
    for (config, name) in [(Config::NONE, "cspg"), (Config::EDAT2, "crdte")] {
        let mut expected = Vec::new();
        let mut sink = Record(|op: Op| {
            assert_eq!(op.name(), name);
            op.operands(|operand, value| {
                if operand == "old_in_r2" {
                    expected.push(value);
                }
            });
        });
        let changed = Tlb { config }.change(&mut sink, &slot, &change, &owner);
        assert!(changed.required.is_nothing());
        assert_eq!(expected, [0x1000, 0x5000, 0x9000], "{name}");
    }
}
