//! Widths: every field is wide enough for its values.
//!
//! In: the operands, and the tags, levels, forms, sets and counts whose values they contain. Out:
//! E0303 where bits would be lost, E0203 where a value is not stated. Holds: no field loses bits of
//! its value. `bits` checks that an instruction has a field for every bit.

use super::configs::admits;
use super::physical::most_table_bits;
use super::{all_drops, field_of, sets, user_tags};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{AddressSelector, Amount, Cases, Drops, Field, Model, Operand, Source, Value};
use crate::source::Span;
use crate::text::count;

/// The value of a field: its number of bits, its name, and where it is stated.
struct StatedBits {
    bits: u32,
    what: String,
    fact: Option<Span>,
}

/// Checks E0303: no field, tag or view is narrower than its value.
pub fn too_narrow(model: &Model, found: &mut Vec<Diagnostic>) {
    for (index, operand) in model.operands.iter().enumerate() {
        for field in &operand.fields {
            found.extend(beyond(operand, field).or_else(|| slice(field)));
            if let Some(demand) = demand(model, index, field).filter(|d| d.bits > field.width()) {
                found.push(lost(model, field, &demand));
            }
        }
        found.extend(units(model, index));
    }
    tags(model, found);
}

/// Checks E0303: a field is no wider than the value of its source.
///
/// Numbers that the definition states (levels, page sizes, forms, sets) may have leading zeros.
pub fn wider(model: &Model, found: &mut Vec<Diagnostic>) {
    for (index, operand) in model.operands.iter().enumerate() {
        for field in &operand.fields {
            let Value::Source(source) = field.value else {
                continue;
            };
            if matches!(
                source,
                Source::Hint | Source::Granule | Source::Form | Source::Set
            ) {
                continue;
            }
            let Some(demand) = demand(model, index, field) else {
                continue;
            };
            let (has, wants) = (u64::from(field.width()), u64::from(demand.bits));
            if has <= wants {
                continue;
            }
            let what = source.name();
            let mut diagnostic = Diagnostic::new(
                Code::E0303,
                field.span,
                format!(
                    "{} has {}, and its field in `{}` {}",
                    demand.what,
                    count(wants, "bit"),
                    operand.named.name,
                    count(has, "bit")
                ),
            )
            .label(format!("{} here", count(has, "bit")));
            if let Some(fact) = demand.fact {
                diagnostic = diagnostic.because(fact, count(wants, "bit"));
            }
            found.push(
                diagnostic
                    .note(format!("`{what}` would be in the lowest bits of the field, and the machine may expect it in others"))
                    .help(format!("give `{what}` the bits that it has in the manual, and the others a `0`")),
            );
        }
    }
}

fn lost(model: &Model, field: &Field, demand: &StatedBits) -> Diagnostic {
    let have = u64::from(field.width());
    let mut tags = user_tags(model).into_iter().map(|tag| &model.tags[tag]);
    // The lowest bits of an aligned root are zero.
    let of_root = field.value == Value::Source(Source::Tag) && tags.any(|it| it.is_root.is_some());
    let (top, low) = (demand.bits - 1, u64::from(demand.bits) - have);
    let bits_of_root =
        format!("state which bits the field carries, for instance `tag[{top}:{low}]`");
    let needs = count(u64::from(demand.bits), "bit");
    let diagnostic = Diagnostic::new(
        Code::E0303,
        field.span,
        format!("{} needs {needs} and gets {have}", demand.what),
    )
    .label(format!("{} here", count(have, "bit")))
    .note("the bits that do not fit are lost, and the instruction is given another value")
    .help(match field.value {
        Value::Source(Source::Va) => {
            "state which bits the field carries: `va[55:12]`, or `va >> page` for the number of the page"
        }
        Value::Source(Source::Root | Source::Table | Source::Entry) => {
            "state which bits the field carries, for instance `root[47:12]`"
        }
        _ if of_root => bits_of_root.as_str(),
        _ => "widen the field, or correct the value",
    });
    match demand.fact {
        Some(fact) => diagnostic.because(fact, format!("needs {needs}")),
        None => diagnostic,
    }
}

/// Returns a field above the top of its operand.
fn beyond(operand: &Operand, field: &Field) -> Option<Diagnostic> {
    let width = operand.bits.value;
    (u64::from(field.high) >= width).then(|| {
        Diagnostic::new(
            Code::E0303,
            field.span,
            format!(
                "a field of the operand `{}` is outside of its {}",
                operand.named.name,
                count(width, "bit")
            ),
        )
        .label(format!("up to bit {}", field.high))
        .because(
            operand.bits.span,
            format!("bit {} is the highest", width.saturating_sub(1)),
        )
        .help("move the field, or widen the operand")
    })
}

