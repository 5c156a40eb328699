//! Where the lock is not held that lets one instruction at a time be in flight.
//!
//! In: the plans. Out: a diagnostic for each instruction that needs the lock and is issued where no CPU can hold it. Holds
//! afterwards: only flushes that a CPU starts itself, and changes of entries, issue such an instruction. The handler of an IPI
//! flushes while the sender holds the lock, together with other handlers; a switch, a return to user code and a CPU that comes
//! online take no lock.

use std::collections::BTreeSet;

use tlbc_runtime::request::{Reach, Space};

use super::gaps::{configuration, rank};
use super::ir::{Node, Shape};
use super::symbolic::{SymbolicMachine, outcomes};
use super::{Plans, shapes};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::flags::{Flag, Needs};
use crate::model::{Config, Machine, Model, Need, Which};

/// Returns what is issued without the lock that it needs: each instruction once, with the first machine.
pub fn diagnose(model: &Model, needs: &Needs, plans: &Plans) -> Vec<Diagnostic> {
    let of_this_cpu = |shape: &Shape| {
        let flush = !matches!(
            shape,
            Shape::Begin(_) | Shape::IpiTargets(_) | Shape::Publish(_)
        );
        flush && shape.reach() == Reach::Here
    };
    let mut found: Vec<(Config, usize, &'static str)> = Vec::new();
    for shape in shapes().filter(of_this_cpu) {
        let Some((flusher, handles)) = without_lock(shape) else {
            continue;
        };
        let issued = outcomes(needs, |machine| {
            let path = PlanPath {
                model,
                plans,
                machine,
            };
            if handles.is_some_and(|space| !path.sends(Shape::IpiTargets(space))) {
                return None;
            }
            let locked = path.locked(shape);
            Some((machine.known().config(), locked))
        });
        for (config, locked) in issued.into_iter().filter_map(|(_, issued)| issued) {
            found.extend(locked.into_iter().map(|it| (config, it, flusher)));
        }
    }
    found.sort_by_key(|(config, invalidate, _)| (*invalidate, rank(*config)));
    found.dedup_by_key(|(_, invalidate, _)| *invalidate);
    let found = found.into_iter();
    found
        .filter_map(|(config, invalidate, flusher)| diagnostic(model, config, invalidate, flusher))
        .collect()
}

/// Returns what executes the plan of a shape without the lock; for the handler of an IPI also the space that the IPI is for.
fn without_lock(shape: Shape) -> Option<(&'static str, Option<Space>)> {
    Some(match shape {
        Shape::Switch => ("a switch", None),
        Shape::LoadTag => ("the load of a new tag", None),
        Shape::ReturnToUser => ("a return to user code", None),
        Shape::EnterFromUser => ("an entry from user code", None),
        Shape::CpuOnline => ("a CPU that comes online", None),
        Shape::Change | Shape::Invalidate | Shape::Replace | Shape::MoreRights => return None,
        _ => ("the handler of an IPI", Some(shape.space())),
    })
}

/// The paths of plans on one machine.
struct PlanPath<'m> {
    model: &'m Model,
    plans: &'m Plans,
    machine: &'m SymbolicMachine<'m>,
}

impl PlanPath<'_> {
    /// Returns whether some path of a shape sends an IPI to CPUs that flush.
    fn sends(&self, shape: Shape) -> bool {
        let mut sends = false;
        self.visit(shape, &mut |node| {
            sends |= matches!(node, Node::SendIpi { flush: true, .. });
        });
        sends
    }

    /// Returns the instructions of all paths of a shape that need the lock.
    fn locked(&self, shape: Shape) -> BTreeSet<usize> {
        let mut locked = BTreeSet::new();
        self.visit(shape, &mut |node| {
            for instruction in node.instructions(self.model) {
                if let Which::Invalidate(invalidate) = instruction
                    && self.model.invalidates[invalidate].needs_lock()
                {
                    locked.insert(invalidate);
                }
            }
        });
        locked
    }

    /// Visits the nodes of all paths of a shape, also those of the plans that it continues with.
    fn visit(&self, shape: Shape, visit: &mut impl FnMut(&Node)) {
        if let Some(plan) = self.plans.get(shape) {
            self.node(&plan.body, visit);
        }
    }

    fn node(&self, node: &Node, visit: &mut impl FnMut(&Node)) {
        match node {
            Node::Seq(nodes) => nodes.iter().for_each(|node| self.node(node, visit)),
            Node::Select {
                on,
                then,
                otherwise,
            } => {
                let answer = Flag::of(*on).map(|flag| self.machine.ask(flag));
                if answer != Some(false) {
                    self.node(then, visit);
                }
                if answer != Some(true) {
                    self.node(otherwise, visit);
                }
            }
            Node::Guard { body, .. } => self.node(body, visit),
            Node::Ceiling { beyond, within, .. } => {
                self.visit(*beyond, visit);
                self.node(within, visit);
            }
            Node::Loop { each, rest, .. } => {
                self.node(each, visit);
                if let Some(rest) = rest {
                    self.node(rest, visit);
                }
            }
            Node::Call(shape) => self.visit(*shape, visit),
            Node::Workaround { erratum, .. } => {
                if self.machine.suffers(*erratum) {
                    visit(node);
                }
            }
            node => visit(node),
        }
    }
}

fn diagnostic(
    model: &Model,
    config: Config,
    invalidate: usize,
    flusher: &str,
) -> Option<Diagnostic> {
    let it = &model.invalidates[invalidate];
    let need = it.needs.iter().find(|need| need.value == Need::Lock)?;
    let name = &it.named.name;
    let with = configuration(model, config);
    let message = format!("`{name}` needs the lock, which {flusher} does not hold{with}");
    let diagnostic = Diagnostic::new(Code::E0413, need.span, message)
        .label("one at a time in the machine")
        .because(
            it.named.span,
            "is what plans use for a flush of this CPU alone",
        );
    Some(
        diagnostic
            .note("the CPU that starts a flush holds the lock; CPUs that it interrupts flush at the same time, and events take no lock")
            .help("describe an instruction for this CPU that needs no lock, or state `needs no lock`"),
    )
}
