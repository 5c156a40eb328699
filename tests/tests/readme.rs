//! The table of the README is what `tlbc matrix --brief --format markdown` prints.

use std::path::{Path, PathBuf};

use tlbc::compile::planned;
use tlbc::matrix::{Matrix, markdown};

const BEGIN: &str = "<!-- tlbc matrix --brief --format markdown -->\n";
const END: &str = "<!-- end of matrix -->\n";

/// Set, the test rewrites the table.
const UPDATE: &str = "UPDATE_README";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The table of the shipped definitions.
fn table() -> String {
    let entries = std::fs::read_dir(root().join("archdefs")).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let definitions = paths.filter(|path| path.extension().is_some_and(|ext| ext == "arch"));
    let sources = definitions.map(|path| (path.display().to_string(), read(&path)));
    let (compiled, analyses) = planned(sources);
    assert!(compiled.diagnostics.is_empty());
    assert!(!analyses.is_empty());
    markdown(&Matrix::new(&analyses, true), true)
}

#[test]
fn the_table_is_fresh() {
    let path = root().join("README.md");
    let readme = read(&path);
    let (before, rest) = readme.split_once(BEGIN).expect("the mark before the table");
    let (shown, after) = rest.split_once(END).expect("the mark behind the table");
    let wanted = format!("\n{}\n", table());
    if shown == wanted {
        return;
    }
    if std::env::var_os(UPDATE).is_some() {
        let text = [before, BEGIN, &wanted, END, after].concat();
        std::fs::write(&path, text).expect("the README can be written");
        return;
    }
    panic!(
        "the table in README.md is not what the definitions say any more; this rewrites it:\n  \
         {UPDATE}=1 cargo test -p tlbc-tests --test readme"
    );
}
