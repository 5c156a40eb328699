//! Faults of a planner: ways to break a plan.
//!
//! In: a plan. Out: the plan with one node broken in one way. Holds: each way is one that a planner could go wrong in by one
//! line; a node that a way does not apply to stays as it is.

use tlbc::Analysis;
use tlbc::model::{Amount, Model};
use tlbc::plan::Plans;
use tlbc::plan::ir::{Issue, Node, Over, Plan, Shape, Test};
use tlbc_facts::clause::MaxCount;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::{FinishSteps, IpiTargets};
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::Reach;
use tlbc_runtime::request::passes::{Folding, Leaves};

use super::Rng;

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
pub fn mutants(arch: &Analysis, how: Break) -> impl Iterator<Item = (Shape, Plans)> + '_ {
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

/// Returns whether the plan of a shape is one of a flush: hardware that is described runs these alone.
pub fn is_of_flush(shape: Shape) -> bool {
    let of_change = matches!(
        shape,
        Shape::Change | Shape::Invalidate | Shape::Replace | Shape::MoreRights | Shape::Publish(_)
    );
    let of_event = matches!(
        shape,
        Shape::Switch
            | Shape::LoadTag
            | Shape::ReturnToUser
            | Shape::EnterFromUser
            | Shape::CpuOnline
    );
    !of_change && !of_event && shape.reach() != Reach::Given
}

/// Returns how many nodes of a plan can be broken in a way.
fn places(node: &Node, model: &Model, how: Break) -> usize {
    let mut left = usize::MAX;
    broken(node, model, how, &mut left);
    usize::MAX - left
}

/// Plans with one or two faults, and where they are.
#[derive(Debug, Clone)]
pub struct Faulty {
    /// The plans.
    pub plans: Plans,
    /// The shapes whose plans have a fault.
    pub shapes: Vec<Shape>,
    /// The ways in which they are broken.
    pub ways: Vec<&'static str>,
}

/// Returns the plans of flushes of a definition with one or two random faults.
pub fn random(arch: &Analysis, rng: &mut Rng) -> Faulty {
    let flushes = arch.plans.iter().filter(|plan| is_of_flush(plan.shape));
    let shapes: Vec<Shape> = flushes.map(|plan| plan.shape).collect();
    let mut faulty = Faulty {
        plans: arch.plans.clone(),
        shapes: Vec::new(),
        ways: Vec::new(),
    };
    let faults = if rng.u8(..3) == 0 { 2 } else { 1 };
    while faulty.ways.len() < faults {
        let shape = shapes[rng.usize(..shapes.len())];
        let (way, how) = BREAKS[rng.usize(..BREAKS.len())];
        let Some(plan) = faulty.plans.get(shape) else {
            continue;
        };
        let places = places(&plan.body, &arch.model, how);
        if places == 0 {
            continue;
        }
        let body = broken(&plan.body, &arch.model, how, &mut rng.usize(..places));
        let Some(body) = body else { continue };
        let plan = Plan {
            body,
            ..plan.clone()
        };
        faulty.plans.replace(plan);
        faulty.shapes.push(shape);
        faulty.ways.push(way);
    }
    faulty
}
