//! What the solver proved in an earlier run.
//!
//! In: the claims of a definition. Out: which of them are proved. Holds: a claim counts as proved only if the same
//! version of the solver, asked by the same executable, proved exactly this claim among exactly these.

use super::claim::{Claim, Judged, Verdict};
use crate::memo::Memo;

/// The claims of a definition, and what an earlier run has proved of them.
pub struct ProvedEarlier {
    memo: Option<Memo>,
    sources: Vec<(String, Vec<u8>)>,
    proved: Vec<bool>,
}

impl ProvedEarlier {
    /// Returns what is remembered of these claims of a file.
    pub fn recall(file: &str, solver: String, claims: &[Claim]) -> Self {
        let formula = |claim: &Claim| format!("{:?} {:?}", claim.given, claim.holds).into_bytes();
        let claims = claims.iter().map(|it| (it.words.clone(), formula(it)));
        let solver = ("solver".to_owned(), solver.into_bytes());
        let sources: Vec<_> = std::iter::once(solver).chain(claims).collect();
        let memo = Memo::new("claims", [file]);
        let proved = memo.as_ref().and_then(|memo| memo.recall(&sources));
        Self {
            memo,
            sources,
            proved: proved.unwrap_or_default(),
        }
    }

    /// Returns whether a claim, by its place among them, was proved.
    pub fn has_proved(&self, index: usize) -> bool {
        self.proved.get(index) == Some(&true)
    }

    /// Remembers which claims are proved now.
    pub fn keep(self, judged: &[Judged]) {
        let proved = judged.iter().map(|it| it.verdict == Verdict::Proved);
        let proved: Vec<bool> = proved.collect();
        if let Some(memo) = self.memo.filter(|_| self.proved != proved) {
            memo.keep(&self.sources, &proved);
        }
    }
}
