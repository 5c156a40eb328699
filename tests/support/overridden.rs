//! A backend with another policy.

use tlbc_runtime::backend::{Finished, IpiTargets, Root, Started};
use tlbc_runtime::deferred::{Deferred, Pending};
use tlbc_runtime::pte::{Change, ChangeFacts, Changed, Owner, Slot};
use tlbc_runtime::request::{LevelTable, Reach, Request, Space};
use tlbc_runtime::{Backend, Ceiling, Facts, Issue, SpaceFlags, TableFree, Tags};

/// A backend with facts of its policy overridden.
pub struct Overridden<B, const DIRECTLY: bool, const ONE: bool>(pub B);

impl<B: Backend, const DIRECTLY: bool, const ONE: bool> Backend for Overridden<B, DIRECTLY, ONE> {
    type Op = B::Op;
    const FACTS: Facts = Facts {
        table_free: if DIRECTLY {
            TableFree::AfterFlush
        } else {
            B::FACTS.table_free
        },
        one_at_a_time: ONE || B::FACTS.one_at_a_time,
        ..B::FACTS
    };
    const SENDER_ONLY: SpaceFlags = B::SENDER_ONLY;
    fn levels(&self) -> &'static LevelTable {
        self.0.levels()
    }
    fn ceiling(&self, space: Space, reach: Reach) -> Ceiling {
        self.0.ceiling(space, reach)
    }
    fn change_facts(&self, flags: SpaceFlags) -> ChangeFacts {
        self.0.change_facts(flags)
    }
    fn change(
        &self,
        cpu: &mut impl Issue<B::Op>,
        slot: &Slot<'_>,
        change: &Change,
        owner: &Owner,
    ) -> Changed {
        self.0.change(cpu, slot, change, owner)
    }
    fn publish(&self, cpu: &mut impl Issue<B::Op>, space: Space) {
        self.0.publish(cpu, space);
    }
    fn tags(&self) -> Tags {
        self.0.tags()
    }
    fn sends_ipis(&self) -> bool {
        self.0.sends_ipis()
    }

    fn ipi_targets(&self, request: &Request<'_>) -> IpiTargets {
        self.0.ipi_targets(request)
    }

    fn start(&self, cpu: &mut impl Issue<B::Op>, request: &Request<'_>) -> Started {
        self.0.start(cpu, request)
    }
    fn finish(&self, cpu: &mut impl Issue<B::Op>, started: Started) -> Finished {
        self.0.finish(cpu, started)
    }
    fn handle(&self, cpu: &mut impl Issue<B::Op>, request: &Request<'_>) -> Deferred {
        self.0.handle(cpu, request)
    }
    fn switch(&self, cpu: &mut impl Issue<B::Op>, to: &Root, pending: Pending) -> Deferred {
        self.0.switch(cpu, to, pending)
    }
    fn load_tag(&self, cpu: &mut impl Issue<B::Op>, to: &Root, pending: Pending) -> Deferred {
        self.0.load_tag(cpu, to, pending)
    }
    fn return_to_user(&self, cpu: &mut impl Issue<B::Op>, to: &Root, deferred: bool) {
        self.0.return_to_user(cpu, to, deferred);
    }
    fn enter_from_user(&self, cpu: &mut impl Issue<B::Op>, to: &Root) {
        self.0.enter_from_user(cpu, to);
    }
    fn cpu_online(&self, cpu: &mut impl Issue<B::Op>) -> Deferred {
        self.0.cpu_online(cpu)
    }
}
