//! Misuse that does not compile: each file of `runtime/gather/misuse` is correct without `--cfg misuse`, and with it the front
//! end of the compiler rejects it, with the codes or the lint that its `//@` line names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::rustc;

/// The runtime as a crate that programs are checked against.
pub struct Misuse {
    directory: TempDir,
}

impl Default for Misuse {
    fn default() -> Self {
        Self::new()
    }
}

impl Misuse {
    /// Compiles the runtime.
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src/lib.rs");
        let mut command = front_end(directory.path());
        command.args(["--crate-name=tlbc_runtime", "--cap-lints=allow"]);
        rustc::run(command.arg(source)).unwrap_or_else(|errors| panic!("{errors}"));
        Self { directory }
    }

    /// Returns the names of all programs, sorted.
    pub fn programs() -> Vec<String> {
        let files = std::fs::read_dir(here()).expect("cases");
        let name = |path: PathBuf| {
            path.file_stem()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let mut names: Vec<String> = files
            .filter_map(|entry| name(entry.expect("an entry").path()))
            .collect();
        names.sort();
        names
    }

    /// Checks a program and its correct twin.
    ///
    /// # Errors
    /// If the twin is rejected, or the program is not, or for another reason.
    pub fn check(&self, name: &str) -> Result<(), String> {
        let file = here().join(name).with_extension("rs");
        let text = std::fs::read_to_string(&file);
        let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
        let expected = text.lines().find_map(|line| line.strip_prefix("//@ "));
        let expected = expected.ok_or_else(|| format!("{name} names no error"))?;
        if let Err(errors) = self.compile(&file, false) {
            return Err(format!("{name} is correct, and is rejected: {errors}"));
        }
        let Err(errors) = self.compile(&file, true) else {
            return Err(format!("{name}: misuse compiles"));
        };
        let codes: BTreeSet<_> = errors.lines().filter_map(code).collect();
        if codes != expected.split(' ').map(str::to_owned).collect() {
            return Err(format!("{name}: {codes:?}, not {expected}: {errors}"));
        }
        Ok(())
    }

    /// Compiles a file, and returns the compiler's messages if it is rejected.
    fn compile(&self, file: &Path, misused: bool) -> Result<String, String> {
        let mut command = front_end(self.directory.path());
        let runtime = self.directory.path().join("libtlbc_runtime.rmeta");
        let runtime = format!("tlbc_runtime={}", runtime.display());
        command.args(["--extern", &runtime, "--check-cfg=cfg(misuse)"]);
        if misused {
            command.args(["--cfg=misuse", "-Awarnings", "-Dunused_must_use"]);
        } else {
            command.arg("-Dwarnings");
        }
        rustc::run(command.arg(file))
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runtime/gather/misuse")
}

/// Returns the compiler's front end, which is what `cargo check` runs.
fn front_end(output: &Path) -> Command {
    let mut command = Command::new(rustc::rustc());
    command.env_remove("RUSTFLAGS");
    command.args(["--edition=2024", "--crate-type=lib", "--emit=metadata"]);
    command
        .args(["--error-format=json", "--out-dir"])
        .arg(output);
    command
}

/// Returns the code of an error, or the name of a lint, in a line of the compiler's messages; `lifetime` for an error
/// about lifetimes that has no code; `None` for a summary.
fn code(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("\"code\":")?;
    if let Some(code) = rest.strip_prefix("{\"code\":\"") {
        return code.split('"').next().map(str::to_owned);
    }
    message
        .contains("lifetime may not live long enough")
        .then(|| "lifetime".to_owned())
}
