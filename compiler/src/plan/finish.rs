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
use super::shapes::{LEAF, LEAF_AND_WALK, Shaper, WALK, either};
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
            steps.push(Node::Complete { barrier });
            let (remedies, sets) = self.errata_of(setting, barrier);
            steps.extend(remedies);
            interrupts |= sets;
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

    /// What errata of a completing barrier ask for: remedies, and sets of CPUs to interrupt.
    fn errata_of(&mut self, setting: &Setting<'_>, barrier: usize) -> (Vec<Node>, u8) {
        let target = Instr::Barrier(barrier);
        let (mut steps, mut sets) = (Vec::new(), 0u8);
        for (index, erratum) in self.model.errata.iter().enumerate() {
            let weakened = |w: &&crate::model::Weakens| {
                w.target.value == target
                    && w.space.is_none_or(|space| space == setting.space)
                    && w.when.holds(self.config)
            };
            if !self.config.suffers(index) {
                continue;
            }
            for weakens in erratum.weakens.iter().filter(weakened) {
                if let (Lost::Drained, Some(set)) = (weakens.lost.value, weakens.on) {
                    sets |= 1 << set;
                    continue;
                }
                for remedy in erratum.remedies.iter().filter(|r| r.target.value == target) {
                    steps.extend(remedy.issue.iter().map(|instr| match *instr {
                        Instr::Barrier(barrier) => Node::Complete { barrier },
                        Instr::Invalidate(invalidate) => Node::Remedy {
                            erratum: index,
                            invalidate,
                        },
                    }));
                }
            }
        }
        (steps, sets)
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
