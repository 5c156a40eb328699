//! A backend that interprets the plans of any definition.
//!
//! In: a definition with its plans, a configuration, and limits. Out: a [`Backend`] whose instructions are those of the
//! plans, with their operand bits. Holds: it does the same as the backend that is generated from the definition; both are
//! compared with the plans.
//!
//! The facts of a backend are constants of its type. Those of this one are known when a definition has been read, so they
//! belong to the host thread: [`Interpreted::new`] sets them, and a thread uses the backends of one definition at a time.

use std::cell::Cell;

use tlbc_runtime::backend::{
    Backend, Ceiling, Facts, FinishSteps, Finished, IpiTargets, Issue, Outcome, PerCpuSource, Root,
    Started, TagSource, TagValues, Tags,
};
use tlbc_runtime::deferred::{Deferred, Pending};
use tlbc_runtime::level::Level;
use tlbc_runtime::pte::{Change, ChangeFacts, Changed, Owner, Slot};
use tlbc_runtime::request::{LevelTable, Ranges, Reach, Request, Scope, Space, SpaceFlags, Tag};

use crate::analysis::Analysis;
use crate::model::{CachedKind, Config, Model, Need, Which};
use crate::plan::Plans;
use crate::plan::ipis::SendsIpis;
use crate::plan::ir::{Shape, Test};
use crate::trace::encode::Sources;
use crate::trace::interpret::{self, Changing, Effects, Env, Op, Role, SourcesEq};
use crate::trace::without_devices;

/// The most operands of an instruction.
pub const OPERANDS: usize = 8;

/// An instruction with the bits of its operands.
#[derive(Debug, Clone, Copy)]
pub struct Instruction {
    /// The instruction.
    pub which: Which,
    /// Why it is issued.
    pub role: Role,
    /// The bits of its operands, in the order of its template.
    pub operands: [u128; OPERANDS],
    /// Where the bits come from.
    pub sources: Sources,
}

impl Instruction {
    fn of(op: &Op) -> Self {
        let mut operands = [0; OPERANDS];
        for (to, (_, bits)) in operands.iter_mut().zip(&op.operands) {
            *to = *bits;
        }
        Self {
            which: op.which,
            role: op.role,
            operands,
            sources: op.sources.0,
        }
    }

    /// Returns the instruction in the form in which the interpreter of plans returns it.
    #[must_use]
    pub fn op(&self, model: &Model) -> Op {
        let template = match self.which {
            Which::Barrier(_) | Which::Store => &[][..],
            Which::Invalidate(index) => &model.invalidates[index].template.operands,
            Which::Load(index) => &model.loads[index].template.operands,
        };
        Op {
            which: self.which,
            role: self.role,
            operands: template.iter().copied().zip(self.operands).collect(),
            sources: SourcesEq(self.sources),
        }
    }
}

thread_local! {
    static FACTS: Cell<Option<&'static Facts>> = const { Cell::new(None) };
    static SENDER_ONLY: Cell<SpaceFlags> = const { Cell::new(SpaceFlags::NONE) };
}

/// The backend of a machine.
#[derive(Debug, Clone)]
pub struct Interpreted<'a> {
    analysis: &'a Analysis,
    config: Config,
    limits: Vec<u64>,
    levels: &'static LevelTable,
    of_space: u32,
    most_tags: u64,
    broken: Option<Breaks>,
}

/// Changes the environment in which the plan of a flush is interpreted.
pub type Breaks = fn(&mut Env, &LevelTable);

impl<'a> Interpreted<'a> {
    /// Creates the backend of a machine, and makes the facts of its definition those of this host thread. The facts and
    /// the levels of the machine stay in memory until the process ends.
    ///
    /// # Errors
    ///
    /// If an instruction of the definition has more than [`OPERANDS`] operands.
    pub fn new(analysis: &'a Analysis, config: Config, limits: Vec<u64>) -> Result<Self, String> {
        let model = &analysis.model;
        let invalidates = model.invalidates.iter().map(|it| (&it.named, &it.template));
        let loads = model.loads.iter().map(|it| (&it.named, &it.template));
        for (named, template) in invalidates.chain(loads) {
            if template.operands.len() > OPERANDS {
                return Err(format!(
                    "`{}` has more than {OPERANDS} operands",
                    named.name
                ));
            }
        }
        let of_space = model.features_of_space();
        FACTS.set(Some(Box::leak(Box::new(facts(model, &analysis.plans)))));
        let all = Config {
            features: u32::MAX,
            ..config
        };
        let devices = all.features & !without_devices(model, all).features;
        SENDER_ONLY.set(SpaceFlags(devices));
        Ok(Self {
            analysis,
            config,
            limits,
            levels: Box::leak(Box::new(model.level_table(config))),
            of_space,
            most_tags: u64::MAX,
            broken: None,
        })
    }

    /// Returns the backend of a machine with at most so many global tags.
    #[must_use]
    pub fn with_tags(self, most_tags: u64) -> Self {
        Self { most_tags, ..self }
    }

