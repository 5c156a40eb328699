//! From the model to the plan IR.
//!
//! In: a [`Model`] that `check` has passed. Out: a [`Plans`], one [`Plan`] for each shape of request, and a
//! diagnostic for every required flush that nothing covers in some configuration. Holds: each path of each tree
//! covers what it has to invalidate, and is the least by the selection rule of the language reference.

mod addressing;
mod alternatives;
mod builder;
pub mod candidates;
mod change;
pub mod choose;
mod completion;
mod context;
pub(crate) mod decision;
mod deferrals;
pub mod demand;
mod drops;
mod errata;
mod events;
mod factor;
mod finish;
mod gaps;
pub mod ipis;
pub mod ir;
mod issued;
mod levels;
mod passes;
mod plans;
mod ranges;
mod renewal;
#[cfg(test)]
pub(crate) mod scaling;
mod search;
mod stages;
mod steps;
mod symbolic;
#[cfg(test)]
mod tests;
mod tree;
mod unlocked;
mod workarounds;
mod writers;

use std::collections::BTreeMap;

use tlbc_facts::clause::{AddressSelector, CacheSet, Clause, EntryKinds};
use tlbc_facts::required;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Levels;
use tlbc_runtime::pte::RequiredFlush;
use tlbc_runtime::request::{Reach, Space};

use crate::diagnostic::Diagnostic;
use crate::model::flags::{KnownFlags, Needs};
use crate::model::{CachedKind, Config, Model, Source};
pub use alternatives::{Alternative, FlushTarget, Rank, alternatives, demands_at};
use builder::PlanBuilder;
use choose::Chooser;
use context::PlanContext;
use demand::Demand;
use ir::{Node, Plan, Shape};
pub use plans::Plans;
use symbolic::{SymbolicMachine, outcomes};
pub(crate) use writers::unserved;

/// A demand that nothing covers, with the first machine on which that is so.
pub(crate) struct Gap {
    space: Space,
    reach: Reach,
    demand: Demand,
    config: Config,
}

/// Plans every shape.
pub fn plan(model: &Model) -> (Plans, Vec<Diagnostic>) {
    let needs = &Needs::of(model);
    let mut chooser = Chooser::default();
    let mut gaps: Vec<Gap> = Vec::new();
    let mut unwritten = Vec::new();
    let mut plans = BTreeMap::new();
    for shape in shapes() {
        let found = outcomes(needs, |machine| {
            let mut builder = PlanBuilder::new(model, machine, &mut chooser);
            let node = builder.node(shape);
            let config = machine.known().config();
            unwritten.extend(builder.unwritten.iter().map(|gap| (*gap, config)));
            gaps.extend(builder.gaps.iter().map(|&(space, reach, demand)| Gap {
                space,
                reach,
                demand,
                config,
            }));
            node
        });
        let leaves: Vec<(KnownFlags, Node)> = (found.into_iter())
            .filter_map(|(when, node)| Some((when, tree::given(needs, &node?, when))))
            .collect();
        if leaves.is_empty() {
            continue;
        }
        let body = factor::factor(tree::tree(needs, &leaves));
        let plan = Plan {
            shape,
            required: required(model, needs, shape),
            body,
        };
        plans.insert(shape, plan);
    }
    gaps.sort_by_key(|gap| gaps::rank(gap.config));
    unwritten.sort_by_key(|(_, config)| gaps::rank(*config));
    let mut diagnostics = gaps::diagnose(model, needs, &gaps);
    diagnostics.extend(gaps::unwritten(model, &unwritten));
    let plans = Plans(plans);
    diagnostics.extend(gaps::strides(model, &plans));
    if diagnostics.is_empty() {
        diagnostics = unlocked::diagnose(model, needs, &plans);
    }
    if diagnostics.is_empty() {
        diagnostics = gaps::shootdown(model, needs, &mut chooser);
    }
    (plans, diagnostics)
}

/// The reaches of flushes.
pub const REACHES: [Reach; 3] = [Reach::Here, Reach::Wide, Reach::Given];

