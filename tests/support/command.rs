//! The command, as a user has it.

use std::path::PathBuf;
use std::process::Command;

use crate::workspace::{root, target};

/// Builds the command beside these tests, if it is not there yet, and gives its path.
pub fn tlbc() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet"])
        .args(["--package", "tlbc", "--bin", "tlbc"])
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target())
        .status();
    assert!(built.expect("cargo runs").success());
    target()
        .join("debug")
        .join(format!("tlbc{}", std::env::consts::EXE_SUFFIX))
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
