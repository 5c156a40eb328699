//! Bits: operands carry every bit in which two values differ.
//!
//! In: the operands of instructions, and the addresses, tags, sets, forms and tables that these distinguish. Out: E0303
//! where such a bit is in no field, E0306 where a condition leaves all of them out. Holds: on every machine on which
//! an instruction may be used, no two of them have the same operands. The width of a single field is checked in
//! `widths`.

use super::configs::{Configs, RecordedConfig};
use super::physical::{root_bits, table_bits};
use super::{all_drops, compares_tag, tags_in};
use crate::codes::Code;
use crate::describe;
use crate::diagnostic::Diagnostic;
use crate::model::{
    AddressSelector, Cases, Cond, Drops, Field, Invalidate, Machine, Model, Source, Space, Value,
};
use crate::source::Span;
use tlbc_facts::clause::RunUnit;
use tlbc_runtime::level::Level;

/// Returns the log2 of the bytes of a table entry.
fn entry_shift(model: &Model) -> u32 {
    model.entry_size().ilog2()
}

/// What an instruction must be given on one machine.
struct Wanted {
    /// The bits of the source that differ.
    all: u64,
    /// Bits of which one must be carried, unless there are none.
    any: u64,
    what: String,
    /// Where that is said.
    fact: Span,
    /// Whether the effect depends on it.
    needed: bool,
}

/// Returns the lowest `count` bits.
fn low(count: u32) -> u64 {
    1u64.checked_shl(count).map_or(u64::MAX, |bit| bit - 1)
}

