//! `tlbc matrix`.

use super::{CommandResult, Definitions, Trouble};
use crate::matrix::{Matrix, html, markdown, text};
use clap::ValueEnum;

/// Compares architectures side by side
#[derive(clap::Args)]
#[command(after_help = "\
There is a column for each architecture, and a row for each question: what may be cached, what each
instruction drops, where, and when that is complete, how other CPUs are reached, what is issued for
sample requests, features and errata. Policies are marked as stated or derived. If a cell has several
alternatives with conditions, the last one whose condition holds applies. What is issued is shown for a
machine without features and for one with as many as `tlbc trace --features all` turns on; `tlbc doc`
shows all machines.

--brief shows only the most important rows, as one table.

Examples:
  tlbc matrix                               all definitions in archdefs, for a terminal
  tlbc matrix --width 240                   the same for a wide one
  tlbc matrix a.arch b.arch                 two of them
  tlbc matrix --format html > matrix.html   a page for a browser
  tlbc matrix --brief --format markdown     one short table
  tlbc matrix --costs                       what typical flushes cost")]
pub(super) struct MatrixCommand {
    #[command(flatten)]
    definitions: Definitions,

    /// Text for a terminal, Markdown tables, or one page of HTML
    #[arg(long, value_enum, default_value_t = MatrixFormat::Text)]
    format: MatrixFormat,

    /// Only the most important rows
    #[arg(long)]
    brief: bool,

    /// What typical flushes cost instead: operations, barriers, interrupted CPUs, entries that are lost
    #[arg(long, conflicts_with = "brief")]
    costs: bool,

    /// How wide the text may be; cells are wrapped, and machines that do not fit follow in another table [default: 160]
    #[arg(long, value_name = "COLUMNS")]
    width: Option<u16>,
}

/// How wide the text is unless that is given.
const WIDTH: usize = 160;

#[derive(Clone, Copy, ValueEnum)]
enum MatrixFormat {
    Text,
    Markdown,
    Html,
}

impl MatrixCommand {
    pub(super) fn run(&self, color: bool) -> Result<CommandResult, Trouble> {
        if self.width.is_some() && !matches!(self.format, MatrixFormat::Text) {
            let message = "--width: only `--format text` has lines of a width";
            return Err(Trouble(message.into()));
        }
        let (compiled, analyses) = self.definitions.planned()?;
        if compiled.has_errors() {
            return Ok(self.definitions.findings(&compiled, color));
        }
        let table = if self.costs {
            Matrix::costs(&analyses)
        } else {
            Matrix::new(&analyses, self.brief)
        };
        Ok(CommandResult::Good(match self.format {
            MatrixFormat::Text => text(&table, self.width.map_or(WIDTH, usize::from)),
            MatrixFormat::Markdown => markdown(&table, self.brief),
            MatrixFormat::Html => html(&table),
        }))
    }
}
