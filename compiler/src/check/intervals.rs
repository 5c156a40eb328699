//! Numbers of which some bits are known, and intervals of them.
//!
//! In: the constants of operands and the values of sources. Out: whether a value of an interval has some bits. Holds: the answer
//! is exact for one interval.

use super::wanted::low;
use crate::model::{Operand, Value};

/// Bits that have one value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FixedBits {
    pub known: u128,
    pub value: u128,
}

impl FixedBits {
    /// Returns the constants of an operand, on every machine.
    pub fn constant_in(operand: &Operand) -> Self {
        let fields = operand.fields.iter();
        let always = fields.filter(|field| field.when.terms.is_empty());
        always.fold(Self::default(), |bits, field| match field.value {
            Value::Const(value) => {
                let mask = u128::from(low(field.width()));
                bits.and(Self {
                    known: mask << field.low,
                    value: (u128::from(value) & mask) << field.low,
                })
            }
            _ => bits,
        })
    }

    pub fn number(value: u64) -> Self {
        Self {
            known: u128::MAX,
            value: value.into(),
        }
    }

    /// Returns whether a value has all of them.
    pub fn agree(self, other: Self) -> bool {
        (self.value ^ other.value) & self.known & other.known == 0
    }

    /// Returns the bits that have one value in both.
    pub fn common(self, other: Self) -> Self {
        let known = self.known & other.known & !(self.value ^ other.value);
        Self {
            known,
            value: self.value & known,
        }
    }

    pub fn and(self, other: Self) -> Self {
        Self {
            known: self.known | other.known,
            value: self.value | other.value,
        }
    }

    /// Returns the least number from `from` on that has these bits.
    fn least(self, from: u128) -> Option<u128> {
        let has = |number: u128| (number ^ self.value) & self.known == 0;
        if has(from) {
            return Some(from);
        }
        // It agrees with `from` above a bit that it raises, and has the least bits below.
        let raised = (0..u128::BITS).filter(|bit| from >> bit & 1 == 0);
        let mut raised = raised.map(|bit| {
            let below = (1u128 << bit) - 1;
            from & !below | 1 << bit | self.value & below
        });
        raised.find(|&number| has(number))
    }
}

/// Values of a source: the numbers of an interval that have some bits.
#[derive(Debug, Clone, Copy)]
pub struct Interval {
    pub first: u64,
    pub last: u64,
    pub bits: FixedBits,
}

impl Interval {
    pub fn new(first: u64, last: u64) -> Self {
        Self {
            first,
            last,
            bits: FixedBits::default(),
        }
    }

    /// Returns those whose lowest bits are zero.
    pub fn aligned(self, shift: u32) -> Self {
        let zero = FixedBits {
            known: low(shift).into(),
            value: 0,
        };
        Self {
            bits: self.bits.and(zero),
            ..self
        }
    }

    /// Returns whether one of the numbers has these bits.
    pub fn has(self, bits: FixedBits) -> bool {
        let least = self.bits.and(bits).least(self.first.into());
        self.bits.agree(bits) && least.is_some_and(|least| least <= self.last.into())
    }

    /// Returns the bits that are the same in all numbers.
    pub fn common(self) -> FixedBits {
        let differ = 64 - (self.first ^ self.last).leading_zeros();
        let known = !u128::from(low(differ));
        let above = FixedBits {
            known,
            value: u128::from(self.first) & known,
        };
        self.bits.and(above)
    }
}
