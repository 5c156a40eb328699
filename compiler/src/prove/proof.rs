//! The results of a proof.
//!
//! In: the paths of each request. Out: a [`Proof`]. Holds: each failure is kept once for each rule, request and kind of entry;
//! what no path can prove is counted by its kind, and is no failure.

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

/// What is not proved of a path that breaks no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfollowed {
    /// Lockless walkers have left the tables that are freed.
    Walkers,
    /// The entry has the value with which the instruction compares it: otherwise nothing is written or invalidated.
    Compared,
    /// The request is on the side of the ceiling that the path takes.
    Ceiling,
}

impl Unfollowed {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Walkers, Self::Compared, Self::Ceiling];

    /// Returns what is not proved.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Walkers => "no lockless walker is in a freed table",
            Self::Compared => "an entry has the value that is compared",
            Self::Ceiling => "the request is above the ceiling, or is not",
        }
    }

    /// Returns why it is not proved.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Walkers => "the kernel's walkers, and what waits for them, are not in the plan",
            Self::Compared => "nothing else may change it before; the caller guarantees that",
            Self::Ceiling => "the number of operations is not computed; both ways are followed",
        }
    }
}

/// The result for a definition.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    /// Each kind of request.
    pub rows: Vec<Row>,
    /// The first failure of each rule and request.
    pub failures: Vec<Failure>,
    /// For how many paths each kind of gap is left, in the order of [`Unfollowed::ALL`].
    left: [u64; Unfollowed::ALL.len()],
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

    /// Counts a path for which something is not proved.
    pub fn leave(&mut self, gap: Unfollowed) {
        self.left[gap as usize] += 1;
    }

    /// Returns what is not proved, each with the number of paths for which it is not.
    pub fn left(&self) -> impl Iterator<Item = (Unfollowed, u64)> + '_ {
        let all = Unfollowed::ALL.into_iter().zip(self.left);
        all.filter(|(_, paths)| *paths > 0)
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