    /// Returns the backend with every flush interpreted for another request than the one that is asked for. Tests use it as an
    /// operand that is wrong.
    #[must_use]
    pub fn with_requests(self, broken: Option<Breaks>) -> Self {
        Self { broken, ..self }
    }

    fn model(&self) -> &'a Model {
        &self.analysis.model
    }

    /// Returns the configuration for a space with these flags.
    fn config(&self, flags: SpaceFlags) -> Config {
        Config {
            features: self.config.features & !self.of_space | flags.0 & self.of_space,
            ..self.config
        }
    }

    fn env(&self, flags: SpaceFlags, tag: Tag) -> Env {
        Env {
            config: self.config(flags),
            limits: self.limits.clone(),
            tag,
            walk: false,
            teardown: false,
            published: false,
            change: Changing::default(),
            page: (0, Level(0)),
            ranges: Ranges::new(),
            root: Root::untagged(0, 0),
            pending: Pending::None,
            view_pending: false,
            steps: FinishSteps::NONE,
        }
    }

    fn interpret(&self, shape: Shape, env: &Env) -> Effects {
        interpret::interpret(self.model(), &self.analysis.plans, shape, env)
    }

    /// Returns the environment of a request.
    fn asked(&self, request: &Request<'_>) -> Env {
        let mut env = self.env(request.flags, request.tag);
        env.walk = request.tables();
        env.published = request.published;
        match request.scope {
            Scope::Page { va, level, .. } => env.page = (va, level),
            Scope::Ranges(ranges) => env.ranges = *ranges,
            Scope::Everything { .. } => {}
            Scope::Teardown => env.teardown = true,
        }
        if let Some(broken) = self.broken {
            broken(&mut env, self.levels);
        }
        env
    }

    /// Interprets the plan of an event on this CPU, which does not concern devices.
    fn event(
        &self,
        cpu: &mut impl Issue<Instruction>,
        shape: Shape,
        to: &Root,
        set: impl FnOnce(&mut Env),
    ) -> Deferred {
        let mut env = self.env(to.flags.without(Self::sender_only()), to.tag);
        env.root = *to;
        set(&mut env);
        let effects = self.interpret(shape, &env);
        issue(cpu, &effects);
        effects.deferred
    }
}

/// Returns the facts of a definition. Its names stay in memory until the process ends.
fn facts(model: &Model, plans: &Plans) -> Facts {
    let leaked = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    Facts {
        name: leaked(&model.arch.name),
        shootdown: plans.shootdown(model),
        pte_update: model.pte_update(),
        table_free: model.table_free(),
        lazy_mm: model.lazy_mm(),
        interrupts_off: plans.needs(Need::InterruptsOff),
        tag_after_publish: model.reads_tag_after_publish(),
        one_at_a_time: plans.needs(Need::Lock),
        attach_waits_for_changes: model.attach_waits(),
        kernel_faults_fixed: model.policy.kernel_faults_fixed.is_some(),
        // This is a fact of the target for which the runtime is compiled, and that is not the machine.
        atomics_order_everything: false,
    }
}

/// Issues instructions. Plain stores are not among what a sink gets.
fn issue(cpu: &mut impl Issue<Instruction>, effects: &Effects) {
    for op in effects.ops.iter().filter(|op| op.which != Which::Store) {
        cpu.issue(Instruction::of(op));
    }
}

