//! Decisions: tests, and the code of their branches.

use tlbc_runtime::deferred::Pending;

use super::context::Emit;
use super::parameters::At;
use super::tree::{Expr, Private, Property, Runtime, Stmt, Var, matches, number};
use super::values::{kind_of, tables};
use crate::plan::ir::{Node, Shape, Test};

impl Emit<'_> {
    /// Returns a decision. Tests that lead to the same code are joined: with `||` if one is asked when the other
    /// fails, with `&&` if both failures lead to the same.
    pub(super) fn select(
        &self,
        on: Test,
        then: &Node,
        otherwise: &Node,
        at: At,
        shape: Shape,
    ) -> Vec<Stmt> {
        // Tests of one value exclude each other, so the first test is redundant if its branch equals the
        // rest.
        if let Node::Select {
            on: next,
            then: other,
            otherwise: rest,
        } = otherwise
            && exclude_each_other(on, *next)
            && same(then, rest)
        {
            return self.select(*next, other, rest, at, shape);
        }
        let (test, then, otherwise) = if is_silent(then) {
            (self.test(on, shape).not(), otherwise, then)
        } else {
            (self.test(on, shape), then, otherwise)
        };
        let (test, then, otherwise) = self.joined(test, then, otherwise, shape, &same);
        let is_chained = matches!(otherwise, Node::Select { .. });
        let (then, otherwise) = (self.node(then, at, shape), self.node(otherwise, at, shape));
        let (mut alternatives, last) = match (then.is_empty(), otherwise.is_empty()) {
            (true, true) => return Vec::new(),
            (true, false) => (vec![(test.not(), otherwise)], Vec::new()),
            (false, _) => (vec![(test, then)], otherwise),
        };
        let last = match <[Stmt; 1]>::try_from(last) {
            Ok([Stmt::Do(Expr::If(others, last))]) if is_chained => {
                join_first(&mut alternatives, others);
                last
            }
            Ok([one]) => vec![one],
            Err(last) => last,
        };
        vec![Stmt::Do(Expr::If(alternatives, last))]
    }

    /// Joins a test with tests in its branches that lead to the same. Returns the whole test and the branches.
    fn joined<'n>(
        &self,
        mut test: Expr,
        mut then: &'n Node,
        mut otherwise: &'n Node,
        shape: Shape,
        same: &dyn Fn(&Node, &Node) -> bool,
    ) -> (Expr, &'n Node, &'n Node) {
        loop {
            if let Node::Select {
                on: next,
                then: other,
                otherwise: rest,
            } = otherwise
                && same(other, then)
            {
                test = test.or(self.test(*next, shape));
                otherwise = rest;
                continue;
            }
            if let Node::Select {
                on: next,
                then: other,
                otherwise: rest,
            } = otherwise
                && same(rest, then)
            {
                test = test.not().and(self.test(*next, shape));
                (then, otherwise) = (other, rest);
                continue;
            }
            let Node::Select {
                on: next,
                then: a,
                otherwise: b,
            } = then
            else {
                break;
            };
            let next = self.test(*next, shape);
            let (next, inner) = if same(b, otherwise) {
                (next, a)
            } else if same(a, otherwise) {
                (next.not(), b)
            } else {
                break;
            };
            test = test.and(next);
            then = inner;
        }
        (test, then, otherwise)
    }

    /// Returns the expression for one of two values; `value` returns that of a node.
    pub(super) fn choice(
        &self,
        on: Test,
        (then, otherwise): (&Node, &Node),
        shape: Shape,
        value: &dyn Fn(&Node) -> Expr,
    ) -> Expr {
        let same = |a: &Node, b: &Node| a == b;
        let test = self.test(on, shape);
        let (test, then, otherwise) = self.joined(test, then, otherwise, shape, &same);
        Expr::choice(test, value(then), value(otherwise))
    }

    /// Returns the expression of a test in the routine of a shape.
    pub(super) fn test(&self, test: Test, shape: Shape) -> Expr {
        let is = |var: Var, value: Expr| var.expr().binary("==", value);
        match test {
            Test::Feature(feature) => self.has(feature),
            Test::Erratum(erratum) => self.has(self.erratum_bit(erratum)),
            Test::GlobalTag => Var::Global.expr(),
            Test::WalkEntries => tables(shape),
            Test::LeafEntries => Var::Pass.field("leaf"),
            Test::NegativeEntries => match shape {
                Shape::Ranges(..) => Var::Ranges.method("have_appeared", []),
                Shape::Passes(..) => Var::Passes.method("negative", []),
                _ => Var::Pass.field("negative"),
            },
            Test::NegativeAt(levels) => Var::Ranges.method("appeared_at", [self.level_set(levels)]),
            Test::Teardown => Var::Teardown.expr(),
            Test::Kind(kind) => is(Var::Kind, kind_of(kind)),
            Test::MayDefer => Var::Owner.field("may_defer"),
            Test::OnlyHere => matches(Var::Owner.field("reach"), Runtime::Reach.item("Here")),
            Test::OneEntry => Var::Pass.field("entries").binary("==", number(1u32)),
            Test::OfKernel => matches(Var::Owner.field("space"), Runtime::Space.item("Kernel")),
            Test::Live => Var::Passes.method("cuts_are_live", []),
            Test::Stride(levels) => {
                let levels = levels.iter().map(|level| self.level_word(level.index()));
                let levels = levels.reduce(|all, level| all.binary("|", level));
                let of = if let Shape::Change = shape {
                    Var::Change.field("level")
                } else {
                    Var::Pass.field("stride")
                };
                levels.map_or(false.into(), |levels| matches(of, levels))
            }
            Test::FitsRun(operand) => {
                let shift = Property::PageShift.call([]);
                let shift = Var::Pass.field("shift").method("wrapping_sub", [shift]);
                self.private(Private::Units(operand))
                    .method("hold", [shift])
            }
            Test::Pending(pending) => {
                let pending = Runtime::Pending.item(match pending {
                    Pending::None => "None",
                    Pending::Tag => "Tag",
                    Pending::All => "All",
                });
                is(Var::Pending, pending)
            }
            Test::ViewDeferred => Var::ViewDeferred.expr(),
            Test::Required(required) => {
                let steps = if let Shape::Finish(..) = shape {
                    Var::Steps.expr()
                } else {
                    Var::Outcome.field("steps")
                };
                steps.method("requires", [self.finish_steps(required)])
            }
        }
    }
}

