//! Choices of a barrier by a flag: one function for each that plans repeat.

use std::collections::BTreeMap;

use super::context::Emit;
use super::tree::{Expr, FlagBarriers, Item, Private, Stmt, Uses, Var};
use crate::analysis::Analysis;
use crate::model::Model;
use crate::plan::ir::{Node, Test};

/// How often plans have a choice that gets a function. With fewer it is shorter where it is.
const REPEATED: usize = 3;

/// Returns the choices of barriers that get a function.
pub fn repeated(analysis: &Analysis) -> Vec<FlagBarriers> {
    let mut counts: BTreeMap<FlagBarriers, usize> = BTreeMap::new();
    for plan in analysis.plans.iter() {
        plan.body.walk(&mut |node| {
            if let Some(barriers) = of_node(&analysis.model, node) {
                *counts.entry(barriers).or_default() += 1;
            }
        });
    }
    counts.retain(|_, count| *count >= REPEATED);
    counts.into_keys().collect()
}

/// Returns the choice that a node makes, if it chooses between two barriers by a flag.
fn of_node(model: &Model, node: &Node) -> Option<FlagBarriers> {
    let Node::Select {
        on,
        then,
        otherwise,
    } = node
    else {
        return None;
    };
    let flag = match *on {
        Test::Feature(feature) => feature,
        Test::Erratum(erratum) => model.features.len() + erratum,
        _ => return None,
    };
    let barrier = |node: &Node| match *node {
        Node::Publish { barrier } => barrier,
        Node::Complete { barrier } | Node::Resync { barrier } => Some(barrier),
        _ => None,
    };
    Some(FlagBarriers {
        flag,
        set: barrier(then)?,
        clear: barrier(otherwise)?,
    })
}

impl Emit<'_> {
    /// Returns the call for a node that chooses between two barriers, if the choice has a function.
    pub(super) fn call_of_barriers(&self, node: &Node) -> Option<Stmt> {
        let barriers = of_node(self.model, node).filter(|it| self.names.has_barriers(*it))?;
        let function = self.private(Private::Barriers(barriers));
        Some(Stmt::Do(
            function.call([Var::Cpu.expr(), Var::Config.expr()]),
        ))
    }

    /// Returns the functions for choices of barriers that the rest of the module calls.
    pub(super) fn barriers(&self, rest: &Uses) -> Vec<Item> {
        let called = self.names.barriers();
        let called = called.filter(|it| rest.private(Private::Barriers(*it)));
        let functions = called.map(|barriers| {
            let FlagBarriers { flag, set, clear } = barriers;
            let name = |barrier: usize| &self.model.barriers[barrier].named.name;
            let choice = Expr::If(
                vec![(self.has(flag), vec![self.barrier(set)])],
                vec![self.barrier(clear)],
            );
            self.issuer(
                Private::Barriers(barriers),
                format!("Issues `{}` or `{}`.", name(set), name(clear)),
                vec![Var::Config],
                vec![Stmt::Do(choice)],
            )
        });
        functions.collect()
    }
}
