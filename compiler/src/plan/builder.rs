//! The plan of each shape of request on one machine.
//!
//! In: a [`PlanContext`] and the choices for it. Out: a [`Node`] that asks for no flags other than the errata of
//! workarounds. Holds: publishing comes first; walk entries of a live subtree are invalidated and complete before
//! its leaf entries; completion is left to the `Finish` shape.

use rustc_hash::FxHashMap;
use std::rc::Rc;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{Reach, Space};

use super::candidates::Candidate;
use super::choose::{Choice, Chooser};
use super::completion::{Completion, RoutinePart};
use super::context::{ContextKey, PlanContext};
use super::demand::{Demand, DemandExtent, LEAF, LEAF_AND_WALK, TEARDOWN, negative_too};
use super::factor::seq;
use super::ir::{Node, Reason, Shape, Test};
use super::stages::Staged;
use super::steps::{by_level, guarded, issues};
use super::symbolic::SymbolicMachine;
use crate::model::{CachedKind, Invalidate, Model, Written};

/// A change that needs an instruction, and has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unwritten {
    /// The space whose mappings change.
    pub space: Space,
    /// The CPUs that may have cached the entries.
    pub reach: Reach,
    /// The level of the entries.
    pub level: Level,
    /// What the entries become.
    pub to: Written,
}

