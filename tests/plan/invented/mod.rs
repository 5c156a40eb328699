//! Plans of invented machines, each with a property that no shipped machine has, and of machines that differ from them in
//! one fact. Every issued instruction is asserted.

mod calls;
mod changes;
mod completion;
mod folding;
mod followed;
mod levels;
mod negative;
mod online;
mod publishers;
mod refill;
mod renewal;
mod runs;
mod selection;
mod sets;
mod stages;
mod switches;

use tlbc::Analysis;
use tlbc::model::Model;
use tlbc::torment::{Options, torment};
use tlbc_tests::requests::{Ask, edited, good, lines};

/// Returns a definition of `tests/plan/invented/definitions` with replacements. Each replaced text occurs once.
fn with(text: &str, edits: &[(&str, &str)]) -> Analysis {
    let all = edits.iter();
    let text = all.fold(text.to_owned(), |text, (old, new)| edited(&text, old, new));
    good(&text)
}

/// Returns what plans leave on the hardware of a definition; nothing if that is nothing.
fn left_on_hardware(planned: &Analysis, hardware: &Model) -> String {
    let options = Options {
        seed: 1,
        machines: 10,
        requests: 100,
        machine: None,
        ends_at_long: false,
    };
    let failure = torment(planned, hardware, &options).failure;
    failure.map_or(String::new(), |it| it.text)
}

/// Checks the instructions of a request, on a machine with these features and errata.
#[track_caller]
fn issues(arch: &Analysis, words: &str, ask: &Ask, expected: &[&str]) {
    assert_eq!(lines(ask.on(arch, words).issued()), expected, "{ask:?}");
}
