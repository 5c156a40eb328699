//! Registers: where a feature or a limit is read, and what the machine must be set to.

use super::{At, Cases, Cond};
use crate::source::Span;

pub use crate::ast::Comparison;

/// Bits of a register, of which 0 is the least significant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits {
    /// The highest.
    pub high: u32,
    /// The lowest.
    pub low: u32,
    /// Where they are given.
    pub span: Span,
}

impl Bits {
    /// The largest value that they can have.
    #[must_use]
    pub fn most(&self) -> u64 {
        u64::MAX >> (63 - (self.high - self.low))
    }

    /// Whether they are the same as others.
    #[must_use]
    pub fn are(&self, others: &Self) -> bool {
        (self.high, self.low) == (others.high, others.low)
    }

    /// Whether they have a bit in common with others.
    #[must_use]
    pub fn meet(&self, others: &Self) -> bool {
        self.low <= others.high && others.low <= self.high
    }
}

/// Where a feature is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFrom {
    /// The register.
    pub register: String,
    /// Its bits.
    pub bits: Bits,
    /// How they are compared.
    pub comparison: Comparison,
    /// With what.
    pub value: At<u64>,
    /// All of it.
    pub span: Span,
}

/// Where a limit is read: it is the value of these bits, plus a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitFrom {
    /// The register.
    pub register: String,
    /// Its bits.
    pub bits: Bits,
    /// What is added.
    pub plus: u64,
    /// All of it.
    pub span: Span,
}

/// A register as the name of a Rust variable.
#[must_use]
pub fn variable(register: &str) -> String {
    register.to_lowercase().replace('.', "_")
}

/// A fact about how the machine must be set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What is demanded.
    pub what: Demand,
    /// Why, or what is demanded where no field can say it.
    pub text: String,
    /// All of it.
    pub span: Span,
}

impl Setup {
    /// The conditions that it depends on.
    pub fn conds(&self) -> Vec<&Cond> {
        match &self.what {
            Demand::Field { values, .. } => values.conds().collect(),
            Demand::Text(when) => vec![when],
        }
    }
}

/// What the machine must be set to.
#[derive(Debug, Clone)]
pub enum Demand {
    /// A field of a register has a value.
    Field {
        /// The register.
        register: String,
        /// The name of the field.
        field: String,
        /// Where both are named.
        named: Span,
        /// Its bits, if they are given.
        bits: Option<Bits>,
        /// How they are compared.
        comparison: Comparison,
        /// With what.
        values: Cases<At<u64>>,
    },
    /// What the text says, where the condition holds.
    Text(Cond),
}
