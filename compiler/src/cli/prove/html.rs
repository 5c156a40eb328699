//! The results of a proof as a page for a browser.

use std::fmt::Write as _;

use super::Found;
use super::parts::{claims, milliseconds};
use crate::compile::Compiled;
use crate::diagnostic::Diagnostic;
use crate::html::{self, TABLE_END, coded, escaped, table_start};
use crate::source::{Files, Span};
use crate::text::numbers;

/// Returns the page: the findings with their places, and the tables of each definition.
pub(super) fn page(found: &[Found], compiled: &Compiled) -> String {
    let mut out = String::from("<h2>Findings</h2>\n");
    if compiled.diagnostics.is_empty() {
        out.push_str("<p>None.</p>\n");
    } else {
        table_start(&mut out, ["code", "place", "finding"]);
        for diagnostic in &compiled.diagnostics {
            finding(&mut out, diagnostic, &compiled.files);
        }
        out.push_str(TABLE_END);
    }
    for one in found {
        let _ = writeln!(out, "<h2>{}</h2>", escaped(&one.name));
        requests(&mut out, one);
        unconfirmed(&mut out, one);
        gaps(&mut out, one);
        addresses(&mut out, one);
    }
    html::page("What is proved of each definition", &out)
}

fn place(files: &Files, span: Span) -> String {
    let name = &files.get(span.file).name;
    escaped(&format!("{name}:{}", files.lines(span).0))
}

fn finding(out: &mut String, diagnostic: &Diagnostic, files: &Files) {
    let Diagnostic {
        code,
        message,
        primary,
        secondary,
        notes,
        ..
    } = diagnostic;
    let labels = std::iter::once(primary).chain(secondary);
    let lines = labels.filter(|label| !label.text.is_empty());
    let lines = lines.map(|label| format!("{}: {}", place(files, label.span), coded(&label.text)));
    let notes = notes.iter().map(|note| coded(note));
    let mut shown = String::new();
    for line in std::iter::once(coded(message)).chain(lines).chain(notes) {
        let _ = write!(shown, "<div>{line}</div>");
    }
    let place = place(files, primary.span);
    let _ = writeln!(
        out,
        "<tr><th>{code}</th><td>{place}</td><td>{shown}</td></tr>"
    );
}

/// Writes a row of a name and numbers, and a text.
fn row(out: &mut String, class: &str, name: &str, cells: &[u64], text: &str) {
    let _ = write!(out, "<tr class=\"{class}\"><th>{}</th>", coded(name));
    for cell in cells {
        let _ = write!(out, "<td class=\"number\">{cell}</td>");
    }
    let _ = writeln!(out, "<td>{}</td></tr>", coded(text));
}

fn class(failed: u64, otherwise: &'static str) -> &'static str {
    if failed > 0 { "failed" } else { otherwise }
}

fn requests(out: &mut String, found: &Found) {
    let proof = &found.proof;
    table_start(
        out,
        [
            "request",
            "paths",
            "proved",
            "not proved",
            "ms",
            "unconfirmed",
        ],
    );
    for (one, facts) in proof.rows.iter().zip(&found.depends) {
        let cells = [
            one.paths,
            one.paths - one.failed,
            one.failed,
            milliseconds(one.time),
        ];
        let class = class(one.failed, "request");
        row(out, class, &one.request, &cells, &numbers(facts));
    }
    let (paths, failed) = (proof.paths(), proof.failed());
    let time = proof.rows.iter().map(|row| row.time).sum();
    let cells = [paths, paths - failed, failed, milliseconds(time)];
    row(out, class(failed, "all"), "all", &cells, "");
    out.push_str(TABLE_END);
}

fn unconfirmed(out: &mut String, found: &Found) {
    if found.unconfirmed.is_empty() {
        return;
    }
    out.push_str("<h3>Facts that no manual confirms</h3>\n");
    table_start(
        out,
        ["number", "about", "the fact, and the evidence for it"],
    );
    for (index, (about, text)) in found.unconfirmed.iter().enumerate() {
        let (number, about) = (index + 1, coded(&about.join(", ")));
        let text = coded(text);
        let _ = writeln!(
            out,
            "<tr><th>{number}</th><td>{about}</td><td>{text}</td></tr>"
        );
    }
    out.push_str(TABLE_END);
}

fn gaps(out: &mut String, found: &Found) {
    let mut left = found.proof.left().peekable();
    if left.peek().is_none() {
        return;
    }
    out.push_str("<h3>Not proved for other reasons</h3>\n");
    table_start(out, ["claim", "paths", "reason"]);
    for (gap, paths) in left {
        row(out, "gap", gap.what(), &[paths], gap.reason());
    }
    out.push_str(TABLE_END);
}

fn addresses(out: &mut String, found: &Found) {
    out.push_str("<h3>Addresses</h3>\n");
    table_start(
        out,
        [
            "about",
            "claims",
            "proved",
            "checked",
            "not proved",
            "ms",
            "",
        ],
    );
    let (parts, total) = claims(&found.addresses);
    let parts = parts.iter().map(|(about, claims)| (*about, claims, "part"));
    for (about, claims, otherwise) in parts.chain(std::iter::once(("all", &total, "all"))) {
        let failed = claims.failed();
        let cells = [
            claims.all,
            claims.proved,
            claims.checked,
            failed,
            milliseconds(claims.time),
        ];
        let class = class(failed, otherwise);
        row(out, class, about, &cells, &claims.earlier());
    }
    out.push_str(TABLE_END);
}
