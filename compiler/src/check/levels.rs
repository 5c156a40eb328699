//! Levels in operands: an instruction that must be told the level can be.
//!
//! In: instructions that drop leaf entries of the level they are given, and the numbers of levels in
//! operands. Out: E0306, E0309, E0312. Holds: every page size of every configuration has a number wherever an
//! instruction that may be used there wants one, and no two that it tells apart have the same.

use super::all_drops;
use super::configs::Configs;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Drops, Invalidate, LevelNumbers, LevelSel, Model, Source, Value, Which};
use tlbc_runtime::clause::{Level, Levels, Stride};

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
    written: Option<Levels>,
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
            let named = Level(index as u8);
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

/// The levels that an instruction tells apart by their numbers.
fn told_apart(model: &Model, invalidate: &Invalidate) -> Levels {
    if let Some(writes) = invalidate.writes_entry {
        return writes.levels;
    }
    let of = |drops: &Drops| match drops.which.value {
        Which::Run {
            stride: Stride::Entries(levels),
            ..
        } => levels,
        _ if [drops.leaf, drops.walk, drops.absent].contains(&Some(LevelSel::Given)) => {
            model.leaf_levels()
        }
        _ => Levels::NONE,
    };
    all_drops(invalidate).fold(Levels::NONE, |all, drops| all.union(of(drops)))
}

/// E0312: levels that an instruction serves have numbers of their own.
pub fn distinct(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        let levels = told_apart(model, invalidate);
        for numbers in numbers_of(model, invalidate) {
            found.extend(same_number(model, invalidate, numbers, levels));
        }
    }
}

fn same_number(
    model: &Model,
    invalidate: &Invalidate,
    numbers: &LevelNumbers,
    served: Levels,
) -> Option<Diagnostic> {
    let levels = model
        .geometries
        .iter()
        .flat_map(|g| g.levels.iter().flatten());
    let conds = levels.flat_map(|level| level.shift.conds().chain(level.leaf.as_ref()));
    let cases = numbers.cases.iter().map(|(.., when)| when);
    let configs = Configs::of(model, conds.chain(cases).chain([&invalidate.requires]));
    let used = configs
        .iter()
        .filter(|&config| invalidate.requires.holds(config));
    for config in used {
        let of = |level: &Level| {
            let index = level.index();
            let there = model.level_shift(index, config).is_some();
            let facts = model.geometries[config.geometry].levels[index].as_ref();
            let maps = facts.is_some_and(|level| level.maps_pages(config));
            let wanted = there && (maps || invalidate.writes_entry.is_some());
            let number = numbers.get(index, config).filter(|_| wanted)?;
            Some((index, number))
        };
        let present: Vec<(usize, u64)> = served.iter().filter_map(|level| of(&level)).collect();
        for (position, (upper, number)) in present.iter().enumerate() {
            let mut below = present[..position].iter();
            let Some((lower, _)) = below.find(|(_, other)| other == number) else {
                continue;
            };
            let name = |level: usize| &model.levels[level].name;
            let span = |level: usize| {
                let level = model.geometries[config.geometry].levels[level].as_ref();
                level.map_or(numbers.span, |level| level.span)
            };
            return Some(
                Diagnostic::new(
                    Code::E0312,
                    numbers.span,
                    format!(
                        "`{}` and `{}` are both {number} here{}",
                        name(*lower),
                        name(*upper),
                        configs.when(config)
                    ),
                )
                .label(format!("`{}` tells them apart by this", invalidate.named.name))
                .because(span(*lower), "one of the two")
                .because(span(*upper), "the other")
                .note("the machine would take entries of one level for those of the other, and step over pages")
                .help("give each level the number that the manual gives it"),
            );
        }
    }
    None
}

/// E0312: page sizes that an operand names have numbers of their own.
pub fn granules(model: &Model, found: &mut Vec<Diagnostic>) {
    let mut fields = model.operands.iter().flat_map(|operand| &operand.fields);
    let Some(field) = fields.find(|field| field.value == Value::Source(Source::Granule)) else {
        return;
    };
    for (index, geometry) in model.geometries.iter().enumerate() {
        let Some(granule) = geometry.granule else {
            continue;
        };
        let before = model.geometries[..index].iter();
        let mut before = before.filter_map(|other| Some((other, other.granule?)));
        let Some((other, first)) = before.find(|(other, at)| {
            at.value == granule.value && other.page_shift != geometry.page_shift
        }) else {
            continue;
        };
        found.push(
            Diagnostic::new(
                Code::E0312,
                granule.span,
                format!(
                    "`{}` and `{}` are both the granule {}",
                    other.named.name, geometry.named.name, granule.value
                ),
            )
            .label("again here")
            .because(first.span, "first here")
            .because(field.span, "the machine is told the page size by this")
            .note("a flush that names another page size drops nothing, or something else")
            .help("give each page size the number that the manual gives it"),
        );
    }
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
