//! The execution of a request in the order of the runtime: flushes with their IPIs, events, and ends of a gather.
//!
//! In: a [`Query`]. Out: a [`Trace`]. Holds: a flush issues the instructions of its start, interrupts the CPUs
//! that flush for themselves and waits for them, issues the instructions of its end, and interrupts the CPUs for which
//! taking the interrupt is enough (`runtime/src/mmu/shootdown.rs`).

use tlbc_runtime::backend::{IpiTargets, Root};
use tlbc_runtime::level::{Level, Levels};
use tlbc_runtime::request::passes::{Folding, Passes, SortedPasses};
use tlbc_runtime::request::{LevelTable, Ranges, Reach, Scope, Space, Tag};

use super::deferred::{deferred, kinds};
use super::explanation::Why;
use super::input::{RequestedEntries, env, without_devices};
use super::interpret::{self, Effects, Env, Op, check_length, flush, interpret};
use super::query::{Event, Query};
use super::request::{kind_of_tag, next_tag, request};
use super::response::{DeferredBy, EntryKind, Ipi, Step, Store, Trace, VERSION};
use super::steps::{step, takes_tag, targets};
use super::why::{TracedFlush, strides, why};
use crate::model::{CachedKind, Model};
use crate::plan::Plans;
use crate::plan::demand::{Demand, DemandExtent, LEAF, LEAF_AND_WALK, TEARDOWN, negative_too};
use crate::plan::ir::Shape;

/// What is flushed.
#[derive(Clone, Copy)]
pub(super) enum FlushedEntries<'r> {
    /// These entries.
    Ranges(&'r Ranges),
    /// The whole space.
    Everything,
    /// The same, for a space that ends.
    Teardown,
}

/// The execution of one request.
pub(super) struct TraceRun<'a> {
    pub model: &'a Model,
    pub plans: &'a Plans,
    pub query: &'a Query,
    pub entries: RequestedEntries<'a>,
    pub levels: LevelTable,
    pub trace: Trace,
    /// The changed entries that are not flushed yet.
    pub changed: Ranges,
    /// Whether everything of the space is flushed instead.
    pub whole: bool,
    /// Whether a valid entry of the kernel was stored where none was, and is not published.
    pub new: bool,
    /// Whether a table was unlinked whose link no CPU caches, and no flush has published this.
    pub unlinked: bool,
    /// The instructions of all CPUs.
    ops: Vec<Op>,
    /// The flushes.
    flushed: Vec<TracedFlush>,
}

/// Returns whether the runtime ever flushes for this CPU alone. Where instructions reach every CPU it does for a user space
/// without devices, if no other CPU may have the space loaded.
#[must_use]
pub fn is_ever_local(model: &Model, plans: &Plans, query: &Query) -> bool {
    let devices = model.space(query.space).has_devices(query.config);
    query.space == Space::User && !devices || are_interrupted(model, plans, query)
}

/// Returns whether other CPUs flush for themselves.
fn are_interrupted(model: &Model, plans: &Plans, query: &Query) -> bool {
    !flush_ipis(model, plans, query.space, &env(query)).is_empty()
}

/// Returns whether the handler of an IPI flushes for some space of this kind, under a tag of either kind.
fn is_handled(model: &Model, plans: &Plans, query: &Query) -> bool {
    [false, true].into_iter().any(|global| {
        let tag = Tag {
            global,
            ..query.tag
        };
        let env = Env { tag, ..env(query) };
        !flush_ipis(model, plans, query.space, &env).is_empty()
    })
}

/// Returns the CPUs that are interrupted to flush for themselves.
fn flush_ipis(model: &Model, plans: &Plans, space: Space, env: &Env) -> IpiTargets {
    interpret(model, plans, Shape::IpiTargets(space), env).flush_ipis
}

impl<'a> TraceRun<'a> {
    pub fn new(model: &'a Model, plans: &'a Plans, query: &'a Query) -> Self {
        Self {
            model,
            plans,
            query,
            entries: RequestedEntries::new(model, query),
            levels: model.level_table(query.config),
            trace: Trace {
                version: VERSION,
                request: request(model, query),
                notes: Vec::new(),
                here: Vec::new(),
                ipis: Vec::new(),
                deferred: Vec::new(),
                why: None,
            },
            changed: Ranges::new(),
            whole: false,
            new: false,
            unlinked: false,
            ops: Vec::new(),
            flushed: Vec::new(),
        }
    }

