//! `tlbc prove`: the shipped definitions are proved, and plans that are broken on purpose are not.

use std::collections::BTreeSet;

use tlbc::Analysis;
use tlbc::model::Model;
use tlbc::plan::Plans;
use tlbc::plan::ir::{Node, Plan, Shape};
use tlbc::prove::{disproved, prove};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::IpiTargets;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::request::Space;
use tlbc_tests::archdefs::{analysis, names};
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

/// A way to break a node; `None` if it does not apply.
type Break = fn(&Node, &Model) -> Option<Node>;

const NOTHING: Node = Node::Seq(Vec::new());

/// Every way to break a node, with its name.
const BREAKS: &[(&str, Break)] = &[
    ("no instruction", |node, _| {
        matches!(node, Node::Issue(_)).then_some(NOTHING)
    }),
    ("the next instruction", |node, model| match node {
        Node::Issue(issue) => Some(Node::Issue(tlbc::plan::ir::Issue {
            invalidate: (issue.invalidate + 1) % model.invalidates.len(),
            form: 0,
            ..*issue
        })),
        _ => None,
    }),
    ("another form", |node, model| match node {
        Node::Issue(issue) => {
            let forms = model.invalidates[issue.invalidate].forms.len();
            (forms > 1).then(|| {
                Node::Issue(tlbc::plan::ir::Issue {
                    form: (issue.form + 1) % forms,
                    ..*issue
                })
            })
        }
        _ => None,
    }),
    ("no address", |node, _| match node {
        Node::Issue(issue) if issue.address => Some(Node::Issue(tlbc::plan::ir::Issue {
            address: false,
            ..*issue
        })),
        _ => None,
    }),
    ("no tag", |node, _| match node {
        Node::Issue(issue) if issue.view.is_some() => Some(Node::Issue(tlbc::plan::ir::Issue {
            view: None,
            ..*issue
        })),
        _ => None,
    }),
    ("another view", |node, model| match node {
        Node::Issue(issue) => {
            let views = model.space(issue.space).views.len();
            let view = issue.view.filter(|_| views > 1)?;
            Some(Node::Issue(tlbc::plan::ir::Issue {
                view: Some((view + 1) % views),
                ..*issue
            }))
        }
        _ => None,
    }),
    ("another constant tag", |node, _| match node {
        Node::Issue(issue) => Some(Node::Issue(tlbc::plan::ir::Issue {
            tag: Some(issue.tag? + 1),
            ..*issue
        })),
        _ => None,
    }),
    ("nothing published", |node, _| {
        matches!(node, Node::Publish { barrier: Some(_) }).then_some(NOTHING)
    }),
    ("not complete", |node, _| {
        matches!(node, Node::Complete { .. }).then_some(NOTHING)
    }),
    ("not refetched", |node, _| {
        matches!(node, Node::Resync { .. }).then_some(NOTHING)
    }),
    ("no workaround", |node, _| {
        matches!(node, Node::Workaround { .. }).then_some(NOTHING)
    }),
    ("no guard", |node, _| match node {
        Node::Guard { body, .. } => Some((**body).clone()),
        _ => None,
    }),
    ("nothing deferred", |node, _| {
        matches!(node, Node::Defer(_) | Node::InvalidateOtherTags).then_some(NOTHING)
    }),
    ("less deferred", |node, _| match node {
        Node::Defer(deferred) if deferred.contains(Deferred::INACTIVE_UNTIL_LOAD) => {
            Some(Node::Defer(Deferred::LAZY_UNTIL_LOAD))
        }
        _ => None,
    }),
    ("no IPI", |node, _| {
        matches!(node, Node::SendIpi { .. }).then_some(NOTHING)
    }),
    ("fewer IPIs", |node, _| match node {
        Node::SendIpi { to, flush } if to.agents.covers(Agents::LAZY) => Some(Node::SendIpi {
            to: IpiTargets {
                agents: to.agents.without(Agents::LAZY),
                ..*to
            },
            flush: *flush,
        }),
        _ => None,
    }),
    ("IPIs that do not flush", |node, _| match node {
        Node::SendIpi { to, flush: true } => Some(Node::SendIpi {
            to: *to,
            flush: false,
        }),
        _ => None,
    }),
    ("entries kept by a load", |node, _| match node {
        Node::Load {
            load,
            view,
            empty,
            keep: false,
        } => Some(Node::Load {
            load: *load,
            view: *view,
            empty: *empty,
            keep: true,
        }),
        _ => None,
    }),
    ("no load", |node, _| {
        matches!(node, Node::Load { .. }).then_some(NOTHING)
    }),
    ("no call", |node, _| {
        matches!(node, Node::Call(_)).then_some(NOTHING)
    }),
    ("no loop", |node, _| {
        matches!(node, Node::Loop { .. }).then_some(NOTHING)
    }),
    ("no rest of a loop", |node, _| match node {
        Node::Loop {
            over,
            each,
            rest: Some(_),
        } => Some(Node::Loop {
            over: *over,
            each: each.clone(),
            rest: None,
        }),
        _ => None,
    }),
    ("always the first alternative", |node, _| match node {
        Node::Select { then, .. } => Some((**then).clone()),
        _ => None,
    }),
    ("always the second alternative", |node, _| match node {
        Node::Select { otherwise, .. } => Some((**otherwise).clone()),
        _ => None,
    }),
    ("alternatives swapped", |node, _| match node {
        Node::Select {
            on,
            then,
            otherwise,
        } => Some(Node::Select {
            on: *on,
            then: otherwise.clone(),
            otherwise: then.clone(),
        }),
        _ => None,
    }),
    ("the first steps swapped", |node, _| match node {
        Node::Seq(steps) if steps.len() > 1 => {
            let mut steps = steps.clone();
            steps.swap(0, 1);
            Some(Node::Seq(steps))
        }
        _ => None,
    }),
    ("the last steps swapped", |node, _| match node {
        Node::Seq(steps) if steps.len() > 2 => {
            let mut steps = steps.clone();
            let last = steps.len() - 1;
            steps.swap(last - 1, last);
            Some(Node::Seq(steps))
        }
        _ => None,
    }),
    ("without the first step", |node, _| match node {
        Node::Seq(steps) => Some(Node::Seq(steps.get(1..)?.to_vec())),
        _ => None,
    }),
    ("without the last step", |node, _| match node {
        Node::Seq(steps) => Some(Node::Seq(steps[..steps.len().checked_sub(1)?].to_vec())),
        _ => None,
    }),
    ("no store", |node, _| {
        matches!(node, Node::Store).then_some(NOTHING)
    }),
    ("no ceiling", |node, _| match node {
        Node::Ceiling { .. } => Some(NOTHING),
        _ => None,
    }),
];

