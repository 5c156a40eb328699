//! `archdefs/MATRIX.md` contains what `tlbc matrix --format markdown` prints for the shipped definitions, and
//! `archdefs/COSTS.md` what it prints with `--costs`.

use std::path::{Path, PathBuf};

use tlbc::Analysis;
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

/// The page of costs before the tables.
const COSTS_HEAD: &str = "\
# What typical flushes cost

This page shows what the backends issue for typical flushes. It is generated: `tlbc matrix --costs --format markdown` prints
the tables, and `tlbc trace --why` explains a single request. Operations are the instructions that invalidate, a loop over
the sets of a cache counts each, and a loop of a called function counts once. \"Loses\" names the entries that are
invalidated at all addresses. After \"IPI\" is what each of the interrupted CPUs does.

";

/// If this variable is set, the test rewrites the page.
const UPDATE: &str = "UPDATE_MATRIX";

fn archdefs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../archdefs")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the shipped definitions with their plans.
fn shipped() -> Vec<Analysis> {
    let entries = std::fs::read_dir(archdefs()).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let definitions = paths.filter(|path| path.extension().is_some_and(|ext| ext == "arch"));
    let sources = definitions.map(|path| (path.display().to_string(), read(&path)));
    let (compiled, analyses) = planned(sources);
    assert!(compiled.diagnostics.is_empty());
    assert!(!analyses.is_empty());
    analyses
}

/// Returns the tables of the shipped definitions.
fn tables() -> String {
    markdown(&Matrix::new(&shipped(), false), false)
}

#[test]
fn the_page_is_up_to_date() {
    is_up_to_date("MATRIX.md", &[HEAD, &tables()].concat());
}

/// A plan that costs more is visible in the difference of this page.
#[test]
fn the_page_of_costs_is_up_to_date() {
    let tables = markdown(&Matrix::costs(&shipped()), false);
    is_up_to_date("COSTS.md", &[COSTS_HEAD, &tables].concat());
}

fn is_up_to_date(name: &str, wanted: &str) {
    let path = archdefs().join(name);
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, wanted).expect("the page can be written");
        return;
    }
    assert!(
        read(&path) == wanted,
        "archdefs/{name} differs from what the definitions state; this rewrites it:\n  \
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
