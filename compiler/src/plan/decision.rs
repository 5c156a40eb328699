//! Decisions: tests that lead to the same alternatives are one condition.
//!
//! In: a selection of a plan. Out: a condition of one or more tests, and two alternatives. Holds: the condition selects what the
//! tests select one after the other; alternatives that take no step count as equal where steps are selected.

use super::ir::{Node, Test};

/// A condition of one or more tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// A test holds.
    Holds(Test),
    /// A condition does not hold.
    Not(Box<Condition>),
    /// Both conditions hold.
    Both(Box<Condition>, Box<Condition>),
    /// One of the conditions holds.
    Either(Box<Condition>, Box<Condition>),
}

impl Condition {
    fn not(self) -> Self {
        match self {
            Condition::Not(inner) => *inner,
            other => Condition::Not(Box::new(other)),
        }
    }

    fn and(self, other: Condition) -> Self {
        match other {
            Condition::Both(a, b) => self.and(*a).and(*b),
            other => Condition::Both(Box::new(self), Box::new(other)),
        }
    }

    fn or(self, other: Condition) -> Self {
        match other {
            Condition::Either(a, b) => self.or(*a).or(*b),
            other => Condition::Either(Box::new(self), Box::new(other)),
        }
    }
}

/// A decision between two alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'n> {
    /// The condition.
    pub condition: Condition,
    /// The alternative if it holds.
    pub then: &'n Node,
    /// The alternative if it does not.
    pub otherwise: &'n Node,
}

impl<'n> Decision<'n> {
    /// Returns the decision of a selection between values.
    #[must_use]
    pub fn of_values(on: Test, then: &'n Node, otherwise: &'n Node) -> Self {
        let first = Self {
            condition: Condition::Holds(on),
            then,
            otherwise,
        };
        first.joined(&|a, b| a == b)
    }

    /// Returns the decision of a selection between steps. The first alternative takes steps if one of them does.
    #[must_use]
    pub fn of_steps(on: Test, then: &'n Node, otherwise: &'n Node) -> Self {
        // The first test is redundant if its alternative equals the rest, because at most one of the tests holds.
        if let Node::Select {
            on: next,
            then: other,
            otherwise: rest,
        } = otherwise
            && exclude_each_other(on, *next)
            && same_steps(then, rest)
        {
            return Self::of_steps(*next, other, rest);
        }
        let condition = Condition::Holds(on);
        let first = if then.takes_no_step() {
            Self {
                condition: condition.not(),
                then: otherwise,
                otherwise: then,
            }
        } else {
            Self {
                condition,
                then,
                otherwise,
            }
        };
        first.joined(&same_steps)
    }

    /// Joins decisions of the alternatives that lead to the same, as long as there are any.
    fn joined(mut self, same: &dyn Fn(&Node, &Node) -> bool) -> Self {
        loop {
            let mut inner = Self::of_node(self.otherwise, same).into_iter();
            let joined = inner.find_map(|inner| self.with_otherwise(inner, same));
            let joined = joined.or_else(|| {
                let mut inner = Self::of_node(self.then, same).into_iter();
                inner.find_map(|inner| self.with_then(inner, same))
            });
            match joined {
                Some(joined) => self = joined,
                None => return self,
            }
        }
    }

    /// Returns the whole decision if that of the second alternative has an alternative that is the first one.
    fn with_otherwise(&self, inner: Self, same: &dyn Fn(&Node, &Node) -> bool) -> Option<Self> {
        let own = self.condition.clone();
        if same(inner.then, self.then) {
            Some(Self {
                condition: own.or(inner.condition),
                then: self.then,
                otherwise: inner.otherwise,
            })
        } else if same(inner.otherwise, self.then) {
            Some(Self {
                condition: own.not().and(inner.condition),
                ..inner
            })
        } else {
            None
        }
    }

    /// Returns the whole decision if that of the first alternative has an alternative that is the second one.
    fn with_then(&self, inner: Self, same: &dyn Fn(&Node, &Node) -> bool) -> Option<Self> {
        let own = self.condition.clone();
        let (condition, then) = if same(inner.otherwise, self.otherwise) {
            (own.and(inner.condition), inner.then)
        } else if same(inner.then, self.otherwise) {
            (own.and(inner.condition.not()), inner.otherwise)
        } else {
            return None;
        };
        Some(Self {
            condition,
            then,
            otherwise: self.otherwise,
        })
    }

    /// Returns the decisions of a node that is a selection: of its test, and of it with those that can be joined to it.
    fn of_node(node: &'n Node, same: &dyn Fn(&Node, &Node) -> bool) -> Vec<Self> {
        let Node::Select {
            on,
            then,
            otherwise,
        } = node
        else {
            return Vec::new();
        };
        let first = Self {
            condition: Condition::Holds(*on),
            then,
            otherwise,
        };
        vec![first.clone(), first.joined(same)]
    }
}

