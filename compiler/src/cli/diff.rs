//! `tlbc diff`.

use super::{CommandResult, Definitions, Trouble, generate};
use crate::fs::FileChange;
use crate::hidden::spelt;
use similar::TextDiff;
use std::path::{Path, PathBuf};

/// Shows what `tlbc gen` would change, as a patch for `git apply`
#[derive(clap::Args)]
#[command(after_help = "\
Exits with 0 if nothing would change, with 1 otherwise. The patch names files relative to the top of the
repository, or to the current directory if there is no repository. `git apply` ignores files outside of
the directory that it runs in, so DIR has to be in the current directory.

Examples:
  tlbc diff                                 archdefs against generated/src
  tlbc diff | git apply                     the same as tlbc gen
  tlbc diff foo.arch --out src/backends     one definition against src/backends/foo.rs")]
pub(super) struct Diff {
    #[command(flatten)]
    definitions: Definitions,

    /// Where the generated files are
    #[arg(long, value_name = "DIR", default_value = "generated/src")]
    out: PathBuf,
}

impl Diff {
    /// Prints the patch. `color` applies to messages, `in_color` to the patch.
    pub(super) fn run(&self, color: bool, in_color: bool) -> Result<CommandResult, Trouble> {
        if !self.out.is_dir() {
            let directory = self.out.display();
            return Err(Trouble(format!("there is no directory {directory}")));
        }
        let directory = in_repository(&self.out)?;
        let compiled = self.definitions.compile()?;
        if compiled.has_errors() {
            return Ok(self.definitions.findings(&compiled, color));
        }
        let changes = generate::changes(&self.definitions, compiled.outputs, &self.out)?;
        if changes.is_empty() {
            return Ok(CommandResult::Good(String::new()));
        }
        let patch: String = changes.iter().map(|it| patch(it, &directory)).collect();
        if in_color {
            return Ok(CommandResult::Painted(painted(&spelt(&patch))));
        }
        Ok(CommandResult::Different(patch, ""))
    }
}

/// Returns a change as a patch for `git apply`; its file is in `directory`.
fn patch(change: &FileChange, directory: &str) -> String {
    let old = change.old.as_deref().map(String::from_utf8_lossy);
    let file = change.path.file_name().unwrap_or_default();
    let path = format!("{directory}{}", file.to_string_lossy());
    let name = |side: &str, is_there| {
        if is_there {
            format!("{side}/{path}")
        } else {
            "/dev/null".to_owned()
        }
    };
    let (before, after) = (name("a", old.is_some()), name("b", change.new.is_some()));
    let kind = match (&old, &change.new) {
        (None, _) => "new file mode 100644\n",
        (_, None) => "deleted file mode 100644\n",
        _ => "",
    };
    let (old, new) = (
        old.unwrap_or_default(),
        change.new.as_deref().unwrap_or_default(),
    );
    let diff = TextDiff::from_lines(&*old, new);
    let hunks = diff.unified_diff().header(&before, &after).to_string();
    format!("diff --git a/{path} b/{path}\n{kind}{hunks}")
}

/// Returns a directory as patches name it: relative to the top of the repository, or to the current directory if there is
/// none, with a `/` after each part.
///
/// # Errors
/// If it is outside of the current directory: `git apply` would ignore the patch.
fn in_repository(directory: &Path) -> Result<String, Trouble> {
    let whole = |path: &Path| {
        let refused = |error| Trouble(format!("cannot read {}: {error}", path.display()));
        path.canonicalize().map_err(refused)
    };
    let (here, there) = (whole(Path::new("."))?, whole(directory)?);
    let top = here.ancestors().find(|path| is_top(path));
    if !there.starts_with(&here) {
        let from = top.filter(|top| there.starts_with(top));
        let from = from.or_else(|| there.parent()).unwrap_or(&there);
        return Err(Trouble(format!(
            "{} is not in the directory that this runs in, and `git apply` would ignore a patch of it\n  \
             run `tlbc diff` and `git apply` in {}",
            directory.display(),
            from.display()
        )));
    }
    let below_top = there.strip_prefix(top.unwrap_or(&here)).unwrap_or(&there);
    let parts = below_top.components();
    Ok(parts
        .map(|part| part.as_os_str().to_string_lossy() + "/")
        .collect())
}

/// Returns whether a directory is the top of a repository or of a work tree.
fn is_top(directory: &Path) -> bool {
    let git = directory.join(".git");
    git.is_file() || git.join("HEAD").exists()
}

/// Returns a patch in the colours of `git diff`.
fn painted(patch: &str) -> String {
    const RESET: &str = "\u{1b}[m";
    let line = |line: &str| {
        let color = match line.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => "\u{1b}[1m",
            [b'+', ..] => "\u{1b}[32m",
            [b'-', ..] => "\u{1b}[31m",
            [b'@', ..] => "\u{1b}[36m",
            [b' ' | b'\\', ..] | [] => return format!("{line}\n"),
            _ => "\u{1b}[1m",
        };
        format!("{color}{line}{RESET}\n")
    };
    patch.lines().map(line).collect()
}
