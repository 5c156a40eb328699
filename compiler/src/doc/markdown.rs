//! The parts of a Markdown page: headings, tables, code blocks, and places in sources.

use std::fmt::Write as _;

use crate::describe::plain;
use crate::matrix::marked;
use crate::source::{Files, Span};

/// Returns the name of a source without its directories, so that the page does not depend on where it is generated.
pub fn source(files: &Files, span: Span) -> String {
    let name = &files.get(span.file).name;
    plain(name.rsplit(['/', '\\']).next().unwrap_or(name))
}

/// Returns a place as in `foo.arch:12`.
pub fn place(files: &Files, span: Span) -> String {
    format!("{}:{}", source(files, span), files.lines(span).0)
}

/// Returns the anchor of a heading, as Markdown renderers form it.
#[must_use]
pub fn anchor(title: &str) -> String {
    let letters = title
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    letters
        .map(|c| {
            if c == ' ' {
                '-'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

/// Writes a heading of the second level.
pub fn heading(out: &mut String, title: &str) {
    let _ = write!(out, "\n## {title}\n\n");
}

/// Writes a table. `\n` separates the lines of a cell.
pub fn table<const N: usize>(
    out: &mut String,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    let _ = writeln!(out, "| {} |\n|{}", head.join(" | "), "---|".repeat(N));
    for row in rows {
        let cells = row.map(|cell| cell.lines().map(marked).collect::<Vec<_>>().join("<br>"));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}

/// Writes a text as a code block, with a fence that is longer than any in the text.
pub fn fenced(out: &mut String, text: &str) {
    let fence = "`".repeat(3 + text.matches("```").count());
    let _ = writeln!(out, "{fence}text\n{}\n{fence}", text.trim_end());
}
