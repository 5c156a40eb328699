//! Levels in operands: an instruction that must be told the level can be.
//!
//! In: instructions that drop leaf entries of the level they are given, and the numbers of levels in
//! operands. Out: E0306 and E0309. Holds: every page size of every configuration has a number wherever an
//! instruction that may be used there wants one.

use super::all_drops;
use super::configs::Configs;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Invalidate, LevelNumbers, LevelSel, Model, Value};

/// The numbers of levels in the operands of an instruction.
fn numbers_of<'m>(
    model: &'m Model,
    invalidate: &'m Invalidate,
) -> impl Iterator<Item = &'m LevelNumbers> {
    let operands = invalidate.template.operands.iter();
    let fields = operands.flat_map(|&o| &model.operands[o].fields);
    fields.filter_map(|field| match field.value {
        Value::LevelAs(table) => Some(&model.level_numbers[table]),
        _ => None,
    })
}

/// E0309: each level that may be named has a number.
pub fn numbers(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        for numbers in numbers_of(model, invalidate) {
            let written = invalidate.writes_entry.map(|w| w.levels);
            found.extend(unnumbered(model, invalidate, numbers, written));
        }
    }
}

fn unnumbered(
    model: &Model,
    invalidate: &Invalidate,
    numbers: &LevelNumbers,
    written: Option<tlbc_runtime::clause::Levels>,
) -> Option<Diagnostic> {
    let levels = model
        .geometries
        .iter()
        .flat_map(|g| g.levels.iter().flatten());
    let conds = levels.flat_map(|level| level.shift.conds().chain(level.leaf.as_ref()));
    let cases = numbers.cases.iter().map(|(.., when)| when);
    let configs = Configs::of(model, conds.chain(cases).chain([&invalidate.requires]));
    for config in configs.iter().filter(|&c| invalidate.requires.holds(c)) {
        for (index, level) in model.geometries[config.geometry].levels.iter().enumerate() {
            let Some(level) = level else { continue };
            let named = tlbc_runtime::clause::Level(index as u8);
            let wanted = match written {
                Some(levels) => levels.contains(named),
                None => level.maps_pages(config),
            };
            let there = model.level_shift(index, config).is_some();
            if !wanted || !there || numbers.get(index, config).is_some() {
                continue;
            }
            let name = &model.levels[index].name;
            return Some(
                Diagnostic::new(
                    Code::E0309,
                    numbers.span,
                    format!(
                        "entries of `{name}` have no number here{}",
                        configs.when(config)
                    ),
                )
                .label(format!("nothing stands for `{name}`"))
                .because(level.span, "may have to be named")
                .note("the machine would be told another size, and drop nothing or something else")
                .help(format!(
                    "add the number that the manual gives it: `level as {name} ...`"
                )),
            );
        }
    }
    None
}

/// E0306: an instruction that drops entries of the level it is given has a field for the level.
pub fn given(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        let mut drops = all_drops(invalidate);
        let Some(drops) =
            drops.find(|d| [d.leaf, d.walk, d.absent].contains(&Some(LevelSel::Given)))
        else {
            continue;
        };
        if numbers_of(model, invalidate).next().is_none() {
            let name = &invalidate.named.name;
            found.push(
                Diagnostic::new(
                    Code::E0306,
                    invalidate.template.span,
                    format!("`{name}` has no operand that says the level"),
                )
                .label("no operand here has a field with `level as ...`")
                .because(drops.span, "needs the level")
                .help("give it an operand with a field `level as pte 0, pmd 1;`, or correct what it drops"),
            );
        }
    }
}
