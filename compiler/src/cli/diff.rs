//! `tlbc diff`.

use super::{Definitions, Outcome, Trouble, generate};
use crate::disk::Change;
use crate::hidden::spelt;
use similar::TextDiff;
use std::path::{Component, Path, PathBuf};

/// Shows what `tlbc gen` would change, as a patch that `git apply` takes
#[derive(clap::Args)]
#[command(after_help = "\
Exits with 0 if nothing would change, with 1 if something would.

Examples:
  tlbc diff                                 archdefs against generated/src
  tlbc diff | git apply                     the same as tlbc gen
  tlbc diff foo.arch --against src/backends one definition against src/backends/foo.rs")]
pub(super) struct Diff {
    #[command(flatten)]
    definitions: Definitions,

    /// Where the generated files are
    #[arg(long, value_name = "DIR", default_value = "generated/src")]
    against: PathBuf,
}

impl Diff {
    /// `color` is for messages, `in_color` for the patch.
    pub(super) fn run(&self, color: bool, in_color: bool) -> Result<Outcome, Trouble> {
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
        let patch: String = changes.iter().map(patch).collect();
        if in_color {
            return Ok(Outcome::Painted(painted(&spelt(&patch))));
        }
        Ok(Outcome::Different(patch, ""))
    }
}

/// A change as `git apply` takes it.
fn patch(change: &Change) -> String {
    let old = change.old.as_deref().map(String::from_utf8_lossy);
    let path = in_repository(&change.path);
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

/// A path as patches have it: from the directory that the command runs in, with `/` between the parts.
fn in_repository(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(here).unwrap_or(path);
    let parts = path.components().filter_map(|part| match part {
        Component::CurDir | Component::RootDir => None,
        part => Some(part.as_os_str().to_string_lossy()),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A patch with the colours that `git diff` has.
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
