//! From the model to the plan IR.
//!
//! In: a [`Model`] that `check` has passed. Out: a [`Plans`], one [`Plan`] for each shape of
//! request, and a diagnostic for every required flush that nothing covers in some configuration. Holds
//! afterwards: each path of each tree covers what it has to invalidate, in the least way that the selection
//! rule knows. `prove` checks that again with code of its own.

mod change;
pub mod choose;
mod drops;
mod errata;
mod events;
mod factor;
mod finish;
mod gaps;
pub mod ir;
mod passes;
pub mod pool;
mod ranges;
mod remedies;
mod setting;
mod shapes;
mod stages;
mod steps;
#[cfg(test)]
mod tests;
mod tree;
mod writers;

use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

use tlbc_facts::clause::{Clause, Stores, What, Which};
use tlbc_facts::required;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::Delivery;
use tlbc_runtime::level::Levels;
use tlbc_runtime::pte::RequiredFlush;
use tlbc_runtime::request::{Reach, Space};

use crate::diagnostic::Diagnostic;
use crate::model::{self, Cases, Cond, Config, Instr, Kind, Model, Source};
use choose::{Chooser, Need};
use ir::{Node, Plan, Shape, Test};
pub use remedies::{issued, names_address};
use shapes::Shaper;
pub(crate) use writers::unserved;

/// The plans of an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plans(BTreeMap<Shape, Plan>);

impl Plans {
    /// The plan of a shape; none where no request ever gets there.
    #[must_use]
    pub fn get(&self, shape: Shape) -> Option<&Plan> {
        self.0.get(&shape)
    }

    /// All plans.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.0.values()
    }

    /// Whether some flush holds only where this is so.
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

    /// How others are reached over all configurations: by nobody's interrupt, or only by interrupts, or by
    /// either.
    #[must_use]
    pub fn delivery(&self, model: &Model) -> Delivery {
        let told = [Space::User, Space::Kernel].map(|space| self.get(Shape::Told(space)));
        let mut interrupts = false;
        for plan in told.into_iter().flatten() {
            plan.body.walk(&mut |node| {
                interrupts |= matches!(node, Node::Deliver { .. } | Node::Owe(_));
            });
        }
        let mut stated = model.policy.delivery.iter().flat_map(|d| &d.cases);
        match (
            interrupts,
            stated.any(|(at, _)| at.value == model::Delivery::Broadcast),
        ) {
            (false, _) => Delivery::Broadcast,
            (true, false) => Delivery::Interrupts,
            (true, true) => Delivery::Either,
        }
    }
}

/// A need that nothing covers, with the first configuration in which that is so.
pub(crate) struct Gap {
    space: Space,
    reach: Reach,
    need: Need,
    config: Config,
}

/// The most features and errata that plans may depend on: every set of them is planned for.
const MOST_FLAGS: usize = 12;

/// Plans every shape.
pub fn plan(model: &Model) -> (Plans, Vec<Diagnostic>) {
    let flags = flags(model);
    if flags.0.len() > MOST_FLAGS {
        let diagnostic = gaps::too_many(model, flags.0.len());
        return (Plans(BTreeMap::new()), vec![diagnostic]);
    }
    let configs = configs(model, &flags);
    let mut nodes: BTreeMap<Shape, BTreeMap<Config, Node>> = BTreeMap::new();
    let mut gaps: Vec<Gap> = Vec::new();
    let mut unwritten = Vec::new();
    let mut chooser = Chooser::default();
    for &config in &configs {
        let mut shaper = Shaper {
            model,
            config,
            chooser: &mut chooser,
            gaps: Vec::new(),
            unwritten: Vec::new(),
            completions: FxHashMap::default(),
        };
        for shape in shapes() {
            if let Some(node) = shaper.node(shape) {
                nodes.entry(shape).or_default().insert(config, node);
            }
        }
        unwritten.extend(shaper.unwritten.iter().map(|gap| (*gap, config)));
        for (space, reach, need) in shaper.gaps {
            gaps.push(Gap {
                space,
                reach,
                need,
                config,
            });
        }
    }
    let plans = nodes.into_iter().map(|(shape, nodes)| {
        let body = factor::factor(tree::tree(&flags, &nodes));
        let plan = Plan {
            shape,
            required: required(model, shape),
            cites: cites(model, &body),
            body,
        };
        (shape, plan)
    });
    let mut diagnostics = gaps::diagnose(model, &gaps);
    diagnostics.extend(gaps::unwritten(model, &unwritten));
    if diagnostics.is_empty() {
        diagnostics = gaps::delivery(model, &configs, &mut chooser);
    }
    (Plans(plans.collect()), diagnostics)
}

