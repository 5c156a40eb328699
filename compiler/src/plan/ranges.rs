//! Ranges: what is done for many entries, a pass at a time.
//!
//! In: the choices for one entry. Out: the nodes of `Ranges`, of `Pass` and of `Folding`. Holds: walk entries of
//! a live subtree go and are complete before its leaves; a remedy stands behind the loops whose instructions it
//! mends.

use tlbc_runtime::cells::Cells;
use tlbc_runtime::clause::{Levels, Most, Stride};
use tlbc_runtime::passes::{Folding, Walks};

use super::choose::{Choice, Need, Of, wanted};
use super::factor::seq;
use super::ir::{Count, Node, Over, Shape, Test};
use super::pool::{Means, Names, Setting};
use super::remedies;
use super::shapes::{LEAF, LEAF_AND_WALK, Shaper, WALK, absent_too};
use super::steps::{guarded, issues};

impl<'m> Shaper<'m, '_> {
    /// Consecutive entries of one level; nothing where they are never flushed one by one.
    pub(super) fn pass(&mut self, setting: &Setting<'m>) -> Option<Node> {
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
        // Where they do not go by address, everything goes, and no pass asks for them.
        Some(match self.entries(setting, absent_too(LEAF)) {
            Some(absent) => Node::select(Test::Absent, absent, node),
            None => node,
        })
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
    pub(super) fn ranges(&mut self, setting: &Setting<'m>) -> Node {
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
        if !by_address(&leaves) {
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
        let appeared = if by_address(&absent) {
            let loops = self.loops(setting, &absent, &[]);
            Node::select(Test::Walk, all, loops)
        } else {
            all
        };
        Node::select(Test::Absent, appeared, node)
    }

    /// How far one instruction of a pass reaches: without a hint, to leaves of every level.
    pub(super) fn folding(&mut self, setting: &Setting<'m>) -> Option<Node> {
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
        let all = wanted(setting, WALK, Levels::ALL, Levels::ALL);
        all.iter().enumerate().all(|(view, wanted)| {
            let dropped = choice.means.iter().map(|means| match means.names {
                Names::Everything => &means.cells[view],
                _ => &means.everywhere[view],
            });
            let dropped = dropped.fold(Cells::NONE, Cells::union);
            dropped.covers(wanted)
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
        let walks = tables && runs(WALK).is_some() && runs(LEAF_AND_WALK).is_some();
        match runs(LEAF) {
            Some((operand, _, Stride::Pages)) => Count::PageRuns(operand, walks),
            Some((_, most, Stride::Entries(levels))) => Count::EntryRuns(most, levels, walks),
            None => Count::Entries,
        }
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
