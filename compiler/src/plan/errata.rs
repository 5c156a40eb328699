//! What errata take away, and what they want issued for it.

use super::pool::Setting;
use crate::model::{Instr, Lost};

impl Setting<'_> {
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

    /// Whether a weakening holds for this space in this configuration.
    pub fn meets(&self, weakens: &crate::model::Weakens) -> bool {
        weakens.space.is_none_or(|space| space == self.space) && weakens.when.holds(self.config)
    }

    /// What errata take away from an instruction and no remedy gives back.
    pub fn lost(&self, target: Instr) -> Vec<Lost> {
        let mut lost = Vec::new();
        for (index, erratum) in self.model.errata.iter().enumerate() {
            let mended = |r: &crate::model::Remedy| r.target.value == target;
            if !self.config.suffers(index) || erratum.remedies.iter().any(mended) {
                continue;
            }
            for weakens in &erratum.weakens {
                if weakens.target.value == target && self.meets(weakens) {
                    lost.push(weakens.lost.value);
                }
            }
        }
        lost
    }
}
