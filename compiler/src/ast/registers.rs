//! Registers: where a feature or a limit is read, and what the machine must be set to.

use super::{Cases, Cond, Ident, Number, Text};
use crate::source::Span;

/// `[51:48]`, `[36]`: bits of a register, of which 0 is the least significant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits {
    /// The highest.
    pub high: Number,
    /// The lowest.
    pub low: Number,
    /// The brackets and what is between them.
    pub span: Span,
}

/// How the value of some bits is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `= 1`
    Equal,
    /// `>= 1`
    AtLeast,
}

/// `from ID_AA64MMFR2_EL1[51:48] >= 1`: the feature is there if this holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFrom {
    /// The register.
    pub register: Ident,
    /// Its bits.
    pub bits: Bits,
    /// How they are compared.
    pub comparison: Comparison,
    /// With what.
    pub value: Number,
    /// All of it.
    pub span: Span,
}

/// `from CPUID.80000008H.EDX[15:0] + 1`: a limit is the value of these bits, plus a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitFrom {
    /// The register.
    pub register: Ident,
    /// Its bits.
    pub bits: Bits,
    /// What is added; nothing unless given.
    pub plus: Option<Number>,
    /// All of it.
    pub span: Span,
}

/// `needs TCR_EL1.A1[22] = 1 "...";`, `needs "..." when pge;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// What is demanded.
    pub what: Demand,
    /// Why, or what is demanded where no field can say it.
    pub text: Text,
    /// All of it.
    pub span: Span,
}

/// What the machine must be set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// A field of a register has a value.
    Field {
        /// The register and its field.
        field: Ident,
        /// Its bits, if they are given.
        bits: Option<Bits>,
        /// How they are compared.
        comparison: Comparison,
        /// With what.
        values: Cases<Number>,
    },
    /// What the text says, where the condition holds.
    Text(Option<Cond>),
}
