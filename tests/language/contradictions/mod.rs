//! Definitions that contradict themselves: one fact of a sound definition is changed, and the change is reported.
//!
//! Each test has the change and the expected codes. Where the right answer can be derived instead, the test
//! compares what is derived.

mod caches;
mod conditions;
mod derived;
mod errata;
mod events;
mod fields;
mod given;
mod instructions;
mod kernel;
mod narrow;
mod operands;
mod overlapping;
mod physical;
mod rust;
mod settings;
mod silence;
mod spaces;
mod tags;
mod targets;
mod texts;
mod twice;
mod writers;

use tlbc_tests::requests::{
    ARM64, LOONGARCH64, POWERPC64, RISCV64, S390, X86_64, edited, findings,
};

/// The machine of the guide in `archdefs/README.md`.
fn slate() -> &'static str {
    const GUIDE: &str = include_str!("../../../archdefs/README.md");
    let (_, rest) = GUIDE.split_once("```arch slate.arch\n").expect("a block");
    rest.split_once("```").expect("its end").0
}

/// Returns a text with some places replaced, each of which occurs once.
fn with(text: &str, edits: &[(&str, &str)]) -> String {
    let all = edits.iter();
    all.fold(text.to_owned(), |text, (old, new)| edited(&text, old, new))
}

/// Returns the codes of the diagnostics about a text, each once, in order.
fn codes(text: &str) -> Vec<String> {
    let mut codes: Vec<String> = (findings(text).iter())
        .map(|finding| finding[..5].to_owned())
        .collect();
    codes.sort();
    codes.dedup();
    codes
}

/// Asserts that a changed definition is rejected with these codes and no others.
#[track_caller]
fn refused(text: &str, edits: &[(&str, &str)], expected: &str) {
    let text = with(text, edits);
    let expected: Vec<&str> = expected.split(' ').collect();
    assert_eq!(codes(&text), expected, "{:#?}", findings(&text));
}

/// Asserts that a changed definition is accepted.
#[track_caller]
fn accepted(text: &str, edits: &[(&str, &str)]) {
    assert_eq!(findings(&with(text, edits)), [""; 0]);
}

#[test]
fn what_is_changed_is_sound() {
    for text in [slate(), ARM64, X86_64, POWERPC64, S390] {
        accepted(text, &[]);
    }
}
