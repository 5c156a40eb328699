//! `tlbc check`.

use super::{Definitions, Outcome, Trouble};

/// Checks definitions and says what is wrong with them
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tlbc check                                all definitions in archdefs
  tlbc check foo.arch                       one definition
  tlbc check --message-format short         one line a finding, for editors
  generate-foo | tlbc check -               a definition from standard input")]
pub(super) struct Check {
    #[command(flatten)]
    definitions: Definitions,
}

impl Check {
    pub(super) fn run(&self, color: bool) -> Result<Outcome, Trouble> {
        let compiled = self.definitions.check()?;
        if !compiled.diagnostics.is_empty() {
            return Ok(self.definitions.findings(&compiled, color));
        }
        let count = compiled.files.iter().count();
        let plural = if count == 1 { "" } else { "s" };
        Ok(Outcome::Good(format!(
            "{count} definition{plural}, no errors\n"
        )))
    }
}
