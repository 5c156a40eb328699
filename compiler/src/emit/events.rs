//! Events: the functions of the trait that start no flush.
//!
//! In: the plans of a switch, of the return to user code and the entry from it, and of a CPU that comes online. Out: functions of
//! the trait. Holds: a plan that only its function uses is written in it.

use super::context::Emit;
use super::tree::{CodeWord, Expr, Function, Runtime, Stmt, Var};
use crate::plan::ir::Shape;

impl Emit<'_> {
    /// Returns whether the plan of a shape is written in a function of the trait. A plan whose configuration has the flags of a
    /// space, or that other plans call, is a routine.
    pub(super) fn is_in_trait(&self, shape: Shape) -> bool {
        match shape {
            Shape::Publish(_) | Shape::IpiTargets(_) => true,
            Shape::Switch | Shape::LoadTag | Shape::ReturnToUser | Shape::EnterFromUser => {
                self.of_space().is_none()
            }
            _ => false,
        }
    }

    /// Returns the function of the trait for an event, which has these parameters besides the sink; none if the function that the
    /// trait provides does the same.
    pub(super) fn event(
        &self,
        head: &'static str,
        shape: Shape,
        parameters: &[Var],
        returns: Option<CodeWord>,
    ) -> Option<Function> {
        let acts = self.acts(shape);
        if !acts && returns.is_none() {
            return None;
        }
        let parameters = std::iter::once(Var::Cpu).chain(parameters.iter().copied());
        let parameters: Vec<Var> = parameters.collect();
        let taken = self.parameters(shape);
        let is_used = |var: Var| match var {
            Var::Cpu => self.takes_sink(shape),
            _ => acts && taken.contains(&var),
        };
        let unused = parameters.iter().filter(|var| !is_used(**var));
        let unused: Vec<Expr> = unused.map(|var| var.name().into()).collect();
        let unused = match unused.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            _ => Some(Expr::Tuple(unused)),
        };
        let unused = unused.map(|unused| Stmt::Let("_".into(), unused));
        let mut body: Vec<Stmt> = unused.into_iter().collect();
        let plan = self.plans.get(shape).filter(|_| acts);
        let mut docs = String::new();
        if let Some(plan) = plan.filter(|_| self.is_in_trait(shape)) {
            docs = self.introduction(plan);
            body.extend(self.routine_of(plan).body.iter().cloned());
        } else if acts {
            body.extend(self.call_of_event(shape));
        }
        if returns.is_some() && !self.defers(shape) {
            body.push(Stmt::Value(Runtime::Deferred.item("NOTHING")));
        }
        Some(Function {
            docs,
            attributes: vec!["inline"],
            head: head.into(),
            receiver: "&self",
            parameters: parameters.into_iter().map(Var::parameter).collect(),
            returns,
            body: Some(body),
        })
    }

    /// Returns the call of the routine of an event.
    fn call_of_event(&self, shape: Shape) -> Vec<Stmt> {
        let (space, receiver) = if shape == Shape::CpuOnline {
            (None, "self")
        } else {
            // The flush of this CPU does not depend on whether devices share the tables.
            let flags = Expr::from("to.flags");
            let flags = if self.sender_only().is_some() {
                flags.method("without", ["Self::SENDER_ONLY".into()])
            } else {
                flags
            };
            (self.for_space(flags), self.receiver())
        };
        let call = self.call(receiver, shape, &Var::expr);
        let call = if self.defers(shape) {
            Stmt::Value(call)
        } else {
            Stmt::Do(call)
        };
        space.into_iter().chain([call]).collect()
    }
}
