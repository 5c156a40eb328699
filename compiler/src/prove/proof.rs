//! The results of a proof.
//!
//! In: the paths of each request. Out: a [`Proof`]. Holds: each failure is kept once for each rule, request and kind of entry.

use std::time::Duration;

use super::failure::Failure;
use crate::model::Model;
use crate::plan::Plans;

/// A part of a proof: a function that adds its rows and failures.
pub type Part = Box<dyn Fn(&Model, &Plans, &mut Proof)>;

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
    /// Adds the result of a request to that of its kind.
    pub fn add(&mut self, more: Row, failures: Vec<Failure>) {
        match self.rows.iter_mut().find(|row| row.request == more.request) {
            Some(row) => {
                row.paths += more.paths;
                row.failed += more.failed;
                row.time += more.time;
            }
            None if more.paths > 0 => self.rows.push(more),
            None => {}
        }
        for failure in failures {
            if !self.failures.iter().any(|known| known.is_like(&failure)) {
                self.failures.push(failure);
            }
        }
    }

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
