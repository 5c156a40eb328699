//! A backend that checks the contexts in which the runtime calls it.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tlbc_runtime::change::{Change, ChangeFacts, Changed, Owner, Slot};
use tlbc_runtime::request::{LevelTable, Reach, Request, Scope, Space};
use tlbc_runtime::{
    Audience, Backend, Ceiling, Conditions, Debt, Facts, Finished, Issue, Owed, Root, Started, Tag,
    Tags,
};

use crate::context::{self, Within};
use crate::rules::Rule;

/// A backend, checked.
pub struct Checked<B> {
    inner: B,
    /// The tag of the root that each CPU has loaded.
    loaded: Mutex<HashMap<u32, Tag>>,
    /// Flushes of other CPUs as well that are started and not finished, where the machine bears one.
    wide: AtomicUsize,
}

impl<B> Checked<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self {
            inner,
            loaded: Mutex::default(),
            wide: AtomicUsize::new(0),
        }
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

    /// No lock is held but the one for a machine that bears one flush at a time.
    pub(crate) fn unlocked() {
        if !B::FACTS.one_at_a_time {
            context::require_unlocked();
        }
    }

    fn is_loaded(&self, request: &Request<'_>) -> bool {
        let ends = matches!(request.scope, Scope::Teardown);
        let loaded = self.loaded.lock().unwrap_or_else(|lock| lock.into_inner());
        let here = context::cpu().and_then(|cpu| loaded.get(&cpu));
        ends || request.space == Space::Kernel || here == Some(&request.tag)
    }
}

impl<B: Backend> Backend for Checked<B> {
    type Op = B::Op;
    const FACTS: Facts = B::FACTS;
    const SENDER_ONLY: Conditions = B::SENDER_ONLY;

    fn levels(&self) -> &'static LevelTable {
        self.inner.levels()
    }

    fn ceiling(&self, space: Space, reach: Reach) -> Ceiling {
        self.inner.ceiling(space, reach)
    }

    fn change_facts(&self, conditions: Conditions) -> ChangeFacts {
        self.inner.change_facts(conditions)
    }

    fn change(
        &self,
        cpu: &mut impl Issue<B::Op>,
        slot: &Slot<'_>,
        change: &Change,
        owner: &Owner,
    ) -> Changed {
        if !B::FACTS.changes_plainly {
            Self::flushes(Rule::FlushInterruptsOff);
        }
        self.inner.change(cpu, slot, change, owner)
    }

    fn tags(&self) -> Tags {
        self.inner.tags()
    }

    fn gives_up(&self, request: &Request<'_>) -> bool {
        self.inner.gives_up(request)
    }

    fn audience(&self, request: &Request<'_>) -> Audience {
        self.inner.audience(request)
    }

    fn start(&self, cpu: &mut impl Issue<B::Op>, request: &Request<'_>) -> Started {
        Self::flushes(Rule::FlushInterruptsOff);
        context::start_flush();
        if B::FACTS.one_at_a_time && request.reach == Reach::Wide {
            let others = self.wide.fetch_add(1, SeqCst);
            context::require(others == 0, Rule::OneFlushAtATime);
        }
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

    fn deliver(&self, cpu: &mut impl Issue<B::Op>, request: &Request<'_>) -> Owed {
        context::require_off(Rule::DeliverInterruptsOff);
        Self::unlocked();
        context::require(self.is_loaded(request), Rule::DeliverWhereLoaded);
        self.inner.deliver(cpu, request)
    }

    fn switch(&self, cpu: &mut impl Issue<B::Op>, to: &Root, debt: Debt) -> Owed {
        context::require_off(Rule::SwitchInterruptsOff);
        Self::unlocked();
        let owed = self.inner.switch(cpu, to, debt);
        if let Some(cpu) = context::cpu() {
            let mut loaded = self.loaded.lock().unwrap_or_else(|lock| lock.into_inner());
            loaded.insert(cpu, to.tag);
        }
        owed
    }

    fn resume(&self, cpu: &mut impl Issue<B::Op>, to: &Root, owed: bool) {
        context::require_off(Rule::ResumeInterruptsOff);
        self.inner.resume(cpu, to, owed);
    }

    fn arrive(&self, cpu: &mut impl Issue<B::Op>) -> Owed {
        context::require_off(Rule::ArriveInterruptsOff);
        self.inner.arrive(cpu)
    }
}
