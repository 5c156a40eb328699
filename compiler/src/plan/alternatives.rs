//! The alternatives among which the selection rule chose.
//!
//! In: a machine and a request, or a demand. Out: the sets of candidates that cover it, the least first, with the figures that the
//! rule compares. Holds: the first one is what the plans issue.

use tlbc_runtime::level::Levels;
use tlbc_runtime::request::{Reach, Space};

use super::builder::PlanBuilder;
use super::candidates::How;
use super::choose::Chooser;
use super::context::PlanContext;
use super::demand::{Demand, DemandExtent};
use super::drops::Primitive;
use super::levels::LevelDemand;
pub use super::search::Rank;
use super::symbolic::SymbolicMachine;
use crate::model::flags::Needs;
use crate::model::{Config, Model};

/// A set of candidates that covers a demand.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// How each candidate is carried out.
    pub candidates: Vec<How>,
    /// What the selection rule compares.
    pub rank: Rank,
}

/// Whose entries are flushed, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushTarget {
    /// The space.
    pub space: Space,
    /// The CPUs that the instructions must reach.
    pub reach: Reach,
    /// Whether the tag means the same space on every CPU.
    pub global_tag: bool,
    /// Whether the handler of an IPI, which holds no lock, issues them.
    pub unlocked: bool,
}

/// Returns the sets of candidates that cover a demand, at most `keep` of them, in the order of preference.
#[must_use]
pub fn alternatives(
    model: &Model,
    config: Config,
    request: FlushTarget,
    demand: Demand,
    keep: usize,
) -> Vec<Alternative> {
    let needs = Needs::of(model);
    let machine = SymbolicMachine::decided(&needs, config);
    let context = PlanContext {
        // The CPUs that issue the flush of a space that ends may have loaded another one.
        entering: demand.root,
        ..request.context(model, &machine)
    };
    let sets = Chooser::ranked(&context, demand, keep).into_iter();
    sets.map(|(rank, set)| Alternative {
        candidates: set.into_iter().map(|candidate| candidate.how).collect(),
        rank,
    })
    .collect()
}

/// Returns the demands of a request that changes entries of these levels: `all`, unless a level has a choice of its own.
#[must_use]
pub fn demands_at(
    model: &Model,
    config: Config,
    request: FlushTarget,
    all: Demand,
    [leaf, walk]: [Levels; 2],
) -> Vec<Demand> {
    let needs = Needs::of(model);
    let machine = SymbolicMachine::decided(&needs, config);
    let context = request.context(model, &machine);
    let mut chooser = Chooser::default();
    let mut builder = PlanBuilder::new(model, &machine, &mut chooser);
    let of = |demands: Vec<LevelDemand>, levels: Levels| {
        let at = move |(of, demand): LevelDemand| (!of.and(levels).is_empty()).then_some(demand);
        demands.into_iter().filter_map(at)
    };
    let tables = !all.walk.is_empty();
    let demands: Vec<Demand> = match all.extent {
        DemandExtent::One => of(builder.page_demands(&context, tables), leaf).collect(),
        DemandExtent::Each => {
            let passes = builder.pass_demands(&context);
            if tables && passes.has_walks_of_level() {
                let walks = of(passes.walk, walk);
                of(passes.leaf, leaf).chain(walks).collect()
            } else if tables {
                of(passes.both, leaf).collect()
            } else {
                of(passes.leaf, leaf).collect()
            }
        }
        DemandExtent::Runs | DemandExtent::Everything => Vec::new(),
    };
    if demands.is_empty() {
        vec![all]
    } else {
        demands
    }
}

impl FlushTarget {
    fn context<'m>(self, model: &'m Model, machine: &'m SymbolicMachine<'m>) -> PlanContext<'m> {
        PlanContext {
            global_tag: self.global_tag,
            unlocked: self.unlocked,
            ..PlanContext::new(model, machine, self.space, self.reach)
        }
    }
}

impl Primitive {
    /// Returns the name of the instruction, with that of its form if it has several.
    #[must_use]
    pub fn name(self, model: &Model) -> String {
        let it = &model.invalidates[self.invalidate];
        let form = it.forms[self.form].named.as_ref();
        form.map_or(it.named.name.clone(), |(form, _)| {
            format!("{} {}", it.named.name, form.name)
        })
    }
}