/// Returns the node with one of its nodes broken: the one of this number that can be.
fn broken(node: &Node, model: &Model, how: Break, left: &mut usize) -> Option<Node> {
    if let Some(changed) = how(node, model).filter(|changed| changed != node) {
        if *left == 0 {
            return Some(changed);
        }
        *left -= 1;
    }
    let mut inside = |node: &Node| broken(node, model, how, left).map(Box::new);
    match node {
        Node::Seq(nodes) => nodes.iter().enumerate().find_map(|(index, node)| {
            let mut nodes = nodes.clone();
            nodes[index] = *inside(node)?;
            Some(Node::Seq(nodes))
        }),
        Node::Select {
            on,
            then,
            otherwise,
        } => {
            if let Some(then) = inside(then) {
                return Some(Node::Select {
                    on: *on,
                    then,
                    otherwise: otherwise.clone(),
                });
            }
            Some(Node::Select {
                on: *on,
                then: then.clone(),
                otherwise: inside(otherwise)?,
            })
        }
        Node::Guard { scope, body } => Some(Node::Guard {
            scope: *scope,
            body: inside(body)?,
        }),
        Node::Ceiling {
            count,
            beyond,
            within,
        } => Some(Node::Ceiling {
            count: count.clone(),
            beyond: *beyond,
            within: inside(within)?,
        }),
        Node::Loop { over, each, rest } => Some(Node::Loop {
            over: *over,
            each: inside(each)?,
            rest: rest.clone(),
        }),
        _ => None,
    }
}

/// Returns every plan of a definition with one node broken in this way.
fn mutants(arch: &Analysis, how: Break) -> impl Iterator<Item = (Shape, Plans)> + '_ {
    arch.plans.iter().flat_map(move |plan| {
        let nth = move |number: usize| {
            let body = broken(&plan.body, &arch.model, how, &mut { number })?;
            let mut plans = arch.plans.clone();
            plans.replace(Plan {
                body,
                ..plan.clone()
            });
            Some((plan.shape, plans))
        };
        (0..).map_while(nth)
    })
}

/// How many mutants of a definition are tried for each way.
const MOST: usize = 4;

/// For each way, some mutant of some definition is rejected.
#[test]
fn each_way_to_break_a_plan_is_detected() {
    let mut undetected = BTreeSet::new();
    for (name, how) in BREAKS {
        let detected = names().any(|arch| {
            let arch = analysis(arch);
            let mut some = mutants(arch, *how).take(MOST);
            some.any(|(shape, plans)| disproved(&arch.model, &plans, shape).is_some())
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
    assert_eq!(BREAKS.len(), 31);
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
        Shape::Relax,
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

#[test]
fn broken_changes_are_detected() {
    let mut undetected = Vec::new();
    for (name, shape, way, expected) in BROKEN {
        let arch = analysis(name);
        let how = BREAKS.iter().find(|(name, _)| name == way);
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
        is_flush.then_some(NOTHING)
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