/// Returns a slice of another width than its field.
fn slice(field: &Field) -> Option<Diagnostic> {
    let Value::Slice(_, high, low) = field.value else {
        return None;
    };
    let (has, wants) = (field.width(), high - low + 1);
    (has != wants).then(|| {
        Diagnostic::new(
            Code::E0303,
            field.span,
            format!(
                "{} are assigned to a field of {has}",
                count(u64::from(wants), "bit")
            ),
        )
        .label(format!(
            "[{high}:{low}] is {}",
            count(u64::from(wants), "bit")
        ))
        .help("correct the bits: a range includes both ends")
    })
}

fn demand(model: &Model, operand: usize, field: &Field) -> Option<StatedBits> {
    let number = |value: u64, what: String, fact| StatedBits {
        bits: (u64::BITS - value.leading_zeros()).max(1),
        what,
        fact,
    };
    match field.value {
        Value::Const(value) => Some(number(value, format!("the constant {value:#x}"), None)),
        Value::Source(Source::Tag) => {
            let tags = user_tags(model).into_iter().map(|tag| &model.tags[tag]);
            let widest = tags.max_by_key(|tag| tag.widths.1)?;
            Some(StatedBits {
                bits: widest.widths.1 as u32,
                what: format!("the tag `{}`", widest.named.name),
                fact: Some(widest.bits.span),
            })
        }
        Value::Source(Source::Va | Source::End | Source::Bytes) => Some(StatedBits {
            bits: address_bits(model, field),
            what: "a whole virtual address".to_owned(),
            fact: None,
        }),
        Value::Source(source @ (Source::Root | Source::Table | Source::Entry)) => {
            let width = field.width();
            let stated = most_table_bits(model, source).filter(|_| width < 64);
            // A field that is the whole operand has leading zeros.
            let whole = u64::from(width) == model.operands[operand].bits.value;
            let least = if whole { width } else { 0 };
            Some(StatedBits {
                bits: stated.as_ref().map_or(64, |stated| stated.bits.max(least)),
                what: "a whole physical address".to_owned(),
                fact: stated.and_then(|stated| stated.said),
            })
        }
        Value::Source(Source::Old | Source::New) => Some(StatedBits {
            bits: model.entry_size() as u32 * 8,
            what: "a table entry".to_owned(),
            fact: model.entry_bytes.map(|at| at.span),
        }),
        Value::Source(Source::Keep) => Some(StatedBits {
            bits: 1,
            what: "whether entries are kept".to_owned(),
            fact: None,
        }),
        Value::Source(Source::Set) => {
            let users = model.invalidates.iter();
            let users = users.filter(|i| i.template.operands.contains(&operand));
            let one = |drops: &&Drops| drops.which.value == AddressSelector::OneSet;
            let drops = users.flat_map(all_drops).filter(one);
            let most = |drops: &Drops| {
                let counts = |sets: &Cases<Amount>| {
                    let counts = sets.cases.iter();
                    counts.map(|(n, _)| n.range(&model.limits).1).max()
                };
                Some((sets::most(model, drops, counts)?, drops.which.span))
            };
            let (most, fact) = drops.filter_map(most).max_by_key(|(most, _)| *most)?;
            let what = format!("the set of {most}");
            Some(number(most.saturating_sub(1), what, Some(fact)))
        }
        Value::LevelAs(table) => {
            let numbers = &model.level_numbers[table];
            let most = numbers.cases.iter().map(|(_, number, _)| *number);
            let most = most.chain(numbers.otherwise).max()?;
            Some(number(
                most,
                format!("the number {most:#x} of a level"),
                Some(numbers.span),
            ))
        }
        Value::Source(Source::Hint) => {
            let levels = model
                .geometries
                .iter()
                .flat_map(|g| g.levels.iter().flatten());
            let most = levels
                .filter_map(|level| level.hint)
                .max_by_key(|hint| hint.value)?;
            Some(number(
                most.value,
                format!("the level hint {}", most.value),
                Some(most.span),
            ))
        }
        Value::Source(Source::Granule) => {
            let granules = model.geometries.iter().filter_map(|g| g.granule);
            let most = granules.max_by_key(|granule| granule.value)?;
            Some(number(
                most.value,
                format!("the granule {}", most.value),
                Some(most.span),
            ))
        }
        Value::Source(Source::Form) => {
            let users = model.invalidates.iter();
            let users = users.filter(|i| i.template.operands.contains(&operand));
            let forms = users.flat_map(|i| i.forms.iter().filter_map(|f| f.named.as_ref()));
            let (named, value) = forms.max_by_key(|(_, value)| value)?;
            Some(number(
                *value,
                format!("the form `{}`", named.name),
                Some(named.span),
            ))
        }
        _ => None,
    }
}

