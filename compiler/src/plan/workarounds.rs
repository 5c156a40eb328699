//! The workarounds beside instructions and barriers.
//!
//! In: the workarounds recorded in candidates and barriers. Out: the nodes before or after an instruction or a
//! barrier. Holds: an instruction has one workaround of each erratum that weakens it, the first whose operands are
//! known there; after a loop no address is known.

use super::candidates::{Candidate, How};
use super::ir::{Issue, Node};
use crate::model::{Instr, Issued, Model};

/// Returns the workarounds after (or before) a barrier. All their operands are zero.
pub fn beside_barrier(model: &Model, wanted: &[(usize, usize)], after: bool) -> Vec<Node> {
    let of_side = wanted
        .iter()
        .filter(|&&(erratum, number)| model.errata[erratum].workarounds[number].after == after);
    of_side
        .map(|&(erratum, number)| Node::Workaround {
            erratum,
            number: first_alike(model, erratum, number),
            of: None,
        })
        .collect()
}

/// Returns the workarounds that follow once after a loop over these candidates.
pub fn after_loop<'a>(model: &Model, candidates: impl Iterator<Item = &'a Candidate>) -> Vec<Node> {
    let mut steps: Vec<Node> = Vec::new();
    for candidate in candidates {
        let How::Issue(primitive) = candidate.how else {
            continue;
        };
        let issue = Issue {
            address: false,
            ..candidate.issue(primitive, false)
        };
        for workaround in beside(model, &candidate.workarounds, issue, true) {
            if !steps.contains(&workaround) {
                steps.push(workaround);
            }
        }
    }
    steps
}

/// Returns the workarounds before an instruction, or directly after it.
pub fn beside(
    model: &Model,
    workarounds: &[(usize, usize)],
    issue: Issue,
    after: bool,
) -> Vec<Node> {
    let mut out = Vec::new();
    let mut worked_around: Vec<usize> = Vec::new();
    for &(erratum, number) in workarounds {
        let workaround = &model.errata[erratum].workarounds[number];
        let known = |issued: &Issued| issue.address || !model.names_address(issued);
        if workaround.after != after
            || worked_around.contains(&erratum)
            || workaround.target.value != Instr::Invalidate(issue.invalidate)
            || !workaround.issue.iter().all(known)
        {
            continue;
        }
        worked_around.push(erratum);
        // Workarounds with the same steps are one node, whatever instruction needs them.
        let number = first_alike(model, erratum, number);
        let first = &model.errata[erratum].workarounds[number];
        let named = first.issue.iter().any(|issued| model.names_address(issued));
        let invalidate = match first.target.value {
            Instr::Invalidate(invalidate) => invalidate,
            Instr::Barrier(_) => issue.invalidate,
        };
        out.push(Node::Workaround {
            erratum,
            number,
            of: Some(Issue {
                invalidate,
                form: 0,
                address: issue.address && named,
                hint: issue.hint && named,
                ..issue
            }),
        });
    }
    out
}

/// Returns the first workaround of an erratum that has the same steps as another.
fn first_alike(model: &Model, erratum: usize, number: usize) -> usize {
    let all = &model.errata[erratum].workarounds;
    let first = all.iter().position(|it| it.steps_are_of(&all[number]));
    first.unwrap_or(number)
}
