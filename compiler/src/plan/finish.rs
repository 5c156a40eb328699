//! The CPUs that get an IPI, and how a flush is completed.
//!
//! In: the choices of a context. Out: the nodes of `Finish` and `IpiTargets`, and what each routine requires of
//! completion. Holds: every instruction is followed by the barriers after which it is complete, each barrier by the
//! workarounds of its errata, and CPUs whose accesses no barrier drains get an IPI. If routines require different
//! steps, each names its own, and completion executes no others.

use std::collections::BTreeSet;
use std::rc::Rc;

use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::{FinishSteps, IpiTargets};
use tlbc_runtime::request::{Reach, Space};

use super::builder::{PlanBuilder, either};
use super::candidates::Candidate;
use super::choose::Choice;
use super::completion::{Action, Completion, RoutinePart, require};
use super::context::PlanContext;
use super::demand::{Demand, DemandExtent, LEAF, LEAF_AND_WALK, TEARDOWN, negative_too};
use super::factor::seq;
use super::ir::{Node, Reason, Test};
use super::stages::{Staged, barriers};
use super::steps::{before, guarded, issues};
use super::workarounds;
use crate::model::{CachedKind, Instr, Lost, Machine, Resync};

impl<'m> PlanBuilder<'m, '_> {
    /// Returns what a part issues, by stage; nothing if no request has the part.
    fn staged(&mut self, context: &PlanContext<'m>, part: RoutinePart) -> Option<Staged> {
        let demand = |walk| if walk { LEAF_AND_WALK } else { LEAF };
        match part {
            RoutinePart::Page { walk } => {
                let demands = self.page_demands(context, walk);
                let choices = demands
                    .iter()
                    .map(|(_, demand)| self.choose(context, *demand));
                let choices: Vec<Rc<Choice>> = choices.collect();
                Some(Staged::of(&choices))
            }
            RoutinePart::Ranges { walk } => self.ranges_staged(context, walk),
            RoutinePart::Negative => self.negative_staged(context),
            RoutinePart::Everything { walk } => {
                let all = Demand {
                    extent: DemandExtent::Everything,
                    ..negative_too(demand(walk))
                };
                let choice = self.choose(context, all);
                Some(Staged::all_of_space(context, &choice, all))
            }
            RoutinePart::Teardown => {
                if !self.model.caches.hold(CachedKind::Root, self.machine) {
                    return None;
                }
                let left = PlanContext {
                    entering: true,
                    ..*context
                };
                let choice = self.choose(&left, TEARDOWN);
                Some(Staged::all_of_space(&left, &choice, TEARDOWN))
            }
        }
    }

    /// Returns the steps that complete all parts, which each routine of a context asks for.
    fn completion_steps(&mut self, context: &PlanContext<'m>) -> Rc<Completion> {
        let key = context.key();
        if let Some(known) = self.completions.get(&key) {
            return Rc::clone(known);
        }
        let completion = Rc::new(self.completion_of(context));
        self.completions.insert(key, Rc::clone(&completion));
        completion
    }

    fn completion_of(&mut self, context: &PlanContext<'m>) -> Completion {
        let numbered = RoutinePart::ALL.into_iter().enumerate();
        let parts: Vec<(u16, Staged)> = numbered
            .filter_map(|(number, part)| Some((1 << number, self.staged(context, part)?)))
            .collect();
        let mut steps = Vec::new();
        for (part, staged) in &parts {
            for barrier in staged.open() {
                require(&mut steps, Action::Complete(barrier), *part);
            }
        }
        let stages = parts.iter().flat_map(|(_, staged)| staged.late.keys());
        for stage in stages.collect::<BTreeSet<_>>() {
            let (mut ahead, mut issued, mut completed) = (Vec::new(), Vec::new(), Vec::new());
            for (part, staged) in &parts {
                let late = staged.late.get(stage).into_iter().flatten();
                let barriers = before(late.clone());
                if !barriers.is_empty() {
                    require(&mut ahead, Action::Precede(barriers), *part);
                }
                for candidate in late {
                    require(
                        &mut issued,
                        Action::Issue(Box::new(candidate.clone())),
                        *part,
                    );
                    for &barrier in &candidate.after {
                        require(&mut completed, Action::Complete(barrier), *part);
                    }
                }
            }
            steps.extend(ahead);
            steps.extend(issued);
            steps.extend(completed);
        }
        let mut ipis = (0, 0);
        for (part, staged) in &parts {
            let candidates = staged.now.iter().chain(staged.late.values()).flatten();
            let sets = barriers(candidates).into_iter();
            let sets = sets.fold(0, |sets, barrier| sets | self.undrained(context, barrier));
            if sets != 0 {
                ipis = (ipis.0 | sets, ipis.1 | part);
            }
        }
        if ipis.0 != 0 {
            require(&mut steps, Action::SendIpi(ipis.0), ipis.1);
        }
        let all = parts.iter().fold(0, |all, (part, _)| all | part);
        let mut distinct: Vec<u16> = Vec::new();
        for step in &steps {
            if step.parts != all && !distinct.contains(&step.parts) {
                distinct.push(step.parts);
            }
        }
        // There are no more bits, so each part gets all steps.
        if distinct.len() > FinishSteps::MOST {
            distinct.clear();
        }
        Completion { steps, distinct }
    }

    /// Returns whether every part requires the same steps.
    pub(super) fn completes_alike(&mut self, context: &PlanContext<'m>) -> bool {
        self.completion_steps(context).distinct.is_empty()
    }

    /// Returns the steps that a part requires beyond those that all parts require.
    pub(super) fn requires(
        &mut self,
        context: &PlanContext<'m>,
        part: RoutinePart,
    ) -> Option<Node> {
        let completion = self.completion_steps(context);
        let number = RoutinePart::ALL.iter().position(|other| *other == part)?;
        let own = completion
            .steps
            .iter()
            .filter(|step| step.parts & 1 << number != 0);
        let bits = own.fold(FinishSteps::NONE, |all, step| all | completion.bit(step));
        (bits != FinishSteps::NONE).then_some(Node::Requires(bits))
    }

    /// Returns the completion. Entries that a cache makes from others are invalidated after those are gone.
    pub(super) fn completion(&mut self, context: &PlanContext<'m>) -> Node {
        let completion = self.completion_steps(context);
        let mut groups: Vec<(FinishSteps, Vec<Node>)> = Vec::new();
        for step in &completion.steps {
            let bit = completion.bit(step);
            let nodes = self.completing(context, &step.action);
            match groups.last_mut() {
                Some((same, group)) if *same == bit => group.extend(nodes),
                _ => groups.push((bit, nodes)),
            }
        }
        let mut steps = vec![Node::InvalidateSecondary];
        if groups.is_empty() {
            steps.push(Node::Nothing(Reason::AtOnce));
        }
        // This CPU resynchronizes after its own flush.
        let mut resync = match context.reach {
            Reach::Given => None,
            Reach::Here | Reach::Wide => {
                self.resync(self.model.space(context.space).resync.as_ref())
            }
        };
        let last = groups.len();
        for (number, (bit, nodes)) in groups.into_iter().enumerate() {
            // A barrier that has completed the flush also resynchronizes.
            let done = number + 1 == last
                && matches!(
                    (nodes.last(), &resync),
                    (Some(Node::Complete { barrier }), Some(Node::Resync { barrier: again }))
                        if barrier == again
                );
            steps.push(match bit {
                FinishSteps::NONE => seq(nodes),
                bit => {
                    let otherwise = if done { resync.take() } else { None };
                    Node::select(Test::Required(bit), seq(nodes), seq(otherwise))
                }
            });
        }
        steps.extend(resync);
        guarded(context, seq(steps))
    }

    fn completing(&self, context: &PlanContext<'_>, action: &Action) -> Vec<Node> {
        match action {
            Action::Complete(barrier) => vec![self.complete(context, *barrier)],
            Action::Precede(barriers) => barriers.clone(),
            Action::Issue(candidate) => issues(context, [&**candidate].into_iter(), false, true),
            Action::SendIpi(sets) => vec![Node::SendIpi {
                to: IpiTargets {
                    sets: *sets,
                    ..IpiTargets::NONE
                },
                flush: false,
            }],
        }
    }

    /// Returns the context synchronization of this CPU, if it is needed.
    pub(super) fn resync(&self, resync: Option<&Resync>) -> Option<Node> {
        let barrier = resync?.barrier(self.machine)?;
        Some(Node::Resync { barrier })
    }

    /// Returns a completing barrier with the workarounds of its errata.
    pub(super) fn complete(&self, context: &PlanContext<'_>, barrier: usize) -> Node {
        self.with(&context.workarounds(Instr::Barrier(barrier)), barrier)
    }

    /// Returns a completing barrier after which entries are gone, drained or not. That is enough before leaf
    /// entries are invalidated that a walk entry could make again.
    pub(super) fn gone(&self, context: &PlanContext<'_>, barrier: usize) -> Node {
        let target = Instr::Barrier(barrier);
        let loses = |erratum: usize| {
            let mut weakens = self.model.errata[erratum].weakens.iter();
            weakens.any(|w| w.target.value == target && w.lost.value == Lost::Gone)
        };
        let mut wanted = context.workarounds(target);
        wanted.retain(|(erratum, _)| loses(*erratum));
        self.with(&wanted, barrier)
    }

    fn with(&self, wanted: &[(usize, usize)], barrier: usize) -> Node {
        let before = workarounds::beside_barrier(self.model, wanted, false);
        let after = workarounds::beside_barrier(self.model, wanted, true);
        seq(before
            .into_iter()
            .chain([Node::Complete { barrier }])
            .chain(after))
    }

    /// Returns the steps of parts in order; each starts when the one before is complete, with the barriers that its
    /// instructions follow. Returns also the barriers that complete the last part.
    pub(super) fn in_turn<'a>(
        &self,
        context: &PlanContext<'_>,
        parts: impl IntoIterator<Item = (&'a [Candidate], Node)>,
    ) -> (Vec<Node>, Vec<usize>) {
        let (mut steps, mut open) = (Vec::new(), Vec::new());
        for (candidates, issued) in parts {
            if candidates.is_empty() {
                continue;
            }
            let complete = std::mem::replace(&mut open, barriers(candidates));
            steps.extend(complete.into_iter().map(|b| self.complete(context, b)));
            steps.extend(before(candidates));
            steps.push(issued);
        }
        (steps, open)
    }

    /// Returns the sets of CPUs whose accesses a completing barrier does not drain, one bit each.
    pub(super) fn undrained(&self, context: &PlanContext<'_>, barrier: usize) -> u8 {
        let target = Instr::Barrier(barrier);
        let errata = self.model.errata.iter().enumerate();
        let weakens =
            errata.flat_map(|(index, erratum)| erratum.weakens.iter().map(move |w| (index, w)));
        let drains =
            weakens.filter(|(_, w)| w.target.value == target && w.lost.value == Lost::Drained);
        let of_sets = drains.filter_map(|(index, w)| Some((index, w, w.on?)));
        let here = of_sets.filter(|(index, w, _)| context.meets(w) && self.machine.suffers(*index));
        here.fold(0, |sets, (.., set)| sets | 1 << set)
    }

    /// Returns the CPUs to send an IPI.
    pub(super) fn ipi_targets(&mut self, space: Space) -> Node {
        let mut nodes = Vec::new();
        for context in self.contexts(space, Reach::Wide) {
            if self.reaches_others(&context) {
                nodes.push(Node::Nothing(Reason::NoIpi));
                continue;
            }
            let given = PlanContext {
                reach: Reach::Given,
                ..context
            };
            let by_call = self.calls_reach_others(&given);
            let to = |agents| Node::SendIpi {
                to: IpiTargets {
                    agents,
                    sets: 0,
                    by_call,
                },
                flush: true,
            };
            let loaded = Agents::ACTIVE.union(Agents::LAZY);
            let walkers = to(loaded);
            let active = to(Agents::ACTIVE);
            let of_flush = match space {
                Space::Kernel => walkers,
                Space::User if !self.model.caches.hold(CachedKind::Walk, self.machine) => active,
                Space::User => Node::select(Test::WalkEntries, walkers, active),
            };
            // The tag of a space that is torn down may be given to another space, for which inactive CPUs
            // would not flush.
            let has_root_entries =
                self.model.caches.hold(CachedKind::Root, self.machine) && context.global_tag;
            nodes.push(if has_root_entries && space == Space::User {
                Node::select(Test::Teardown, to(loaded.union(Agents::INACTIVE)), of_flush)
            } else {
                of_flush
            });
        }
        either(nodes).unwrap_or(Node::Nothing(Reason::NoIpi))
    }
}
