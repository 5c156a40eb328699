//! Registers: the fields that report features and limits, and the required configuration.

use super::terms::{Cases, Cond, Ident, Number, Text};
use crate::source::Span;

/// `[51:48]`, `[36]`: bits of a register, of which 0 is the least significant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits {
    pub high: Number,
    pub low: Number,
    /// The brackets with their content.
    pub span: Span,
}

/// How the value of bits is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `= 1`
    Equal,
    /// `>= 1`
    AtLeast,
}

/// `from ID_AA64MMFR2_EL1[51:48] >= 1`: the feature exists if this holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFrom {
    pub register: Ident,
    pub bits: Bits,
    /// The comparison.
    pub comparison: Comparison,
    pub value: Number,
    pub span: Span,
}

/// `from CPUID.80000008H.EDX[15:0] + 1`: a limit is the value of these bits, plus a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitFrom {
    pub register: Ident,
    pub bits: Bits,
    /// The number that is added; 0 if none is given.
    pub plus: Option<Number>,
    pub span: Span,
}

/// `needs TCR_EL1.A1[22] = 1 "...";`, `needs "..." when pge;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    pub what: Requirement,
    /// The reason, or the requirement where no field can state it.
    pub text: Text,
    pub span: Span,
}

/// A requirement on the configuration of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// The value of a register field.
    Field {
        /// The register and its field.
        field: Ident,
        /// Its bits, if they are stated.
        bits: Option<Bits>,
        /// The comparison.
        comparison: Comparison,
        values: Cases<Number>,
    },
    /// The text, where the condition holds.
    Text(Option<Cond>),
}
