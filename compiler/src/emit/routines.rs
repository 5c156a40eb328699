//! Routines: one method for each plan; its body is a fold over the plan's nodes.
//!
//! A method has the variables that its body uses and does not define as parameters. One that starts a flush returns its
//! outcome; another returns what it defers, if any of its branches defers something.

use std::rc::Rc;
use std::slice;

use tlbc_runtime::request::{Reach, Space};

use super::context::{Emit, Routine};
use super::parameters::OperandValues;
use super::tree::{
    CodeWord, Expr, Function, Item, Property, Runtime, Stmt, Uses, Var, as_value, borrow, hoist,
    number, structure,
};
use crate::plan::ir::{Node, Plan, Shape};

/// Returns the name of a routine.
fn name(shape: Shape) -> String {
    let of = |what: &str, space: Space, reach: Reach| {
        let space = match space {
            Space::User => "user",
            Space::Kernel => "kernel",
        };
        let reach = match reach {
            Reach::Here => "here",
            Reach::Wide => "wide",
            Reach::Given => "given",
        };
        format!("{space}_{reach}_{what}")
    };
    match shape {
        Shape::Page(space, reach) => of("page", space, reach),
        Shape::Ranges(space, reach) => of("ranges", space, reach),
        Shape::Passes(space, reach) => of("passes", space, reach),
        Shape::Pass(space, reach, stage) => of(
            ["pass", "second_pass", "third_pass", "fourth_pass"][usize::from(stage)],
            space,
            reach,
        ),
        Shape::Folding(space, reach) => of("folding", space, reach),
        Shape::Everything(space, reach) => of("everything", space, reach),
        Shape::Teardown(space, reach) => of("teardown", space, reach),
        Shape::Finish(space, reach) => of("finish", space, reach),
        Shape::Begin(space) => of("begin", space, Reach::Here),
        Shape::IpiTargets(_) => "ipi_targets".to_owned(),
        Shape::Change => "change_entry".to_owned(),
        Shape::Invalidate => "invalidate_entries".to_owned(),
        Shape::Replace => "replace_entries".to_owned(),
        Shape::MoreRights => "give_more_rights".to_owned(),
        Shape::Publish(_) => "publish".to_owned(),
        Shape::Switch => "switch_to".to_owned(),
        Shape::LoadTag => "load_new_tag".to_owned(),
        Shape::ReturnToUser => "load_user_view".to_owned(),
        Shape::EnterFromUser => "load_kernel_view".to_owned(),
        Shape::CpuOnline => "invalidate_all".to_owned(),
    }
}

