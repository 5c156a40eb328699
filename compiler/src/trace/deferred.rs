//! Deferred flushes in words.
//!
//! In: what a backend leaves for later ([`Owed`]). Out: by which CPUs it is done, what it invalidates, and its latest moment,
//! as `runtime/src/debts.rs` keeps it.

use tlbc_runtime::backend::Owed;

use super::answer::{Deferred, Until};
use super::query::{Event, Query};
use crate::model::Model;

const OF_OTHERS: &str = "leaf and walk entries under other tags";
const OF_LOAD: &str = "what is flushed here, or everything under the tag";
const WHOLE: &str = "leaf and walk entries of the whole space";
const OF_VIEW: &str = "leaf and walk entries under the user view's tag";

/// What is left for later. `cpus` are those that leave it.
pub(super) fn deferred(
    model: &Model,
    query: &Query,
    owed: Owed,
    cpus: &'static str,
) -> Vec<Deferred> {
    let mut views = model.user.views.iter();
    let has_user_view = views.any(|view| !view.loaded && view.when.holds(query.config))
        && !matches!(query.event, Event::Arrive); // no user space is loaded then
    let others = owed.contains(Owed::OTHERS_UNTIL_LOAD);
    // One of the tags that are not loaded belongs to the user view of the loaded space.
    let view = owed.contains(Owed::VIEW_UNTIL_RESUME) || others && has_user_view;
    let space = owed.contains(Owed::SPACE_UNTIL_ATTACH);
    let entry = |cpus, entries, until| Deferred {
        cpus,
        entries,
        until,
    };
    let table = [
        (others, entry(cpus, OF_OTHERS, Until::Load)),
        (view, entry(cpus, OF_VIEW, Until::ReturnToUser)),
        (
            owed.contains(Owed::LAZY_UNTIL_LOAD),
            entry("lazy CPUs", OF_LOAD, Until::Load),
        ),
        (
            owed.contains(Owed::PARKED_UNTIL_LOAD),
            entry("inactive CPUs", OF_LOAD, Until::Load),
        ),
        (space, entry(cpus, WHOLE, Until::Reuse)),
        (space, entry("another CPU", WHOLE, Until::Attach)),
    ];
    let table = table.into_iter();
    table.filter_map(|(is, it)| is.then_some(it)).collect()
}
