//! The words of the glossary are used, and the words that earlier versions used instead are not.
//!
//! Identifiers count like prose: `owed_view` and `OwedView` contain "owed".

use std::path::{Path, PathBuf};

/// Words that the glossary replaces, in lower case, each with the word to use.
const RETIRED: &[(&str, &str)] = &[
    ("absence", "negative entry"),
    ("absences", "negative entries"),
    ("audience", "IPI targets"),
    ("behind", "after"),
    ("debt", "deferred flush"),
    ("debts", "deferred flushes"),
    ("disown", "invalidate lazily"),
    ("disowned", "invalidated lazily"),
    ("everybody", "every CPU, every caller"),
    ("ledger", "TLB generation"),
    ("meanwhile", "at the same time"),
    ("mends", "works around"),
    ("nobody", "no CPU, no caller"),
    ("obligation", "required flush"),
    ("obligations", "required flushes"),
    ("obliges", "requires"),
    ("owe", "defer"),
    ("owed", "deferred, required"),
    ("owes", "requires, defers"),
    ("parked", "inactive"),
    ("remedies", "workarounds"),
    ("remedy", "workaround"),
    ("somebody", "a CPU, a caller"),
    ("told", "sent an IPI"),
    ("vanish", "unmap"),
    ("vanishes", "unmap"),
    ("whoever", "the CPU that"),
    ("whom", "which CPUs"),
];

/// What holds text of this project, seen from its root.
const TEXTS: [&str; 9] = [
    "README.md",
    "ARCHITECTURE.md",
    "archdefs",
    "compiler",
    "examples",
    "generated",
    "runtime",
    "tests",
    ".ci",
];

/// Splits a line into words, in lower case; a change of case and anything that is no letter separates them.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_upper = true;
    for c in line.chars() {
        let last = words.last_mut().expect("there is always one");
        if !c.is_alphabetic() {
            words.push(String::new());
        } else if c.is_uppercase() && !was_upper && !last.is_empty() {
            words.push(c.to_lowercase().collect());
        } else {
            last.extend(c.to_lowercase());
        }
        was_upper = c.is_uppercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Collects the files below a path, or the path itself.
pub(super) fn texts(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let is_built = path.file_name().is_some_and(|name| name == "target");
        if !is_built {
            let entries = std::fs::read_dir(path).expect("a directory that can be read");
            for entry in entries {
                texts(&entry.expect("an entry").path(), found);
            }
        }
    } else {
        found.push(path.to_path_buf());
    }
}

#[test]
fn retired_words_are_not_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let this = Path::new("tests/docs/words.rs");
    let mut files = Vec::new();
    for path in TEXTS {
        texts(&root.join(path), &mut files);
    }
    let mut uses = Vec::new();
    for path in files {
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue; // not text
        };
        let shown = path.strip_prefix(&root).expect("a path below the root");
        if shown == this {
            continue;
        }
        for (line, number) in text.lines().zip(1..) {
            let words = words(line);
            let retired = RETIRED
                .iter()
                .filter(|(word, _)| words.iter().any(|used| used == word));
            uses.extend(
                retired.map(|(word, instead)| {
                    format!("{}:{number}: {word}: {instead}", shown.display())
                }),
            );
        }
    }
    assert!(uses.is_empty(), "{}\n{} uses", uses.join("\n"), uses.len());
}

#[test]
fn identifiers_are_split_into_words() {
    assert_eq!(
        words("let owed_view = OwedView(TLB);"),
        ["let", "owed", "view", "owed", "view", "tlb"]
    );
    assert_eq!(words("SPACE_UNTIL_ATTACH"), ["space", "until", "attach"]);
    assert_eq!(words("followed"), ["followed"]);
}
