//! Operands: every bit has one meaning.
//!
//! In: the operands. Out: E0301 where two fields have a bit, E0302 where none has it, E0305 where a
//! hinted run may start anywhere. Holds: or-ing its fields gives the value of an operand.

use super::configs::both_hold;
use super::field_of;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Field, Invalidate, Model, Operand, OperandPlace, Source};
use crate::text::list;

/// Checks E0301: no two fields of an operand whose conditions can both hold have a bit in common.
pub fn overlaps(model: &Model, found: &mut Vec<Diagnostic>) {
    for operand in &model.operands {
        for (index, field) in operand.fields.iter().enumerate() {
            let shares = |other: &&Field| field.low <= other.high && other.low <= field.high;
            let before = operand.fields[..index].iter().filter(shares);
            let mut both = before.filter_map(|other| {
                both_hold(model, &field.when, &other.when).map(|setting| (other, setting))
            });
            let Some((other, setting)) = both.next() else {
                continue;
            };
            let common = bits(field.high.min(other.high), field.low.max(other.low));
            let name = &operand.named.name;
            let diagnostic = Diagnostic::new(
                Code::E0301,
                field.span,
                format!("fields of the operand `{name}` overlap in {common}{setting}"),
            )
            .label(format!("takes {common}"))
            .because(other.span, "takes the same")
            .note("fields are or-ed together: the instruction would be given neither value");
            found.push(if setting.is_empty() {
                diagnostic.help("correct one of the positions")
            } else {
                diagnostic.help("correct one of the positions, or give the fields conditions of which never both hold: `when a` and `unless a`, two geometries, or features where one `needs not` the other")
            });
        }
    }
}

/// Checks E0302: every bit of an operand has a field.
pub fn undefined_bits(model: &Model, found: &mut Vec<Diagnostic>) {
    for operand in &model.operands {
        let gaps = gaps(operand);
        let Some(&(high, low)) = gaps.first() else {
            continue;
        };
        let verb = if gaps == [(low, low)] { "is" } else { "are" };
        let places: Vec<String> = gaps.iter().map(|&(high, low)| bits(high, low)).collect();
        let first = if high == low {
            format!("[{high}]")
        } else {
            format!("[{high}:{low}]")
        };
        found.push(
            Diagnostic::new(
                Code::E0302,
                operand.named.span,
                format!(
                    "{} of the operand `{}` {verb} undefined",
                    list(&places, "and"),
                    operand.named.name
                ),
            )
            .label("no field covers them")
            .because(
                operand.bits.span,
                format!("bits {} to 0 need a meaning", operand.bits.value - 1),
            )
            .note("the effect of a reserved bit may change with the next processor")
            .help(format!(
                "give each a field; if they must be zero, write `{first} 0;`"
            )),
        );
    }
}

/// Returns the bits without a field, from the top: (highest, lowest) of each gap.
fn gaps(operand: &Operand) -> Vec<(u32, u32)> {
    let mut gaps: Vec<(u32, u32)> = Vec::new();
    // `lower` has reported an impossible width.
    let width = operand.bits.value.min(128) as u32;
    for bit in (0..width).rev() {
        if (operand.fields.iter()).any(|field| (field.low..=field.high).contains(&bit)) {
            continue;
        }
        match gaps.last_mut() {
            Some((_, low)) if *low == bit + 1 => *low = bit,
            _ => gaps.push((bit, bit)),
        }
    }
    gaps
}

fn bits(high: u32, low: u32) -> String {
    if high == low {
        format!("bit {high}")
    } else {
        format!("bits {high} to {low}")
    }
}

/// Checks E0305: a run that takes a level hint says that its start is aligned to that level.
pub fn unaligned_runs(model: &Model, found: &mut Vec<Diagnostic>) {
    for (index, operand) in model.operands.iter().enumerate() {
        let hint = field_of(model, &[index], Source::Hint);
        if let (Some(names), Some(hint), None) = (&operand.names, hint, operand.aligned) {
            found.push(
                Diagnostic::new(
                    Code::E0305,
                    hint.span,
                    format!("the run `{}` takes a level hint and may start anywhere", operand.named.name),
                )
                .label("takes a hint")
                .because(names.span, "names a run")
                .note("a hinted run that starts inside a large page is unpredictable: entries may be left")
                .help("add `start aligned to hint;`, or remove the hint from the run"),
            );
        }
    }
}

/// Checks E0303: an operand in a register is not wider than the register. A function of the platform takes any width.
pub fn wider_than_registers(model: &Model, found: &mut Vec<Diagnostic>) {
    let called = |it: &&Invalidate| it.call.is_none();
    let templates = model
        .invalidates
        .iter()
        .filter(called)
        .map(|it| &it.template);
    let templates = templates.chain(model.loads.iter().map(|load| &load.template));
    let mut used: Vec<usize> = templates
        .flat_map(|it| it.operands.iter().copied())
        .collect();
    used.sort_unstable();
    used.dedup();
    for operand in used.into_iter().map(|index| &model.operands[index]) {
        let in_memory = matches!(operand.place, OperandPlace::Memory(_));
        if in_memory || operand.bits.value <= u64::from(model.register_bits) {
            continue;
        }
        found.push(
            Diagnostic::new(
                Code::E0303,
                operand.bits.span,
                format!(
                    "`{}` has {} bits, and a register of `{}` has {}",
                    operand.named.name,
                    operand.bits.value,
                    model.target_arch.value,
                    model.register_bits
                ),
            )
            .label("wider than a register")
            .because(model.target_arch.span, "the architecture")
            .help("divide it among operands, of which each is in a register, and name them all in the template"),
        );
    }
}
