//! Loops over passes, entries and runs, and the ceilings before them.

use tlbc_facts::clause::MaxCount;

use super::context::Emit;
use super::parameters::OperandValues;
use super::tree::{Expr, Private, Property, Runtime, Stmt, Uses, Var, number};
use super::values::{reach_word, space_word};
use crate::plan::ir::{Count, Node, Over, Shape};

impl Emit<'_> {
    /// Returns a loop. What its steps depend on does not change within it, so the compiler decides before the loop.
    pub(super) fn repeat(
        &self,
        over: Over,
        each: &Node,
        rest: Option<&Node>,
        shape: Shape,
    ) -> Vec<Stmt> {
        let passes = |name| {
            let each = self.node(each, OperandValues::First, shape);
            vec![Stmt::For(
                vec![Var::Pass],
                Var::Passes.method(name, []),
                each,
            )]
        };
        match over {
            Over::Walks => passes("walks"),
            Over::Leaves => passes("leaves"),
            Over::Entries => {
                let each = self.node(each, OperandValues::Each, shape);
                let uses = Uses::of(&each);
                let addresses = Var::Pass.method("addresses", []);
                let (vars, over) = match (uses.var(Var::Nth), uses.var(Var::Va)) {
                    (false, true) => (vec![Var::Va], addresses),
                    (true, true) => {
                        let numbered = Expr::from("(0..)").method("zip", [addresses]);
                        (vec![Var::Nth, Var::Va], numbered)
                    }
                    (is_nth, false) => {
                        let vars = is_nth.then_some(Var::Nth).into_iter().collect();
                        (
                            vars,
                            Expr::from("0").binary("..", Var::Pass.field("entries")),
                        )
                    }
                };
                vec![Stmt::For(vars, over, each)]
            }
            Over::Runs { operand, most } => self.runs(operand, most, each, rest, shape),
            Over::Sets(count) => {
                let each = self.node(each, OperandValues::Set, shape);
                let sets = Expr::from("0").binary("..", self.amount(count));
                vec![Stmt::For(vec![Var::Set], sets, each)]
            }
        }
    }

    fn runs(
        &self,
        operand: usize,
        most: MaxCount,
        each: &Node,
        rest: Option<&Node>,
        shape: Shape,
    ) -> Vec<Stmt> {
        let Some(names) = self.model.operands[operand].names.as_ref() else {
            return Vec::new();
        };
        let each = self.node(each, OperandValues::Piece, shape);
        let units = self.private(Private::Units(operand));
        let runs = if names.pages {
            let shift = Property::PageShift.call([]);
            Runtime::Runs
                .item("of_pages")
                .call([Var::Pass.expr(), shift, units])
        } else {
            let most = self.most(most);
            Runtime::Runs
                .item("of_entries")
                .call([Var::Pass.expr(), most, units])
        };
        let Some(rest) = rest else {
            return vec![Stmt::For(vec![Var::Run], runs, each)];
        };
        let rest = self.node(rest, OperandValues::Rest, shape);
        vec![
            Stmt::Let(Var::Runs.mutable(), runs),
            Stmt::For(vec![Var::Run], Var::Runs.method("by_ref", []), each),
            Stmt::IfSome(Var::Va, Var::Runs.method("rest", []), rest),
        ]
    }

    /// Returns the steps up to a ceiling, after those for more operations, which end the routine.
    pub(super) fn ceiling_of(
        &self,
        count: &Node,
        beyond: Shape,
        within: &Node,
        shape: Shape,
    ) -> Vec<Stmt> {
        let arguments = [space_word(shape.space()), reach_word(shape.reach())];
        let ceiling = Expr::from("self").method("ceiling", arguments);
        let operations = self.operations(count, shape);
        let arguments = [Var::Operations.expr(), Var::Passes.method("pages", [])];
        let exceeded = Var::Ceiling.method("is_exceeded_by", arguments);
        let everything = if self.acts(beyond) {
            self.call_in(beyond, shape)
        } else {
            Runtime::Outcome.item("NOTHING")
        };
        let everything = Runtime::Outcome.item("over_ceiling").call([everything]);
        let mut steps = vec![
            Stmt::Let(Var::Operations.word(), operations),
            Stmt::Let(Var::Ceiling.word(), ceiling),
            Stmt::Do(Expr::If(
                vec![(exceeded, vec![Stmt::Return(everything)])],
                Vec::new(),
            )),
        ];
        steps.extend(self.node(within, OperandValues::Nothing, shape));
        steps
    }

    /// Returns the expression for a number of operations.
    fn operations(&self, count: &Node, shape: Shape) -> Expr {
        self.selected(count, shape, &|node| match node {
            Node::Count(counts) => {
                let counts = counts.iter().map(|count| self.count(*count));
                let most = counts.reduce(|most, count| most.method("max", [count]));
                most.unwrap_or(number(0u32))
            }
            _ => number(0u32),
        })
    }

    fn count(&self, count: Count) -> Expr {
        match count {
            Count::Entries => Var::Passes.method("entries", []),
            Count::EntryRuns(most, levels, walks) => {
                let arguments = [self.most(most), self.level_set(levels), walks.into()];
                Var::Passes.method("entry_runs", arguments)
            }
            Count::PageRuns(operand, walks) => {
                let units = self.private(Private::Units(operand));
                let arguments = [Property::PageShift.call([]), units, walks.into()];
                Var::Passes.method("page_runs", arguments)
            }
        }
    }

    /// Returns the most entries of a run.
    fn most(&self, most: MaxCount) -> Expr {
        match most {
            MaxCount::Count(u32::MAX) => "u32::MAX".into(),
            MaxCount::Count(count) => number(count),
            MaxCount::Limit(limit) => Expr::from("self").field(self.names.limit(limit as usize)),
        }
    }
}
