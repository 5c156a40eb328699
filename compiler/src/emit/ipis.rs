//! Whether the flushes of a machine send IPIs, by its configuration alone.
//!
//! In: the plan that chooses the IPI targets of a user space. Out: a function of the backend, for a machine on which it depends on
//! the configuration. Holds: where the function returns false, no request of a space with a global tag sends an IPI, whatever
//! flags the space has.

use tlbc_runtime::backend::Shootdown;
use tlbc_runtime::request::Space;

use super::Emit;
use super::tree::{Expr, Function, Stmt, Var};
use crate::model::Known;
use crate::plan::ir::{Node, Shape, Test};

/// When an IPI is sent.
#[derive(Clone)]
enum Sends {
    Never,
    Always,
    /// In the configurations in which this expression is true.
    If(Expr),
}

impl Sends {
    /// Returns when either of two requests sends an IPI.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Always, _) | (_, Self::Always) => Self::Always,
            (Self::Never, sends) | (sends, Self::Never) => sends,
            (Self::If(a), Self::If(b)) if a == b => Self::If(a),
            (Self::If(a), Self::If(b)) => Self::If(a.or(b)),
        }
    }

    /// Returns when an IPI is sent by a request that a test of the configuration decides.
    fn select(test: Expr, then: Self, otherwise: Self) -> Self {
        match (then, otherwise) {
            (Self::Never, Self::Never) => Self::Never,
            (Self::Always, Self::Always) => Self::Always,
            (Self::Always, Self::Never) => Self::If(test),
            (Self::Never, Self::Always) => Self::If(test.not()),
            (Self::Never, Self::If(b)) => Self::If(test.not().and(b)),
            (Self::If(a), Self::Never) => Self::If(test.and(a)),
            (Self::Always, Self::If(b)) => Self::If(test.or(b)),
            (Self::If(a), Self::Always) => Self::If(test.not().or(a)),
            (Self::If(a), Self::If(b)) => Self::If(Expr::choice(test, a, b)),
        }
    }
}

impl Emit<'_> {
    /// Returns the function that says whether flushes of spaces with a global tag send IPIs; nothing if the facts of the machine
    /// say it for every configuration.
    pub(super) fn sends_ipis(&self) -> Option<Function> {
        let shape = Shape::IpiTargets(Space::User);
        let plan = self.plans.get(shape)?;
        if self.plans.shootdown(self.model) != Shootdown::Either {
            return None;
        }
        let body = match self.sends(&plan.body, shape) {
            Sends::Never => vec![Stmt::Value(false.into())],
            Sends::Always => vec![Stmt::Value(true.into())],
            Sends::If(test) => {
                let config = Stmt::Let(Var::Config.word(), "self.config.flags()".into());
                vec![config, Stmt::Value(test)]
            }
        };
        Some(Function {
            attributes: vec!["inline"],
            head: "fn sends_ipis".into(),
            receiver: "&self",
            returns: Some("bool".into()),
            body: Some(body),
            ..Function::default()
        })
    }

    /// Returns in which configurations some request under a global tag comes to a node that sends an IPI.
    fn sends(&self, node: &Node, shape: Shape) -> Sends {
        let Node::Select {
            on,
            then,
            otherwise,
        } = node
        else {
            return match node {
                Node::SendIpi { .. } => Sends::Always,
                _ => Sends::Never,
            };
        };
        let (then, otherwise) = (self.sends(then, shape), self.sends(otherwise, shape));
        match *on {
            Test::GlobalTag => then,
            Test::Feature(feature) if self.model.features[feature].known == Known::Space => {
                then.or(otherwise)
            }
            Test::Feature(_) | Test::Erratum(_) => {
                Sends::select(self.test(*on, shape), then, otherwise)
            }
            _ => then.or(otherwise),
        }
    }
}
