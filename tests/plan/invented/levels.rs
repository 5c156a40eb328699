//! Instructions for the entries of one level: a request whose level is known takes its own alone.

use tlbc::Analysis;
use tlbc::plan::ir::{Node, Shape, Test};
use tlbc::prove::{disproved, prove};
use tlbc_runtime::request::{Extent, Ranges, Reach, Space};

use super::stages::live;
use super::{issues, left_on_hardware, with};
use tlbc_tests::mutate::breaks::Break;
use tlbc_tests::mutate::plans::mutants;
use tlbc_tests::requests::{Ask, Steps, edited, flush_on, good, level, lines};

const LEVELS: &str = include_str!("definitions/levels.arch");

const PAGE: u64 = 0x1000;
const LARGE: u64 = 0x20_0000;
const HUGE: u64 = 0x4000_0000;

#[track_caller]
fn is_whole(arch: &Analysis) {
    let proof = prove(&arch.model, &arch.plans);
    let failures = proof.failures.iter();
    let messages: Vec<_> = failures
        .map(|it| it.diagnostic(&arch.model).message)
        .collect();
    assert_eq!(messages, [""; 0]);
    assert_eq!(left_on_hardware(arch, &arch.model), "");
}

/// Returns the instructions of a flush of this CPU.
fn flushed(arch: &Analysis, ranges: Ranges) -> Vec<String> {
    lines(flush_on(arch, "", false, ranges).instructions())
}

#[test]
fn one_page_takes_the_instructions_of_its_level() {
    let arch = good(LEVELS);
    let one = |bytes, level, expected: &[&str]| {
        let ask = Ask::user(bytes, bytes, level);
        let all = [&["begin"], expected, &["end"]].concat();
        issues(&arch, "", &ask, &all);
        issues(&arch, "", &ask.others(), &all);
    };
    one(PAGE, &["pte"], &["inval.pte 0x1000, 0x42"]);
    one(LARGE, &["pmd"], &["inval.pmd 0x200000, 0x42"]);
    one(HUGE, &["pud"], &["inval.pud 0x40000000, 0x42"]);
    let with_table = |bytes, level, expected: &[&str]| {
        let ask = Ask::user(bytes, bytes, level).tables();
        issues(&arch, "", &ask, &[&["begin"], expected, &["end"]].concat());
    };
    with_table(
        PAGE,
        &["pte"],
        &["inval.pte 0x1000, 0x42", "inval.table 0x1000"],
    );
    with_table(
        LARGE,
        &["pmd"],
        &["inval.pmd 0x200000, 0x42", "inval.upper 0x200000"],
    );
    is_whole(&arch);
}

/// Each level has passes of its own, also where one for a lower level names the same addresses.
#[test]
fn ranges_take_the_instructions_of_each_level() {
    let arch = good(LEVELS);
    let pages = [
        "begin",
        "inval.pte 0x1000, 0x42",
        "inval.pte 0x2000, 0x42",
        "end",
    ];
    issues(&arch, "", &Ask::user(PAGE, 2 * PAGE, &["pte"]), &pages);
    let large = [
        "begin",
        "inval.pmd 0x200000, 0x42",
        "inval.pmd 0x400000, 0x42",
        "end",
    ];
    issues(&arch, "", &Ask::user(LARGE, 2 * LARGE, &["pmd"]), &large);
    let split = Ask::user(0, LARGE, &["pmd", "pud"]);
    let both = ["begin", "inval.pmd 0x0, 0x42", "inval.pud 0x0, 0x42", "end"];
    issues(&arch, "", &split, &both);
    // More than the ceiling allows.
    let many = Ask::user(PAGE, 9 * PAGE, &["pte"]);
    issues(&arch, "", &many, &["begin", "inval.space 0x42", "end"]);
}

