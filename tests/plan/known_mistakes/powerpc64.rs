//! powerpc64: a mandatory page size, walk entries by PID, a cache made from another, sets, devices, and
//! bindings of PIDs to tables.

use tlbc::trace::{Event, Trace};
use tlbc_runtime::request::Space;

use crate::known_mistakes::{MIB, operands, without};
use tlbc_tests::requests::{Ask, POWERPC64, bits, edited, findings, good, lines, names, powerpc};

const PAGE: u64 = 64 << 10;
const USER: u64 = 0x100_0000_0000;

/// Every machine that issues instructions itself, without errata.
const DIRECT: [&str; 8] = [
    "gtse",
    "gtse isa31",
    "gtse broadcast",
    "gtse broadcast isa31",
    "gtse coprocessors",
    "gtse isa31 coprocessors",
    "gtse broadcast coprocessors",
    "gtse broadcast isa31 coprocessors",
];

/// Returns the names of instructions, without repetitions.
fn distinct(trace: &Trace) -> Vec<&str> {
    let mut names = names(trace);
    names.dedup();
    names
}

/// Trap 6: `tlbie` of one page size leaves entries of the others, so each level is named by its own.
/// A publish does not depend on the attached devices: the barrier orders stores for all devices.
#[test]
fn new_entries_are_published_to_devices_too() {
    let narrow = "barrier stores \"sync\" { publishes on cpus; }\n    barrier isync ";
    let arch = good(&edited(POWERPC64, "barrier isync ", narrow));
    let of = |space| {
        let ask = Ask {
            space,
            ..Ask::event(Event::Publish)
        };
        names(&ask.on(&arch, "")).join(" ")
    };
    assert_eq!(of(Space::User), "ptesync");
    assert_eq!(of(Space::Kernel), "stores");
}

#[test]
fn trap_6_each_size_is_named() {
    let mixed = |page: u64| Ask::user(USER, 2 * page, &["pte", "pmd"]).others();
    let sizes = |words: &str, page, operand| {
        let words = operands(&mixed(page).on(powerpc(), words), operand);
        words.iter().map(|rb| bits(*rb, 7, 5)).collect::<Vec<_>>()
    };
    for words in ["gtse", "gtse broadcast"] {
        assert_eq!(sizes(words, 4 << 10, "rb_va"), [0, 0, 1], "{words}");
        let large = format!("g64k {words}");
        assert_eq!(sizes(&large, PAGE, "rb_va"), [5, 5, 1], "{large}");
    }
    // The hypervisor has its own encoding of page sizes.
    let rpt = |words| operands(&mixed(PAGE).on(powerpc(), words), "rpt_size");
    // A mask names all sizes of a range.
    assert_eq!(rpt(""), [0b1101]);
    assert_eq!(rpt("g64k"), [0b1110]);
    // An operand that says no level is none for an instruction that needs one.
    let field =
        "        [7:5]   level as pte 0, pte 5 when g64k, pmd 1, pud 2;\n        [4:0]   0;\n";
    let found = findings(&edited(POWERPC64, field, "        [7:0]   0;\n"));
    assert!(!found.is_empty(), "leaves of the other sizes stay");
}

/// Walk entries cannot be flushed by address: freed tables take the PID, and leaves are still flushed by address.
#[test]
fn walk_entries_go_by_pid() {
    let table = Ask::user(USER, PAGE, &["pte"]).tables().others();
    let on = |words: &str| distinct_owned(&table.on(powerpc(), words));
    let wide = ["ptesync", "tlbie_pid1", "tlbie_va", "tlbsync"];
    assert_eq!(on("gtse broadcast"), wide);
    assert_eq!(
        on("g64k gtse broadcast"),
        ["ptesync", "tlbie_va", "tlbie_pid1", "tlbsync"]
    );
    let here = [
        "ptesync",
        "tlbiel_pid1",
        "tlbiel_va",
        "ptesync",
        "slbia_user",
        "isync",
    ];
    assert_eq!(on("gtse"), here);
    // Without RIC = 1 the whole PID is flushed; without that as well there is no instruction.
    let text = without(POWERPC64, "invalidate tlbie_pid1");
    let trace = table.on(&good(&text), "gtse broadcast");
    assert_eq!(distinct(&trace), ["ptesync", "tlbie_pid2", "tlbsync"]);
    let drops = "drops leaf, walk, root of everything, this tag;\n        where nest";
    let less = "drops leaf, root of everything, this tag;\n        where nest";
    let found = findings(&edited(&text, drops, less));
    let walk = found
        .iter()
        .any(|f| f.starts_with("E050") && f.contains("walk"));
    assert!(walk, "{found:#?}");
}

fn distinct_owned(trace: &Trace) -> Vec<String> {
    distinct(trace).into_iter().map(str::to_owned).collect()
}

