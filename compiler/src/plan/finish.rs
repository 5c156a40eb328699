//! Which CPUs are interrupted, and how a flush is completed.
//!
//! In: the choices of a setting. Out: the nodes of `Finish` and `Told`, and what each routine says of its completion.
//! Holds: every barrier after which an issued instruction is done follows it, each erratum's workaround follows the
//! barrier that it mends, and CPUs that no instruction drains are interrupted. Where routines differ in what they require,
//! each names its steps, and completion does no others.

use std::collections::BTreeSet;
use std::rc::Rc;

use tlbc_runtime::agents::Agents;
use tlbc_runtime::backend::{FinishSteps, IpiTargets};
use tlbc_runtime::request::{Reach, Space};

use super::builder::{LEAF, LEAF_AND_WALK, PlanBuilder, TEARDOWN, either, negative_too};
use super::candidates::Candidate;
use super::choose::{Demand, Extent};
use super::context::PlanContext;
use super::factor::seq;
use super::ir::{Node, Reason, Test};
use super::stages::{Staged, barriers};
use super::steps::issues;
use super::workarounds;
use crate::model::{Instr, Lost, Machine, Resync};

/// A part of a routine whose completion may differ from that of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Page { walk: bool },
    Ranges { walk: bool },
    Appeared,
    Everything { walk: bool },
    Teardown,
}

impl Part {
    const ALL: [Part; 8] = [
        Part::Page { walk: false },
        Part::Page { walk: true },
        Part::Ranges { walk: false },
        Part::Ranges { walk: true },
        Part::Appeared,
        Part::Everything { walk: false },
        Part::Everything { walk: true },
        Part::Teardown,
    ];
}

/// A step of completion.
struct Step {
    what: What,
    /// The parts that require it, one bit each.
    parts: u16,
}

#[derive(PartialEq)]
enum What {
    /// A completing barrier.
    Complete(usize),
    /// An instruction for which nothing has to be known.
    Issue(Box<Candidate>),
    /// An interrupt of these sets of CPUs.
    Interrupt(u8),
}

/// The steps of completion, and which of them depend on what was issued.
pub struct Completion {
    steps: Vec<Step>,
    /// The parts that differ, each set of parts a bit of [`FinishSteps`].
    distinct: Vec<u16>,
}

impl Completion {
    /// The bit of a step; none of one that every part requires.
    fn bit(&self, step: &Step) -> FinishSteps {
        let position = self.distinct.iter().position(|parts| *parts == step.parts);
        position.map_or(FinishSteps::NONE, |bit| FinishSteps(1 << bit))
    }
}

