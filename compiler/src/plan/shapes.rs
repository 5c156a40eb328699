//! What is done for each shape of request on one machine.
//!
//! In: a [`Setting`] and the choices for it. Out: a [`Node`] that asks for no flag but for the errata of workarounds.
//! Holds: publish comes first, walk entries of a live subtree go and are complete before its
//! leaves, and completion is left to the `Finish` shape.

use rustc_hash::FxHashMap;
use std::rc::Rc;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::deferred::Deferred;
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::{Reach, Space};

use super::asked::Asked;
use super::change::Unwritten;
use super::choose::{Choice, Chooser, Need, Of};
use super::factor::seq;
use super::finish::{Completion, Part};
use super::ir::{Node, Reason, Shape, Test};
use super::pool::{Means, Setting};
use super::stages::Staged;
use super::steps::{guarded, issues};
use crate::model::Model;

/// Makes nodes for one machine.
pub struct Shaper<'m, 'c> {
    pub model: &'m Model,
    pub machine: &'m Asked<'m>,
    pub chooser: &'c mut Chooser,
    /// Needs that nothing covers.
    pub gaps: Vec<(Space, Reach, Need)>,
    /// Changes that no instruction makes.
    pub unwritten: Vec<Unwritten>,
    /// How the flushes of a setting are completed.
    pub completions: FxHashMap<(Space, Reach, bool, bool), Rc<Completion>>,
}

pub const LEAF: Need = Need {
    leaf: true,
    walk: false,
    negative: Levels::NONE,
    root: false,
    of: Of::One,
};
pub const LEAF_AND_WALK: Need = Need { walk: true, ..LEAF };
pub const WALK: Need = Need {
    leaf: false,
    ..LEAF_AND_WALK
};

