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
mod assembled;
mod bits;
mod caches;
mod carried;
pub(crate) mod configs;
mod encodings;
mod errata;
mod features;
mod fixed;
mod forms;
mod instructions;
mod intervals;
mod kernel;
mod levels;
mod operands;
mod physical;
mod policy;
mod publish;
mod registers;
mod renewals;
mod runs;
mod sets;
mod settings;
mod silent;
mod spaces;
mod stated;
mod tables;
mod tags;
mod texts;
pub(crate) mod unused;
mod views;
pub(crate) mod wanted;
mod widths;
mod workarounds;

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostic;
use crate::model::{Drops, Field, Invalidate, LevelSel, Machine, Model, Source, Tag, Under, Var};

/// A rule, and what it concludes from.
struct ModelRule {
    /// Whether it also concludes from what the definition does not state. Such a rule needs a definition of which
    /// everything is known.
    needs_whole: bool,
    /// Adds what it finds to the list.
    check: fn(&Model, &mut Vec<Diagnostic>),
}

/// Makes a rule that concludes only from the facts that its diagnostics have labels for.
const fn stated(check: fn(&Model, &mut Vec<Diagnostic>)) -> ModelRule {
    ModelRule {
        needs_whole: false,
        check,
    }
}

/// Makes a rule that also concludes from what is not stated.
const fn whole(check: fn(&Model, &mut Vec<Diagnostic>)) -> ModelRule {
    ModelRule {
        needs_whole: true,
        check,
    }
}

const RULES: &[ModelRule] = &[
    whole(silent::everywhere),
    stated(operands::overlaps),
    whole(operands::undefined_bits),
    stated(operands::wider_than_registers),
    whole(operands::unaligned_runs),
    whole(widths::too_narrow),
    whole(widths::wider),
    whole(bits::of_invalidations),
    whole(bits::of_loads),
    whole(physical::beyond),
    whole(widths::unnumbered),
    whole(tables::entry_size),
    whole(tables::ascending),
    whole(tables::lowest),
    whole(tables::alternatives),
    whole(tables::hints),
    whole(tables::hints_of_zero),
    whole(tables::reach),
    stated(texts::operands),
    whole(instructions::places),
    whole(instructions::places_of_loads),
    whole(instructions::completion),
    whole(instructions::resyncs),
    stated(instructions::calls),
    stated(carried::at_hand),
    stated(carried::entry_at_hand),
    whole(carried::needless),
    whole(carried::needless_facts),
    whole(carried::entries_written),
    whole(carried::compared),
    stated(alike::instructions),
    whole(alike::overlapping),
    stated(forms::numbers),
    stated(fixed::registers),
    whole(publish::published),
    whole(levels::numbers),
    stated(levels::distinct),
    stated(levels::granules),
    whole(levels::given),
    stated(caches::made_from_their_kind),
    whole(caches::walks_together),
    stated(caches::refetched_by_a_walker),
    stated(caches::negative_of_pages),
    whole(sets::counted),
    whole(sets::comparable),
    whole(instructions::promises),
    stated(instructions::loaded_elsewhere),
    stated(instructions::given_cpus),
    stated(runs::lengths),
    whole(runs::strides),
    whole(runs::written),
    whole(runs::limited),
    whole(features::tags_of_one_cpu),
    stated(features::tags_in_shared_caches),
    whole(features::tags_that_may_be_missing),
    whole(features::barriers_that_may_be_missing),
    whole(features::loads_that_may_be_missing),
    stated(features::known_too_late),
    whole(spaces::switches),
    stated(spaces::flushes),
    whole(spaces::roots),
    stated(spaces::values),
    whole(spaces::tags_loaded),
    whole(views::loaded),
    stated(tags::values),
    stated(tags::sources),
    stated(tags::one_of_each_kind),
    stated(tags::views),
    whole(renewals::possible),
    stated(kernel::tags_of_kernel),
    whole(kernel::values_of_kernel),
    whole(kernel::address_ranges),
    whole(kernel::views),
    stated(kernel::addresses),
    stated(kernel::value_left),
    stated(errata::subjects),
    stated(workarounds::leaves_before_walks),
    whole(errata::completion),
    whole(workarounds::reach),
    stated(workarounds::preceded),
    whole(workarounds::gone),
    whole(workarounds::left),
    whole(settings::places),
    stated(settings::forms),
    whole(workarounds::needless),
    stated(workarounds::writers),
    whole(workarounds::in_loops),
    whole(policy::writers),
    whole(policy::tables_after_flush),
    whole(policy::pages_at_change),
    whole(policy::strides),
    whole(policy::faults),
    stated(registers::values),
    stated(registers::fields),
    stated(registers::features),
    stated(registers::settings),
    stated(registers::features_as_set),
    whole(registers::alternatives),
    whole(unused::names),
    whole(unused::conditions),
    whole(unused::kinds),
    whole(unused::levels),
    whole(unused::alternatives),
];

/// Checks every rule on what is known of the definition.
///
/// A `for` repeats its items and their faults, so each place is reported once for a rule.
#[must_use]
pub fn check(model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let rules = RULES.iter();
    for rule in rules.filter(|rule| model.unknown.is_empty() || !rule.needs_whole) {
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

/// Returns the first field of these operands that says where a run ends.
fn run_end_of<'m>(model: &'m Model, operands: &[usize]) -> Option<&'m Field> {
    let of = |source| field_of(model, operands, source);
    of(Source::End).or_else(|| of(Source::Bytes))
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
fn tags_in(model: &Model, config: impl Machine) -> impl Iterator<Item = &Tag> {
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
