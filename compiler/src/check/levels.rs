//! Levels in operands: an instruction that must be given the level has a number for it.
//!
//! In: instructions that drop leaf entries of the level they are given, and the numbers of levels in
//! operands. Out: E0306, E0309, E0312. Holds: every page size of every configuration has a number wherever an
//! instruction that may be used there takes one, and no two that it distinguishes have the same.

use super::all_drops;
use super::configs::Configs;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{
    AddressSelector, Cond, Drops, Invalidate, LevelNumbers, LevelSel, Machine, Model, Source, Value,
};
use tlbc_facts::clause::RunUnit;
use tlbc_runtime::level::{Level, Levels};

/// Returns the numbers of levels in the operands of an instruction, each with its condition.
fn numbers_of<'m>(
    model: &'m Model,
    invalidate: &'m Invalidate,
) -> impl Iterator<Item = (&'m LevelNumbers, &'m Cond)> {
    let operands = invalidate.template.operands.iter();
    let fields = operands.flat_map(|&o| &model.operands[o].fields);
    fields.filter_map(|field| match field.value {
        Value::LevelAs(table) => Some((&model.level_numbers[table], &field.when)),
        _ => None,
    })
}

/// Checks E0309: each level that the instruction may be given has a number.
pub fn numbers(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        for (numbers, there) in numbers_of(model, invalidate) {
            let written = invalidate.writes_entry.map(|w| w.levels);
            found.extend(unnumbered(model, invalidate, (numbers, there), written));
        }
    }
}

fn unnumbered(
    model: &Model,
    invalidate: &Invalidate,
    (numbers, there): (&LevelNumbers, &Cond),
    written: Option<Levels>,
) -> Option<Diagnostic> {
    let levels = model
        .geometries
        .iter()
        .flat_map(|g| g.levels.iter().flatten());
    let conds = levels.flat_map(|level| level.shift.conds().chain(level.leaf.as_ref()));
    let cases = numbers.cases.iter().map(|(.., when)| when);
    let used = invalidate.requires.and(there);
    let configs = Configs::of(model, conds.chain(cases).chain([&used]));
    for config in configs.iter().filter(|&c| used.holds(c)) {
        for (index, level) in model.geometries[config.geometry()]
            .levels
            .iter()
            .enumerate()
        {
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
                .label(format!("no number for `{name}`"))
                .because(level.span, "may be given to the instruction")
                .note("the machine would be given another size, and would not drop these entries")
                .help(format!(
                    "add the number that the manual gives it: `level as {name} ...`"
                )),
            );
        }
    }
    None
}

/// Returns the levels that an instruction distinguishes by their numbers.
fn distinguished(model: &Model, invalidate: &Invalidate) -> Levels {
    if let Some(writes) = invalidate.writes_entry {
        return writes.levels;
    }
    let of = |drops: &Drops| match drops.which.value {
        AddressSelector::Run {
            stride: RunUnit::Entries(levels),
            ..
        } => levels,
        _ if [drops.leaf, drops.walk, drops.negative].contains(&Some(LevelSel::Given)) => {
            model.leaf_levels()
        }
        _ => Levels::NONE,
    };
    all_drops(invalidate).fold(Levels::NONE, |all, drops| all.union(of(drops)))
}

/// Checks E0312: levels that an instruction serves have numbers of their own.
pub fn distinct(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        let levels = distinguished(model, invalidate);
        for (numbers, there) in numbers_of(model, invalidate) {
            found.extend(same_number(model, invalidate, (numbers, there), levels));
        }
    }
}

fn same_number(
    model: &Model,
    invalidate: &Invalidate,
    (numbers, there): (&LevelNumbers, &Cond),
    served: Levels,
) -> Option<Diagnostic> {
    let levels = model
        .geometries
        .iter()
        .flat_map(|g| g.levels.iter().flatten());
    let conds = levels.flat_map(|level| level.shift.conds().chain(level.leaf.as_ref()));
    let cases = numbers.cases.iter().map(|(.., when)| when);
    let used = invalidate.requires.and(there);
    let configs = Configs::of(model, conds.chain(cases).chain([&used]));
    for config in configs.iter().filter(|&config| used.holds(config)) {
        let of = |level: &Level| {
            let index = level.index();
            let there = model.level_shift(index, config).is_some();
            let facts = model.geometries[config.geometry()].levels[index].as_ref();
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
                let level = model.geometries[config.geometry()].levels[level].as_ref();
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
                .note("the machine would treat entries of one level as those of the other, and skip pages")
                .help("give each level the number that the manual gives it"),
            );
        }
    }
    None
}

/// Checks E0312: page sizes have numbers of their own.
pub fn granules(model: &Model, found: &mut Vec<Diagnostic>) {
    let mut fields = model.operands.iter().flat_map(|operand| &operand.fields);
    let field = fields.find(|field| field.value == Value::Source(Source::Granule));
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
        let mut diagnostic = Diagnostic::new(
            Code::E0312,
            granule.span,
            format!(
                "`{}` and `{}` are both the granule {}",
                other.named.name, geometry.named.name, granule.value
            ),
        )
        .label("again here")
        .because(first.span, "first here");
        if let Some(field) = field {
            diagnostic = diagnostic.because(field.span, "the machine is given the page size here");
        }
        found.push(
            diagnostic
                .note("a flush that names another page size does not drop these entries")
                .help("give each page size the number that the manual gives it"),
        );
    }
}

/// Checks E0306: an instruction that acts on entries of the level that it is given has a field for the level.
pub fn given(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        let mut drops = all_drops(invalidate);
        let given = drops.find(|d| [d.leaf, d.walk, d.negative].contains(&Some(LevelSel::Given)));
        let several = distinguished(model, invalidate).iter().count() > 1;
        let fields: Vec<_> = numbers_of(model, invalidate).collect();
        let fact = match (given, invalidate.writes_entry, fields.first()) {
            (Some(drops), ..) => drops.span,
            // An entry may be named by its address.
            (None, Some(writes), Some(_)) if several => writes.span,
            (None, None, Some(_)) if several => invalidate.template.span,
            _ => continue,
        };
        let conds = fields.iter().map(|(_, there)| *there);
        let configs = Configs::of(model, conds.chain([&invalidate.requires]));
        let without = configs.iter().find(|&config| {
            let given = fields.iter().any(|(_, there)| there.holds(config));
            invalidate.requires.holds(config) && !given
        });
        let Some(config) = without else { continue };
        let name = &invalidate.named.name;
        let when = configs.when(config);
        found.push(
            Diagnostic::new(
                Code::E0306,
                invalidate.template.span,
                format!("`{name}` has no operand for the level{when}"),
            )
            .label("no operand here has a field with `level as ...`")
            .because(fact, "needs the level")
            .help("give it an operand with a field `level as pte 0, pmd 1;`, or correct what it drops"),
        );
    }
}
