//! Who is told, and how a flush is completed.
//!
//! In: the choices of a setting. Out: the nodes of `Finish` and `Told`. Holds: every barrier after
//! which a chosen instruction is done is issued, each erratum's remedy follows the barrier that it
//! mends, and CPUs that no instruction drains are interrupted.

use tlbc_runtime::backend::Audience;
use tlbc_runtime::clause::Holders;
use tlbc_runtime::request::{Reach, Space};

use super::choose::{Need, Of};
use super::factor::seq;
use super::ir::{Node, Reason, Test};
use super::pool::{Means, Setting};
use super::remedies;
use super::shapes::{LEAF, LEAF_AND_WALK, Shaper, TEARDOWN, WALK, absent_too, either};
use super::steps::issues;
use crate::model::{Instr, Lost, Resync};

impl<'m> Shaper<'m, '_> {
    /// Every means of every choice that a flush in this setting can make.
    fn chosen(&mut self, setting: &Setting<'m>) -> Vec<Means> {
        let all = |need: Need| Need {
            of: Of::Everything,
            ..absent_too(need)
        };
        let mut needs = vec![LEAF, LEAF_AND_WALK, WALK, all(LEAF), all(LEAF_AND_WALK)];
        if self.model.caches.invalid_cached {
            needs.push(absent_too(LEAF));
        }
        let mut means = Vec::new();
        if self.model.caches.root.is_some() {
            let left = Setting {
                entering: true,
                ..*setting
            };
            let early = |means: &Means| !means.late;
            means.extend(self.choose(&left, TEARDOWN).means.into_iter().filter(early));
        }
        for need in needs {
            means.extend(self.choose(setting, need).means);
        }
        means
    }

    /// Completion: what is made from other entries goes when those are gone.
    pub(super) fn completion(&mut self, setting: &Setting<'m>) -> Node {
        let chosen = self.chosen(setting);
        let mut late: Vec<&Means> = Vec::new();
        for means in chosen.iter().filter(|means| means.late) {
            if !late.contains(&means) {
                late.push(means);
            }
        }
        let mut steps = vec![Node::Notify];
        let mut interrupts = 0u8;
        let early: Vec<&Means> = chosen.iter().filter(|means| !means.late).collect();
        for barrier in barriers(&early) {
            steps.push(self.complete(setting, barrier));
            interrupts |= self.undrained(setting, barrier);
        }
        steps.extend(issues(setting, late.iter().copied(), false, true));
        for barrier in barriers(&late) {
            steps.push(self.complete(setting, barrier));
            interrupts |= self.undrained(setting, barrier);
        }
        if steps.len() == 1 {
            steps.push(Node::Nothing(Reason::AtOnce));
        }
        if interrupts != 0 {
            steps.push(Node::Deliver {
                to: Audience {
                    holders: Holders::NONE,
                    sets: interrupts,
                },
                flush: false,
            });
        }
        steps.extend(self.resync(self.model.space(setting.space).resync.as_ref()));
        seq(steps)
    }

    /// What follows for this CPU to fetch anew, if anything has to.
    pub(super) fn resync(&self, resync: Option<&Resync>) -> Option<Node> {
        let barrier = resync?.barrier(self.config)?;
        Some(Node::Resync { barrier })
    }

    /// A completing barrier with the remedies of its errata.
    pub(super) fn complete(&self, setting: &Setting<'_>, barrier: usize) -> Node {
        self.with(&setting.remedies(Instr::Barrier(barrier)), barrier)
    }

    /// A completing barrier after which entries are gone, drained or not: all that has to hold before
    /// leaves go that a walk entry could make again.
    pub(super) fn gone(&self, setting: &Setting<'_>, barrier: usize) -> Node {
        let target = Instr::Barrier(barrier);
        let loses = |erratum: usize| {
            let mut weakens = self.model.errata[erratum].weakens.iter();
            weakens.any(|w| w.target.value == target && w.lost.value == Lost::Gone)
        };
        let mut wanted = setting.remedies(target);
        wanted.retain(|(erratum, _)| loses(*erratum));
        self.with(&wanted, barrier)
    }

    fn with(&self, wanted: &[(usize, usize)], barrier: usize) -> Node {
        let before = remedies::beside_barrier(self.model, wanted, false);
        let after = remedies::beside_barrier(self.model, wanted, true);
        seq(before
            .into_iter()
            .chain([Node::Complete { barrier }])
            .chain(after))
    }

    /// The sets of CPUs that a completing barrier leaves undrained, one bit each.
    pub(super) fn undrained(&self, setting: &Setting<'_>, barrier: usize) -> u8 {
        let target = Instr::Barrier(barrier);
        let errata = self.model.errata.iter().enumerate();
        let present = errata.filter(|(index, _)| self.config.suffers(*index));
        let weakens = present.flat_map(|(_, erratum)| &erratum.weakens);
        let here = weakens.filter(|w| w.target.value == target && setting.meets(w));
        let drains = here.filter(|w| w.lost.value == Lost::Drained);
        drains
            .filter_map(|w| w.on)
            .fold(0, |sets, set| sets | 1 << set)
    }

    pub(super) fn told(&mut self, space: Space) -> Node {
        let mut nodes = Vec::new();
        for setting in self.settings(space, Reach::Wide) {
            if self.direct(&setting) {
                nodes.push(Node::Nothing(Reason::NobodyElse));
                continue;
            }
            let to = |holders| Node::Deliver {
                to: Audience { holders, sets: 0 },
                flush: true,
            };
            let loaded = Holders::ACTIVE.union(Holders::LAZY);
            let walkers = to(loaded);
            let told = match space {
                Space::Kernel => walkers,
                Space::User => Node::select(Test::Walk, walkers, to(Holders::ACTIVE)),
            };
            // The tag of a space that ends may go to another, under which nobody would look for what
            // parked CPUs still owe.
            let ends = self.model.caches.root.is_some() && setting.of_machine;
            nodes.push(if ends && space == Space::User {
                Node::select(Test::Ends, to(loaded.union(Holders::PARKED)), told)
            } else {
                told
            });
        }
        either(nodes).unwrap_or(Node::Nothing(Reason::NobodyElse))
    }
}

/// The barriers after which means are done.
pub fn barriers(means: &[&Means]) -> Vec<usize> {
    let mut barriers = Vec::new();
    for barrier in means.iter().filter_map(|means| means.after) {
        if !barriers.contains(&barrier) {
            barriers.push(barrier);
        }
    }
    barriers
}
