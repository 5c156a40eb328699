//! Facts that a machine can have, and that hardly any machine has.
//!
//! In: tables, ceilings. Out: W0301, W0302.

use crate::check::configs::Configs;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Amount, Ceiling, Geometry, Level, Machine, Model};

/// Checks W0301: tables above the lowest, which is often of another size, have equally many entries. The size of the
/// top table follows from the addresses.
pub(super) fn tables(model: &Model, found: &mut Vec<Diagnostic>) {
    for (index, geometry) in model.geometries.iter().enumerate() {
        found.extend(unlike(model, index, geometry));
    }
}

fn unlike(model: &Model, index: usize, geometry: &Geometry) -> Option<Diagnostic> {
    let levels = geometry.levels.iter().flatten();
    let configs = Configs::of(model, levels.flat_map(|level| level.shift.conds()));
    let mut configs = configs.iter().filter(|config| config.geometry() == index);
    configs.find_map(|config| {
        let levels = geometry.levels.iter().enumerate();
        let levels: Vec<(usize, &Level, u32)> = levels
            .filter_map(|(level, it)| {
                let it = it.as_ref()?;
                Some((level, it, *it.shift.get(config)?))
            })
            .collect();
        // Between each level and the next above: log2 of the entries of its tables.
        let bits = levels
            .windows(2)
            .map(|pair| pair[1].2.saturating_sub(pair[0].2));
        let bits: Vec<u32> = bits.collect();
        let upper = bits.get(1..).filter(|upper| upper.len() > 1)?;
        let count = |bits: u32| upper.iter().filter(|&&other| other == bits).count();
        let usual = *upper.iter().max_by_key(|&&bits| count(bits))?;
        // Where there are as many of both, the lowest table decides.
        let usual = if count(usual) == count(bits[0]) {
            bits[0]
        } else {
            usual
        };
        let odd = (1..bits.len()).find(|&at| bits[at] != usual)?;
        let (_, above, shift) = levels[odd + 1];
        let (level, _, _) = levels[odd];
        let name = &model.levels[level].name;
        let (has, others) = (1u64 << bits[odd].min(63), 1u64 << usual.min(63));
        let message =
            format!("a table of `{name}` entries has {has} of them, other tables have {others}");
        let other = shift.checked_sub(bits[odd]).map(|low| low + usual);
        let diagnostic = Diagnostic::new(Code::W0301, above.span, message)
            .label("reaches this far")
            .because(levels[odd].1.span, "and one of its entries as far as this");
        Some(match other {
            Some(other) => diagnostic.help(format!("is {other} meant, instead of {shift}?")),
            None => diagnostic,
        })
    })
}

/// Checks W0302: a ceiling permits some flush by address.
pub(super) fn ceilings(model: &Model, found: &mut Vec<Diagnostic>) {
    let policy = &model.policy;
    for cases in [&policy.ceiling_operations, &policy.ceiling_pages]
        .into_iter()
        .flatten()
    {
        let is_for_all = |of: &Ceiling| of.space.is_none() && of.reach.is_none();
        if cases
            .cases
            .iter()
            .any(|(of, _)| of.count == Amount::Stated(0) && is_for_all(of))
        {
            found.push(
                Diagnostic::new(Code::W0302, cases.span, "with a ceiling of 0 every flush is a flush of everything")
                    .label("no flush by address")
                    .note("a flush of one page flushes all of its space")
                    .help("write the number of operations above which a flush of everything is cheaper, or remove the statement for no ceiling"),
            );
        }
    }
}
