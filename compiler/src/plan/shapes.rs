//! What is done for each shape of request in one configuration.
//!
//! In: a [`Setting`] and the choices for it. Out: a [`Node`] without a question about features.
//! Holds: publish comes first, walk entries of a live subtree go and are complete before its
//! leaves, and completion is left to the `Finish` shape.

use tlbc_runtime::backend::Owed;
use tlbc_runtime::clause::{Levels, Most, Stride};
use tlbc_runtime::passes::{Folding, Walks};
use tlbc_runtime::request::{Reach, Space};

use super::change::Unwritten;
use super::choose::{Choice, Chooser, Need, Of};
use super::factor::seq;
use super::ir::{Count, Issue, Node, Over, Shape, Test};
use super::pool::{How, Means, Names, Primitive, Setting};
use super::remedies;
use crate::model::Need as Scope;
use crate::model::{Config, Model};

/// Makes nodes for one configuration.
pub struct Shaper<'m, 'c> {
    pub model: &'m Model,
    pub config: Config,
    pub chooser: &'c mut Chooser,
    /// Needs that nothing covers.
    pub gaps: Vec<(Space, Reach, Need)>,
    /// Changes that no instruction makes.
    pub unwritten: Vec<Unwritten>,
}

pub const LEAF: Need = Need {
    leaf: true,
    walk: false,
    absent: false,
    root: false,
    of: Of::One,
};
pub const LEAF_AND_WALK: Need = Need { walk: true, ..LEAF };
pub const WALK: Need = Need {
    leaf: false,
    ..LEAF_AND_WALK
};

