//! A backend that records which flushes it is called for, instead of issuing instructions.
//!
//! Other tests check what a backend's instructions invalidate. Tests of the runtime check which flush was started and
//! finished, and which entries had changed before; that does not depend on the architecture.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};

use tlbc_runtime::pte::{Change, ChangeFacts, Changed, Owner, RequiredFlush, Slot, Was};
use tlbc_runtime::request::{Extent, LevelTable, Ranges, Reach, Request, Scope, Space};
use tlbc_runtime::{
    Backend, Ceiling, Deferred, Facts, FinishSteps, Finished, IpiTargets, Issue, Level, Pending,
    Record, Root, SpaceFlags, Started, Tag, Tags,
};

/// A backend whose calls are recorded.
pub struct Watched<B> {
    inner: B,
    /// The subject that the test works on, which every flush records.
    pub subject: AtomicU64,
    started: AtomicU64,
    finished: AtomicU64,
    /// The steps of completion that a flush was started with and that were not done since.
    steps: AtomicU8,
    made: Mutex<Vec<Made>>,
}

/// What the events of the machine contain in place of instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A flush was started.
    Started(Flush),
    /// Every flush with a smaller number is finished.
    Finished(u64),
    /// A CPU that was interrupted did the flush that it was sent; or calls did it for CPUs that they were given.
    Handled(Asked),
    /// A CPU loaded the root with this top table.
    Loaded(u64),
}

/// A flush that the runtime started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flush {
    /// The number of flushes that were started before.
    pub number: u64,
    /// The subject, as set by the test.
    pub subject: u64,
    /// The space.
    pub space: Space,
    /// The tag of the space.
    pub tag: Tag,
    /// The agents that may have the entries cached.
    pub reach: Reach,
    /// The entries.
    pub asked: Asked,
}

/// An owned [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // few, and copied like what they are of
pub enum Asked {
    /// One entry.
    Page {
        /// An address that it translates.
        va: u64,
        /// The level of the entry.
        level: Level,
        /// Whether its table was unlinked.
        table: bool,
    },
    /// Entries of several levels, or many of one level.
    Ranges(Ranges),
    /// Every entry.
    Everything {
        /// Whether tables were unlinked.
        tables: bool,
    },
    /// The teardown of the space.
    Teardown,
}

/// A change of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The first address of the entry.
    pub va: u64,
    /// The kind of change.
    pub change: Change,
    /// The number of flushes that were started before.
    pub started: u64,
    /// The number of flushes that were finished before.
    pub finished: u64,
    /// The flush that the change requires.
    pub required: RequiredFlush,
    /// The flush that the change defers.
    pub deferred: Deferred,
}

/// What a CPU may have cached of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// A leaf entry.
    Leaf(Level, u64),
    /// A walk entry.
    Walk(Level, u64),
    /// A walk entry for a table whose entries are still valid: it must be invalidated before the leaf entries that can
    /// be filled through it.
    Live,
    /// Entries of any kind.
    Everything,
}

impl<B: Backend> Watched<B> {
    /// Creates a recorder around a backend.
    pub fn new(inner: B) -> Self {
        Self {
            inner,
            subject: AtomicU64::new(0),
            started: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            steps: AtomicU8::new(0),
            made: Mutex::new(Vec::new()),
        }
    }

    /// Returns how many flushes were started, and how many of them are finished.
    pub fn flushes(&self) -> (u64, u64) {
        (self.started.load(SeqCst), self.finished.load(SeqCst))
    }

    /// Returns the steps of completion that are missing. Each flush requires another one, up to eight.
    pub fn steps_left(&self) -> FinishSteps {
        FinishSteps(self.steps.load(SeqCst))
    }

    fn note(&self, slot: &Slot<'_>, change: &Change, changed: &Changed) {
        let (started, finished) = self.flushes();
        self.made.lock().unwrap().push(Made {
            va: slot.va,
            change: *change,
            started,
            finished,
            required: changed.required,
            deferred: changed.deferred,
        });
    }

    /// Returns the changes since the last call.
    pub fn made(&self) -> Vec<Made> {
        std::mem::take(&mut self.made.lock().unwrap())
    }
}

impl Asked {
    fn new(scope: Scope<'_>) -> Self {
        match scope {
            Scope::Page { va, level, table } => Self::Page { va, level, table },
            Scope::Ranges(ranges) => Self::Ranges(*ranges),
            Scope::Everything { tables } => Self::Everything { tables },
            Scope::Teardown => Self::Teardown,
        }
    }

