//! Misuse that does not compile: each file of `gather_misuse/` is correct without `--cfg misuse`, and with it the front
//! end of the compiler rejects it, with the codes or the lint that its `//@` line names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tlbc_tests::rustc;

use tempfile::TempDir;

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

/// Compiles the runtime, as a crate that the files are checked against.
fn runtime(directory: &TempDir) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src/lib.rs");
    let mut command = front_end(directory.path());
    command.args(["--crate-name=tlbc_runtime", "--cap-lints=allow"]);
    rustc::run(command.arg(source)).unwrap_or_else(|errors| panic!("{errors}"));
}

/// Checks a file, and returns the compiler's messages if it is rejected.
fn check(directory: &TempDir, file: &Path, misused: bool) -> Result<String, String> {
    let mut command = front_end(directory.path());
    let runtime = directory.path().join("libtlbc_runtime.rmeta");
    let runtime = format!("tlbc_runtime={}", runtime.display());
    command.args(["--extern", &runtime, "--check-cfg=cfg(misuse)"]);
    if misused {
        command.args(["--cfg=misuse", "-Awarnings", "-Dunused_must_use"]);
    } else {
        command.arg("-Dwarnings");
    }
    rustc::run(command.arg(file))
}

#[test]
fn misuse_is_rejected_and_its_correct_twin_is_not() {
    let directory = TempDir::new().expect("a directory");
    runtime(&directory);
    let mut files: Vec<_> = std::fs::read_dir(here())
        .expect("cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).expect("a text");
        let expected = text.lines().find_map(|line| line.strip_prefix("//@ "));
        let expected = expected.unwrap_or_else(|| panic!("{name} names no error"));
        if let Err(errors) = check(&directory, &file, false) {
            wrong.push(format!("{name} is correct, and is rejected: {errors}"));
        }
        match check(&directory, &file, true) {
            Ok(_) => wrong.push(format!("{name}: misuse compiles")),
            Err(errors) => {
                let codes: BTreeSet<_> = errors.lines().filter_map(code).collect();
                if codes != expected.split(' ').map(str::to_owned).collect() {
                    wrong.push(format!("{name}: {codes:?}, not {expected}: {errors}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
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
