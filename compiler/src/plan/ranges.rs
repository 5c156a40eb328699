//! Ranges: what is done for many entries, a pass at a time.
//!
//! In: the choices for one entry. Out: the node of `Ranges`. Holds: walk entries of a live subtree go and are complete
//! before its leaves; each stage is issued for all passes when the one before is complete; a workaround follows the loops
//! whose instructions it mends.

use std::rc::Rc;

use tlbc_facts::clause::CacheSet;
use tlbc_runtime::level::Levels;

use super::builder::{LEAF, LEAF_AND_WALK, PlanBuilder, WALK};
use super::candidates::Candidate;
use super::choose::{Choice, Demand};
use super::context::PlanContext;
use super::factor::seq;
use super::finish::Part;
use super::ir::{Node, Over, Shape, Test};
use super::stages::{Staged, barriers};
use super::steps::{guarded, issues};
use super::workarounds;

/// What is chosen for loops.
struct Chosen {
    /// For what each pass drops.
    leaves: Vec<Rc<Choice>>,
    /// For leaf and walk entries, leaf entries, walk entries; none where no tables are cut.
    tables: Option<[Rc<Choice>; 3]>,
}

impl Chosen {
    fn all(&self) -> impl Iterator<Item = &Rc<Choice>> {
        self.leaves.iter().chain(self.tables.iter().flatten())
    }
}

