//! The sources of the workspace: which names the core may not have, and what no file may have.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tlbc_tests::{archdefs, workspace};

/// Returns the files below a directory whose names have an ending, by path.
fn below(directory: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let extension = path.extension().and_then(OsStr::to_str);
        if path.ends_with("corpus") {
            // What fuzzers found interesting is no source.
        } else if path.is_dir() {
            below(&path, extensions, found);
        } else if extension.is_some_and(|it| extensions.contains(&it)) {
            found.push(path);
        }
    }
}

/// Returns the texts below some directories of the workspace.
fn sources(directories: &[&str]) -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    for directory in directories {
        let extensions = ["rs", "arch", "md", "pest", "toml"];
        below(&workspace::root().join(directory), &extensions, &mut paths);
    }
    assert!(paths.len() > directories.len(), "{paths:?}");
    let read = |path: PathBuf| {
        let text = std::fs::read(&path).expect("a file");
        (path, String::from_utf8(text).expect("UTF-8"))
    };
    paths.into_iter().map(read).collect()
}

/// Returns names of architectures and of their vendors in lower case: those of the shipped definitions, Rust's names for
/// them, and others.
fn architectures() -> Vec<String> {
    const OTHERS: [&str; 26] = [
        "aarch64",
        "amd",
        "amd64",
        "arm",
        "arm64",
        "armv8",
        "hexagon",
        "i386",
        "ia64",
        "ibm",
        "intel",
        "itanium",
        "loongarch",
        "m68k",
        "microblaze",
        "mips",
        "openrisc",
        "power9",
        "powerpc",
        "ppc",
        "riscv",
        "s390",
        "sparc",
        "superh",
        "x86",
        "xtensa",
    ];
    let shipped = archdefs::shipped().into_iter().flat_map(|definition| {
        let model = definition.analysis().1.model;
        [model.arch.name, model.target_arch.value]
    });
    let others = OTHERS.map(str::to_owned);
    shipped
        .map(|name| name.to_lowercase())
        .chain(others)
        .collect()
}

/// Returns whether a line in lower case contains a name: a short name only as a word, because `warm` contains `arm`.
fn names(line: &str, name: &str) -> bool {
    let is_short = name.len() < 5 && name.chars().all(char::is_alphabetic);
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        !is_short || !is_part(before.chars().next_back()) && !is_part(after.chars().next())
    })
}

#[test]
fn the_core_names_no_architecture() {
    assert!(names("an arm_tlb", "arm") && names("x86tlb", "x86") && !names("warm", "arm"));
    let architectures = architectures();
    for (path, text) in sources(&["compiler/src", "compiler/explain", "runtime/src"]) {
        for (at, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            let named = architectures.iter().find(|name| names(&line, name));
            assert_eq!(named, None, "{}:{}", path.display(), at + 1);
        }
    }
}

/// Returns every directory with sources of this project.
const EVERYWHERE: [&str; 8] = [
    "archdefs",
    "compiler/src",
    "compiler/explain",
    "compiler/tests",
    "compiler/examples",
    "runtime",
    "generated",
    "tests",
];

#[test]
fn sources_have_no_tabs_and_unix_line_ends() {
    for (path, text) in sources(&EVERYWHERE) {
        for (at, line) in text.split('\n').enumerate() {
            let is_clean = !line.contains(['\t', '\r']);
            assert!(is_clean, "{}:{}: a tab or CR", path.display(), at + 1);
        }
    }
}

#[test]
fn nothing_is_left_to_do() {
    let macros = ["todo", "unimplemented"].map(|name| format!("{name}!"));
    for (path, text) in sources(&EVERYWHERE) {
        for (at, line) in text.lines().enumerate() {
            let left = macros.iter().find(|name| line.contains(*name));
            assert_eq!(left, None, "{}:{}", path.display(), at + 1);
        }
    }
}