    /// Executes the request.
    pub fn execute(&mut self) -> Result<(), String> {
        self.executed()?;
        check_length(self.ops.len())
    }

    fn executed(&mut self) -> Result<(), String> {
        let space = self.query.space;
        match &self.query.event {
            Event::Unmapped(unmapped) if unmapped.stored || self.model.change.plain_store.value => {
                let ranges = self.entries.unmapped(unmapped)?;
                self.flush(FlushedEntries::Ranges(&ranges));
            }
            Event::Unmapped(unmapped) => self.unmapped(unmapped)?,
            Event::Mapped(ranges) => self.mapped(ranges)?,
            Event::Change(change) => self.change(change)?,
            Event::Fault(range) => self.fault(range)?,
            Event::Everything => self.flush(FlushedEntries::Everything),
            Event::Teardown => self.flush(FlushedEntries::Teardown),
            Event::Switch(pending) => {
                if *pending == tlbc_runtime::Pending::All
                    && !self.model.switch_flushes_every_tag(self.query.config)
                {
                    return Err(
                        "a flush of everything under every tag is never pending on this machine: its CPUs start with \
                         nothing cached, and its tags are not given out anew all at once"
                            .to_owned(),
                    );
                }
                self.event(Shape::Switch, |env| env.pending = *pending);
            }
            Event::NewTag(pending) => {
                if self.model.renewal(self.query.config).is_none() {
                    return Err("a space that is loaded gets no new tag on this machine".to_owned());
                }
                self.event(Shape::LoadTag, |env| env.pending = *pending);
            }
            Event::ReturnToUser(pending) => {
                self.event(Shape::ReturnToUser, |env| env.view_pending = *pending);
            }
            Event::EnterFromUser => self.event(Shape::EnterFromUser, |_| {}),
            Event::CpuOnline => self.event(Shape::CpuOnline, |_| {}),
            Event::Publish => self.event(Shape::Publish(space), |_| {}),
        }
        Ok(())
    }

    /// Returns what the request costs, and why its instructions are issued.
    pub fn why(&self) -> Why {
        why(
            self.model,
            self.query,
            &self.trace,
            &self.ops,
            &self.flushed,
        )
    }

    /// Returns which CPUs may have cached the entries.
    pub fn reach(&self) -> Reach {
        if self.query.others {
            Reach::Wide
        } else {
            Reach::Here
        }
    }

    /// Executes an event on this CPU. Events do not concern devices.
    pub fn event(&mut self, shape: Shape, set: impl FnOnce(&mut Env)) {
        let mut env = env(self.query);
        env.config = without_devices(self.model, env.config);
        set(&mut env);
        let effects = interpret(self.model, self.plans, shape, &env);
        self.did(&effects, &env, &[]);
    }

    /// Flushes on all agents that may have cached the entries.
    pub fn flush(&mut self, what: FlushedEntries<'_>) {
        let reach = self.reach();
        let (shape, mut env) = self.flush_of(what, env(self.query));
        let kinds = self.kinds(what);
        let flush_ipis = match reach {
            Reach::Wide => flush_ipis(self.model, self.plans, self.query.space, &env),
            Reach::Here | Reach::Given => {
                env.published = self.look_for_others(what);
                IpiTargets::NONE
            }
        };
        let [start, finish] = self.issued(shape, reach, &env);
        self.flushed(what, &start, &env, flush_ipis);
        self.did(&start, &env, &kinds);
        if let Some(renewal) = self.renewal(&start, &env) {
            self.did(&renewal, &env, &kinds);
        }
        if !flush_ipis.is_empty() {
            let sender = env.config;
            env.config = without_devices(self.model, env.config);
            let calls = if flush_ipis.by_call {
                let effects = self.issued(shape, Reach::Given, &env);
                let ops = effects.iter().flat_map(|effects| &effects.ops);
                let steps = ops.filter_map(|op| step(self.model, env.config, op, None));
                steps.collect()
            } else {
                Vec::new()
            };
            env.tag.global = false;
            let effects = self.issued_alone(shape, &env);
            self.interrupt(flush_ipis, calls, &effects, &env, &kinds);
            (env.tag, env.config) = (self.query.tag, sender);
        }
        self.did(&finish, &env, &kinds);
        for left in [start.sync_ipis, finish.sync_ipis] {
            if !left.is_empty() {
                self.interrupt(left, Vec::new(), &[], &env, &kinds);
            }
        }
    }

