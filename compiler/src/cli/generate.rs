//! `tlbc gen`.

use super::{CommandResult, Definitions, Denied, Trouble};
use crate::analysis::Analysis;
use crate::compile::{self, LIB, Output, Unproved, compile_with};
use crate::diagnostic::Diagnostic;
use crate::fs::{self, FileChange};
use crate::memo::Memo;
use crate::source::Files;
use std::path::{Path, PathBuf};

const HINT: &str =
    "`tlbc gen` without --check writes these files; `tlbc diff` shows the differences\n";

/// Generates Rust backends from definitions
#[derive(clap::Args)]
#[command(after_help = "\
If every PATH is a directory, DIR gets a module for each definition and lib.rs with all modules, and
generated files whose definition no longer exists are deleted. If a PATH is a file or -, only the
modules of the definitions are written. A file that is not generated is never replaced.

The plans of each definition are proved, except for the arithmetic of addresses (`tlbc prove`). If any
definition has an error or is not proved, nothing is written. Files that would not change are left
alone.

What was generated and what was proved is remembered in TLBC_CACHE, or else in tlbc/ of the user's cache
directory. While neither tlbc nor a definition changes, a run only compares files. --check does not rely
on it; an empty TLBC_CACHE turns it off.

Examples:
  tlbc gen                                  archdefs to generated/src
  tlbc gen --check                          fails if generated/src is not up to date
  tlbc gen foo.arch --out src/backends      one definition to src/backends/foo.rs")]
pub(super) struct Generate {
    #[command(flatten)]
    definitions: Definitions,

    /// The directory of the generated files; it is created if necessary
    #[arg(long, value_name = "DIR", default_value = "generated/src")]
    out: PathBuf,

    #[command(flatten)]
    denied: Denied,

    /// Write backends whose plans are not proved as well, marked in their headers
    #[arg(long)]
    allow_unproved: bool,

    /// Write nothing; list what is missing, different or left over, and exit with 1 if anything is
    #[arg(long)]
    check: bool,
}

impl Generate {
    pub(super) fn run(&self, color: bool) -> Result<CommandResult, Trouble> {
        let sources: Vec<_> = self.definitions.read()?.collect();
        let names = sources.iter().map(|(name, _)| name.as_str());
        // A check shows what the definitions say, whatever an earlier run remembered.
        let memo = if self.check {
            None
        } else {
            Memo::new("gen", names)
        };
        if let Some(outputs) = memo.as_ref().and_then(|memo| memo.recall(&sources)) {
            return self.write(outputs);
        }
        let unproved = Unproved::of(self.allow_unproved);
        let compiled = compile_with(sources.clone(), unproved, |it, files| {
            self.failures(it, files)
        });
        if self.denied.refuses(&compiled) {
            return Ok(self.definitions.findings(&compiled, color));
        }
        // Warnings are shown by every run.
        let quiet = compiled.diagnostics.is_empty() && compiled.unproved.is_empty();
        if let Some(memo) = memo.filter(|_| quiet) {
            memo.keep(&sources, &compiled.outputs);
        }
        let mut warnings = self.definitions.shown(&compiled, color);
        let marked = compiled.unproved.iter();
        warnings
            .extend(marked.map(|name| format!("{name} is not proved: `tlbc prove` says why\n")));
        Ok(self.write(compiled.outputs)?.warned(warnings))
    }

    /// Returns the failures of the proof of a definition. A proof without failures is remembered.
    fn failures(&self, analysis: &Analysis, files: &Files) -> Vec<Diagnostic> {
        let file = files.get(analysis.model.arch.span.file);
        let memo = Memo::new("proof", [file.name.as_str()]).filter(|_| !self.check);
        let sources = [(file.name.clone(), file.text.clone().into_bytes())];
        if memo
            .as_ref()
            .is_some_and(|it| it.recall::<()>(&sources).is_some())
        {
            return Vec::new();
        }
        let failures = compile::failures(analysis);
        if let Some(memo) = memo.filter(|_| failures.is_empty()) {
            memo.keep(&sources, &());
        }
        failures
    }

    fn write(&self, outputs: Vec<Output>) -> Result<CommandResult, Trouble> {
        let changes = changes(&self.definitions, outputs, &self.out)?;
        if self.check && !changes.is_empty() {
            let files = listed(&changes, "missing", "different", "left over");
            return Ok(CommandResult::Different(files, HINT));
        }
        if !self.check {
            fs::apply(&self.out, &changes)?;
        }
        if changes.is_empty() {
            let text = format!("{} is up to date\n", self.out.display());
            return Ok(CommandResult::Good(text));
        }
        Ok(CommandResult::Good(listed(
            &changes, "written", "written", "deleted",
        )))
    }
}

/// Returns the changes that `directory` needs.
pub(super) fn changes(
    definitions: &Definitions,
    mut outputs: Vec<Output>,
    directory: &Path,
) -> Result<Vec<FileChange>, Trouble> {
    let whole = definitions.are_whole();
    outputs.retain(|output| whole || output.path != LIB);
    Ok(fs::changes(directory, &outputs, whole)?)
}

pub(super) fn listed(changes: &[FileChange], new: &str, different: &str, stale: &str) -> String {
    let line = |change: &FileChange| {
        let what = match (&change.old, &change.new) {
            (None, _) => new,
            (Some(_), Some(_)) => different,
            (Some(_), None) => stale,
        };
        format!("{}: {what}\n", change.path.display())
    };
    changes.iter().map(line).collect()
}