/// Returns the number of bits of a whole virtual address: 64, or 32 in a field that is narrower if no address has more.
/// The address after the last one is 0 then.
fn address_bits(model: &Model, field: &Field) -> u32 {
    let spaces = [&model.user, &model.kernel].into_iter();
    let mut all = spaces.flat_map(|space| &space.addresses.cases);
    if field.width() < 64 && all.all(|(addresses, _)| addresses.are_narrow()) {
        32
    } else {
        64
    }
}

/// Returns a run whose count ends before the next larger unit begins.
fn units(model: &Model, operand: usize) -> Option<Diagnostic> {
    let names = model.operands[operand].names.as_ref()?;
    let short = names.scales > 1 && u128::from(names.most_num) + 1 < 1u128 << names.step;
    let num = field_of(model, &[operand], Source::Num).filter(|_| short)?;
    Some(
        Diagnostic::new(
            Code::E0303,
            num.span,
            format!(
                "`num` counts to {} units, and the next scale begins at {}",
                names.most_num + 1,
                1u64 << names.step
            ),
        )
        .label(count(u64::from(num.width()), "bit"))
        .because(names.span, "the factor between two scales")
        .note("a range is divided into the largest units first; counts between two scales could not be named")
        .help("widen `num`, or correct the formula"),
    )
}

/// Returns tags that do not hold their own values, or the bits that a view sets in them.
fn tags(model: &Model, found: &mut Vec<Diagnostic>) {
    let fits = |value: u64, bits: u64| value >> bits.min(63) == 0;
    for tag in &model.tags {
        let Some(values) = tag.values else { continue };
        let ((first, last), (least, most)) = (values.value, tag.widths);
        // Where the tag is narrower than the last value needs, the values end earlier, but there is a first one.
        let mut needed = [(last, most), (first, least)].into_iter();
        let Some((value, bits)) = needed.find(|&(value, bits)| !fits(value, bits)) else {
            continue;
        };
        found.push(
            Diagnostic::new(
                Code::E0303,
                values.span,
                format!("the tag `{}` cannot be {value}", tag.named.name),
            )
            .label("too large")
            .because(tag.bits.span, count(bits, "bit"))
            .help("correct the values, or the width"),
        );
    }
    let user: Vec<usize> = user_tags(model);
    for view in &model.user.views {
        let mut tags = user.iter().map(|&tag| &model.tags[tag]);
        if let Some(tag) = tags.find(|tag| !fits(view.or, tag.widths.0)) {
            found.push(
                Diagnostic::new(
                    Code::E0303,
                    view.named.span,
                    format!(
                        "the view `{}` sets a bit that the tag `{}` does not have",
                        view.named.name, tag.named.name
                    ),
                )
                .label(format!("sets {:#x}", view.or))
                .because(tag.bits.span, count(tag.widths.0, "bit"))
                .note("both views would run under the same tag, and use each other's entries")
                .help("set a bit within the width of the tag"),
            );
        }
    }
}

/// Checks E0203: a field that takes the granule or the level hint finds one in every geometry.
pub fn unnumbered(model: &Model, found: &mut Vec<Diagnostic>) {
    for (index, operand) in model.operands.iter().enumerate() {
        for (g, geometry) in model.geometries.iter().enumerate() {
            let hinted = geometry
                .levels
                .iter()
                .flatten()
                .any(|level| level.hint.is_some());
            let wanted = [
                (
                    Source::Granule,
                    geometry.granule.is_none(),
                    "`granule`",
                    "`granule 1;`",
                ),
                (Source::Hint, !hinted, "`hint`", "`pte 12 leaf hint 1;`"),
            ];
            for (source, missing, what, example) in wanted {
                let field = field_of(model, &[index], source);
                let Some(field) = field.filter(|f| missing && admits(&f.when, g)) else {
                    continue;
                };
                let name = &geometry.named.name;
                found.push(
                    Diagnostic::new(
                        Code::E0203,
                        geometry.named.span,
                        format!("the geometry `{name}` has no {what}"),
                    )
                    .label("missing from this block")
                    .because(
                        field.span,
                        format!("the operand `{}` needs it", operand.named.name),
                    )
                    .help(format!("add, for instance, {example}")),
                );
            }
        }
    }
}