    /// Records a flush, which interrupts these CPUs to do the same, for the explanation of its instructions.
    fn flushed(
        &mut self,
        what: FlushedEntries<'_>,
        start: &Effects,
        env: &Env,
        flush_ipis: IpiTargets,
    ) {
        let entries = if env.walk { LEAF_AND_WALK } else { LEAF };
        let everything = Demand {
            extent: DemandExtent::Everything,
            ..negative_too(entries)
        };
        let demand = match what {
            FlushedEntries::Ranges(ranges) if ranges.has_negative() => return,
            FlushedEntries::Ranges(_) if start.exceeded_ceiling => everything,
            FlushedEntries::Ranges(ranges) => match ranges.scope(&self.levels) {
                Scope::Page { .. } => entries,
                _ => entries.each(),
            },
            FlushedEntries::Teardown
                if self.model.caches.hold(CachedKind::Root, self.query.config) =>
            {
                TEARDOWN
            }
            FlushedEntries::Everything | FlushedEntries::Teardown => everything,
        };
        let levels = match what {
            FlushedEntries::Ranges(ranges) => strides(ranges, &self.levels),
            FlushedEntries::Everything | FlushedEntries::Teardown => [Levels::ALL; 2],
        };
        self.flushed.push(TracedFlush {
            levels,
            reach: if flush_ipis.is_empty() {
                self.reach()
            } else {
                Reach::Here
            },
            demand,
            exceeded_ceiling: start.exceeded_ceiling,
            is_handled: is_handled(self.model, self.plans, self.query),
        });
    }

    /// Publishes the changes before a flush of this CPU alone, where instructions could reach every CPU: the runtime looks for
    /// other CPUs after that. Returns whether it does so. Adds a note if the runtime never flushes for one CPU alone.
    fn look_for_others(&mut self, what: FlushedEntries<'_>) -> bool {
        if !is_ever_local(self.model, self.plans, self.query) {
            self.note(
                "instructions reach every CPU, and other CPUs or devices use the tables: the runtime flushes as with \
                 `--cpus others`",
            );
            return false;
        }
        // No CPU loads a space that ends, or its tag before everything is flushed.
        let is_teardown = matches!(what, FlushedEntries::Teardown)
            && self
                .model
                .tags_with_generations(self.query.config)
                .any(|tag| !tag.per_cpu.value);
        let looks = !is_teardown && !are_interrupted(self.model, self.plans, self.query);
        if looks {
            self.event(Shape::Publish(self.query.space), |_| {});
        }
        looks
    }

    /// Adds a note, once.
    pub fn note(&mut self, text: &str) {
        if !self.trace.notes.iter().any(|note| note == text) {
            self.trace.notes.push(text.to_owned());
        }
    }

    /// Flushes on this CPU alone, without devices.
    pub fn flush_here(&mut self, ranges: &Ranges) {
        let what = FlushedEntries::Ranges(ranges);
        let (shape, mut env) = self.flush_of(what, env(self.query));
        let kinds = self.kinds(what);
        env.config = without_devices(self.model, env.config);
        for effects in self.issued_alone(shape, &env) {
            self.did(&effects, &env, &kinds);
        }
    }

