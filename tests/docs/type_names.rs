//! No type name has two unrelated meanings.
//!
//! A name may be declared in several layers if it is the same idea in each. Types of tests, and associated types, do not count.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tlbc_tests::workspace::root;

use crate::words::texts;

/// What holds the core, seen from the root of the workspace.
const SOURCES: [&str; 4] = [
    "compiler/src",
    "compiler/facts/src",
    "runtime/src",
    "runtime/machine/src",
];

/// Names that several layers have, the layers in alphabetical order, and the idea that they share. What a definition states
/// (`ast`) and what that means (`model`) may have one name without an entry here.
const SHARED: &[(&str, &str, &str)] = &[
    (
        "AddressSelector",
        "ast facts model",
        "the addresses of a clause",
    ),
    (
        "AtomicU64",
        "runtime runtime",
        "one atomic number in two builds",
    ),
    ("Barrier", "ast model runtime", "what orders accesses"),
    ("Ceiling", "model runtime", "the most operations by address"),
    ("Cell", "facts prove", "entries that an effect treats alike"),
    (
        "Change",
        "ast model prove runtime trace",
        "a change of a table entry",
    ),
    (
        "Choice",
        "plan trace",
        "the instructions chosen for a demand",
    ),
    ("CachedKind", "ast facts", "a kind of cached entry"),
    ("CpuSet", "ast runtime", "a set of CPUs"),
    ("Deferred", "runtime trace", "a deferred flush"),
    ("Entry", "machine runtime", "a page-table entry"),
    ("EntryKind", "machine trace", "a kind of cached entry"),
    ("Event", "ast model trace", "what happens on a CPU"),
    ("Expr", "ast emit", "an expression of a language"),
    ("Field", "ast model trace", "a field of an operand"),
    ("Flush", "prove runtime", "a flush"),
    ("Instruction", "emit interpreted trace", "an instruction"),
    ("Issue", "plan runtime", "issuing an instruction"),
    ("Issued", "ast model prove", "an issued instruction"),
    ("Item", "ast emit", "an item of a file"),
    ("Level", "ast model runtime", "a level of tables"),
    ("Levels", "ast runtime", "levels of tables"),
    ("Limit", "ast model trace", "a limit of a machine"),
    ("Machine", "machine model trace", "a machine"),
    ("MaxCount", "ast facts", "the largest count of a run"),
    ("Memory", "machine torment", "the memory that holds tables"),
    ("Op", "machine trace", "an instruction that is issued"),
    ("Operand", "ast model trace", "an operand of an instruction"),
    ("Options", "torment torment", "what to run"),
    ("Report", "torment torment", "the result of a run"),
    ("Request", "runtime torment trace", "a request to flush"),
    ("Shootdown", "ast runtime", "how other CPUs are reached"),
    (
        "Sources",
        "addresses trace",
        "what fields of operands contain",
    ),
    ("Space", "ast model runtime", "a space"),
    ("Stale", "prove torment trace", "stale entries"),
    ("Step", "prove trace", "what a CPU does next"),
    ("Tag", "ast model runtime", "a tag"),
    ("TagSelector", "ast facts", "the tags of a clause"),
    (
        "TagSource",
        "ast runtime",
        "where values of a tag come from",
    ),
    ("What", "prove torment", "what a request flushes"),
    ("Word", "addresses runtime", "a word of 64 bits"),
];

/// Returns the name of the type that a line at the left margin declares.
fn declared(line: &str) -> Option<&str> {
    let mut words = line.split(|c: char| c.is_whitespace() || "<({;:=".contains(c));
    let mut word = words.next()?;
    if word == "pub" {
        // `pub(crate) struct`, `pub(in crate::a) struct`: the visibility ends with a parenthesis.
        let rest = line.strip_prefix("pub")?;
        let rest = match rest.strip_prefix('(') {
            Some(visibility) => visibility.split_once(')')?.1,
            None => rest,
        };
        return declared(rest.trim_start());
    }
    if word == "unsafe" {
        word = words.next()?;
    }
    ["struct", "enum", "trait", "type", "union"]
        .contains(&word)
        .then(|| words.next())?
}

/// Returns the layer of a file: the module of the compiler, or the crate.
fn layer(path: &Path) -> String {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        ["compiler", "src", module, ..] => module.trim_end_matches(".rs").to_owned(),
        ["compiler", name, ..] | ["runtime", name @ "machine", ..] => (*name).to_owned(),
        _ => "runtime".to_owned(),
    }
}

/// Returns whether a file holds only tests.
fn is_test(path: &Path) -> bool {
    path.iter()
        .any(|part| part == "tests" || part == "tests.rs")
}

/// Names with the layers that declare them, in order.
type Names = BTreeMap<String, Vec<String>>;

/// Returns the names that files declare more than once.
fn repeated(files: impl IntoIterator<Item = (PathBuf, String)>) -> Names {
    let mut names = Names::new();
    for (path, text) in files {
        for name in text.lines().filter_map(declared) {
            names.entry(name.to_owned()).or_default().push(layer(&path));
        }
    }
    for layers in names.values_mut() {
        layers.sort();
    }
    names.retain(|_, layers| layers.len() > 1 && *layers != ["ast", "model"]);
    names
}

#[test]
fn no_type_name_has_two_meanings() {
    let mut files = Vec::new();
    for path in SOURCES {
        texts(&root().join(path), &mut files);
    }
    let files = files.into_iter().filter_map(|path| {
        let shown = path.strip_prefix(root()).expect("a path below the root");
        let is_source = shown.extension().is_some_and(|it| it == "rs") && !is_test(shown);
        is_source.then(|| {
            let text = std::fs::read_to_string(&path).expect("a source");
            (shown.to_path_buf(), text)
        })
    });
    let found = repeated(files);
    let shared: BTreeMap<&str, &str> = SHARED.iter().map(|it| (it.0, it.1)).collect();
    let mut wrong = Vec::new();
    for (name, layers) in &found {
        let layers = layers.join(" ");
        if shared.get(name.as_str()) != Some(&layers.as_str()) {
            wrong.push(format!("{name} is declared in: {layers}"));
        }
    }
    let gone = shared.keys().filter(|name| !found.contains_key(**name));
    wrong.extend(gone.map(|name| format!("{name} is listed and is declared once")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn declarations_are_found() {
    for (line, name) in [
        ("pub struct Cell<T> {", Some("Cell")),
        ("pub(crate) enum Kind {", Some("Kind")),
        ("pub(in crate::plan) struct Set(u8);", Some("Set")),
        ("unsafe trait Slot: Copy {", Some("Slot")),
        ("type Run = u8;", Some("Run")),
        ("    type Page = u8;", None),
        ("pub fn structure() {", None),
        ("impl Kind {", None),
    ] {
        assert_eq!(declared(line), name, "{line}");
    }
    let file = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
    let found = repeated([
        file("compiler/src/ast/a.rs", "pub struct A {\nenum B {"),
        file("compiler/src/model.rs", "pub struct A {\nstruct C;"),
        file("compiler/facts/src/lib.rs", "struct B;"),
        file("runtime/machine/src/lib.rs", "struct C;"),
        file("runtime/src/lib.rs", "struct C;"),
    ]);
    let layers = |of: &str| of.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let wanted = [("B", "ast facts"), ("C", "machine model runtime")];
    assert_eq!(
        found,
        wanted
            .map(|(name, of)| (name.to_owned(), layers(of)))
            .into()
    );
}
