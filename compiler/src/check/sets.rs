//! Sets: caches that are dropped one set at a time.
//!
//! In: the caches and what instructions drop. Out: E0310. Holds: the number of sets is stated for each cache over
//! whose sets a flush loops.

use super::all_drops;
use super::configs::{Configs, RecordedConfig, can_hold};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{AddressSelector, Amount, Cases, Drops, Form, Invalidate, Model};

/// Iterates over the clauses that drop one set of a cache, with their instructions.
fn clauses(model: &Model) -> impl Iterator<Item = (&Invalidate, &Drops)> {
    model.invalidates.iter().flat_map(|invalidate| {
        let of_set = all_drops(invalidate).filter(|drops| is_of_set(drops));
        of_set.map(move |drops| (invalidate, drops))
    })
}

/// Returns whether a clause drops one set of a cache.
pub fn is_of_set(drops: &Drops) -> bool {
    drops.which.value == AddressSelector::OneSet
}

/// Returns the largest number of sets of the caches of which a clause drops one set.
pub fn most(
    model: &Model,
    drops: &Drops,
    count: impl Fn(&Cases<Amount>) -> Option<u64>,
) -> Option<u64> {
    let counts = model
        .caches_of(drops)
        .filter_map(|cache| count(cache.sets.as_ref()?));
    counts.max()
}

/// Checks E0310: a number of sets that is read at boot is the number of each cache of which one set is dropped.
pub fn comparable(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        for form in &invalidate.forms {
            found.extend(incomparable(model, invalidate, form));
        }
    }
}

/// Reports a form that drops one set of two caches with different numbers of sets, of which one is read at boot.
fn incomparable(model: &Model, invalidate: &Invalidate, form: &Form) -> Option<Diagnostic> {
    let of_set = form.drops.iter().filter(|drops| is_of_set(drops));
    let caches = of_set.flat_map(|drops| model.caches_of(drops).map(move |cache| (drops, cache)));
    let counts = caches.filter_map(|(drops, cache)| Some((drops, cache.sets.as_ref()?)));
    let counts: Vec<(&Drops, &Cases<Amount>)> = counts.collect();
    let conds = counts
        .iter()
        .flat_map(|(drops, cases)| cases.conds().chain([&drops.when]));
    let configs = Configs::of(model, conds);
    let differ = |config: RecordedConfig<'_>| {
        let here = counts
            .iter()
            .filter(|(drops, _)| can_hold(&drops.when, config));
        let mut here = here.filter_map(|(drops, cases)| Some((drops, cases, cases.get(config)?)));
        let (_, first, count) = here.next()?;
        let read = |other: &Amount| count.limit().or(other.limit()).is_some();
        let (drops, other, _) = here.find(|(.., other)| *other != count && read(other))?;
        Some((first.span, drops.which.span, other.span))
    };
    let (first, which, other) = configs.iter().find_map(differ)?;
    Some(
        Diagnostic::new(
            Code::E0310,
            which,
            format!(
                "`{}` drops one set of caches whose numbers of sets are read at boot",
                invalidate.named.name
            ),
        )
        .label("one set of each")
        .because(first, "one number")
        .because(other, "another one")
        .note("a flush goes through as many sets as one of them has, so sets of the other would be left")
        .help("state the same number for these caches"),
    )
}

/// Checks E0310: a cache that is dropped one set at a time states the number of its sets.
pub fn counted(model: &Model, found: &mut Vec<Diagnostic>) {
    for (invalidate, drops) in clauses(model) {
        let uncounted = model.caches_of(drops).find(|cache| {
            let mut counts = cache.sets.iter().flat_map(Cases::conds);
            !counts.any(|cond| cond.terms.is_empty())
        });
        let Some(cache) = uncounted else {
            continue;
        };
        found.push(
            Diagnostic::new(
                Code::E0310,
                drops.which.span,
                format!(
                    "`{}` drops one set of `{}`, and the number of its sets is not stated",
                    invalidate.named.name, cache.named.name
                ),
            )
            .label("one set")
            .because(cache.named.span, "no number of sets that holds on every machine")
            .note("a flush goes through all sets; with a number that is too small, sets would be left")
            .help(format!(
                "add, for instance, `{} has 128 sets;` to `caches`",
                cache.named.name
            )),
        );
    }
}
