//! Loops over the sets of a cache: one function for each that plans repeat.

use std::collections::BTreeMap;

use super::context::Emit;
use super::parameters::OperandValues;
use super::tree::{Item, Private, SetLoop, Stmt, Uses, Var, number};
use crate::analysis::Analysis;
use crate::model::{Amount, Which};
use crate::plan::ir::{Issue, Node, Over};

/// How often plans have a loop that gets a function. With fewer it is shorter where it is.
const REPEATED: usize = 3;

/// Returns the loops that get a function.
pub fn repeated(analysis: &Analysis) -> Vec<SetLoop> {
    let mut counts: BTreeMap<SetLoop, usize> = BTreeMap::new();
    for plan in analysis.plans.iter() {
        plan.body.walk(&mut |node| {
            if let Some((over, _)) = of_node(node) {
                *counts.entry(over).or_default() += 1;
            }
        });
    }
    counts.retain(|_, count| *count >= REPEATED);
    counts.into_keys().collect()
}

/// Returns the loop of a node and its instruction, if it issues one for each of a constant number of sets.
fn of_node(node: &Node) -> Option<(SetLoop, Issue)> {
    let Node::Loop {
        over: Over::Sets(Amount::Stated(count)),
        each,
        rest: None,
    } = node
    else {
        return None;
    };
    let Node::Issue(issue) = **each else {
        return None;
    };
    let over = SetLoop {
        invalidate: issue.invalidate,
        count: *count,
    };
    Some((over, issue))
}

impl Emit<'_> {
    /// Returns the call for a node that is a loop over sets, if the loop has a function.
    pub(super) fn call_of_sets(&self, node: &Node) -> Option<Stmt> {
        let (over, issue) = of_node(node).filter(|(over, _)| self.names.has_sets(*over))?;
        let parameters = self.parameters_of_sets(over).into_iter();
        let arguments =
            parameters.map(|parameter| self.parameter(&issue, parameter, OperandValues::Set));
        let arguments = std::iter::once(Var::Cpu.expr()).chain(arguments);
        Some(Stmt::Do(self.private(Private::Sets(over)).call(arguments)))
    }

    /// Returns the functions of loops over sets that the rest of the module calls.
    pub(super) fn set_loops(&self, rest: &Uses) -> Vec<Item> {
        let called = self.names.sets();
        let called = called.filter(|it| rest.private(Private::Sets(*it)));
        let functions = called.map(|over| {
            let which = Which::Invalidate(over.invalidate);
            let issue = self.issued(which, &Var::expr);
            let sets = number(0u32).binary("..", number(over.count));
            self.issuer(
                Private::Sets(over),
                format!(
                    "Issues `{}` for each set.",
                    self.model.invalidates[over.invalidate].named.name
                ),
                self.parameters_of_sets(over),
                vec![Stmt::For(vec![Var::Set], sets, vec![issue])],
            )
        });
        functions.collect()
    }

    /// Returns the parameters of the function of a loop, besides the sink.
    fn parameters_of_sets(&self, over: SetLoop) -> Vec<Var> {
        let parameters = self.issuer_parameters(Which::Invalidate(over.invalidate));
        parameters
            .into_iter()
            .filter(|it| *it != Var::Set)
            .collect()
    }
}
