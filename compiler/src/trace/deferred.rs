//! Deferred flushes.
//!
//! In: the flushes that a plan defers (`deferred::Deferred` of the runtime). Out: for each, the CPUs that do it, what it
//! invalidates, and its latest moment ([`Deferred`]).

use tlbc_runtime::deferred;

use super::query::{Event, Query};
use super::response::{Deferred, DeferredBy, EntryKind, Stale, StaleOf, Until};
use crate::model::{CachedKind, Config, Model};

/// Returns the flushes that `cpus` defer when entries of the kinds `asked` are flushed.
pub(super) fn deferred(
    model: &Model,
    query: &Query,
    flags: deferred::Deferred,
    cpus: DeferredBy,
    asked: &[EntryKind],
) -> Vec<Deferred> {
    let mut views = model.user.views.iter();
    let has_user_view = views.any(|view| !view.loaded && view.when.holds(query.config))
        && !matches!(query.event, Event::CpuOnline); // no user space is loaded then
    let others = flags.contains(deferred::Deferred::OTHERS_UNTIL_LOAD);
    // One of the tags that are not loaded belongs to the user view of the loaded space.
    let view = flags.contains(deferred::Deferred::VIEW_UNTIL_RETURN) || others && has_user_view;
    let space = flags.contains(deferred::Deferred::SPACE_UNTIL_ATTACH);
    let asked_of = |cpus| (cpus, StaleOf::Request, Until::Load);
    let table = [
        (others, (cpus, StaleOf::OtherTags, Until::Load)),
        (view, (cpus, StaleOf::UserView, Until::ReturnToUser)),
        (
            flags.contains(deferred::Deferred::LAZY_UNTIL_LOAD),
            asked_of(DeferredBy::LazyCpus),
        ),
        (
            flags.contains(deferred::Deferred::INACTIVE_UNTIL_LOAD),
            asked_of(DeferredBy::InactiveCpus),
        ),
        (space, (cpus, StaleOf::Space, Until::Reuse)),
        (
            space,
            (DeferredBy::AnotherCpu, StaleOf::Space, Until::Attach),
        ),
    ];
    let table = table.into_iter().filter(|(is, _)| *is);
    let all = kinds(model, query.config);
    let table = table.map(|(_, (cpus, of, until))| Deferred {
        cpus,
        entries: Stale {
            kinds: match of {
                StaleOf::Request => asked.to_vec(),
                _ => all.clone(),
            },
            of,
            stricter: false,
        },
        until,
    });
    table.collect()
}

/// Returns every kind of entry that the machine caches.
pub(super) fn kinds(model: &Model, config: Config) -> Vec<EntryKind> {
    let table = [
        (CachedKind::Leaf, EntryKind::Leaf),
        (CachedKind::Walk, EntryKind::Walk),
        (CachedKind::Root, EntryKind::Root),
        (CachedKind::Negative, EntryKind::Negative),
    ];
    let held = |(kind, _): &(CachedKind, EntryKind)| model.caches.hold(*kind, config);
    let table = table.into_iter().filter(held);
    table.map(|(_, kind)| kind).collect()
}
