//! A machine without a TLB, to measure the gather alone.

use tlbc_backends::arm64;
use tlbc_runtime::pte::ChangeFacts;
use tlbc_runtime::request::{LevelTable, Reach, Request, Space};
use tlbc_runtime::{
    Backend, Ceiling, Deferred, Facts, Finished, IpiTargets, Issue, Outcome, Pending, Root,
    Shootdown, SpaceFlags, Started, TagSource, TagValues, Tags,
};

use crate::machine::{Arm64, Machine};

/// A machine with the tables of another one, and no instructions.
pub struct Nothing;

impl Machine for Nothing {
    const NAME: &'static str = "no flush";
    type Backend = Self;
    fn backend() -> &'static Self {
        &Self
    }
}

impl Backend for Nothing {
    type Op = ();

    const FACTS: Facts = Facts {
        name: Self::NAME,
        shootdown: Shootdown::Broadcast,
        tag_after_publish: false,
        ..<arm64::Tlb>::FACTS
    };

    #[inline]
    fn levels(&self) -> &'static LevelTable {
        Arm64::backend().levels()
    }

    #[inline]
    fn ceiling(&self, space: Space, reach: Reach) -> Ceiling {
        Arm64::backend().ceiling(space, reach)
    }

    #[inline]
    fn change_facts(&self, flags: SpaceFlags) -> ChangeFacts {
        Arm64::backend().change_facts(flags)
    }

    fn publish(&self, _: &mut impl Issue<()>, _: Space) {}

    fn tags(&self) -> Tags {
        // No tag is assigned.
        let values = TagValues {
            first: 0,
            last: u64::MAX,
            views: 0,
        };
        Tags {
            per_cpu: None,
            global: Some((values, TagSource::Root)),
        }
    }

    #[inline]
    fn ipi_targets(&self, _: &Request<'_>) -> IpiTargets {
        IpiTargets::NONE
    }

    #[inline]
    fn start(&self, _: &mut impl Issue<()>, request: &Request<'_>) -> Started {
        Started::new(request, IpiTargets::NONE, Outcome::NOTHING)
    }

    #[inline]
    fn finish(&self, _: &mut impl Issue<()>, _: Started) -> Finished {
        Finished {
            sync_ipis: IpiTargets::NONE,
            deferred: Deferred::NOTHING,
        }
    }

    fn switch(&self, _: &mut impl Issue<()>, _: &Root, _: Pending) -> Deferred {
        Deferred::NOTHING
    }

    fn return_to_user(&self, _: &mut impl Issue<()>, _: &Root, _: bool) {}

    fn enter_from_user(&self, _: &mut impl Issue<()>, _: &Root) {}

    fn cpu_online(&self, _: &mut impl Issue<()>) -> Deferred {
        Deferred::NOTHING
    }
}