#[test]
fn unlinked_tables_take_the_instructions_of_their_level() {
    let arch = good(LEVELS);
    let unlinked = |levels: &[&str]| {
        let mut ranges = Ranges::new();
        for name in levels {
            ranges.walk(level(&arch.model, name), Extent::new(PAGE, PAGE));
        }
        let lines = flushed(&arch, ranges);
        lines[1..lines.len() - 1].to_vec()
    };
    assert_eq!(unlinked(&["pmd"]), ["inval.table 0x0"]);
    assert_eq!(unlinked(&["pud"]), ["inval.upper 0x0"]);
    // An instruction for a table names none above it.
    let both = ["inval.table 0x0", "inval.upper 0x0"];
    assert_eq!(unlinked(&["pmd", "pud"]), both);
    // Entries of tables that are still valid wait for those of the tables.
    let expected = [
        "begin",
        "inval.table 0x0",
        "end",
        "inval.pte 0x1000, 0x42",
        "inval.pte 0x2000, 0x42",
        "end",
    ];
    live(&arch, 2, &expected);
}

/// A level without an instruction that takes an address is flushed with the whole space, and only that level.
#[test]
fn levels_without_an_address_leave_the_others_theirs() {
    let without = |name: &str| {
        let (start, end) = (LEVELS.find(name).unwrap(), "after end;\n    }\n");
        let length = LEVELS[start..].find(end).unwrap() + end.len();
        let arch = good(&[&LEVELS[..start], &LEVELS[start + length..]].concat());
        is_whole(&arch);
        arch
    };
    let whole = ["begin", "inval.space 0x42", "end"];
    let both = Ask::user(0, LARGE, &["pte", "pud"]);

    let arch = without("invalidate huge");
    let pages = [
        "begin",
        "inval.pte 0x1000, 0x42",
        "inval.pte 0x2000, 0x42",
        "end",
    ];
    issues(&arch, "", &Ask::user(PAGE, 2 * PAGE, &["pte"]), &pages);
    let mixed = ["begin", "inval.pte 0x0, 0x42", "inval.pmd 0x0, 0x42", "end"];
    let lower = Ask::user(0, PAGE, &["pte", "pmd"]);
    issues(&arch, "", &lower, &mixed);
    issues(&arch, "", &Ask::user(HUGE, 2 * HUGE, &["pud"]), &whole);
    issues(&arch, "", &both, &whole);

    let arch = without("invalidate upper");
    let mut table = Ranges::new();
    table.leaf(level(&arch.model, "pte"), Extent::new(PAGE, 2 * PAGE));
    table.walk(level(&arch.model, "pmd"), Extent::new(PAGE, PAGE));
    let pages = [
        "begin",
        "inval.table 0x0",
        "inval.pte 0x1000, 0x42",
        "inval.pte 0x2000, 0x42",
        "end",
    ];
    assert_eq!(flushed(&arch, table), pages);
    table.walk(level(&arch.model, "pud"), Extent::new(PAGE, PAGE));
    assert_eq!(flushed(&arch, table), whole);
}

/// Levels that are flushed at the stride of a level without an address are flushed with the whole space as well.
#[test]
fn merged_levels_follow_their_stride() {
    let no_large = (
        "drops leaf at pmd of one page, this tag or global;",
        "drops leaf at pmd of everything, any tag;",
    );
    let arch = with(
        LEVELS,
        &[
            ("policy {", "policy { strides pte, pmd;"),
            no_large,
            ("\"inval.pmd {address}, {number}\"", "\"inval.pmd\""),
        ],
    );
    is_whole(&arch);
    let whole = ["begin", "inval.space 0x42", "end"];
    issues(&arch, "", &Ask::user(HUGE, 2 * HUGE, &["pud"]), &whole);
    let pages = ["begin", "inval.pte 0x1000, 0x42", "end"];
    issues(&arch, "", &Ask::user(PAGE, PAGE, &["pte"]), &pages);
}

/// Entries of a level that has no stride are flushed in passes over a lower level, whose instructions serve both.
#[test]
fn levels_without_a_stride_are_flushed_with_the_next_lower_one() {
    let arch = with(LEVELS, &[("policy {", "policy { strides pte, pmd;")]);
    let pages = ["begin", "inval.pte 0x1000, 0x42", "end"];
    issues(&arch, "", &Ask::user(PAGE, PAGE, &["pte"]), &pages);
    let mut huge = vec!["begin".to_owned()];
    for address in (0..4).map(|nth| HUGE + nth * LARGE) {
        huge.push(format!("inval.pmd {address:#x}, 0x42"));
        huge.push(format!("inval.pud {address:#x}, 0x42"));
    }
    huge.push("end".to_owned());
    let mut ranges = Ranges::new();
    ranges.leaf(level(&arch.model, "pud"), Extent::new(HUGE, 4 * LARGE));
    assert_eq!(flushed(&arch, ranges), huge);
    is_whole(&arch);
}

