//! The steps of a path: what a plan issues, and what it leaves to others.

use std::ops::Deref;

use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::IpiTargets;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::level::Level;

use crate::model::{Amount, Need};
use crate::plan::ir;

/// The sets that an instruction names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sets {
    /// Set 0: what an operand without a source has.
    First,
    /// Each of so many sets.
    Each(Amount),
}

/// The addresses that an instruction names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The first address.
    pub va: u64,
    /// How many pages or entries are named from there.
    pub count: u64,
    /// log2 of the bytes from one to the next.
    pub step: u32,
    /// The level of the pass.
    pub stride: Level,
    /// The level that the pass permits as a hint.
    pub hint: Option<Level>,
}

/// One instruction that invalidates.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The instruction and the sources of its operands.
    pub issue: ir::Issue,
    /// The addresses; none if the operands have none.
    pub named: Option<Named>,
    /// The sets of a cache.
    pub sets: Sets,
    /// What the caller guarantees around it.
    pub within: Vec<Need>,
}

/// One step of a path.
#[derive(Debug, Clone)]
pub enum Step {
    /// An invalidation.
    Issue(Issued),
    /// A barrier, with all the roles that the definition gives it.
    Barrier(usize),
    /// A workaround starts; its instructions follow.
    Workaround {
        /// The erratum.
        erratum: usize,
        /// Its workaround.
        number: usize,
    },
    /// An instruction of a workaround. Its effect is what the erratum took; it invalidates nothing of its own account.
    OfWorkaround {
        /// The instruction.
        invalidate: usize,
        /// What the caller guarantees around it.
        within: Vec<Need>,
    },
    /// A flush is deferred.
    Defer(Deferred),
    /// The space that is loaded gets a new tag.
    RenewTag {
        /// What the caller guarantees around it.
        within: Vec<Need>,
    },
    /// An IPI to CPUs that flush (`true`), or for which taking it is enough.
    SendIpi(IpiTargets, bool),
    /// A register is loaded.
    Load {
        /// The load.
        load: usize,
        /// The view whose tag it loads.
        view: usize,
        /// Whether the empty root is loaded.
        empty: bool,
        /// Whether entries under the tag are kept.
        keep: bool,
    },
    /// Secondary TLBs are invalidated.
    Secondary,
    /// The changed entries are stored.
    Store,
}

/// Returns the CPUs among the targets of IPIs of these steps.
pub fn ipi_targets(steps: &[Step], flush: bool) -> (Agents, u8) {
    let sent = steps.iter().filter_map(|step| match step {
        Step::SendIpi(to, flushes) if *flushes == flush => Some(*to),
        _ => None,
    });
    sent.fold((Agents::NONE, 0), |(agents, sets), to| {
        (agents.union(to.agents), sets | to.sets)
    })
}

/// The steps of a path, in order.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    all: Vec<Step>,
    /// The indices of the steps that are no invalidations: a path may have an invalidation for each page of a large range,
    /// and few others.
    others: Vec<usize>,
    deferred: Deferred,
}

impl Steps {
    /// Adds a step at the end.
    pub fn push(&mut self, step: Step) {
        match step {
            Step::Issue(_) => {}
            Step::Defer(more) => {
                self.deferred |= more;
                self.others.push(self.all.len());
            }
            _ => self.others.push(self.all.len()),
        }
        self.all.push(step);
    }

    /// Returns everything that the steps defer.
    pub fn deferred(&self) -> Deferred {
        self.deferred
    }

    /// Returns the steps that are no invalidations and come before another step, with their indices.
    pub fn others_before(&self, at: usize) -> impl DoubleEndedIterator<Item = (usize, &Step)> {
        let end = self.others.partition_point(|&other| other < at);
        self.others[..end].iter().map(|&at| (at, &self.all[at]))
    }

    /// Returns the steps that are no invalidations and come after another step, with their indices.
    pub fn others_after(&self, at: usize) -> impl Iterator<Item = (usize, &Step)> {
        let start = self.others.partition_point(|&other| other <= at);
        self.others[start..].iter().map(|&at| (at, &self.all[at]))
    }
}

impl Deref for Steps {
    type Target = [Step];

    fn deref(&self) -> &[Step] {
        &self.all
    }
}

impl From<&[Step]> for Steps {
    fn from(some: &[Step]) -> Self {
        let mut steps = Self::default();
        some.iter().cloned().for_each(|step| steps.push(step));
        steps
    }
}
