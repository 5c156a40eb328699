//! `tlbc doc`.

use super::generate::listed;
use super::{CommandResult, Messages, Trouble};
use crate::compile;
use crate::doc::documents;
use crate::fs;
use crate::prove::prove;
use std::path::PathBuf;

/// Writes a page about an architecture, with a picture
#[derive(clap::Args)]
#[command(after_help = "\
DIR/NAME.md contains the facts of the architecture, the policies and whether they are stated or derived,
features, errata with their workarounds, every instruction with its source, what is issued for each kind
of request on each machine, and what is proved of each kind, with the facts on which that depends. DIR/NAME.svg shows the levels of its tables and what each
instruction invalidates. If the definition has an error, nothing is written. Files that would not change
are left alone.

Examples:
  tlbc doc foo.arch                         to doc/foo.md and doc/foo.svg
  tlbc doc foo.arch --out site              to site/foo.md and site/foo.svg
  generate-foo | tlbc doc -                 a definition from standard input")]
pub(super) struct Doc {
    /// The definition, or - for standard input
    file: PathBuf,

    /// The directory of the files; it is created if necessary
    #[arg(long, value_name = "DIR", default_value = "doc")]
    out: PathBuf,

    #[command(flatten)]
    messages: Messages,
}

impl Doc {
    pub(super) fn run(&self, color: bool) -> Result<CommandResult, Trouble> {
        let source = fs::read_one(self.file.clone())?.named();
        let (compiled, analyses) = compile::planned([source]);
        if compiled.has_errors() {
            let findings = self
                .messages
                .render(&compiled.files, &compiled.diagnostics, color);
            return Ok(CommandResult::Findings(findings));
        }
        let outputs: Vec<_> = analyses
            .iter()
            .flat_map(|it| documents(it, &compiled.files, &prove(&it.model, &it.plans)))
            .collect();
        let changes = fs::changes(&self.out, &outputs, false)?;
        if changes.is_empty() {
            let text = format!("{} is up to date\n", self.out.display());
            return Ok(CommandResult::Good(text));
        }
        fs::apply(&self.out, &changes)?;
        Ok(CommandResult::Good(listed(
            &changes, "written", "written", "deleted",
        )))
    }
}
