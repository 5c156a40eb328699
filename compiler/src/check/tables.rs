//! Tables: levels that fit each other.
//!
//! In: the geometries and the addresses of the spaces. Out: E0307. Holds: in every configuration
//! the levels ascend from the page size, and the top table reaches every address.

use super::configs::Configs;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Cases, Cond, Field, Invalidate, Level, Machine, Model, Source, SpaceAddresses, Value, Var,
};

/// Returns the levels that a geometry has, with their names, from the leaf up.
fn levels(
    model: &Model,
    geometry: usize,
) -> impl DoubleEndedIterator<Item = (usize, &str, &Level)> {
    let levels = model.geometries[geometry].levels.iter().enumerate();
    levels.filter_map(|(index, level)| {
        let name = model.levels[index].name.as_str();
        level.as_ref().map(|level| (index, name, level))
    })
}

fn conds(model: &Model, geometry: usize) -> impl Iterator<Item = &Cond> {
    levels(model, geometry).flat_map(|(.., level)| level.shift.conds())
}

/// Checks E0307: in every configuration levels ascend, and the lowest maps one page.
pub fn ascending(model: &Model, found: &mut Vec<Diagnostic>) {
    for (g, geometry) in model.geometries.iter().enumerate() {
        let configs = Configs::of(model, conds(model, g));
        for config in configs.iter().filter(|config| config.geometry() == g) {
            let mut below: Option<(&str, u32, &Level)> = None;
            let before = found.len();
            for (index, name, level) in levels(model, g) {
                let Some(shift) = model.level_shift(index, config) else {
                    continue;
                };
                let when = configs.when(config);
                match below {
                    None if shift != geometry.page_shift => found.push(
                        Diagnostic::new(
                            Code::E0307,
                            level.span,
                            format!("an entry of the lowest level reaches 2^{shift} bytes, and a page has 2^{}{when}", geometry.page_shift),
                        )
                        .label("the lowest level")
                        .because(geometry.named.span, format!("pages of 2^{} bytes", geometry.page_shift))
                        .help("the lowest level maps single pages; correct its number or the page size"),
                    ),
                    Some((lower, reach, fact)) if shift <= reach => found.push(
                        Diagnostic::new(
                            Code::E0307,
                            level.span,
                            format!("`{name}` is above `{lower}` and does not reach further{when}"),
                        )
                        .label(format!("reaches 2^{shift} bytes"))
                        .because(fact.span, format!("reaches 2^{reach} bytes"))
                        .help("list the levels from the leaf up, each with the log2 of what one entry reaches"),
                    ),
                    Some((lower, reach, fact))
                        if found.len() == before
                            && shift - reach > most_entries(model, geometry.page_shift) => found.push(
                        Diagnostic::new(
                            Code::E0307,
                            level.span,
                            format!("a table between `{lower}` and `{name}` would have 2^{} entries{when}", shift - reach),
                        )
                        .label(format!("reaches 2^{shift} bytes"))
                        .because(fact.span, format!("reaches 2^{reach} bytes"))
                        .note(format!("with {} bytes an entry, the table would be larger than sixteen pages", model.entry_size()))
                        .help("add the level that is missing, or correct the numbers"),
                    ),
                    _ => {}
                }
                below = Some((name, shift, level));
            }
        }
    }
}

/// Checks E0307: in every configuration entries of the lowest level map pages.
pub fn lowest(model: &Model, found: &mut Vec<Diagnostic>) {
    for g in 0..model.geometries.len() {
        let leaves = levels(model, g).filter_map(|(.., level)| level.leaf.as_ref());
        let configs = Configs::of(model, conds(model, g).chain(leaves));
        for config in configs.iter().filter(|config| config.geometry() == g) {
            let mut present =
                levels(model, g).filter(|(index, ..)| model.level_shift(*index, config).is_some());
            let Some((_, name, level)) = present.next() else {
                continue;
            };
            if level.maps_pages(config) {
                continue;
            }
            found.push(
                Diagnostic::new(
                    Code::E0307,
                    level.span,
                    format!(
                        "entries of `{name}`, the lowest level, map no pages{}",
                        configs.when(config)
                    ),
                )
                .label("without `leaf`")
                .because(model.geometries[g].named.span, "no level maps single pages")
                .help(format!("write `leaf` after the number of `{name}`")),
            );
            break;
        }
    }
}

/// Checks E0307: each number that is stated for a level counts in some configuration.
pub fn alternatives(model: &Model, found: &mut Vec<Diagnostic>) {
    for g in 0..model.geometries.len() {
        for (_, name, level) in levels(model, g) {
            let configs = Configs::of(model, level.shift.conds());
            let counts = |case| {
                configs
                    .iter()
                    .any(|c| c.geometry() == g && counts(&level.shift, case, c))
            };
            for (case, (shift, _)) in level.shift.cases.iter().enumerate() {
                if !counts(case) {
                    found.push(
                        Diagnostic::new(
                            Code::E0307,
                            level.shift.span,
                            format!("`{name}` never has the number {shift}"),
                        )
                        .label(format!("{shift} never counts"))
                        .note("the last alternative whose condition holds is the one that counts")
                        .help("put the alternative without a condition first, or correct the conditions"),
                    );
                }
            }
        }
    }
}

