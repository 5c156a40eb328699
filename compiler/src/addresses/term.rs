//! Terms over 64-bit words, as SMT-LIB defines them.
//!
//! In: the parts of a computation. Out: a [`Word`] or a [`Truth`], which `check` evaluates for values of its variables and
//! `solve` hands to a solver. Holds: a shift by 64 or more gives 0, and everything else wraps.

use std::ops::{Add, BitAnd, BitOr, Not, Shl, Shr, Sub};

/// An operator on words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    And,
    Or,
    Add,
    Sub,
    Shl,
    Shr,
}

/// A variable. The same name always has the same number of bits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variable {
    pub name: String,
    /// How many bits it has, the others are 0; none if it is a truth value.
    pub bits: Option<u32>,
}

/// A word of 64 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    Number(u64),
    Var(Variable),
    Not(Box<Word>),
    Binary(Operator, Box<Word>, Box<Word>),
    If(Box<Truth>, Box<Word>, Box<Word>),
}

/// A truth value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    Is(bool),
    Var(Variable),
    Not(Box<Truth>),
    And(Vec<Truth>),
    Or(Vec<Truth>),
    Equal(Word, Word),
    /// Of numbers without a sign.
    AtMost(Word, Word),
}

/// The values of variables; that of a truth value is 1 if it holds.
pub type Values = [(Variable, u64)];

fn value_of(variable: &Variable, values: &Values) -> u64 {
    let found = values.iter().find(|(other, _)| other == variable);
    found.map_or(0, |(_, value)| *value)
}

impl Word {
    /// Returns a variable.
    pub fn var(name: &str, bits: u32) -> Self {
        Self::Var(Variable {
            name: name.to_owned(),
            bits: Some(bits),
        })
    }

    /// Returns the word of `bits` ones.
    pub fn ones(bits: u32) -> Self {
        let ones = 64 - bits.min(64);
        Self::Number(u64::MAX.checked_shr(ones).unwrap_or(0))
    }

    /// Returns a choice.
    pub fn choice(test: Truth, then: Word, otherwise: Word) -> Self {
        Self::If(Box::new(test), Box::new(then), Box::new(otherwise))
    }

    /// Returns whether two words are equal.
    pub fn equals(self, other: Word) -> Truth {
        Truth::Equal(self, other)
    }

    /// Returns whether it is not more than another.
    pub fn at_most(self, other: Word) -> Truth {
        Truth::AtMost(self, other)
    }

    /// Returns whether it is less than another.
    pub fn less(self, other: Word) -> Truth {
        !Truth::AtMost(other, self)
    }

    /// Returns its value.
    pub fn value(&self, values: &Values) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Var(variable) => value_of(variable, values),
            Self::Not(word) => !word.value(values),
            Self::Binary(operator, left, right) => {
                let (left, right) = (left.value(values), right.value(values));
                let by = u32::try_from(right).unwrap_or(u32::MAX);
                match operator {
                    Operator::And => left & right,
                    Operator::Or => left | right,
                    Operator::Add => left.wrapping_add(right),
                    Operator::Sub => left.wrapping_sub(right),
                    Operator::Shl => left.checked_shl(by).unwrap_or(0),
                    Operator::Shr => left.checked_shr(by).unwrap_or(0),
                }
            }
            Self::If(test, then, otherwise) => {
                if test.holds(values) {
                    then.value(values)
                } else {
                    otherwise.value(values)
                }
            }
        }
    }

    fn variables(&self, found: &mut Vec<Variable>) {
        match self {
            Self::Number(_) => {}
            Self::Var(variable) => found.push(variable.clone()),
            Self::Not(word) => word.variables(found),
            Self::Binary(_, left, right) => {
                left.variables(found);
                right.variables(found);
            }
            Self::If(test, then, otherwise) => {
                test.variables(found);
                then.variables(found);
                otherwise.variables(found);
            }
        }
    }

    fn binary(self, operator: Operator, other: Word) -> Self {
        Self::Binary(operator, Box::new(self), Box::new(other))
    }
}

impl From<u64> for Word {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Word {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

macro_rules! operators {
    ($($operator:ident $method:ident: $of:ident;)*) => {
        $(impl<T: Into<Word>> $operator<T> for Word {
            type Output = Word;

            fn $method(self, other: T) -> Word {
                self.binary(Operator::$of, other.into())
            }
        })*
    };
}

operators! {
    BitAnd bitand: And;
    BitOr bitor: Or;
    Add add: Add;
    Sub sub: Sub;
    Shl shl: Shl;
    Shr shr: Shr;
}

impl Not for Word {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

impl Truth {
    /// Returns a variable.
    pub fn var(name: &str) -> Self {
        Self::Var(Variable {
            name: name.to_owned(),
            bits: None,
        })
    }

    /// Returns whether this holds or another does not.
    pub fn implies(self, other: Truth) -> Self {
        Self::Or(vec![!self, other])
    }

    /// Returns whether it holds.
    pub fn holds(&self, values: &Values) -> bool {
        match self {
            Self::Is(is) => *is,
            Self::Var(variable) => value_of(variable, values) != 0,
            Self::Not(truth) => !truth.holds(values),
            Self::And(all) => all.iter().all(|truth| truth.holds(values)),
            Self::Or(all) => all.iter().any(|truth| truth.holds(values)),
            Self::Equal(left, right) => left.value(values) == right.value(values),
            Self::AtMost(left, right) => left.value(values) <= right.value(values),
        }
    }

    /// Adds its variables.
    pub fn variables(&self, found: &mut Vec<Variable>) {
        match self {
            Self::Is(_) => {}
            Self::Var(variable) => found.push(variable.clone()),
            Self::Not(truth) => truth.variables(found),
            Self::And(all) | Self::Or(all) => all.iter().for_each(|it| it.variables(found)),
            Self::Equal(left, right) | Self::AtMost(left, right) => {
                left.variables(found);
                right.variables(found);
            }
        }
    }
}
