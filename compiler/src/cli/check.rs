//! `tlbc check`.

use super::{CommandResult, Definitions, Denied};
use crate::text::count;

/// Checks definitions and reports errors and warnings
#[derive(clap::Args)]
#[command(after_help = "\
If a file cannot be read, the others are checked all the same, and the exit code is 2.

Examples:
  tlbc check                                all definitions in archdefs
  tlbc check foo.arch                       one definition
  tlbc check --message-format short         one line for each finding, for editors
  tlbc check --deny warnings                fails on warnings too, for CI
  generate-foo | tlbc check -               a definition from standard input")]
pub(super) struct Check {
    #[command(flatten)]
    definitions: Definitions,

    #[command(flatten)]
    denied: Denied,
}

impl Check {
    pub(super) fn run(&self, color: bool) -> CommandResult {
        let (compiled, unread) = self.definitions.check();
        if let Some(error) = unread {
            let findings = self.definitions.shown(&compiled, color);
            return CommandResult::Incomplete(error.into(), findings);
        }
        if self.denied.refuses(&compiled) {
            return self.definitions.findings(&compiled, color);
        }
        let definitions = count(compiled.files.iter().count(), "definition");
        let summary = CommandResult::Good(format!("{definitions}, no errors\n"));
        summary.warned(self.definitions.shown(&compiled, color))
    }
}