impl Emit<'_> {
    /// Returns the name of the routine of a shape. One that serves both spaces is named after none.
    pub(super) fn routine_name(&self, shape: Shape) -> String {
        let name = name(shape);
        match name.split_once('_') {
            Some((_, rest)) if self.serves_both(shape) => rest.to_owned(),
            _ => name,
        }
    }

    /// Returns whether a predicate holds for any node of a shape, or of the shapes that it calls.
    pub(super) fn any(&self, shape: Shape, is: &dyn Fn(&Node) -> bool) -> bool {
        let mut found = false;
        if let Some(plan) = self.plans.get(shape) {
            plan.body.walk(&mut |node| {
                let next = match node {
                    Node::Call(other) | Node::Ceiling { beyond: other, .. } => Some(*other),
                    _ => None,
                };
                found |= is(node) || next.is_some_and(|next| !found && self.any(next, is));
            });
        }
        found
    }

    /// Returns whether a shape has any effect.
    pub(super) fn acts(&self, shape: Shape) -> bool {
        self.any(shape, &|node| {
            matches!(
                node,
                Node::Publish { barrier: Some(_) }
                    | Node::Issue(_)
                    | Node::Complete { .. }
                    | Node::Resync { .. }
                    | Node::Workaround { .. }
                    | Node::Load { .. }
                    | Node::Defer(_)
                    | Node::InvalidateOtherTags
                    | Node::SendIpi { .. }
            )
        })
    }

    /// Returns whether a shape may defer something.
    pub(super) fn defers(&self, shape: Shape) -> bool {
        self.any(shape, &|node| {
            matches!(node, Node::Defer(_) | Node::InvalidateOtherTags)
        })
    }

    /// Returns whether a shape returns CPUs that get an IPI without a flush.
    pub(super) fn returns_ipis(&self, shape: Shape) -> bool {
        matches!(shape, Shape::Finish(..))
            && self.any(shape, &|node| matches!(node, Node::SendIpi { .. }))
    }

    /// Returns the parameters of a shape, besides the sink.
    pub(super) fn parameters(&self, shape: Shape) -> Vec<Var> {
        let plan = self.plans.get(shape).filter(|_| self.acts(shape));
        plan.map_or_else(Vec::new, |plan| self.routine_of(plan).parameters.clone())
    }

    /// Returns whether the routine of a shape issues something itself, or calls one that does.
    pub(super) fn takes_sink(&self, shape: Shape) -> bool {
        let plan = self.plans.get(shape).filter(|_| self.acts(shape));
        plan.is_some_and(|plan| self.routine_of(plan).takes_sink)
    }

    /// Returns a call of a shape; `argument` returns the value of a parameter.
    pub(super) fn call(
        &self,
        receiver: &'static str,
        shape: Shape,
        argument: &dyn Fn(Var) -> Expr,
    ) -> Expr {
        let (shape, tag) = self.served_by(shape);
        let arguments = self.parameters(shape).into_iter();
        let arguments = arguments.map(|parameter| match (parameter, tag) {
            (Var::Tag, Some(tag)) => number(tag),
            _ => argument(parameter),
        });
        let sink = self.takes_sink(shape).then(|| Var::Cpu.expr());
        let arguments = sink.into_iter().chain(arguments);
        Expr::from(receiver).method(self.routine_name(shape), arguments)
    }

    /// Returns the methods for plans.
    pub(super) fn routines(&self) -> Item {
        let is_method = |plan: &&Plan| {
            let stores = plan.shape == Shape::Change && self.model.change.plain_store.value;
            let is_value = matches!(plan.shape, Shape::Folding(..));
            let is_served = self.served_by(plan.shape).0 != plan.shape;
            let is_inlined =
                matches!(plan.shape, Shape::Begin(_)) && self.inlined(plan.shape).is_some();
            let is_other = is_value || is_served || is_inlined || self.is_in_trait(plan.shape);
            self.acts(plan.shape) && !stores && !is_other
        };
        let methods = self.plans.iter().filter(is_method);
        let methods = methods.map(|plan| self.method(plan));
        let head = Runtime::Configuration.text("impl<M: Configuration<Config>> Tlb<M>");
        Item::group(head, methods.collect())
    }

    fn method(&self, plan: &Plan) -> Item {
        let routine = self.routine_of(plan);
        let inline = match plan.shape {
            Shape::Ranges(..) | Shape::Everything(..) | Shape::Teardown(..) => "inline(never)",
            // The flush of one page has no loops. With a single pass, most of its fields are constants.
            Shape::Page(..) | Shape::Pass(..) | Shape::Finish(..) => "inline(always)",
            _ => "inline",
        };
        let returns = if self.returns_ipis(plan.shape) {
            Some(Runtime::IpiTargets.text("IpiTargets"))
        } else if returns_outcome(plan.shape) {
            Some(Runtime::Outcome.text("Outcome"))
        } else if self.defers(plan.shape) {
            Some(Runtime::Deferred.text("Deferred"))
        } else {
            None
        };
        let sink = routine.takes_sink.then_some(Var::Cpu);
        let parameters = sink.into_iter().chain(routine.parameters.iter().copied());
        Item::from(Function {
            docs: self.introduction(plan),
            attributes: vec![inline],
            head: format!("fn {}", self.routine_name(plan.shape)).into(),
            receiver: "&self",
            parameters: parameters.map(Var::parameter).collect(),
            returns,
            body: Some(routine.body.clone()),
        })
    }

    /// Returns the routine of a plan. It is made once, because its callers ask for its parameters.
    pub(super) fn routine_of(&self, plan: &Plan) -> Rc<Routine> {
        if let Some(routine) = self.routines.borrow().get(&plan.shape) {
            return Rc::clone(routine);
        }
        let body = self.body(plan);
        let uses = Uses::of(&body);
        let parameters = uses.free_vars().filter(|it| *it != Var::Cpu);
        let parameters = parameters.collect();
        let takes_sink = uses.var(Var::Cpu);
        let routine = Rc::new(Routine {
            body,
            parameters,
            takes_sink,
        });
        let mut routines = self.routines.borrow_mut();
        routines.insert(plan.shape, Rc::clone(&routine));
        routine
    }

    /// Returns the statements of a routine: those of the plan, after the definitions of what they use.
    fn body(&self, plan: &Plan) -> Vec<Stmt> {
        let at = match plan.shape {
            Shape::Page(..) => OperandValues::Page,
            Shape::Pass(..)
            | Shape::Change
            | Shape::Invalidate
            | Shape::Replace
            | Shape::MoreRights => OperandValues::First,
            _ => OperandValues::Nothing,
        };
        let mut body = hoist(self.node(&plan.body, at, plan.shape), Var::Form);
        if self.returns_ipis(plan.shape) {
            body.push(Stmt::Value(Var::SyncIpis.expr()));
        } else if returns_outcome(plan.shape) {
            let nothing = Runtime::Outcome.item("NOTHING");
            body = as_value(&body, Var::Outcome, &nothing).unwrap_or_else(|| {
                body.push(Stmt::Value(Var::Outcome.expr()));
                body
            });
        } else if self.defers(plan.shape) {
            body.push(Stmt::Value(Var::Outcome.field("deferred")));
        }
        with_definitions(plan, body)
    }

    /// Returns the expression for the CPUs to send an IPI.
    pub(super) fn ipi_target(&self, node: &Node, shape: Shape) -> Expr {
        self.selected(node, shape, &|node| match node {
            Node::SendIpi { to, .. } => self.targets(*to),
            _ => Runtime::IpiTargets.item("NONE"),
        })
    }
}

