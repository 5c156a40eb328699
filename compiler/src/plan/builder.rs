//! What is done for each shape of request on one machine.
//!
//! In: a [`PlanContext`] and the choices for it. Out: a [`Node`] that asks for no flag but for the errata of workarounds.
//! Holds: publish comes first, walk entries of a live subtree go and are complete before its
//! leaves, and completion is left to the `Finish` shape.

use rustc_hash::FxHashMap;
use std::rc::Rc;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::{Reach, Space};

use super::candidates::Candidate;
use super::change::Unwritten;
use super::choose::{Choice, Chooser, Demand, Extent};
use super::context::{ContextKey, PlanContext};
use super::factor::seq;
use super::finish::{Completion, Part};
use super::ir::{Node, Reason, Shape, Test};
use super::stages::Staged;
use super::steps::{guarded, issues};
use super::symbolic::SymbolicMachine;
use crate::model::Model;

/// Makes nodes for one machine.
pub struct PlanBuilder<'m, 'c> {
    pub model: &'m Model,
    pub machine: &'m SymbolicMachine<'m>,
    pub chooser: &'c mut Chooser,
    /// Needs that nothing covers.
    pub gaps: Vec<(Space, Reach, Demand)>,
    /// Changes that no instruction makes.
    pub unwritten: Vec<Unwritten>,
    /// How the flushes of a setting are completed.
    pub completions: FxHashMap<ContextKey, Rc<Completion>>,
}

pub const LEAF: Demand = Demand {
    leaf: true,
    walk: false,
    negative: Levels::NONE,
    root: false,
    extent: Extent::One,
};
pub const LEAF_AND_WALK: Demand = Demand { walk: true, ..LEAF };
pub const WALK: Demand = Demand {
    leaf: false,
    ..LEAF_AND_WALK
};

impl<'m, 'c> PlanBuilder<'m, 'c> {
    pub fn new(
        model: &'m Model,
        machine: &'m SymbolicMachine<'m>,
        chooser: &'c mut Chooser,
    ) -> Self {
        Self {
            model,
            machine,
            chooser,
            gaps: Vec::new(),
            unwritten: Vec::new(),
            completions: FxHashMap::default(),
        }
    }

    /// The node of a shape; none where no request gets there in this configuration.
    pub fn node(&mut self, shape: Shape) -> Option<Node> {
        Some(match shape {
            Shape::Page(space, reach) => self.flush(space, reach, Shape::Page, |builder, s| {
                Some(builder.page(s))
            })?,
            Shape::Pass(space, reach, stage) => {
                let shape = |space, reach| Shape::Pass(space, reach, stage);
                self.flush(space, reach, shape, |builder, s| builder.pass(s, stage))?
            }
            Shape::Ranges(space, reach) => {
                self.flush(space, reach, Shape::Ranges, |builder, s| {
                    Some(builder.ranges(s))
                })?
            }
            Shape::Folding(space, reach) => {
                self.flush(space, reach, Shape::Folding, Self::folding)?
            }
            Shape::Everything(space, reach) => {
                self.flush(space, reach, Shape::Everything, |builder, s| {
                    Some(builder.everything(s))
                })?
            }
            Shape::Finish(space, reach) => {
                self.flush(space, reach, Shape::Finish, |builder, s| {
                    Some(builder.completion(s))
                })?
            }
            Shape::Teardown(space, reach) => {
                self.model.caches.root?;
                self.flush(space, reach, Shape::Teardown, |builder, s| {
                    Some(builder.teardown(s))
                })?
            }
            Shape::IpiTargets(space) => self.ipi_targets(space),
            Shape::Change => self.change(),
            Shape::Publish(space) => self.publish_new(space),
            Shape::Switch => self.switch(),
            Shape::ReturnToUser => self.resume(),
            Shape::EnterFromUser => self.enter(),
            Shape::CpuOnline => self.arrive(),
        })
    }

