//! Bits: operands carry every bit in which two values differ.
//!
//! In: the operands of instructions, and the addresses, tags, sets, forms and tables that these distinguish. Out: E0303
//! where such a bit is in no field, E0306 where a condition leaves all of them out. Holds: on every machine on which
//! an instruction may be used, no two of them have the same operands. Which bits differ is in `wanted`; the width of a
//! single field is checked in `widths`.

use super::compares_tag;
use super::configs::{Configs, RecordedConfig};
use super::physical::root_bits;
use super::wanted::{
    Wanted, active, address, conds_of_clauses, conds_of_own_tag, entry, form, low, run, set, table,
    tag, written,
};
use crate::codes::Code;
use crate::describe;
use crate::diagnostic::Diagnostic;
use crate::model::{Cases, Cond, Field, Machine, Model, Source, Value};

/// Checks E0303, E0306: an invalidation is given every bit in which entries that it drops or writes differ.
pub fn of_invalidations(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.invalidates {
        let template = (it.named.name.as_str(), it.template.operands.as_slice());
        let conds: Vec<&Cond> = conds_of_clauses(it).collect();
        let mut check = |source, wanted: &dyn Fn(RecordedConfig<'_>) -> Option<Wanted>| {
            found.extend(lost(model, template, &conds, source, |config| {
                wanted(config).filter(|_| it.requires.holds(config))
            }));
        };
        check(Source::Va, &|config| address(model, it, config));
        for (source, what) in [
            (Source::End, "the end of a run"),
            (Source::Bytes, "the size of a run"),
        ] {
            check(source, &|config| {
                let run = run(model, it, config)?;
                let others = [Source::Num, Source::End, Source::Bytes].into_iter();
                let mut others = others.filter(|other| *other != source);
                let given =
                    others.any(|of| super::field_of(model, &it.template.operands, of).is_some());
                // A size is up to that of a whole space, which has one bit more than an address.
                let is_size = source == Source::Bytes;
                let more = |all: u64| if is_size { all | all << 1 } else { all };
                address(model, it, config).map(|wanted| Wanted {
                    all: more(wanted.all),
                    any: if is_size { 0 } else { wanted.any },
                    what: what.to_owned(),
                    fact: run.fact,
                    needed: !given,
                })
            });
        }
        check(Source::Tag, &|config| {
            let compared = active(it, config).find(|drops| compares_tag(drops));
            tag(model, compared, config)
        });
        check(Source::Set, &|config| set(model, it, config));
        check(Source::Form, &|config| form(it, config));
        check(Source::Num, &|config| run(model, it, config));
        check(Source::Table, &|config| table(model, it, config));
        check(Source::Entry, &|config| entry(model, it, config));
        for source in [Source::Old, Source::New] {
            check(source, &|_| written(model, it, source));
        }
    }
}

/// Checks E0303: a load is given all of the tag, and every bit of the top table's address that can be set.
pub fn of_loads(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.loads {
        let template = (it.named.name.as_str(), it.template.operands.as_slice());
        let conds = [&it.requires];
        found.extend(lost(model, template, &conds, Source::Tag, |config| {
            tag(model, None, config).filter(|_| it.requires.holds(config))
        }));
        found.extend(lost(model, template, &conds, Source::Root, |config| {
            if !it.requires.holds(config) {
                return None;
            }
            let geometry = &model.geometries[config.geometry()];
            let above = root_bits(model, config);
            let aligned = geometry.root_shift;
            let shift = aligned.map_or(geometry.page_shift, |shift| shift.value);
            Some(Wanted {
                all: low(above.bits) & !low(shift),
                any: 0,
                what: "the address of a top table".to_owned(),
                fact: above
                    .said
                    .or(aligned.map(|shift| shift.span))
                    .unwrap_or(geometry.named.span),
                needed: false,
            })
        }));
    }
}

