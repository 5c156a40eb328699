//! The plans of an architecture, which `emit`, `trace`, `doc` and `matrix` read.

use std::collections::{BTreeMap, BTreeSet};

use tlbc_runtime::backend::Shootdown;
use tlbc_runtime::request::Space;

use super::ipis::SendsIpis;
use super::ir::{Node, Plan, Shape};
use crate::model::{self, Model, Which};

/// The plans of an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plans(pub(super) BTreeMap<Shape, Plan>);

impl Plans {
    /// Returns the plan of a shape; none if no request has that shape.
    #[must_use]
    pub fn get(&self, shape: Shape) -> Option<&Plan> {
        self.0.get(&shape)
    }

    /// Returns all plans.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.0.values()
    }

    /// Puts a plan in the place of the one of its shape. The tests of the prover break plans in this way.
    pub fn replace(&mut self, plan: Plan) {
        self.0.insert(plan.shape, plan);
    }

    /// Returns whether some flush needs this of its caller.
    #[must_use]
    pub fn needs(&self, need: model::Need) -> bool {
        let mut found = false;
        for plan in self.iter() {
            plan.body.walk(&mut |node| {
                found |= matches!(node, Node::Guard { scope, .. } if *scope == need);
            });
        }
        found
    }

    /// Returns how other CPUs are reached over all configurations: by broadcasts, by IPIs, or by either.
    #[must_use]
    pub fn shootdown(&self, model: &Model) -> Shootdown {
        let ipi_targets =
            [Space::User, Space::Kernel].map(|space| self.get(Shape::IpiTargets(space)));
        let mut interrupts = false;
        for plan in ipi_targets.into_iter().flatten() {
            plan.body.walk(&mut |node| {
                interrupts |= matches!(node, Node::SendIpi { .. });
            });
        }
        let mut stated = model.policy.shootdown.iter().flat_map(|d| &d.cases);
        match (
            interrupts,
            stated.any(|(at, _)| at.value == model::Shootdown::Broadcast),
        ) {
            (false, _) => Shootdown::Broadcast,
            (true, false) => Shootdown::Ipi,
            (true, true) => Shootdown::Either,
        }
    }

    /// Returns in which configurations some flush of a user space with a global tag sends IPIs.
    #[must_use]
    pub fn sends_ipis(&self, model: &Model) -> SendsIpis {
        let plan = self.get(Shape::IpiTargets(Space::User));
        plan.map_or(SendsIpis::Never, |plan| SendsIpis::of(model, &plan.body))
    }

    /// Returns the instructions that some plan issues.
    #[must_use]
    pub fn instructions(&self, model: &Model) -> BTreeSet<Which> {
        let mut issued = BTreeSet::new();
        for plan in self.iter() {
            plan.body
                .walk(&mut |node| issued.extend(node.instructions(model)));
        }
        issued
    }
}
