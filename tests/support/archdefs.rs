//! The shipped definitions, by listing their directory, what the compiler makes of them, and the files beside them.

use std::path::Path;
use std::sync::{LazyLock, OnceLock};
use tlbc::Analysis;
use tlbc::analyse;
use tlbc::model::Config;
use tlbc::render::{Format, render};
use tlbc::source::Files;

use crate::workspace::root;
use tlbc_runtime::request::Space;

/// A definition.
pub struct Definition {
    /// The path of its file, as messages and generated files show it.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Definition {
    /// Returns its file and what the stages make of it.
    pub fn analysis(&self) -> (Files, Analysis) {
        let mut files = Files::default();
        let file = files.add(&self.path, &self.text);
        let (analysis, diagnostics) = analyse(&files, file);
        let errors = render(&files, &diagnostics, Format::Human, false);
        assert_eq!(errors, "", "{}", self.path);
        (files, analysis.expect("a definition without errors"))
    }

    /// Returns the name of its architecture, which is that of its file.
    pub fn arch(&self) -> &str {
        let stem = Path::new(&self.path).file_stem();
        stem.and_then(|stem| stem.to_str()).expect("a name")
    }
}

/// Returns the shipped definitions, sorted by name.
pub fn shipped() -> Vec<Definition> {
    let directory = root().join("archdefs");
    let entries = std::fs::read_dir(directory).expect("archdefs");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("a name in UTF-8"))
        .filter(|name| Path::new(name).extension().is_some_and(|e| e == "arch"))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "archdefs is empty");
    let read = |name: String| Definition {
        text: std::fs::read_to_string(root().join("archdefs").join(&name)).expect("a definition"),
        path: format!("archdefs/{name}"),
    };
    names.into_iter().map(read).collect()
}

static ANALYSES: LazyLock<Vec<(Definition, OnceLock<Analysis>)>> = LazyLock::new(|| {
    let shipped = shipped().into_iter();
    shipped
        .map(|definition| (definition, OnceLock::new()))
        .collect()
});

/// Returns the names of the shipped architectures, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    ANALYSES.iter().map(|(definition, _)| definition.arch())
}

/// Returns a shipped definition, and the place of what the stages make of it.
fn shipped_as(arch: &str) -> &'static (Definition, OnceLock<Analysis>) {
    let mut all = ANALYSES.iter();
    let found = all.find(|(definition, _)| definition.arch() == arch);
    found.unwrap_or_else(|| panic!("archdefs/{arch}.arch is no shipped definition"))
}

/// Returns the text of a shipped definition.
pub fn definition(arch: &str) -> &'static str {
    &shipped_as(arch).0.text
}

/// Returns what the stages make of a shipped definition.
pub fn analysis(arch: &str) -> &'static Analysis {
    let (definition, analysis) = shipped_as(arch);
    analysis.get_or_init(|| definition.analysis().1)
}

/// Returns the first address of the kernel's space on the plainest machine of an architecture.
pub fn kernel_address(arch: &str) -> u64 {
    let model = &analysis(arch).model;
    let addresses = model.space(Space::Kernel).addresses.get(Config::default());
    addresses.expect("the addresses of the kernel").base
}

/// The files that belong to each definition, in the directory of its name.
pub const DATA: [(&str, &str); 6] = [
    (
        "machines.txt",
        "the machines on which the scenarios of the runtime run",
    ),
    (
        "encodings.txt",
        "the machine code of each instruction, from the manual",
    ),
    (
        "effects.txt",
        "what each instruction drops, from the manual",
    ),
    (
        "operands.txt",
        "the operands of each instruction, from the manual",
    ),
    (
        "registers.txt",
        "the features and limits that registers report, from the manual",
    ),
    (
        "traces.txt",
        "typical requests, whose results are the snapshots in traces/",
    ),
];

/// Reads a file that belongs to a definition, one of [`DATA`].
///
/// # Errors
/// If there is no such file: what it has to contain.
pub fn try_data(arch: &str, file: &str) -> Result<String, String> {
    let path = format!("archdefs/{arch}/{file}");
    std::fs::read_to_string(root().join(&path)).map_err(|error| {
        let known = DATA.iter().find(|(name, _)| *name == file);
        let (_, content) = known.expect("one of the files beside a definition");
        format!("{path}: {error}; it contains {content} (see archdefs/README.md)")
    })
}

/// Reads a file that belongs to a definition.
pub fn data(arch: &str, file: &str) -> String {
    try_data(arch, file).unwrap_or_else(|missing| panic!("{missing}"))
}

/// Returns the lines of a text with data, without comments and empty lines.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}
