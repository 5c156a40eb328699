//! Checks that the facts describe a possible machine.
//!
//! In: a [`Model`], whose names are resolved and whose parts are complete. Out: a diagnostic for
//! each fact that contradicts another, or that no machine can have. Holds afterwards, when there
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

use crate::diagnostic::Diagnostic;
use crate::model::{Config, Drops, Field, Invalidate, LevelSel, Model, Source, Tag, Under, Var};

/// A rule: it adds what it finds to the list.
type Rule = fn(&Model, &mut Vec<Diagnostic>);

const RULES: &[Rule] = &[
    operands::overlaps,
    operands::undefined_bits,
    operands::unaligned_runs,
    widths::too_narrow,
    widths::wider,
    bits::of_invalidations,
    bits::of_loads,
    physical::beyond,
    widths::unnumbered,
    tables::ascending,
    tables::lowest,
    tables::alternatives,
    tables::hints,
    tables::hints_of_zero,
    tables::reach,
    texts::operands,
    instructions::places,
    instructions::places_of_loads,
    instructions::completion,
    instructions::resyncs,
    instructions::calls,
    carried::at_hand,
    carried::entry_at_hand,
    carried::needless,
    carried::needless_facts,
    carried::entries_written,
    carried::compared,
    alike::instructions,
    alike::forms,
    fixed::registers,
    publish::published,
    levels::numbers,
    levels::distinct,
    levels::granules,
    levels::given,
    sets::counted,
    sets::comparable,
    instructions::promises,
    instructions::loaded_elsewhere,
    runs::lengths,
    runs::strides,
    runs::written,
    runs::limited,
    features::tags_of_one_cpu,
    features::tags_in_shared_caches,
    features::tags_that_may_be_missing,
    features::barriers_that_may_be_missing,
    features::known_too_late,
    spaces::switches,
    spaces::roots,
    spaces::values,
    spaces::tags_loaded,
    spaces::views_loaded,
    tags::values,
    tags::sources,
    tags::of_machine,
    tags::views,
    kernel::tags_of_kernel,
    kernel::values_of_kernel,
    kernel::stretches,
    kernel::views,
    kernel::addresses,
    kernel::value_left,
    errata::subjects,
    errata::leaves_before_walks,
    errata::completion,
    errata::reach,
    errata::gone,
    errata::left,
    settings::places,
    settings::forms,
    errata::needless,
    errata::writers,
    errata::in_loops,
    policy::writers,
    policy::tables_after_flush,
    policy::pages_at_change,
    policy::strides,
    registers::values,
    registers::fields,
    registers::features,
    registers::settings,
    registers::features_as_set,
    registers::alternatives,
    unused::names,
    unused::conditions,
    unused::kinds,
    unused::levels,
    unused::alternatives,
];

/// Checks every rule.
///
/// A `for` repeats its items and their faults, so each place is reported once for a rule.
#[must_use]
pub fn check(model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for rule in RULES {
        rule(model, &mut found);
    }
    let mut seen = Vec::new();
    found.retain(|diagnostic| {
        let place = (diagnostic.code, diagnostic.primary.span);
        let new = !seen.contains(&place);
        seen.push(place);
        new
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
