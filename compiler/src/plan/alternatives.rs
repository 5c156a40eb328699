//! The alternatives among which the selection rule chose.
//!
//! In: a machine and a demand. Out: the sets of candidates that cover it, the least first, with the figures that the
//! rule compares. Holds: the first one is what the plans issue.

use tlbc_runtime::request::{Reach, Space};

use super::candidates::How;
use super::choose::Chooser;
use super::context::PlanContext;
use super::demand::Demand;
use super::drops::Primitive;
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
        global_tag: request.global_tag,
        unlocked: request.unlocked,
        // The CPUs that issue the flush of a space that ends may have loaded another one.
        entering: demand.root,
        ..PlanContext::new(model, &machine, request.space, request.reach)
    };
    let sets = Chooser::ranked(&context, demand, keep).into_iter();
    sets.map(|(rank, set)| Alternative {
        candidates: set.into_iter().map(|candidate| candidate.how).collect(),
        rank,
    })
    .collect()
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
