//! Faults of a planner: ways to break a node of a plan.
//!
//! In: a node. Out: the node broken in one way. Holds: each way is one that a planner could go wrong in by one line; a node that a
//! way does not apply to stays as it is.

use tlbc::model::{Amount, Model};
use tlbc::plan::ir::{Issue, Node, Over, Shape, Test};
use tlbc_facts::clause::MaxCount;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::{FinishSteps, IpiTargets};
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::Reach;
use tlbc_runtime::request::passes::{Folding, Leaves};

/// A way to break a node; `None` if it does not apply.
pub type Break = fn(&Node, &Model) -> Option<Node>;

const NOTHING: Node = Node::Seq(Vec::new());

/// Every way to break a node, with its name.
pub const BREAKS: &[(&str, Break)] = &[
    ("no instruction", |node, _| {
        matches!(node, Node::Issue(_)).then_some(NOTHING)
    }),
    ("the next instruction", |node, model| match node {
        Node::Issue(issue) => Some(Node::Issue(Issue {
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
                Node::Issue(Issue {
                    form: (issue.form + 1) % forms,
                    ..*issue
                })
            })
        }
        _ => None,
    }),
    ("no address", |node, _| match node {
        Node::Issue(issue) if issue.address => Some(Node::Issue(Issue {
            address: false,
            ..*issue
        })),
        _ => None,
    }),
    ("no tag", |node, _| match node {
        Node::Issue(issue) if issue.view.is_some() => Some(Node::Issue(Issue {
            view: None,
            ..*issue
        })),
        _ => None,
    }),
    ("another view", |node, model| match node {
        Node::Issue(issue) => {
            let views = model.space(issue.space).views.len();
            let view = issue.view.filter(|_| views > 1)?;
            Some(Node::Issue(Issue {
                view: Some((view + 1) % views),
                ..*issue
            }))
        }
        _ => None,
    }),
    ("another constant tag", |node, _| match node {
        Node::Issue(issue) => Some(Node::Issue(Issue {
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
    ("no ceiling", |node, _| match node {
        Node::Ceiling { .. } => Some(NOTHING),
        _ => None,
    }),
    ("another barrier", |node, model| {
        let next = |barrier: usize| (barrier + 1) % model.barriers.len();
        match node {
            Node::Complete { barrier } => Some(Node::Complete {
                barrier: next(*barrier),
            }),
            Node::Publish {
                barrier: Some(barrier),
            } => Some(Node::Publish {
                barrier: Some(next(*barrier)),
            }),
            Node::Resync { barrier } => Some(Node::Resync {
                barrier: next(*barrier),
            }),
            _ => None,
        }
    }),
    ("a hint, or none", |node, _| match node {
        Node::Issue(issue) if issue.address => Some(Node::Issue(Issue {
            hint: !issue.hint,
            ..*issue
        })),
        _ => None,
    }),
    (
        "leaf entries of all levels together",
        |node, _| match node {
            Node::Fold(folding) => Some(Node::Fold(Folding {
                leaves: Leaves::Named,
                ..*folding
            })),
            _ => None,
        },
    ),
    ("leaf and walk entries together", |node, _| match node {
        Node::Fold(folding) => Some(Node::Fold(Folding {
            joint: true,
            ..*folding
        })),
        _ => None,
    }),
    ("longer runs", |node, _| match node {
        Node::Loop {
            over:
                Over::Runs {
                    operand,
                    most: MaxCount::Count(most),
                },
            each,
            rest,
        } => Some(Node::Loop {
            over: Over::Runs {
                operand: *operand,
                most: MaxCount::Count(most.checked_mul(2)?),
            },
            each: each.clone(),
            rest: rest.clone(),
        }),
        _ => None,
    }),
    ("a loop over entries, not runs", |node, _| match node {
        Node::Loop {
            over: Over::Runs { .. },
            each,
            rest,
        } => Some(Node::Loop {
            over: Over::Entries,
            each: each.clone(),
            rest: rest.clone(),
        }),
        _ => None,
    }),
    ("one set too few", |node, _| match node {
        Node::Loop {
            over: Over::Sets(Amount::Stated(count)),
            each,
            rest,
        } => Some(Node::Loop {
            over: Over::Sets(Amount::Stated(count.checked_sub(1)?)),
            each: each.clone(),
            rest: rest.clone(),
        }),
        _ => None,
    }),
    ("the other passes", |node, _| match node {
        Node::Loop { over, each, rest } => {
            let over = match over {
                Over::Walks => Over::Leaves,
                Over::Leaves => Over::Walks,
                _ => return None,
            };
            Some(Node::Loop {
                over,
                each: each.clone(),
                rest: rest.clone(),
            })
        }
        _ => None,
    }),
    ("no step of completion required", |node, _| {
        matches!(node, Node::Requires(steps) if *steps != FinishSteps::NONE).then_some(NOTHING)
    }),
    ("no erratum sets", |node, _| match node {
        Node::SendIpi { to, flush } if to.sets != 0 => Some(Node::SendIpi {
            to: IpiTargets { sets: 0, ..*to },
            flush: *flush,
        }),
        _ => None,
    }),
    ("the plan of this CPU alone", |node, _| match node {
        Node::Call(shape) if shape.reach() == Reach::Wide => {
            let space = shape.space();
            let here = match shape {
                Shape::Everything(..) => Shape::Everything(space, Reach::Here),
                Shape::Passes(..) => Shape::Passes(space, Reach::Here),
                Shape::Pass(_, _, stage) => Shape::Pass(space, Reach::Here, *stage),
                _ => return None,
            };
            Some(Node::Call(here))
        }
        _ => None,
    }),
    ("a test of other levels", |node, _| match node {
        Node::Select {
            on: Test::Stride(levels),
            then,
            otherwise,
        } => Some(Node::Select {
            on: Test::Stride(Levels(levels.0 << 1)),
            then: then.clone(),
            otherwise: otherwise.clone(),
        }),
        _ => None,
    }),
];
