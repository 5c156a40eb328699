//! Linking objects for targets of which nothing is installed but a compiler.

use crate::bare_metal::{ask, compilers};
use crate::rustc::{run, with_unstable};
use std::path::{Path, PathBuf};

/// Returns a linker for every target: LLVM's, which comes with most compilers.
///
/// # Errors
/// The reason why there is none.
pub fn find() -> Result<PathBuf, String> {
    let mut candidates = Vec::new();
    for rustc in compilers() {
        let sysroot = ask(&rustc, &["--print", "sysroot"])?;
        let version = ask(&rustc, &["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let tools = Path::new(&sysroot)
            .join("lib/rustlib")
            .join(host.unwrap_or("unknown"));
        candidates.push(tools.join("bin/gcc-ld/ld.lld"));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    candidates.extend(std::env::split_paths(&path).map(|directory| directory.join("ld.lld")));
    let found = candidates.into_iter().find(|file| file.is_file());
    found.ok_or_else(|| "no compiler brings a linker (rust-lld), and there is no ld.lld".to_owned())
}

/// Links what can be reached from some functions. There is no panic handler among the objects, so that nothing links
/// that may panic.
///
/// # Errors
/// The symbols that are not defined, and what uses them.
pub fn link(
    linker: &Path,
    objects: &[PathBuf],
    entries: &[&str],
    image: &Path,
) -> Result<(), String> {
    let mut command = with_unstable(linker);
    command
        .args(["--gc-sections", "--error-limit=0", "--entry=0", "-o"])
        .arg(image);
    command.args(entries.iter().map(|entry| format!("--undefined={entry}")));
    let Err(errors) = run(command.args(objects)) else {
        return Ok(());
    };
    let errors: Vec<&str> = errors
        .split("\n\n")
        .filter(|error| is_used(error))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("\n"))
    }
}

/// Whether something is wrong but an address in a table of addresses (`.toc`), which is kept whole whatever of it is used.
fn is_used(error: &str) -> bool {
    let from = error.lines().filter_map(|line| line.strip_prefix(">>>  "));
    let mut from = from.peekable();
    from.peek().is_none() || from.any(|place| !place.contains(":(.toc"))
}
