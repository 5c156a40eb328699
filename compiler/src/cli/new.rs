//! `tlbc new`.

use super::{CommandResult, Trouble};
use crate::compile;
use crate::fs::{self, FileError};
use std::io::ErrorKind;
use std::path::PathBuf;

/// A definition with blanks instead of facts; the first blank is its name.
const TEMPLATE: &str = include_str!("../../explain/new.arch");

/// Writes a definition to fill in: a blank for every fact, with the question beside it
#[derive(clap::Args)]
#[command(after_help = "\
A blank is written ???. `tlbc check` lists the blanks that are left. No file is overwritten; directories
are created if necessary.

Examples:
  tlbc new foo                              foo.arch
  tlbc new foo --out archdefs               archdefs/foo.arch, if there is such a directory; else a file archdefs
  tlbc new foo --out -                      to standard output")]
pub(super) struct New {
    /// The name of the architecture and of its generated module
    name: String,

    /// The file, or a directory for NAME.arch, or - for standard output [default: NAME.arch]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
}

impl New {
    pub(super) fn run(&self) -> Result<CommandResult, Trouble> {
        check_name(&self.name)?;
        let text = definition(&self.name);
        let file = format!("{}.{}", self.name, fs::EXTENSION);
        let path = match &self.out {
            Some(path) if path.as_os_str() == "-" => return Ok(CommandResult::Good(text)),
            Some(directory) if directory.is_dir() => directory.join(file),
            Some(path) => path.clone(),
            None => file.into(),
        };
        fs::create(&path, &text).map_err(|refused| match refused {
            FileError::Io { error, .. } if error.kind() == ErrorKind::AlreadyExists => {
                let path = path.display();
                Trouble(format!("{path} exists already and is not overwritten"))
            }
            refused => refused.into(),
        })?;
        let path = path.display();
        Ok(CommandResult::Good(format!(
            "{path}: written; `tlbc check {path}` lists what is to be filled in\n"
        )))
    }
}

/// Returns the definition to fill in.
fn definition(name: &str) -> String {
    TEMPLATE.replacen("arch ??? {", &format!("arch {name} {{"), 1)
}

/// Checks that an architecture can have this name.
fn check_name(name: &str) -> Result<(), Trouble> {
    let is_start = |c: char| c.is_ascii_lowercase() || c == '_';
    let is_part = |c: char| is_start(c) || c.is_ascii_digit();
    let why = if !name.starts_with(is_start) || !name.chars().all(is_part) {
        "a name begins with a lower-case letter or `_`; lower-case letters, digits and `_` follow"
    } else if !compile::is_module(name) {
        "it is the name of a Rust module; words of Rust, `lib` and `main` are taken"
    } else {
        return Ok(());
    };
    Err(Trouble(format!(
        "an architecture cannot be called `{name}`\n  {why}"
    )))
}
