//! Addresses: two entries that differ are told apart by their addresses.
//!
//! In: the operands of instructions that take an address, and the levels that they serve. Out: E0303. Holds:
//! no two entries that an instruction serves have the same operand. That the highest bits fit is `widths`'s
//! business.

use super::all_drops;
use super::configs::admits;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Drops, Invalidate, Model, Source, Value, Which};
use tlbc_runtime::clause::{Level, Stride};

/// E0303: an address in an operand has the lowest bit by which two entries differ.
pub fn lowest(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        let by_address =
            |drops: &&Drops| !matches!(drops.which.value, Which::Everything | Which::OneSet);
        let Some(drops) = all_drops(invalidate).find(by_address) else {
            continue;
        };
        let operands = invalidate.template.operands.iter();
        for field in operands.flat_map(|&operand| &model.operands[operand].fields) {
            let Value::Slice(Source::Va, _, low) = field.value else {
                continue;
            };
            let geometries = 0..model.geometries.len();
            let steps = geometries
                .filter(|&geometry| admits(&field.when, geometry))
                .filter_map(|geometry| least_step(model, invalidate, geometry));
            let Some((step, level)) = steps.min().filter(|(step, _)| low > *step) else {
                continue;
            };
            let span = model
                .geometries
                .iter()
                .find_map(|g| g.levels[level].as_ref());
            found.push(
                Diagnostic::new(
                    Code::E0303,
                    field.span,
                    format!(
                        "two entries of `{}` can have the same bits here",
                        model.levels[level].name
                    ),
                )
                .label(format!("begins with bit {low} of the address"))
                .because(
                    span.map_or(field.span, |level| level.span),
                    format!("entries differ in bit {step}"),
                )
                .because(drops.which.span, "depends on the address")
                .note("an instruction for one of the two would drop the other and leave the first")
                .help(format!("let the slice begin at bit {step}, or lower")),
            );
        }
    }
}

/// The least log2 of the distance of two entries that an instruction serves, and their level.
fn least_step(model: &Model, invalidate: &Invalidate, geometry: usize) -> Option<(u32, usize)> {
    let served = |level: usize| {
        let level = Level(level as u8);
        let run = |drops: &Drops| match drops.which.value {
            Which::Run {
                stride: Stride::Entries(levels),
                ..
            } => levels.contains(level),
            _ => true,
        };
        match invalidate.writes_entry {
            Some(writes) => writes.levels.contains(level),
            None => all_drops(invalidate).any(run),
        }
    };
    let levels = model.geometries[geometry].levels.iter().enumerate();
    let steps = levels.filter_map(|(index, level)| {
        let shifts = level.as_ref()?.shift.cases.iter().map(|(shift, _)| *shift);
        shifts
            .min()
            .filter(|_| served(index))
            .map(|shift| (shift, index))
    });
    steps.min()
}
