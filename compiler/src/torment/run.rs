//! The execution of a request on the hardware.
//!
//! In: plans, and a request. Out: the entries that still do harm at its end. Holds: the order is that of the runtime: the
//! start of the flush, the CPUs that flush for themselves, the end of the flush, and the CPUs for which taking an
//! interrupt is enough (`runtime/src/mmu/shootdown.rs`).

pub mod account;
mod part;

pub use part::NotExecuted;

use tlbc_machine::hardware::{CachedEntry, Left};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::{FinishSteps, IpiTargets, Root};
use tlbc_runtime::deferred::{Deferred, Pending};
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{Ranges, Reach, Scope, Space, SpaceFlags, Tag};

use super::agent::Agent;
use super::decode::{Act, Hardware};
use super::explore::Explored;
use super::kinds::is_translation;
use super::request::{Request, What};
use super::same_instructions::SameInstructions;
use crate::analysis::Analysis;
use crate::model::{Config, Instr, Lost, Weakens};
use crate::plan::ir::Shape;
use crate::trace::interpret::{self, Changing, Effects, Env, flush, interpret};
use crate::trace::without_devices;
use part::{CpuPart, part};

/// The bit of a key whose invalidations an erratum keeps from waiting for accesses that are in flight.
const UNDRAINED: u32 = 1 << 31;

/// An entry that still does harm after a request.
#[derive(Debug, Clone)]
pub struct Harm {
    pub agent: Agent,
    pub entry: CachedEntry,
    pub tag: u64,
    pub global: bool,
    pub left: Left,
}

/// What CPUs execute for a request.
struct Script<'m> {
    start: CpuPart<'m>,
    finish: CpuPart<'m>,
    targets: IpiTargets,
    /// What a CPU executes that is interrupted to flush for itself: with the tag on this CPU, and on others. None if no CPU is.
    interrupted: Option<[CpuPart<'m>; 2]>,
}

impl<'m> Script<'m> {
    /// Returns what an agent executes that is interrupted to flush for itself; none if it is not.
    fn interrupted(&self, agent: &Agent) -> Option<&CpuPart<'m>> {
        let is_other = agent.class != Agents::SELF && agent.class != Agents::DEVICE;
        let [here, there] = self.interrupted.as_ref()?;
        let is_sent = is_other && agent.is_target(self.targets);
        // A CPU that shares the TLB has the tag of this one.
        let part = match agent.class {
            Agents::SIBLING => here,
            _ => there,
        };
        is_sent.then_some(part)
    }
}

/// Plans, and the hardware on which they run.
pub struct Bench<'m> {
    pub planned: &'m Analysis,
    /// The machine in terms of the planned definition.
    pub config: Config,
    pub hardware: Hardware<'m>,
    pub same_instructions: &'m SameInstructions<'m>,
}

impl<'m> Bench<'m> {
    /// Executes a request.
    ///
    /// # Errors
    /// Why it is not executed.
    pub fn run(&self, request: &Request) -> Result<Vec<Harm>, NotExecuted> {
        let script = self.script(request)?;
        let mut harm = Vec::new();
        for stale in &request.stale {
            for mut agent in self.hardware.agents(request, stale) {
                let deferred = self.execute(&script, &mut agent);
                harm.extend(self.harm(&agent, deferred));
            }
        }
        Ok(harm)
    }

    /// Executes a request, and compares what is left with a search. A request with an instruction that the hardware does not
    /// have is left out.
    pub fn explore(&self, request: &Request, explored: &mut Explored) {
        let Ok(script) = self.script(request) else {
            return;
        };
        for stale in &request.stale {
            for mut agent in self.hardware.agents(request, stale) {
                agent.path.record();
                // What is deferred is left as well, by both.
                let _deferred = self.execute(&script, &mut agent);
                explored.add(&agent);
            }
        }
    }