impl<'m> PlanBuilder<'m, '_> {
    /// What is chosen for ranges; nothing where all of them are flushed as everything of the space.
    fn chosen(&mut self, context: &PlanContext<'m>) -> Option<Chosen> {
        let leaf = self.choose(context, LEAF);
        let tables = [LEAF_AND_WALK, LEAF, WALK].map(|demand| self.choose(context, demand));
        leaf.by_address().then(|| Chosen {
            tables: tables[0].by_address().then_some(tables),
            leaves: vec![leaf],
        })
    }

    /// What is chosen for entries that appeared; nothing where no negative entry is dropped by address.
    fn chosen_for_negative(&mut self, context: &PlanContext<'m>) -> Option<Chosen> {
        let needs = self.negative_by_address(context);
        let leaves: Vec<Rc<Choice>> = needs.into_iter().map(|n| self.choose(context, n)).collect();
        (!leaves.is_empty()).then_some(Chosen {
            leaves,
            tables: None,
        })
    }

    /// The levels whose negative entries are dropped by address, each with the leaf entries that a pass may ask for beside
    /// them.
    pub(super) fn negative_by_address(&mut self, context: &PlanContext<'m>) -> Vec<Demand> {
        if !self.model.caches.invalid_cached {
            return Vec::new();
        }
        let of_level = |level| Demand {
            negative: Levels::only(level),
            ..LEAF
        };
        let needs = self.levels().into_iter().map(of_level);
        let by_address = |demand: &Demand| {
            let choice = self.chooser.choose(context, *demand);
            choice.is_some_and(|choice| choice.by_address())
        };
        needs.filter(by_address).collect()
    }

    /// What the loops over ranges issue, with tables or without.
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
            staged.retain(&chosen.leaves);
        }
        Some(staged)
    }

    /// What the loops over entries that appeared issue.
    pub(super) fn negative_staged(&mut self, context: &PlanContext<'m>) -> Option<Staged> {
        self.chosen(context)?;
        Some(Staged::of(self.chosen_for_negative(context)?.all()))
    }

    /// Many entries: one by one or in runs up to the ceiling, everything beyond it.
    pub(super) fn ranges(&mut self, context: &PlanContext<'m>) -> Node {
        let all = Node::Call(Shape::Everything(context.space, context.reach));
        let Some(chosen) = self.chosen(context) else {
            return all;
        };
        let part = |walk| Part::Ranges { walk };
        let leaves = seq(self.requires(context, part(false)));
        let node = if chosen.tables.is_some() {
            let tables = seq(self.requires(context, part(true)));
            let required = Node::select(Test::Walk, tables, leaves);
            self.loops(context, &chosen, &[LEAF], required)
        } else {
            let loops = self.loops(context, &chosen, &[LEAF], leaves);
            Node::select(Test::Walk, all.clone(), loops)
        };
        if !self.model.caches.invalid_cached {
            return node;
        }
        // Entries that appear while tables go are too rare for passes of their own.
        let appeared = match self.chosen_for_negative(context) {
            Some(negative) => {
                let needs = self.negative_by_address(context);
                let required = seq(self.requires(context, Part::Appeared));
                let loops = self.loops(context, &negative, &needs, required);
                let by_address = |level| needs.iter().any(|n| n.negative.contains(level));
                let others = self
                    .levels()
                    .into_iter()
                    .filter(|&level| !by_address(level));
                let others = others.fold(Levels::NONE, |all, l| all.union(Levels::only(l)));
                let loops = if others.is_empty() {
                    loops
                } else {
                    Node::select(Test::AppearedAt(others), all.clone(), loops)
                };
                Node::select(Test::Walk, all, loops)
            }
            None => all,
        };
        Node::select(Test::Negative, appeared, node)
    }

    /// The loops over the passes, counted as for these needs; what they require of completion follows.
    fn loops(
        &mut self,
        context: &PlanContext<'m>,
        chosen: &Chosen,
        counted: &[Demand],
        required: Node,
    ) -> Node {
        let stages = Staged::of(chosen.all()).stages();
        let mut steps = vec![self.publish(context)];
        let mut open: Vec<usize> = Vec::new();
        for stage in 0..stages {
            let candidates: Vec<&Candidate> =
                chosen.all().flat_map(|c| c.of_stage(stage)).collect();
            if candidates.is_empty() {
                continue;
            }
            let complete = open.iter().map(|&b| self.complete(context, b));
            let issued = complete.chain(self.stage(context, chosen, stage));
            let leaves = chosen.leaves.iter().flat_map(|c| c.of_stage(stage));
            if stage == 0 || leaves.count() > 0 {
                steps.extend(issued);
                open = barriers(candidates);
            } else {
                // Without tables the stage is not there, and what is open stays so.
                steps.push(Node::select(Test::Walk, seq(issued), Node::Seq(Vec::new())));
                let more = barriers(candidates).into_iter();
                let more: Vec<usize> = more.filter(|barrier| !open.contains(barrier)).collect();
                open.extend(more);
            }
        }
        steps.push(required);
        let all = Node::Call(Shape::Everything(context.space, context.reach));
        let counts = self.counts(context, counted, chosen.tables.is_some(), stages);
        let body = counts.into_iter().rev().fold(seq(steps), |rest, count| {
            Node::select(Test::OverCeiling(count), all.clone(), rest)
        });
        let node = Node::Passes {
            folding: Shape::Folding(context.space, context.reach),
            body: Box::new(body),
        };
        let choices = chosen.all();
        choices.fold(node, |node, choice| guarded(self.model, choice, node))
    }

    /// One stage of the loops: cuts, leaves, what names no address, and workarounds.
    fn stage(&self, context: &PlanContext<'m>, chosen: &Chosen, stage: u8) -> Vec<Node> {
        let none = || Node::Seq(Vec::new());
        let mut steps = Vec::new();
        let mut whole = once(context, whole_of(chosen.leaves.iter(), stage));
        if let Some(tables @ [.., walk]) = &chosen.tables {
            let live = if stage == 0 {
                self.live_cuts(context, tables)
            } else {
                none()
            };
            if walk.by_address() {
                steps.extend(over(context, Over::Cuts, tables.iter(), stage));
                steps.push(live);
                let tables = once(context, whole_of(tables.iter(), stage));
                whole = Node::select(Test::Walk, tables, whole);
            } else {
                // Nothing drops walk entries by address: what does comes first, for all cuts at once.
                let all = once(context, walk.of_stage(stage));
                steps.push(Node::select(Test::Walk, seq([all, live]), none()));
            }
        }
        steps.extend(over(context, Over::Leaves, chosen.all(), stage));
        steps.push(whole);
        let addressed = chosen.all().flat_map(|choice| choice.addressed(stage));
        steps.extend(workarounds::after_loop(self.model, addressed));
        steps
    }

    /// What follows the first stage of the cuts where what is below them is live: walk entries that no pass has dropped
    /// yet, until all are gone. Leaf entries come after that.
    fn live_cuts(&self, context: &PlanContext<'m>, tables: &[Rc<Choice>; 3]) -> Node {
        let [.., walk] = tables;
        let mut steps = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        for stage in 0..CacheSet::MAX as u8 {
            let candidates: Vec<&Candidate> = walk.of_stage(stage).collect();
            if candidates.is_empty() {
                continue;
            }
            let complete = std::mem::replace(&mut open, barriers(candidates));
            steps.extend(complete.into_iter().map(|b| self.gone(context, b)));
            if stage > 0 {
                steps.extend(over(context, Over::Cuts, tables.iter(), stage));
            }
            if stage > 0 || walk.by_address() {
                let now = walk
                    .whole(stage)
                    .filter(|candidate| !candidate.is_deferred());
                steps.push(once(context, now));
            }
            let addressed = walk.addressed(stage);
            steps.extend(workarounds::after_loop(self.model, addressed));
        }
        steps.extend(open.into_iter().map(|b| self.gone(context, b)));
        Node::select(Test::Live, seq(steps), Node::Seq(Vec::new()))
    }
}

/// A loop over passes, where an instruction of a stage names addresses.
fn over<'a>(
    context: &PlanContext<'_>,
    over: Over,
    mut choices: impl Iterator<Item = &'a Rc<Choice>>,
    stage: u8,
) -> Option<Node> {
    let addressed = choices.any(|choice| choice.addressed(stage).next().is_some());
    addressed.then(|| Node::Each {
        over,
        body: Box::new(Node::Call(Shape::Pass(context.space, context.reach, stage))),
        rest: None,
    })
}

/// What names no address, with all that its errata want.
fn once<'a>(context: &PlanContext<'_>, candidates: impl Iterator<Item = &'a Candidate>) -> Node {
    seq(issues(context, candidates, false, true))
}

/// The means of loops that name no address: each once.
fn whole_of<'a>(
    choices: impl Iterator<Item = &'a Rc<Choice>>,
    stage: u8,
) -> impl Iterator<Item = &'a Candidate> {
    let mut whole: Vec<&Candidate> = Vec::new();
    for candidate in choices.flat_map(|choice| choice.whole(stage)) {
        if !whole.contains(&candidate) {
            whole.push(candidate);
        }
    }
    whole.into_iter()
}
