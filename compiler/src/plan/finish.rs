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
use super::pool::Setting;
use super::shapes::{LEAF, LEAF_AND_WALK, Shaper, WALK, either, remedies};
use crate::model::{Instr, Lost};

impl<'m> Shaper<'m, '_> {
    /// The barriers after which the chosen instructions are done.
    pub(super) fn completions(&mut self, setting: &Setting<'m>) -> Vec<usize> {
        let all = |need: Need| Need {
            of: Of::Everything,
            ..need
        };
        let needs = [LEAF, LEAF_AND_WALK, WALK, all(LEAF), all(LEAF_AND_WALK)];
        let mut barriers = Vec::new();
        for need in needs {
            let choice = self.choose(setting, need);
            for barrier in choice.means.iter().filter_map(|means| means.after) {
                if !barriers.contains(&barrier) {
                    barriers.push(barrier);
                }
            }
        }
        barriers
    }

    pub(super) fn completion(&mut self, setting: &Setting<'m>) -> Node {
        let mut steps = vec![Node::Notify];
        let mut interrupts = 0u8;
        for barrier in self.completions(setting) {
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
        if let Some(resync) = self.model.space(setting.space).resync {
            steps.push(Node::Resync {
                barrier: resync.value,
            });
        }
        seq(steps)
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
        let before = remedies(self.model, wanted, false);
        let after = remedies(self.model, wanted, true);
        seq(before
            .into_iter()
            .chain([Node::Complete { barrier }])
            .chain(after))
    }

    /// The sets of CPUs that a completing barrier leaves undrained, one bit each.
    fn undrained(&self, setting: &Setting<'_>, barrier: usize) -> u8 {
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
            let walkers = to(Holders::ACTIVE.union(Holders::LAZY));
            nodes.push(match space {
                Space::Kernel => walkers,
                Space::User => Node::select(Test::Walk, walkers, to(Holders::ACTIVE)),
            });
        }
        either(nodes).unwrap_or(Node::Nothing(Reason::NobodyElse))
    }
}
