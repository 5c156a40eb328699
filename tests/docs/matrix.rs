//! `archdefs/MATRIX.md` contains what `tlbc matrix --format markdown` prints for the shipped definitions.

use std::path::{Path, PathBuf};

use tlbc::compile::planned;
use tlbc::matrix::{Matrix, markdown};

/// The page before the tables.
const HEAD: &str = "\
# Comparison of the described architectures

This page shows what the definitions in this directory state and what follows from it. It is generated:
`tlbc matrix --format markdown` prints the tables, `tlbc matrix` prints them for a terminal, and `tlbc doc` writes a
page about a single architecture. [LANGUAGE.md](LANGUAGE.md) explains the terms.

A policy is either stated in the definition or derived from it. Where a cell has several alternatives with conditions,
the last one whose condition holds counts. What is issued is shown for a machine without features, and for one with as
many features as are possible together.

";

/// If this variable is set, the test rewrites the page.
const UPDATE: &str = "UPDATE_MATRIX";

fn archdefs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../archdefs")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the tables of the shipped definitions.
fn tables() -> String {
    let entries = std::fs::read_dir(archdefs()).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let definitions = paths.filter(|path| path.extension().is_some_and(|ext| ext == "arch"));
    let sources = definitions.map(|path| (path.display().to_string(), read(&path)));
    let (compiled, analyses) = planned(sources);
    assert!(compiled.diagnostics.is_empty());
    assert!(!analyses.is_empty());
    markdown(&Matrix::new(&analyses, false), false)
}

#[test]
fn the_page_is_up_to_date() {
    let path = archdefs().join("MATRIX.md");
    let wanted = [HEAD, &tables()].concat();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, wanted).expect("the page can be written");
        return;
    }
    assert!(
        read(&path) == wanted,
        "archdefs/MATRIX.md differs from what the definitions state; this rewrites it:\n  \
         {UPDATE}=1 cargo test -p tlbc-tests --test docs matrix"
    );
}

/// A part that has no text leaves two separators next to each other.
#[test]
fn no_part_of_a_description_is_empty() {
    for line in tables().lines() {
        for gap in [": ;", "; ;", ":  ", ", ,", ": <br>", "; <br>"] {
            assert!(!line.contains(gap), "`{gap}` in {line}");
        }
    }
}