/// Checks E0303, E0306: an invalidation is given every bit in which entries that it drops or writes differ.
pub fn of_invalidations(model: &Model, found: &mut Vec<Diagnostic>) {
    for it in &model.invalidates {
        let template = (it.named.name.as_str(), it.template.operands.as_slice());
        let of_forms = it.forms.iter().map(|form| &form.requires);
        let of_drops = all_drops(it).map(|drops| &drops.when);
        let conds: Vec<&Cond> = of_forms.chain(of_drops).chain([&it.requires]).collect();
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
        found.extend(lost(model, template, &[], Source::Tag, |config| {
            tag(model, None, config)
        }));
        found.extend(lost(model, template, &[], Source::Root, |config| {
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

/// Returns the clauses that count in a configuration, with a hint or without.
fn active(it: &Invalidate, config: impl Machine) -> impl Iterator<Item = &Drops> {
    let forms = it.forms.iter();
    let usable = forms.filter(move |form| form.requires.holds(config));
    let drops = usable.flat_map(|form| &form.drops);
    drops.filter(move |drops| super::configs::can_hold(&drops.when, config))
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
        Source::Va | Source::End | Source::Bytes => all.chain(addresses).chain(shifts).collect(),
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
    .help(format!("extend the field to bit {bit} of the address, or higher; an instruction for the addresses of one space alone, such as those of a second stage of translation, cannot be described"))
}

/// Returns the bits of an address in which two entries that an instruction serves differ.
fn address(model: &Model, it: &Invalidate, config: impl Machine) -> Option<Wanted> {
    let by_address = active(it, config).find(|drops| {
        !matches!(
            drops.which.value,
            AddressSelector::Everything | AddressSelector::OneSet
        )
    });
    // An instruction that writes an entry is given its address, too.
    if by_address.is_none() && it.writes_entry.is_none() {
        return None;
    }
    let (step, level) = least_step(model, it, config)?;
    let of = |space: &Space| space.addresses.get(config).copied();
    let (user, kernel) = (of(&model.user)?, of(&model.kernel)?);
    let (space, bits) = if user.bits >= kernel.bits {
        (&model.user, user.bits)
    } else {
        (&model.kernel, kernel.bits)
    };
    let (last, name) = (
        &model.levels[level].name,
        &model.geometries[config.geometry()].named.name,
    );
    let at = model.geometries[config.geometry()].levels[level].as_ref();
    let least = at.map_or(space.addresses.span, |level| level.span);
    Some(Wanted {
        all: low(bits) & !low(step),
        any: (user.base ^ kernel.base) & !low(bits),
        what: format!("the address of an entry of `{last}` of `{name}`"),
        fact: by_address.map_or(least, |drops| drops.which.span),
        needed: true,
    })
}

/// Returns the least log2 of the distance of two entries that an instruction serves, and their level.
fn least_step(model: &Model, it: &Invalidate, config: impl Machine) -> Option<(u32, usize)> {
    let served = |level: usize| {
        let level = Level(level as u8);
        let run = |drops: &Drops| match drops.which.value {
            AddressSelector::Run {
                stride: RunUnit::Entries(levels),
                ..
            } => levels.contains(level),
            _ => true,
        };
        match it.writes_entry {
            Some(writes) => writes.levels.contains(level),
            None => all_drops(it).any(run),
        }
    };
    let levels = (0..model.levels.len()).filter(|&level| served(level));
    let steps = levels.filter_map(|level| {
        let joined = if joins(it, level) {
            model.caches.covered(level)
        } else {
            0
        };
        Some((model.level_shift(level, config)? + joined, level))
    });
    steps.min()
}

/// Returns whether an instruction drops translations one by one at a level, and nothing else: neighbouring entries
/// that share one need not be distinguished. A run begins at one entry and counts from there.
fn joins(it: &Invalidate, level: usize) -> bool {
    let leaf_alone = |drops: &Drops| {
        let one_by_one = !matches!(
            drops.which.value,
            AddressSelector::Run { .. } | AddressSelector::Subtree
        );
        // Entries of the lowest level point at no table.
        one_by_one && (level == 0 || drops.walk.is_none())
    };
    let by_address = |drops: &&Drops| {
        !matches!(
            drops.which.value,
            AddressSelector::Everything | AddressSelector::OneSet
        )
    };
    it.writes_entry.is_none() && all_drops(it).filter(by_address).all(leaf_alone)
}

/// Returns the tag, if there is one.
fn tag(model: &Model, compared: Option<&Drops>, config: impl Machine) -> Option<Wanted> {
    let widest = tags_in(model, config).max_by_key(|tag| tag.widths.1)?;
    let geometry = &model.geometries[config.geometry()];
    let aligned = geometry
        .root_shift
        .map_or(geometry.page_shift, |at| at.value);
    // The address of a top table differs from its alignment upwards.
    let same = widest.is_root.map_or(0, |_| low(aligned));
    Some(Wanted {
        all: low(widest.widths.1 as u32) & !same,
        any: 0,
        what: format!("the tag `{}`", widest.named.name),
        fact: compared.map_or(widest.bits.span, |drops| drops.whose.span),
        needed: compared.is_some(),
    })
}

/// Returns which set of a cache.
fn set(model: &Model, it: &Invalidate, config: impl Machine) -> Option<Wanted> {
    let one = active(it, config).find(|drops| drops.which.value == AddressSelector::OneSet)?;
    let count = super::sets::most(model, one, |sets| {
        let count = sets.get(config)?;
        Some(count.range(&model.limits).1)
    })?;
    Some(Wanted {
        all: low(u64::BITS - (count - 1).leading_zeros()),
        any: 0,
        what: "the set".to_owned(),
        fact: one.which.span,
        needed: count > 1,
    })
}

/// Returns which form.
fn form(it: &Invalidate, config: impl Machine) -> Option<Wanted> {
    let usable = it.forms.iter().filter(|form| form.requires.holds(config));
    let forms = usable.filter_map(|form| form.named.as_ref());
    let (named, most) = forms.max_by_key(|(_, number)| number)?;
    Some(Wanted {
        all: low(u64::BITS - most.leading_zeros()),
        any: 0,
        what: "the form".to_owned(),
        fact: named.span,
        needed: *most > 0,
    })
}

/// Returns how many a run takes.
fn run(model: &Model, it: &Invalidate, config: impl Machine) -> Option<Wanted> {
    let run = active(it, config)
        .find(|drops| matches!(drops.which.value, AddressSelector::Run { .. }))?;
    let ends = super::run_end_of(model, &it.template.operands);
    Some(Wanted {
        all: 1,
        any: 0,
        what: "how many there are".to_owned(),
        fact: run.which.span,
        needed: ends.is_none(),
    })
}

/// Returns the table of the entry that changes. A table is aligned to its own size.
fn table(model: &Model, it: &Invalidate, config: impl Machine) -> Option<Wanted> {
    let writes = it.writes_entry?;
    let present = (0..model.levels.len())
        .filter_map(|level| Some((level, model.level_shift(level, config)?)));
    let present: Vec<(usize, u32)> = present.collect();
    let sizes = present.windows(2).filter_map(|pair| {
        let [(level, reach), (_, above)] = pair else {
            return None;
        };
        let served = writes.levels.contains(Level(*level as u8));
        served.then_some(above.saturating_sub(*reach) + entry_shift(model))
    });
    let above = table_bits(model, config);
    Some(Wanted {
        all: low(above.bits) & !low(sizes.min()?),
        any: 0,
        what: "the address of a table".to_owned(),
        fact: above.said.unwrap_or(writes.span),
        needed: true,
    })
}

/// Returns the entry that changes.
fn entry(model: &Model, it: &Invalidate, config: impl Machine) -> Option<Wanted> {
    let writes = it.writes_entry?;
    let above = table_bits(model, config);
    Some(Wanted {
        all: low(above.bits) & !low(entry_shift(model)),
        any: 0,
        what: "the address of an entry".to_owned(),
        fact: above.said.unwrap_or(writes.span),
        needed: true,
    })
}

/// Returns the value of the entry.
fn written(model: &Model, it: &Invalidate, source: Source) -> Option<Wanted> {
    let writes = it.writes_entry?;
    Some(Wanted {
        all: low(model.entry_size() as u32 * 8),
        any: 0,
        what: if source == Source::Old {
            "the entry as it was".to_owned()
        } else {
            "the entry as it becomes".to_owned()
        },
        fact: writes.span,
        needed: true,
    })
}
