//! The vocabulary of the planner: what an instruction invalidates, and what a change of a page-table entry requires to be
//! invalidated, in the same words.
//!
//! Nothing here runs in a kernel. The runtime defines what a flush needs at run time ([`tlbc_runtime`]); this crate divides
//! it into the pieces that a planner compares.
//!
//! * [`clause`]: what is invalidated, which entries, and of which tag.
//! * [`cells`]: clauses divided into the smallest pieces, so that "covers" is a superset test.
//! * [`required`]: a required flush of the runtime as clauses, each with the agents that may use the entries.
#![no_std]
#![forbid(unsafe_code)]

pub mod cells;
pub mod clause;
pub mod required;