/// Every shape, those that others call first.
fn shapes() -> impl Iterator<Item = Shape> {
    let spaces = [Space::User, Space::Kernel];
    let of = move |shape: fn(Space, Reach) -> Shape| {
        spaces.into_iter().flat_map(move |space| {
            [Reach::Here, Reach::Wide]
                .into_iter()
                .map(move |reach| shape(space, reach))
        })
    };
    of(Shape::Page)
        .chain(of(Shape::Ranges))
        .chain(of(Shape::Folding))
        .chain((0..Stores::MOST as u8).flat_map(move |stage| {
            spaces.into_iter().flat_map(move |space| {
                [Reach::Here, Reach::Wide].map(|reach| Shape::Pass(space, reach, stage))
            })
        }))
        .chain(of(Shape::Everything))
        .chain(of(Shape::Teardown))
        .chain(of(Shape::Finish))
        .chain(spaces.into_iter().map(Shape::Told))
        .chain(spaces.into_iter().map(Shape::Publish))
        .chain([
            Shape::Change,
            Shape::Switch,
            Shape::Resume,
            Shape::Enter,
            Shape::Arrive,
        ])
}

/// The flags on which a plan can depend: not those that only shape operands or tables.
fn flags(model: &Model) -> tree::Flags {
    let mut conds: Vec<&Cond> = Vec::new();
    for invalidate in &model.invalidates {
        conds.push(&invalidate.requires);
        for form in &invalidate.forms {
            conds.push(&form.requires);
            conds.extend(form.drops.iter().map(|d| &d.when));
        }
    }
    for load in &model.loads {
        conds.extend(load.drops.iter().map(|d| &d.when));
        // What is loaded, and a `keep`, that only some configurations have.
        for &operand in &load.template.operands {
            let fields = model.operands[operand].fields.iter();
            let given = fields.filter(|f| f.value.source().is_some());
            conds.extend(given.map(|f| &f.when));
        }
    }
    conds.extend(model.tags.iter().map(|tag| &tag.when));
    conds.extend(model.barriers.iter().map(|barrier| &barrier.requires));
    conds.extend(model.resume.loads.iter().map(|loads| &loads.when));
    conds.extend(model.switch.loads.iter().map(|loads| &loads.when));
    for space in [&model.user, &model.kernel] {
        conds.extend(space.views.iter().map(|view| &view.when));
        conds.extend(space.leaf.conds());
        conds.extend(space.walk.conds());
        conds.extend(space.devices.iter().map(|devices| &devices.value));
        conds.extend(space.resync.iter().flat_map(Cases::conds));
    }
    for event in [&model.switch, &model.resume, &model.arrive] {
        conds.extend(event.resync.iter().flat_map(Cases::conds));
    }
    for invalidate in &model.invalidates {
        conds.extend(invalidate.holders.conds());
        conds.extend(invalidate.after.iter().flat_map(Cases::conds));
    }
    let stores = model.caches.stores.iter();
    conds.extend(
        stores
            .filter_map(|s| s.sets.as_ref())
            .flat_map(Cases::conds),
    );
    conds.extend(model.arrive.contents_unknown.iter().map(|at| &at.value));
    conds.extend(model.policy.delivery.iter().flat_map(Cases::conds));
    for erratum in &model.errata {
        conds.push(&erratum.needs);
        conds.extend(erratum.weakens.iter().map(|weakens| &weakens.when));
    }
    let mentions = |feature| {
        let mut conds = conds.iter();
        conds.any(|cond| cond.features().any(|f| f == feature))
    };
    let features = (0..model.features.len()).filter(|&feature| mentions(feature));
    let errata = (0..model.errata.len()).map(Test::Erratum);
    tree::Flags(features.map(Test::Feature).chain(errata).collect())
}

