//! Nodes: the Rust code of each step of a plan.

use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::request::passes::{Leaves, Walks};
use tlbc_runtime::request::{Reach, Space};

use super::context::Emit;
use super::parameters::{OperandValues, nothing};
use super::routines::returns_outcome;
use super::tree::{Case, Expr, Property, Runtime, Stmt, Var, borrow};
use super::values::{defer, tables};
use crate::model::{Need, Which};
use crate::plan::decision::Decision;
use crate::plan::ir::{Issue, Node, Shape};

impl Emit<'_> {
    /// Returns the statements of a node.
    pub(super) fn node(&self, node: &Node, at: OperandValues, shape: Shape) -> Vec<Stmt> {
        match node {
            Node::Seq(nodes) => {
                let nodes = nodes.iter();
                nodes.flat_map(|node| self.node(node, at, shape)).collect()
            }
            Node::Select {
                on,
                then,
                otherwise,
            } => {
                if let Some(issue) = node.issue_in_some_form() {
                    self.issue_in_form(node, &issue, at, shape)
                } else if let Some(call) = self.call_of_barriers(node) {
                    vec![call]
                } else if let Some(load) = node.load_of_one_root() {
                    let keep = Stmt::Let(Var::Keep.word(), self.keeps(node, shape));
                    vec![keep, self.load(load, &Var::Keep.expr())]
                } else {
                    self.select(&Decision::of_steps(*on, then, otherwise), at, shape)
                }
            }
            Node::Guard { scope, body } => {
                let note = Stmt::Comment(
                    match scope {
                        Need::SameCpu => "The caller stays on this CPU until completion.",
                        Need::InterruptsOff => "The caller has interrupts off.",
                        Need::Lock => {
                            "The caller holds the lock: one flush at a time in the machine."
                        }
                    }
                    .into(),
                );
                let body = self.node(body, at, shape);
                std::iter::once(note).chain(body).collect()
            }
            Node::Publish { barrier: None }
            | Node::Nothing(_)
            | Node::Fold(_)
            | Node::Count(_)
            | Node::CompletePending(_)
            | Node::InvalidateSecondary => Vec::new(),
            Node::Store => {
                let new = Var::Change.field("new_bits");
                vec![Stmt::Do(Var::Slot.method("store", [new]))]
            }
            Node::Publish { barrier: Some(b) } => vec![self.barrier(*b)],
            Node::Complete { barrier } | Node::Resync { barrier } => vec![self.barrier(*barrier)],
            Node::Issue(issue) => {
                let argument = |parameter| self.parameter(issue, parameter, at);
                vec![self.issued(Which::Invalidate(issue.invalidate), &argument)]
            }
            Node::Ceiling {
                count,
                beyond,
                within,
            } => self.ceiling_of(count, *beyond, within, shape),
            Node::Loop { over, each, rest } => match self.call_of_sets(node) {
                Some(call) => vec![call],
                None => self.repeat(*over, each, rest.as_deref(), shape),
            },
            Node::Workaround {
                erratum,
                number,
                of,
            } => vec![self.workaround((*erratum, *number), of.as_ref(), at)],
            Node::SendIpi { to, .. } => {
                let note =
                    "The barrier does not drain accesses of these CPUs; handling an IPI does.";
                let send = Var::SyncIpis.expr().binary("=", self.targets(*to));
                vec![Stmt::Comment(note.into()), Stmt::Do(send)]
            }
            Node::Defer(deferred) => vec![defer(*deferred)],
            Node::Requires(steps) => {
                let outcome = Var::Outcome.field("steps");
                vec![Stmt::Do(outcome.binary("|=", self.finish_steps(*steps)))]
            }
            Node::InvalidateOtherTags => {
                let note = "Other tags of this CPU are invalidated lazily.";
                vec![
                    Stmt::Comment(note.into()),
                    defer(Deferred::OTHERS_UNTIL_LOAD),
                ]
            }
            Node::Load {
                load,
                view,
                empty,
                keep,
            } => vec![self.load((*load, *view, *empty), &(*keep).into())],
            Node::Call(other) => self.call_from(*other, shape),
        }
    }

    /// Returns an instruction after the choice of its form.
    fn issue_in_form(
        &self,
        node: &Node,
        issue: &Issue,
        at: OperandValues,
        shape: Shape,
    ) -> Vec<Stmt> {
        let which = Which::Invalidate(issue.invalidate);
        let call = self.issued(which, &|parameter| match parameter {
            Var::Form => Var::Form.expr(),
            other => self.parameter(issue, other, at),
        });
        vec![Stmt::Let(Var::Form.word(), self.form_of(node, shape)), call]
    }

    /// Returns a load of a root; `keep` is whether entries under its tag are kept.
    fn load(&self, (load, view, empty): (usize, usize, bool), keep: &Expr) -> Stmt {
        let tag = || Var::To.field("tag").field("value");
        self.issued(Which::Load(load), &|parameter| match parameter {
            Var::Config => Var::Config.expr(),
            Var::Tag => self.tag(Space::User, view, tag()),
            Var::Root if empty => Var::To.field("empty"),
            Var::Root => Var::To.field("table"),
            Var::Keep => keep.clone(),
            other => nothing(other),
        })
    }

    /// Returns the condition that the load of a node keeps the entries under the tag.
    fn keeps(&self, node: &Node, shape: Shape) -> Expr {
        self.selected(node, shape, &|node| match node {
            Node::Load { keep, .. } => (*keep).into(),
            _ => false.into(),
        })
    }

    /// Returns a call of another shape.
    pub(super) fn call_from(&self, other: Shape, shape: Shape) -> Vec<Stmt> {
        if !self.acts(other) {
            return Vec::new();
        }
        if let Shape::Passes(space, reach) = other {
            return self.in_passes(space, reach);
        }
        let call = self.call_in(other, shape);
        let call = if self.returns_ipis(other) {
            if self.returns_ipis(shape) {
                Var::SyncIpis.expr().binary("=", call)
            } else {
                return vec![Stmt::Let("_".into(), call)];
            }
        } else if returns_outcome(other) {
            if !returns_outcome(shape) && !self.defers(shape) {
                return vec![Stmt::Let("_".into(), call)];
            }
            Var::Outcome.expr().binary("|=", call)
        } else if self.defers(other) {
            Var::Outcome.field("deferred").binary("|=", call)
        } else {
            call
        };
        vec![Stmt::Do(call)]
    }

    /// Returns the expression that calls another shape in the routine of a shape.
    pub(super) fn call_in(&self, other: Shape, shape: Shape) -> Expr {
        let event = matches!(
            shape,
            Shape::Switch | Shape::LoadTag | Shape::ReturnToUser | Shape::CpuOnline
        );
        let argument = |parameter: Var| match parameter {
            Var::Tag if event => Var::To.field("tag").field("value"),
            Var::Tables if event => true.into(),
            Var::Global if event => Var::To.field("tag").field("global"),
            // An event completes its flush by this call only where every flush requires the same steps.
            Var::Steps if event => Runtime::FinishSteps.item("NONE"),
            Var::Tables => tables(shape),
            // A loop has one by value.
            Var::Pass if matches!(shape, Shape::Passes(..)) => borrow(Var::Pass),
            other => other.expr(),
        };
        self.call("self", other, &argument)
    }

    /// Returns the flush of ranges in passes: of a single pass directly, of others after they are sorted.
    fn in_passes(&self, space: Space, reach: Reach) -> Vec<Stmt> {
        let folding = match self.plans.get(Shape::Folding(space, reach)) {
            Some(plan) => self.folding(&plan.body, plan.shape),
            None => Runtime::Folding.item("default").call([]),
        };
        let call = |passes: Expr| {
            self.call(
                "self",
                Shape::Passes(space, reach),
                &|parameter| match parameter {
                    Var::Passes => passes.clone(),
                    other => other.expr(),
                },
            )
        };
        let sorted = Expr::Closure(Var::Sorted.word(), Box::new(call(Var::Sorted.expr())));
        let arguments = [Var::Ranges, Var::Levels, Var::Folding].map(Var::expr);
        let sorted = Runtime::SortedPasses
            .item("apply")
            .call(arguments.into_iter().chain([sorted]));
        let sorted = Expr::Block(vec![
            Stmt::Let(Var::Folding.word(), folding),
            Stmt::Value(sorted),
        ]);
        let single = Runtime::SinglePass
            .item("new")
            .call([Var::Ranges.expr(), Var::Levels.expr()]);
        let outcome = single.matched(vec![
            Case::new(
                Expr::from("Some").call([Var::Single.expr()]),
                call(borrow(Var::Single)),
            ),
            Case::new("None", sorted),
        ]);
        vec![
            Stmt::Let(Var::Levels.word(), Property::LevelTable.call([])),
            Stmt::Do(Var::Outcome.expr().binary("|=", outcome)),
        ]
    }

    /// Returns the expression for which entries one instruction invalidates together.
    fn folding(&self, node: &Node, shape: Shape) -> Expr {
        self.selected(node, shape, &|node| match node {
            Node::Fold(folding) => {
                let walks = Runtime::Walks.item(match folding.walks {
                    Walks::Named => "Named",
                    Walks::Level => "Level",
                    Walks::All => "All",
                    Walks::Apart => "Apart",
                });
                let set = [
                    (folding.leaves == Leaves::Named, "with_leaves"),
                    (folding.leaves == Leaves::Whole, "with_whole_leaves"),
                    (folding.joint, "with_joint"),
                    (folding.negative, "with_negative"),
                ];
                let new = Runtime::Folding.item("new").call([walks]);
                let set = set.into_iter().filter(|(is, _)| *is);
                set.fold(new, |folding, (_, with)| folding.method(with, []))
            }
            _ => Runtime::Folding.item("default").call([]),
        })
    }
}
