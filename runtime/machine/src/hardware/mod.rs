//! What agents may have cached of one address, on hardware that is described as data.
//!
//! In: the entries of one address that became stale together, and the events of one agent in order: stores become
//! visible, instructions invalidate, barriers complete. Out: the entries that the agent may still use. Holds: the answer
//! is that of a search through all schedules of fills and invalidations ([`search`]), without a search.
//!
//! The hardware is hostile. It evicts nothing, and fills everything that it could fill after each event. Staleness is
//! monotone: an entry that could be cached does no less harm than one that is not, so fills need no scheduler. An
//! invalidation in progress acts at any moment up to its completion, once, and on all entries that it invalidates at the
//! same moment. An entry may therefore be filled again after the invalidation has acted on it, from a source on which
//! the invalidation does not act.

mod path;
pub mod search;

pub use path::{AgentWalks, CachedEntry, EntryKind, Key, Left, PathEvent, TranslationPath};
