//! A backend that checks the contexts in which the runtime calls it, and that no two spaces use one tag.

use std::ops::Deref;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tlbc_runtime::pte::{Change, ChangeFacts, Changed, Owner, Slot, Was};
use tlbc_runtime::request::{LevelTable, Reach, Request, Scope, Space};
use tlbc_runtime::{
    Backend, Ceiling, Deferred, Facts, Finished, IpiTargets, Issue, Pending, Root, SpaceFlags,
    Started, Tag, TagSource, TagValues, Tags,
};

use crate::context::{self, Within};
use crate::hooks::{Hook, OfCpu};
use crate::platform::lock;
use crate::rules::Rule;
use crate::tlbs::Tlbs;

/// A backend whose calls are checked.
pub struct Checked<B> {
    inner: B,
    tlbs: Mutex<Tlbs>,
    /// What a test does before an entry changes.
    pub(crate) changing: Hook<OfCpu>,
    /// The maximum number of global tags.
    most_tags: u64,
    /// The number of flushes that reach other CPUs and are started but not finished, if the machine allows only one.
    wide: AtomicUsize,
}

impl<B> Checked<B> {
    pub(crate) fn new(inner: B, most_tags: u64) -> Self {
        Self {
            inner,
            most_tags,
            tlbs: Mutex::default(),
            changing: Hook::default(),
            wide: AtomicUsize::new(0),
        }
    }
}

impl<B> Checked<B> {
    /// Returns the tag that a CPU has loaded.
    pub fn loaded(&self, cpu: u32) -> Option<Tag> {
        lock(&self.tlbs).loaded(cpu)
    }
}

impl<B> Deref for Checked<B> {
    type Target = B;
    fn deref(&self) -> &B {
        &self.inner
    }
}

impl<B: Backend> Checked<B> {
    fn flushes(rule: Rule) {
        if B::FACTS.interrupts_off {
            context::require_off(rule);
        }
        Self::unlocked();
        context::require_outside(Within::Secondary, Rule::SecondaryDoesNotFlush);
        context::require_outside(Within::Defer, Rule::DeferDoesNotWait);
    }

    fn changes(&self) {
        if !B::FACTS.pte_update.is_store() {
            Self::flushes(Rule::FlushInterruptsOff);
        }
        let hook = self.changing.get().zip(context::cpu());
        hook.inspect(|(hook, cpu)| hook(*cpu));
    }

    /// Requires that no lock is held except the one for a machine that allows one flush at a time.
    pub(crate) fn unlocked() {
        if !B::FACTS.one_at_a_time {
            context::require_unlocked();
        }
    }

    fn is_loaded(&self, request: &Request<'_>) -> bool {
        let ends = matches!(request.scope, Scope::Teardown);
        let here = context::cpu().and_then(|cpu| self.loaded(cpu));
        ends || request.space == Space::Kernel || here == Some(request.tag)
    }

    /// Records a flush of everything of a user space: on every CPU, if instructions reach every CPU.
    fn record_full_flush(&self, request: &Request<'_>, reach: Reach) {
        let whole = matches!(request.scope, Scope::Everything { .. } | Scope::Teardown);
        if whole && request.space == Space::User {
            let everywhere =
                reach == Reach::Wide && self.inner.ipi_targets(request).agents.is_empty();
            let cpu = context::cpu().filter(|_| !everywhere);
            lock(&self.tlbs).drop_tag(cpu, request.tag.value);
        }
    }
}

impl<B: Backend> Backend for Checked<B> {
    type Op = B::Op;
    const FACTS: Facts = B::FACTS;
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

    fn store(&self, slot: &Slot<'_>, change: &Change, flags: SpaceFlags) -> Changed {
        self.changes();
        self.inner.store(slot, change, flags)
    }

    fn store_if(
        &self,
        slot: &Slot<'_>,
        seen: Was,
        change: &Change,
        flags: SpaceFlags,
    ) -> Option<Changed> {
        self.changes();
        self.inner.store_if(slot, seen, change, flags)
    }

    fn change(
        &self,
        cpu: &mut impl Issue<B::Op>,
        slot: &Slot<'_>,
        change: &Change,
        owner: &Owner,
    ) -> Changed {
        self.changes();
        let changed = self.inner.change(cpu, slot, change, owner);
        slot.store(change.new_bits); // in place of the instruction, which is not executed here
        changed
    }

