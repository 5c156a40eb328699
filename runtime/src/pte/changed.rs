//! The space whose entry a backend changes, and the result of the change.

use crate::deferred::Deferred;
use crate::pte::required::RequiredFlush;
use crate::pte::slot::Was;
use crate::request::{Reach, Space, SpaceFlags, Tag};

/// The space whose entries change, and the agents that may have cached them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The kind of the space.
    pub space: Space,
    /// The tag of the space.
    pub tag: Tag,
    /// The agents that may have cached the entries.
    pub reach: Reach,
    /// The flags of the space.
    pub flags: SpaceFlags,
    /// Whether the flush may be deferred, if the machine permits it: no other CPU is attached to the space, and until
    /// [`Deferred::SPACE_UNTIL_ATTACH`](crate::Deferred::SPACE_UNTIL_ATTACH) is completed none will be, and no page or table of
    /// it gets a new owner.
    pub may_defer: bool,
}

/// The result of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "entries stay stale until the required and the deferred flushes are done"]
pub struct Changed {
    /// What was in the entries before.
    pub was: Was,
    /// The flush that is still required.
    pub required: RequiredFlush,
    /// The flushes that are deferred.
    pub deferred: Deferred,
}
