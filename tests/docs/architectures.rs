//! Files that name an architecture are about that architecture: what is compared for all of them is data beside the definitions.
//!
//! A file that lists the architectures needs an edit for the next one, and a name is the first sign of such a list.

use std::fs;
use std::path::Path;
use std::process::Command;

use tlbc_tests::archdefs::{DATA, names};
use tlbc_tests::rustc::{run, rustc};
use tlbc_tests::workspace::root;

use super::words::texts;

/// Where architectures are named, seen from `tests/`, and why a new one changes nothing there.
const NAMED_IN: &[(&str, &str)] = &[
    ("benches/", "measures a backend against a C program for it"),
    ("boot/main.rs", "builds the kernels of examples/kernel"),
    (
        "codegen/assemble.rs",
        "says why the code of a function may end in zeros",
    ),
    (
        "codegen/build_script.rs",
        "generates two backends into a crate",
    ),
    ("codegen/checked_in.rs", "reads one backend as an example"),
    (
        "codegen/disassembly/",
        "knows the vector registers of lines that it tries itself on",
    ),
    ("codegen/mutations/", "begins with definitions that differ"),
    (
        "docs/examples.rs",
        "looks at what one example prints on known machines",
    ),
    ("docs/readme.rs", "runs the commands of the README"),
    (
        "docs/sources.rs",
        "lists the names that the core may not have",
    ),
    ("fuzz/main.rs", "edits definitions as a start"),
    ("language/", "edits a definition that has the statement"),
    (
        "plan/corpus/orders",
        "repeats a bug of a kernel on a machine that shows it",
    ),
    ("plan/coverage/", "is written from one manual"),
    ("plan/errata.rs", "follows the notice of one erratum"),
    (
        "plan/invented/folding.rs",
        "adds an instruction to a definition",
    ),
    (
        "plan/invented/refill.rs",
        "compares an invented machine with a known one",
    ),
    (
        "plan/known_mistakes/",
        "repeats a mistake of a kernel on its machine",
    ),
    (
        "plan/runtime.rs",
        "breaks plans of machines on which the fault matters",
    ),
    (
        "plan/scores.rs",
        "changes facts of definitions and expects to see them",
    ),
    (
        "plan/torment.rs",
        "breaks one operand and expects to see it",
    ),
    (
        "plan/shrunk.rs",
        "turns knobs that not every architecture has",
    ),
    ("plan/proofs.rs", "breaks plans that one architecture has"),
    (
        "plan/unused_facts.rs",
        "deletes facts that one definition has",
    ),
    ("runtime/", "shows a protocol on a machine that needs it"),
    (
        "support/differential/machines.rs",
        "shows in its documentation how a macro is called",
    ),
    (
        "support/machines.rs",
        "creates the machines of the tests in runtime/",
    ),
    (
        "support/requests.rs",
        "reads the definitions for the tests in language/ and plan/",
    ),
];

/// Returns whether a text contains a name that is no part of a longer one.
fn has(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        ![before, after]
            .iter()
            .flatten()
            .any(char::is_ascii_alphanumeric)
    })
}

/// Returns which architectures a file names.
fn named(path: &Path) -> Vec<&'static str> {
    let text = fs::read_to_string(path).expect("a text");
    let text = text.to_lowercase();
    names().filter(|name| has(&text, name)).collect()
}

#[test]
fn architectures_are_named_where_that_is_justified() {
    let tests = root().join("tests");
    let mut found = Vec::new();
    let mut used = vec![false; NAMED_IN.len()];
    let mut files = Vec::new();
    texts(&tests, &mut files);
    files.retain(|path| path.extension().is_some_and(|it| it == "rs"));
    for path in files {
        let names = named(&path);
        if names.is_empty() {
            continue;
        }
        let shown = path.strip_prefix(&tests).expect("a path below tests");
        let shown = shown.to_str().expect("a path in UTF-8");
        match NAMED_IN
            .iter()
            .position(|(place, _)| shown.starts_with(place))
        {
            Some(index) => used[index] = true,
            None => found.push(format!("{shown} names {}", names.join(", "))),
        }
    }
    assert!(
        found.is_empty(),
        "{}\nPut what depends on an architecture beside its definition (archdefs/README.md)",
        found.join("\n")
    );
    let unused = NAMED_IN.iter().zip(used).filter(|(_, used)| !used);
    let unused: Vec<&str> = unused.map(|((place, _), _)| *place).collect();
    assert!(unused.is_empty(), "nothing is named in {unused:?}");
}

#[test]
fn a_part_of_a_longer_name_is_none() {
    assert!(has("on slate_page", "slate") && has("(toy)", "toy"));
    assert!(!has("slates and toy2", "slate") && !has("slates and toy2", "toy"));
}

/// The lists of the tests come from the directory: under another name, a definition with its files and its backend is in each
/// of them, and no Rust file of the tests is edited for it.
#[test]
fn a_new_definition_is_in_every_list() {
    const NEW: &str = "slate";
    let directory = tempfile::tempdir().expect("a directory");
    let place = |path: String| directory.path().join(path);
    for below in ["archdefs", "generated/src", "tests", "out"] {
        fs::create_dir_all(place(below.to_owned())).expect("a directory");
    }
    let copy = |from: String, to: &str| {
        let copied = fs::copy(root().join(&from), place(to.to_owned()));
        copied.map_err(|error| format!("{from}: {error}"))
    };
    for arch in names() {
        for name in [arch, NEW] {
            copy(
                format!("archdefs/{arch}.arch"),
                &format!("archdefs/{name}.arch"),
            )
            .expect("it is there");
            let backend = format!("generated/src/{name}.rs");
            copy(format!("generated/src/{arch}.rs"), &backend).expect("it is there");
            fs::create_dir_all(place(format!("archdefs/{name}"))).expect("a directory");
            for (file, _) in DATA {
                // One that need not be there is not copied.
                let _ = copy(
                    format!("archdefs/{arch}/{file}"),
                    &format!("archdefs/{name}/{file}"),
                );
            }
        }
        let lists = place("lists".to_owned());
        let mut compiler = Command::new(rustc());
        compiler.args(["--edition", "2024", "-o"]).arg(&lists);
        run(compiler.arg(root().join("tests/support/build.rs")))
            .expect("the build script compiles");
        let mut script = Command::new(&lists);
        script.current_dir(place("tests".to_owned()));
        run(script.env("OUT_DIR", place("out".to_owned()))).expect("it runs");
        let text = fs::read_to_string(place("out/architectures.rs".to_owned())).expect("the lists");
        let of = |name: &str| {
            let lines = text.lines().filter(|line| has(line, name));
            lines
                .map(|line| line.replace(name, NEW))
                .collect::<Vec<_>>()
        };
        assert!(
            of(arch).len() > 2,
            "{arch} is in the list of architectures and of machines"
        );
        assert_eq!(of(NEW), of(arch), "of {arch}");
        fs::remove_dir_all(place(format!("archdefs/{NEW}"))).expect("it was copied");
    }
}
