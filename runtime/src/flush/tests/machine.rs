//! A machine that flushes by IPI, or by instructions that reach every CPU.

use crate::agents::Agents;
use crate::backend::{
    Backend, Ceiling, Facts, FinishSteps, Finished, IpiTargets, Issue, LazyMm, Outcome, PteUpdate,
    Root, Shootdown, Started, TableFree,
};
use crate::deferred::{Deferred, Pending};
use crate::pte::{ChangeFacts, Marks, Negative, Stricter};
use crate::request::{LevelFacts, LevelTable, Reach, Request, Scope, Space, SpaceFlags};
use crate::tag::{PerCpuSource, TagSource, TagValues, Tags};

/// A machine that flushes by IPI, or whose instructions reach every CPU. `WAITS` is whether it makes CPUs wait for changes before
/// they attach a space.
pub struct Machine<const IPI: bool, const WAITS: bool>;

/// What it issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Invalidates entries under a tag.
    Invalidate(u64, Reach),
    Complete,
    Publish,
}

pub const VALUES: TagValues = TagValues {
    first: 1,
    last: 6,
    views: 0,
};

impl<const IPI: bool, const WAITS: bool> Backend for Machine<IPI, WAITS> {
    type Op = Op;

    const FACTS: Facts = Facts {
        name: "machine",
        shootdown: if IPI {
            Shootdown::Ipi
        } else {
            Shootdown::Broadcast
        },
        pte_update: PteUpdate::Store,
        table_free: TableFree::GracePeriod,
        lazy_mm: LazyMm::Refcounted,
        interrupts_off: false,
        tag_after_publish: !IPI,
        one_at_a_time: false,
        attach_waits_for_changes: WAITS,
        kernel_faults_fixed: false,
        atomics_order_everything: false,
    };

    fn levels(&self) -> &'static LevelTable {
        const NONE: LevelFacts = LevelFacts::NONE;
        const LEAVES: [LevelFacts; 2] = [LevelFacts::leaf(12), LevelFacts::leaf(21)];
        const TABLE: LevelTable = [LEAVES[0], LEAVES[1], NONE, NONE, NONE, NONE];
        &TABLE
    }

    fn ceiling(&self, _: Space, _: Reach) -> Ceiling {
        Ceiling {
            operations: 1,
            pages: 1,
        }
    }

    fn change_facts(&self, _: SpaceFlags) -> ChangeFacts {
        ChangeFacts {
            walk_cached: true,
            negative: Negative::Never,
            stricter: Stricter::Refetched,
            devices_stay_strict: false,
            output_through_invalid: false,
            size_through_invalid: false,
            attributes_through_invalid: false,
            rights_through_invalid: false,
            cleared_may_stay: Marks::NONE,
            clean_to_dirty_walks: true,
        }
    }

    fn publish(&self, cpu: &mut impl Issue<Op>, _: Space) {
        cpu.issue(Op::Publish);
    }

    fn tags(&self) -> Tags {
        Tags {
            per_cpu: Some((VALUES, PerCpuSource::Slots)),
            global: Some((VALUES, TagSource::Generations)),
        }
    }

    fn ipi_targets(&self, request: &Request<'_>) -> IpiTargets {
        if !IPI || request.reach == Reach::Here {
            return IpiTargets::NONE;
        }
        let agents = if request.tables() {
            Agents::ACTIVE.union(Agents::LAZY)
        } else {
            Agents::ACTIVE
        };
        IpiTargets {
            agents,
            ..IpiTargets::NONE
        }
    }

    fn start(&self, cpu: &mut impl Issue<Op>, request: &Request<'_>) -> Started {
        cpu.issue(Op::Invalidate(request.tag.value, request.reach));
        let outcome = Outcome {
            steps: FinishSteps::NONE,
            deferred: Deferred::VIEW_UNTIL_RETURN,
            exceeded_ceiling: matches!(request.scope, Scope::Ranges(_)),
        };
        Started::new(request, self.ipi_targets(request), outcome)
    }

    fn finish(&self, cpu: &mut impl Issue<Op>, started: Started) -> Finished {
        cpu.issue(Op::Complete);
        Finished {
            sync_ipis: IpiTargets::NONE,
            deferred: started.outcome.deferred,
        }
    }

    fn switch(&self, _: &mut impl Issue<Op>, _: &Root, _: Pending) -> Deferred {
        Deferred::NOTHING
    }

    fn return_to_user(&self, _: &mut impl Issue<Op>, _: &Root, _: bool) {}

    fn enter_from_user(&self, _: &mut impl Issue<Op>, _: &Root) {}

    fn cpu_online(&self, _: &mut impl Issue<Op>) -> Deferred {
        Deferred::NOTHING
    }
}
