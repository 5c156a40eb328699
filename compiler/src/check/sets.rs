//! Sets: caches that are dropped one set at a time.
//!
//! In: the caches and what instructions drop. Out: E0310. Holds: a loop over the sets of a cache knows how
//! many there are.

use super::all_drops;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{AddressSelector, Cases, Cond, Drops, Kind, Model};

/// The most sets that a cache has of those that a clause drops one set of, by some count of each cache.
pub fn most(
    model: &Model,
    drops: &Drops,
    count: impl Fn(&Cases<u64>) -> Option<u64>,
) -> Option<u64> {
    let stores = drops
        .stores
        .unwrap_or_else(|| model.caches.holding(Kind::Leaf));
    let named = model.caches.stores.iter().enumerate();
    let of = named.filter(|(index, _)| stores.0 & (1 << index) != 0);
    let counts = of.filter_map(|(_, store)| count(store.sets.as_ref()?));
    counts.max()
}

/// E0310: what is dropped one set at a time is in a cache that says how many it has.
pub fn counted(model: &Model, found: &mut Vec<Diagnostic>) {
    for invalidate in &model.invalidates {
        for drops in all_drops(invalidate).filter(|d| d.which.value == AddressSelector::OneSet) {
            let stores = drops
                .stores
                .unwrap_or_else(|| model.caches.holding(Kind::Leaf));
            let named = model.caches.stores.iter().enumerate();
            let mut named = named.filter(|(index, _)| stores.0 & (1 << index) != 0);
            let always = |cond: &Cond| cond.terms.is_empty();
            let uncounted = named.find(|(_, store)| {
                let mut counts = store.sets.iter().flat_map(Cases::conds);
                !counts.any(always)
            });
            let Some((_, store)) = uncounted else {
                continue;
            };
            found.push(
                Diagnostic::new(
                    Code::E0310,
                    drops.which.span,
                    format!(
                        "`{}` drops one set of `{}`, and nothing says how many there are",
                        invalidate.named.name, store.named.name
                    ),
                )
                .label("one of how many?")
                .because(store.named.span, "no count of sets that always holds")
                .note("a flush goes through all sets; those beyond the last that it knows would survive")
                .help(format!(
                    "add, for instance, `{} has 128 sets;` to `caches`",
                    store.named.name
                )),
            );
        }
    }
}