/// Returns the pass over the entries of a change.
fn pass_of_change() -> Expr {
    let level = || Var::Change.field("level");
    let entries = Var::Slot.field("entries").method("len", []).cast("u64");
    let rest = Runtime::Pass.item("default").call([]);
    let pass = structure(
        Runtime::Pass.text("Pass"),
        [
            ("start", Var::Slot.field("va")),
            ("entries", entries),
            ("stride", level()),
            ("shift", Property::ShiftOf.call([level()])),
            ("..", rest),
        ],
    );
    borrow(pass)
}

/// Returns whether a routine returns an outcome. Those that start a flush do; events complete what they issue.
pub(super) fn returns_outcome(shape: Shape) -> bool {
    matches!(
        shape,
        Shape::Page(..)
            | Shape::Ranges(..)
            | Shape::Passes(..)
            | Shape::Everything(..)
            | Shape::Teardown(..)
    )
}

/// Returns statements after the definitions of what they use, each after those that it uses itself.
fn with_definitions(plan: &Plan, mut body: Vec<Stmt>) -> Vec<Stmt> {
    // What is added first is the first value.
    let first = body
        .iter_mut()
        .find(|it| Uses::of(slice::from_ref(it)).var(Var::Outcome));
    if let Some(first) = first
        && let Stmt::Do(Expr::Binary(to, "|=", value)) = first
        && **to == Var::Outcome.expr()
    {
        *first = Stmt::Let(Var::Outcome.mutable(), (**value).clone());
    }
    let mut define = |name: CodeWord, var: Var, value: &dyn Fn() -> Expr| {
        if Uses::of(&body).var(var) {
            body.insert(0, Stmt::Let(name, value()));
        }
    };
    define(Var::Outcome.mutable(), Var::Outcome, &|| {
        Runtime::Outcome.item("NOTHING")
    });
    define(Var::SyncIpis.mutable(), Var::SyncIpis, &|| {
        Runtime::IpiTargets.item("NONE")
    });
    define(Var::Hinted.word(), Var::Hinted, &|| {
        if matches!(plan.shape, Shape::Page(..)) {
            return Property::HintOf.call([Var::Level.expr()]);
        }
        let hint = Property::HintOf.call(["level".into()]);
        let hint = Expr::Closure("level".into(), Box::new(hint));
        Var::Pass.field("hint").method("and_then", [hint])
    });
    if plan.shape == Shape::Change {
        define(Var::Pass.word(), Var::Pass, &pass_of_change);
    }
    if matches!(plan.shape, Shape::Switch | Shape::LoadTag) {
        define(Var::Tag.word(), Var::Tag, &|| {
            Var::To.field("tag").field("value")
        });
    }
    define(Var::Config.word(), Var::Config, &|| {
        "self.config.flags()".into()
    });
    body
}
