//! Descriptions of registers.

use super::{code, plain, when};
use crate::model::{Bits, Comparison, LimitFrom, Model, ReadFrom, Requirement, Setup};

/// Returns bits as `[51:48]` or `[36]`.
#[must_use]
pub fn bits(of: &Bits) -> String {
    if of.high == of.low {
        format!("[{}]", of.high)
    } else {
        format!("[{}:{}]", of.high, of.low)
    }
}

/// Returns bits as `bits 51 to 48` or `bit 36`.
#[must_use]
pub fn bits_of(of: &Bits) -> String {
    if of.high == of.low {
        format!("bit {}", of.high)
    } else {
        format!("bits {} to {}", of.high, of.low)
    }
}

/// Returns a comparison as `1` or `at least 1`.
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

/// Returns where a feature is read from, as in `ID_AA64MMFR2_EL1[51:48] >= 1`.
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

/// Returns where a limit is read from, as in `CPUID.80000008H.EDX[15:0] + 1`.
#[must_use]
pub fn limit_from(from: &LimitFrom) -> String {
    let plus = match from.plus {
        0 => String::new(),
        plus => format!(" + {plus}"),
    };
    code(&format!("{}{}{plus}", from.register, bits(&from.bits)))
}

/// Describes a requirement on the machine's setup: `CR4.PGE[7] = 0`, `= 1` when `pge`; or its text.
#[must_use]
pub fn demand(model: &Model, setup: &Setup) -> String {
    match &setup.what {
        Requirement::Text(cond) => format!("{}{}", plain(&setup.text), when(model, cond)),
        Requirement::Field {
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

/// Returns why a field must have its value. None if the requirement itself is a text.
#[must_use]
pub fn reason(setup: &Setup) -> Option<String> {
    match setup.what {
        Requirement::Text(_) => None,
        Requirement::Field { .. } => Some(plain(&setup.text)),
    }
}
