//! The rules for the instructions of a path themselves, whatever they invalidate.
//!
//! In: a [`Path`]. Out: which instructions are wrongly issued, and whether this CPU refetches. Holds: an instruction is issued
//! on machines that have it, with what it needs around it; one that writes an entry, where entries change.

use std::ops::Range;

use super::effect::Path;
use super::failure::Rule;
use super::steps::Step;
use crate::model::{Instr, Need, Resync};

impl Path<'_> {
    /// Returns what is wrong with the instructions themselves, with the instruction.
    pub fn wrongly_issued(&self) -> Vec<(Rule, Instr)> {
        let mut out = Vec::new();
        let mut fail = |rule, instr| out.push((rule, instr));
        for step in self.steps.iter() {
            match step {
                Step::Issue(issued) => {
                    let invalidate = issued.issue.invalidate;
                    let instr = Instr::Invalidate(invalidate);
                    let writes = self.facts.invalidate(invalidate).writes_entry.is_some();
                    if writes && !self.changes {
                        fail(Rule::Writes, instr);
                    }
                    if !self.is_there(issued) {
                        fail(Rule::Exists, instr);
                    }
                    if let Some(need) = self.unmet(invalidate, &issued.within) {
                        fail(Rule::Needs(need), instr);
                    }
                }
                Step::Barrier(barrier)
                    if !self.facts.barrier(*barrier).requires.holds(self.machine) =>
                {
                    fail(Rule::Exists, Instr::Barrier(*barrier));
                }
                Step::OfWorkaround { invalidate, within } => {
                    let instr = Instr::Invalidate(*invalidate);
                    let it = self.facts.invalidate(*invalidate);
                    if !it.requires.holds(self.machine) {
                        fail(Rule::Exists, instr);
                    }
                    if let Some(need) = self.unmet(*invalidate, within) {
                        fail(Rule::Needs(need), instr);
                    }
                }
                _ => {}
            }
        }
        out
    }

    /// Returns the instructions that need the lock which lets one at a time be in flight.
    pub fn locked(&self) -> Vec<Instr> {
        let issued = self.steps.iter().filter_map(|step| match step {
            Step::Issue(issued) => Some(issued.issue.invalidate),
            Step::OfWorkaround { invalidate, .. } => Some(*invalidate),
            _ => None,
        });
        let locked = issued.filter(|invalidate| {
            let mut needs = self.facts.invalidate(*invalidate).needs.iter();
            needs.any(|need| need.value == Need::Lock)
        });
        locked.map(Instr::Invalidate).collect()
    }

    /// Returns whether this CPU refetches after the last instruction that satisfies a condition, where `resync` says so.
    pub fn is_resynced(&self, resync: Option<&Resync>, after: impl Fn(&Step) -> bool) -> bool {
        let last = self.steps.iter().rposition(after);
        self.refetches(resync, last.map_or(0, |last| last + 1)..self.steps.len())
    }

    /// Returns whether this CPU refetches within some of the steps, where `resync` says so.
    pub fn refetches(&self, resync: Option<&Resync>, within: Range<usize>) -> bool {
        let Some(barrier) = resync.and_then(|it| it.barrier(self.machine)) else {
            return true;
        };
        let mut within = self.steps[within].iter();
        within.any(|step| matches!(step, Step::Barrier(it) if *it == barrier))
    }
}
