//! Plans that are broken at one place, or at two that are drawn.
//!
//! In: the plans of a definition, and ways to break a node. Out: the plans with such nodes broken. Holds: each plan differs from
//! the right one.

use tlbc::Analysis;
use tlbc::model::Model;
use tlbc::plan::Plans;
use tlbc::plan::ir::{Node, Plan, Shape};
use tlbc_runtime::request::Reach;

use super::Rng;
use super::breaks::{BREAKS, Break};

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
