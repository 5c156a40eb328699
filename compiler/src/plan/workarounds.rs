//! The steps of workarounds.
//!
//! In: the workarounds recorded in candidates and barriers. Out: the nodes before or after an instruction or a
//! barrier, each a decision for the erratum. Holds: an instruction has one workaround of each erratum that weakens
//! it, the first whose operands are known there; after a loop no address is known.

use super::candidates::{Candidate, How};
use super::factor::seq;
use super::ir::{Issue, Node, Test};

use crate::model::{Instr, Issued, Model};

/// Returns the instruction of a [`Node::Workaround`].
pub fn issued(model: &Model, erratum: usize, (workaround, step): (usize, usize)) -> &Issued {
    &model.errata[erratum].workarounds[workaround].issue[step]
}

/// Returns the workarounds after (or before) a barrier. All their operands are zero.
pub fn beside_barrier(model: &Model, wanted: &[(usize, usize)], after: bool) -> Vec<Node> {
    let of_side = wanted
        .iter()
        .filter(|&&(erratum, number)| model.errata[erratum].workarounds[number].after == after);
    of_side
        .map(|&workaround| steps(model, workaround, None))
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
        out.push(steps(model, (erratum, number), Some(issue)));
    }
    out
}

/// Returns the steps of a workaround, for machines that have its erratum.
fn steps(model: &Model, (erratum, number): (usize, usize), of: Option<Issue>) -> Node {
    let issue = model.errata[erratum].workarounds[number].issue.iter();
    let nodes = issue.enumerate().map(|(step, issued)| match issued.instr {
        Instr::Barrier(barrier) => Node::Complete {
            barrier,
            of: Some(erratum),
        },
        Instr::Invalidate(_) => Node::Workaround {
            erratum,
            number: (number, step),
            of,
        },
    });
    Node::select(Test::Erratum(erratum), seq(nodes), Node::Seq(Vec::new()))
}
