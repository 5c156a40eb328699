//! The proof of the arithmetic of addresses: loops, runs and the fields of operands.
//!
//! In: an [`Analysis`]. Out: each claim with a verdict. The claims about operands are about the trees that `emit` prints
//! as Rust, so what is proved is what is compiled. Those about loops are about the steps of the runtime's loops, which no
//! definition changes; the runtime is run for many ranges to see that it takes these steps.
//!
//! Holds: a claim that is proved holds for all values of its variables. Without a solver, or where it finds no answer in
//! time, a claim is checked for every small value and for random wide ones, and no claim is called proved.

mod check;
mod loops;
mod obligation;
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
use obligation::Obligation;
pub use obligation::{Judged, Verdict};
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
    let mut obligations = operands::obligations(&analysis.model, &code);
    obligations.extend(loops::obligations(&analysis.model, &code));
    let mut solver = match by {
        By::Solver => Solver::start(),
        By::Values => None,
    };
    let judged = obligations.into_iter().map(|obligation| {
        let start = Instant::now();
        let verdict = match &mut solver {
            Some(solver) => solver.prove(&obligation),
            None => check::check(&obligation),
        };
        let Obligation {
            about, claim, span, ..
        } = obligation;
        Judged {
            about,
            claim,
            span,
            verdict,
            time: start.elapsed(),
        }
    });
    let mut judged: Vec<Judged> = judged.collect();
    judged.extend(loops::compared(&analysis.model));
    judged
}