/// Appends alternatives to a single one, or joins its test with that of the first of them if both have the same code.
fn join_first(one: &mut Vec<(Expr, Vec<Stmt>)>, mut others: Vec<(Expr, Vec<Stmt>)>) {
    if let ([(test, code)], [(next, first), ..]) = (&mut one[..], &mut others[..])
        && code == first
    {
        *next = test.clone().or(next.clone());
        one.clear();
    }
    one.append(&mut others);
}

/// Returns whether at most one of two tests holds.
fn exclude_each_other(a: Test, b: Test) -> bool {
    a != b
        && matches!(
            (a, b),
            (Test::Pending(_), Test::Pending(_)) | (Test::Kind(_), Test::Kind(_))
        )
}

/// Returns whether two nodes are the same, or no code is written for either.
fn same(a: &Node, b: &Node) -> bool {
    a == b || is_silent(a) && is_silent(b)
}

/// Returns whether no code is written for a node.
fn is_silent(node: &Node) -> bool {
    match node {
        Node::Seq(steps) => steps.iter().all(is_silent),
        Node::Select {
            then, otherwise, ..
        } => is_silent(then) && is_silent(otherwise),
        Node::Publish { barrier } => barrier.is_none(),
        Node::Nothing(_) | Node::CompletePending(_) | Node::InvalidateSecondary => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests of which one is nested in the other, but whose first alternatives have the same code, are joined.
    #[test]
    fn alternatives_with_the_same_code_are_joined() {
        let code = |name: &'static str| vec![Stmt::Do(Expr::from(name))];
        let [a, b, c] = ["a", "b", "c"].map(Expr::from);
        let others = vec![(b.clone(), code("same")), (c.clone(), code("other"))];
        let mut joined = vec![(a.clone(), code("same"))];
        join_first(&mut joined, others.clone());
        let expected = [(a.clone().or(b), code("same")), (c, code("other"))];
        assert_eq!(joined, expected);

        let mut apart = vec![(a.clone(), code("first"))];
        join_first(&mut apart, others.clone());
        assert_eq!(apart, [vec![(a, code("first"))], others].concat());
    }
}
