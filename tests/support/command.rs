//! The command, as a user has it.

use std::path::PathBuf;
use std::process::Command;

use crate::workspace::target;

/// Returns the path of the command, which cargo builds beside these tests from `support/tlbc.rs`.
pub fn tlbc() -> PathBuf {
    let name = format!("tlbc-of-tests{}", std::env::consts::EXE_SUFFIX);
    let path = target().join("debug").join(name);
    assert!(path.is_file(), "{} is not built", path.display());
    path
}

/// What became of a run.
pub struct Run {
    /// Whether the command succeeded.
    pub good: bool,
    /// Its output.
    pub stdout: String,
    /// Its messages.
    pub stderr: String,
}

/// Runs a command.
pub fn run(command: &mut Command) -> Run {
    let output = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Run {
        good: output.status.success(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
