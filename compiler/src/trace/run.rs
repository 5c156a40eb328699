//! A request, as the runtime serves it: flushes with their IPIs, events, and the ends of a gather.
//!
//! In: a [`Query`]. Out: a [`Trace`]. Holds: the order is the runtime's. A flush issues what the backend starts with, interrupts
//! the CPUs that flush for themselves and waits for them, issues what it ends with, and interrupts those that only have to
//! be interrupted (`runtime/src/shootdown.rs`).

use tlbc_runtime::backend::IpiTargets;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::passes::{Folding, Passes, Walks};
use tlbc_runtime::request::{LevelTable, Ranges, Reach, Scope, Space};

use super::answer::{DeferredBy, EntryKind, Ipi, Step, Store, Trace, VERSION};
use super::asked::{Entries, env, without_devices};
use super::deferred::{deferred, kinds};
use super::interpret::{Effects, Env, flush, interpret};
use super::query::{Event, Query};
use super::request::{kind_of_tag, request};
use super::steps::{step, takes_tag, targets};
use crate::model::Model;
use crate::plan::Plans;
use crate::plan::ir::Shape;

/// What is flushed.
#[derive(Clone, Copy)]
pub(super) enum Flush<'r> {
    /// These entries.
    Ranges(&'r Ranges),
    /// The whole space.
    Everything,
    /// The same, for a space that ends.
    Teardown,
}

/// A request that is being served.
pub(super) struct Run<'a> {
    pub model: &'a Model,
    pub plans: &'a Plans,
    pub query: &'a Query,
    pub entries: Entries<'a>,
    pub levels: LevelTable,
    pub trace: Trace,
    /// What was changed, and is not flushed yet.
    pub changed: Ranges,
    /// Whether everything of the space is flushed instead.
    pub whole: bool,
    /// Whether a valid entry of the kernel was stored where none was, and is not published.
    pub new: bool,
}

/// Whether the runtime ever flushes for this CPU alone. Where no CPU would be interrupted it does not know which CPUs hold
/// entries, unless one that attaches the space waits for it.
#[must_use]
pub fn is_ever_local(model: &Model, plans: &Plans, query: &Query) -> bool {
    let waits = model.switch.waits_for_changes.is_some() && query.space == Space::User;
    waits || !told(model, plans, query.space, &env(query)).is_empty()
}

/// The CPUs that are interrupted to flush for themselves.
fn told(model: &Model, plans: &Plans, space: Space, env: &Env) -> IpiTargets {
    interpret(model, plans, Shape::IpiTargets(space), env).deliver
}

impl<'a> Run<'a> {
    pub fn new(model: &'a Model, plans: &'a Plans, query: &'a Query) -> Self {
        Self {
            model,
            plans,
            query,
            entries: Entries::new(model, query),
            levels: model.level_table(query.config),
            trace: Trace {
                version: VERSION,
                request: request(model, query),
                notes: Vec::new(),
                here: Vec::new(),
                ipis: Vec::new(),
                deferred: Vec::new(),
            },
            changed: Ranges::new(),
            whole: false,
            new: false,
        }
    }

    /// Serves it.
    pub fn trace(mut self) -> Result<Trace, String> {
        let space = self.query.space;
        match &self.query.event {
            Event::Cleared(cleared) if cleared.stored || self.model.change.plain_store.value => {
                let ranges = self.entries.cleared(cleared)?;
                self.flush(Flush::Ranges(&ranges));
            }
            Event::Cleared(cleared) => self.clear(cleared)?,
            Event::Mapped(stretches) => self.mapped(stretches)?,
            Event::Change(change) => self.change(change)?,
            Event::Fault(stretch) => self.fault(stretch)?,
            Event::Everything => self.flush(Flush::Everything),
            Event::Teardown => self.flush(Flush::Teardown),
            Event::Switch(debt) => {
                if *debt == tlbc_runtime::Pending::All
                    && !self.model.switch_flushes_every_tag(self.query.config)
                {
                    return Err(
                        "a flush of everything under every tag is never pending on this machine: its CPUs start with \
                         nothing cached, and its tags are not given out anew all at once"
                            .to_owned(),
                    );
                }
                self.event(Shape::Switch, |env| env.debt = *debt);
            }
            Event::ReturnToUser(pending) => {
                self.event(Shape::ReturnToUser, |env| env.owed = *pending);
            }
            Event::EnterFromUser => self.event(Shape::EnterFromUser, |_| {}),
            Event::CpuOnline => self.event(Shape::CpuOnline, |_| {}),
            Event::Publish => self.event(Shape::Publish(space), |_| {}),
        }
        Ok(self.trace)
    }

    /// Which CPUs may have cached the entries.
    pub fn reach(&self) -> Reach {
        if self.query.others {
            Reach::Wide
        } else {
            Reach::Here
        }
    }

    /// Something else than a flush, on this CPU. Devices are not switched, nor do they come online.
    pub fn event(&mut self, shape: Shape, set: impl FnOnce(&mut Env)) {
        let mut env = env(self.query);
        env.config = without_devices(self.model, env.config);
        set(&mut env);
        let effects = interpret(self.model, self.plans, shape, &env);
        self.did(&effects, &env, &[]);
    }