/// Returns whether that case is the one that counts.
pub fn counts<T>(cases: &Cases<T>, case: usize, config: impl Machine) -> bool {
    let last = cases.cases.iter().rposition(|(_, cond)| cond.holds(config));
    last == Some(case)
}

/// Checks E0307: no two levels of a geometry have the same hint.
pub fn hints(model: &Model, found: &mut Vec<Diagnostic>) {
    for g in 0..model.geometries.len() {
        let hinted: Vec<_> = levels(model, g)
            .filter_map(|(_, name, level)| Some((name, level.hint?)))
            .collect();
        for (index, (name, hint)) in hinted.iter().enumerate() {
            let same = hinted[..index]
                .iter()
                .find(|(_, other)| other.value == hint.value);
            if let Some((lower, first)) = same {
                found.push(
                    Diagnostic::new(
                        Code::E0307,
                        hint.span,
                        format!("`{name}` and `{lower}` have the same hint"),
                    )
                    .label("again here")
                    .because(first.span, "first here")
                    .note("a hint selects the level: entries of the other one would be left")
                    .help("give each level the number that the manual gives it"),
                );
            }
        }
    }
}

/// Checks E0307: an operand with a hint of 0 is not the operand without a hint.
pub fn hints_of_zero(model: &Model, found: &mut Vec<Diagnostic>) {
    for (g, geometry) in model.geometries.iter().enumerate() {
        let mut hinted = levels(model, g).filter_map(|(_, name, level)| Some((name, level.hint?)));
        let Some((name, hint)) = hinted.find(|(_, hint)| hint.value == 0) else {
            continue;
        };
        let fields = |it: &Invalidate| {
            let operands = it.template.operands.clone().into_iter();
            operands.flat_map(|operand| &model.operands[operand].fields)
        };
        let marks = |field: &Field| {
            let nonzero = match field.value {
                Value::Const(number) => number != 0,
                Value::Source(Source::Granule) => geometry.granule.is_some_and(|g| g.value != 0),
                _ => false,
            };
            let mut terms = field.when.terms.iter();
            nonzero && terms.any(|term| term.value == (Var::Hinted, true))
        };
        let mut like_no_hint = (model.invalidates.iter()).filter(|it| !fields(it).any(marks));
        let ambiguous = like_no_hint.find_map(|it| {
            let field = fields(it).find(|field| field.value == Value::Source(Source::Hint))?;
            Some((it, field))
        });
        let Some((it, field)) = ambiguous else {
            continue;
        };
        found.push(
            Diagnostic::new(
                Code::E0307,
                hint.span,
                format!(
                    "`{}` with the hint of `{name}` is the same as without a hint",
                    it.named.name
                ),
            )
            .label("the hint is 0")
            .because(field.span, "0 as well where no level is given")
            .note("the machine cannot tell the two apart, and they do not drop the same entries")
            .help(
                "leave out the hint of this level, or give it the number that the manual gives it",
            ),
        );
    }
}

/// Returns log2 of the most entries of a table. The language does not state the size of a table: no known machine has one
/// of more than sixteen pages.
fn most_entries(model: &Model, page_shift: u32) -> u32 {
    const PAGES: u32 = 4;
    page_shift.saturating_sub(model.entry_size().ilog2()) + PAGES
}

/// Checks E0203: the size of an entry is stated where both sizes are common.
pub fn entry_size(model: &Model, found: &mut Vec<Diagnostic>) {
    let spaces = [&model.user, &model.kernel].into_iter();
    let mut all = spaces.flat_map(|space| &space.addresses.cases);
    if model.entry_bytes.is_some() || !all.all(|(addresses, _)| addresses.are_narrow()) {
        return;
    }
    found.push(
        Diagnostic::new(
            Code::E0203,
            model.arch.span,
            format!(
                "`arch {}` does not state the size of a table entry",
                model.arch.name
            ),
        )
        .because(
            model.user.addresses.span,
            "no address has more than 32 bits",
        )
        .note("with addresses of 32 bits, entries of 4 and of 8 bytes are common")
        .help("write `entries 4 bytes;` or `entries 8 bytes;`"),
    );
}

/// Checks E0307: the top table reaches all addresses of the spaces.
pub fn reach(model: &Model, found: &mut Vec<Diagnostic>) {
    for space in [&model.user, &model.kernel] {
        for (g, geometry) in model.geometries.iter().enumerate() {
            let configs = Configs::of(model, conds(model, g).chain(space.addresses.conds()));
            for config in configs.iter().filter(|config| config.geometry() == g) {
                let top = levels(model, g).rev().find_map(|(index, name, level)| {
                    Some((name, level, model.level_shift(index, config)?))
                });
                let (Some((name, level, shift)), Some(&SpaceAddresses { bits, .. })) =
                    (top, space.addresses.get(config))
                else {
                    continue;
                };
                let most = shift + most_entries(model, geometry.page_shift);
                if bits > most.min(64) {
                    found.push(
                        Diagnostic::new(
                            Code::E0307,
                            space.addresses.span,
                            format!("the top table does not reach addresses of {bits} bits{}", configs.when(config)),
                        )
                        .label(format!("{bits} bits"))
                        .because(level.span, format!("an entry of `{name}` reaches 2^{shift} bytes"))
                        .note(format!("with {} bytes an entry, the top table would be larger than sixteen pages", model.entry_size()))
                        .help("add the level that is missing, or correct the number of bits"),
                    );
                    break;
                }
            }
        }
    }
}