/// Every possible configuration of these flags, few flags first.
fn configs(model: &Model, flags: &tree::Flags) -> Vec<Config> {
    let closed = |config: &Config| {
        // Features that no plan depends on may be what another one needs.
        let mut whole = *config;
        for (index, feature) in model.features.iter().enumerate() {
            if !flags.0.contains(&Test::Feature(index)) && feature.needs.terms.is_empty() {
                whole.features |= 1 << index;
            }
        }
        model.possible(*config) || model.possible(whole)
    };
    let mut configs: Vec<Config> = (0..1u64 << flags.0.len())
        .map(|bits| {
            let mut config = Config::default();
            for (index, flag) in flags.0.iter().enumerate() {
                match *flag {
                    Test::Feature(f) if bits & (1 << index) != 0 => config.features |= 1 << f,
                    Test::Erratum(e) if bits & (1 << index) != 0 => config.errata |= 1 << e,
                    _ => {}
                }
            }
            config
        })
        .filter(closed)
        .collect();
    configs.sort_by_key(|c| (c.features.count_ones() + c.errata.count_ones(), *c));
    configs
}

/// Whether an operand takes something from a source.
pub fn takes(model: &Model, operand: usize, source: Source) -> bool {
    model.operands[operand]
        .fields
        .iter()
        .any(|field| field.value.source() == Some(source))
}

/// Returns what a shape has to invalidate, and where, if tables were unlinked.
fn required(model: &Model, shape: Shape) -> Vec<(Clause, Agents)> {
    let (space, reach, which) = match shape {
        Shape::Page(space, reach) | Shape::Ranges(space, reach) | Shape::Pass(space, reach, _) => {
            (space, reach, Which::Containing)
        }
        Shape::Everything(space, reach) | Shape::Teardown(space, reach) => {
            (space, reach, Which::Everything)
        }
        Shape::Arrive => (Space::Kernel, Reach::Here, Which::Everything),
        _ => return Vec::new(),
    };
    let features = model.features.iter().enumerate();
    let free = features.filter(|(_, feature)| feature.needs.terms.is_empty());
    let config = Config {
        features: free.fold(0, |bits, (i, _)| bits | 1 << i),
        ..Config::default()
    };
    let setting = pool::Setting::new(model, config, space, reach);
    let others = match reach {
        Reach::Here => Agents::NONE,
        Reach::Wide => Agents::ACTIVE.union(Agents::LAZY),
    };
    let devices = setting.holders().and(Agents::DEVICE);
    let there = Agents::SELF.union(others).union(devices);
    let clause = |kind, what| Clause {
        what,
        which,
        whose: setting.classes(kind),
    };
    let entries = RequiredFlush {
        leaf: Levels::ALL,
        walk: if model.caches.walk.is_some() {
            Levels::ALL
        } else {
            Levels::NONE
        },
        ..RequiredFlush::NOTHING
    };
    let mut out: Vec<_> = required::clauses(&entries)
        .map(|(of_entries, agents)| {
            let what = of_entries.what;
            let kind = if what.leaf.is_empty() {
                Kind::Walk
            } else {
                Kind::Leaf
            };
            (clause(kind, what), agents.and(there))
        })
        .collect();
    out.reverse(); // leaf entries first
    if let Shape::Teardown(..) = shape {
        let root = What {
            root: true,
            ..What::NOTHING
        };
        out.push((clause(Kind::Root, root), required::WALKERS.and(there)));
    }
    out
}

/// The places of the primitives that a node names.
fn cites(model: &Model, body: &Node) -> Vec<crate::source::Span> {
    let mut spans = Vec::new();
    body.walk(&mut |node| {
        spans.extend(match node {
            Node::Issue(issue) => Some(model.invalidates[issue.invalidate].span),
            Node::Remedy {
                erratum, number, ..
            } => match remedies::issued(model, *erratum, *number).instr {
                Instr::Invalidate(invalidate) => Some(model.invalidates[invalidate].span),
                Instr::Barrier(_) => None,
            },
            Node::Complete { barrier, .. } | Node::Resync { barrier } => {
                Some(model.barriers[*barrier].span)
            }
            Node::Publish {
                barrier: Some(barrier),
            } => Some(model.barriers[*barrier].span),
            Node::Load { load, .. } => Some(model.loads[*load].span),
            _ => None,
        });
    });
    spans.sort();
    spans.dedup();
    spans
}
