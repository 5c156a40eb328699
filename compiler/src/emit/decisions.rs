//! Decisions: conditions, and the code of their branches.

use tlbc_runtime::deferred::Pending;

use super::context::Emit;
use super::parameters::OperandValues;
use super::tree::{Expr, Private, Property, Runtime, Stmt, Var, matches, number};
use super::values::{kind_of, tables};
use crate::plan::decision::{Condition, Decision};
use crate::plan::ir::{Node, Shape, Test};

impl Emit<'_> {
    /// Returns a decision between steps.
    pub(super) fn select(&self, decision: &Decision, at: OperandValues, shape: Shape) -> Vec<Stmt> {
        let Decision {
            condition,
            then,
            otherwise,
        } = decision;
        let test = self.holds(condition, shape);
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

    /// Returns the expression for the value of a node, which may be a selection of others; `value` returns that of each other node.
    pub(super) fn selected(
        &self,
        node: &Node,
        shape: Shape,
        value: &dyn Fn(&Node) -> Expr,
    ) -> Expr {
        let Node::Select {
            on,
            then,
            otherwise,
        } = node
        else {
            return value(node);
        };
        let decision = Decision::of_values(*on, then, otherwise);
        let test = self.holds(&decision.condition, shape);
        let value = |node| self.selected(node, shape, value);
        Expr::choice(test, value(decision.then), value(decision.otherwise))
    }

    /// Returns the expression of a condition in the routine of a shape.
    fn holds(&self, condition: &Condition, shape: Shape) -> Expr {
        match condition {
            Condition::Holds(test) => self.test(*test, shape),
            Condition::Not(inner) => self.holds(inner, shape).not(),
            Condition::Both(a, b) => self.holds(a, shape).and(self.holds(b, shape)),
            Condition::Either(a, b) => self.holds(a, shape).or(self.holds(b, shape)),
        }
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
                Shape::Ranges(..) => Var::Ranges.method("has_negative", []),
                Shape::Passes(..) => Var::Passes.method("negative", []),
                _ => Var::Pass.field("negative"),
            },
            Test::LeafAt(levels) => Var::Ranges.method("has_leaf_at", [self.level_set(levels)]),
            Test::WalkAt(levels) => Var::Ranges.method("has_walk_at", [self.level_set(levels)]),
            Test::Teardown => Var::Teardown.expr(),
            Test::Kind(kind) => is(Var::Kind, kind_of(kind)),
            Test::MayDefer => Var::Owner.field("may_defer"),
            Test::OnlyHere => matches(Var::Owner.field("reach"), Runtime::Reach.item("Here")),
            Test::OneEntry => Var::Pass.field("entries").binary("==", number(1u32)),
            Test::OfKernel => matches(Var::Owner.field("space"), Runtime::Space.item("Kernel")),
            Test::Live => Var::Passes.method("walks_complete_first", []),
            Test::Stride(levels) => {
                let levels = levels.iter().map(|level| self.level_word(level.index()));
                let levels = levels.reduce(|all, level| all.binary("|", level));
                let of = match shape {
                    Shape::Change => Var::Change.field("level"),
                    Shape::Page(..) => Var::Level.expr(),
                    _ => Var::Pass.field("stride"),
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
