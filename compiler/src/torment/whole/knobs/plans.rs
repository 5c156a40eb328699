//! Faults in plans: functions that change the nodes of plans.

use tlbc_runtime::agents::Agents;
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::request::{Reach, Space};

use crate::plan::Plans;
use crate::plan::ir::{Node, Plan, Shape, Test};

/// Replaces nodes of plans, from the bottom to the top.
fn each_node(plans: &mut Plans, of: impl Fn(Shape) -> bool, change: &dyn Fn(Node) -> Node) {
    let those: Vec<Plan> = plans
        .iter()
        .filter(|plan| of(plan.shape))
        .cloned()
        .collect();
    for plan in those {
        let body = changed(plan.body, change);
        plans.replace(Plan { body, ..plan });
    }
}

fn changed(node: Node, change: &dyn Fn(Node) -> Node) -> Node {
    let boxed = |node: Box<Node>| Box::new(changed(*node, change));
    change(match node {
        Node::Seq(nodes) => Node::Seq(
            nodes
                .into_iter()
                .map(|node| changed(node, change))
                .collect(),
        ),
        Node::Select {
            on,
            then,
            otherwise,
        } => Node::Select {
            on,
            then: boxed(then),
            otherwise: boxed(otherwise),
        },
        Node::Guard { scope, body } => Node::Guard {
            scope,
            body: boxed(body),
        },
        Node::Ceiling {
            count,
            beyond,
            within,
        } => Node::Ceiling {
            count,
            beyond,
            within: boxed(within),
        },
        Node::Loop { over, each, rest } => Node::Loop {
            over,
            each: boxed(each),
            rest: rest.map(boxed),
        },
        other => other,
    })
}

const NO_STEP: Node = Node::Seq(Vec::new());

/// Replaces some nodes by no steps.
pub fn without(plans: &mut Plans, of: impl Fn(Shape) -> bool, is: impl Fn(&Node) -> bool) {
    each_node(plans, of, &|node| if is(&node) { NO_STEP } else { node });
}

pub(super) fn without_publish(plans: &mut Plans) {
    without(
        plans,
        |_| true,
        |node| matches!(node, Node::Publish { barrier: Some(_) }),
    );
}

pub(super) fn without_completion(plans: &mut Plans) {
    let is_finish = |shape| matches!(shape, Shape::Finish(..));
    without(plans, is_finish, |node| {
        matches!(node, Node::Complete { .. })
    });
}

/// Moves the barrier that publishes changes or orders instructions to the end of these.
pub(super) fn barrier_late(plans: &mut Plans) {
    each_node(plans, |_| true, &|node| match node {
        Node::Seq(mut nodes)
            if matches!(nodes.first(), Some(Node::Publish { barrier: Some(_) })) =>
        {
            nodes.rotate_left(1);
            Node::Seq(nodes)
        }
        other => other,
    });
}

pub(super) fn without_page(plans: &mut Plans) {
    let is_page = |shape| matches!(shape, Shape::Page(Space::User, _));
    without(plans, is_page, |node| matches!(node, Node::Issue(_)));
}

/// Takes the steps that a flush without freed tables takes.
pub(super) fn leaf_only(plans: &mut Plans) {
    each_node(plans, |_| true, &|node| match node {
        Node::Select {
            on: Test::WalkEntries,
            otherwise,
            ..
        } => *otherwise,
        other => other,
    });
}

/// Takes the steps that act on this CPU alone.
pub(super) fn local(plans: &mut Plans) {
    let wide: Vec<Shape> = { plans.iter() }
        .map(|plan| plan.shape)
        .filter(|shape| shape.reach() == Reach::Wide)
        .collect();
    for shape in wide {
        let here = match shape {
            Shape::Page(space, _) => Shape::Page(space, Reach::Here),
            Shape::Ranges(space, _) => Shape::Ranges(space, Reach::Here),
            Shape::Everything(space, _) => Shape::Everything(space, Reach::Here),
            Shape::Finish(space, _) => Shape::Finish(space, Reach::Here),
            _ => continue,
        };
        if let Some(plan) = plans.get(here).cloned() {
            plans.replace(Plan { shape, ..plan });
        }
    }
}

pub(super) fn without_ipis(plans: &mut Plans) {
    let is_target = |shape| matches!(shape, Shape::IpiTargets(_));
    without(plans, is_target, |node| {
        matches!(node, Node::SendIpi { .. })
    });
}

pub(super) fn without_lazy(plans: &mut Plans) {
    let is_target = |shape| matches!(shape, Shape::IpiTargets(_));
    each_node(plans, is_target, &|node| match node {
        Node::SendIpi { mut to, flush } => {
            to.agents = to.agents.without(Agents::LAZY);
            Node::SendIpi { to, flush }
        }
        other => other,
    });
}

/// Loads a root as if no flush were pending.
pub(super) fn without_pending(plans: &mut Plans) {
    each_node(plans, |shape| shape == Shape::Switch, &|node| match node {
        Node::Select {
            on: Test::Pending(Pending::None),
            then,
            ..
        } => *then,
        Node::Select {
            on: Test::Pending(_),
            otherwise,
            ..
        } => *otherwise,
        other => other,
    });
}

pub(super) fn without_deferred(plans: &mut Plans) {
    let is_deferral = |node: &Node| matches!(node, Node::Defer(_) | Node::InvalidateOtherTags);
    without(plans, |_| true, is_deferral);
}