/// Builds nodes for one machine.
pub struct PlanBuilder<'m, 'c> {
    pub model: &'m Model,
    pub machine: &'m SymbolicMachine<'m>,
    pub chooser: &'c mut Chooser,
    /// Demands that nothing covers.
    pub gaps: Vec<(Space, Reach, Demand)>,
    /// Changes that no instruction makes.
    pub unwritten: Vec<Unwritten>,
    /// How the flushes of a context are completed.
    pub completions: FxHashMap<ContextKey, Rc<Completion>>,
}

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

    /// Returns the node of a shape; none if no request has it in this configuration.
    pub fn node(&mut self, shape: Shape) -> Option<Node> {
        Some(match shape {
            Shape::Page(space, reach) => self.flush(space, reach, Shape::Page, |builder, s| {
                Some(builder.page(s))
            })?,
            Shape::Pass(space, reach, stage) => {
                let shape = |space, reach| Shape::Pass(space, reach, stage);
                self.flush(space, reach, shape, |builder, s| {
                    Some(guarded(s, builder.pass(s, stage)?))
                })?
            }
            Shape::Ranges(space, reach) => {
                self.flush(space, reach, Shape::Ranges, |builder, s| {
                    Some(builder.ranges(s))
                })?
            }
            Shape::Passes(space, reach) => self.flush(space, reach, Shape::Passes, Self::passes)?,
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
                if !self.model.caches.ever_hold(CachedKind::Root) {
                    return None;
                }
                if !self.model.caches.hold(CachedKind::Root, self.machine) {
                    return Some(Node::Call(Shape::Everything(space, reach)));
                }
                self.flush(space, reach, Shape::Teardown, |builder, s| {
                    Some(builder.teardown(s))
                })?
            }
            Shape::IpiTargets(space) => self.ipi_targets(space),
            Shape::Change => self.change(),
            Shape::Invalidate => self.written(Self::invalidate)?,
            Shape::Replace => self.written(Self::replace)?,
            Shape::MoreRights => self.written(Self::give_more_rights)?,
            Shape::Publish(space) => self.publish_new(space),
            Shape::Begin(space) => self.begin(space)?,
            Shape::Switch => self.switch(),
            Shape::LoadTag => self.load_tag()?,
            Shape::ReturnToUser => self.return_to_user(),
            Shape::EnterFromUser => self.enter_from_user(),
            Shape::CpuOnline => self.cpu_online(),
        })
    }

    pub(super) fn context(
        &mut self,
        space: Space,
        reach: Reach,
        global_tag: bool,
    ) -> PlanContext<'m> {
        let unlocked = reach == Reach::Here && self.is_handled(space);
        PlanContext {
            global_tag,
            unlocked,
            ..PlanContext::new(self.model, self.machine, space, reach)
        }
    }

    /// Returns whether the handler of an IPI runs the flushes of this CPU. It holds no lock, which makes a difference where an
    /// instruction needs one.
    fn is_handled(&mut self, space: Space) -> bool {
        let mut invalidates = self.model.invalidates.iter();
        let locks = invalidates.any(Invalidate::needs_lock);
        let wide = locks.then(|| self.contexts(space, Reach::Wide));
        let mut wide = wide.into_iter().flatten();
        wide.any(|context| !self.reaches_others(&context))
    }

    /// Returns the contexts that a flush of this reach may have, by the reach of the tag.
    pub(super) fn contexts(&mut self, space: Space, reach: Reach) -> Vec<PlanContext<'m>> {
        let any = self.context(space, reach, true);
        if space == Space::Kernel || reach == Reach::Here {
            return vec![any];
        }
        if !any.has_tag(true) {
            // Without tags, none has another meaning on other CPUs.
            return vec![self.context(space, reach, !any.has_tag(false))];
        }
        if any.has_tag(false) {
            vec![any, self.context(space, reach, false)]
        } else {
            vec![any]
        }
    }

    /// Returns whether instructions of this CPU reach the other CPUs.
    pub(super) fn reaches_others(&mut self, context: &PlanContext<'_>) -> bool {
        let all = Demand {
            extent: DemandExtent::Everything,
            ..negative_too(LEAF_AND_WALK)
        };
        context.reach == Reach::Here || self.chooser.choose(context, all).is_some()
    }

    /// Returns whether calls that are given CPUs invalidate everything there that a request may be about.
    pub(super) fn calls_reach_others(&mut self, context: &PlanContext<'_>) -> bool {
        self.chooser.choose(context, TEARDOWN).is_some()
    }

    /// Returns a flush: by instructions of this CPU if they reach the others, else by local instructions and IPIs. For
    /// CPUs that are given: by calls, or nothing if these do not reach them.
    fn flush(
        &mut self,
        space: Space,
        reach: Reach,
        shape: impl Fn(Space, Reach) -> Shape,
        node: impl Fn(&mut Self, &PlanContext<'m>) -> Option<Node>,
    ) -> Option<Node> {
        let mut nodes = Vec::new();
        for context in self.contexts(space, reach) {
            if reach == Reach::Given && !self.calls_reach_others(&context) {
                continue;
            }
            if reach == Reach::Given || self.reaches_others(&context) {
                nodes.extend(node(self, &context));
                continue;
            }
            let here = Node::Call(shape(space, Reach::Here));
            let deferred = match shape(space, reach) {
                Shape::Passes(..) | Shape::Pass(..) | Shape::Folding(..) => continue,
                Shape::Finish(..) => {
                    nodes.push(here);
                    continue;
                }
                // Inactive CPUs get an IPI as well.
                Shape::Teardown(..) if context.global_tag => None,
                _ => self.deferred_on_others(space),
            };
            let steps = [self.begin(space), Some(here), deferred];
            nodes.push(seq(steps.into_iter().flatten()));
        }
        either(nodes)
    }

    /// Returns what is deferred on lazy and inactive CPUs when active ones get an IPI.
    fn deferred_on_others(&self, space: Space) -> Option<Node> {
        if space == Space::Kernel {
            return None;
        }
        let inactive = Deferred::INACTIVE_UNTIL_LOAD;
        let both = Node::Defer(inactive | Deferred::LAZY_UNTIL_LOAD);
        Some(if self.model.caches.hold(CachedKind::Walk, self.machine) {
            Node::select(Test::WalkEntries, Node::Defer(inactive), both)
        } else {
            both
        })
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

    /// Publishes the changes of a request, unless [`Shape::Begin`] does so.
    pub(super) fn publish_request(&self, context: &PlanContext<'_>) -> Option<Node> {
        let begins = context.reach == Reach::Here && self.begins_apart(context);
        (!begins).then(|| self.publish(context))
    }

    /// Publishes the changes of a flush of this CPU alone, if it has a barrier for that alone.
    pub(super) fn begin(&mut self, space: Space) -> Option<Node> {
        let context = self.context(space, Reach::Here, true);
        self.begins_apart(&context).then(|| self.publish(&context))
    }

    /// Returns whether a barrier publishes changes that no instruction follows: one that both need is issued once.
    fn begins_apart(&self, context: &PlanContext<'_>) -> bool {
        let is_followed = |barrier| {
            let mut invalidates = self.model.invalidates.iter();
            invalidates.any(|it| it.follows.is_some_and(|at| at.value == barrier))
        };
        let publisher = self.publisher(context.agents());
        publisher.is_some_and(|barrier| !is_followed(barrier))
    }

    /// Returns the barrier of the smallest reach that makes stores visible to these walkers.
    fn publisher(&self, walkers: Agents) -> Option<usize> {
        let barriers = self.model.barriers.iter().enumerate();
        let barrier = barriers
            .filter(|(_, b)| b.requires.holds(self.machine))
            .filter_map(|(i, b)| Some((i, b.publishes?.value)))
            .filter(|(_, on)| on.covers(walkers))
            .min_by_key(|(_, on)| on.0.count_ones());
        barrier.map(|(index, _)| index)
    }

    /// Makes new entries visible to every CPU, and to devices if they ever walk these tables, because the caller
    /// does not say which are attached. Then this CPU resynchronizes, if it must for entries of the kernel: an access to user
    /// memory that comes too early is repeated.
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
        let resync = match space {
            Space::Kernel => self.resync(of.resync.as_ref()),
            Space::User => None,
        };
        if barrier.is_none() && resync.is_none() {
            return Node::Nothing(Reason::Visible);
        }
        seq(barrier.into_iter().chain(resync))
    }

    /// Returns the flush of one entry, which has no loops.
    fn page(&mut self, context: &PlanContext<'m>) -> Node {
        let with = |builder: &mut Self, walk| {
            let part = RoutinePart::Page { walk };
            let demands = builder.page_demands(context, walk);
            let steps = demands.into_iter().map(|(levels, demand)| {
                let choice = builder.choose(context, demand);
                let staged = Staged::of([&choice]);
                (levels, builder.at_once(context, &staged, choice.hint, part))
            });
            seq(by_level(steps))
        };
        let both = with(self, true);
        Node::select(Test::WalkEntries, both, with(self, false))
    }

    /// Returns the instructions of a choice; each stage starts when the one before is complete.
    fn at_once(
        &mut self,
        context: &PlanContext<'m>,
        staged: &Staged,
        hint: bool,
        part: RoutinePart,
    ) -> Node {
        let issued =
            |candidates: &Vec<Candidate>| seq(issues(context, candidates.iter(), hint, true));
        let parts = staged
            .now
            .iter()
            .map(|candidates| (candidates.as_slice(), issued(candidates)));
        let (steps, _) = self.in_turn(context, parts);
        let steps = guarded(context, seq(steps));
        seq(self
            .publish_request(context)
            .into_iter()
            .chain([steps])
            .chain(self.requires(context, part)))
    }

    /// Returns the flush of all entries of the space.
    fn everything(&mut self, context: &PlanContext<'m>) -> Node {
        let with = |builder: &mut Self, demand: Demand| {
            let choice = builder.choose(
                context,
                Demand {
                    extent: DemandExtent::Everything,
                    ..demand
                },
            );
            let staged = Staged::all_of_space(context, &choice, demand);
            let part = RoutinePart::Everything {
                walk: !demand.walk.is_empty(),
            };
            builder.at_once(context, &staged, false, part)
        };
        let both = with(self, negative_too(LEAF_AND_WALK));
        Node::select(Test::WalkEntries, both, with(self, negative_too(LEAF)))
    }

    /// Returns the flush of all entries of the space and of its root entry. The CPUs that issue it may have loaded
    /// another space, so nothing depends on what is loaded.
    fn teardown(&mut self, loaded: &PlanContext<'m>) -> Node {
        let context = &PlanContext {
            entering: true,
            ..*loaded
        };
        let choice = self.choose(context, TEARDOWN);
        let staged = Staged::all_of_space(context, &choice, TEARDOWN);
        self.at_once(loaded, &staged, false, RoutinePart::Teardown)
    }
}

/// Returns the one node, or a selection by the reach of the tag: the first is for global tags.
pub fn either(nodes: Vec<Node>) -> Option<Node> {
    let mut nodes = nodes.into_iter();
    let first = nodes.next()?;
    Some(match nodes.next() {
        None => first,
        Some(second) => Node::select(Test::GlobalTag, first, second),
    })
}
