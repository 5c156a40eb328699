//! The passes over addresses that a request takes.
//!
//! In: what changed, level by level, and which entries of other levels one instruction of a pass invalidates. Out: passes, each
//! over consecutive entries of one level: a [`SinglePass`] for the usual case of leaf entries of one level, [`SortedPasses`] for
//! everything. An *unlinked entry* no longer points at the table that it pointed at. Holds: every leaf entry that changed is
//! in the pass of its level, or a pass of a lower level names one of its addresses without a hint, as for a level that the policy
//! [merges](crate::request::LevelFacts::merged); every unlinked entry is in a pass over walk entries, or a pass of a lower level
//! that invalidates walk entries names an address that it translates.

mod single;
mod sorted;

pub use crate::request::folding::{Folding, Leaves, Passes, Walks};
pub use crate::request::pass::{Addresses, Pass};
pub use single::SinglePass;
pub use sorted::SortedPasses;
