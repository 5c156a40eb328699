//! `tlbc prove`: the shipped definitions are proved, and plans that are broken on purpose are not.

use std::collections::BTreeSet;

use tlbc::Analysis;
use tlbc::plan::ir::{Node, Plan, Shape};
use tlbc::prove::{Unfollowed, disproved, prove};
use tlbc_runtime::request::{Reach, Space};
use tlbc_tests::archdefs::{analysis, names};
use tlbc_tests::mutate::plans::{BREAKS, Break, is_of_flush, mutants};
use tlbc_tests::requests::good;

#[test]
fn the_shipped_definitions_are_proved() {
    for name in names() {
        let Analysis { model, plans } = analysis(name);
        let proof = prove(model, plans);
        let messages = proof.failures.iter().map(|it| it.diagnostic(model).message);
        assert_eq!(messages.collect::<Vec<_>>(), Vec::<String>::new(), "{name}");
        assert!(proof.paths() > 400, "{name}");
        let kinds = [
            "one page",
            "everything",
            "unlinked tables",
            "an entry becomes invalid",
            "a leaf entry gains rights",
            "publication",
            "switch",
            "entry from user code",
            "comes online",
        ];
        for kind in kinds {
            let proved = |row: &&tlbc::prove::Row| row.request.contains(kind) && row.paths > 0;
            assert!(proof.rows.iter().any(|row| proved(&row)), "{name}: {kind}");
        }
    }
}

/// What no path proves is counted where it can occur, and nowhere else.
#[test]
fn what_is_not_proved_is_counted() {
    for name in names() {
        let Analysis { model, plans } = analysis(name);
        let proof = prove(model, plans);
        assert!(proof.left().all(|(_, paths)| paths < proof.paths()));
        let left = |gap: Unfollowed| proof.left().any(|(it, _)| it == gap);
        assert!(left(Unfollowed::Walkers), "{name}");
        let mut writes = model.invalidates.iter().filter_map(|it| it.writes_entry);
        assert_eq!(
            left(Unfollowed::Compared),
            writes.any(|it| it.if_old),
            "{name}"
        );
        let mut has_ceiling = false;
        for plan in plans.iter() {
            plan.body
                .walk(&mut |node| has_ceiling |= matches!(node, Node::Ceiling { .. }));
        }
        assert_eq!(left(Unfollowed::Ceiling), has_ceiling, "{name}");
    }
}

/// How many mutants of the flushes of a definition, and how many of its other plans, are tried for each way.
const MOST: usize = 4;

/// For each way, some mutant of some definition is rejected.
#[test]
fn each_way_to_break_a_plan_is_detected() {
    // No shipped definition has runs of a few pages only, or leaf and walk entries of an address in two instructions.
    let calls =
        include_str!("invented/definitions/calls.arch").replace("1..16 pages", "1..4 pages");
    let invented = good(&calls);
    let mut definitions: Vec<&Analysis> = Vec::new();
    for name in names() {
        definitions.push(analysis(name));
    }
    definitions.push(&invented);
    let apart = good(include_str!("invented/definitions/fork.arch"));
    definitions.push(&apart);
    let mut undetected = BTreeSet::new();
    for (name, how) in BREAKS {
        let detected = definitions.iter().any(|&arch| {
            // Plans of changes and of events are broken as well.
            let some = |of_flush| {
                let of = mutants(arch, *how).filter(move |(it, _)| is_of_flush(*it) == of_flush);
                of.take(MOST)
            };
            some(true)
                .chain(some(false))
                .any(|(shape, plans)| disproved(&arch.model, &plans, shape).is_some())
        });
        println!(
            "{name}: {}",
            if detected { "detected" } else { "not detected" }
        );
        if !detected {
            undetected.insert(*name);
        }
    }
    assert_eq!(undetected, BTreeSet::new());
    assert!(BREAKS.len() >= 30);
}

/// Changes of entries, publication and entry from user code: a plan that is broken in one way, and what the failure says.
const BROKEN: &[(&str, Shape, &str, &str)] = &[
    (
        "s390",
        Shape::Invalidate,
        "always the first alternative",
        "of other levels",
    ),
    (
        "s390",
        Shape::Invalidate,
        "the next instruction",
        "which the machine does not have",
    ),
    (
        "s390",
        Shape::Change,
        "no store",
        "does not get its new value",
    ),
    (
        "s390",
        Shape::Change,
        "nothing deferred",
        "by a plain store",
    ),
    ("s390", Shape::Change, "no call", "by a plain store"),
    (
        "s390",
        Shape::Change,
        "always the first alternative",
        "by a plain store",
    ),
    (
        "s390",
        Shape::Change,
        "alternatives swapped",
        "another kind of change",
    ),
    (
        "s390",
        Shape::Invalidate,
        "alternatives swapped",
        "no single instruction invalidates",
    ),
    ("s390", Shape::Invalidate, "no loop", "by a plain store"),
    (
        "s390",
        Shape::Replace,
        "no loop",
        "does not get its new value",
    ),
    (
        "s390",
        Shape::MoreRights,
        "alternatives swapped",
        "no single instruction invalidates",
    ),
    (
        "x86_64",
        Shape::Change,
        "no store",
        "does not get its new value",
    ),
    (
        "arm64",
        Shape::Publish(Space::Kernel),
        "nothing published",
        "may not see the new entry",
    ),
    (
        "arm64",
        Shape::Publish(Space::Kernel),
        "not refetched",
        "does not refetch",
    ),
    (
        "x86_64",
        Shape::EnterFromUser,
        "no load",
        "with the tag of another",
    ),
];

