//! What has to hold of the arithmetic of a definition, and what is known of it.

use std::time::{Duration, Instant};

use super::term::{Truth, Variable};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// A claim for all values of its variables.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The part of the definition or of the runtime that it is about.
    pub about: String,
    /// The claim in words.
    pub words: String,
    /// The place in the definition.
    pub span: Span,
    /// What is given.
    pub given: Vec<Truth>,
    /// What has to follow.
    pub holds: Truth,
}

impl Claim {
    /// Returns its variables, each once.
    pub fn variables(&self) -> Vec<Variable> {
        let mut found = Vec::new();
        self.given.iter().for_each(|it| it.variables(&mut found));
        self.holds.variables(&mut found);
        found.sort();
        found.dedup();
        found
    }
}

/// What is known of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds for all values.
    Proved,
    /// It holds for each of this number of values.
    Checked(u64),
    /// It does not hold for these values.
    Refuted(Vec<(Variable, u64)>),
    /// It was not decided, and why.
    Unknown(String),
}

/// A claim with its verdict.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The part that it is about.
    pub about: String,
    /// The claim in words.
    pub words: String,
    /// The place in the definition.
    pub span: Span,
    /// What is known of it.
    pub verdict: Verdict,
    /// How long that took.
    pub time: Duration,
    /// Whether an earlier run has proved it.
    pub is_earlier: bool,
}

impl Judged {
    /// Judges a claim, and takes the time.
    pub(super) fn of(claim: &Claim, verdict: impl FnOnce(&Claim) -> Verdict) -> Self {
        let start = Instant::now();
        let verdict = verdict(claim);
        Self {
            about: claim.about.clone(),
            words: claim.words.clone(),
            span: claim.span,
            verdict,
            time: start.elapsed(),
            is_earlier: false,
        }
    }

    /// Returns the error about it, if it does not hold or was not decided.
    #[must_use]
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        let message = |why: &str| format!("{}: {} ({why})", self.about, self.words);
        let error = |why: &str| Diagnostic::new(Code::E0802, self.span, message(why));
        match &self.verdict {
            Verdict::Proved | Verdict::Checked(_) => None,
            Verdict::Unknown(why) => Some(error(&format!("not decided: {why}"))),
            Verdict::Refuted(values) => {
                let shown = values.iter().map(|(variable, value)| match variable.bits {
                    Some(_) => format!("{} = {value:#x}", variable.name),
                    None if *value != 0 => variable.name.clone(),
                    None => format!("not {}", variable.name),
                });
                let shown: Vec<String> = shown.collect();
                let why = format!("false for {}", shown.join(", "));
                Some(error(if shown.is_empty() { "false" } else { &why }))
            }
        }
    }
}