impl<'m> Shaper<'m, '_> {
    /// The node of a shape; none where no request gets there in this configuration.
    pub fn node(&mut self, shape: Shape) -> Option<Node> {
        Some(match shape {
            Shape::Page(space, reach) => {
                self.flush(space, reach, Shape::Page, |cx, s| Some(cx.page(s)))?
            }
            Shape::Pass(space, reach) => self.flush(space, reach, Shape::Pass, Self::pass)?,
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
            Shape::Told(space) => self.told(space),
            Shape::Change => self.change(),
            Shape::Switch => self.switch(),
            Shape::Resume => self.resume(),
            Shape::Arrive => self.arrive(),
        })
    }

    pub(super) fn setting(&self, space: Space, reach: Reach, of_machine: bool) -> Setting<'m> {
        Setting {
            model: self.model,
            config: self.config,
            space,
            reach,
            of_machine,
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
            ..absent_too(LEAF_AND_WALK)
        };
        setting.reach == Reach::Here || self.chooser.choose(setting, all).is_some()
    }

    /// A flush: by instructions of this CPU where they reach, else here and then by interrupts.
    fn flush(
        &mut self,
        space: Space,
        reach: Reach,
        shape: fn(Space, Reach) -> Shape,
        node: fn(&mut Self, &Setting<'m>) -> Option<Node>,
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

    pub(super) fn choose(&mut self, setting: &Setting<'_>, need: Need) -> Choice {
        self.chooser.choose(setting, need).unwrap_or_else(|| {
            let gap = (setting.space, setting.reach, need);
            if !self.gaps.contains(&gap) {
                self.gaps.push(gap);
            }
            Choice::default()
        })
    }

    pub(super) fn publish(&self, setting: &Setting<'_>) -> Node {
        let wanted = setting.holders();
        let barriers = self.model.barriers.iter().enumerate();
        let barrier = barriers
            .filter(|(_, b)| b.requires.holds(self.config))
            .filter_map(|(i, b)| Some((i, b.publishes?.value)))
            .filter(|(_, on)| on.covers(wanted))
            .min_by_key(|(_, on)| on.0.count_ones());
        Node::Publish {
            barrier: barrier.map(|(index, _)| index),
        }
    }

    /// One entry: a straight line.
    fn page(&mut self, setting: &Setting<'m>) -> Node {
        let with = |cx: &mut Self, need| {
            let choice = cx.choose(setting, need);
            let steps = seq(issues(setting, choice.early(), choice.hint, true));
            seq([cx.publish(setting), guarded(cx.model, &choice, steps)])
        };
        let both = with(self, LEAF_AND_WALK);
        Node::select(Test::Walk, both, with(self, LEAF))
    }

    /// Consecutive entries of one level; nothing where they are never flushed one by one.
    fn pass(&mut self, setting: &Setting<'m>) -> Option<Node> {
        let leaf = self.entries(setting, LEAF)?;
        let both = self.entries(setting, LEAF_AND_WALK);
        let walk = self.entries(setting, WALK);
        let apart = !self.choose(setting, WALK).by_address();
        let node = match (both, walk) {
            (Some(both), Some(walk)) if !apart => {
                Node::select(Test::Walk, Node::select(Test::Leaf, both, walk), leaf)
            }
            _ => leaf,
        };
        if !self.model.caches.invalid_cached {
            return Some(node);
        }
        let absent = self.entries(setting, absent_too(LEAF))?;
        Some(Node::select(Test::Absent, absent, node))
    }

    fn entries(&mut self, setting: &Setting<'m>, need: Need) -> Option<Node> {
        let one = self.choose(setting, need);
        if !one.by_address() {
            return None;
        }
        let single = seq(issues(setting, one.addressed(), one.hint, false));
        let each = |over, body, rest: Option<Node>| Node::Each {
            over,
            body: Box::new(body),
            rest: rest.map(Box::new),
        };
        let runs = Need {
            of: Of::Runs,
            ..need
        };
        let by_entry = each(Over::Entries, single.clone(), None);
        let Some(many) = self.chooser.choose(setting, runs) else {
            return Some(by_entry);
        };
        let Some((operand, most, stride)) = many.means.iter().find_map(run_of) else {
            return Some(by_entry);
        };
        let body = seq(issues(setting, many.addressed(), many.hint, false));
        // Pages come in units, which may leave one over; entries one by one.
        let rest = matches!(stride, Stride::Pages).then_some(single);
        let by_run = each(Over::Runs { operand, most }, body, rest);
        Some(match stride {
            Stride::Pages => Node::select(Test::FitsRun(operand), by_run, by_entry),
            Stride::Entries(levels) => Node::select(Test::Stride(levels), by_run, by_entry),
        })
    }

    /// Many entries: one by one or in runs up to the ceiling, everything beyond it.
    fn ranges(&mut self, setting: &Setting<'m>) -> Node {
        let mut choices = |needs: &[Need]| -> Vec<Choice> {
            needs
                .iter()
                .map(|need| self.choose(setting, *need))
                .collect()
        };
        let (leaves, tables) = (choices(&[LEAF]), choices(&[LEAF_AND_WALK, LEAF, WALK]));
        let absent = choices(&[absent_too(LEAF)]);
        let by_address = |choices: &[Choice]| choices.iter().all(Choice::by_address);
        let all = Node::Call(Shape::Everything(setting.space, setting.reach));
        if !by_address(&leaves) || !by_address(&absent) {
            return all;
        }
        let node = if tables[0].by_address() {
            self.loops(setting, &leaves, &tables)
        } else {
            let loops = self.loops(setting, &leaves, &[]);
            Node::select(Test::Walk, all.clone(), loops)
        };
        if !self.model.caches.invalid_cached {
            return node;
        }
        // Entries that appear while tables go are too rare for passes of their own.
        let appeared = self.loops(setting, &absent, &[]);
        let appeared = Node::select(Test::Walk, all, appeared);
        Node::select(Test::Absent, appeared, node)
    }

    /// How far one instruction of a pass reaches: without a hint, to leaves of every level.
    fn folding(&mut self, setting: &Setting<'m>) -> Option<Node> {
        let leaf = self.choose(setting, LEAF);
        let walk = self.choose(setting, WALK);
        leaf.by_address().then(|| {
            Node::Fold(Folding {
                leaves: !leaf.exact(),
                walks: if !walk.by_address() {
                    Walks::Apart
                } else if self.walks_go_everywhere(setting) {
                    Walks::All
                } else {
                    Walks::Named
                },
            })
        })
    }

    /// Whether every instruction of a pass drops the walk entries of everything.
    fn walks_go_everywhere(&mut self, setting: &Setting<'_>) -> bool {
        let choice = self.choose(setting, WALK);
        let wanted = super::choose::wanted(setting, WALK, Levels::ALL, Levels::ALL);
        wanted.iter().enumerate().all(|(view, wanted)| {
            let everywhere =
                choice
                    .means
                    .iter()
                    .fold(tlbc_runtime::cells::Cells::NONE, |all, means| {
                        let whole = means.names == Names::Everything;
                        let of = if whole {
                            &means.cells
                        } else {
                            &means.everywhere
                        };
                        all.union(&of[view])
                    });
            everywhere.covers(wanted)
        })
    }

    /// The loops over the passes: with `tables`, those over cuts come first.
    fn loops(&mut self, setting: &Setting<'m>, leaves: &[Choice], tables: &[Choice]) -> Node {
        let (space, reach) = (setting.space, setting.reach);
        let each = |over| Node::Each {
            over,
            body: Box::new(Node::Call(Shape::Pass(space, reach))),
            rest: None,
        };
        let none = || Node::Seq(Vec::new());
        let mut steps = vec![self.publish(setting)];
        let once = |means: Vec<&Means>| seq(issues(setting, means.into_iter(), false, false));
        let mut whole = once(whole_of(leaves));
        if let [_, _, walk] = tables {
            let apart = !walk.by_address();
            let (first, after) = if apart {
                // Nothing drops walk entries by address: what does goes first, for all cuts at once.
                let means: Vec<&Means> = walk.early().collect();
                let after = walk.early().find_map(|means| means.after);
                (once(means), after)
            } else {
                let mut addressed = tables.iter().flat_map(Choice::addressed);
                (each(Over::Cuts), addressed.find_map(|means| means.after))
            };
            let mut first = vec![first];
            if let Some(barrier) = after {
                let complete = self.gone(setting, barrier);
                let mended = remedies::behind_loop(self.model, [walk].into_iter());
                let complete = seq(mended.into_iter().chain([complete]));
                first.push(Node::select(Test::Live, complete, none()));
            }
            if apart {
                steps.push(Node::select(Test::Walk, seq(first), none()));
            } else {
                steps.extend(first);
                whole = Node::select(Test::Walk, once(whole_of(tables)), whole);
            }
        }
        steps.push(each(Over::Leaves));
        steps.push(whole);
        steps.extend(remedies::behind_loop(
            self.model,
            leaves.iter().chain(tables),
        ));
        let all = Node::Call(Shape::Everything(space, reach));
        let count = self.count(setting, !tables.is_empty());
        let node = Node::Passes {
            folding: Shape::Folding(space, reach),
            body: Box::new(Node::select(Test::OverCeiling(count), all, seq(steps))),
        };
        let choices = leaves.iter().chain(tables);
        choices.fold(node, |node, choice| guarded(self.model, choice, node))
    }

    /// How the instructions of a loop are counted.
    fn count(&mut self, setting: &Setting<'m>, tables: bool) -> Count {
        let mut runs = |need: Need| {
            let choice = self.chooser.choose(
                setting,
                Need {
                    of: Of::Runs,
                    ..need
                },
            )?;
            choice.means.iter().find_map(run_of)
        };
        match runs(LEAF) {
            Some(_) if tables && runs(WALK).is_none() => Count::Entries,
            Some((operand, _, Stride::Pages)) => Count::PageRuns(operand),
            Some((_, most, Stride::Entries(levels))) => Count::EntryRuns(most, levels),
            None => Count::Entries,
        }
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
            let steps = seq(issues(setting, choice.early(), false, true));
            seq([cx.publish(setting), guarded(cx.model, &choice, steps)])
        };
        let both = with(self, absent_too(LEAF_AND_WALK));
        Node::select(Test::Walk, both, with(self, absent_too(LEAF)))
    }

    /// Everything of the space, and what binds its tag.
    fn teardown(&mut self, setting: &Setting<'m>) -> Node {
        let choice = self.choose(setting, TEARDOWN);
        let steps = seq(issues(setting, choice.early(), false, true));
        seq([self.publish(setting), guarded(self.model, &choice, steps)])
    }
}

