//! `tlbc prove`.

use std::fmt::Write as _;
use std::time::Duration;

use clap::ValueEnum;

use super::{CommandResult, Definitions, Trouble};
use crate::addresses::{By, Judged, Verdict, judge};
use crate::analysis::Analysis;
use crate::prove::{Proof, prove};
use crate::source::Files;

/// Proves that each path of each plan invalidates what its request requires
#[derive(clap::Args)]
#[command(after_help = "\
Every combination of the features and errata on which a path depends is followed. For each entry that a
request makes stale, on each agent that may have cached it, the path has one single instruction that
invalidates it, after the change is visible to the walker and complete at the end, or an IPI, or a
deferred flush.

Addresses: for all values of start, end, tag and alignment, loops name every page and end, runs have no
more than the instruction can name, and the code that is printed for operands has the bits that the
definition states, without overflow. z3 proves this if it is installed. Without it each claim is checked
for every small value and for random wide ones; such claims are counted as checked, never as proved. The
loops are those of the runtime; that it takes the proved steps is checked.

Changes: a valid entry is written by instructions that the definition names for its level and for the
change, and what was made through it is invalidated before a new entry is stored. A plain store is for an
invalid entry, for software bits, or for an entry whose flush is deferred. New entries are published.

What is not proved of a path that breaks no rule is counted in rows of its own, with the reason, and is no
failure: that no lockless walker is in a freed table, that an entry still has the value with which an
instruction compares it, and whether a request is above the ceiling, which is followed both ways. The
order of passes over several levels is not proved for all values, but followed for a few sizes.

Examples:
  tlbc prove                                all definitions in archdefs
  tlbc prove foo.arch                       one definition
  tlbc prove --without-solver               in seconds, with addresses checked
  tlbc prove --format json                  one JSON object")]
pub(super) struct Prove {
    #[command(flatten)]
    definitions: Definitions,

    /// The format of the results
    #[arg(long, value_enum, default_value_t = ProofFormat::Text, value_name = "FORMAT")]
    format: ProofFormat,

