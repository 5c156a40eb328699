//! Steps that two branches of a decision have in common are issued outside of it.
//!
//! In: a tree. Out: a tree with the same steps in the same order on every path. Common steps at the start or the
//! end of both branches move out of the decision, and so do a guard, a loop, a ceiling, or another decision that
//! contains both branches.

use super::ir::{Node, Test};

/// Returns the same tree, shorter.
pub fn factor(node: Node) -> Node {
    match node {
        Node::Seq(steps) => seq(steps.into_iter().map(factor)),
        Node::Select {
            on,
            then,
            otherwise,
        } => merge(on, factor(*then), factor(*otherwise)),
        Node::Guard { scope, body } => Node::Guard {
            scope,
            body: Box::new(factor(*body)),
        },
        Node::Ceiling {
            count,
            beyond,
            within,
        } => Node::Ceiling {
            count: Box::new(factor(*count)),
            beyond,
            within: Box::new(factor(*within)),
        },
        Node::Loop { over, each, rest } => Node::Loop {
            over,
            each: Box::new(factor(*each)),
            rest: rest.map(|rest| Box::new(factor(*rest))),
        },
        other => other,
    }
}

fn merge(on: Test, then: Node, otherwise: Node) -> Node {
    if then == otherwise {
        return then;
    }
    match (then, otherwise) {
        (
            Node::Guard { scope, body },
            Node::Guard {
                scope: same,
                body: other,
            },
        ) if scope == same => Node::Guard {
            scope,
            body: Box::new(merge(on, *body, *other)),
        },
        (
            Node::Ceiling {
                count,
                beyond,
                within,
            },
            Node::Ceiling {
                count: other_count,
                beyond: same,
                within: other,
            },
        ) if beyond == same => Node::Ceiling {
            count: Box::new(merge(on, *count, *other_count)),
            beyond,
            within: Box::new(merge(on, *within, *other)),
        },
        (
            Node::Loop { over, each, rest },
            Node::Loop {
                over: same,
                each: other,
                rest: other_rest,
            },
        ) if over == same && rest.is_some() == other_rest.is_some() => Node::Loop {
            over,
            each: Box::new(merge(on, *each, *other)),
            rest: rest
                .zip(other_rest)
                .map(|(rest, other)| Box::new(merge(on, *rest, *other))),
        },
        (
            Node::Select {
                on: inner,
                then: a,
                otherwise: b,
            },
            Node::Select {
                on: same,
                then: c,
                otherwise: d,
            },
        ) if inner == same => {
            if a == c || b == d || parts_loops(inner) {
                return merge(inner, merge(on, *a, *c), merge(on, *b, *d));
            }
            // The order of the two questions does not matter to any path: the shorter tree is used.
            let yes = merge(on, (*a).clone(), (*c).clone());
            let no = merge(on, (*b).clone(), (*d).clone());
            let turned = if is_select(&yes) && is_select(&no) {
                Node::select(inner, yes, no)
            } else {
                merge(inner, yes, no)
            };
            let straight =
                Node::select(on, Node::select(inner, *a, *b), Node::select(inner, *c, *d));
            if size(&turned) < size(&straight) {
                turned
            } else {
                straight
            }
        }
        (then, otherwise) => ends(on, steps(then), steps(otherwise)),
    }
}

fn is_select(node: &Node) -> bool {
    matches!(node, Node::Select { .. })
}

/// Returns the length of a node: the lines that its steps and decisions take.
fn size(node: &Node) -> usize {
    match node {
        Node::Seq(steps) => steps.iter().map(size).sum(),
        Node::Select {
            then, otherwise, ..
        } => {
            let (then, otherwise) = (size(then), size(otherwise));
            2 + then + otherwise + usize::from(then > 0 && otherwise > 0)
        }
        Node::Guard { body, .. } => size(body),
        Node::Loop { each, rest, .. } => 2 + size(each) + rest.as_deref().map_or(0, size),
        Node::Ceiling { count, within, .. } => 2 + size(count) + size(within),
        _ => 1,
    }
}

/// Returns whether a test separates loops over runs from loops over entries. If it is asked first, each kind of
/// loop occurs once.
fn parts_loops(test: Test) -> bool {
    matches!(test, Test::FitsRun(_) | Test::Stride(_))
}

/// Moves steps out of a decision that both branches start or end with.
fn ends(on: Test, mut then: Vec<Node>, mut otherwise: Vec<Node>) -> Node {
    let same = then
        .iter()
        .zip(&otherwise)
        .take_while(|(a, b)| a == b)
        .count();
    let before: Vec<Node> = then.drain(..same).collect();
    otherwise.drain(..same);
    let back = then.iter().rev().zip(otherwise.iter().rev());
    let same = back.take_while(|(a, b)| a == b).count();
    let after: Vec<Node> = then.drain(then.len() - same..).collect();
    otherwise.truncate(otherwise.len() - same);
    let moved = !before.is_empty() || !after.is_empty();
    let (then, otherwise) = (seq(then), seq(otherwise));
    let middle = if moved {
        merge(on, then, otherwise)
    } else {
        Node::select(on, then, otherwise)
    };
    seq(before.into_iter().chain([middle]).chain(after))
}

fn steps(node: Node) -> Vec<Node> {
    match node {
        Node::Seq(steps) => steps,
        other => vec![other],
    }
}

/// Returns a flat sequence. A barrier that has several roles is issued once in a row, and a single step is returned as
/// it is.
pub fn seq(nodes: impl IntoIterator<Item = Node>) -> Node {
    let mut flat: Vec<Node> = nodes.into_iter().flat_map(steps).collect();
    flat.dedup_by(|node, before| match (node, before) {
        (
            Node::Resync { barrier },
            Node::Complete { barrier: before } | Node::Resync { barrier: before },
        )
        | (
            Node::Publish {
                barrier: Some(barrier),
            },
            Node::Complete { barrier: before },
        ) => barrier == before,
        (Node::Publish { barrier }, Node::Publish { barrier: before }) => barrier == before,
        _ => false,
    });
    if flat.len() == 1 {
        return flat.remove(0);
    }
    Node::Seq(flat)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(barrier: usize) -> Node {
        Node::Complete { barrier }
    }

    fn select(on: Test, then: Node, otherwise: Node) -> Node {
        Node::Select {
            on,
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        }
    }

    #[test]
    fn common_ends_move_out() {
        let tree = select(
            Test::WalkEntries,
            seq([step(1), step(2), step(9)]),
            seq([step(1), step(9)]),
        );
        let inner = select(Test::WalkEntries, step(2), Node::Seq(Vec::new()));
        assert_eq!(factor(tree), seq([step(1), inner, step(9)]));
    }

    #[test]
    fn a_shared_decision_is_asked_once() {
        let tree = select(
            Test::Feature(0),
            select(Test::WalkEntries, step(1), step(2)),
            select(Test::WalkEntries, step(1), step(3)),
        );
        let rest = select(Test::Feature(0), step(2), step(3));
        assert_eq!(factor(tree), select(Test::WalkEntries, step(1), rest));
    }
}
