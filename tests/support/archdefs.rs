//! The shipped definitions, by listing their directory, and what the compiler makes of them.

use std::path::Path;
use tlbc::Analysis;
use tlbc::analyse;
use tlbc::render::{Format, render};
use tlbc::source::Files;

use crate::workspace::root;

/// A definition.
pub struct Definition {
    /// The path of its file, as messages and generated files show it.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Definition {
    /// Its file and what the stages make of it.
    pub fn analysis(&self) -> (Files, Analysis) {
        let mut files = Files::default();
        let file = files.add(&self.path, &self.text);
        let (analysis, diagnostics) = analyse(&files, file);
        let errors = render(&files, &diagnostics, Format::Human, false);
        assert_eq!(errors, "", "{}", self.path);
        (files, analysis.expect("a definition without errors"))
    }
}

/// The shipped definitions, sorted by name.
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
