//! The documentation of functions begins with a verb. That of every public function that a kernel calls, and of every one that
//! it provides, says in which contexts it is called. That it says how it fails is checked by lints of the workspace,
//! `missing_errors_doc` and `missing_panics_doc`.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use crate::words::texts;

/// What a kernel uses and implements. The other public types are values.
const TYPES: [&str; 7] = [
    "AddressSpace",
    "Gather",
    "Mmu",
    "Platform",
    "Pte",
    "Section",
    "UnmapBatch",
];

/// A public function, and whether its documentation has a section `# Context`.
struct Function {
    of: &'static str,
    name: String,
    has_context: bool,
}

/// Returns the name after a keyword, up to its first character that is of no name.
fn name_after<'l>(line: &'l str, keyword: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(keyword)?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
}

/// Returns the type of [`TYPES`] that a line at the left margin defines, or whose functions follow it.
fn defined(line: &str) -> Option<&'static str> {
    let is_type = |name: &&'static str| {
        ["struct ", "trait "]
            .iter()
            .any(|kind| name_after(line, kind) == Some(name))
            || line.starts_with("impl") && {
                let (of, _) = line.split_once('{').unwrap_or((line, ""));
                !of.contains(" for ") && of.contains(&format!("> {name}<"))
            }
    };
    TYPES.iter().copied().find(is_type)
}

/// Adds the functions of a source, and the types whose documentation states a context for all of their functions.
fn read(source: &str, functions: &mut Vec<Function>, stated: &mut Vec<&'static str>) {
    let (mut of, mut in_trait, mut has_context) = (None, false, false);
    for line in source.lines() {
        let text = line.trim_start();
        if text.starts_with("///") || text.starts_with("#[") {
            has_context |= text == "/// # Context";
            continue;
        }
        let at_margin = !line.starts_with([' ', '}']) && !line.is_empty();
        if at_margin {
            of = defined(line);
            in_trait = line.starts_with("pub trait");
            let is_definition = in_trait || line.starts_with("pub struct");
            stated.extend(of.filter(|_| is_definition && has_context));
        }
        let is_public = text.starts_with("pub fn ") || text.starts_with("pub const fn ");
        if let Some(of) = of
            && (is_public || in_trait && text.starts_with("fn "))
        {
            let name = name_after(text, "fn ").unwrap_or_default().to_owned();
            functions.push(Function {
                of,
                name,
                has_context,
            });
        }
        has_context = false;
    }
}

#[test]
fn every_function_for_kernels_states_its_context() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src");
    let mut files = Vec::new();
    texts(&source, &mut files);
    let (mut functions, mut stated) = (Vec::new(), Vec::new());
    for file in files {
        let text = read_to_string(file).expect("a source");
        read(&text, &mut functions, &mut stated);
    }
    for of in TYPES {
        assert!(
            functions.iter().any(|it| it.of == of),
            "no function of {of}"
        );
    }
    let silent = functions
        .iter()
        .filter(|it| !it.has_context && !stated.contains(&it.of))
        .map(|it| format!("{}::{}", it.of, it.name));
    assert_eq!(silent.collect::<Vec<_>>(), [""; 0]);
}

/// Returns the functions of a source, without its tests, whose documentation does not begin with a verb in the third person.
fn without_verb(source: &str) -> Vec<String> {
    let (mut first, mut found) = (None, Vec::new());
    for line in source.lines().map(str::trim_start) {
        if ["#[cfg(test)]", "#[cfg(all(test"]
            .iter()
            .any(|it| line.starts_with(it))
        {
            break;
        }
        if let Some(text) = line.strip_prefix("/// ") {
            first = first.or(text.split([' ', ',', ':', '.', '\'']).next());
            continue;
        }
        let is_function =
            line.starts_with("fn ") || line.contains(" fn ") && !line.starts_with("//");
        if let Some(word) = first.filter(|_| is_function)
            && !(word.ends_with('s') && word.starts_with(char::is_uppercase))
        {
            found.push(format!("{word} ..: {line}"));
        }
        if !line.starts_with("#[") && !line.starts_with("///") {
            first = None;
        }
    }
    found
}

#[test]
fn documentation_of_functions_begins_with_a_verb() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in [
        "compiler/src",
        "compiler/facts/src",
        "examples",
        "runtime/src",
    ] {
        texts(&root.join(folder), &mut files);
    }
    let is_source = |path: &PathBuf| {
        path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs")
    };
    let found = files.into_iter().filter(is_source).flat_map(|path| {
        let text = read_to_string(&path).expect("a source");
        let at = path.display().to_string();
        let found = without_verb(&text).into_iter();
        found.map(move |function| format!("{at}: {function}"))
    });
    assert_eq!(found.collect::<Vec<_>>(), [""; 0]);
}
