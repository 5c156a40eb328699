//! When an instruction of a path is complete, and whether the path has the workarounds that it needs.
//!
//! In: a path and one of its steps. Out: the step at which that one is complete. Holds: each instruction is followed by the
//! barrier that the definition names; a barrier that an erratum weakens counts only with its workaround, or with IPIs to the
//! CPUs on which it does not drain.

use super::effect::Path;
use super::machine::Question;
use super::reading::Reading;
use super::steps::Step;
use crate::model::{Instr, Lost, Weakens};

impl Path<'_> {
    /// Returns what errata of the machine take from an instruction of this space.
    pub fn weakens(&self, target: Instr) -> impl Iterator<Item = (usize, &Weakens)> {
        let errata = self.facts.errata(self.machine);
        let all = errata.flat_map(|(index, it)| it.weakens.iter().map(move |w| (index, w)));
        all.filter(move |(index, weakens)| {
            weakens.target.value == target
                && weakens.space.is_none_or(|space| space == self.space)
                && self.machine.is(Question::Erratum(*index))
                && weakens.when.holds(self.machine)
        })
    }

    /// Returns where the workarounds of an erratum for the instruction at a step end, and the barriers after which their last
    /// instructions are complete; none if the path has not all of them.
    pub fn worked_around(
        &self,
        at: usize,
        target: Instr,
        erratum: usize,
    ) -> Option<(usize, Vec<usize>)> {
        let all = &self.facts.erratum(erratum).workarounds;
        let wanted: Vec<_> = all.iter().filter(|it| it.target.value == target).collect();
        if wanted.is_empty() {
            return None;
        }
        let (mut end, mut open) = (at, Vec::new());
        for after in [false, true] {
            if !wanted.iter().any(|it| it.after == after) {
                continue;
            }
            let is = |step: &Step| match step {
                Step::Workaround {
                    erratum: of,
                    number,
                    ..
                } => {
                    let mut alike = wanted.iter().filter(|it| it.after == after);
                    *of == erratum && alike.any(|it| it.steps_are_of(&all[*number]))
                }
                _ => false,
            };
            let found = if after {
                self.steps.others_after(at).find(|(_, step)| is(step))
            } else {
                self.steps.others_before(at).rfind(|(_, step)| is(step))
            };
            let (start, _) = found?;
            if after {
                let instructions = self.steps[start + 1..].iter();
                let own = instructions.take_while(|step| {
                    matches!(step, Step::Barrier(_) | Step::OfWorkaround { .. })
                });
                let count = all_issued(self.facts, erratum, &self.steps[start]);
                let own: Vec<&Step> = own.take(count).collect();
                end = start + own.len();
                for step in own.iter().rev() {
                    match step {
                        Step::OfWorkaround { invalidate, .. } => {
                            let it = self.facts.invalidate(*invalidate);
                            open.extend(it.done_after(self.machine));
                        }
                        _ => break,
                    }
                }
            }
        }
        Some((end, open))
    }

    /// Returns the step at which the instruction at a step is complete; none if it never is. With `gone`, accesses that
    /// entries have already translated may continue.
    pub fn complete(&self, at: usize, gone: bool) -> Option<usize> {
        let Step::Issue(issued) = &self.steps[at] else {
            return Some(at);
        };
        let invalidate = issued.issue.invalidate;
        let target = Instr::Invalidate(invalidate);
        let it = self.facts.invalidate(invalidate);
        let mut barriers: Vec<usize> = it.done_after(self.machine).into_iter().collect();
        let mut start = at;
        for (erratum, weakens) in self.weakens(target) {
            match self.worked_around(at, target, erratum) {
                Some((end, open)) => {
                    start = start.max(end);
                    barriers.extend(open);
                }
                None if weakens.lost.value == Lost::Gone => return None,
                None if weakens.lost.value == Lost::Drained && self.in_use => return None,
                None => {}
            }
        }
        let mut end = start;
        for barrier in barriers {
            let mut later = self.steps.others_after(start);
            let found = later.find_map(|(index, step)| match step {
                Step::Barrier(other) if *other == barrier => self.completes(at, index, gone),
                _ => None,
            });
            end = end.max(found?);
        }
        Some(end)
    }

    /// Returns the step at which a barrier has completed the instruction at another step; none if errata keep it from that.
    fn completes(&self, issued: usize, at: usize, gone: bool) -> Option<usize> {
        let Step::Barrier(barrier) = self.steps[at] else {
            return None;
        };
        if !self.facts.barrier(barrier).requires.holds(self.machine) {
            return None;
        }
        let target = Instr::Barrier(barrier);
        let mut end = at;
        for (erratum, weakens) in self.weakens(target) {
            let drained = weakens.lost.value == Lost::Drained;
            if drained && (gone || !self.in_use) {
                continue;
            }
            if let Some((last, _)) = self.worked_around(at, target, erratum) {
                end = end.max(last);
                continue;
            }
            // Taking an IPI drains the accesses of a CPU.
            let set = weakens.on.filter(|_| drained)?;
            let mut later = self.steps.others_after(issued);
            let (sent, _) = later.find(
                |(_, step)| matches!(step, Step::SendIpi(to, false) if to.sets & 1 << set != 0),
            )?;
            end = end.max(sent);
        }
        Some(end)
    }
}

/// Returns how many instructions the workaround at a step has.
fn all_issued(facts: &Reading<'_>, erratum: usize, step: &Step) -> usize {
    match step {
        Step::Workaround { number, .. } => facts.erratum(erratum).workarounds[*number].issue.len(),
        _ => 0,
    }
}
