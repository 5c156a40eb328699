//! A page-table entry: a change of it, and what must be invalidated for it.
//!
//! In: an entry's level, what it was and what it becomes, what happened to the table below ([`Change`]), and what the
//! machine may have cached ([`ChangeFacts`]). Out: what must be invalidated, and by when ([`RequiredFlush`]). Required flushes
//! are always derived from the change; no table of them exists. A backend makes the change in the entries ([`Slot`]) of an
//! [`Owner`], and returns the result ([`Changed`]).

mod change;
mod changed;
mod entries;
mod marks;
mod required;
mod slot;
#[cfg(test)]
mod tests;

pub use change::{Below, Change, ChangeFacts, Entry, Kind, Negative, Stricter};
pub use changed::{Changed, Owner};
pub use entries::Entries;
pub use marks::Marks;
pub use required::{Deadline, RequiredFlush};
pub use slot::{Slot, Was};
