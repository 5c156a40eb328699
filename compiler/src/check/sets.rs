//! Sets: caches that are dropped one set at a time.
//!
//! In: the caches and what instructions drop. Out: E0310. Holds: the number of sets is stated for each cache over
//! whose sets a flush loops.

use super::all_drops;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{AddressSelector, Amount, Cases, Cond, Drops, Kind, Model};

/// Returns the largest number of sets of the caches of which a clause drops one set.
pub fn most(
    model: &Model,
    drops: &Drops,
    count: impl Fn(&Cases<Amount>) -> Option<u64>,
) -> Option<u64> {
    let caches = drops
        .caches
        .unwrap_or_else(|| model.caches.ever_holding(Kind::Leaf));
    let named = model.caches.all.iter().enumerate();
    let of = named.filter(|(index, _)| caches.0 & (1 << index) != 0);
    let counts = of.filter_map(|(_, cache)| count(cache.sets.as_ref()?));
    counts.max()
}

/// Checks E0310: a number of sets that is read at boot is the number of each cache of which one set is dropped.
pub fn comparable(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        for drops in all_drops(invalidate).filter(|d| d.which.value == AddressSelector::OneSet) {
            let caches = drops
                .caches
                .unwrap_or_else(|| model.caches.ever_holding(Kind::Leaf));
            let named = model.caches.all.iter().enumerate();
            let named = named.filter(|(index, _)| caches.0 & (1 << index) != 0);
            let counts = named.filter_map(|(_, cache)| cache.sets.as_ref());
            let counts: Vec<&Cases<Amount>> = counts.collect();
            let [first, rest @ ..] = counts.as_slice() else {
                continue;
            };
            let amounts = counts.iter().flat_map(|cases| &cases.cases);
            let is_read = amounts
                .into_iter()
                .any(|(count, _)| count.limit().is_some());
            let other = rest.iter().find(|other| other.cases != first.cases);
            let Some(other) = other.filter(|_| is_read) else {
                continue;
            };
            found.push(
                Diagnostic::new(
                    Code::E0310,
                    drops.which.span,
                    format!(
                        "`{}` drops one set of caches whose numbers of sets are read at boot",
                        invalidate.named.name
                    ),
                )
                .label("one set of each")
                .because(first.span, "one number")
                .because(other.span, "another one")
                .note("a flush goes through as many sets as one of them has, so sets of the other would be left")
                .help("state the same number for these caches"),
            );
        }
    }
}

/// Checks E0310: a cache that is dropped one set at a time states the number of its sets.
pub fn counted(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        for drops in all_drops(invalidate).filter(|d| d.which.value == AddressSelector::OneSet) {
            let caches = drops
                .caches
                .unwrap_or_else(|| model.caches.ever_holding(Kind::Leaf));
            let named = model.caches.all.iter().enumerate();
            let mut named = named.filter(|(index, _)| caches.0 & (1 << index) != 0);
            let always = |cond: &Cond| cond.terms.is_empty();
            let uncounted = named.find(|(_, cache)| {
                let mut counts = cache.sets.iter().flat_map(Cases::conds);
                !counts.any(always)
            });
            let Some((_, cache)) = uncounted else {
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
}