    /// Returns the instructions of a request in words, one a line.
    pub fn words(&self, request: &Request) -> Vec<String> {
        let (shape, env) = self.asked(request);
        let model = &self.planned.model;
        let effects = self.flush(request, shape(request.space, request.reach), &env);
        let renewal = self.renewal(&effects[0], &env);
        let ops = effects.iter().chain(&renewal).flat_map(|it| &it.ops);
        let steps = ops.filter_map(|op| crate::trace::step(model, self.config, op, None));
        let texts = steps.filter_map(|step| Some(step.instruction()?.asm.join("; ")));
        texts.collect()
    }

    fn script(&self, request: &Request) -> Result<Script<'m>, NotExecuted> {
        let (shape, env) = self.asked(request);
        let Analysis { model, plans } = self.planned;
        let [mut start, finish] = self.flush(request, shape(request.space, request.reach), &env);
        start
            .ops
            .extend(self.renewal(&start, &env).into_iter().flat_map(|it| it.ops));
        let targets = match request.reach {
            Reach::Here | Reach::Given => IpiTargets::NONE,
            Reach::Wide => {
                interpret(model, plans, Shape::IpiTargets(request.space), &env).flush_ipis
            }
        };
        let interrupted = |value: u64, other: u64| {
            let of_cpu = |value| Tag {
                value,
                global: false,
            };
            let env = Env {
                tag: of_cpu(value),
                root: Root::of_tag(of_cpu(other), SpaceFlags::NONE),
                config: without_devices(model, self.config),
                published: false,
                ..env.clone()
            };
            let [mut start, finish] = flush(model, plans, shape(request.space, Reach::Here), &env);
            let renewal = self.renewal(&start, &env).into_iter();
            start.ops.extend(finish.ops);
            start.ops.extend(renewal.flat_map(|it| it.ops));
            start.deferred |= finish.deferred;
            // It flushes as for a space without devices, so the bits of operands that stand for them are as there.
            let Hardware {
                model: of, config, ..
            } = self.hardware;
            let without = Hardware {
                config: without_devices(of, config),
                ..self.hardware
            };
            part(without, self.same_instructions, &start)
        };
        Ok(Script {
            start: part(self.hardware, self.same_instructions, &start)?,
            finish: part(self.hardware, self.same_instructions, &finish)?,
            targets,
            interrupted: match targets {
                IpiTargets::NONE => None,
                _ => Some([
                    interrupted(request.tags.here, request.tags.there)?,
                    interrupted(request.tags.there, request.tags.here)?,
                ]),
            },
        })
    }

    /// Returns what the CPU issues that flushes: to publish the changes, if it does so before, then the start and the end of the flush.
    fn flush(&self, request: &Request, shape: Shape, env: &Env) -> [Effects; 2] {
        let Analysis { model, plans } = self.planned;
        let [mut start, finish] = flush(model, plans, shape, env);
        if request.published {
            let publish = interpret(model, plans, Shape::Publish(request.space), env);
            start.ops.splice(0..0, publish.ops);
        }
        [start, finish]
    }

    /// Returns the load of a new tag, if the start of a flush was left to it.
    fn renewal(&self, started: &Effects, env: &Env) -> Option<Effects> {
        interpret::renewal(&self.planned.model, &self.planned.plans, started, env)
    }

    /// Returns the shape of a request for each reach, and the environment of its plan. A value that means the space elsewhere is free on
    /// this CPU, which gives it out where the space gets a new tag.
    fn asked(&self, request: &Request) -> (fn(Space, Reach) -> Shape, Env) {
        let model = &self.planned.model;
        let tag = Tag {
            value: request.tags.here,
            global: request.global_tag,
        };
        let mut env = Env {
            config: self.config,
            limits: self.limits(),
            tag,
            walk: true,
            teardown: false,
            published: request.published,
            change: Changing::default(),
            page: (0, Level(0)),
            ranges: Ranges::new(),
            root: Root::of_tag(
                Tag {
                    value: request.tags.there,
                    ..tag
                },
                SpaceFlags::NONE,
            ),
            pending: Pending::None,
            view_pending: false,
            steps: FinishSteps::NONE,
        };
        let shape: fn(Space, Reach) -> Shape = match &request.what {
            What::Everything(walks) => {
                env.walk = *walks;
                Shape::Everything
            }
            What::Teardown => {
                env.teardown = true;
                match self
                    .planned
                    .plans
                    .get(Shape::Teardown(request.space, request.reach))
                {
                    Some(_) => Shape::Teardown,
                    None => Shape::Everything,
                }
            }
            What::Ranges(ranges) => {
                env.walk = ranges.tables();
                env.ranges = **ranges;
                match ranges.scope(&model.level_table(self.config)) {
                    Scope::Page { va, level, .. } => {
                        env.page = (va, level);
                        Shape::Page
                    }
                    _ => Shape::Ranges,
                }
            }
        };
        (shape, env)
    }

    /// Returns the limits of the machine in terms of the planned definition.
    fn limits(&self) -> Vec<u64> {
        let known = &self.hardware.model.limits;
        let limits = self.planned.model.limits.iter().map(|limit| {
            let same = known
                .iter()
                .position(|it| it.named.name == limit.named.name);
            same.map_or(limit.least, |index| self.hardware.limits[index])
        });
        limits.collect()
    }

    /// Executes a request as far as it concerns an agent. Returns the flushes that are deferred for the agent.
    fn execute(&self, script: &Script<'m>, agent: &mut Agent) -> Deferred {
        let class = agent.class;
        let own = class == Agents::SELF;
        let mut deferred = script.start.deferred | script.finish.deferred;
        self.act(&script.start, agent, class, 0);
        let synchronised =
            agent.is_target(script.start.sync) || agent.is_target(script.finish.sync);
        if let Some(part) = script.interrupted(agent) {
            // Taking an interrupt performs earlier accesses, and orders later walks after the store of the sender.
            agent.path.publish();
            agent.path.drain();
            self.act(part, agent, Agents::SELF, 1 << 16);
            deferred |= part.deferred;
        } else if !own {
            // What this CPU defers for itself is not deferred elsewhere.
            let for_others = [
                Deferred::LAZY_UNTIL_LOAD,
                Deferred::INACTIVE_UNTIL_LOAD,
                Deferred::SPACE_UNTIL_ATTACH,
            ];
            deferred = { for_others.into_iter() }
                .filter(|it| deferred.contains(*it))
                .fold(Deferred::NOTHING, |all, it| all | it);
        }
        self.act(&script.finish, agent, class, 0);
        if synchronised && !own {
            agent.path.drain();
        }
        deferred
    }

    /// Executes instructions of a CPU to which the agent is of a class. Keys from `keys` on are those of the CPU.
    fn act(&self, part: &CpuPart<'m>, agent: &mut Agent, class: Agents, keys: u32) {
        let Hardware { model, .. } = self.hardware;
        let start = |before: usize, agent: &mut Agent| {
            for &at in part.ordered.get(&before).into_iter().flatten() {
                self.invalidate(part, at, agent, (class, keys));
            }
        };
        start(0, agent);
        // Only an instruction that a barrier should order, and does not, comes before the assumed publication.
        if model.assumed.is_some() {
            agent.path.publish();
        }
        for (at, act) in part.acts.iter().enumerate() {
            match act {
                Act::Barrier(index) => {
                    let barrier = &model.barriers[*index];
                    let lost = self.lost(part, at, Instr::Barrier(*index), agent);
                    let loses = |what| lost.iter().any(|it| it.lost.value == what);
                    if barrier.publishes.is_some_and(|at| at.value.covers(class)) {
                        agent.path.publish();
                    }
                    let completes = barrier.completes.is_some_and(|at| at.value.covers(class));
                    if completes && barrier.gone.is_some() && !loses(Lost::Gone) {
                        let drained = barrier.drained.is_some() && !loses(Lost::Drained);
                        let key = keys + *index as u32;
                        agent.path.complete(key, drained);
                        agent.path.complete(key | UNDRAINED, false);
                    }
                }
                Act::Invalidate { index, .. } => {
                    if model.invalidates[*index].follows.is_none() {
                        self.invalidate(part, at, agent, (class, keys));
                    }
                }
                Act::Load { with, .. } => {
                    if let Some(tag) = with.tag.filter(|_| class == Agents::SELF) {
                        agent.load_tag(tag.value);
                    }
                }
            }
            start(at + 1, agent);
        }
    }

    /// Executes the invalidation at a place among the instructions of a CPU.
    fn invalidate(
        &self,
        part: &CpuPart<'m>,
        at: usize,
        agent: &mut Agent,
        (class, keys): (Agents, u32),
    ) {
        let Hardware { model, config, .. } = self.hardware;
        let Act::Invalidate { index, form, with } = &part.acts[at] else {
            return;
        };
        let it = &model.invalidates[*index];
        let lost = self.lost(part, at, Instr::Invalidate(*index), agent);
        let reach = it.reach(config);
        let hits = self
            .hardware
            .hits((form, with), (reach, class), agent, &lost);
        let key = it.done_after(config).map(|barrier| keys + barrier as u32);
        let drains = lost.iter().all(|it| it.lost.value != Lost::Drained);
        match key {
            _ if hits == 0 => {}
            Some(key) if drains => agent.path.start(hits, key),
            Some(key) => agent.path.start(hits, key | UNDRAINED),
            None if drains => agent.path.invalidate_now(hits),
            None => {
                agent.path.start(hits, UNDRAINED);
                agent.path.complete(UNDRAINED, false);
            }
        }
    }

    /// Returns what errata take from an instruction on an agent.
    fn lost(
        &self,
        part: &CpuPart<'m>,
        at: usize,
        target: Instr,
        agent: &Agent,
    ) -> Vec<&'m Weakens> {
        let Hardware { model, config, .. } = self.hardware;
        let errata = model.errata.iter().enumerate();
        let present = errata.filter(|(index, _)| config.suffers(*index));
        let lasting = present.filter(|(index, erratum)| {
            let mut of_target = erratum.workarounds.iter().enumerate();
            !of_target.any(|(number, it)| {
                it.target.value == target && part.has_workaround(at, it, (*index, number))
            })
        });
        let weakens = lasting.flat_map(|(_, erratum)| &erratum.weakens);
        let here = weakens.filter(|it| {
            it.target.value == target
                && it.space.is_none_or(|space| space == agent.space)
                && it.when.holds(config)
                && (it.on.is_none() || it.on == agent.suspect)
        });
        here.collect()
    }

    /// Returns the entries of an agent that do harm although some flushes are deferred.
    fn harm(&self, agent: &Agent, deferred: Deferred) -> Vec<Harm> {
        let entries: Vec<CachedEntry> = agent.path.entries().copied().collect();
        let by_hardware = self
            .hardware
            .model
            .caches
            .fill_while_loaded(self.hardware.config);
        let is_deferred = |number: usize| {
            let (tag, global) = agent.under[number];
            let elsewhere = tag != agent.loaded && !global;
            let view =
                tag & !self.hardware.model.view_bits(self.hardware.config) == agent.space_tag;
            let other = deferred.contains(Deferred::OTHERS_UNTIL_LOAD);
            let of_view = deferred.contains(Deferred::VIEW_UNTIL_RETURN) && view;
            // A lazy CPU uses no entry, but it walks through those that point at tables.
            let unused = is_translation(entries[number].kind) || !by_hardware;
            let user = agent.space == Space::User;
            elsewhere && (other || of_view)
                || user
                    && agent.class == Agents::LAZY
                    && unused
                    && deferred.contains(Deferred::LAZY_UNTIL_LOAD)
                || user
                    && agent.class == Agents::INACTIVE
                    && deferred.contains(Deferred::INACTIVE_UNTIL_LOAD)
                || deferred.contains(Deferred::SPACE_UNTIL_ATTACH)
        };
        let left = agent.path.left();
        let harmful = left.filter(|(number, _)| !is_deferred(*number));
        let harm = harmful.map(|(number, left)| Harm {
            agent: agent.clone(),
            entry: entries[number],
            tag: agent.under[number].0,
            global: agent.under[number].1,
            left,
        });
        harm.collect()
    }
}