    /// A flush, of all that may have cached the entries.
    pub fn flush(&mut self, what: Flush<'_>) {
        let reach = self.reach();
        let (shape, mut env) = self.flush_of(what, env(self.query));
        let kinds = self.kinds(what);
        let [start, finish] = self.issued(shape, reach, &env);
        let deliver = match reach {
            Reach::Wide => told(self.model, self.plans, self.query.space, &env),
            Reach::Here => {
                self.note_reach();
                IpiTargets::NONE
            }
        };
        self.did(&start, &env, &kinds);
        if !deliver.is_empty() {
            let sender = env.config;
            env.tag.global = false;
            env.config = without_devices(self.model, env.config);
            let effects = self.issued(shape, Reach::Here, &env);
            self.interrupt(deliver, &effects, &env, &kinds);
            (env.tag, env.config) = (self.query.tag, sender);
        }
        self.did(&finish, &env, &kinds);
        for left in [start.interrupt, finish.interrupt] {
            if !left.is_empty() {
                self.interrupt(left, &[], &env, &kinds);
            }
        }
    }

    /// Says where the runtime never makes a flush local.
    fn note_reach(&mut self) {
        if !is_ever_local(self.model, self.plans, self.query) {
            self.note(
                "instructions reach every CPU, so the runtime does not look which CPUs have cached the entries: it \
                 flushes as with `--cpus others`",
            );
        }
    }

    /// Adds a remark, once.
    pub fn note(&mut self, text: &str) {
        if !self.trace.notes.iter().any(|note| note == text) {
            self.trace.notes.push(text.to_owned());
        }
    }

    /// A flush on this CPU alone, which leaves devices to others.
    pub fn flush_here(&mut self, ranges: &Ranges) {
        let what = Flush::Ranges(ranges);
        let (shape, mut env) = self.flush_of(what, env(self.query));
        let kinds = self.kinds(what);
        env.config = without_devices(self.model, env.config);
        for effects in self.issued(shape, Reach::Here, &env) {
            self.did(&effects, &env, &kinds);
        }
    }

    /// The shape of a flush for a reach, and what its plan is interpreted with.
    fn flush_of(&self, what: Flush<'_>, mut env: Env) -> (fn(Space, Reach) -> Shape, Env) {
        let shape: fn(Space, Reach) -> Shape = match what {
            Flush::Ranges(ranges) => {
                env.walk = ranges.tables();
                let one = match ranges.scope(&self.levels) {
                    Scope::Page { va, level, .. } => Some((va, level)),
                    _ => None,
                };
                env.ranges = *ranges;
                env.page = one.unwrap_or((0, Level(0)));
                match one {
                    Some(_) => Shape::Page,
                    None => Shape::Ranges,
                }
            }
            Flush::Everything => {
                env.walk = true;
                Shape::Everything
            }
            Flush::Teardown => {
                (env.walk, env.ends) = (true, true);
                let ends = Shape::Teardown(self.query.space, self.reach());
                if self.plans.get(ends).is_some() {
                    Shape::Teardown
                } else {
                    Shape::Everything
                }
            }
        };
        (shape, env)
    }

    /// What is issued for a flush: to start it, and to finish it.
    fn issued(&self, shape: fn(Space, Reach) -> Shape, reach: Reach, env: &Env) -> [Effects; 2] {
        flush(self.model, self.plans, shape(self.query.space, reach), env)
    }

    /// The kinds of entries that a flush invalidates, of those that the machine caches.
    fn kinds(&self, what: Flush<'_>) -> Vec<EntryKind> {
        let mut kinds = kinds(self.model);
        if let Flush::Ranges(ranges) = what {
            let folding = Folding {
                leaves: false,
                walks: Walks::Named,
                joint: false,
                absences: false,
            };
            let passes = Passes::new(ranges, &self.levels, folding);
            let leaves = passes.leaves().iter().any(|pass| pass.leaf);
            kinds.retain(|kind| match kind {
                EntryKind::Leaf => leaves,
                EntryKind::Walk => ranges.tables(),
                EntryKind::Negative => ranges.have_appeared(),
                EntryKind::Root => false,
            });
        }
        kinds
    }

    /// What came of a plan on this CPU, which stores nothing, for a flush of entries of these kinds.
    fn did(&mut self, effects: &Effects, env: &Env, kinds: &[EntryKind]) {
        self.issue(effects, env, None);
        self.defer(DeferredBy::ThisCpu, effects, kinds);
    }

    /// What this CPU issues. Stores are of the entries of `store`.
    pub fn issue(&mut self, effects: &Effects, env: &Env, store: Option<&Store>) {
        let steps = effects.ops.iter();
        let steps = steps.filter_map(|op| step(self.model, env.config, op, store));
        self.trace.here.extend(steps);
    }

    /// What is left for later of a flush of entries of these kinds.
    pub fn defer(&mut self, cpus: DeferredBy, effects: &Effects, kinds: &[EntryKind]) {
        for more in deferred(self.model, self.query, effects.owed, cpus, kinds) {
            if !self.trace.deferred.contains(&more) {
                self.trace.deferred.push(more);
            }
        }
    }

    /// Interrupts CPUs, each of which does the same for a flush of entries of these kinds.
    fn interrupt(&mut self, to: IpiTargets, effects: &[Effects], env: &Env, kinds: &[EntryKind]) {
        let ops = || effects.iter().flat_map(|effects| &effects.ops);
        let tag = kind_of_tag(self.model, self.query).filter(|tag| tag.of_cpu.value);
        let own = tag.filter(|_| ops().any(|op| takes_tag(self.model, op)));
        let steps = ops().filter_map(|op| step(self.model, env.config, op, None));
        let ipi = Ipi {
            targets: targets(self.model, self.query, to),
            steps: steps.collect(),
            own_tag: own.map(|tag| tag.named.name.clone()),
        };
        self.trace.here.push(Step::Ipi {
            ipi: self.trace.ipis.len(),
        });
        self.trace.ipis.push(ipi);
        for effects in effects {
            self.defer(DeferredBy::InterruptedCpus, effects, kinds);
        }
    }
}
