//! Runs: the operand can name every count that the instruction takes, of the right entries.
//!
//! In: invalidations of runs and the operands that count them. Out: E0308 and E0408. Holds: a range can be divided
//! into runs, no smaller leaf lies between the addresses that a run names, and an instruction that writes a run of
//! entries drops what was made through them.

use tlbc_facts::clause::{MaxCount, RunUnit};
use tlbc_runtime::level::{Level, Levels};

use super::all_drops;
use crate::codes::Code;
use crate::describe;
use crate::diagnostic::Diagnostic;
use crate::model::{AddressSelector, Drops, Invalidate, Model, Names, UNLIMITED, Value};
use crate::text::count;

/// Returns the runs that instructions drop, each with the formula of its operand.
fn runs(model: &Model) -> impl Iterator<Item = (&Invalidate, &Drops, &Names)> {
    model.invalidates.iter().flat_map(|invalidate| {
        let mut operands = invalidate.template.operands.iter();
        let names = operands.find_map(|&o| model.operands[o].names.as_ref());
        let drops =
            all_drops(invalidate).filter(|d| matches!(d.which.value, AddressSelector::Run { .. }));
        drops.filter_map(move |drops| Some((invalidate, drops, names?)))
    })
}

/// Checks E0308: the operand can name every count that the instruction takes.
pub fn lengths(model: &Model, found: &mut Vec<Diagnostic>) {
    for (invalidate, drops, names) in runs(model) {
        let AddressSelector::Run {
            least,
            most,
            stride,
        } = drops.which.value
        else {
            continue;
        };
        let limit = match most {
            MaxCount::Count(_) => None,
            MaxCount::Limit(index) => Some(&model.limits[usize::from(index)]),
        };
        let (smallest, largest) = match (most, limit) {
            (MaxCount::Count(most), _) => (u64::from(most), u64::from(most)),
            (_, limit) => limit.map_or((1, 1), |limit| (limit.least, limit.most)),
        };
        if most == MaxCount::Count(UNLIMITED) && !names.any {
            continue;
        }
        let name = &invalidate.named.name;
        let unit = if names.pages { "pages" } else { "entries" };
        let capacity = (names.most_num + 1) << (names.base + names.step * (names.scales - 1));
        let finding = |message: String| Diagnostic::new(Code::E0308, drops.which.span, message);
        let diagnostic = if names.pages != (stride == RunUnit::Pages) {
            finding(format!("`{name}` and its operand count different things"))
                .label("counts something else")
                .because(names.span, format!("counts {unit}"))
                .note("for a large page one counts many pages, and the other one entry")
                .help(if is_by_end(model, invalidate) {
                    "let both name `pages`, or both `entries`"
                } else {
                    "write `pages` in both, or `entries` in both"
                })
        } else if least == 0 || least > smallest {
            finding(format!("a run cannot have {least} to {smallest} {unit}"))
                .label(format!("from {least}"))
                .help("write the least count that the manual allows, then the largest; both at least 1")
        } else if least < 1 << names.base {
            finding(format!(
                "the operand of `{name}` cannot name as few as {least}"
            ))
            .label(format!("from {least}"))
            .because(names.span, format!("names at least {}", 1u64 << names.base))
            .note("a shorter run would be rounded to another length")
            .help("begin with one unit of the operand, or correct the formula")
        } else if least > 1 << names.base {
            finding(format!(
                "the operand of `{name}` names as few as {}, and its runs begin at {least}",
                1u64 << names.base
            ))
            .label(format!("from {least}"))
            .because(names.span, format!("names at least {}", 1u64 << names.base))
            .note("a range is divided into runs of every length that the operand can name")
            .help("begin with one unit of the operand; runs that the machine does not take cannot be described")
        } else if names.pages && has_every_count(names) && (limit.is_some() || largest < capacity) {
            finding(format!(
                "the operand of `{name}` names up to {} pages, and its runs end at {}",
                describe::number(capacity),
                limit.map_or(describe::number(largest), |limit| format!("`{}`", limit.named.name))
            ))
            .label("fewer than the operand can name")
            .because(names.span, format!("names up to {}", describe::number(capacity)))
            .note("pages are counted in the units of the operand, and the largest unit is used first")
            .help(match (largest >> names.base).max(1) {
                units if names.scales == 1 && limit.is_none() && units.is_power_of_two() => format!(
                    "give `num` the {} that it needs, and the bits above it a `0`; runs of `entries` may be shorter",
                    count(u64::from(units.ilog2().max(1)), "bit")
                ),
                _ => format!(
                    "write up to {}, and give `num` the bits that the manual gives it; runs of `entries` may be shorter",
                    describe::number(capacity)
                ),
            })
        } else if largest > capacity {
            finding(format!(
                "the operand of `{name}` cannot name {largest} {unit}"
            ))
            .label(format!("up to {largest}"))
            .because(names.span, format!("names at most {capacity}"))
            .note("the count would be cut off, and the end of the range would stay cached")
            .help("lower the largest count, or correct the width of `num`")
        } else {
            continue;
        };
        found.push(match limit {
            Some(limit) => diagnostic.because(
                limit.named.span,
                format!("from {} to {}", limit.least, limit.most),
            ),
            None => diagnostic,
        });
    }
}

