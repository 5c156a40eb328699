//! One decision tree from the outcomes of planning on all machines.
//!
//! In: the outcomes of a shape, each with the flags that lead to it. Out: a tree that asks for a flag only if the
//! answer matters. Holds: the answers of a machine lead to what was planned for it.

use super::factor::seq;
use super::ir::Node;
use crate::model::flags::{Flag, KnownFlags, Needs};

/// An outcome.
type KnownNode = (KnownFlags, Node);

/// Returns the decision tree.
pub fn tree(needs: &Needs, leaves: &[KnownNode]) -> Node {
    let leaves: Vec<&KnownNode> = leaves.iter().collect();
    grow(needs, KnownFlags::default(), &leaves)
}

fn grow(needs: &Needs, at: KnownFlags, leaves: &[&KnownNode]) -> Node {
    let of_all = |(_, node): &&&KnownNode| {
        let mut leaves = leaves.iter();
        leaves.all(|leaf| serves(needs, node, at, leaf))
    };
    if let Some((_, node)) = leaves.iter().find(of_all) {
        return given(needs, node, at);
    }
    let open = |(when, _): &&KnownNode| when.flags().find(|flag| at.get(*flag).is_none());
    let Some(flag) = leaves.iter().filter_map(open).min() else {
        return Node::Seq(Vec::new());
    };
    let side = |on| {
        let at = needs.follow(at.with(flag, on))?;
        let here = |(when, _): &&&KnownNode| {
            when.and(at)
                .is_some_and(|both| needs.follow(both).is_some())
        };
        let here: Vec<&KnownNode> = leaves.iter().filter(here).copied().collect();
        (!here.is_empty()).then(|| (at, grow(needs, at, &here), here))
    };
    // Impossible machines do not matter: if one branch also serves the machines of the other, the flag is not
    // asked for.
    let serves_also = |node: &Node, others: &[&KnownNode], at: KnownFlags| {
        let mut others = others.iter();
        others.all(|leaf| serves(needs, node, at, leaf))
    };
    match (side(true), side(false)) {
        (None, None) => Node::Seq(Vec::new()),
        (Some((_, node, _)), None) | (None, Some((_, node, _))) => node,
        (Some((_, then, _)), Some((off, _, others))) if serves_also(&then, &others, off) => then,
        (Some((on, _, others)), Some((_, otherwise, _)))
            if serves_also(&otherwise, &others, on) =>
        {
            otherwise
        }
        (Some((_, then, _)), Some((_, otherwise, _))) => Node::select(flag.test(), then, otherwise),
    }
}

/// Returns whether a node does the same as an outcome on all machines of the outcome that agree with some answers.
fn serves(needs: &Needs, node: &Node, at: KnownFlags, leaf: &KnownNode) -> bool {
    let (when, planned) = leaf;
    if node == planned {
        return true;
    }
    let Some(at) = when.and(at).and_then(|both| needs.follow(both)) else {
        return true;
    };
    if let Node::Select {
        on,
        then,
        otherwise,
    } = node
        && let Some(flag) = Flag::of(*on)
    {
        let side = |on, node| {
            let at = needs.follow(at.with(flag, on));
            at.is_none_or(|at| serves(needs, node, at, leaf))
        };
        return match at.get(flag) {
            Some(true) => serves(needs, then, at, leaf),
            Some(false) => serves(needs, otherwise, at, leaf),
            None => side(true, then) && side(false, otherwise),
        };
    }
    if !asks(node) && !asks(planned) {
        return false;
    }
    given(needs, node, at) == given(needs, planned, at)
}

/// Returns whether a node asks for a flag.
fn asks(node: &Node) -> bool {
    let mut found = false;
    node.walk(&mut |node| {
        found |= matches!(node, Node::Select { on, .. } if Flag::of(*on).is_some());
    });
    found
}

