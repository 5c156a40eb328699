//! The passes over addresses that a request takes.
//!
//! In: what changed, level by level, and which entries of other levels one instruction of a pass invalidates. Out: passes, each
//! over consecutive entries of one level: a [`SinglePass`] for the usual case of leaf entries of one level, [`SortedPasses`] for
//! everything. A *cut* is an entry that no longer points at the table that it pointed at. Holds: every leaf entry that changed is
//! in the pass of its level, or a pass of a lower level names one of its addresses without a hint, as for a level that the policy
//! [merges](crate::request::LevelFacts::merged); every cut is in a pass of its own, or a pass over leaf entries names an
//! address that the cut translates and invalidates walk entries as well.

mod single;
mod sorted;

pub use crate::request::folding::{Folding, Passes, Walks};
pub use crate::request::pass::{Addresses, Pass};
pub use single::SinglePass;
pub use sorted::SortedPasses;