/// Returns the finding about a source, on the first machine on which bits of it are not carried.
fn lost<'m>(
    model: &'m Model,
    (name, operands): (&str, &'m [usize]),
    conds: &[&'m Cond],
    source: Source,
    wanted: impl Fn(RecordedConfig<'_>) -> Option<Wanted>,
) -> Option<Diagnostic> {
    let fields: Vec<&Field> = super::fields_of(model, operands, source).collect();
    // An operand without a field for it has been reported.
    let first = *fields.first()?;
    let own = fields.iter().map(|field| &field.when);
    let tags = model.tags.iter().map(|tag| &tag.when);
    let spaces = [&model.user, &model.kernel].into_iter();
    let addresses = spaces.flat_map(|space| space.addresses.conds());
    let levels = model.geometries.iter().flat_map(|it| &it.levels).flatten();
    let shifts = levels.flat_map(|level| level.shift.conds().chain(&level.leaf));
    let counts = model.caches.all.iter().filter_map(|it| it.sets.as_ref());
    let tables = model.table_bits.iter().flat_map(Cases::conds);
    let all = own.chain(conds.iter().copied());
    let all: Vec<&Cond> = match source {
        Source::Tag => all.chain(tags).collect(),
        Source::Va | Source::End | Source::Bytes => {
            let tags = conds_of_own_tag(model, operands);
            all.chain(addresses).chain(shifts).chain(tags).collect()
        }
        Source::Table => all.chain(shifts).chain(tables).collect(),
        Source::Set => all.chain(counts.flat_map(Cases::conds)).collect(),
        Source::Root | Source::Entry => all.chain(tables).collect(),
        _ => all.collect(),
    };
    let configs = Configs::of(model, all);
    configs.iter().find_map(|config| {
        let wanted = wanted(config)?;
        let geometry = &model.geometries[config.geometry()];
        // A field with the condition `hinted` or `keep` does not exist otherwise.
        [false, true].into_iter().find_map(|hinted| {
            let there = fields
                .iter()
                .filter(|field| field.when.holds_with(config, hinted, hinted));
            let carried = there
                .clone()
                .fold(0, |all, field| all | bits(field, geometry.page_shift));
            let (field, when) = (
                *there.clone().next().unwrap_or(&first),
                configs.when(config),
            );
            if carried == 0 {
                return wanted.needed.then(|| left_out(name, field, &wanted, &when));
            }
            let missing = wanted.all & !carried;
            let above = missing == 0 && wanted.any != 0 && wanted.any & carried == 0;
            let highest = *there.max_by_key(|field| bits(field, geometry.page_shift))?;
            if missing != 0 {
                let lowest = missing.trailing_zeros() < carried.trailing_zeros();
                let field = if lowest { field } else { highest };
                Some(cut(name, field, &wanted, missing, carried))
            } else if above {
                Some(half(highest, &wanted))
            } else {
                None
            }
        })
    })
}

/// Returns the bits of its source that a field carries.
fn bits(field: &Field, page_shift: u32) -> u64 {
    match field.value {
        Value::Source(_) => low(field.width()),
        Value::Slice(_, high, least) => low(high + 1) & !low(least),
        Value::PageNumber(_) => low(field.width()).checked_shl(page_shift).unwrap_or(0),
        Value::Const(_) | Value::LevelAs(_) => 0,
    }
}

fn left_out(name: &str, field: &Field, wanted: &Wanted, when: &str) -> Diagnostic {
    let what = &wanted.what;
    Diagnostic::new(
        Code::E0306,
        field.span,
        format!("`{name}` is not given {what}{when}"),
    )
    .label("zero then")
    .because(wanted.fact, "needs it")
    .note(
        "a field whose condition does not hold is zero, so the machine would act on another value",
    )
    .help("give the field no condition, or let the instruction require the condition of the field")
}

fn cut(name: &str, field: &Field, wanted: &Wanted, missing: u64, carried: u64) -> Diagnostic {
    let what = &wanted.what;
    let bit = missing.trailing_zeros();
    let word = field.value.source().map_or("", Source::name);
    let half = wanted.any != 0 && wanted.any & carried == 0;
    let top = if half {
        wanted.any.trailing_zeros()
    } else {
        wanted.all.ilog2()
    };
    let at_low_end = bit < carried.trailing_zeros();
    let message = if at_low_end {
        format!("{what} differs in bit {bit}, which no field of `{name}` carries")
    } else {
        let (needs, gets) = (
            64 - wanted.all.leading_zeros(),
            64 - carried.leading_zeros(),
        );
        if gets < needs {
            format!("{what} needs {needs} bits and gets {gets}")
        } else {
            format!("{what} has a bit {bit}, which no field of `{name}` carries")
        }
    };
    Diagnostic::new(Code::E0303, field.span, message)
        .label(format!("without bit {bit} of `{word}`"))
        .because(wanted.fact, "must be distinguished")
        .note("two values that differ in these bits have the same operand, so the instruction may act on the wrong one")
        .help(format!(
            "let a field carry the bits from {} to {top}{}",
            wanted.all.trailing_zeros(),
            match field.value.source() {
                Some(Source::Root) if at_low_end =>
                    format!(", or state a larger alignment of top tables: `root aligned to {};`", describe::bytes(carried.trailing_zeros().min(63))),
                Some(Source::Root) =>
                    format!(", or state a narrower address for top tables: `root within {bit} bits;`"),
                Some(Source::Table | Source::Entry) if !at_low_end =>
                    format!(", or state a narrower address for tables: `tables within {bit} bits;`"),
                _ => String::new(),
            }
        ))
}

fn half(field: &Field, wanted: &Wanted) -> Diagnostic {
    let bit = wanted.any.trailing_zeros();
    Diagnostic::new(
        Code::E0303,
        field.span,
        format!(
            "{} needs {} bits and gets {bit}",
            wanted.what,
            bit + 1
        ),
    )
    .label(format!("without bit {bit} of the address"))
    .because(wanted.fact, "must be distinguished")
    .note("addresses of the kernel and of user spaces differ only in higher bits; without them a page of one has the same operand as a page of the other")
    .help(format!("extend the field to bit {bit} of the address, or higher; or state the value of a tag that the kernel alone has, if the instruction compares it; an instruction for the addresses of one space alone, such as those of a second stage of translation, cannot be described"))
}
