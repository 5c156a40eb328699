//! The results of a proof as tables for a terminal.

use std::fmt::Write as _;

use super::Found;
use super::parts::{Claims, claims, milliseconds};
use crate::addresses::Judged;
use crate::prove::Proof;
use crate::text::numbers;

/// Returns the tables of a definition.
pub(super) fn text(found: &Found) -> String {
    let (name, proof) = (&found.name, &found.proof);
    let mut out = format!(
        "{name}\n  {:<52} {:>8} {:>8} {:>10} {:>9}  unconfirmed\n",
        "request", "paths", "proved", "not proved", "time"
    );
    let mut line = |request: &str, (paths, failed): (u64, u64), time, facts: &[usize]| {
        let (proved, time) = (paths - failed, milliseconds(time));
        let facts = numbers(facts);
        let line =
            format!("  {request:<52} {paths:>8} {proved:>8} {failed:>10} {time:>6} ms  {facts}");
        out += line.trim_end();
        out.push('\n');
    };
    for (row, facts) in proof.rows.iter().zip(&found.depends) {
        line(&row.request, (row.paths, row.failed), row.time, facts);
    }
    let time = proof.rows.iter().map(|row| row.time).sum();
    line("all", (proof.paths(), proof.failed()), time, &[]);
    out + &unconfirmed(found) + &gaps(proof) + &addresses(&found.addresses)
}

/// Returns the facts that no manual confirms, with their numbers.
fn unconfirmed(found: &Found) -> String {
    let mut out = String::new();
    for (index, (about, text)) in found.unconfirmed.iter().enumerate() {
        let number = index + 1;
        let about = about.join(", ");
        let _ = writeln!(out, "  unconfirmed {number}: {about}: {text}");
    }
    out
}

/// Returns the table of what is not proved of paths that break no rule.
fn gaps(proof: &Proof) -> String {
    let mut out = String::new();
    for (gap, paths) in proof.left() {
        if out.is_empty() {
            out = format!(
                "  {:<52} {:>8} {:>8} {:>10}    reason\n",
                "for other reasons", "paths", "proved", "not proved"
            );
        }
        let (what, reason) = (gap.what(), gap.reason());
        let _ = writeln!(
            out,
            "  {what:<52} {paths:>8} {:>8} {paths:>10}    {reason}",
            0
        );
    }
    out
}

fn line(claims: &Claims, about: &str) -> String {
    let Claims {
        all,
        proved,
        checked,
        time,
        ..
    } = claims;
    let (failed, time, earlier) = (claims.failed(), milliseconds(*time), claims.earlier());
    let line = format!(
        "  {about:<43} {all:>8} {proved:>8} {checked:>8} {failed:>10} {time:>6} ms  {earlier}"
    );
    line.trim_end().to_owned() + "\n"
}

/// Returns the table of the claims about addresses.
fn addresses(judged: &[Judged]) -> String {
    let (parts, total) = claims(judged);
    let mut out = format!(
        "  {:<43} {:>8} {:>8} {:>8} {:>10} {:>9}\n",
        "addresses", "claims", "proved", "checked", "not proved", "time"
    );
    out.extend(parts.iter().map(|(about, claims)| line(claims, about)));
    out += &line(&total, "all");
    out
}
