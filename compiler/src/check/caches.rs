//! Caches: from what entries are made, and made again after an instruction.
//!
//! In: the caches, and what instructions drop in them. Out: E0207. Holds: a cache that is made from another holds
//! entries of one kind, which the other one holds too; an instruction drops walk entries of all caches that are made from the tables,
//! or of none, because a walk begins at an entry of any of them and fills all; an entry is refetched only where the machine walks;
//! negative entries of single pages have one level.

use tlbc_runtime::pte::Stricter;

use super::configs::{Configs, both_hold};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Cache, CachedKind, Drops, Model, Negative};

/// Checks E0207: entries that are made from those of another cache are of one kind, which that cache holds.
pub fn made_from_their_kind(model: &Model, found: &mut Vec<Diagnostic>) {
    let caches = &model.caches.all;
    for cache in caches {
        let Some(from) = cache.from else { continue };
        let source = &caches[from.value];
        let (name, of) = (&cache.named.name, &source.named.name);
        let (message, help) = match cache.holds[..] {
            [kind] if source.holds.contains(&kind) => continue,
            [_] => (
                format!("`{of}` holds no entries of the kind that `{name}` makes from them"),
                "name the cache that they are made from, or remove `from`",
            ),
            _ => (
                format!("`{name}` makes entries of several kinds from those of `{of}`"),
                "give the entries of each kind a cache of their own",
            ),
        };
        found.push(
            Diagnostic::new(Code::E0207, cache.span, message)
                .because(source.span, format!("what `{of}` holds"))
                .note("a leaf entry is made from a leaf entry, and a walk entry from a walk entry")
                .help(help),
        );
    }
}

/// Checks E0207: an instruction that drops walk entries of one cache drops those of all that a walk can fill from it.
pub fn walks_together(model: &Model, found: &mut Vec<Diagnostic>) {
    let caches = model.caches.all.iter().enumerate();
    let from_tables = |cache: &Cache| cache.from.is_none() && holds_walks(cache);
    let walks: Vec<_> = caches.filter(|(_, cache)| from_tables(cache)).collect();
    let forms = model.invalidates.iter().flat_map(|it| &it.forms);
    let all = forms.map(|form| &form.drops);
    for drops in all.chain(model.loads.iter().map(|it| &it.drops)) {
        let of_walks = drops.iter().filter(|drops| drops.walk.is_some());
        let drops_in = |index| of_walks.clone().find(|drops| is_in(drops, index));
        let dropped = walks
            .iter()
            .find_map(|(index, cache)| Some((cache, drops_in(*index)?)));
        let Some((dropped, by)) = dropped else {
            continue;
        };
        let mut others = walks.iter().filter(|(index, _)| drops_in(*index).is_none());
        let left = others.find(|(_, it)| both_hold(model, &dropped.when, &it.when).is_some());
        let Some((_, left)) = left else { continue };
        let (name, other) = (&dropped.named.name, &left.named.name);
        found.push(
            Diagnostic::new(
                Code::E0207,
                by.span,
                format!("walk entries are dropped in `{name}` and left in `{other}`"),
            )
            .label("drops walk entries of one cache alone")
            .because(left.span, "holds walk entries, too")
            .note("a walk begins at a walk entry of any cache and fills all of them, so what is left makes again what was dropped; caches that are invalidated one after the other cannot be described")
            .help("drop walk entries of all caches by one instruction, or describe the caches as one"),
        );
    }
}

/// Checks E0207: where only software fills entries, the machine refetches none.
pub fn refetched_by_a_walker(model: &Model, found: &mut Vec<Diagnostic>) {
    let caches = &model.caches;
    let configs = Configs::of(model, caches.fills.conds().chain(caches.stricter.conds()));
    let contradicts = configs.iter().find(|&config| {
        !caches.fill_while_loaded(config) && caches.stricter(config).how == Stricter::Refetched
    });
    let Some(config) = contradicts else {
        return;
    };
    found.push(
        Diagnostic::new(
            Code::E0207,
            caches.stricter.span,
            format!(
                "an entry that allows less than the table is refetched, and software alone fills entries{}",
                configs.when(config)
            ),
        )
        .because(caches.fills.span, "nothing else walks the tables")
        .note("the access faults instead, and more rights take effect only after a flush")
        .help("write `stricter faults until dropped on self` where `fills by software` holds, or what else the fault does"),
    );
}

fn holds_walks(cache: &Cache) -> bool {
    cache.holds.contains(&CachedKind::Walk)
}

/// Returns whether a clause drops entries of a cache.
fn is_in(drops: &Drops, cache: usize) -> bool {
    drops.caches.is_none_or(|caches| caches.0 & 1 << cache != 0)
}

/// Checks E0207: where negative entries are of single pages, every geometry names those alike.
pub fn negative_of_pages(model: &Model, found: &mut Vec<Diagnostic>) {
    let mut negative = model.caches.negative.cases.iter();
    if !negative.any(|(kept, _)| *kept == Negative::AsPages) {
        return;
    }
    let mut geometries = model.geometries.iter();
    let Some(without) = geometries.find(|it| it.levels.iter().take(1).flatten().count() == 0)
    else {
        return;
    };
    let name = &model.levels[0].name;
    found.push(
        Diagnostic::new(
            Code::E0207,
            model.caches.negative.span,
            format!(
                "`as pages`, and `{}` has no entries of `{name}`",
                without.named.name
            ),
        )
        .label("negative entries are of the lowest level")
        .because(without.named.span, "its pages have another level")
        .help("give the level of single pages the same name in each geometry"),
    );
}
