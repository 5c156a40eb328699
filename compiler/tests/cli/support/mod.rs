//! Runs the command line.

pub mod xml;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The result of a run.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Checks what holds for every run: the exit code is defined, there is no panic, and exit code 2 comes with a message.
    pub fn is_sound(&self) {
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let ends = text.is_empty() || text.ends_with('\n');
            assert!(ends, "{name} ends within a line: {text}");
        }
        assert!(matches!(self.code, Some(0..=2)), "{}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        let trouble = ["error: ", "{\"code\":null,\"severity\":\"error\","];
        let is_trouble = trouble.iter().any(|start| self.stderr.starts_with(start));
        assert_eq!(self.code == Some(2), is_trouble, "{}", self.stderr);
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// Returns the root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Reads a shipped definition.
pub fn shipped(name: &str) -> String {
    std::fs::read_to_string(root().join("archdefs").join(name)).expect("a shipped definition")
}

/// Returns the command, to be run in `directory`. It remembers nothing.
pub fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlbc"));
    command.current_dir(directory).args(arguments);
    command.env("TLBC_CACHE", "");
    command
}

/// Runs the command.
pub fn tlbc(directory: &Path, arguments: &[&str]) -> Run {
    let output = command(directory, arguments).stdin(Stdio::null()).output();
    let run = Run::from(output.expect("it runs"));
    run.is_sound();
    run
}

/// Runs the command with an input on standard input.
pub fn tlbc_reading(directory: &Path, arguments: &[&str], input: &[u8]) -> Run {
    let mut command = command(directory, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("it reads");
    drop(stdin);
    let run = Run::from(child.wait_with_output().expect("it ends"));
    run.is_sound();
    run
}

/// Returns the names in a directory, sorted.
pub fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("a text"))
        .collect();
    names.sort();
    names
}