/// Everything that a space can have left.
pub const TEARDOWN: Need = Need {
    leaf: true,
    walk: true,
    absent: true,
    root: true,
    of: Of::Everything,
};

/// The same, with the absences that are remembered.
pub fn absent_too(need: Need) -> Need {
    Need {
        absent: true,
        ..need
    }
}

/// The means of a loop that name no address: each once.
fn whole_of(choices: &[Choice]) -> Vec<&Means> {
    let mut whole: Vec<&Means> = Vec::new();
    let all = choices.iter().flat_map(Choice::whole);
    for means in all.filter(|means| !means.late) {
        if !whole.contains(&means) {
            whole.push(means);
        }
    }
    whole
}

/// What lazy and parked CPUs owe when active ones are interrupted.
fn others_owe(space: Space) -> Option<Node> {
    let parked = Owed::PARKED_UNTIL_LOAD;
    (space == Space::User).then(|| {
        Node::select(
            Test::Walk,
            Node::Owe(parked),
            Node::Owe(parked | Owed::LAZY_UNTIL_LOAD),
        )
    })
}

/// The run of a means: its operand, its largest count and its stride.
fn run_of(means: &Means) -> Option<(usize, Most, Stride)> {
    match means.names {
        Names::Run {
            most,
            stride,
            operand,
            ..
        } => Some((operand, most, stride)),
        _ => None,
    }
}

