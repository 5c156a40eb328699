//! Ranges: the flush of many entries, in passes.
//!
//! In: the choices for one entry. Out: the nodes of `Ranges` and of `Passes`. Holds: walk entries of a live subtree are invalidated
//! and complete before its leaf entries; each stage is issued for all passes after the one before is complete;
//! workarounds follow the loops whose instructions need them.

use std::rc::Rc;

use tlbc_facts::clause::CacheSet;
use tlbc_runtime::level::Levels;

use super::builder::PlanBuilder;
use super::candidates::Candidate;
use super::choose::Choice;
use super::completion::RoutinePart;
use super::context::PlanContext;
use super::demand::Demand;
use super::factor::seq;
use super::ir::{Node, Over, Shape, Test};
use super::levels::{LevelDemand, PassDemands, levels_of};
use super::stages::{Staged, barriers};
use super::steps::{before, guarded, issues};
use super::workarounds;
use crate::model::CachedKind;

/// The choices for loops.
struct Chosen {
    /// For the entries of each pass.
    leaves: Vec<Rc<Choice>>,
    /// Where there are tables; none if those are not flushed by address.
    tables: Option<OfTables>,
    /// The runs that take the place of `leaves`, and of `tables`.
    runs: [Vec<Rc<Choice>>; 2],
}

/// The choices for passes where tables were unlinked.
struct OfTables {
    /// For leaf entries, with the walk entries above them or without.
    leaves: Vec<Rc<Choice>>,
    /// For walk entries.
    walks: Vec<Rc<Choice>>,
}

impl OfTables {
    fn all(&self) -> impl Iterator<Item = &Rc<Choice>> {
        self.leaves.iter().chain(&self.walks)
    }

    /// Returns the candidates for walk entries of a stage.
    fn walks_of(&self, stage: u8) -> impl Iterator<Item = &Candidate> {
        each_once(self.walks.iter().flat_map(move |it| it.of_stage(stage)))
    }
}

impl Chosen {
    fn all(&self) -> impl Iterator<Item = &Rc<Choice>> {
        let tables = self.tables.iter().flat_map(OfTables::all);
        let tables = tables.chain(&self.runs[1]);
        self.of_leaves().chain(tables)
    }

    fn of_leaves(&self) -> impl Iterator<Item = &Rc<Choice>> {
        self.leaves.iter().chain(&self.runs[0])
    }
}