impl Backend for Interpreted<'_> {
    type Op = Instruction;

    const FACTS: Facts = panic!("the facts of an interpreted definition are no constant");

    fn facts() -> &'static Facts {
        FACTS
            .get()
            .expect("`Interpreted::new` was called on this thread")
    }

    fn sender_only() -> SpaceFlags {
        SENDER_ONLY.get()
    }

    fn levels(&self) -> &'static LevelTable {
        self.levels
    }

    fn ceiling(&self, space: Space, reach: Reach) -> Ceiling {
        let machine = (self.config, self.limits.as_slice());
        let (operations, pages) = interpret::ceiling(self.model(), machine, space, reach);
        Ceiling { operations, pages }
    }

    fn change_facts(&self, flags: SpaceFlags) -> ChangeFacts {
        self.model().change_facts(self.config(flags))
    }

    fn change(
        &self,
        cpu: &mut impl Issue<Instruction>,
        slot: &Slot<'_>,
        change: &Change,
        owner: &Owner,
    ) -> Changed {
        let facts = self.change_facts(owner.flags);
        let was = slot.was();
        let mut env = self.env(owner.flags, owner.tag);
        env.change = Changing {
            kind: change.kind(&facts),
            level: change.level,
            va: slot.va,
            entries: slot.entries.len() as u64,
            table: slot.table,
            index: u64::from(slot.index),
            old: was.first,
            new: change.new_bits,
            space: owner.space,
            reach: owner.reach,
            may_defer: owner.may_defer,
        };
        let effects = self.interpret(Shape::Change, &env);
        for op in &effects.ops {
            if op.which == Which::Store {
                slot.store(change.new_bits);
            } else {
                cpu.issue(Instruction::of(op));
            }
        }
        Changed {
            was,
            required: change.left_over(&facts, owner.space),
            deferred: effects.deferred,
        }
    }

    fn publish(&self, cpu: &mut impl Issue<Instruction>, space: Space) {
        let env = self.env(SpaceFlags::NONE, Tag::default());
        issue(cpu, &self.interpret(Shape::Publish(space), &env));
    }

    fn tags(&self) -> Tags {
        let (model, config) = (self.model(), self.config);
        let views = model.view_bits(config);
        let of = |per_cpu: bool| {
            let mut tags = model.tags.iter();
            let is =
                |tag: &&crate::model::Tag| tag.per_cpu.value == per_cpu && tag.when.holds(config);
            let tag = tags.rfind(is)?;
            let (first, last) = tag.on(&self.limits).range();
            let all = TagValues { first, last, views };
            let is_few = tag.is_root.is_none() && !tag.has_slots();
            let most = all.nth(self.most_tags.saturating_sub(1)).filter(|_| is_few);
            let last = most.unwrap_or(last);
            Some((TagValues { first, last, views }, tag))
        };
        let per_cpu = of(true).map(|(values, tag)| {
            let source = if tag.has_generations() {
                PerCpuSource::Generations
            } else {
                PerCpuSource::Slots
            };
            (values, source)
        });
        let global = of(false).map(|(values, tag)| {
            let source = match () {
                () if tag.is_root.is_some() => TagSource::Root,
                () if tag.has_generations() => TagSource::Generations,
                () => TagSource::Life,
            };
            (values, source)
        });
        Tags { per_cpu, global }
    }

    fn ipi_targets(&self, request: &Request<'_>) -> IpiTargets {
        if request.reach != Reach::Wide {
            return IpiTargets::NONE;
        }
        let env = self.asked(request);
        let effects = self.interpret(Shape::IpiTargets(request.space), &env);
        effects.flush_ipis
    }

    fn sends_ipis(&self) -> bool {
        let mut sends = &self.analysis.plans.sends_ipis(self.model());
        loop {
            let SendsIpis::If {
                on,
                then,
                otherwise,
            } = sends
            else {
                return *sends == SendsIpis::Always;
            };
            let holds = match *on {
                Test::Feature(feature) => self.config.has(feature),
                Test::Erratum(erratum) => self.config.suffers(erratum),
                _ => true,
            };
            sends = if holds { then } else { otherwise };
        }
    }

    fn start(&self, cpu: &mut impl Issue<Instruction>, request: &Request<'_>) -> Started {
        let (space, reach) = (request.space, request.reach);
        let teardown = Shape::Teardown(space, reach);
        let shape = match request.scope {
            Scope::Page { .. } => Shape::Page(space, reach),
            Scope::Ranges(_) => Shape::Ranges(space, reach),
            Scope::Teardown if self.model().caches.ever_hold(CachedKind::Root) => teardown,
            Scope::Everything { .. } | Scope::Teardown => Shape::Everything(space, reach),
        };
        let env = self.asked(request);
        let effects = interpret::start(self.model(), &self.analysis.plans, shape, &env);
        issue(cpu, &effects);
        let outcome = Outcome {
            deferred: effects.deferred,
            steps: effects.steps,
            exceeded_ceiling: effects.exceeded_ceiling,
        };
        Started::new(request, self.ipi_targets(request), outcome)
    }

    fn finish(&self, cpu: &mut impl Issue<Instruction>, started: Started) -> Finished {
        let tag = Tag {
            value: 0,
            global: started.global,
        };
        let mut env = self.env(started.flags, tag);
        env.steps = started.outcome.steps;
        let effects = self.interpret(Shape::Finish(started.space, started.reach), &env);
        issue(cpu, &effects);
        Finished {
            sync_ipis: effects.sync_ipis,
            deferred: started.outcome.deferred | effects.deferred,
        }
    }

    fn switch(&self, cpu: &mut impl Issue<Instruction>, to: &Root, pending: Pending) -> Deferred {
        self.event(cpu, Shape::Switch, to, |env| env.pending = pending)
    }

    fn load_tag(&self, cpu: &mut impl Issue<Instruction>, to: &Root, pending: Pending) -> Deferred {
        self.event(cpu, Shape::LoadTag, to, |env| env.pending = pending)
    }

    fn return_to_user(&self, cpu: &mut impl Issue<Instruction>, to: &Root, deferred: bool) {
        let _ = self.event(cpu, Shape::ReturnToUser, to, |env| {
            env.view_pending = deferred;
        });
    }

    fn enter_from_user(&self, cpu: &mut impl Issue<Instruction>, to: &Root) {
        let _ = self.event(cpu, Shape::EnterFromUser, to, |_| {});
    }

    fn cpu_online(&self, cpu: &mut impl Issue<Instruction>) -> Deferred {
        self.event(cpu, Shape::CpuOnline, &Root::untagged(0, 0), |_| {})
    }
}