/// Returns a node without the decisions that some answers determine.
pub fn given(needs: &Needs, node: &Node, at: KnownFlags) -> Node {
    if !asks(node) {
        return node.clone();
    }
    let inner = |node: &Node| Box::new(given(needs, node, at));
    match node {
        Node::Seq(nodes) => seq(nodes.iter().map(|node| given(needs, node, at))),
        Node::Select {
            on,
            then,
            otherwise,
        } => {
            let Some(flag) = Flag::of(*on) else {
                return Node::select(*on, *inner(then), *inner(otherwise));
            };
            let side = |on| match at.get(flag) {
                Some(known) => (known == on).then_some(at),
                None => needs.follow(at.with(flag, on)),
            };
            match (side(true), side(false)) {
                (Some(on), None) => given(needs, then, on),
                (None, Some(off)) => given(needs, otherwise, off),
                (Some(on), Some(off)) => Node::select(
                    flag.test(),
                    given(needs, then, on),
                    given(needs, otherwise, off),
                ),
                (None, None) => Node::Seq(Vec::new()),
            }
        }
        Node::Guard { scope, body } => Node::Guard {
            scope: *scope,
            body: inner(body),
        },
        Node::Ceiling {
            count,
            beyond,
            within,
        } => Node::Ceiling {
            count: inner(count),
            beyond: *beyond,
            within: inner(within),
        },
        Node::Loop { over, each, rest } => Node::Loop {
            over: *over,
            each: inner(each),
            rest: rest.as_deref().map(inner),
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ir::Shape;

    fn leaf(answers: &[(usize, bool)], shape: Shape) -> KnownNode {
        let answers = answers.iter();
        let when = answers.fold(KnownFlags::default(), |all, (feature, on)| {
            all.with(Flag::feature(*feature), *on)
        });
        (when, Node::Call(shape))
    }

    fn asks(feature: usize, then: Node, otherwise: Node) -> Node {
        Node::select(Flag::feature(feature).test(), then, otherwise)
    }

    #[test]
    fn a_flag_that_does_not_matter_is_not_asked_for() {
        let leaves = [
            leaf(&[(0, false), (1, false)], Shape::CpuOnline),
            leaf(&[(0, true), (1, false)], Shape::CpuOnline),
            leaf(&[(0, false), (1, true)], Shape::Switch),
            leaf(&[(0, true), (1, true)], Shape::Switch),
        ];
        assert_eq!(
            tree(&Needs::default(), &leaves),
            asks(1, Node::Call(Shape::Switch), Node::Call(Shape::CpuOnline))
        );
    }

    #[test]
    fn machines_that_cannot_be_are_no_reason_to_ask() {
        let leaves = [
            leaf(&[(0, false), (1, false)], Shape::CpuOnline),
            leaf(&[(0, true), (1, false)], Shape::Switch),
            leaf(&[(0, true), (1, true)], Shape::Switch),
        ];
        assert_eq!(
            tree(&Needs::default(), &leaves),
            asks(0, Node::Call(Shape::Switch), Node::Call(Shape::CpuOnline))
        );
    }

    #[test]
    fn a_question_of_a_node_is_not_asked_where_it_is_decided() {
        let question = asks(
            0,
            Node::Call(Shape::Switch),
            Node::Call(Shape::ReturnToUser),
        );
        let on = KnownFlags::default().with(Flag::feature(0), true);
        let steps = Node::Seq(vec![Node::InvalidateSecondary, question.clone()]);
        assert_eq!(
            given(&Needs::default(), &steps, on),
            Node::Seq(vec![Node::InvalidateSecondary, Node::Call(Shape::Switch)])
        );
        let leaves = [
            (on, Node::Call(Shape::Switch)),
            (
                KnownFlags::default().with(Flag::feature(0), false),
                question,
            ),
        ];
        let grown = tree(&Needs::default(), &leaves);
        assert_eq!(
            grown,
            asks(
                0,
                Node::Call(Shape::Switch),
                Node::Call(Shape::ReturnToUser)
            )
        );
    }
}
