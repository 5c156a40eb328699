//! Who changes an entry for whom, and what came of it.

use crate::deferred::Deferred;
use crate::pte::required::RequiredFlush;
use crate::pte::slot::Was;
use crate::request::{Reach, Space, SpaceFlags, Tag};

/// Whose table changes, and who may have cached its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Whose mappings.
    pub space: Space,
    /// The space's tag.
    pub tag: Tag,
    /// Who may have cached the entries.
    pub reach: Reach,
    /// What holds of the space.
    pub flags: SpaceFlags,
    /// Whether the flush may be put off where the machine lets it be: no other CPU is attached to the
    /// space, none will be before [`Deferred::SPACE_UNTIL_ATTACH`](crate::Deferred::SPACE_UNTIL_ATTACH) is paid,
    /// and nothing gets a new owner before.
    pub may_defer: bool,
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "entries stay stale until the required is met and the debt is paid"]
pub struct Changed {
    /// What stood there.
    pub was: Was,
    /// What is left to be flushed.
    pub required: RequiredFlush,
    /// What was put off.
    pub deferred: Deferred,
}