    /// Check claims about addresses for values instead of proving them
    #[arg(long)]
    without_solver: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProofFormat {
    Text,
    Json,
}

impl Prove {
    pub(super) fn run(&self, color: bool) -> Result<CommandResult, Trouble> {
        let (mut compiled, analyses) = self.definitions.planned()?;
        if compiled.has_errors() {
            return Ok(self.definitions.findings(&compiled, color));
        }
        let by = if self.without_solver {
            By::Values
        } else {
            By::Solver
        };
        let results = results(&analyses, &compiled.files, by);
        let shown = match self.format {
            ProofFormat::Text => results.iter().map(table).collect(),
            ProofFormat::Json => json(&results),
        };
        for (analysis, found) in analyses.iter().zip(&results) {
            let failures = found.proof.failures.iter();
            let failures = failures.map(|failure| failure.diagnostic(&analysis.model));
            compiled.diagnostics.extend(failures);
            let judged = found.addresses.iter();
            let judged = judged.filter_map(Judged::diagnostic);
            compiled.diagnostics.extend(judged);
        }
        if compiled.has_errors() {
            return Ok(self.definitions.findings(&compiled, color));
        }
        let warnings = self.definitions.shown(&compiled, color);
        Ok(CommandResult::Good(shown).warned(warnings))
    }
}

/// What is known of a definition.
struct Found {
    name: String,
    proof: Proof,
    addresses: Vec<Judged>,
}

/// Returns what is known of each definition.
fn results(analyses: &[Analysis], files: &Files, by: By) -> Vec<Found> {
    std::thread::scope(|scope| {
        let workers = analyses.iter().map(|it| {
            scope.spawn(move || Found {
                name: it.model.arch.name.clone(),
                proof: prove(&it.model, &it.plans),
                addresses: judge(it, files, by),
            })
        });
        let workers: Vec<_> = workers.collect();
        let joined = workers.into_iter().map(|worker| {
            let found = worker.join();
            found.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect()
    })
}

/// The number of claims about one part, by their verdict.
#[derive(Default)]
struct Claims {
    all: u64,
    proved: u64,
    checked: u64,
    time: Duration,
}

impl Claims {
    fn add(&mut self, judged: &Judged) {
        self.all += 1;
        match judged.verdict {
            Verdict::Proved => self.proved += 1,
            Verdict::Checked(_) => self.checked += 1,
            Verdict::Refuted(_) | Verdict::Unknown(_) => {}
        }
        self.time += judged.time;
    }

    fn line(&self, about: &str) -> String {
        let Self {
            all,
            proved,
            checked,
            time,
        } = self;
        let failed = all - proved - checked;
        let time = milliseconds(*time);
        format!("  {about:<43} {all:>8} {proved:>8} {checked:>8} {failed:>10} {time:>6} ms\n")
    }
}

/// Returns the table of the claims about addresses.
fn claims(judged: &[Judged]) -> String {
    let mut parts: Vec<(&str, Claims)> = Vec::new();
    let mut total = Claims::default();
    for one in judged {
        total.add(one);
        let known = parts.iter_mut().find(|(about, _)| *about == one.about);
        if let Some((_, claims)) = known {
            claims.add(one);
        } else {
            let mut claims = Claims::default();
            claims.add(one);
            parts.push((&one.about, claims));
        }
    }
    let mut out = format!(
        "  {:<43} {:>8} {:>8} {:>8} {:>10} {:>9}\n",
        "addresses", "claims", "proved", "checked", "not proved", "time"
    );
    out.extend(parts.iter().map(|(about, claims)| claims.line(about)));
    out += &total.line("all");
    out
}

fn milliseconds(time: Duration) -> u128 {
    time.as_millis()
}

fn table(found: &Found) -> String {
    let (name, proof) = (&found.name, &found.proof);
    let mut out = format!("{name}\n");
    let mut line = |request: &str, paths: u64, failed: u64, time: Duration| {
        let proved = paths - failed;
        let time = milliseconds(time);
        out += &format!("  {request:<52} {paths:>8} {proved:>8} {failed:>10} {time:>6} ms\n");
    };
    for row in &proof.rows {
        line(&row.request, row.paths, row.failed, row.time);
    }
    let time = proof.rows.iter().map(|row| row.time).sum();
    line("all", proof.paths(), proof.failed(), time);
    let head = format!(
        "  {:<52} {:>8} {:>8} {:>10} {:>9}\n",
        "request", "paths", "proved", "not proved", "time"
    );
    out.insert_str(name.len() + 1, &head);
    out + &gaps(proof) + &claims(&found.addresses)
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

fn claim(judged: &Judged) -> serde_json::Value {
    let (verdict, values) = match judged.verdict {
        Verdict::Proved => ("proved", None),
        Verdict::Checked(values) => ("checked", Some(values)),
        Verdict::Refuted(_) => ("refuted", None),
        Verdict::Unknown(_) => ("not decided", None),
    };
    serde_json::json!({
        "about": judged.about,
        "claim": judged.words,
        "verdict": verdict,
        "values": values,
    })
}

fn json(found: &[Found]) -> String {
    let of = |found: &Found| {
        let (name, proof) = (&found.name, &found.proof);
        let rows = proof.rows.iter().map(|row| {
            serde_json::json!({
                "request": row.request,
                "paths": row.paths,
                "proved": row.paths - row.failed,
                "not_proved": row.failed,
                "milliseconds": u64::try_from(milliseconds(row.time)).unwrap_or(u64::MAX),
            })
        });
        let gaps = proof.left().map(|(gap, paths)| {
            serde_json::json!({
                "claim": gap.what(),
                "paths": paths,
                "verdict": "not proved",
                "reason": gap.reason(),
            })
        });
        serde_json::json!({
            "arch": name,
            "paths": proof.paths(),
            "not_proved": proof.failed(),
            "requests": rows.collect::<Vec<_>>(),
            "gaps": gaps.collect::<Vec<_>>(),
            "addresses": found.addresses.iter().map(claim).collect::<Vec<_>>(),
        })
    };
    let all: Vec<_> = found.iter().map(of).collect();
    format!(
        "{}\n",
        serde_json::json!({ "version": 1, "definitions": all })
    )
}
