//! `tlbc diff`.

use super::{Definitions, Outcome, Trouble, generate};
use crate::disk::Change;
use similar::TextDiff;
use std::path::PathBuf;

/// Shows what `tlbc gen` would change, as a unified diff
#[derive(clap::Args)]
#[command(after_help = "\
Exits with 0 if nothing would change, with 1 if something would.

Examples:
  tlbc diff                                 archdefs against generated/src
  tlbc diff foo.arch --against src/backends one definition against src/backends/foo.rs")]
pub(super) struct Diff {
    #[command(flatten)]
    definitions: Definitions,

    /// Where the generated files are
    #[arg(long, value_name = "DIR", default_value = "generated/src")]
    against: PathBuf,
}

impl Diff {
    pub(super) fn run(&self, color: bool) -> Result<Outcome, Trouble> {
        if !self.against.is_dir() {
            let directory = self.against.display();
            return Err(Trouble(format!("there is no directory {directory}")));
        }
        let compiled = self.definitions.compile()?;
        if compiled.has_errors() {
            return Ok(self.definitions.findings(&compiled, color));
        }
        let changes = generate::changes(&self.definitions, compiled, &self.against)?;
        if changes.is_empty() {
            return Ok(Outcome::Good(String::new()));
        }
        Ok(Outcome::Different(
            changes.iter().map(unified).collect(),
            "",
        ))
    }
}

fn unified(change: &Change) -> String {
    let old = change.old.as_deref().map(String::from_utf8_lossy);
    let path = change.path.display().to_string();
    let name = |is_there| if is_there { path.as_str() } else { "/dev/null" };
    let (before, after) = (name(old.is_some()), name(change.new.is_some()));
    let (old, new) = (
        old.unwrap_or_default(),
        change.new.as_deref().unwrap_or_default(),
    );
    let diff = TextDiff::from_lines(&*old, new);
    diff.unified_diff().header(before, after).to_string()
}