    /// Returns the shape of a flush for each reach, and the environment of its plan.
    fn flush_of(&self, what: FlushedEntries<'_>, mut env: Env) -> (fn(Space, Reach) -> Shape, Env) {
        let shape: fn(Space, Reach) -> Shape = match what {
            FlushedEntries::Ranges(ranges) => {
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
            FlushedEntries::Everything => {
                env.walk = true;
                Shape::Everything
            }
            FlushedEntries::Teardown => {
                (env.walk, env.teardown) = (true, true);
                let teardown = Shape::Teardown(self.query.space, self.reach());
                if self.plans.get(teardown).is_some() {
                    Shape::Teardown
                } else {
                    Shape::Everything
                }
            }
        };
        (shape, env)
    }

    /// Interprets the start and the end of a flush.
    fn issued(&self, shape: fn(Space, Reach) -> Shape, reach: Reach, env: &Env) -> [Effects; 2] {
        flush(self.model, self.plans, shape(self.query.space, reach), env)
    }

    /// Interprets a flush of this CPU for itself. A new tag that it is left to is loaded at its end.
    fn issued_alone(&self, shape: fn(Space, Reach) -> Shape, env: &Env) -> Vec<Effects> {
        let [start, finish] = self.issued(shape, Reach::Here, env);
        let renewal = self.renewal(&start, env);
        [start, finish].into_iter().chain(renewal).collect()
    }

    /// Interprets the load of a new tag, the next one that the CPU gives out, if the start of a flush was left to it.
    fn renewal(&self, started: &Effects, env: &Env) -> Option<Effects> {
        let Env { tag, root, .. } = *env;
        let tag = Tag {
            value: next_tag(self.model, self.query),
            ..tag
        };
        let root = Root { tag, ..root };
        interpret::renewal(
            self.model,
            self.plans,
            started,
            &Env {
                root,
                ..env.clone()
            },
        )
    }

    /// Returns the kinds of entries that a flush invalidates, of those that the machine caches.
    fn kinds(&self, what: FlushedEntries<'_>) -> Vec<EntryKind> {
        let mut kinds = kinds(self.model, self.query.config);
        if let FlushedEntries::Ranges(ranges) = what {
            let passes = SortedPasses::new(ranges, &self.levels, Folding::default());
            let leaves = passes.leaves().any(|pass| pass.leaf);
            kinds.retain(|kind| match kind {
                EntryKind::Leaf => leaves,
                EntryKind::Walk => ranges.tables(),
                EntryKind::Negative => ranges.has_negative(),
                EntryKind::Root => false,
            });
        }
        kinds
    }

    /// Records the effects on this CPU of a plan without stores, for a flush of entries of these kinds.
    fn did(&mut self, effects: &Effects, env: &Env, kinds: &[EntryKind]) {
        self.issue(effects, env, None);
        self.defer(DeferredBy::ThisCpu, effects, kinds);
    }

    /// Records the instructions that this CPU issues. Plain stores are those of `store`.
    pub fn issue(&mut self, effects: &Effects, env: &Env, store: Option<&Store>) {
        self.ops.extend(effects.ops.iter().cloned());
        let steps = effects.ops.iter();
        let steps = steps.filter_map(|op| step(self.model, env.config, op, store));
        self.trace.here.extend(steps);
    }

    /// Records the flushes that are deferred of a flush of entries of these kinds.
    pub fn defer(&mut self, cpus: DeferredBy, effects: &Effects, kinds: &[EntryKind]) {
        for more in deferred(self.model, self.query, effects.deferred, cpus, kinds) {
            if !self.trace.deferred.contains(&more) {
                self.trace.deferred.push(more);
            }
        }
    }

    /// Records an IPI, and the calls that take its place where they reach its targets. Each target has the same effects, for a
    /// flush of entries of these kinds.
    fn interrupt(
        &mut self,
        to: IpiTargets,
        calls: Vec<Step>,
        effects: &[Effects],
        env: &Env,
        kinds: &[EntryKind],
    ) {
        let ops = || effects.iter().flat_map(|effects| &effects.ops);
        self.ops.extend(ops().cloned());
        let tag = kind_of_tag(self.model, self.query).filter(|tag| tag.per_cpu.value);
        let own = tag.filter(|_| ops().any(|op| takes_tag(self.model, op)));
        let steps = ops().filter_map(|op| step(self.model, env.config, op, None));
        let ipi = Ipi {
            targets: targets(self.model, self.query, to),
            calls,
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