/// The nodes of means, debts last. With `beside`, what errata want behind them follows each.
pub fn issues<'a>(
    setting: &Setting<'a>,
    means: impl Iterator<Item = &'a Means>,
    hint: bool,
    beside: bool,
) -> impl Iterator<Item = Node> {
    let model = setting.model;
    let mut means: Vec<&Means> = means.collect();
    means.sort_by_key(|m| matches!(m.how, How::Retire | How::OweView));
    let node = move |m: &Means| {
        let issue = |primitive| issue_of(m, primitive, hint);
        let with_remedies = |issue: Issue, nodes: Vec<Node>| {
            let mut steps = remedies::beside(model, m, issue, false);
            steps.extend(nodes);
            if beside {
                steps.extend(remedies::beside(model, m, issue, true));
            }
            steps
        };
        match m.how {
            How::Issue(primitive) => {
                let issue = issue(primitive);
                with_remedies(issue, vec![Node::Issue(issue)])
            }
            How::Sets { first, rest, count } => {
                let (first, rest) = (issue(first), issue(rest));
                let mut nodes = vec![Node::Issue(first)];
                if count > 1 {
                    nodes.push(Node::Each {
                        over: Over::Sets { first: 1, count },
                        body: Box::new(Node::Issue(rest)),
                        rest: None,
                    });
                }
                with_remedies(first, nodes)
            }
            How::Retire => vec![Node::Retire],
            How::OweView => vec![Node::Owe(Owed::VIEW_UNTIL_RESUME)],
        }
    };
    let nodes: Vec<Node> = means.into_iter().flat_map(node).collect();
    nodes.into_iter()
}

/// One instruction of a means.
pub fn issue_of(means: &Means, primitive: Primitive, hint: bool) -> Issue {
    Issue {
        invalidate: primitive.invalidate,
        form: primitive.form,
        space: means.space,
        view: means.view,
        tag: means.view.and(means.tag),
        address: means.names != Names::Everything,
        hint: hint && !means.hinted.is_empty(),
    }
}

/// Wrapped in what its instructions need of the caller.
pub fn guarded(model: &Model, choice: &Choice, node: Node) -> Node {
    let mut scopes: Vec<Scope> = Vec::new();
    for means in &choice.means {
        let primitives = means.how.primitives();
        let stated = primitives.flat_map(|p| &model.invalidates[p.invalidate].needs);
        let same = means
            .after
            .filter(|&barrier| model.barriers[barrier].same_cpu);
        let needs = stated.map(|need| need.value);
        for need in needs.chain(same.map(|_| Scope::SameCpu)) {
            if !scopes.contains(&need) {
                scopes.push(need);
            }
        }
    }
    scopes.into_iter().fold(node, |body, scope| match body {
        Node::Guard { scope: same, .. } if same == scope => body,
        body => Node::Guard {
            scope,
            body: Box::new(body),
        },
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