    pub(super) fn context(&self, space: Space, reach: Reach, global_tag: bool) -> PlanContext<'m> {
        PlanContext {
            model: self.model,
            machine: self.machine,
            space,
            reach,
            global_tag,
            entering: false,
        }
    }

    /// The settings that a flush of this reach can find itself in, by the tag's reach.
    pub(super) fn contexts(&self, space: Space, reach: Reach) -> Vec<PlanContext<'m>> {
        let any = self.context(space, reach, true);
        if space == Space::Kernel || reach == Reach::Here {
            return vec![any];
        }
        if !any.has_tag(true) {
            // Without any tag there is nothing that could mean another space elsewhere.
            return vec![self.context(space, reach, !any.has_tag(false))];
        }
        if any.has_tag(false) {
            vec![any, self.context(space, reach, false)]
        } else {
            vec![any]
        }
    }

    /// Whether one instruction of this CPU reaches the others.
    pub(super) fn direct(&mut self, context: &PlanContext<'_>) -> bool {
        let all = Demand {
            extent: Extent::Everything,
            ..negative_too(LEAF_AND_WALK)
        };
        context.reach == Reach::Here || self.chooser.choose(context, all).is_some()
    }

    /// A flush: by instructions of this CPU where they reach, else here and then by interrupts.
    fn flush(
        &mut self,
        space: Space,
        reach: Reach,
        shape: impl Fn(Space, Reach) -> Shape,
        node: impl Fn(&mut Self, &PlanContext<'m>) -> Option<Node>,
    ) -> Option<Node> {
        let mut nodes = Vec::new();
        for context in self.contexts(space, reach) {
            if self.direct(&context) {
                nodes.extend(node(self, &context));
                continue;
            }
            let here = Node::Call(shape(space, Reach::Here));
            match shape(space, reach) {
                Shape::Pass(..) | Shape::Folding(..) => {}
                Shape::Finish(..) => nodes.push(here),
                // Parked CPUs are told as well.
                Shape::Teardown(..) if context.global_tag => nodes.push(here),
                _ => nodes.push(seq([Some(here), deferred_on_others(space)]
                    .into_iter()
                    .flatten())),
            }
        }
        either(nodes)
    }

    pub(super) fn choose(&mut self, context: &PlanContext<'_>, demand: Demand) -> Rc<Choice> {
        self.chooser.choose(context, demand).unwrap_or_else(|| {
            let gap = (context.space, context.reach, demand);
            if !self.gaps.contains(&gap) {
                self.gaps.push(gap);
            }
            Rc::default()
        })
    }

    pub(super) fn publish(&self, context: &PlanContext<'_>) -> Node {
        Node::Publish {
            barrier: self.publisher(context.agents()),
        }
    }

    /// The barrier of the least reach that makes stores visible to these walkers.
    fn publisher(&self, walkers: Agents) -> Option<usize> {
        let barriers = self.model.barriers.iter().enumerate();
        let barrier = barriers
            .filter(|(_, b)| b.requires.holds(self.machine))
            .filter_map(|(i, b)| Some((i, b.publishes?.value)))
            .filter(|(_, on)| on.covers(walkers))
            .min_by_key(|(_, on)| on.0.count_ones());
        barrier.map(|(index, _)| index)
    }

    /// New entries become visible to every CPU, and to devices where they ever walk these tables: who publishes is not
    /// told which are attached. Then this CPU translates anew, where it must.
    pub(super) fn publish_new(&self, space: Space) -> Node {
        let of = self.model.space(space);
        let devices = of.devices.is_some().then_some(Agents::DEVICE);
        let cpus = Agents::CPUS;
        let barrier = devices
            .and_then(|devices| self.publisher(cpus.union(devices)))
            .or_else(|| self.publisher(cpus))
            .map(|barrier| Node::Publish {
                barrier: Some(barrier),
            });
        let resync = self.resync(of.resync.as_ref());
        if barrier.is_none() && resync.is_none() {
            return Node::Nothing(Reason::Visible);
        }
        seq(barrier.into_iter().chain(resync))
    }

    /// One entry: a straight line.
    fn page(&mut self, context: &PlanContext<'m>) -> Node {
        let with = |builder: &mut Self, demand| {
            let choice = builder.choose(context, demand);
            let staged = Staged::of([&choice]);
            let part = Part::Page { walk: demand.walk };
            builder.at_once(context, (&choice, &staged), choice.hint, part)
        };
        let both = with(self, LEAF_AND_WALK);
        Node::select(Test::Walk, both, with(self, LEAF))
    }

    /// The instructions of a choice, each stage when the one before is complete.
    fn at_once(
        &mut self,
        context: &PlanContext<'m>,
        (choice, staged): (&Choice, &Staged),
        hint: bool,
        part: Part,
    ) -> Node {
        let issued =
            |candidates: &Vec<Candidate>| seq(issues(context, candidates.iter(), hint, true));
        let parts = staged
            .now
            .iter()
            .map(|candidates| (candidates.as_slice(), issued(candidates)));
        let (steps, _) = self.in_turn(context, parts);
        let steps = guarded(self.model, choice, seq(steps));
        seq([self.publish(context), steps]
            .into_iter()
            .chain(self.requires(context, part)))
    }

    /// Everything of the space.
    fn everything(&mut self, context: &PlanContext<'m>) -> Node {
        let with = |builder: &mut Self, demand: Demand| {
            let choice = builder.choose(
                context,
                Demand {
                    extent: Extent::Everything,
                    ..demand
                },
            );
            let staged = Staged::everything(context, &choice, demand);
            let part = Part::Everything { walk: demand.walk };
            builder.at_once(context, (&choice, &staged), false, part)
        };
        let both = with(self, negative_too(LEAF_AND_WALK));
        Node::select(Test::Walk, both, with(self, negative_too(LEAF)))
    }

    /// Everything of the space, and what binds its tag. The CPUs that flush may have left the space long ago, so nothing
    /// depends on what is loaded.
    fn teardown(&mut self, loaded: &PlanContext<'m>) -> Node {
        let context = &PlanContext {
            entering: true,
            ..*loaded
        };
        let choice = self.choose(context, TEARDOWN);
        let staged = Staged::everything(context, &choice, TEARDOWN);
        self.at_once(loaded, (&choice, &staged), false, Part::Teardown)
    }
}

/// Everything that a space can have left.
pub const TEARDOWN: Demand = Demand {
    leaf: true,
    walk: true,
    negative: Levels::ALL,
    root: true,
    extent: Extent::Everything,
};

/// The same, with negative entries.
pub fn negative_too(demand: Demand) -> Demand {
    Demand {
        negative: Levels::ALL,
        ..demand
    }
}

/// What lazy and parked CPUs owe when active ones are interrupted.
fn deferred_on_others(space: Space) -> Option<Node> {
    let parked = Deferred::INACTIVE_UNTIL_LOAD;
    (space == Space::User).then(|| {
        Node::select(
            Test::Walk,
            Node::Defer(parked),
            Node::Defer(parked | Deferred::LAZY_UNTIL_LOAD),
        )
    })
}

/// One node, or two between which the tag decides: the machine's first.
pub fn either(nodes: Vec<Node>) -> Option<Node> {
    let mut nodes = nodes.into_iter();
    let first = nodes.next()?;
    Some(match nodes.next() {
        None => first,
        Some(second) => Node::select(Test::OfMachine, first, second),
    })
}
