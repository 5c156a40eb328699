//! The directories of the workspace.

use std::path::{Path, PathBuf};

/// Returns the directory of the workspace.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the checkout")
}

/// Returns the directory in which cargo builds: `target`, unless it is configured otherwise.
pub fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a running test");
    let above = test.ancestors().nth(3); // above `debug/deps`
    above.expect("the target directory").to_owned()
}

/// Returns a directory for what tests compile and keep for the next run.
pub fn scratch() -> PathBuf {
    let scratch = target().join("tmp");
    std::fs::create_dir_all(&scratch).expect("a directory");
    scratch
}