const NO_STORE: (&str, Break) = ("no store", |node, _| {
    matches!(node, Node::Store).then_some(Node::Seq(Vec::new()))
});

#[test]
fn broken_changes_are_detected() {
    let mut undetected = Vec::new();
    for (name, shape, way, expected) in BROKEN {
        let arch = analysis(name);
        let mut ways = BREAKS.iter().chain(std::iter::once(&NO_STORE));
        let how = ways.find(|(name, _)| name == way);
        let (_, how) = how.unwrap_or_else(|| panic!("there is no way {way:?}"));
        let some = mutants(arch, *how).filter(|(of, _)| of == shape);
        let mut messages = some.filter_map(|(_, plans)| {
            let failure = disproved(&arch.model, &plans, *shape)?;
            Some(failure.diagnostic(&arch.model).message)
        });
        if !messages.any(|message| message.contains(expected)) {
            undetected.push(format!("{name}, {shape:?}, {way}: {expected}"));
        }
    }
    assert_eq!(undetected, Vec::<String>::new());
}

/// Returns the node with the first two loads swapped that follow the load of an empty root.
fn with_a_late_tag(node: &Node) -> Option<Node> {
    let Node::Seq(steps) = node else { return None };
    let is_load = |step: &Node| matches!(step, Node::Load { .. });
    let is_empty = |step: &Node| matches!(step, Node::Load { empty: true, .. });
    let loads = steps
        .windows(3)
        .position(|steps| is_empty(&steps[0]) && steps.iter().all(is_load))?;
    let mut steps = steps.clone();
    steps.swap(loads + 1, loads + 2);
    Some(Node::Seq(steps))
}

/// A root that is loaded before the tag is seen under the tag of the space before.
#[test]
fn a_tag_that_is_loaded_after_the_root_is_detected() {
    let mut torn = 0;
    for arch in names().map(analysis) {
        let late: Break = |node, _| with_a_late_tag(node);
        for (shape, plans) in mutants(arch, late).filter(|(shape, _)| *shape == Shape::Switch) {
            let failure = disproved(&arch.model, &plans, shape);
            let message = failure.map(|it| it.diagnostic(&arch.model).message);
            let message = message.unwrap_or_else(|| panic!("{}", arch.model.arch.name));
            assert!(message.contains("with the tag of another"), "{message}");
            torn += 1;
        }
    }
    assert!(torn > 0);
}

/// Without tags the entries of the previous space are invalidated after the load of the root.
#[test]
fn a_switch_that_keeps_entries_of_the_space_before_is_detected() {
    let kept: Break = |node, _| {
        let is_flush = matches!(node, Node::Call(Shape::Everything(..)));
        is_flush.then_some(Node::Seq(Vec::new()))
    };
    let mut detected = 0;
    for arch in names().map(analysis) {
        for (shape, plans) in mutants(arch, kept).filter(|(shape, _)| *shape == Shape::Switch) {
            let failure = disproved(&arch.model, &plans, shape);
            let message = failure.map(|it| it.diagnostic(&arch.model).message);
            let message = message.unwrap_or_else(|| panic!("{}", arch.model.arch.name));
            detected += u32::from(message.contains("of the previous one"));
        }
    }
    assert!(detected > 0);
}

/// Definitions of 32-bit machines.
#[test]
fn narrow_machines_are_proved() {
    for text in [
        include_str!("../codegen/narrow/extended.arch"),
        include_str!("../codegen/narrow/sections.arch"),
    ] {
        let Analysis { model, plans } = good(text);
        let messages = prove(&model, &plans).failures;
        let messages = messages.iter().map(|it| it.diagnostic(&model).message);
        assert_eq!(messages.collect::<Vec<_>>(), Vec::<String>::new());
    }
}

/// A barrier that the machine lacks is an undefined instruction, also where it has nothing to do.
#[test]
fn a_barrier_that_the_machine_lacks_is_detected() {
    let mut found = 0;
    for arch in names().map(analysis) {
        for (index, barrier) in arch.model.barriers.iter().enumerate() {
            if barrier.requires.terms.is_empty() {
                continue;
            }
            for shape in [Shape::Everything(Space::User, Reach::Here), Shape::Switch] {
                let mut plans = arch.plans.clone();
                let plan = arch.plans.get(shape).expect("a plan").clone();
                let more = Node::Complete { barrier: index };
                plans.replace(Plan {
                    body: Node::Seq(vec![more, plan.body]),
                    ..plan
                });
                let failure = disproved(&arch.model, &plans, shape).expect("a failure");
                let message = failure.diagnostic(&arch.model).message;
                assert!(message.contains("does not have"), "{message}");
                found += 1;
            }
        }
    }
    assert!(found > 0);
}
