//! Registers: the fields that report features and limits, and the required configuration.

use super::terms::{At, Cases, Cond};
use crate::source::Span;

pub use crate::ast::Comparison;

/// Bits of a register, of which 0 is the least significant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits {
    pub high: u32,
    pub low: u32,
    /// The place of the brackets.
    pub span: Span,
}

impl Bits {
    /// Returns the largest value that they can have.
    #[must_use]
    pub fn most(&self) -> u64 {
        u64::MAX >> (63 - (self.high - self.low))
    }

    /// Returns whether they are the same as others.
    #[must_use]
    pub fn are(&self, others: &Self) -> bool {
        (self.high, self.low) == (others.high, others.low)
    }

    /// Returns whether they have a bit in common with others.
    #[must_use]
    pub fn meet(&self, others: &Self) -> bool {
        self.low <= others.high && others.low <= self.high
    }
}

/// The register field that reports a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFrom {
    pub register: String,
    pub bits: Bits,
    /// The comparison.
    pub comparison: Comparison,
    pub value: At<u64>,
    pub span: Span,
}

/// The register field that reports a limit: the limit is its value plus a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitFrom {
    pub register: String,
    pub bits: Bits,
    pub plus: u64,
    pub span: Span,
}

/// Returns a register as the name of a Rust variable.
#[must_use]
pub fn variable(register: &str) -> String {
    register.to_lowercase().replace('.', "_")
}

/// A requirement on the configuration of the machine, with its reason.
#[derive(Debug, Clone)]
pub struct Setup {
    pub what: Requirement,
    /// The reason, or the requirement where no field can state it.
    pub text: String,
    pub span: Span,
}

impl Setup {
    /// Returns the conditions on which it depends.
    pub fn conds(&self) -> Vec<&Cond> {
        match &self.what {
            Requirement::Field { values, .. } => values.conds().collect(),
            Requirement::Text(when) => vec![when],
        }
    }
}

/// A requirement on the configuration of the machine.
#[derive(Debug, Clone)]
pub enum Requirement {
    /// The value of a register field.
    Field {
        register: String,
        /// The name of the field.
        field: String,
        /// The place of both names.
        named: Span,
        /// Its bits, if they are stated.
        bits: Option<Bits>,
        /// The comparison.
        comparison: Comparison,
        values: Cases<At<u64>>,
    },
    /// The text, where the condition holds.
    Text(Cond),
}