/// ERAT entries are made from TLB entries: they are dropped after the TLB entries are gone, or they would come back.
#[test]
fn the_erat_goes_after_the_tlb() {
    let asks = [
        Ask::user(USER, PAGE, &["pte"]),
        Ask::user(USER, 3 * PAGE, &["pte"]).tables(),
        Ask::user(USER, 2 * MIB, &["pte"]).live(),
        Ask::user(USER, 600 * PAGE, &["pte"]),
        Ask::kernel(0xc008_0000_4000_0000, PAGE, &["pte"]),
        Ask::event(Event::Everything),
        Ask::event(Event::Teardown),
    ];
    for words in DIRECT {
        for ask in asks
            .iter()
            .flat_map(|ask| [ask.clone().here(), ask.clone().others()])
        {
            let trace = ask.on(powerpc(), words);
            for asm in [lines(trace.issued()), lines(trace.issued_elsewhere())] {
                let Some(last) = asm.iter().rposition(|asm| asm.starts_with("tlbiel")) else {
                    continue;
                };
                let slbia = asm.iter().rposition(|asm| asm.starts_with("slbia"));
                let slbia = slbia.unwrap_or_else(|| panic!("{words}: no slbia in {asm:?}"));
                assert!(
                    asm[last..slbia].contains(&"ptesync".to_owned()),
                    "{words}: {asm:?}"
                );
                assert_eq!(asm[slbia + 1..], ["isync"], "{words}");
            }
        }
    }
    // If it were made from the tables, nothing would have to wait for the TLB.
    let text = edited(
        POWERPC64,
        "erat holds leaf from tlb;",
        "erat holds leaf;         ",
    );
    let trace = Ask::user(USER, PAGE, &["pte"]).on(&good(&text), "gtse");
    assert_eq!(trace.issued().filter(|i| i.name == "slbia_user").count(), 1);
    // No other instruction flushes the ERAT of this CPU alone.
    let text = without(
        &without(POWERPC64, "invalidate slbia_user"),
        "invalidate slbia_all",
    );
    let found = findings(&text);
    assert!(found.iter().any(|f| f.starts_with("E050")), "{found:#?}");
}

/// The teardown of a space frees its PID, so the process table entry is invalidated as well: RIC = 2, on all CPUs that may
/// hold it, with inactive CPUs.
#[test]
fn the_end_of_a_space_takes_ric_2() {
    let end = Ask::event(Event::Teardown);
    for words in DIRECT {
        for ask in [end.clone().here(), end.clone().others()] {
            let trace = ask.on(powerpc(), words);
            let broadcast = words.contains("broadcast") && (ask.others || words.contains("copro"));
            let wanted = if broadcast {
                "tlbie_pid2"
            } else {
                "tlbiel_pid2"
            };
            assert!(names(&trace).contains(&wanted), "{words}: {:?}", trace.here);
            let interrupts = ask.others && !broadcast;
            let others = trace.issued_elsewhere().any(|i| i.name == "tlbiel_pid2");
            assert_eq!(others, interrupts, "{words}");
            assert_eq!(
                trace.targets().any(|cpus| cpus == "inactive CPUs"),
                interrupts,
                "{words}"
            );
            assert_eq!(trace.deferred, [], "{words}: a deferred flush at teardown");
        }
    }
    for words in ["", "coprocessors"] {
        let trace = end.clone().others().on(powerpc(), words);
        assert_eq!(operands(&trace, "rpt_type"), [2 | 4 | 8], "{words}");
    }
    // RIC = 1 and RIC = 0 together are not enough.
    let text = edited(
        POWERPC64,
        "drops leaf, walk, root of everything, this tag;\n        where nest",
        "drops leaf, walk of everything, this tag;\n        where nest",
    );
    assert!(!findings(&text).is_empty(), "the process table entry stays");
}

/// Trap 10: local instructions do not flush devices, on any CPU.
#[test]
fn trap_10_a_device_takes_a_broadcast() {
    let asks = [
        Ask::user(USER, PAGE, &["pte"]),
        Ask::user(USER, 3 * PAGE, &["pte"]).tables(),
        Ask::user(USER, 600 * PAGE, &["pte"]),
        Ask::event(Event::Everything),
        Ask::event(Event::Teardown),
    ];
    for words in DIRECT {
        for ask in asks
            .iter()
            .flat_map(|ask| [ask.clone().here(), ask.clone().others()])
        {
            let trace = ask.on(powerpc(), words);
            let broadcast = trace.issued().any(|i| i.name.starts_with("tlbie_"));
            let device = words.contains("coprocessors");
            let wide = ask.others && words.contains("broadcast");
            assert_eq!(broadcast, device || wide, "{words}: {:?}", trace.here);
        }
    }
    // Devices do not use the mappings of the kernel.
    let kernel =
        Ask::kernel(0xc008_0000_4000_0000, PAGE, &["pte"]).on(powerpc(), "gtse coprocessors");
    assert!(!names(&kernel).iter().any(|name| name.starts_with("tlbie_")));
    let target = |words| {
        operands(
            &Ask::user(USER, PAGE, &["pte"])
                .others()
                .on(powerpc(), words),
            "rpt_target",
        )
    };
    assert_eq!((target(""), target("coprocessors")), (vec![1], vec![1 | 4]));
}

