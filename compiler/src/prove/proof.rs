//! The results of a proof.
//!
//! In: the paths of each request. Out: a [`Proof`]. Holds: each failure is kept once for each rule, request and kind of entry;
//! what no path can prove is counted by its kind, and is no failure.

use std::collections::BTreeSet;
use std::time::Duration;

use super::failure::Failure;
use crate::model::{Model, Subject};
use crate::plan::Plans;

/// A part of a proof: a function that adds its rows and failures.
pub type Part = Box<dyn Fn(&Model, &Plans, &mut Proof) + Send>;

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
    /// The parts of the definition that can be marked as unconfirmed and were read, also by the proofs on which this one relies.
    pub facts: BTreeSet<Subject>,
    /// The kinds of request that complete what a path leaves to a handler or defers.
    pub relies: Vec<String>,
}

impl Row {
    /// Returns the indices of the facts that no manual confirms and on which the proof may depend.
    pub fn unconfirmed(&self, model: &Model) -> Vec<usize> {
        let all = model.unconfirmed.iter().enumerate();
        let read = all.filter(|(_, it)| it.about.iter().any(|about| self.facts.contains(about)));
        read.map(|(index, _)| index).collect()
    }
}

/// What is not proved of a path that breaks no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfollowed {
    /// The entry has the value with which the instruction compares it: otherwise nothing is written or invalidated.
    Compared,
}

impl Unfollowed {
    /// Every kind.
    pub const ALL: [Self; 1] = [Self::Compared];

    /// Returns what is not proved.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Compared => "an entry has the value that is compared",
        }
    }

    /// Returns why it is not proved.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Compared => "nothing else may change it before; the caller guarantees that",
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
        self.add_row(more);
        self.add_failures(failures);
    }

    fn add_row(&mut self, more: Row) {
        match self.rows.iter_mut().find(|row| row.request == more.request) {
            Some(row) => {
                row.paths += more.paths;
                row.failed += more.failed;
                row.time += more.time;
                row.facts.extend(more.facts);
                row.relies.extend(more.relies);
                row.relies.sort_unstable();
                row.relies.dedup();
            }
            None if more.paths > 0 => self.rows.push(more),
            None => {}
        }
    }

    fn add_failures(&mut self, failures: Vec<Failure>) {
        for failure in failures {
            if !self.failures.iter().any(|known| known.is_like(&failure)) {
                self.failures.push(failure);
            }
        }
    }

    /// Adds a later part of the proof.
    pub fn append(&mut self, more: Self) {
        more.rows.into_iter().for_each(|row| self.add_row(row));
        self.add_failures(more.failures);
        for (left, more) in self.left.iter_mut().zip(more.left) {
            *left += more;
        }
    }

    /// Adds to each row what those rows read on which it relies.
    pub fn join(&mut self) {
        loop {
            let before = self.rows.clone();
            for row in &mut self.rows {
                let others = before.iter().filter(|it| row.relies.contains(&it.request));
                let facts = others.flat_map(|it| it.facts.iter().copied());
                row.facts.extend(facts);
            }
            let same = |(row, old): (&Row, &Row)| row.facts.len() == old.facts.len();
            if self.rows.iter().zip(&before).all(same) {
                return;
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
