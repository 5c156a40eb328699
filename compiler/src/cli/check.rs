//! `tlbc check`.

use super::{CommandResult, Definitions, Denied, Trouble};
use crate::text::count;

/// Checks definitions and reports errors and warnings
#[derive(clap::Args)]
#[command(after_help = "\
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
    pub(super) fn run(&self, color: bool) -> Result<CommandResult, Trouble> {
        let compiled = self.definitions.check()?;
        if self.denied.refuses(&compiled) {
            return Ok(self.definitions.findings(&compiled, color));
        }
        let definitions = count(compiled.files.iter().count(), "definition");
        let summary = CommandResult::Good(format!("{definitions}, no errors\n"));
        Ok(summary.warned(self.definitions.shown(&compiled, color)))
    }
}
