//! What errata weaken, and the workarounds that instructions need.

use super::context::PlanContext;
use crate::model::{Instr, Lost, Machine, Weakens, Workaround};

impl<'m> PlanContext<'m> {
    /// Returns the workarounds that an instruction needs on machines with the errata.
    pub fn workarounds(&self, target: Instr) -> Vec<(usize, usize)> {
        let mut out = Vec::new();
        for (index, erratum) in self.model.errata.iter().enumerate() {
            let mut weakens = erratum.weakens.iter();
            if weakens.any(|w| w.target.value == target && w.on.is_none() && self.meets(w)) {
                let workarounds = erratum.workarounds.iter().enumerate();
                let of_target =
                    workarounds.filter(|(_, workaround)| workaround.target.value == target);
                out.extend(of_target.map(|(number, _)| (index, number)));
            }
        }
        out
    }

    /// Returns the barriers after which an invalidation is complete, together with the instructions that its
    /// workarounds issue last.
    pub fn done_after(&self, invalidate: usize) -> Vec<usize> {
        let after = |it: usize| self.model.invalidates[it].done_after(self.machine);
        let mut barriers: Vec<usize> = after(invalidate).into_iter().collect();
        for (erratum, number) in self.workarounds(Instr::Invalidate(invalidate)) {
            let issue = &self.model.errata[erratum].workarounds[number].issue;
            let steps = issue.iter().rev().map(|issued| issued.instr);
            let open = steps.map_while(|instr| match instr {
                Instr::Invalidate(invalidate) => Some(invalidate),
                Instr::Barrier(_) => None,
            });
            for barrier in open.filter_map(after) {
                // It matters only for another barrier whether the machine has the erratum.
                if !barriers.contains(&barrier) && self.machine.suffers(erratum) {
                    barriers.push(barrier);
                }
            }
        }
        barriers
    }

    /// Returns whether an erratum weakens a fact for this space on this machine.
    pub fn meets(&self, weakens: &Weakens) -> bool {
        weakens.space.is_none_or(|space| space == self.space) && weakens.when.holds(self.machine)
    }

    /// Returns what errata weaken of an instruction without a workaround.
    pub fn lost(&self, target: Instr) -> impl Iterator<Item = &'m Weakens> + use<'m> {
        let context = *self;
        let errata = self.model.errata.iter().enumerate();
        let worked_around = move |r: &Workaround| r.target.value == target;
        let lasting =
            errata.filter(move |(_, erratum)| !erratum.workarounds.iter().any(worked_around));
        lasting.flat_map(move |(index, erratum)| {
            let weakens = erratum.weakens.iter();
            weakens.filter(move |w| {
                w.target.value == target && context.meets(w) && context.machine.suffers(index)
            })
        })
    }

    /// Returns whether an erratum keeps an instruction from ever being complete.
    pub fn never_done(&self, target: Instr) -> bool {
        self.lost(target)
            .any(|weakens| matches!(weakens.lost.value, Lost::Gone | Lost::Drained))
    }
}
