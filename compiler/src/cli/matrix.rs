//! `tlbc matrix`.

use super::{Definitions, Outcome, Trouble};
use crate::matrix::{Matrix as Table, html, markdown, text};
use clap::ValueEnum;

/// Compares architectures side by side
#[derive(clap::Args)]
#[command(after_help = "\
One column an architecture, one row a question: what may be cached, what each instruction drops,
where, and when that is done, how other CPUs are reached, what is issued for a few requests, features
and errata. Policies say whether the definition states them or they are derived. Where a cell has
several alternatives, each with a condition, the last whose condition holds counts. What is issued is
shown for a machine without a feature and for one with most: with each that goes with those before it,
as `tlbc trace --features all` has it; `tlbc doc` has all machines.

--brief keeps the rows that a newcomer asks for first, as one table.

Examples:
  tlbc matrix                               all definitions in archdefs, for a terminal
  tlbc matrix --width 240                   the same for a wide one
  tlbc matrix a.arch b.arch                 two of them
  tlbc matrix --format html > matrix.html   a page for a browser
  tlbc matrix --brief --format markdown     one short table")]
pub(super) struct Matrix {
    #[command(flatten)]
    definitions: Definitions,

    /// Text for a terminal, Markdown tables, or one page of HTML
    #[arg(long, value_enum, default_value_t = MatrixFormat::Text)]
    format: MatrixFormat,

    /// Only what a newcomer asks first
    #[arg(long)]
    brief: bool,

    /// How wide the text may be; cells are wrapped to fit
    #[arg(long, value_name = "COLUMNS", default_value_t = 160)]
    width: u16,
}

#[derive(Clone, Copy, ValueEnum)]
enum MatrixFormat {
    Text,
    Markdown,
    Html,
}

impl Matrix {
    pub(super) fn run(&self, color: bool) -> Result<Outcome, Trouble> {
        let (compiled, analyses) = self.definitions.planned()?;
        if compiled.has_errors() {
            return Ok(self.definitions.findings(&compiled, color));
        }
        let table = Table::new(&analyses, self.brief);
        Ok(Outcome::Good(match self.format {
            MatrixFormat::Text => text(&table, usize::from(self.width)),
            MatrixFormat::Markdown => markdown(&table, self.brief),
            MatrixFormat::Html => html(&table),
        }))
    }
}
