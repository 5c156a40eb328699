//! The compiler, for targets that nothing is installed for.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Says why nothing was tested, past the harness, which shows the output of failures alone.
/// Where everything has to be there (`TLBC_NO_SKIPS` is set) that is a failure.
pub fn skipped(why: &str) {
    assert!(
        std::env::var_os("TLBC_NO_SKIPS").is_none(),
        "nothing may be skipped here: {why}"
    );
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    // A closed stderr is no reason to fail.
    let _ = writeln!(std::io::stderr(), "skipped: {name}: {why}");
}

/// The compiler that compiles these tests.
pub fn rustc() -> PathBuf {
    std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

/// A compiler which may use what is not stable.
pub fn with_unstable(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTFLAGS");
    command
}

/// Runs a command, and returns its output.
///
/// # Errors
/// The command and its messages, if it fails.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output();
    let output = output.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}\n{errors}"))
}

/// Writes a file.
pub fn write(path: &Path, text: &str) -> PathBuf {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path.to_owned()
}
