//! Makes a failure small.
//!
//! In: the case of a run that failed. Out: a smaller case that fails in the same way. Holds: what is left out are CPUs, operations
//! and turns, and an operation is replaced only by one that makes the run shorter; the same case is made equally small each
//! time, in a limited number of runs.

use std::ops::Range;

use super::case::{Drawn, Ran, ScheduledCase, run};
use super::operations::Operation;
use super::options::Options;
use crate::analysis::Analysis;

/// The most runs for one failure.
const MOST_RUNS: usize = 1500;
/// How many operations are tried in place of one.
const OTHERS: u64 = 24;

/// Returns a complaint without its numbers: failures of one kind have the same.
fn kind(complaint: &str) -> String {
    let mut kind = String::new();
    for word in complaint.split(' ') {
        let is_number = word.starts_with(|first: char| first.is_ascii_digit());
        kind += if is_number { "#" } else { word };
        kind.push(' ');
    }
    kind
}

/// A case that fails, while it is made smaller.
struct Shrinking<'o> {
    analysis: &'static Analysis,
    options: &'o Options,
    kind: String,
    smallest: Ran,
    runs: usize,
}

/// Makes the case of a run that failed smaller.
///
/// # Errors
///
/// If the runtime cannot run on the machine.
pub fn shrink(analysis: &'static Analysis, options: &Options, failed: Ran) -> Result<Ran, String> {
    let kind = kind(failed.complaint.as_deref().unwrap_or_default());
    let mut shrinking = Shrinking {
        analysis,
        options,
        kind,
        smallest: failed,
        runs: 0,
    };
    // Some operations fail in the same way only together with turns that are left out later, so all is tried again.
    loop {
        let before = shrinking.smallest.size();
        shrinking.leave_out_cpus()?;
        shrinking.leave_out(operations, |case, those| {
            let those: Vec<(usize, Operation)> = operations(case)[those].to_vec();
            for (cpu, operations) in case.programs.iter_mut().enumerate() {
                if let Some(operations) = operations {
                    operations.retain(|it| !those.contains(&(cpu, *it)));
                }
            }
        })?;
        shrinking.leave_out(
            |case| case.turns.clone(),
            |case, those| {
                case.turns.drain(those);
            },
        )?;
        shrinking.replace_operations()?;
        if shrinking.smallest.size() == before || shrinking.runs >= MOST_RUNS {
            return Ok(shrinking.smallest);
        }
    }
}

/// Returns the operations of all CPUs, with their CPU.
fn operations(case: &ScheduledCase) -> Vec<(usize, Operation)> {
    let programs = case.programs.iter().enumerate();
    let each = programs.flat_map(|(cpu, it)| it.iter().flatten().map(move |it| (cpu, *it)));
    each.collect()
}

impl Shrinking<'_> {
    /// Runs a case, and keeps it if it fails in the same way and is smaller. Returns whether it is kept.
    fn keeps(&mut self, case: &ScheduledCase) -> Result<bool, String> {
        if self.runs >= MOST_RUNS {
            return Ok(false);
        }
        self.runs += 1;
        let ran = run(
            self.analysis,
            self.options,
            Drawn::ScheduledCase(case),
            false,
        )?;
        let is_same = ran.complaint.as_deref().map(kind).as_ref() == Some(&self.kind);
        let is_smaller = ran.size() < self.smallest.size();
        if is_same && is_smaller {
            self.smallest = ran;
        }
        Ok(is_same && is_smaller)
    }

    /// Leaves CPUs offline.
    fn leave_out_cpus(&mut self) -> Result<(), String> {
        for cpu in 0..self.smallest.case.programs.len() {
            let mut case = self.smallest.case.clone();
            if case.programs[cpu].take().is_some() {
                self.keeps(&case)?;
            }
        }
        Ok(())
    }

    /// Leaves out parts of a list: halves first, then smaller parts, at last one at a time (delta debugging, Zeller and
    /// Hildebrandt, IEEE TSE 2002, without its complements).
    fn leave_out<T>(
        &mut self,
        list: impl Fn(&ScheduledCase) -> Vec<T>,
        without: impl Fn(&mut ScheduledCase, Range<usize>),
    ) -> Result<(), String> {
        let mut size = list(&self.smallest.case).len().div_ceil(2);
        while size > 0 {
            // From the end: what is executed last depends on what comes before.
            let mut end = list(&self.smallest.case).len();
            while end > 0 {
                let start = end.saturating_sub(size);
                let mut case = self.smallest.case.clone();
                without(&mut case, start..end);
                self.keeps(&case)?;
                end = start.min(list(&self.smallest.case).len());
            }
            size /= 2;
        }
        Ok(())
    }

    /// Replaces operations by others that make the run shorter.
    fn replace_operations(&mut self) -> Result<(), String> {
        for cpu in 0..self.smallest.case.programs.len() {
            for nth in 0.. {
                let program = self.smallest.case.programs[cpu].as_ref();
                if program.is_none_or(|it| nth >= it.len()) {
                    break;
                }
                for seed in 0..OTHERS {
                    let mut case = self.smallest.case.clone();
                    let operation = case.programs[cpu].as_mut().and_then(|it| it.get_mut(nth));
                    let Some(operation) = operation.filter(|it| it.seed != seed) else {
                        break;
                    };
                    operation.seed = seed;
                    self.keeps(&case)?;
                }
            }
        }
        Ok(())
    }
}