/// Returns whether at most one of two tests holds.
fn exclude_each_other(a: Test, b: Test) -> bool {
    a != b
        && matches!(
            (a, b),
            (Test::Pending(_), Test::Pending(_)) | (Test::Kind(_), Test::Kind(_))
        )
}

/// Returns whether two nodes are the same, or neither takes a step.
fn same_steps(a: &Node, b: &Node) -> bool {
    a == b || a.takes_no_step() && b.takes_no_step()
}

impl Node {
    /// Returns whether a node neither issues nor defers anything, whatever tests select.
    #[must_use]
    pub fn takes_no_step(&self) -> bool {
        match self {
            Node::Seq(steps) => steps.iter().all(Node::takes_no_step),
            Node::Select {
                then, otherwise, ..
            } => then.takes_no_step() && otherwise.takes_no_step(),
            Node::Publish { barrier } => barrier.is_none(),
            Node::Nothing(_) | Node::CompletePending(_) | Node::InvalidateSecondary => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ir::Reason;
    use tlbc_runtime::deferred::Pending;

    const TESTS: [Test; 3] = [Test::Feature(0), Test::GlobalTag, Test::WalkEntries];

    fn step(barrier: usize) -> Node {
        Node::Complete { barrier }
    }

    fn nothing() -> Node {
        Node::Nothing(Reason::AtOnce)
    }

    /// Returns the leaf of a tree that tests select.
    fn selected<'n>(node: &'n Node, holds: &dyn Fn(Test) -> bool) -> &'n Node {
        match node {
            Node::Select {
                on,
                then,
                otherwise,
            } => selected(if holds(*on) { then } else { otherwise }, holds),
            leaf => leaf,
        }
    }

    fn is_met(condition: &Condition, holds: &dyn Fn(Test) -> bool) -> bool {
        match condition {
            Condition::Holds(test) => holds(*test),
            Condition::Not(inner) => !is_met(inner, holds),
            Condition::Both(a, b) => is_met(a, holds) && is_met(b, holds),
            Condition::Either(a, b) => is_met(a, holds) || is_met(b, holds),
        }
    }

    /// Returns every tree of so many of the tests over these leaves.
    fn trees(tests: &[Test], leaves: &[Node]) -> Vec<Node> {
        let Some((&on, rest)) = tests.split_first() else {
            return leaves.to_vec();
        };
        let below = trees(rest, leaves);
        let pairs = below
            .iter()
            .flat_map(|then| below.iter().map(move |otherwise| (then, otherwise)));
        let pairs =
            pairs.map(|(then, otherwise)| Node::select(on, then.clone(), otherwise.clone()));
        pairs.collect()
    }

    #[test]
    fn decisions_select_what_tests_select_one_after_the_other() {
        let mut joined = 0;
        for tree in trees(&TESTS, &[step(0), step(1), nothing()]) {
            let Node::Select {
                on,
                then,
                otherwise,
            } = &tree
            else {
                continue;
            };
            for decision in [
                Decision::of_values(*on, then, otherwise),
                Decision::of_steps(*on, then, otherwise),
            ] {
                joined += usize::from(decision.condition != Condition::Holds(*on));
                for bits in 0..1 << TESTS.len() {
                    let holds = |test: Test| {
                        let at = TESTS.iter().position(|it| *it == test);
                        at.is_some_and(|at| bits & 1 << at != 0)
                    };
                    let alternative = if is_met(&decision.condition, &holds) {
                        decision.then
                    } else {
                        decision.otherwise
                    };
                    let (is, expected) = (selected(alternative, &holds), selected(&tree, &holds));
                    assert_eq!(is, expected, "{bits:b}: {tree:?}: {decision:?}");
                }
            }
        }
        assert!(joined > 100, "{joined}");
    }

    #[test]
    fn a_test_of_a_value_that_leads_to_the_rest_is_redundant() {
        let [none, tag] = [Pending::None, Pending::Tag].map(Test::Pending);
        let rest = Node::select(tag, step(0), step(1));
        let decision = Decision::of_steps(none, &Node::Nothing(Reason::AtOnce), &rest).condition;
        assert_eq!(decision, Condition::Holds(none).not());
        let (same, other) = (step(1), step(0));
        let decision = Decision::of_steps(none, &same, &rest);
        let expected = Decision {
            condition: Condition::Holds(tag),
            then: &other,
            otherwise: &same,
        };
        assert_eq!(decision, expected);
    }
}
