//! `tlbc prove`.

use std::time::Duration;

use clap::ValueEnum;

use super::{Definitions, Outcome, Trouble};
use crate::analysis::Analysis;
use crate::prove::{Proof, prove};

/// Proves that each path of each plan invalidates what its request requires
#[derive(clap::Args)]
#[command(after_help = "\
Every combination of the features and errata on which a path depends is followed. For each entry that a
request makes stale, on each agent that may have cached it, the path has one single instruction that
invalidates it, after the change is visible to the walker and complete at the end, or an IPI, or a
deferred flush.

Addresses are checked for requests of a few sizes and alignments, with the functions of the runtime that
generated code calls. They are not proved for all values. Changes of entries by instructions that write
them are not proved. The instructions of a loop over the sets of a cache count as one; `tlbc torment`
runs them one by one.

Examples:
  tlbc prove                                all definitions in archdefs
  tlbc prove foo.arch                       one definition
  tlbc prove --format json                  one JSON object")]
pub(super) struct Prove {
    #[command(flatten)]
    definitions: Definitions,

    /// The format of the results
    #[arg(long, value_enum, default_value_t = Form::Text, value_name = "FORMAT")]
    format: Form,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Text,
    Json,
}

impl Prove {
    pub(super) fn run(&self, color: bool) -> Result<Outcome, Trouble> {
        let (mut compiled, analyses) = self.definitions.planned()?;
        if compiled.has_errors() {
            return Ok(self.definitions.findings(&compiled, color));
        }
        let proofs = proofs(&analyses);
        let results = match self.format {
            Form::Text => proofs
                .iter()
                .map(|(name, proof)| table(name, proof))
                .collect(),
            Form::Json => json(&proofs),
        };
        for (analysis, (_, proof)) in analyses.iter().zip(&proofs) {
            let failures = proof.failures.iter();
            let found = failures.map(|failure| failure.diagnostic(&analysis.model));
            compiled.diagnostics.extend(found);
        }
        if compiled.has_errors() {
            return Ok(self.definitions.findings(&compiled, color));
        }
        let warnings = self.definitions.shown(&compiled, color);
        Ok(Outcome::Good(results).warned(warnings))
    }
}

/// Returns the proof of each definition, with its name.
fn proofs(analyses: &[Analysis]) -> Vec<(String, Proof)> {
    std::thread::scope(|scope| {
        let workers = analyses.iter().map(|it| {
            let worker = scope.spawn(|| prove(&it.model, &it.plans));
            (it.model.arch.name.clone(), worker)
        });
        let workers: Vec<_> = workers.collect();
        let joined = workers.into_iter().map(|(name, worker)| {
            let proof = worker.join();
            (
                name,
                proof.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            )
        });
        joined.collect()
    })
}

fn milliseconds(time: Duration) -> u128 {
    time.as_millis()
}

fn table(name: &str, proof: &Proof) -> String {
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
    out
}

fn json(proofs: &[(String, Proof)]) -> String {
    let of = |(name, proof): &(String, Proof)| {
        let rows = proof.rows.iter().map(|row| {
            serde_json::json!({
                "request": row.request,
                "paths": row.paths,
                "proved": row.paths - row.failed,
                "not_proved": row.failed,
                "milliseconds": u64::try_from(milliseconds(row.time)).unwrap_or(u64::MAX),
            })
        });
        serde_json::json!({
            "arch": name,
            "paths": proof.paths(),
            "not_proved": proof.failed(),
            "requests": rows.collect::<Vec<_>>(),
        })
    };
    let all: Vec<_> = proofs.iter().map(of).collect();
    format!(
        "{}\n",
        serde_json::json!({ "version": 1, "definitions": all })
    )
}