impl<'m> PlanBuilder<'m, '_> {
    /// Returns the choices for ranges; nothing if ranges are flushed with the whole space.
    fn chosen(&mut self, context: &PlanContext<'m>) -> Option<Chosen> {
        let PassDemands { leaf, both, walk } = self.pass_demands(context);
        let tables = self.are_by_address(context, &both);
        if !self.are_by_address(context, &leaf) {
            return None;
        }
        let mut chosen = |demands: &[LevelDemand]| -> Vec<Rc<Choice>> {
            let demands = demands.iter();
            demands.map(|(_, it)| self.choose(context, *it)).collect()
        };
        let leaves = chosen(&leaf);
        let tables = tables.then(|| OfTables {
            leaves: chosen(&both).into_iter().chain(chosen(&leaf)).collect(),
            walks: chosen(&walk),
        });
        let mut runs = |demands: &[LevelDemand]| -> Vec<Rc<Choice>> {
            let demands = demands.iter();
            demands
                .filter_map(|(_, it)| self.runs(context, *it))
                .collect()
        };
        let of_tables = match tables {
            Some(_) => runs(&[both, leaf.clone(), walk].concat()),
            None => Vec::new(),
        };
        Some(Chosen {
            leaves,
            runs: [runs(&leaf), of_tables],
            tables,
        })
    }

    /// Returns the choices for negative entries; nothing if none are invalidated by address.
    fn chosen_for_negative(&mut self, context: &PlanContext<'m>) -> Option<Chosen> {
        let demands = self.negative_demands(context);
        let each = demands.iter().map(|(_, it)| *it);
        let leaves: Vec<Rc<Choice>> = each.clone().map(|it| self.choose(context, it)).collect();
        let runs = each.filter_map(|it| self.runs(context, it)).collect();
        (!leaves.is_empty()).then_some(Chosen {
            leaves,
            tables: None,
            runs: [runs, Vec::new()],
        })
    }

    /// Returns what the loops over ranges issue, with tables or without.
    pub(super) fn ranges_staged(
        &mut self,
        context: &PlanContext<'m>,
        walk: bool,
    ) -> Option<Staged> {
        let chosen = self.chosen(context)?;
        if walk && chosen.tables.is_none() {
            return None;
        }
        let mut staged = Staged::of(chosen.all());
        if !walk {
            let leaves: Vec<&Rc<Choice>> = chosen.of_leaves().collect();
            staged.retain(&leaves);
        }
        Some(staged)
    }

    /// Returns what the loops over negative entries issue.
    pub(super) fn negative_staged(&mut self, context: &PlanContext<'m>) -> Option<Staged> {
        self.chosen(context)?;
        Some(Staged::of(self.chosen_for_negative(context)?.all()))
    }

    /// Returns the flush of many entries: in passes, or of the whole space.
    pub(super) fn ranges(&mut self, context: &PlanContext<'m>) -> Node {
        let all = Node::Call(Shape::Everything(context.space, context.reach));
        let passes = Node::Call(Shape::Passes(context.space, context.reach));
        let Some(chosen) = self.chosen(context) else {
            return all;
        };
        let demands = self.pass_demands(context);
        let everything_for = |test, rest| Node::select(test, all.clone(), rest);
        let everything_at = |test: fn(Levels) -> Test, levels: Levels, rest| match levels {
            Levels::NONE => rest,
            levels => everything_for(test(levels), rest),
        };
        let leaves = demands.leaves_without_pass(self.model);
        let node = everything_at(Test::LeafAt, leaves, passes.clone());
        let node = if chosen.tables.is_some() {
            let walks = demands.walks_without_pass(self.model);
            everything_at(Test::WalkAt, walks, node)
        } else {
            everything_for(Test::WalkEntries, node)
        };
        if !self.model.caches.hold(CachedKind::Negative, self.machine) {
            return node;
        }
        // New mappings together with unlinked tables are too rare for passes of their own.
        let of_negative = match self.chosen_for_negative(context) {
            Some(_) => {
                let by_address = levels_of(&self.negative_demands(context));
                let others = self.levels_with_negative().without(by_address);
                let passes = everything_at(Test::LeafAt, others, passes);
                everything_for(Test::WalkEntries, passes)
            }
            None => all.clone(),
        };
        Node::select(Test::NegativeEntries, of_negative, node)
    }

    /// Returns the flush of many entries in passes, up to the ceiling; nothing if it is never done like this.
    pub(super) fn passes(&mut self, context: &PlanContext<'m>) -> Option<Node> {
        let chosen = self.chosen(context)?;
        let part = |walk| RoutinePart::Ranges { walk };
        let leaves = seq(self.requires(context, part(false)));
        let required = if chosen.tables.is_some() {
            let tables = seq(self.requires(context, part(true)));
            Node::select(Test::WalkEntries, tables, leaves)
        } else {
            leaves
        };
        let leaf = self.pass_demands(context).leaf.into_iter();
        let counted: Vec<Demand> = leaf.map(|(_, demand)| demand).collect();
        let node = self.loops(context, &chosen, &counted, required);
        let Some(negative) = self.chosen_for_negative(context) else {
            return Some(node);
        };
        let demands = self.negative_demands(context).into_iter();
        let counted: Vec<Demand> = demands.map(|(_, demand)| demand).collect();
        let required = seq(self.requires(context, RoutinePart::Negative));
        let of_negative = self.loops(context, &negative, &counted, required);
        Some(Node::select(Test::NegativeEntries, of_negative, node))
    }

    /// Returns the loops over the passes, counted as for these demands, and what they require of completion.
    fn loops(
        &mut self,
        context: &PlanContext<'m>,
        chosen: &Chosen,
        counted: &[Demand],
        required: Node,
    ) -> Node {
        let stages = Staged::of(chosen.all()).stages();
        let mut steps: Vec<Node> = self.publish_request(context).into_iter().collect();
        let mut open: Vec<usize> = Vec::new();
        for stage in 0..stages {
            let candidates: Vec<&Candidate> =
                chosen.all().flat_map(|c| c.of_stage(stage)).collect();
            if candidates.is_empty() {
                continue;
            }
            let complete = open.iter().map(|&b| self.complete(context, b));
            let issued = complete.chain(self.stage(context, chosen, stage));
            let leaves = chosen.of_leaves().flat_map(|c| c.of_stage(stage));
            if stage == 0 || leaves.count() > 0 {
                steps.extend(issued);
                open = barriers(candidates);
            } else {
                // Without tables the stage is skipped, and the barriers before it remain open.
                steps.push(Node::select(
                    Test::WalkEntries,
                    seq(issued),
                    Node::Seq(Vec::new()),
                ));
                let more = barriers(candidates).into_iter();
                let more: Vec<usize> = more.filter(|barrier| !open.contains(barrier)).collect();
                open.extend(more);
            }
        }
        steps.push(required);
        let tables = chosen.tables.is_some();
        let tables = tables.then(|| self.pass_demands(context));
        let counts = self.counts(context, counted, tables.as_ref(), stages);
        let node = Node::Ceiling {
            count: Box::new(Node::Count(counts)),
            beyond: Shape::Everything(context.space, context.reach),
            within: Box::new(seq(steps)),
        };
        guarded(context, node)
    }

    /// Returns one stage of the loops: unlinked tables, leaf entries, instructions without addresses, and
    /// workarounds. The barriers that instructions follow come before the first of these parts that has such instructions.
    fn stage(&self, context: &PlanContext<'m>, chosen: &Chosen, stage: u8) -> Vec<Node> {
        let none = || Node::Seq(Vec::new());
        let mut steps = Vec::new();
        let mut ahead = before(chosen.of_leaves().flat_map(|c| c.of_stage(stage)));
        let mut whole = once(context, whole_of(chosen.leaves.iter(), stage));
        if let Some(tables) = &chosen.tables {
            let live = |again| match stage {
                0 => self.live_unlinked(context, tables, again),
                _ => none(),
            };
            if tables.walks.iter().all(|walk| walk.by_address()) {
                let of_runs = chosen.runs[1].iter();
                let of_runs = of_runs.chain(&tables.walks);
                let of_walks = before(of_runs.flat_map(|choice| choice.addressed(stage)));
                let leaves = chosen.of_leaves().chain(&tables.leaves);
                let rest = leaves.flat_map(|c| c.of_stage(stage));
                let rest = before(rest.chain(whole_of(tables.walks.iter(), stage)));
                let again;
                (again, ahead) = rest.into_iter().partition(|it| of_walks.contains(it));
                let live = live(again);
                steps.extend(of_walks);
                steps.extend(over(context, Over::Walks, tables.all(), stage));
                steps.push(live);
                let tables = once(context, whole_of(tables.all(), stage));
                whole = Node::select(Test::WalkEntries, tables, whole);
            } else {
                // Walk entries are not invalidated by address: an instruction for all of them comes first.
                let mut all = before(tables.walks_of(stage));
                all.push(once(context, tables.walks_of(stage)));
                all.push(live(Vec::new()));
                steps.push(Node::select(Test::WalkEntries, seq(all), none()));
            }
        }
        steps.extend(ahead);
        steps.extend(over(context, Over::Leaves, chosen.all(), stage));
        steps.push(whole);
        let addressed = chosen.all().flat_map(|choice| choice.addressed(stage));
        steps.extend(workarounds::after_loop(self.model, addressed));
        steps
    }

    /// Returns what follows the first stage of unlinked tables whose entries are live: the walk entries that no
    /// pass has invalidated yet, until all are gone. Leaf entries come afterwards, after the barriers of `again`.
    fn live_unlinked(
        &self,
        context: &PlanContext<'m>,
        tables: &OfTables,
        again: Vec<Node>,
    ) -> Node {
        let by_address = tables.walks.iter().all(|walk| walk.by_address());
        let mut steps = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        for stage in 0..CacheSet::MAX as u8 {
            let candidates: Vec<&Candidate> = tables.walks_of(stage).collect();
            if candidates.is_empty() {
                continue;
            }
            let complete = std::mem::replace(&mut open, barriers(candidates));
            steps.extend(complete.into_iter().map(|b| self.gone(context, b)));
            if stage > 0 {
                steps.extend(before(tables.walks_of(stage)));
                steps.extend(over(context, Over::Walks, tables.all(), stage));
            }
            if stage > 0 || by_address {
                let now = whole_of(tables.walks.iter(), stage);
                steps.push(once(context, now.filter(|it| !it.is_deferred())));
            }
            let addressed = tables.walks.iter().flat_map(|it| it.addressed(stage));
            steps.extend(workarounds::after_loop(self.model, addressed));
        }
        steps.extend(open.into_iter().map(|b| self.gone(context, b)));
        steps.extend(again);
        Node::select(Test::Live, seq(steps), Node::Seq(Vec::new()))
    }
}