    fn publish(&self, cpu: &mut impl Issue<B::Op>, space: Space) {
        self.inner.publish(cpu, space);
    }

    fn tags(&self) -> Tags {
        let mut tags = self.inner.tags();
        let limit = |values: &mut TagValues| {
            let last = values
                .first
                .saturating_add(self.most_tags)
                .saturating_sub(1);
            values.last = values.last.min(last);
        };
        if let Some((values, source)) = &mut tags.global
            && *source != TagSource::Root
        {
            limit(values);
        }
        if let Some((values, _)) = &mut tags.per_cpu {
            limit(values);
        }
        tags
    }

    fn sends_ipis(&self) -> bool {
        self.inner.sends_ipis()
    }

    fn ipi_targets(&self, request: &Request<'_>) -> IpiTargets {
        self.inner.ipi_targets(request)
    }

    fn start(&self, cpu: &mut impl Issue<B::Op>, request: &Request<'_>) -> Started {
        Self::flushes(Rule::FlushInterruptsOff);
        context::start_flush();
        if B::FACTS.one_at_a_time && request.reach == Reach::Wide {
            let others = self.wide.fetch_add(1, SeqCst);
            context::require(others == 0, Rule::OneFlushAtATime);
        }
        self.record_full_flush(request, request.reach);
        self.inner.start(cpu, request)
    }

    fn finish(&self, cpu: &mut impl Issue<B::Op>, started: Started) -> Finished {
        Self::flushes(Rule::FlushInterruptsOff);
        context::finish_flush();
        let wide = B::FACTS.one_at_a_time && started.reach == Reach::Wide;
        let finished = self.inner.finish(cpu, started);
        if wide {
            self.wide.fetch_sub(1, SeqCst);
        }
        finished
    }

    fn handle(&self, cpu: &mut impl Issue<B::Op>, request: &Request<'_>) -> Deferred {
        context::require_off(Rule::HandleInterruptsOff);
        Self::unlocked();
        context::require(self.is_loaded(request), Rule::HandleWhereLoaded);
        self.record_full_flush(request, Reach::Here);
        self.inner.handle(cpu, request)
    }

    fn switch(&self, cpu: &mut impl Issue<B::Op>, to: &Root, pending: Pending) -> Deferred {
        context::require_off(Rule::SwitchInterruptsOff);
        Self::unlocked();
        if let Some(cpu) = context::cpu() {
            let tags = self.inner.tags();
            let has_tags = tags.per_cpu.is_some() || tags.global.is_some();
            let alone = lock(&self.tlbs).load(cpu, to, pending, has_tags);
            context::require(alone, Rule::TagsAreNotShared);
        }
        self.inner.switch(cpu, to, pending)
    }

    fn load_tag(&self, cpu: &mut impl Issue<B::Op>, to: &Root, pending: Pending) -> Deferred {
        Self::flushes(Rule::FlushInterruptsOff);
        if let Some(cpu) = context::cpu() {
            let is_new = lock(&self.tlbs).load_tag(cpu, to.tag, pending);
            context::require(is_new, Rule::TagsAreNotShared);
        }
        self.inner.load_tag(cpu, to, pending)
    }

    fn return_to_user(&self, cpu: &mut impl Issue<B::Op>, to: &Root, deferred: bool) {
        context::require_off(Rule::ReturnToUserInterruptsOff);
        self.inner.return_to_user(cpu, to, deferred);
    }

    fn enter_from_user(&self, cpu: &mut impl Issue<B::Op>, to: &Root) {
        context::require_off(Rule::EnterInterruptsOff);
        self.inner.enter_from_user(cpu, to);
    }

    fn cpu_online(&self, cpu: &mut impl Issue<B::Op>) -> Deferred {
        context::require_off(Rule::OnlineInterruptsOff);
        let deferred = self.inner.cpu_online(cpu);
        if let Some(cpu) = context::cpu() {
            let mut tlbs = lock(&self.tlbs);
            let loaded = tlbs.loaded(cpu).map_or(0, |tag| tag.value);
            if deferred.contains(Deferred::OTHERS_UNTIL_LOAD) {
                tlbs.drop_tag(Some(cpu), loaded);
            } else {
                tlbs.drop_all(cpu);
            }
        }
        deferred
    }
}