impl<'m, 'c> Shaper<'m, 'c> {
    pub fn new(model: &'m Model, machine: &'m Asked<'m>, chooser: &'c mut Chooser) -> Self {
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
            Shape::Page(space, reach) => {
                self.flush(space, reach, Shape::Page, |cx, s| Some(cx.page(s)))?
            }
            Shape::Pass(space, reach, stage) => {
                let shape = |space, reach| Shape::Pass(space, reach, stage);
                self.flush(space, reach, shape, |cx, s| cx.pass(s, stage))?
            }
            Shape::Ranges(space, reach) => {
                self.flush(space, reach, Shape::Ranges, |cx, s| Some(cx.ranges(s)))?
            }
            Shape::Folding(space, reach) => {
                self.flush(space, reach, Shape::Folding, Self::folding)?
            }
            Shape::Everything(space, reach) => {
                self.flush(space, reach, Shape::Everything, |cx, s| {
                    Some(cx.everything(s))
                })?
            }
            Shape::Finish(space, reach) => {
                self.flush(space, reach, Shape::Finish, |cx, s| Some(cx.completion(s)))?
            }
            Shape::Teardown(space, reach) => {
                self.model.caches.root?;
                self.flush(space, reach, Shape::Teardown, |cx, s| Some(cx.teardown(s)))?
            }
            Shape::IpiTargets(space) => self.told(space),
            Shape::Change => self.change(),
            Shape::Publish(space) => self.publish_new(space),
            Shape::Switch => self.switch(),
            Shape::ReturnToUser => self.resume(),
            Shape::EnterFromUser => self.enter(),
            Shape::CpuOnline => self.arrive(),
        })
    }

    pub(super) fn setting(&self, space: Space, reach: Reach, of_machine: bool) -> Setting<'m> {
        Setting {
            model: self.model,
            machine: self.machine,
            space,
            reach,
            of_machine,
            entering: false,
        }
    }

    /// The settings that a flush of this reach can find itself in, by the tag's reach.
    pub(super) fn settings(&self, space: Space, reach: Reach) -> Vec<Setting<'m>> {
        let any = self.setting(space, reach, true);
        if space == Space::Kernel || reach == Reach::Here {
            return vec![any];
        }
        if !any.has_tag(true) {
            // Without any tag there is nothing that could mean another space elsewhere.
            return vec![self.setting(space, reach, !any.has_tag(false))];
        }
        if any.has_tag(false) {
            vec![any, self.setting(space, reach, false)]
        } else {
            vec![any]
        }
    }

    /// Whether one instruction of this CPU reaches the others.
    pub(super) fn direct(&mut self, setting: &Setting<'_>) -> bool {
        let all = Need {
            of: Of::Everything,
            ..negative_too(LEAF_AND_WALK)
        };
        setting.reach == Reach::Here || self.chooser.choose(setting, all).is_some()
    }

    /// A flush: by instructions of this CPU where they reach, else here and then by interrupts.
    fn flush(
        &mut self,
        space: Space,
        reach: Reach,
        shape: impl Fn(Space, Reach) -> Shape,
        node: impl Fn(&mut Self, &Setting<'m>) -> Option<Node>,
    ) -> Option<Node> {
        let mut nodes = Vec::new();
        for setting in self.settings(space, reach) {
            if self.direct(&setting) {
                nodes.extend(node(self, &setting));
                continue;
            }
            let here = Node::Call(shape(space, Reach::Here));
            match shape(space, reach) {
                Shape::Pass(..) | Shape::Folding(..) => {}
                Shape::Finish(..) => nodes.push(here),
                // Parked CPUs are told as well.
                Shape::Teardown(..) if setting.of_machine => nodes.push(here),
                _ => nodes.push(seq([Some(here), others_owe(space)].into_iter().flatten())),
            }
        }
        either(nodes)
    }

    pub(super) fn choose(&mut self, setting: &Setting<'_>, need: Need) -> Rc<Choice> {
        self.chooser.choose(setting, need).unwrap_or_else(|| {
            let gap = (setting.space, setting.reach, need);
            if !self.gaps.contains(&gap) {
                self.gaps.push(gap);
            }
            Rc::default()
        })
    }

    pub(super) fn publish(&self, setting: &Setting<'_>) -> Node {
        Node::Publish {
            barrier: self.publisher(setting.holders()),
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
    fn page(&mut self, setting: &Setting<'m>) -> Node {
        let with = |cx: &mut Self, need| {
            let choice = cx.choose(setting, need);
            let staged = Staged::of([&choice]);
            let part = Part::Page { walk: need.walk };
            cx.at_once(setting, (&choice, &staged), choice.hint, part)
        };
        let both = with(self, LEAF_AND_WALK);
        Node::select(Test::Walk, both, with(self, LEAF))
    }

    /// The instructions of a choice, each stage when the one before is complete.
    fn at_once(
        &mut self,
        setting: &Setting<'m>,
        (choice, staged): (&Choice, &Staged),
        hint: bool,
        part: Part,
    ) -> Node {
        let issued = |means: &Vec<Means>| seq(issues(setting, means.iter(), hint, true));
        let parts = staged
            .now
            .iter()
            .map(|means| (means.as_slice(), issued(means)));
        let (steps, _) = self.in_turn(setting, parts);
        let steps = guarded(self.model, choice, seq(steps));
        seq([self.publish(setting), steps]
            .into_iter()
            .chain(self.requires(setting, part)))
    }

    /// Everything of the space.
    fn everything(&mut self, setting: &Setting<'m>) -> Node {
        let with = |cx: &mut Self, need: Need| {
            let choice = cx.choose(
                setting,
                Need {
                    of: Of::Everything,
                    ..need
                },
            );
            let staged = Staged::everything(setting, &choice, need);
            let part = Part::Everything { walk: need.walk };
            cx.at_once(setting, (&choice, &staged), false, part)
        };
        let both = with(self, negative_too(LEAF_AND_WALK));
        Node::select(Test::Walk, both, with(self, negative_too(LEAF)))
    }

    /// Everything of the space, and what binds its tag. The CPUs that flush may have left the space long ago, so nothing
    /// depends on what is loaded.
    fn teardown(&mut self, loaded: &Setting<'m>) -> Node {
        let setting = &Setting {
            entering: true,
            ..*loaded
        };
        let choice = self.choose(setting, TEARDOWN);
        let staged = Staged::everything(setting, &choice, TEARDOWN);
        self.at_once(loaded, (&choice, &staged), false, Part::Teardown)
    }
}

/// Everything that a space can have left.
pub const TEARDOWN: Need = Need {
    leaf: true,
    walk: true,
    negative: Levels::ALL,
    root: true,
    of: Of::Everything,
};

/// The same, with negative entries.
pub fn negative_too(need: Need) -> Need {
    Need {
        negative: Levels::ALL,
        ..need
    }
}

/// What lazy and parked CPUs owe when active ones are interrupted.
fn others_owe(space: Space) -> Option<Node> {
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