/// Returns the definition with negative entries, which the instructions of these levels drop.
fn with_negative(levels: &[&str], cached: &str) -> Analysis {
    let mut text = edited(LEVELS, "invalid never;", cached);
    text = text.replace(
        "leaf, walk of everything",
        "leaf, walk, negative of everything",
    );
    for level in levels {
        let (kind, tag) = match *level {
            "pgd" => ("walk", "any tag"),
            _ => ("leaf", "this tag or global"),
        };
        let drops = format!("drops {kind} at {level} of one page, {tag};");
        let both = format!("{drops} {}", drops.replace(kind, "negative"));
        text = edited(&text, &drops, &both);
    }
    good(&text)
}

/// New entries, too, take the instructions of their level alone.
#[test]
fn new_entries_take_the_instructions_of_their_level() {
    let arch = with_negative(&["pte", "pmd", "pud", "pgd"], "invalid cached;");
    let mut ranges = Ranges::new();
    ranges.negative(level(&arch.model, "pte"), Extent::new(PAGE, PAGE));
    ranges.negative(level(&arch.model, "pud"), Extent::new(0, HUGE));
    ranges.negative(level(&arch.model, "pgd"), Extent::new(0, HUGE << 9));
    let expected = [
        "begin",
        "inval.pte 0x1000, 0x42",
        "inval.pud 0x0, 0x42",
        "inval.upper 0x0",
        "end",
    ];
    assert_eq!(flushed(&arch, ranges), expected);
    is_whole(&arch);
    // One that is larger than what is followed page by page.
    is_whole(&with_negative(&["pte"], "invalid cached as pages;"));
}

/// The proof asks about new entries that point at tables as well, which no instruction drops by address here.
#[test]
fn new_tables_without_an_address_are_not_forgotten() {
    let arch = with_negative(&["pte", "pmd", "pud"], "invalid cached;");
    is_whole(&arch);
    let forget: Break = |node, _| match node {
        Node::Select {
            on: Test::LeafAt(_),
            otherwise,
            ..
        } => Some((**otherwise).clone()),
        _ => None,
    };
    let shape = Shape::Ranges(Space::User, Reach::Here);
    let forgetful: Vec<_> = mutants(&arch, forget)
        .filter(|(it, _)| *it == shape)
        .collect();
    assert_eq!(forgetful.len(), 1);
    let failure = disproved(&arch.model, &forgetful[0].1, shape).expect("a failure");
    let message = failure.diagnostic(&arch.model).message;
    assert!(
        message.contains("negative entries of level `pgd`"),
        "{message}"
    );
}

/// Where one instruction serves every level at the same cost, all levels use it.
#[test]
fn what_serves_every_level_at_the_same_cost_is_used_for_all() {
    let any = (
        "invalidate pages \"inval.pte",
        "invalidate any \"inval.any {address}, {number}\" {
        per \"Levels manual, 4.0\";
        drops leaf of one page, this tag or global;
        where cpus;
        needs no lock;
        after end;
    }
    invalidate pages \"inval.pte",
    );
    let arch = with(LEVELS, &[any]);
    let large = Ask::user(LARGE, LARGE, &["pmd"]);
    let expected = ["begin", "inval.any 0x200000, 0x42", "end"];
    issues(&arch, "", &large, &expected);
    // A page of another level needs it, at a higher cost.
    let dearer = (
        "drops leaf of one page, this tag or global;",
        "drops leaf of one page, this tag or global; cost 2;",
    );
    let text = edited(LEVELS, any.0, any.1);
    let arch = with(&text, &[dearer]);
    let expected = ["begin", "inval.pmd 0x200000, 0x42", "end"];
    issues(&arch, "", &large, &expected);
    is_whole(&arch);
}
