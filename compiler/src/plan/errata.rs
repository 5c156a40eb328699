//! What errata take away, and what they want issued for it.

use super::pool::Setting;
use crate::model::{Instr, Lost, Remedy, Weakens};

impl<'m> Setting<'m> {
    /// The remedies that the errata of this configuration want beside an instruction.
    pub fn remedies(&self, target: Instr) -> Vec<(usize, usize)> {
        let mut out = Vec::new();
        for (index, erratum) in self.model.errata.iter().enumerate() {
            let mut weakens = erratum.weakens.iter();
            let weakened =
                weakens.any(|w| w.target.value == target && w.on.is_none() && self.meets(w));
            if !self.config.suffers(index) || !weakened {
                continue;
            }
            let remedies = erratum.remedies.iter().enumerate();
            let of_target = remedies.filter(|(_, remedy)| remedy.target.value == target);
            out.extend(of_target.map(|(number, _)| (index, number)));
        }
        out
    }

    /// The barriers after which an invalidation is done, and what its remedies issue after their own barriers.
    pub fn done_after(&self, invalidate: usize) -> Vec<usize> {
        let remedies = self.remedies(Instr::Invalidate(invalidate)).into_iter();
        let issued = remedies.flat_map(|(erratum, number)| {
            let issue = &self.model.errata[erratum].remedies[number].issue;
            let steps = issue.iter().rev().map(|issued| issued.instr);
            steps.map_while(|instr| match instr {
                Instr::Invalidate(invalidate) => Some(invalidate),
                Instr::Barrier(_) => None,
            })
        });
        let all = [invalidate].into_iter().chain(issued);
        let barriers = all.filter_map(|it| self.model.invalidates[it].done_after(self.config));
        barriers.fold(Vec::new(), |mut barriers, barrier| {
            if !barriers.contains(&barrier) {
                barriers.push(barrier);
            }
            barriers
        })
    }

    /// Whether a weakening holds for this space in this configuration.
    pub fn meets(&self, weakens: &Weakens) -> bool {
        weakens.space.is_none_or(|space| space == self.space) && weakens.when.holds(self.config)
    }

    /// What errata take away from an instruction and no remedy gives back.
    pub fn lost(&self, target: Instr) -> Vec<&'m Weakens> {
        let errata = self.model.errata.iter().enumerate();
        let present = errata.filter(|(index, _)| self.config.suffers(*index));
        let mended = |r: &Remedy| r.target.value == target;
        let lasting = present.filter(|(_, erratum)| !erratum.remedies.iter().any(mended));
        let weakens = lasting.flat_map(|(_, erratum)| &erratum.weakens);
        weakens
            .filter(|w| w.target.value == target && self.meets(w))
            .collect()
    }

    /// Whether an erratum keeps an instruction from ever being done.
    pub fn never_done(&self, target: Instr) -> bool {
        let lost = self.lost(target);
        let mut lost = lost.iter().map(|weakens| weakens.lost.value);
        lost.any(|lost| matches!(lost, Lost::Gone | Lost::Drained))
    }
}
