//! What is done for each shape of request in one configuration.
//!
//! In: a [`Setting`] and the choices for it. Out: a [`Node`] without a question about features.
//! Holds: publish comes first, walk entries of a live subtree go and are complete before its
//! leaves, and completion is left to the `Finish` shape.

use tlbc_runtime::backend::Owed;
use tlbc_runtime::clause::{Levels, Most, Stride};
use tlbc_runtime::passes::Folding;
use tlbc_runtime::request::{Reach, Space};

use super::choose::{Choice, Chooser, Need, Of};
use super::factor::seq;
use super::ir::{Count, Issue, Node, Over, Shape, Test};
use super::pool::{How, Means, Names, Setting};
use crate::model::Need as Scope;
use crate::model::{Config, Instr, Model};

/// Makes nodes for one configuration.
pub struct Shaper<'m, 'c> {
    pub model: &'m Model,
    pub config: Config,
    pub chooser: &'c mut Chooser,
    /// Needs that nothing covers.
    pub gaps: Vec<(Space, Reach, Need)>,
}

pub const LEAF: Need = Need {
    leaf: true,
    walk: false,
    of: Of::One,
};
pub const LEAF_AND_WALK: Need = Need { walk: true, ..LEAF };
pub const WALK: Need = Need {
    leaf: false,
    walk: true,
    of: Of::One,
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
            Shape::Told(space) => self.told(space),
            Shape::Change => Node::Change { by: None },
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
            ..LEAF_AND_WALK
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
            let steps = seq(issues(cx.model, choice.means.iter(), choice.hint));
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
        Some(match (both, walk) {
            (Some(both), Some(walk)) => {
                Node::select(Test::Walk, Node::select(Test::Leaf, both, walk), leaf)
            }
            _ => leaf,
        })
    }

    fn entries(&mut self, setting: &Setting<'m>, need: Need) -> Option<Node> {
        let one = self.choose(setting, need);
        if !one.by_address() {
            return None;
        }
        let single = seq(issues(self.model, one.addressed(), one.hint));
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
        let body = seq(issues(self.model, many.addressed(), many.hint));
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
        let by_address = |choices: &[Choice]| choices.iter().all(Choice::by_address);
        let all = Node::Call(Shape::Everything(setting.space, setting.reach));
        if !by_address(&leaves) {
            return all;
        }
        if !by_address(&tables) {
            let loops = self.loops(setting, &leaves, &[]);
            return Node::select(Test::Walk, all, loops);
        }
        self.loops(setting, &leaves, &tables)
    }

    /// How far one instruction of a pass reaches: without a hint, to leaves of every level.
    fn folding(&mut self, setting: &Setting<'m>) -> Option<Node> {
        self.choose(setting, LEAF).by_address().then(|| {
            Node::Fold(Folding {
                leaves: true,
                walks: self.walks_go_everywhere(setting),
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
        let mut steps = vec![self.publish(setting)];
        let mut whole = seq(issues(self.model, whole_of(leaves).into_iter(), false));
        if !tables.is_empty() {
            steps.push(each(Over::Cuts));
            let mut after = tables.iter().flat_map(Choice::addressed);
            if let Some(barrier) = after.find_map(|means| means.after) {
                let complete = self.gone(setting, barrier);
                steps.push(Node::select(Test::Live, complete, Node::Seq(Vec::new())));
            }
            let of_tables = seq(issues(self.model, whole_of(tables).into_iter(), false));
            whole = Node::select(Test::Walk, of_tables, whole);
        }
        steps.push(each(Over::Leaves));
        steps.push(whole);
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
            let steps = seq(issues(cx.model, choice.means.iter(), false));
            seq([cx.publish(setting), guarded(cx.model, &choice, steps)])
        };
        let both = with(self, LEAF_AND_WALK);
        Node::select(Test::Walk, both, with(self, LEAF))
    }
}

/// The means of a loop that name no address: each once.
fn whole_of(choices: &[Choice]) -> Vec<&Means> {
    let mut whole: Vec<&Means> = Vec::new();
    for means in choices.iter().flat_map(Choice::whole) {
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

/// The nodes of means, those that drop walk entries first.
pub fn issues<'a>(
    model: &'a Model,
    means: impl Iterator<Item = &'a Means>,
    hint: bool,
) -> impl Iterator<Item = Node> {
    let mut means: Vec<&Means> = means.collect();
    means.sort_by_key(|m| !matches!(m.how, How::Issue { .. }));
    means.into_iter().flat_map(move |m| match m.how {
        How::Issue { invalidate, form } => {
            let issue = Node::Issue(Issue {
                invalidate,
                form,
                view: m.view,
                address: m.names != Names::Everything,
                hint: hint && !m.hinted.is_empty(),
            });
            let mut steps = remedies(model, &m.remedies, false);
            steps.push(issue);
            steps.extend(remedies(model, &m.remedies, true));
            steps
        }
        How::Retire => vec![Node::Retire],
        How::OweView => vec![Node::Owe(Owed::VIEW_UNTIL_RESUME)],
    })
}

/// The steps of remedies that stand behind (or before) what they mend.
pub fn remedies(model: &Model, remedies: &[(usize, usize)], after: bool) -> Vec<Node> {
    let mut steps = Vec::new();
    for &(erratum, number) in remedies {
        let remedy = &model.errata[erratum].remedies[number];
        if remedy.after == after {
            steps.extend(remedy.issue.iter().map(|instr| match *instr {
                Instr::Barrier(barrier) => Node::Complete { barrier },
                Instr::Invalidate(invalidate) => Node::Remedy {
                    erratum,
                    invalidate,
                },
            }));
        }
    }
    steps
}

/// Wrapped in what its instructions need of the caller.
pub fn guarded(model: &Model, choice: &Choice, node: Node) -> Node {
    let mut scopes: Vec<Scope> = Vec::new();
    for means in &choice.means {
        let How::Issue { invalidate, .. } = means.how else {
            continue;
        };
        let stated = model.invalidates[invalidate]
            .needs
            .iter()
            .map(|need| need.value);
        let same = means
            .after
            .filter(|&barrier| model.barriers[barrier].same_cpu);
        for need in stated.chain(same.map(|_| Scope::SameCpu)) {
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
