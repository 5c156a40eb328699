//! `tlbc prove`: the shipped definitions are proved, and plans that are broken on purpose are not.

use std::collections::BTreeSet;

use tlbc::Analysis;
use tlbc::codes::TOY;
use tlbc::model::{At, Need, Subject};
use tlbc::plan::ir::{Node, Plan, Shape};
use tlbc::prove::{Rule, Unfollowed, disproved, prove};
use tlbc_runtime::request::{Reach, Space};
use tlbc_tests::archdefs::{analysis, names, shipped};
use tlbc_tests::mutate::breaks::{BREAKS, Break};
use tlbc_tests::mutate::plans::{is_of_flush, mutants};
use tlbc_tests::requests::{findings, good};

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
        let mut writes = model.invalidates.iter().filter_map(|it| it.writes_entry);
        assert_eq!(
            left(Unfollowed::Compared),
            writes.any(|it| it.if_old),
            "{name}"
        );
    }
}

/// Tables are freed right after a flush only where it sends an IPI to every walker: the proof says the same as the check.
#[test]
fn walkers_are_in_no_table_that_is_freed() {
    let narrow = [
        include_str!("../codegen/narrow/sv32.arch"),
        include_str!("../codegen/narrow/e500.arch"),
        include_str!("invented/definitions/fork.arch"),
    ];
    let shipped = shipped();
    let shipped = shipped.iter().map(|it| it.text.as_str());
    let (mut proved, mut refused) = (0, 0);
    for text in shipped.chain(narrow) {
        let mut analysis = good(text);
        let name = analysis.model.arch.name.clone();
        let after_flush = "gather pages batched, tables after flush;";
        let stated =
            ["batched", "at change"].map(|how| format!("gather pages {how}, tables deferred;"));
        let mut changed = stated.iter().fold(text.to_owned(), |text, stated| {
            text.replace(stated, after_flush)
        });
        if changed == text {
            changed = text.replace("policy {", &format!("policy {{ {after_flush}"));
        }
        let check = findings(&changed);
        let is_refused = check.iter().any(|it| it.starts_with("E0602"));
        analysis.model.policy.tables_deferred = Some(At {
            value: false,
            span: analysis.model.arch.span,
        });
        let spaces = [Space::User, Space::Kernel].into_iter();
        let mut shapes = spaces.flat_map(|space| {
            let reaches = [Reach::Wide, Reach::Given].into_iter();
            reaches.map(move |reach| Shape::Everything(space, reach))
        });
        let Analysis { model, plans } = &analysis;
        let failure = shapes.find_map(|shape| disproved(model, plans, shape));
        let rule = failure.map(|it| it.rule);
        let expected = is_refused.then_some(Rule::Walkers);
        assert_eq!(rule, expected, "{name}: {check:?}");
        proved += u32::from(!is_refused);
        refused += u32::from(is_refused);
    }
    assert!(proved > 1 && refused > 5, "{proved} {refused}");
}

/// Several handlers of IPIs run at once, while the sender holds the lock, and events take none.
#[test]
fn handlers_and_events_have_no_lock() {
    let Analysis { mut model, plans } = analysis("loongarch64").clone();
    let mut locked = plans.clone();
    for plan in plans.iter() {
        locked.replace(Plan {
            body: Node::Guard {
                scope: Need::Lock,
                body: Box::new(plan.body.clone()),
            },
            ..plan.clone()
        });
    }
    for it in &mut model.invalidates {
        let span = it.span;
        it.needs.push(At {
            value: Need::Lock,
            span,
        });
    }
    let failures = prove(&model, &locked).failures;
    assert!(failures.iter().all(|it| it.rule == Rule::Unlocked));
    for request in ["kernel, this CPU: one page", "switch", "comes online"] {
        let of = |it: &tlbc::prove::Failure| it.request.contains(request);
        assert!(failures.iter().any(of), "{request}");
    }
}

/// A proof may depend on the unconfirmed facts about what it reads, and on those of the proofs on which it relies.
#[test]
fn unconfirmed_facts_are_those_of_parts_that_are_read() {
    let unconfirmed = "unconfirmed publish \"\"; unconfirmed drop_space \"\"; unconfirmed switch \"\"; unconfirmed caches \"\"; change {";
    let filled = unconfirmed.replace("\"\"", "\"a fact\"");
    let Analysis { model, plans } = good(&TOY.replace("change {", &filled));
    let proof = prove(&model, &plans);
    let of = |request: &str| {
        let row = proof.rows.iter().find(|row| row.request == request);
        row.expect("a row").unconfirmed(&model)
    };
    let (publish, drop_space, switch, caches) = (0, 1, 2, 3);
    assert_eq!(of("user, other CPUs too: one page"), [publish, caches]);
    assert_eq!(
        of("user, other CPUs too: everything"),
        [publish, drop_space, caches]
    );
    assert_eq!(of("user, change: publication"), [publish]);
    assert_eq!(of("switch, nothing pending"), [switch, caches]);
    assert_eq!(of("user, change: software bits change"), [0; 0]);

    // What is left to the next switch relies on its proof, and what a handler does on that of its CPU.
    let Analysis { model, plans } = analysis("loongarch64");
    let proof = prove(model, plans);
    let row = |request: &str| {
        let row = proof.rows.iter().find(|row| row.request == request);
        row.expect("a row")
    };
    let wide = row("user, other CPUs too: one page");
    let part = Subject::Part("switch");
    assert!(wide.facts.contains(&part));
    let here = "user, this CPU: one page";
    assert!(!row(here).facts.contains(&part));
    assert!(wide.relies.iter().any(|it| it == here), "{:?}", wide.relies);
}

/// How many mutants of the flushes of a definition, and how many of its other plans, are tried for each way.
const MOST: usize = 4;

/// For each way, some mutant of some definition is rejected.
#[test]
fn each_way_to_break_a_plan_is_detected() {
    // No shipped definition has runs of a few pages only, or leaf and walk entries of an address in two instructions.
    let calls = include_str!("invented/definitions/calls.arch")
        .replace("1..16 pages", "1..4 entries at pte")
        .replace("num + 1 pages", "num + 1 entries");
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
