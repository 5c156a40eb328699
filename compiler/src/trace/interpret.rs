//! The interpreter of the plan IR.
//!
//! In: the plans and an [`Env`]. Out: the [`Effects`]: instructions in order, deferred flushes and IPI
//! targets. Holds: the generated Rust issues the same for the same request; the differential test compares the two.

mod issue;
mod loops;

use tlbc_runtime::backend::{FinishSteps, IpiTargets};
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::request::passes::{Folding, Pass, Passes, SortedPasses};
use tlbc_runtime::request::{Reach, Space};

pub use super::env::{Changing, Effects, Env, Op, Role, SourcesEq, ceiling};
use crate::model::{Model, Which};
use crate::plan::Plans;
use crate::plan::ir::{Node, Shape, Test};

/// The number of instructions of a plan at which its loops are cut off.
const MOST_INSTRUCTIONS: usize = 1 << 18;

/// Checks that no loop was cut off in a plan that issues so many instructions.
///
/// # Errors
/// What is wrong with the plan.
pub fn check_length(instructions: usize) -> Result<(), String> {
    if instructions < MOST_INSTRUCTIONS {
        return Ok(());
    }
    Err(format!(
        "the flush issues {MOST_INSTRUCTIONS} instructions or more; a lower `ceiling` of the policy limits them"
    ))
}

/// Interprets the plan of a flush, and then the plan that completes it.
pub fn flush(model: &Model, plans: &Plans, shape: Shape, env: &Env) -> [Effects; 2] {
    let start = start(model, plans, shape, env);
    let env = Env {
        steps: start.steps,
        ..env.clone()
    };
    let finish = Shape::Finish(shape.space(), shape.reach());
    let finish = interpret(model, plans, finish, &env);
    [start, finish]
}

/// Interprets the plan of a flush. A flush of this CPU alone publishes the changes first, if the environment does not say that this
/// was done.
pub fn start(model: &Model, plans: &Plans, shape: Shape, env: &Env) -> Effects {
    let mut start = interpret(model, plans, shape, env);
    if shape.reach() == Reach::Here && !env.published {
        let begin = interpret(model, plans, Shape::Begin(shape.space()), env);
        start.ops.splice(0..0, begin.ops);
    }
    start
}

/// Interprets the load of a new tag, which is that of the environment's root, if the start of a flush on this CPU was left to it.
pub fn renewal(model: &Model, plans: &Plans, started: &Effects, env: &Env) -> Option<Effects> {
    let renews = started.deferred.contains(Deferred::TAG_UNTIL_RENEWAL);
    renews.then(|| interpret(model, plans, Shape::LoadTag, env))
}

/// Interprets the plan of a shape. What is longer than [`check_length`] permits is cut off.
pub fn interpret(model: &Model, plans: &Plans, shape: Shape, env: &Env) -> Effects {
    let mut run = Interpreter {
        model,
        plans,
        env,
        folding: Folding::default(),
        walk: env.walk,
        passes: None,
        pass: None,
        effects: Effects {
            ops: Vec::new(),
            deferred: Deferred::NOTHING,
            steps: FinishSteps::NONE,
            exceeded_ceiling: false,
            flush_ipis: IpiTargets::NONE,
            sync_ipis: IpiTargets::NONE,
        },
    };
    run.shape(shape);
    run.effects
}

struct Interpreter<'a> {
    model: &'a Model,
    plans: &'a Plans,
    env: &'a Env,
    folding: Folding,
    /// Whether walk entries are flushed as well.
    walk: bool,
    passes: Option<SortedPasses<'a>>,
    pass: Option<Pass>,
    effects: Effects,
}

/// The operands of one iteration of a loop.
#[derive(Clone, Copy, Default)]
struct LoopOperands {
    va: u64,
    /// The first address after it, where it is a run.
    end: Option<u64>,
    num: u64,
    scale: u64,
    set: u64,
}

