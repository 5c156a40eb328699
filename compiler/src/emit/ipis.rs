//! The function that says whether flushes send IPIs in the current configuration.

use tlbc_runtime::backend::Shootdown;
use tlbc_runtime::request::Space;

use super::context::Emit;
use super::tree::{Expr, Function, Stmt, Uses, Var};
use crate::plan::ipis::SendsIpis;
use crate::plan::ir::Shape;

impl Emit<'_> {
    /// Returns the function that says whether flushes of spaces with a global tag send IPIs; nothing if the facts of the machine
    /// say the same for every configuration.
    pub(super) fn sends_ipis(&self) -> Option<Function> {
        let sends = self.plans.sends_ipis(self.model);
        let by_facts = match self.plans.shootdown(self.model) {
            Shootdown::Broadcast => SendsIpis::Never,
            Shootdown::Ipi | Shootdown::Either => SendsIpis::Always,
        };
        if sends == by_facts {
            return None;
        }
        let mut body = vec![Stmt::Value(self.sends(&sends))];
        if Uses::of(&body).var(Var::Config) {
            body.insert(
                0,
                Stmt::Let(Var::Config.word(), "self.config.flags()".into()),
            );
        }
        Some(Function {
            attributes: vec!["inline"],
            head: "fn sends_ipis".into(),
            receiver: "&self",
            returns: Some("bool".into()),
            body: Some(body),
            ..Function::default()
        })
    }

    /// Returns the condition that IPIs are sent.
    fn sends(&self, sends: &SendsIpis) -> Expr {
        let SendsIpis::If {
            on,
            then,
            otherwise,
        } = sends
        else {
            return (*sends == SendsIpis::Always).into();
        };
        let test = self.test(*on, Shape::IpiTargets(Space::User));
        Expr::choice(test, self.sends(then), self.sends(otherwise))
    }
}
