//! Physical addresses: operands carry the bits that addresses of tables can have, and no others.
//!
//! In: `tables within`, and the fields that take the address of a table. Out: E0303. Holds: a field has no bit of such
//! an address that is never set. `bits` checks that no bit is left out.

use super::configs::{Configs, RecordedConfig, can_hold};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Cases, Field, Machine, Model, Source, Value};
use crate::source::Span;

/// How many bits the physical address of a table has.
pub struct TableBits {
    pub bits: u32,
    /// Where it is stated; 64 bits if it is not.
    pub said: Option<Span>,
}

/// Returns the bits that the physical address of a table has in a configuration.
pub fn table_bits(model: &Model, config: impl Machine) -> TableBits {
    let said = model.table_bits.as_ref().and_then(|it| it.get(config));
    TableBits {
        bits: said.map_or(u64::BITS, |at| at.value as u32),
        said: said.map(|at| at.span),
    }
}

/// Returns the bits that the physical address of a top table has in a configuration.
pub fn root_bits(model: &Model, config: impl Machine) -> TableBits {
    let said = model.geometries[config.geometry()].root_bits;
    said.map_or_else(
        || table_bits(model, config),
        |at| TableBits {
            bits: at.value as u32,
            said: Some(at.span),
        },
    )
}

/// Returns the most bits that the physical address of a table, or of a top table, has in any configuration; nothing where one of
/// them does not state it.
pub fn most_table_bits(model: &Model, source: Source) -> Option<TableBits> {
    let widths = model.table_bits.iter().flat_map(Cases::conds);
    let configs = Configs::of(model, widths);
    let stated: Option<Vec<TableBits>> = configs
        .iter()
        .map(|config| {
            let bits = if source == Source::Root {
                root_bits(model, config)
            } else {
                table_bits(model, config)
            };
            bits.said.is_some().then_some(bits)
        })
        .collect();
    stated?.into_iter().max_by_key(|stated| stated.bits)
}

/// Checks E0303: no field takes bits of a table's address that are never set.
pub fn beyond(model: &Model, found: &mut Vec<Diagnostic>) {
    for operand in &model.operands {
        for field in operand.fields.iter().filter(|field| is_of_table(field)) {
            let widths = model.table_bits.iter().flat_map(Cases::conds);
            let configs = Configs::of(model, widths.chain([&field.when]));
            let used = configs.iter().filter(|&it| can_hold(&field.when, it));
            let top = |config: RecordedConfig<'_>| {
                let page_shift = model.geometries[config.geometry()].page_shift;
                match field.value {
                    Value::Slice(_, high, _) => high,
                    Value::PageNumber(_) => page_shift + field.width() - 1,
                    _ => 0,
                }
            };
            let excess = |config| {
                let table = if field.value.source() == Some(Source::Root) {
                    root_bits(model, config)
                } else {
                    table_bits(model, config)
                };
                (top(config) >= table.bits).then_some((config, table))
            };
            let excesses: Option<Vec<_>> = used.map(excess).collect();
            let Some((config, table)) = excesses.and_then(|all| all.into_iter().next()) else {
                continue;
            };
            let word = field.value.source().map_or("", Source::name);
            let mut diagnostic = Diagnostic::new(
                Code::E0303,
                field.span,
                format!(
                    "`{}` carries bit {} of `{word}`, and addresses of tables have {} bits",
                    operand.named.name,
                    top(config),
                    table.bits
                ),
            )
            .label("never set");
            if let Some(said) = table.said {
                diagnostic =
                    diagnostic.because(said, format!("bit {} is the highest", table.bits - 1));
            }
            found.push(
                diagnostic
                    .note("the manual gives another width of addresses, or another value for these bits")
                    .help(format!("end the field at bit {} of the address and write `0` above it, or correct the width", table.bits - 1)),
            );
        }
    }
}

fn is_of_table(field: &Field) -> bool {
    let source = field.value.source();
    matches!(source, Some(Source::Root | Source::Table | Source::Entry))
}
