//! The vocabulary of TLB invalidation, and what generated flush backends plug into.
//!
//! Everything here is free of any architecture's name, of allocation and of dependencies.
//!
//! * [`clause`]: what an instruction drops and what a change obliges to drop, in the same words.
//! * [`cells`]: those words cut into the smallest pieces, so that "covers" is a superset test.
//! * [`change`]: from a changed table entry to the clauses it obliges to.
//! * [`effect`]: clauses with where and when, which is what an instruction does.
//! * [`request`]: what a flush is asked for.
//! * [`passes`]: the passes over addresses that it takes.
//! * [`runs`]: those passes cut into what one instruction can name.
//! * [`backend`]: the traits that a generated backend and its instruction sink meet in.
#![no_std]

pub mod backend;
pub mod cells;
pub mod change;
pub mod clause;
pub mod effect;
pub mod passes;
pub mod request;
pub mod runs;

pub use backend::{
    Answer, Audience, Backend, Ceiling, Debt, Delivery, Facts, Finished, Issue, Owed, Record, Root,
    Started,
};