    /// Returns whether it names what may be cached.
    pub fn covers(&self, levels: &LevelTable, stale: &Stale) -> bool {
        let shift = |level: Level| levels[level.index()].shift;
        let entry = |level, va| Extent::new(va, 1).rounded(shift(level));
        match (*self, *stale) {
            (Self::Teardown | Self::Everything { tables: true }, _)
            | (Self::Everything { .. }, Stale::Leaf(..)) => true,
            (Self::Ranges(ranges), Stale::Live) => ranges.has_subtree(),
            (_, Stale::Everything | Stale::Live) | (Self::Everything { .. }, Stale::Walk(..)) => {
                false
            }
            (Self::Page { va, level, .. }, Stale::Leaf(of, at)) => {
                level == of && entry(of, at) == entry(of, va)
            }
            (Self::Page { va, level, table }, Stale::Walk(of, at)) => {
                let above = Level::all().find(|above| *above > level && shift(*above) != 0);
                table && above == Some(of) && entry(of, at) == entry(of, va)
            }
            // Naming an entry again has no effect.
            (Self::Ranges(ranges), Stale::Leaf(of, at)) => {
                let mut more = ranges;
                more.leaf(of, entry(of, at));
                more == ranges
            }
            (Self::Ranges(ranges), Stale::Walk(of, at)) => {
                let mut more = ranges;
                more.walk(of, entry(of, at));
                more == ranges
            }
        }
    }
}

/// Returns a sink that discards instructions.
fn nowhere<Op>() -> impl Issue<Op> {
    Record(|_| ())
}

impl<B: Backend> Backend for Watched<B> {
    type Op = Seen;
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

    fn change(
        &self,
        _: &mut impl Issue<Seen>,
        slot: &Slot<'_>,
        change: &Change,
        owner: &Owner,
    ) -> Changed {
        let changed = self.inner.change(&mut nowhere(), slot, change, owner);
        // An instruction that replaces an entry would have stored it.
        slot.store(change.new_bits);
        self.note(slot, change, &changed);
        changed
    }

    fn publish(&self, _: &mut impl Issue<Seen>, space: Space) {
        self.inner.publish(&mut nowhere(), space);
    }

    fn store(&self, slot: &Slot<'_>, change: &Change, flags: SpaceFlags) -> Changed {
        let changed = self.inner.store(slot, change, flags);
        self.note(slot, change, &changed);
        changed
    }

    fn store_if(
        &self,
        slot: &Slot<'_>,
        seen: Was,
        change: &Change,
        flags: SpaceFlags,
    ) -> Option<Changed> {
        let changed = self.inner.store_if(slot, seen, change, flags)?;
        self.note(slot, change, &changed);
        Some(changed)
    }

    fn tags(&self) -> Tags {
        self.inner.tags()
    }

    fn sends_ipis(&self) -> bool {
        self.inner.sends_ipis()
    }

    fn ipi_targets(&self, request: &Request<'_>) -> IpiTargets {
        self.inner.ipi_targets(request)
    }

    fn start(&self, cpu: &mut impl Issue<Seen>, request: &Request<'_>) -> Started {
        if request.reach == Reach::Given {
            cpu.issue(Seen::Handled(Asked::new(request.scope)));
            return self.inner.start(&mut nowhere(), request);
        }
        let number = self.started.fetch_add(1, SeqCst);
        let step = FinishSteps(1 << (number % FinishSteps::MOST as u64));
        self.steps.fetch_or(step.0, SeqCst);
        cpu.issue(Seen::Started(Flush {
            number,
            subject: self.subject.load(SeqCst),
            space: request.space,
            tag: request.tag,
            reach: request.reach,
            asked: Asked::new(request.scope),
        }));
        let mut started = self.inner.start(&mut nowhere(), request);
        started.outcome.steps |= step;
        started
    }

    fn finish(&self, cpu: &mut impl Issue<Seen>, started: Started) -> Finished {
        if started.reach == Reach::Given {
            return self.inner.finish(&mut nowhere(), started);
        }
        self.steps.fetch_and(!started.outcome.steps.0, SeqCst);
        let finished = self.inner.finish(&mut nowhere(), started);
        let so_far = self.started.load(SeqCst);
        self.finished.store(so_far, SeqCst);
        cpu.issue(Seen::Finished(so_far));
        finished
    }

    fn handle(&self, cpu: &mut impl Issue<Seen>, request: &Request<'_>) -> Deferred {
        cpu.issue(Seen::Handled(Asked::new(request.scope)));
        self.inner.handle(&mut nowhere(), request)
    }

    fn switch(&self, cpu: &mut impl Issue<Seen>, to: &Root, pending: Pending) -> Deferred {
        cpu.issue(Seen::Loaded(to.table));
        self.inner.switch(&mut nowhere(), to, pending)
    }

    fn load_tag(&self, _: &mut impl Issue<Seen>, to: &Root, pending: Pending) -> Deferred {
        self.inner.load_tag(&mut nowhere(), to, pending)
    }

    fn return_to_user(&self, _: &mut impl Issue<Seen>, to: &Root, deferred: bool) {
        self.inner.return_to_user(&mut nowhere(), to, deferred);
    }

    fn enter_from_user(&self, _: &mut impl Issue<Seen>, to: &Root) {
        self.inner.enter_from_user(&mut nowhere(), to);
    }

    fn cpu_online(&self, _: &mut impl Issue<Seen>) -> Deferred {
        self.inner.cpu_online(&mut nowhere())
    }
}
