//! Whether the flushes of a machine send IPIs, by its configuration alone.
//!
//! In: the plan that chooses the IPI targets of a user space. Out: a function of the backend, for a machine on which it depends on
//! the configuration. Holds: where the function returns false, no request of a space with a global tag sends an IPI, whatever
//! flags the space has.

use tlbc_runtime::backend::Shootdown;
use tlbc_runtime::request::Space;

use super::Emit;
use super::facts::with_config;
use super::tree::{Expr, Stmt};
use crate::model::Known;
use crate::plan::ir::{Node, Shape, Test};

impl Emit<'_> {
    /// Returns the body of the function that says whether flushes of spaces with a global tag send IPIs; `None` if the facts of
    /// the machine say it for every configuration.
    pub(super) fn sends_ipis(&self) -> Option<Vec<Stmt>> {
        let plan = self.plans.get(Shape::IpiTargets(Space::User))?;
        if self.plans.shootdown(self.model) != Shootdown::Either {
            return None;
        }
        let sends = self.sends(&plan.body, plan.shape);
        let config = "self.config.flags()".into();
        Some(with_config(vec![Stmt::Value(sends)], config))
    }

    /// Returns in which configurations some request under a global tag comes to a node that sends an IPI.
    fn sends(&self, node: &Node, shape: Shape) -> Expr {
        let Node::Select {
            on,
            then,
            otherwise,
        } = node
        else {
            return matches!(node, Node::SendIpi { .. }).into();
        };
        let (then, otherwise) = (self.sends(then, shape), self.sends(otherwise, shape));
        match *on {
            Test::GlobalTag => then,
            Test::Feature(feature) if self.model.features[feature].known == Known::Space => {
                either(then, otherwise)
            }
            Test::Feature(_) | Test::Erratum(_) => select(self.test(*on, shape), then, otherwise),
            _ => either(then, otherwise),
        }
    }
}

/// Returns whether either of two requests sends an IPI.
fn either(a: Expr, b: Expr) -> Expr {
    let (always, never) = (Expr::from(true), Expr::from(false));
    if a == always || b == never || a == b {
        a
    } else if b == always || a == never {
        b
    } else {
        a.or(b)
    }
}

/// Returns whether a request that a test of the configuration decides sends an IPI.
fn select(test: Expr, then: Expr, otherwise: Expr) -> Expr {
    let (always, never) = (Expr::from(true), Expr::from(false));
    if then == otherwise {
        then
    } else if then == always {
        either(test, otherwise)
    } else if then == never {
        both(test.not(), otherwise)
    } else if otherwise == always {
        test.not().or(then)
    } else if otherwise == never {
        test.and(then)
    } else {
        Expr::choice(test, then, otherwise)
    }
}

/// Returns whether two conditions hold, of which the second may be a constant.
fn both(a: Expr, b: Expr) -> Expr {
    if b == Expr::from(true) { a } else { a.and(b) }
}