impl<'m> PlanBuilder<'m, '_> {
    /// What a part issues, by stage; nothing where no request gets there.
    fn staged(&mut self, context: &PlanContext<'m>, part: Part) -> Option<Staged> {
        let demand = |walk| if walk { LEAF_AND_WALK } else { LEAF };
        match part {
            Part::Page { walk } => Some(Staged::of([&self.choose(context, demand(walk))])),
            Part::Ranges { walk } => self.ranges_staged(context, walk),
            Part::Appeared => self.negative_staged(context),
            Part::Everything { walk } => {
                let all = Demand {
                    extent: Extent::Everything,
                    ..negative_too(demand(walk))
                };
                let choice = self.choose(context, all);
                Some(Staged::everything(context, &choice, all))
            }
            Part::Teardown => {
                self.model.caches.root?;
                let left = PlanContext {
                    entering: true,
                    ..*context
                };
                let choice = self.choose(&left, TEARDOWN);
                Some(Staged::everything(&left, &choice, TEARDOWN))
            }
        }
    }

    /// The steps that complete all parts. Each routine of a setting asks for them.
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
        let numbered = Part::ALL.into_iter().enumerate();
        let parts: Vec<(u16, Staged)> = numbered
            .filter_map(|(number, part)| Some((1 << number, self.staged(context, part)?)))
            .collect();
        let mut steps = Vec::new();
        for (part, staged) in &parts {
            for barrier in staged.open() {
                require(&mut steps, What::Complete(barrier), *part);
            }
        }
        let stages = parts.iter().flat_map(|(_, staged)| staged.late.keys());
        for stage in stages.collect::<BTreeSet<_>>() {
            let (mut issued, mut completed) = (Vec::new(), Vec::new());
            for (part, staged) in &parts {
                for candidate in staged.late.get(stage).into_iter().flatten() {
                    require(&mut issued, What::Issue(Box::new(candidate.clone())), *part);
                    for &barrier in &candidate.after {
                        require(&mut completed, What::Complete(barrier), *part);
                    }
                }
            }
            steps.extend(issued);
            steps.extend(completed);
        }
        let mut interrupts = (0, 0);
        for (part, staged) in &parts {
            let candidates = staged.now.iter().chain(staged.late.values()).flatten();
            let sets = barriers(candidates).into_iter();
            let sets = sets.fold(0, |sets, barrier| sets | self.undrained(context, barrier));
            if sets != 0 {
                interrupts = (interrupts.0 | sets, interrupts.1 | part);
            }
        }
        if interrupts.0 != 0 {
            require(&mut steps, What::Interrupt(interrupts.0), interrupts.1);
        }
        let all = parts.iter().fold(0, |all, (part, _)| all | part);
        let mut distinct: Vec<u16> = Vec::new();
        for step in &steps {
            if step.parts != all && !distinct.contains(&step.parts) {
                distinct.push(step.parts);
            }
        }
        // More cannot be told apart: then each part gets all steps.
        if distinct.len() > FinishSteps::MOST {
            distinct.clear();
        }
        Completion { steps, distinct }
    }

    /// Whether every part requires the same of completion.
    pub(super) fn completes_alike(&mut self, context: &PlanContext<'m>) -> bool {
        self.completion_steps(context).distinct.is_empty()
    }

    /// What a part requires of completion beyond what all parts do.
    pub(super) fn requires(&mut self, context: &PlanContext<'m>, part: Part) -> Option<Node> {
        let completion = self.completion_steps(context);
        let number = Part::ALL.iter().position(|other| *other == part)?;
        let own = completion
            .steps
            .iter()
            .filter(|step| step.parts & 1 << number != 0);
        let bits = own.fold(FinishSteps::NONE, |all, step| all | completion.bit(step));
        (bits != FinishSteps::NONE).then_some(Node::Requires(bits))
    }

    /// Completion: what is made from other entries is dropped when those are gone.
    pub(super) fn completion(&mut self, context: &PlanContext<'m>) -> Node {
        let completion = self.completion_steps(context);
        let mut groups: Vec<(FinishSteps, Vec<Node>)> = Vec::new();
        for step in &completion.steps {
            let bit = completion.bit(step);
            let nodes = self.completing(context, &step.what);
            match groups.last_mut() {
                Some((same, group)) if *same == bit => group.extend(nodes),
                _ => groups.push((bit, nodes)),
            }
        }
        let mut steps = vec![Node::InvalidateSecondary];
        if groups.is_empty() {
            steps.push(Node::Nothing(Reason::AtOnce));
        }
        let mut resync = self.resync(self.model.space(context.space).resync.as_ref());
        let last = groups.len();
        for (number, (bit, nodes)) in groups.into_iter().enumerate() {
            // Where its barrier has completed the flush already it is not issued again.
            let done = number + 1 == last
                && matches!(
                    (nodes.last(), &resync),
                    (Some(Node::Complete { barrier, .. }), Some(Node::Resync { barrier: again }))
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
        seq(steps)
    }

    fn completing(&self, context: &PlanContext<'_>, what: &What) -> Vec<Node> {
        match what {
            What::Complete(barrier) => vec![self.complete(context, *barrier)],
            What::Issue(candidate) => issues(context, [&**candidate].into_iter(), false, true),
            What::Interrupt(sets) => vec![Node::SendIpi {
                to: IpiTargets {
                    agents: Agents::NONE,
                    sets: *sets,
                },
                flush: false,
            }],
        }
    }

    /// What follows for this CPU to fetch anew, if anything has to.
    pub(super) fn resync(&self, resync: Option<&Resync>) -> Option<Node> {
        let barrier = resync?.barrier(self.machine)?;
        Some(Node::Resync { barrier })
    }

    /// A completing barrier with the workarounds of its errata.
    pub(super) fn complete(&self, context: &PlanContext<'_>, barrier: usize) -> Node {
        self.with(&context.workarounds(Instr::Barrier(barrier)), barrier)
    }

    /// A completing barrier after which entries are gone, drained or not: all that has to hold before
    /// leaves go that a walk entry could make again.
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
            .chain([Node::Complete { barrier, of: None }])
            .chain(after))
    }

    /// The sets of CPUs that a completing barrier leaves undrained, one bit each.
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

    pub(super) fn ipi_targets(&mut self, space: Space) -> Node {
        let mut nodes = Vec::new();
        for context in self.contexts(space, Reach::Wide) {
            if self.direct(&context) {
                nodes.push(Node::Nothing(Reason::NobodyElse));
                continue;
            }
            let to = |agents| Node::SendIpi {
                to: IpiTargets { agents, sets: 0 },
                flush: true,
            };
            let loaded = Agents::ACTIVE.union(Agents::LAZY);
            let walkers = to(loaded);
            let ipi_targets = match space {
                Space::Kernel => walkers,
                Space::User => Node::select(Test::Walk, walkers, to(Agents::ACTIVE)),
            };
            // The tag of a space that ends may go to another, under which nobody would look for what
            // parked CPUs still owe.
            let ends = self.model.caches.root.is_some() && context.global_tag;
            nodes.push(if ends && space == Space::User {
                Node::select(Test::Ends, to(loaded.union(Agents::INACTIVE)), ipi_targets)
            } else {
                ipi_targets
            });
        }
        either(nodes).unwrap_or(Node::Nothing(Reason::NobodyElse))
    }
}

/// Adds a part to those that require a step.
fn require(steps: &mut Vec<Step>, what: What, part: u16) {
    match steps.iter_mut().find(|step| step.what == what) {
        Some(step) => step.parts |= part,
        None => steps.push(Step { what, parts: part }),
    }
}