/// Returns a loop over passes, if an instruction of the stage has an address.
fn over<'a>(
    context: &PlanContext<'_>,
    over: Over,
    mut choices: impl Iterator<Item = &'a Rc<Choice>>,
    stage: u8,
) -> Option<Node> {
    let addressed = choices.any(|choice| choice.addressed(stage).next().is_some());
    addressed.then(|| Node::Loop {
        over,
        each: Box::new(Node::Call(Shape::Pass(context.space, context.reach, stage))),
        rest: None,
    })
}

/// Returns instructions without addresses, with their workarounds.
fn once<'a>(context: &PlanContext<'_>, candidates: impl Iterator<Item = &'a Candidate>) -> Node {
    seq(issues(context, candidates, false, true))
}

/// Returns the candidates of loops that have no addresses, each once.
fn whole_of<'a>(
    choices: impl Iterator<Item = &'a Rc<Choice>>,
    stage: u8,
) -> impl Iterator<Item = &'a Candidate> {
    each_once(choices.flat_map(move |choice| choice.whole(stage)))
}

/// Returns candidates, each once.
fn each_once<'a>(
    candidates: impl Iterator<Item = &'a Candidate>,
) -> impl Iterator<Item = &'a Candidate> {
    let mut once: Vec<&Candidate> = Vec::new();
    for candidate in candidates {
        if !once.contains(&candidate) {
            once.push(candidate);
        }
    }
    once.into_iter()
}
