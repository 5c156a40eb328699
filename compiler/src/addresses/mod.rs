//! The proof of the arithmetic of addresses: loops, runs and the fields of operands.
//!
//! In: an [`Analysis`]. Out: each claim with a verdict. The claims about operands are about the trees that `emit` prints
//! as Rust, so what is proved is what is compiled. Those about loops are about the steps of the runtime's loops, which no
//! definition changes; the runtime is run for many ranges to see that it takes these steps.
//!
//! Holds: a claim that is proved holds for all values of its variables. Without a solver, or where it finds no answer in
//! time, a claim is checked for every small value and for random wide ones, and no claim is called proved.

mod check;
mod claim;
mod loops;
mod operands;
mod printed;
mod solve;
mod sources;
mod term;
#[cfg(test)]
mod tests;

use std::time::Instant;

use crate::analysis::Analysis;
use crate::emit;
use crate::source::Files;
use claim::Claim;
pub use claim::{Judged, Verdict};
use solve::Solver;

/// What decides claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The solver, if there is one.
    Solver,
    /// Values alone.
    Values,
}

/// Returns each claim about the arithmetic of a definition, with what is known of it.
#[must_use]
pub fn judge(analysis: &Analysis, files: &Files, by: By) -> Vec<Judged> {
    let code = emit::arithmetic(analysis, files);
    let mut claims = operands::claims(&analysis.model, &code);
    claims.extend(loops::claims(&analysis.model, &code));
    let mut solver = match by {
        By::Solver => Solver::start(),
        By::Values => None,
    };
    let judged = claims.into_iter().map(|claim| {
        let start = Instant::now();
        let verdict = match &mut solver {
            Some(solver) => solver.prove(&claim),
            None => check::check(&claim),
        };
        let Claim {
            about, words, span, ..
        } = claim;
        Judged {
            about,
            words,
            span,
            verdict,
            time: start.elapsed(),
        }
    });
    let mut judged: Vec<Judged> = judged.collect();
    judged.extend(loops::compared(&analysis.model));
    judged
}
