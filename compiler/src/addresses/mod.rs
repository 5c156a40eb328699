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
mod earlier;
mod loops;
mod operands;
mod printed;
mod solve;
mod sources;
mod term;
#[cfg(test)]
mod tests;

use crate::analysis::Analysis;
use crate::emit;
use crate::source::Files;
use claim::Claim;
pub use claim::{Judged, Verdict};
use earlier::ProvedEarlier;
use solve::Solver;

/// What decides claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The solver, if there is one, for what no earlier run has proved.
    SolverOrEarlier,
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
    let version = if by == By::Values {
        None
    } else {
        Solver::version()
    };
    let mut judged = match version {
        None => claims
            .iter()
            .map(|it| Judged::of(it, check::check))
            .collect(),
        Some(_) if by == By::Solver => solved(&claims, |_| false),
        Some(version) => {
            let file = files.get(analysis.model.arch.span.file);
            let earlier = ProvedEarlier::recall(&file.name, version, &claims);
            let judged = solved(&claims, |index| earlier.has_proved(index));
            earlier.keep(&judged);
            judged
        }
    };
    judged.extend(loops::compared(&analysis.model));
    judged
}

/// Asks the solver for each claim that was not proved before.
fn solved(claims: &[Claim], was_proved: impl Fn(usize) -> bool) -> Vec<Judged> {
    let mut solver = None;
    let judged = claims.iter().enumerate().map(|(index, claim)| {
        let is_earlier = was_proved(index);
        let verdict = |claim: &Claim| match &mut solver {
            _ if is_earlier => Verdict::Proved,
            Some(solver) => Solver::prove(solver, claim),
            none => match Solver::start() {
                Some(started) => none.insert(started).prove(claim),
                None => check::check(claim),
            },
        };
        Judged {
            is_earlier,
            ..Judged::of(claim, verdict)
        }
    });
    judged.collect()
}
