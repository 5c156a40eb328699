//! Passes: consecutive entries of one level, one by one or in runs.
//!
//! In: the choices for one entry and for runs. Out: the nodes of `Pass` and of `Folding`, and how operations are
//! counted against a ceiling. Holds: the instructions for a run invalidate what those for its entries do.

use std::rc::Rc;

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::{CacheSet, MaxCount, RunUnit};
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::passes::{Folding, Leaves, Walks};

use super::addressing::Addressing;
use super::builder::PlanBuilder;
use super::candidates::Candidate;
use super::choose::{Choice, wanted};
use super::context::PlanContext;
use super::demand::{Demand, DemandExtent, LEAF, WALK};
use super::factor::seq;
use super::ir::{Count, Node, Over, Test};
use super::levels::{LevelDemand, PassDemands, levels_of};
use super::stages::Refills;
use super::steps::{by_level, issues};

/// A run: the operand that has the count, the largest count, and what is counted.
type RunOperand = (usize, MaxCount, RunUnit);

impl<'m> PlanBuilder<'m, '_> {
    /// Returns the flush of consecutive entries of one level, at one stage; nothing if they are never flushed one
    /// by one.
    pub(super) fn pass(&mut self, context: &PlanContext<'m>, stage: u8) -> Option<Node> {
        let demands = self.pass_demands(context);
        let leaf = self.by_stride(context, &demands.leaf, stage)?;
        let both = self.by_stride(context, &demands.both, stage);
        let walk = self.by_stride(context, &demands.walk, stage);
        let apart = !self.are_by_address(context, &demands.walk);
        let node = match (both, walk) {
            (Some(both), Some(walk)) if !apart => Node::select(
                Test::WalkEntries,
                Node::select(Test::LeafEntries, both, walk),
                leaf,
            ),
            _ => leaf,
        };
        let negative = self.negative(context, stage);
        let node = match negative {
            Some(negative) => Node::select(Test::NegativeEntries, negative, node),
            None => node,
        };
        (stage == 0 || node != Node::Seq(Vec::new())).then_some(node)
    }

    /// Returns the same for negative entries. Levels whose negative entries are not invalidated by address have no
    /// passes.
    fn negative(&mut self, context: &PlanContext<'m>, stage: u8) -> Option<Node> {
        let demands = self.negative_demands(context);
        self.by_stride(context, &demands, stage)
    }

    /// Returns the flush of entries of each stride; nothing if those of a stride are never flushed one by one, and if there is no
    /// stride.
    fn by_stride(
        &mut self,
        context: &PlanContext<'m>,
        demands: &[LevelDemand],
        stage: u8,
    ) -> Option<Node> {
        let steps = demands.iter().map(|(levels, demand)| {
            let entries = self.entries(context, *demand, stage)?;
            Some((*levels, entries))
        });
        let steps: Option<Vec<(Levels, Node)>> = steps.collect();
        by_level(steps?)
    }

    /// Returns whether entries are invalidated by address.
    pub(super) fn are_by_address(
        &mut self,
        context: &PlanContext<'m>,
        demands: &[LevelDemand],
    ) -> bool {
        let mut choices = demands.iter().map(|(_, it)| self.choose(context, *it));
        choices.all(|choice| choice.by_address())
    }

    fn entries(&mut self, context: &PlanContext<'m>, demand: Demand, stage: u8) -> Option<Node> {
        let one = self.choose(context, demand);
        if !one.by_address() {
            return None;
        }
        let single = seq(issues(context, one.addressed(stage), one.hint, false));
        if one.addressed(stage).next().is_none() {
            return Some(single);
        }
        let each = |over, body, rest: Option<Node>| Node::Loop {
            over,
            each: Box::new(body),
            rest: rest.map(Box::new),
        };
        let by_entry = each(Over::Entries, single.clone(), None);
        let Some(many) = self.runs(context, demand) else {
            return Some(by_entry);
        };
        let Some((operand, most, stride)) = run_at(&many, stage) else {
            return Some(by_entry);
        };
        let body = seq(issues(context, many.addressed(stage), many.hint, false));
        // Pages come in units, which may leave one page; entries come one by one.
        let rest = matches!(stride, RunUnit::Pages).then_some(single);
        let by_run = each(Over::Runs { operand, most }, body, rest);
        Some(match stride {
            RunUnit::Pages => Node::select(Test::FitsRun(operand), by_run, by_entry),
            RunUnit::Entries(levels) => Node::select(Test::Stride(levels), by_run, by_entry),
        })
    }

    /// Returns the choice for runs, if a pass can use it instead of the one for single entries: each stage with
    /// addresses has runs of one kind, and no stage issues anything more without addresses.
    pub(super) fn runs(&mut self, context: &PlanContext<'m>, demand: Demand) -> Option<Rc<Choice>> {
        let one = self.choose(context, demand);
        let runs = Demand {
            extent: DemandExtent::Runs,
            ..demand
        };
        let many = self.chooser.choose(context, runs)?;
        let serves = (0..CacheSet::MAX as u8).all(|stage| {
            let named = one.addressed(stage).next().is_some();
            let mut whole = many.whole(stage);
            named == run_at(&many, stage).is_some()
                && named == many.addressed(stage).next().is_some()
                && whole.all(|candidate| one.candidates.contains(candidate))
        });
        serves.then_some(many)
    }

    /// Returns which entries one instruction of a pass invalidates together.
    pub(super) fn folding(&mut self, context: &PlanContext<'m>) -> Option<Node> {
        let demands = self.pass_demands(context);
        let apart = !self.are_by_address(context, &demands.walk);
        let by_level = demands.has_walks_of_level();
        let joint = apart || !by_level && !self.refills(context, &demands.both);
        self.are_by_address(context, &demands.leaf).then(|| {
            Node::Fold(Folding {
                leaves: if demands.has_leaves_of_level() {
                    Leaves::Apart
                } else {
                    self.leaves(context)
                },
                walks: if apart {
                    Walks::Apart
                } else if by_level {
                    Walks::Level
                } else if self.walks_of_everything(context, &demands.walk)
                    && (!joint || self.walks_of_everything(context, &demands.both))
                {
                    Walks::All
                } else {
                    Walks::Named
                },
                joint,
                negative: self.negative_go_together(context),
            })
        })
    }

    /// Returns whether leaf entries of a pass could be made again by walk entries that it invalidates with other instructions.
    fn refills(&mut self, context: &PlanContext<'m>, both: &[LevelDemand]) -> bool {
        let mut choices = both.iter().map(|(_, it)| self.choose(context, *it));
        choices.any(|both| Refills::of(context, &both, |kind| context.classes(kind)).possible())
    }

    /// Returns which leaf entries of higher levels the instructions of a pass invalidate, for each entry or for runs of them.
    fn leaves(&mut self, context: &PlanContext<'m>) -> Leaves {
        let one = self.choose(context, LEAF.each()).leaves();
        match self.runs(context, LEAF.each()) {
            Some(runs) => one.min(runs.leaves()),
            // One by one, the entries of a longer pass take more instructions.
            None if one == Leaves::Whole => Leaves::Apart,
            None => one,
        }
    }

    /// Returns whether the instructions for negative entries of one level invalidate those of every level at the
    /// address.
    fn negative_go_together(&mut self, context: &PlanContext<'m>) -> bool {
        let all = Demand {
            negative: Levels::ALL,
            ..LEAF.each()
        };
        let demands = self.negative_demands(context);
        let levels = self.levels_with_negative();
        let Some(one) = self.chooser.choose(context, all) else {
            return false;
        };
        let runs = self.runs(context, all);
        let mut choices = [Some(&one), runs.as_ref()].into_iter().flatten();
        choices.all(|choice| choice.leaves() != Leaves::Whole)
            && !levels.is_empty()
            && levels_of(&demands) == levels
            && demands.into_iter().all(|(_, demand)| {
                self.choose(context, demand) == one && self.runs(context, demand) == runs
            })
    }

    /// Returns whether the instructions of a pass, for each entry or for runs of them, invalidate the walk entries of all
    /// addresses.
    fn walks_of_everything(&mut self, context: &PlanContext<'m>, passes: &[LevelDemand]) -> bool {
        let all = wanted(context, WALK, Levels::ALL, Levels::ALL);
        let choices = passes
            .iter()
            .flat_map(|(_, pass)| [Some(self.choose(context, *pass)), self.runs(context, *pass)]);
        let choices: Vec<Rc<Choice>> = choices.flatten().collect();
        choices.iter().all(|choice| {
            all.iter().enumerate().all(|(view, wanted)| {
                let candidates = choice.candidates.iter();
                let dropped = candidates.map(|candidate| match candidate.addressing {
                    Addressing::Everything => &candidate.cells[view],
                    _ => &candidate.everywhere[view],
                });
                let dropped = dropped.fold(Cells::NONE, Cells::union);
                dropped.covers(wanted)
            })
        })
    }

    /// Returns how the operations of loops are counted, at each stage with addresses.
    pub(super) fn counts(
        &mut self,
        context: &PlanContext<'m>,
        needs: &[Demand],
        tables: Option<&PassDemands>,
        stages: u8,
    ) -> Vec<Count> {
        let mut counts = Vec::new();
        for stage in 0..stages {
            for demand in needs {
                if self
                    .choose(context, *demand)
                    .addressed(stage)
                    .next()
                    .is_none()
                {
                    continue;
                }
                let mut run = |demand| run_at(&*self.runs(context, demand)?, stage);
                let walks = tables.is_some_and(|demands| {
                    let mut all = demands.walk.iter().chain(&demands.both);
                    all.all(|(_, demand)| run(*demand).is_some())
                });
                let count = match run(*demand) {
                    Some((operand, _, RunUnit::Pages)) => Count::PageRuns(operand, walks),
                    Some((_, most, RunUnit::Entries(levels))) => {
                        Count::EntryRuns(most, levels, walks)
                    }
                    None => Count::Entries,
                };
                if !counts.contains(&count) {
                    counts.push(count);
                }
            }
        }
        counts
    }
}

/// Returns the run of a stage, if all its candidates with addresses count in the same way.
fn run_at(choice: &Choice, stage: u8) -> Option<RunOperand> {
    let mut runs = choice.addressed(stage).map(run_of);
    let first = runs.next()??;
    runs.all(|run| run == Some(first)).then_some(first)
}

fn run_of(candidate: &Candidate) -> Option<RunOperand> {
    match candidate.addressing {
        Addressing::Run {
            most,
            stride,
            operand,
            ..
        } => Some((operand, most, stride)),
        _ => None,
    }
}