impl Interpreter<'_> {
    /// Returns whether loops are cut off.
    fn is_cut(&self) -> bool {
        self.effects.ops.len() >= MOST_INSTRUCTIONS
    }

    fn shape(&mut self, shape: Shape) {
        let plans = self.plans;
        if let Some(plan) = plans.get(shape) {
            let before = self.pass;
            let alone = |start, entries, level| Pass {
                start,
                entries,
                stride: level,
                shift: self.shift(level),
                hint: Some(level),
                leaf: true,
                walk: self.env.walk,
                negative: false,
            };
            match shape {
                Shape::Page(..) => {
                    let (va, level) = self.env.page;
                    self.pass = Some(alone(va, 1, level));
                }
                Shape::Change => {
                    let Changing {
                        va, entries, level, ..
                    } = self.env.change;
                    self.pass = Some(alone(va, entries, level));
                }
                Shape::Passes(space, reach) => {
                    self.shape(Shape::Folding(space, reach));
                    let levels = self.model.level_table(self.env.config);
                    let passes = SortedPasses::new(&self.env.ranges, &levels, self.folding);
                    self.passes = Some(passes);
                }
                // A pending flush of a tag or a CPU is one of all kinds of entries.
                Shape::Switch | Shape::LoadTag | Shape::ReturnToUser | Shape::CpuOnline => {
                    self.walk = true;
                }
                _ => {}
            }
            self.node(&plan.body, None);
            self.pass = before;
            // An event flushes entries that only this CPU uses, so no other CPU has to drain.
            if matches!(
                shape,
                Shape::Switch
                    | Shape::LoadTag
                    | Shape::ReturnToUser
                    | Shape::EnterFromUser
                    | Shape::CpuOnline
            ) {
                self.effects.sync_ipis = IpiTargets::NONE;
            }
        }
    }

    fn node(&mut self, node: &Node, piece: Option<LoopOperands>) {
        match node {
            Node::Seq(nodes) => nodes.iter().for_each(|node| self.node(node, piece)),
            Node::Select {
                on,
                then,
                otherwise,
            } => {
                let holds = self.test(*on);
                self.node(if holds { then } else { otherwise }, piece);
            }
            Node::Guard { body, .. } => self.node(body, piece),
            Node::Publish { barrier } => {
                if let Some(barrier) = *barrier {
                    let publishes = self.model.barriers[barrier].publishes.is_some();
                    let role = if publishes {
                        Role::Publish
                    } else {
                        Role::Order
                    };
                    self.barrier(barrier, role);
                }
            }
            Node::Complete { barrier } => self.barrier(*barrier, Role::Complete),
            Node::Resync { barrier } => self.barrier(*barrier, Role::Resync),
            Node::Requires(steps) => self.effects.steps |= *steps,
            Node::Issue(issue) => self.issue(issue, piece),
            Node::Fold(folding) => self.folding = *folding,
            Node::Ceiling {
                count,
                beyond,
                within,
            } => {
                if self.is_over_ceiling(count, *beyond) {
                    self.effects.exceeded_ceiling = true;
                    self.shape(*beyond);
                } else {
                    self.node(within, piece);
                }
            }
            Node::Loop { over, each, rest } => self.repeat(*over, each, rest.as_deref()),
            Node::Workaround {
                erratum,
                number,
                of,
            } => {
                if self.env.config.suffers(*erratum) {
                    self.workaround(*erratum, *number, *of, piece);
                }
            }
            Node::Store => self.effects.ops.push(Op {
                which: Which::Store,
                role: Role::Main,
                operands: Vec::new(),
                sources: SourcesEq::default(),
            }),
            Node::SendIpi { to, flush } => {
                if *flush {
                    self.effects.flush_ipis = *to;
                } else {
                    self.effects.sync_ipis = *to;
                }
            }
            Node::Defer(deferred) => self.effects.deferred |= *deferred,
            Node::InvalidateOtherTags => self.effects.deferred |= Deferred::OTHERS_UNTIL_LOAD,
            Node::Load {
                load,
                view,
                empty,
                keep,
            } => self.load(*load, *view, *empty, *keep),
            Node::Call(shape) => self.shape(*shape),
            Node::InvalidateSecondary
            | Node::CompletePending(_)
            | Node::Count(_)
            | Node::Nothing(_) => {}
        }
    }

    fn test(&self, test: Test) -> bool {
        let env = self.env;
        match test {
            Test::Feature(feature) => env.config.has(feature),
            Test::Erratum(erratum) => env.config.suffers(erratum),
            Test::GlobalTag => env.tag.global,
            Test::WalkEntries => self.pass.map_or(self.walk, |pass| pass.walk),
            Test::LeafEntries => self.pass.is_some_and(|pass| pass.leaf),
            Test::NegativeEntries => {
                let negative = env.ranges.has_negative();
                self.pass.map_or(negative, |pass| pass.negative)
            }
            Test::LeafAt(levels) => env.ranges.has_leaf_at(levels),
            Test::WalkAt(levels) => env.ranges.has_walk_at(levels),
            Test::Teardown => env.teardown,
            Test::Kind(kind) => env.change.kind == kind,
            Test::MayDefer => env.change.may_defer,
            Test::OnlyHere => env.change.reach == Reach::Here,
            Test::OneEntry => env.change.entries == 1,
            Test::OfKernel => env.change.space == Space::Kernel,
            Test::Live => self
                .passes
                .as_ref()
                .is_some_and(Passes::walks_complete_first),
            Test::Stride(levels) => self.pass.is_some_and(|p| levels.contains(p.stride)),
            Test::FitsRun(operand) => self.pass.is_some_and(|pass| {
                let page = self.model.geometries[env.config.geometry].page_shift;
                let entry = pass.shift - page;
                self.units(operand).is_some_and(|units| units.hold(entry))
            }),
            Test::Pending(pending) => env.pending == pending,
            Test::ViewDeferred => env.view_pending,
            Test::Required(steps) => env.steps.requires(steps),
        }
    }
}
