//! `tlbc prove`.

mod html;
mod json;
mod parts;
mod table;

use clap::ValueEnum;

use super::{CommandResult, Definitions, Trouble};
use crate::addresses::{By, Judged, judge};
use crate::analysis::Analysis;
use crate::at_once::at_once;
use crate::diagnostic::Diagnostic;
use crate::hidden::spelt;
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
loops are those of the runtime; that it takes the proved steps is checked. What z3 proves is remembered
in TLBC_CACHE, or else in tlbc/ of the user's cache directory: z3 is asked again when tlbc, z3 or the
claims of the definition change. An empty TLBC_CACHE turns it off.

Changes: a valid entry is written by instructions that the definition names for its level and for the
change, and what was made through it is invalidated before a new entry is stored. A plain store is for an
invalid entry, for software bits, or for an entry whose flush is deferred. New entries are published.

Tables: where they are freed right after the flush, it sends an IPI to each CPU that may run a lockless
walker. Otherwise the runtime waits for them. Ceilings: each request is followed below and above.

Facts that the definition marks as unconfirmed are numbered, and each proof has the numbers of those that
it, or a proof on which it relies, may depend on. A proof without a number depends on none. Claims about
addresses read the number of entries that a translation covers, which `caches` states, and nothing else
that can be marked.

What is not proved of a path that breaks no rule is counted in rows of its own, with the reason, and is no
failure: that an entry still has the value with which an instruction compares it. The order of passes over
several levels is not proved for all values, but followed for a few sizes.

Examples:
  tlbc prove                                all definitions in archdefs
  tlbc prove foo.arch                       one definition
  tlbc prove --without-solver               in seconds, with addresses checked
  tlbc prove --format json                  one JSON object
  tlbc prove --format html > proof.html     a page for a browser, also if something is not proved")]
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
    Html,
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
            By::SolverOrEarlier
        };
        let results = results(&analyses, &compiled.files, by);
        compiled.diagnostics.extend(failures(&analyses, &results));
        let shown = match self.format {
            ProofFormat::Text => results.iter().map(table::text).collect(),
            ProofFormat::Json => json::object(&results),
            ProofFormat::Html => html::page(&results, &compiled),
        };
        if compiled.has_errors() {
            return Ok(match self.format {
                ProofFormat::Html => CommandResult::Painted(spelt(&shown))
                    .warned(self.definitions.shown(&compiled, color)),
                ProofFormat::Text | ProofFormat::Json => {
                    self.definitions.findings(&compiled, color)
                }
            });
        }
        let warnings = self.definitions.shown(&compiled, color);
        Ok(CommandResult::Good(shown).warned(warnings))
    }
}

/// Returns what is not proved.
fn failures(analyses: &[Analysis], results: &[Found]) -> Vec<Diagnostic> {
    let each = analyses.iter().zip(results).flat_map(|(analysis, found)| {
        let failures = found.proof.failures.iter();
        let failures = failures.map(|failure| failure.diagnostic(&analysis.model));
        let judged = found.addresses.iter();
        failures.chain(judged.filter_map(Judged::diagnostic))
    });
    each.collect()
}

/// What is known of a definition.
struct Found {
    name: String,
    proof: Proof,
    /// The facts that no manual confirms.
    unconfirmed: Vec<parts::UnconfirmedFact>,
    /// For each row of the proof, the indices of those facts on which it may depend.
    depends: Vec<Vec<usize>>,
    addresses: Vec<Judged>,
}

/// Returns what is known of each definition.
fn results(analyses: &[Analysis], files: &Files, by: By) -> Vec<Found> {
    at_once(analyses.iter().collect(), |it| {
        let proof = prove(&it.model, &it.plans);
        let rows = proof.rows.iter();
        Found {
            name: it.model.arch.name.clone(),
            depends: rows.map(|row| row.unconfirmed(&it.model)).collect(),
            unconfirmed: parts::unconfirmed(&it.model),
            addresses: judge(it, files, by),
            proof,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::TOY;
    use crate::compile::planned;
    use crate::plan::ir::{Node, Plan, Shape};
    use tlbc_runtime::request::{Reach, Space};

    #[test]
    fn findings_are_on_the_page_with_their_places() {
        let text = TOY;
        let (mut compiled, mut analyses) = planned([("a.arch", text)]);
        let plans = &mut analyses[0].plans;
        let shape = Shape::Everything(Space::User, Reach::Here);
        let plan = plans.get(shape).expect("a plan").clone();
        plans.replace(Plan {
            body: Node::Seq(Vec::new()),
            ..plan
        });
        let found = results(&analyses, &compiled.files, By::Values);
        compiled.diagnostics.extend(failures(&analyses, &found));
        let page = html::page(&found, &compiled);
        let finding = page.lines().find(|line| line.contains("<th>E0801</th>"));
        let finding = finding.expect("a finding");
        let named = |before: &str, after: &str| {
            let places = finding
                .split(before)
                .filter_map(|rest| rest.split_once(after));
            let mut lines = places.filter_map(|(line, _)| line.parse::<usize>().ok());
            let line = lines.next().unwrap_or_else(|| panic!("{finding}"));
            text.lines().nth(line - 1).expect("a line").trim()
        };
        let cached = named("<td>a.arch:", "</td>");
        assert!(cached.contains(" holds leaf"), "{cached}");
        let expected = named("<div>a.arch:", ": is expected");
        assert!(expected.starts_with("invalidate "), "{expected}");
        assert!(page.contains("<tr class=\"failed\">"));
    }
}
