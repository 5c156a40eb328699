//! Checks that the facts describe a possible machine.
//!
//! In: a [`Model`], whose names are resolved, and of which some parts may be unknown. Out: a diagnostic for
//! each known fact that contradicts another, or that no machine can have. Holds afterwards, when there
//! is none: every operand has a value for each of its bits, every instruction has fields for what it
//! needs, and every completion, switch and workaround is sufficient for its purpose. `plan` determines
//! whether the instructions cover every flush.
//!
//! One rule is one function, and has one code.

mod alike;
mod bits;
mod carried;
pub(crate) mod configs;
mod errata;
mod features;
mod fixed;
mod instructions;
mod kernel;
mod levels;
mod operands;
mod physical;
mod policy;
mod publish;
mod registers;
mod runs;
mod sets;
mod settings;
mod spaces;
mod tables;
mod tags;
mod texts;
pub(crate) mod unused;
mod widths;
mod workarounds;

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostic;
use crate::model::{Config, Drops, Field, Invalidate, LevelSel, Model, Source, Tag, Under, Var};

/// A rule, and what it concludes from.
struct Rule {
    /// Whether it also concludes from what the definition does not state. Such a rule needs a definition of which
    /// everything is known.
    from_absence: bool,
    /// Adds what it finds to the list.
    check: fn(&Model, &mut Vec<Diagnostic>),
}

/// Makes a rule that concludes only from the facts that its diagnostics have labels for.
const fn stated(check: fn(&Model, &mut Vec<Diagnostic>)) -> Rule {
    Rule {
        from_absence: false,
        check,
    }
}

/// Makes a rule that also concludes from what is not stated.
const fn absent(check: fn(&Model, &mut Vec<Diagnostic>)) -> Rule {
    Rule {
        from_absence: true,
        check,
    }
}

const RULES: &[Rule] = &[
    stated(operands::overlaps),
    absent(operands::undefined_bits),
    absent(operands::unaligned_runs),
    absent(widths::too_narrow),
    absent(widths::wider),
    absent(bits::of_invalidations),
    absent(bits::of_loads),
    absent(physical::beyond),
    absent(widths::unnumbered),
    absent(tables::ascending),
    absent(tables::lowest),
    absent(tables::alternatives),
    absent(tables::hints),
    absent(tables::hints_of_zero),
    absent(tables::reach),
    stated(texts::operands),
    absent(instructions::places),
    absent(instructions::places_of_loads),
    absent(instructions::completion),
    absent(instructions::resyncs),
    stated(instructions::calls),
    stated(carried::at_hand),
    stated(carried::entry_at_hand),
    absent(carried::needless),
    absent(carried::needless_facts),
    absent(carried::entries_written),
    absent(carried::compared),
    stated(alike::instructions),
    stated(alike::forms),
    stated(fixed::registers),
    absent(publish::published),
    absent(levels::numbers),
    stated(levels::distinct),
    stated(levels::granules),
    absent(levels::given),
    absent(sets::counted),
    stated(sets::comparable),
    absent(instructions::promises),
    stated(instructions::loaded_elsewhere),
    stated(runs::lengths),
    absent(runs::strides),
    absent(runs::written),
    absent(runs::limited),
    absent(features::tags_of_one_cpu),
    stated(features::tags_in_shared_caches),
    absent(features::tags_that_may_be_missing),
    absent(features::barriers_that_may_be_missing),
    stated(features::known_too_late),
    absent(spaces::switches),
    absent(spaces::roots),
    stated(spaces::values),
    absent(spaces::tags_loaded),
    absent(spaces::views_loaded),
    stated(tags::values),
    stated(tags::sources),
    stated(tags::of_machine),
    stated(tags::views),
    stated(kernel::tags_of_kernel),
    absent(kernel::values_of_kernel),
    absent(kernel::stretches),
    absent(kernel::views),
    stated(kernel::addresses),
    stated(kernel::value_left),
    stated(errata::subjects),
    stated(workarounds::leaves_before_walks),
    absent(errata::completion),
    absent(workarounds::reach),
    stated(workarounds::preceded),
    absent(workarounds::gone),
    absent(workarounds::left),
    absent(settings::places),
    stated(settings::forms),
    absent(workarounds::needless),
    stated(workarounds::writers),
    absent(workarounds::in_loops),
    absent(policy::writers),
    absent(policy::tables_after_flush),
    absent(policy::pages_at_change),
    absent(policy::strides),
    stated(registers::values),
    stated(registers::fields),
    stated(registers::features),
    stated(registers::settings),
    stated(registers::features_as_set),
    absent(registers::alternatives),
    absent(unused::names),
    absent(unused::conditions),
    absent(unused::kinds),
    absent(unused::levels),
    absent(unused::alternatives),
];

/// Checks every rule on what is known of the definition.
///
/// A `for` repeats its items and their faults, so each place is reported once for a rule.
#[must_use]
pub fn check(model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let rules = RULES.iter();
    for rule in rules.filter(|rule| model.unknown.is_empty() || !rule.from_absence) {
        (rule.check)(model, &mut found);
    }
    let mut seen = BTreeSet::new();
    found.retain(|diagnostic| {
        let mut labels = diagnostic.labels();
        labels.all(|label| !model.unknown.touches(label.span))
            && seen.insert((diagnostic.code, diagnostic.primary.span))
    });
    found
}

/// Returns the fields of these operands that take their value from a source.
fn fields_of<'m>(
    model: &'m Model,
    operands: &'m [usize],
    wanted: Source,
) -> impl Iterator<Item = &'m Field> {
    let fields = operands.iter().flat_map(|&o| &model.operands[o].fields);
    fields.filter(move |field| field.value.source() == Some(wanted))
}

/// Returns the first field of these operands that takes its value from a source.
fn field_of<'m>(model: &'m Model, operands: &[usize], wanted: Source) -> Option<&'m Field> {
    let mut fields = operands.iter().flat_map(|&o| &model.operands[o].fields);
    fields.find(|field| field.value.source() == Some(wanted))
}

/// Returns the tags that entries of the user space may have, by index.
fn user_tags(model: &Model) -> Vec<usize> {
    let cases = (model.user.leaf.cases.iter()).chain(&model.user.walk.cases);
    let mut tags: Vec<usize> = cases
        .flat_map(|(under, _)| match &under.value {
            Under::Tags(tags) => tags.clone(),
            Under::EveryTag => (0..model.tags.len()).collect(),
            Under::Fixed(tag, _) => vec![*tag],
            Under::Global => Vec::new(),
        })
        .collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// Returns the tags that a user space may have in a configuration.
fn tags_in(model: &Model, config: Config) -> impl Iterator<Item = &Tag> {
    let tags = user_tags(model).into_iter().map(|tag| &model.tags[tag]);
    tags.filter(move |tag| tag.when.holds(config))
}

/// Returns what an invalidation drops, over all its forms.
fn all_drops(invalidate: &Invalidate) -> impl Iterator<Item = &Drops> {
    invalidate.forms.iter().flat_map(|form| &form.drops)
}

/// Returns whether a clause compares the tag that an operand gives: of this tag and the others it drops one alone.
fn compares_tag(drops: &Drops) -> bool {
    drops.whose.value.this != drops.whose.value.other
}

/// Returns whether a clause depends on the level that is given to the instruction.
fn hinted(drops: &Drops) -> bool {
    let by_level = |levels| matches!(levels, Some(LevelSel::Hint | LevelSel::AboveHint));
    by_level(drops.leaf)
        || by_level(drops.walk)
        || drops
            .when
            .terms
            .iter()
            .any(|term| term.value.0 == Var::Hinted)
}
