//! The parser: the shipped definitions, syntax errors with their messages, and noise.

mod controls;
mod errors;
mod files;
mod good;
mod noise;

use std::fmt::Write;
use std::path::Path;

use tlbc::Diagnostic;
use tlbc::ast::Arch;
use tlbc::parse::parse;
use tlbc::render::{Format, render};
use tlbc::source::Files;

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../archdefs")
        .join(name);
    std::fs::read_to_string(path).expect("a shipped definition")
}

fn parsed(text: &str) -> (Files, Option<Arch>, Vec<Diagnostic>) {
    let mut files = Files::default();
    let file = files.add("x.arch", text);
    let (arch, diagnostics) = parse(&files, file);
    (files, arch, diagnostics)
}

fn messages(text: &str) -> Vec<String> {
    let (_, _, diagnostics) = parsed(text);
    diagnostics
        .into_iter()
        .map(|d| format!("{} {}", d.code, d.message))
        .collect()
}

/// Returns the source and the diagnostics about it.
fn report(text: &str) -> String {
    let (files, arch, diagnostics) = parsed(text);
    let rendered = render(&files, &diagnostics, Format::Human, false);
    let outcome = arch.map_or("no definition".to_owned(), |arch| {
        format!(
            "definition `{}` of {} items",
            arch.name.node,
            arch.items.len()
        )
    });
    let mut source = String::new();
    for line in text.lines() {
        let _ = writeln!(source, "    {line}");
    }
    format!("{source}\n{rendered}\n{outcome}\n")
}

/// Compares a text with the snapshot of that name.
fn compare(name: &str, text: &str) {
    tlbc_tests::snapshot!(name, text);
}

/// A snapshot of the source and the messages about each of several texts.
fn snapshot(name: &str, texts: &[&str]) {
    let reports: Vec<String> = texts.iter().map(|text| report(text)).collect();
    compare(name, &reports.join(&format!("{}\n", "-".repeat(80))));
}

/// Items within a definition.
fn within(items: &str) -> String {
    format!("arch m {{\n{items}\n}}\n")
}
