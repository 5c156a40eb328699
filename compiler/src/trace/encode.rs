//! The encoding of operands.
//!
//! In: an operand of the model and the values of its sources. Out: its bits. Holds: the generated encoders produce the
//! same bits; the differential test compares the two, and tables made by hand compare both with the manuals.

use tlbc_runtime::level::Level;

use crate::model::{Config, Field, Model, Operand, Source, Value};

/// The values of the sources of fields. A source that an instruction does not use is zero.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sources {
    /// The tag, in the view that is flushed.
    pub tag: u64,
    /// The address.
    pub va: u64,
    /// The physical address of the top table.
    pub root: u64,
    /// The count field.
    pub num: u64,
    /// The scale field.
    pub scale: u64,
    /// The level of the hint.
    pub hint: Option<Level>,
    /// The level of the entries.
    pub stride: Option<Level>,
    /// The value of the form.
    pub form: u64,
    /// Whether a load keeps the entries of the tag.
    pub keep: bool,
    /// The number of the set.
    pub set: u64,
    /// The first address after the entries.
    pub end: u64,
    /// The bytes that the entries translate.
    pub bytes: u64,
    /// The physical address of the table whose entry changes.
    pub table: u64,
    /// The physical address of the entry that changes.
    pub entry: u64,
    /// The old value of the entry.
    pub old: u64,
    /// The new value of the entry.
    pub new: u64,
}

/// One field with its value.
pub struct FieldBits {
    /// The highest bit.
    pub high: u32,
    /// The lowest bit.
    pub low: u32,
    /// The value, in its own bits.
    pub bits: u64,
    /// The source that the definition names; `None` for a number.
    pub name: Option<String>,
}

/// Returns the fields of an operand whose condition holds, with their values, from the highest bit.
pub fn fields(model: &Model, operand: &Operand, config: Config, from: &Sources) -> Vec<FieldBits> {
    let one = |(field, bits): (&Field, u64)| FieldBits {
        high: field.high,
        low: field.low,
        bits,
        name: match field.value {
            Value::Const(_) => None,
            value => Some(value.text()),
        },
    };
    let mut fields: Vec<FieldBits> = values(model, operand, config, from).map(one).collect();
    fields.sort_by_key(|field| std::cmp::Reverse(field.high));
    fields
}

/// Returns the bits of an operand.
pub fn encode(model: &Model, operand: &Operand, config: Config, from: &Sources) -> u128 {
    let values = values(model, operand, config, from);
    values.fold(0, |bits, (field, value)| {
        bits | u128::from(value) << field.low
    })
}

/// Returns the fields of an operand whose condition holds, with their values.
fn values<'m>(
    model: &'m Model,
    operand: &'m Operand,
    config: Config,
    from: &Sources,
) -> impl Iterator<Item = (&'m Field, u64)> {
    let hint = from.hint.and_then(|level| hint(model, config, level));
    let there = operand.fields.iter().filter(move |field| {
        let when = &field.when;
        when.holds_with(config, hint.is_some(), from.keep)
    });
    there.map(move |field| {
        let value = value(model, config, field.value, from, hint);
        (field, value & mask(field.width()))
    })
}

/// Returns the number that encodes a level in a hint, if the level has one.
pub fn hint(model: &Model, config: Config, level: Level) -> Option<u64> {
    let level = model.geometries[config.geometry].levels[level.index()].as_ref()?;
    level.hint.map(|at| at.value)
}

fn mask(width: u32) -> u64 {
    if width >= 64 {
        u64::MAX
    } else {
        (1 << width) - 1
    }
}

fn value(model: &Model, config: Config, value: Value, from: &Sources, hint: Option<u64>) -> u64 {
    let geometry = &model.geometries[config.geometry];
    let source = |source| match source {
        Source::Tag => from.tag,
        Source::Va => from.va,
        Source::Root => from.root,
        Source::Num => from.num,
        Source::Scale => from.scale,
        Source::Hint => hint.unwrap_or(0),
        Source::Granule => geometry.granule.map_or(0, |at| at.value),
        Source::Form => from.form,
        Source::Keep => u64::from(from.keep),
        Source::Set => from.set,
        Source::End => from.end,
        Source::Bytes => from.bytes,
        Source::Table => from.table,
        Source::Entry => from.entry,
        Source::Old => from.old,
        Source::New => from.new,
    };
    match value {
        Value::Const(bits) => bits,
        Value::Source(s) => source(s),
        Value::Slice(s, high, low) => source(s) >> low & mask(high - low + 1),
        Value::PageNumber(s) => source(s) >> geometry.page_shift,
        Value::LevelAs(table) => from.stride.map_or(0, |level| {
            let numbers = &model.level_numbers[table];
            numbers.get(level.index(), config).unwrap_or(0)
        }),
    }
}
