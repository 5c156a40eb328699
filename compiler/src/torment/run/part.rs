//! The instructions of one CPU in a request.
//!
//! In: what a plan issues, and the hardware. Out: a [`CpuPart`], decoded. Holds: an invalidation that a barrier orders may act
//! as early as that barrier, and before everything if the barrier is missing.

use std::collections::BTreeMap;

use tlbc_runtime::backend::IpiTargets;
use tlbc_runtime::deferred::Deferred;

use crate::model::{Instr, Issued, Model, Source, Workaround};
use crate::torment::decode::{Act, Decoded, Hardware, SourceBits};
use crate::torment::same_instructions::SameInstructions;
use crate::trace::interpret::{Effects, check_length};

/// Why a request is not executed, in words.
pub enum NotExecuted {
    /// The hardware does not have an instruction.
    NotThere(String),
    /// It has more instructions than are followed.
    TooLong(String),
}

/// Instructions of one CPU, and what it defers.
pub struct CpuPart<'m> {
    pub acts: Vec<Act<'m>>,
    /// The invalidations that a barrier orders, by the number of instructions before their start: those up to that barrier, or
    /// none if it is missing.
    pub ordered: BTreeMap<usize, Vec<usize>>,
    /// Where instructions of the kinds of a workaround are issued, by erratum and workaround.
    workarounds: Vec<Vec<Vec<usize>>>,
    pub deferred: Deferred,
    pub sync: IpiTargets,
}

impl CpuPart<'_> {
    /// Returns whether a workaround of an erratum, by index, is issued around an instruction, with the operands of that
    /// instruction. In a loop the operands may be those of a later one of the same kind.
    pub fn has_workaround(
        &self,
        at: usize,
        workaround: &Workaround,
        (erratum, number): (usize, usize),
    ) -> bool {
        let count = workaround.issue.len();
        let starts = self.workarounds[erratum][number].iter();
        let around = starts.filter(|start| {
            if workaround.after {
                **start > at
            } else {
                **start + count <= at
            }
        });
        around.into_iter().any(|&start| {
            let targets = if workaround.after {
                &self.acts[at..start]
            } else {
                &self.acts[start + count..=at]
            };
            let mut of_target = targets
                .iter()
                .filter(|act| is(act, workaround.target.value));
            let issued = &self.acts[start..start + count];
            of_target.any(|target| {
                let mut pairs = issued.iter().zip(&workaround.issue);
                pairs.all(|(act, wanted)| is_issued(act, wanted, target))
            })
        })
    }
}

fn is(act: &Act<'_>, instr: Instr) -> bool {
    match (*act, instr) {
        (Act::Barrier(is), Instr::Barrier(wanted)) => is == wanted,
        (Act::Invalidate { index, .. }, Instr::Invalidate(wanted)) => index == wanted,
        _ => false,
    }
}

/// Returns whether an instruction is one of a workaround: with the tag and the address of the target, or zeros for a
/// barrier, except for the sources that the workaround sets.
fn is_issued(act: &Act<'_>, wanted: &Issued, target: &Act<'_>) -> bool {
    if !is(act, wanted.instr) {
        return false;
    }
    let Act::Invalidate { with, .. } = act else {
        return true;
    };
    let of_target = |of: fn(&Decoded) -> Option<SourceBits>| match target {
        Act::Barrier(_) | Act::Load { .. } => Some(0),
        Act::Invalidate { with, .. } => of(with).map(|bits| bits.value),
    };
    let agrees = |source: Source, of: fn(&Decoded) -> Option<SourceBits>| {
        let set = wanted.with.iter().find(|(set, _)| *set == source);
        let value = set.map(|(_, value)| *value).or(of_target(of));
        // An operand that the target does not have is any.
        of(with).is_none_or(|bits| value.is_none_or(|value| bits.agree(value & bits.known)))
    };
    agrees(Source::Tag, |with| with.tag) && agrees(Source::Va, |with| with.va)
}

/// Returns what a CPU of some hardware executes for plans of a definition.
///
/// # Errors
/// Why it is not executed.
pub fn part<'m>(
    hardware: Hardware<'m>,
    same_instructions: &SameInstructions<'_>,
    effects: &Effects,
) -> Result<CpuPart<'m>, NotExecuted> {
    check_length(effects.ops.len()).map_err(NotExecuted::TooLong)?;
    let acts = effects
        .ops
        .iter()
        .map(|op| hardware.decode(same_instructions, op));
    let acts: Vec<Act<'_>> = { acts.collect::<Result<_, _>>() }.map_err(NotExecuted::NotThere)?;
    Ok(CpuPart {
        ordered: ordered(hardware.model, &acts),
        workarounds: { hardware.model.errata.iter() }
            .map(|erratum| {
                let all = erratum.workarounds.iter();
                all.map(|it| places(&acts, &it.issue)).collect()
            })
            .collect(),
        acts,
        deferred: effects.deferred,
        sync: effects.sync_ipis,
    })
}

/// Returns where instructions of these kinds are issued one after the other.
fn places(acts: &[Act<'_>], wanted: &[Issued]) -> Vec<usize> {
    let windows = acts.windows(wanted.len().max(1)).enumerate();
    let alike = windows.filter(|(_, acts)| {
        let mut pairs = acts.iter().zip(wanted);
        pairs.all(|(act, wanted)| is(act, wanted.instr))
    });
    alike.map(|(at, _)| at).collect()
}

/// Returns the invalidations of a CPU that a barrier orders, by the number of instructions before their start.
fn ordered(model: &Model, acts: &[Act<'_>]) -> BTreeMap<usize, Vec<usize>> {
    let mut ordered: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    // How many instructions there are up to the last barrier of each kind.
    let mut after = BTreeMap::new();
    for (at, act) in acts.iter().enumerate() {
        match act {
            Act::Barrier(barrier) => {
                after.insert(*barrier, at + 1);
            }
            Act::Invalidate { index, .. } => {
                if let Some(barrier) = model.invalidates[*index].follows {
                    let start = after.get(&barrier.value).copied().unwrap_or(0);
                    ordered.entry(start).or_default().push(at);
                }
            }
            Act::Load { .. } => {}
        }
    }
    ordered
}
