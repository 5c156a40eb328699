//! A backend with another policy.

use tlbc_runtime::backend::{Finished, IpiTargets, Root, Started};
use tlbc_runtime::deferred::{Deferred, Pending};
use tlbc_runtime::pte::{Change, ChangeFacts, Changed, Owner, Slot};
use tlbc_runtime::request::{LevelTable, Reach, Request, Space};
use tlbc_runtime::{Backend, Ceiling, Facts, Issue, SpaceFlags, TableFree, Tags};

/// Tables are freed directly after the flush.
pub const DIRECTLY: u8 = 1;
/// One flush is permitted at a time.
pub const ONE: u8 = 1 << 1;
/// Flushes have interrupts off.
pub const OFF: u8 = 1 << 2;

/// A backend with facts of its policy overridden: those that `POLICY` has.
pub struct Overridden<B, const POLICY: u8> {
    inner: B,
    sets: u8,
}

impl<B, const POLICY: u8> Overridden<B, POLICY> {
    /// Overrides facts of a backend.
    pub fn new(inner: B) -> Self {
        Self { inner, sets: 0 }
    }

    /// Makes each flush interrupt CPUs of these erratum sets as well.
    #[must_use]
    pub fn with_sets(self, sets: u8) -> Self {
        Self { sets, ..self }
    }
}

impl<B: Backend, const POLICY: u8> Backend for Overridden<B, POLICY> {
    type Op = B::Op;
    const FACTS: Facts = Facts {
        table_free: if POLICY & DIRECTLY != 0 {
            TableFree::AfterFlush
        } else {
            B::FACTS.table_free
        },
        one_at_a_time: POLICY & ONE != 0 || B::FACTS.one_at_a_time,
        interrupts_off: POLICY & OFF != 0 || B::FACTS.interrupts_off,
        ..B::FACTS
    };
    const SENDER_ONLY: SpaceFlags = B::SENDER_ONLY;
    fn levels(&self) -> &'static LevelTable {
        self.inner.levels()
    }
    fn ceiling(&self, space: Space, reach: Reach) -> Ceiling {
        self.inner.ceiling(space, reach)
    }
    fn change_facts(&self, flags: SpaceFlags) -> ChangeFacts {
        self.inner.change_facts(flags)
    }
    fn change(
        &self,
        cpu: &mut impl Issue<B::Op>,
        slot: &Slot<'_>,
        change: &Change,
        owner: &Owner,
    ) -> Changed {
        self.inner.change(cpu, slot, change, owner)
    }
    fn publish(&self, cpu: &mut impl Issue<B::Op>, space: Space) {
        self.inner.publish(cpu, space);
    }
    fn tags(&self) -> Tags {
        self.inner.tags()
    }
    fn sends_ipis(&self) -> bool {
        self.inner.sends_ipis()
    }

    fn ipi_targets(&self, request: &Request<'_>) -> IpiTargets {
        self.inner.ipi_targets(request).and_sets(self.sets)
    }

    fn start(&self, cpu: &mut impl Issue<B::Op>, request: &Request<'_>) -> Started {
        self.inner.start(cpu, request)
    }
    fn finish(&self, cpu: &mut impl Issue<B::Op>, started: Started) -> Finished {
        self.inner.finish(cpu, started)
    }
    fn handle(&self, cpu: &mut impl Issue<B::Op>, request: &Request<'_>) -> Deferred {
        self.inner.handle(cpu, request)
    }
    fn switch(&self, cpu: &mut impl Issue<B::Op>, to: &Root, pending: Pending) -> Deferred {
        self.inner.switch(cpu, to, pending)
    }
    fn load_tag(&self, cpu: &mut impl Issue<B::Op>, to: &Root, pending: Pending) -> Deferred {
        self.inner.load_tag(cpu, to, pending)
    }
    fn return_to_user(&self, cpu: &mut impl Issue<B::Op>, to: &Root, deferred: bool) {
        self.inner.return_to_user(cpu, to, deferred);
    }
    fn enter_from_user(&self, cpu: &mut impl Issue<B::Op>, to: &Root) {
        self.inner.enter_from_user(cpu, to);
    }
    fn cpu_online(&self, cpu: &mut impl Issue<B::Op>) -> Deferred {
        self.inner.cpu_online(cpu)
    }
}
