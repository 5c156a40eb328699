//! Every rule: the examples of its explanation fail and are corrected, and snapshots of its messages.

mod explanations;
mod foreign;
mod machines;
mod names;
mod operands;
mod registers;
mod several;
mod shipped;
mod slips;
mod toy;
mod unread;
mod warnings;

use tlbc::Diagnostic;
use tlbc::analyse;
use tlbc::parse::{decode, parse};
use tlbc::render::{Format, render};
use tlbc::source::Files;
use toy::toy_with;

/// Returns the diagnostics about a text: of the parser alone, or of all stages.
fn found(text: &str, whole: bool) -> (Files, Vec<Diagnostic>) {
    let mut files = Files::default();
    let file = decode(&mut files, "x.arch", text.into()).expect("UTF-8");
    let diagnostics = if whole {
        analyse(&files, file).1
    } else {
        parse(&files, file).1
    };
    (files, diagnostics)
}

fn messages(text: &str) -> Vec<String> {
    let (_, diagnostics) = found(text, true);
    let one = |d: Diagnostic| format!("{} {}", d.code, d.message);
    diagnostics.into_iter().map(one).collect()
}

/// Compares a text with the snapshot of that name.
fn snapshot(name: &str, text: &str) {
    tlbc_tests::snapshot!(name, text);
}

/// Compares items within the example machine, and the diagnostics about them, with a snapshot.
fn cases(name: &str, all: &[&str]) {
    let reports = all.iter().map(|items| {
        let (files, diagnostics) = found(&toy_with(items), true);
        let rendered = render(&files, &diagnostics, Format::Human, false);
        format!("{items}\n\n{rendered}")
    });
    let rule = format!("{}\n", "-".repeat(80));
    snapshot(name, &reports.collect::<Vec<_>>().join(&rule));
}

/// An invalidation without operands of its own.
fn invalidate(head: &str, facts: &str) -> String {
    format!("invalidate {head} {{\n    per \"Toy manual, 4.5\";\n    {facts}\n}}")
}
