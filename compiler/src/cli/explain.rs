//! `tlbc explain`.

use super::{CommandResult, Trouble};
use crate::codes::{Code, TOY};

/// What `tlbc trace --format json` prints.
const TRACE_SCHEMA: &str = include_str!("../../schema/trace.schema.json");

/// Explains the code of an error or a warning
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tlbc explain E0502                        what the rule is, why, and how to correct a definition
  tlbc explain toy                          the definition that the examples are taken from
  tlbc explain trace-schema                 what `tlbc trace --format json` prints, as a JSON schema
  tlbc explain                              all codes")]
pub(super) struct Explain {
    /// The code, as a message has it, `toy` or `trace-schema`; without it all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

impl Explain {
    pub(super) fn run(&self) -> Result<CommandResult, Trouble> {
        let Some(name) = &self.code else {
            let lines = Code::all().map(|code| format!("{code}  {}\n", code.title()));
            return Ok(CommandResult::Good(lines.collect()));
        };
        if name == "toy" {
            return Ok(CommandResult::Good(TOY.to_owned()));
        }
        if name == "trace-schema" {
            return Ok(CommandResult::Good(TRACE_SCHEMA.to_owned()));
        }
        let code = Code::named(name).ok_or_else(|| {
            Trouble(format!(
                "there is no code `{name}`\n  a code is a letter and four digits, such as {}; \
                 `tlbc explain` lists all",
                Code::E0101
            ))
        })?;
        Ok(CommandResult::Good(code.explanation().to_owned()))
    }
}
