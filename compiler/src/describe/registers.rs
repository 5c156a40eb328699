//! Registers in words.

use super::{code, plain, when};
use crate::model::{Bits, Comparison, Demand, LimitFrom, Model, ReadFrom, Setup};

/// `[51:48]`, `[36]`
#[must_use]
pub fn bits(of: &Bits) -> String {
    if of.high == of.low {
        format!("[{}]", of.high)
    } else {
        format!("[{}:{}]", of.high, of.low)
    }
}

/// `bits 51 to 48`, `bit 36`
#[must_use]
pub fn bits_of(of: &Bits) -> String {
    if of.high == of.low {
        format!("bit {}", of.high)
    } else {
        format!("bits {} to {}", of.high, of.low)
    }
}

/// `1`, `at least 1`
#[must_use]
pub fn compared(comparison: Comparison, value: u64) -> String {
    match comparison {
        Comparison::Equal => value.to_string(),
        Comparison::AtLeast => format!("at least {value}"),
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::AtLeast => ">=",
    }
}

/// `ID_AA64MMFR2_EL1[51:48] >= 1`
#[must_use]
pub fn read_from(from: &ReadFrom) -> String {
    code(&format!(
        "{}{} {} {}",
        from.register,
        bits(&from.bits),
        sign(from.comparison),
        from.value.value
    ))
}

/// `CPUID.80000008H.EDX[15:0] + 1`
#[must_use]
pub fn limit_from(from: &LimitFrom) -> String {
    let plus = match from.plus {
        0 => String::new(),
        plus => format!(" + {plus}"),
    };
    code(&format!("{}{}{plus}", from.register, bits(&from.bits)))
}

/// What a statement demands: `CR4.PGE[7] = 0`, `= 1` when `pge`; or its text.
#[must_use]
pub fn demand(model: &Model, setup: &Setup) -> String {
    match &setup.what {
        Demand::Text(cond) => format!("{}{}", plain(&setup.text), when(model, cond)),
        Demand::Field {
            register,
            field,
            bits: at,
            comparison,
            values,
            ..
        } => {
            let place = at.as_ref().map_or(String::new(), bits);
            let sign = sign(*comparison);
            let mut cases = values.cases.iter().map(|(value, cond)| {
                let word = format!("{sign} {}", value.value);
                (word, when(model, cond))
            });
            let first = cases.next().map(|(word, when)| {
                format!(
                    "{}{when}",
                    code(&format!("{register}.{field}{place} {word}"))
                )
            });
            let rest = cases.map(|(word, when)| format!("{}{when}", code(&word)));
            first.into_iter().chain(rest).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Why a field must have its value; nothing where the text is what is demanded.
#[must_use]
pub fn reason(setup: &Setup) -> Option<String> {
    match setup.what {
        Demand::Text(_) => None,
        Demand::Field { .. } => Some(plain(&setup.text)),
    }
}