/// Returns whether an operand counts, and each scale begins where the one before ends.
fn has_every_count(names: &Names) -> bool {
    !names.any && (names.scales == 1 || names.most_num + 1 >= 1 << names.step)
}

/// Returns whether the operands give the end of a run, and not its count.
fn is_by_end(model: &Model, invalidate: &Invalidate) -> bool {
    super::run_end_of(model, &invalidate.template.operands).is_some()
}

/// Checks E0408: a run that counts entries is given their level, or the address where it ends, and the level maps pages.
pub fn strides(model: &Model, found: &mut Vec<Diagnostic>) {
    for (invalidate, drops, _) in runs(model) {
        let AddressSelector::Run {
            stride: RunUnit::Entries(levels),
            ..
        } = drops.which.value
        else {
            continue;
        };
        for (position, level) in levels.iter().enumerate() {
            let named = &model.levels[level.index()];
            if !model.leaf_levels().contains(level) {
                found.push(
                    Diagnostic::new(
                        Code::E0408,
                        drops.which.span,
                        format!(
                            "`{}` steps by entries of `{}`, which maps no pages",
                            invalidate.named.name, named.name
                        ),
                    )
                    .label(format!("no leaf at `{}`", named.name))
                    .because(named.span, "without `leaf`")
                    .note("smaller leaves between the addresses of the run would be left")
                    .help("remove the level, or mark it `leaf`"),
                );
            } else if position > 0
                && !is_by_end(model, invalidate)
                && !tells(model, invalidate, level)
            {
                found.push(
                    Diagnostic::new(
                        Code::E0408,
                        drops.which.span,
                        format!(
                            "`{}` has no number for the level `{}`, by which it steps",
                            invalidate.named.name, named.name
                        ),
                    )
                    .label("steps by more than one level")
                    .because(
                        invalidate.template.span,
                        format!("no operand here has a number for `{}`", named.name),
                    )
                    .note("it would step by the wrong size, and leaves in between would be left")
                    .help(format!(
                        "add a field `level as {} ...` to the operand, or remove the level",
                        named.name
                    )),
                );
            }
        }
    }
}

/// Checks E0408: a run of an instruction that writes entries counts the entries that it writes.
pub fn written(model: &Model, found: &mut Vec<Diagnostic>) {
    for (invalidate, drops, _) in runs(model) {
        let (AddressSelector::Run { stride, .. }, Some(writes)) =
            (&drops.which.value, &invalidate.writes_entry)
        else {
            continue;
        };
        let counted = match stride {
            RunUnit::Pages => Levels::NONE,
            RunUnit::Entries(levels) => *levels,
        };
        let Some(level) = writes.levels.iter().find(|&level| !counted.contains(level)) else {
            continue;
        };
        let (name, level) = (&invalidate.named.name, &model.levels[level.index()].name);
        found.push(
            Diagnostic::new(
                Code::E0408,
                drops.which.span,
                format!("`{name}` writes entries of `{level}`, and its run does not count these"),
            )
            .label("counts other entries")
            .because(writes.span, "writes these")
            .note(
                "it would write the given number of entries, and drop what was made through others",
            )
            .help(format!(
                "let the run count `entries at {level}`, or correct which entries it writes"
            )),
        );
    }
}

fn tells(model: &Model, invalidate: &Invalidate, level: Level) -> bool {
    let operands = invalidate.template.operands.iter();
    let mut fields = operands.flat_map(|&o| &model.operands[o].fields);
    fields.any(|field| match field.value {
        Value::LevelAs(table) => {
            let mut cases = model.level_numbers[table].cases.iter();
            cases.any(|(of, ..)| *of == level.index())
        }
        _ => false,
    })
}

/// Checks E0311: a run states its largest count, unless its operand names any number.
pub fn limited(model: &Model, found: &mut Vec<Diagnostic>) {
    for (invalidate, drops, names) in runs(model) {
        let AddressSelector::Run {
            least,
            most: MaxCount::Count(UNLIMITED),
            ..
        } = drops.which.value
        else {
            continue;
        };
        if names.any {
            continue;
        }
        found.push(
            Diagnostic::new(
                Code::E0311,
                drops.which.span,
                format!("the runs of `{}` have no limit", invalidate.named.name),
            )
            .label(format!("from {least} to how many?"))
            .note("one instruction takes as many as its operand holds, or as the machine says; the rest would stay cached")
            .help("write the largest count, or `limit(...)` for one that is read from the machine"),
        );
    }
}
