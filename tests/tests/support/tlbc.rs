//! The command, as a user has it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory of the workspace.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the checkout")
}

/// Builds the command beside these tests, if it is not there yet, and gives its path.
pub fn tlbc() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target = tmp.parent().expect("the target directory");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet"])
        .args(["--package", "tlbc", "--bin", "tlbc"])
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target)
        .status();
    assert!(built.expect("cargo runs").success());
    target
        .join("debug")
        .join(format!("tlbc{}", std::env::consts::EXE_SUFFIX))
}

/// What became of a run.
pub struct Run {
    pub good: bool,
    pub stdout: String,
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
