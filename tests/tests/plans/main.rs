//! Plans of made-up machines, each with something that no shipped machine has, and of machines that differ from them in
//! one fact. What is asserted is every instruction that is issued.

#[path = "../common/mod.rs"]
mod common;

mod changes;
mod completion;
mod negative;
mod stages;

use common::{Ask, edited, good, lines};
use tlbc::Analysis;

/// A definition of `tests/definitions`, with places changed, each of which is there once.
fn with(text: &str, edits: &[(&str, &str)]) -> Analysis {
    let all = edits.iter();
    let text = all.fold(text.to_owned(), |text, (old, new)| edited(&text, old, new));
    good(&text)
}

/// That this is issued for a request, on a machine with these features and errata.
#[track_caller]
fn issues(arch: &Analysis, words: &str, ask: &Ask, expected: &[&str]) {
    assert_eq!(lines(ask.on(arch, words).issued()), expected, "{ask:?}");
}
