//! Mistakes and other changes in definitions, from a seed.
//!
//! In: the text of a definition, and a generator of random numbers. Out: the text with one change, and what
//! was changed. [`slip`] makes typing mistakes in a single token; [`Mutator`] changes
//! statements, and `check` accepts many of its results. The same seed makes the same
//! changes. [`facts`] makes every change of a single fact, without a seed, and [`plans`]
//! breaks plans instead of definitions.

pub mod breaks;
mod changes;
mod effects;
pub mod facts;
mod names;
pub mod plans;
mod renames;
mod slip;
pub mod source;

use std::ops::Range;

pub use changes::Mutator;
pub use fastrand::Rng;
pub use renames::renamed;
pub use slip::slip;
use source::{Source, Statement};

/// A changed text, and what was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// The text.
    pub text: String,
    /// The description of the change.
    pub what: String,
}

/// A part of a text, and its replacement.
type Edit = (Range<usize>, String);

/// Applies edits, which do not overlap.
fn edited(source: &Source, mut edits: Vec<Edit>, what: String) -> Mutant {
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut text = source.text.clone();
    for (range, with) in edits {
        text.replace_range(range, &with);
    }
    Mutant { text, what }
}

/// Returns the text of a statement.
fn text_of<'s>(source: &'s Source, statement: &Statement) -> &'s str {
    &source.text[source.range(statement)]
}

/// Chooses one of several.
fn one<'a, T>(rng: &mut Rng, of: &'a [T]) -> Option<&'a T> {
    (!of.is_empty()).then(|| &of[rng.usize(..of.len())])
}

/// Returns the beginning of a text, on one line.
fn brief(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(60) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
}
