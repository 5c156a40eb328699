//! What every statement consists of: names, texts, numbers and conditions.

use crate::source::Span;

/// A node with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    pub node: T,
    pub span: Span,
}

/// A name.
pub type Ident = Spanned<String>;

/// A text in quotes, without the quotes (the span includes them).
pub type Text = Spanned<String>;

/// A number. The parser has checked that it fits.
pub type Number = Spanned<u64>;

/// A number that is stated, or that the kernel reads at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amount {
    Stated(Number),
    /// `limit(name)`
    Limit(Ident),
}

impl Amount {
    /// Returns its place.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Stated(number) => number.span,
            Self::Limit(limit) => limit.span,
        }
    }
}

/// `a and not b`: every term holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cond {
    pub terms: Vec<Term>,
    /// Its words, without `when`.
    pub span: Span,
}

/// `pcid`, `not pti`; in operands also `hinted` and `keep`; elsewhere also a geometry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Whether it is negated, by `not` or `unless`.
    pub negated: bool,
    pub name: Ident,
}

/// `47 bits, 56 bits when la57`: the last alternative whose condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cases<T> {
    pub cases: Vec<(T, Option<Cond>)>,
    pub span: Span,
}
