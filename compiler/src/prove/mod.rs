//! The second opinion on `plan`: each path of each plan covers each cell of each request.
//!
//! In: a [`Model`] and its [`Plans`]. Out: a [`Proof`]: for each kind of request how many paths were followed, and a
//! [`Failure`] for each rule that some path breaks. Shares the vocabulary with `plan` (the model, the cells of an entry
//! and the plan IR) and no code.
//!
//! * An *obligation* ([`ask::Ask`]) is one request: which entries changed, and on which agents they may be cached. The
//!   runtime says what is required of which agents ([`tlbc_facts::required`]).
//! * A *path* is one execution of a plan. Flags are decided when something asks for them, and every combination that the
//!   definition allows is followed ([`machine`]).
//! * The *evidence* for a cell is one single step of the path that invalidates it, published before, complete after, in an
//!   order in which nothing can make the entry again ([`cover`]); an IPI whose handler does that; or a deferral whose latest
//!   moment is early enough.
//!
//! Holds: a path without a failure satisfies every rule that `cover` and `events` state for it. Which addresses a loop
//! names is computed with the functions of the runtime that the generated code calls, for requests of chosen sizes and
//! alignments: it is checked for those, and not proved for all.

mod ask;
mod cover;
mod effect;
mod events;
mod failure;
mod flushes;
mod machine;
mod run;
mod steps;

use std::time::Duration;

use crate::model::Model;
use crate::plan::Plans;
pub use failure::{Failure, Rule};

/// The result for one kind of request.
#[derive(Debug, Clone)]
pub struct Row {
    /// The kind of request.
    pub request: String,
    /// How many paths were followed, over all machines.
    pub paths: u64,
    /// The paths that break a rule.
    pub failed: u64,
    /// How long that took.
    pub time: Duration,
}

/// The result for a definition.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    /// Each kind of request.
    pub rows: Vec<Row>,
    /// The first failure of each rule and request.
    pub failures: Vec<Failure>,
}

impl Proof {
    /// Returns how many paths were followed.
    #[must_use]
    pub fn paths(&self) -> u64 {
        self.rows.iter().map(|row| row.paths).sum()
    }

    /// Returns how many paths break a rule.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.rows.iter().map(|row| row.failed).sum()
    }
}

/// Proves the plans of a definition against it. The definition may be another than the one that the plans were made from.
#[must_use]
pub fn prove(model: &Model, plans: &Plans) -> Proof {
    let mut proof = Proof::default();
    flushes::prove(model, plans, &mut proof);
    events::prove(model, plans, &mut proof);
    proof
}