/// Returns every shape; a shape that others call comes before them.
fn shapes() -> impl Iterator<Item = Shape> {
    let spaces = [Space::User, Space::Kernel];
    let of = move |shape: fn(Space, Reach) -> Shape| {
        spaces
            .into_iter()
            .flat_map(move |space| REACHES.into_iter().map(move |reach| shape(space, reach)))
    };
    of(Shape::Page)
        .chain(of(Shape::Ranges))
        .chain(of(Shape::Passes))
        .chain(of(Shape::Folding))
        .chain((0..CacheSet::MAX as u8).flat_map(move |stage| {
            spaces
                .into_iter()
                .flat_map(move |space| REACHES.map(|reach| Shape::Pass(space, reach, stage)))
        }))
        .chain(of(Shape::Everything))
        .chain(of(Shape::Teardown))
        .chain(of(Shape::Finish))
        .chain(spaces.into_iter().map(Shape::Begin))
        .chain(spaces.into_iter().map(Shape::IpiTargets))
        .chain(spaces.into_iter().map(Shape::Publish))
        .chain([
            Shape::Change,
            Shape::Invalidate,
            Shape::Replace,
            Shape::MoreRights,
            Shape::Switch,
            Shape::LoadTag,
            Shape::ReturnToUser,
            Shape::EnterFromUser,
            Shape::CpuOnline,
        ])
}

/// Returns whether an operand has a field from a source.
pub fn takes(model: &Model, operand: usize, source: Source) -> bool {
    model.operands[operand]
        .fields
        .iter()
        .any(|field| field.value.source() == Some(source))
}

/// Returns what a shape has to invalidate if tables were unlinked, as the union over all machines.
fn required(model: &Model, needs: &Needs, shape: Shape) -> Vec<(Clause, Agents)> {
    let of_machines = outcomes(needs, |machine| required_on(model, machine, shape));
    let mut all: Vec<(Clause, Agents)> = Vec::new();
    for (clause, agents) in of_machines.into_iter().flat_map(|(_, required)| required) {
        let same = |(other, _): &&mut (Clause, Agents)| other.kinds == clause.kinds;
        match all.iter_mut().find(same) {
            Some((other, of)) => {
                other.tags = other.tags.union(clause.tags);
                *of = of.union(agents);
            }
            None => all.push((clause, agents)),
        }
    }
    all
}

/// Returns what a shape has to invalidate on one machine.
fn required_on(
    model: &Model,
    machine: &SymbolicMachine<'_>,
    shape: Shape,
) -> Vec<(Clause, Agents)> {
    let (space, reach, addresses) = match shape {
        Shape::Page(space, reach)
        | Shape::Ranges(space, reach)
        | Shape::Passes(space, reach)
        | Shape::Pass(space, reach, _) => (space, reach, AddressSelector::Containing),
        Shape::Everything(space, reach) | Shape::Teardown(space, reach) => {
            (space, reach, AddressSelector::Everything)
        }
        Shape::CpuOnline => (Space::Kernel, Reach::Here, AddressSelector::Everything),
        _ => return Vec::new(),
    };
    let context = PlanContext::new(model, machine, space, reach);
    let others = Agents::ACTIVE.union(Agents::LAZY);
    let cpus = match reach {
        Reach::Here => Agents::SELF,
        Reach::Wide => Agents::SELF.union(others),
        Reach::Given => others,
    };
    let there = cpus.union(context.agents().and(Agents::DEVICE));
    let clause = |kind, kinds| Clause {
        kinds,
        addresses,
        tags: match shape {
            Shape::CpuOnline => context.every_class(kind),
            _ => context.classes(kind),
        },
    };
    let entries = RequiredFlush {
        leaf: Levels::ALL,
        walk: if model.caches.hold(CachedKind::Walk, machine) {
            Levels::ALL
        } else {
            Levels::NONE
        },
        ..RequiredFlush::NOTHING
    };
    let mut out: Vec<_> = required::clauses(&entries)
        .map(|(of_entries, agents)| {
            let kinds = of_entries.kinds;
            let kind = if kinds.leaf.is_empty() {
                CachedKind::Walk
            } else {
                CachedKind::Leaf
            };
            (clause(kind, kinds), agents.and(there))
        })
        .collect();
    out.reverse(); // leaf entries first
    if let Shape::Teardown(..) = shape {
        let root = EntryKinds {
            root: true,
            ..EntryKinds::NOTHING
        };
        out.push((clause(CachedKind::Root, root), required::WALKERS.and(there)));
    }
    out
}