/// Trap 15: all sets, on one CPU, after the walk entries are gone.
#[test]
fn trap_15_every_set_once() {
    let all = Ask::event(Event::Everything);
    let trace = all.on(powerpc(), "gtse");
    let sets = operands(&trace, "rb_pid_set");
    let expected: Vec<u128> = (0..128).map(|set| set << 12 | 1 << 10).collect();
    assert_eq!(sets, expected);
    let expected = [
        "ptesync",
        "tlbiel_pid1",
        "ptesync",
        "tlbiel_pid0",
        "ptesync",
        "slbia_user",
        "isync",
    ];
    assert_eq!(distinct(&trace), expected);
    let one = all.on(powerpc(), "gtse isa31");
    assert_eq!(operands(&one, "rb_pid_set"), [1 << 10]);
    // A machine with fewer sets takes fewer.
    let text = edited(POWERPC64, "tlb  has 128 sets", "tlb  has 4 sets");
    let few = all.on(&good(&text), "gtse");
    assert_eq!(operands(&few, "rb_pid_set").len(), 4);
    // A CPU that comes up, too: of the partition, not of a PID.
    let arrive = Ask::event(Event::CpuOnline).on(powerpc(), "gtse");
    // The walk entries with set 0, then every set.
    let sets = [0].into_iter().chain(0..128);
    let expected: Vec<u128> = sets.map(|set| set << 12 | 2 << 10).collect();
    assert_eq!(operands(&arrive, "rb_all_set"), expected);
}

/// The refill rule: a leaf by address does not stay gone while a walk entry above can make it again.
#[test]
fn live_tables_wait_for_the_walk_entries() {
    // The smaller table of pages: 32 are flushed one by one.
    let moved = || Ask::user(USER, 2 * MIB, &["pte"]).live();
    {
        let wide = moved().others().on(powerpc(), "g64k gtse broadcast");
        let expected = ["ptesync", "tlbie_pid1", "tlbsync", "tlbie_va", "tlbsync"];
        assert_eq!(distinct(&wide), expected);
        let here = moved().on(powerpc(), "g64k gtse isa31");
        let expected = [
            "ptesync",
            "tlbiel_pid1",
            "ptesync_cpabort",
            "tlbiel_va",
            "ptesync_cpabort",
            "slbia_user",
            "isync",
        ];
        assert_eq!(distinct(&here), expected);
    }
    let call = moved().others().on(powerpc(), "g64k");
    assert_eq!(
        operands(&call, "rpt_type"),
        [4, 6],
        "a call is done when it returns"
    );
}

/// Since ISA 3.1 local flushes end with `cp_abort`; earlier machines do not have the instruction.
#[test]
fn copies_are_aborted_after_local_instructions() {
    for words in DIRECT {
        for ask in [
            Ask::user(USER, PAGE, &["pte"]),
            Ask::user(USER, 600 * PAGE, &["pte"]),
            Ask::user(USER, 2 * MIB, &["pte"]).live(),
        ] {
            let asm = ask.here_on(powerpc(), words);
            let local = asm.iter().rposition(|asm| asm.starts_with("tlbiel"));
            let aborts = asm.iter().rposition(|asm| asm == "cpabort");
            let wanted = local.filter(|_| words.contains("isa31"));
            assert_eq!(aborts.is_some(), wanted.is_some(), "{words}: {asm:?}");
            assert!(aborts >= wanted, "{words}: {asm:?}");
        }
    }
}

/// A rollover of PIDs needs every PID dropped. A call of the hypervisor drops one at a time, so that
/// without local instructions for all of them PIDs have to last for the life of a space.
#[test]
fn generations_want_everything_dropped() {
    let generations = edited(POWERPC64, "from life;", "from generations;");
    assert_eq!(findings(&generations), [""; 0]);
    let all = "{rb_all_set}, {rs_none}, ";
    let direct = |text: &str, ric: &str| {
        let head = format!("{all}{ric}, 1, 1\" {{");
        edited(text, &head, &format!("{all}{ric}, 1, 1\" requires gtse {{"))
    };
    let found = findings(&direct(&direct(&generations, "0"), "2"));
    let [found] = found.as_slice() else {
        panic!("{found:#?}");
    };
    assert!(
        found.starts_with("E0501") && found.contains("when tags are given out anew"),
        "{found}"
    );
}
