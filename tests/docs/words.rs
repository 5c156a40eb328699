//! The words of the glossary are used, and the words that earlier versions used instead are not.
//!
//! Identifiers count like prose: `owed_view` and `OwedView` contain "owed".

use std::path::{Path, PathBuf};
use std::process::Command;

use tlbc_tests::command;

/// Words that the glossary replaces, and words that follow each other, in lower case, each with the word to use.
const RETIRED: &[(&str, &str)] = &[
    ("absence", "negative entry"),
    ("absences", "negative entries"),
    ("after walkers", "after a grace period"),
    ("anybody", "any CPU, any caller"),
    ("anyone", "any CPU, any caller"),
    ("audience", "IPI targets"),
    ("behind", "after"),
    ("come out", "unlink, detach"),
    ("cuts", "unlinked tables"),
    ("debit", "deferred flush"),
    ("debt", "deferred flush"),
    ("debts", "deferred flushes"),
    ("deliver", "handle"),
    ("delivered", "handled"),
    ("delivers", "handles"),
    ("delivery", "shootdown"),
    ("disown", "invalidate lazily"),
    ("disowned", "invalidated lazily"),
    ("due", "required, pending"),
    ("dues", "pending flushes"),
    ("everybody", "every CPU, every caller"),
    ("everyone", "every CPU, all agents"),
    ("give up", "exceed the ceiling"),
    ("gives up", "exceeds the ceiling"),
    ("holder", "a CPU of the cpumask, an agent"),
    ("holders", "the cpumask, agents"),
    ("in vain", "spurious"),
    ("ledger", "TLB generation"),
    ("meanwhile", "at the same time"),
    ("mend", "workaround, repair"),
    ("mended", "repaired"),
    ("mends", "works around"),
    ("named set", "erratum set"),
    ("no one", "no CPU, no caller"),
    ("nobody", "no CPU, no caller"),
    ("obey", "handle"),
    ("obeys", "handles"),
    ("obligation", "required flush"),
    ("obligations", "required flushes"),
    ("obliges", "requires"),
    ("owe", "defer"),
    ("owed", "deferred, required"),
    ("owes", "requires, defers"),
    ("paid", "completed"),
    ("park", "deactivate"),
    ("parked", "inactive"),
    ("pay", "complete, cost"),
    ("pays", "completes, costs"),
    ("put off", "deferred"),
    ("reclaim round", "batched unmap"),
    ("relax", "give more rights"),
    ("relaxes", "gives more rights"),
    ("relaxing", "giving more rights"),
    ("remedies", "workarounds"),
    ("remedy", "workaround"),
    ("resume", "return to user"),
    ("resumed", "returned to user"),
    ("resumes", "returns to user"),
    ("retire", "invalidate lazily"),
    ("retired", "invalidated lazily"),
    ("somebody", "a CPU, a caller"),
    ("someone", "a CPU, a caller"),
    ("stretch", "address range"),
    ("stretches", "address ranges"),
    ("the space ends", "teardown"),
    ("told", "sent an IPI"),
    ("vanish", "unmap"),
    ("vanishes", "unmap"),
    ("who", "which CPUs, what"),
    ("whoever", "the CPU that"),
    ("whom", "which CPUs"),
];

/// Functions of libraries that have such a name.
const OF_LIBRARIES: [&str; 3] = [".resume()", "std::panic::resume_unwind", "thread::park"];

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

/// Returns whether words contain a retired word, or several of them one after the other.
fn uses_word(used: &[String], retired: &str) -> bool {
    let wanted: Vec<&str> = retired.split(' ').collect();
    used.windows(wanted.len()).any(|words| words == wanted)
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
            let own = OF_LIBRARIES
                .iter()
                .fold(line.to_owned(), |line, name| line.replace(name, ""));
            let used = words(&own);
            let retired = RETIRED.iter().filter(|(word, _)| uses_word(&used, word));
            uses.extend(
                retired.map(|(word, instead)| {
                    format!("{}:{number}: {word}: {instead}", shown.display())
                }),
            );
        }
    }
    assert!(uses.is_empty(), "{}\n{} uses", uses.join("\n"), uses.len());
}

/// The keywords of the definition language and the options of `tlbc trace` that earlier versions had. A word of a keyword or an
/// option may be good prose, so these are not among [`RETIRED`].
#[test]
fn retired_keywords_and_options_are_gone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("compiler/grammar/src/grammar.pest");
    let grammar = std::fs::read_to_string(path).expect("the grammar");
    let keyword = |word: &str| grammar.contains(&format!("\"{word}\""));
    assert!(keyword("workaround") && keyword("return_to_user"));
    for word in [
        "absent", "arrive", "delivery", "remedy", "resume", "retired",
    ] {
        assert!(!keyword(word), "{word}");
    }
    let tlbc = command::tlbc();
    for (options, is_there) in [
        (["--event", "return-to-user"], true),
        (["--event", "resume"], false),
        (["--event", "arrive"], false),
        (["--change", "unmap"], true),
        (["--change", "invalid"], false),
        (["--change", "replaced"], false),
        (["--change", "new"], false),
        (["--pending", "tag"], true),
        (["--owed", "tag"], false),
        (["--mapped", "--everything"], true),
        (["--appeared", "--everything"], false),
    ] {
        let run = Command::new(&tlbc).arg("trace").args(options).output();
        let message = run.expect("tlbc trace").stderr;
        let message = String::from_utf8_lossy(&message);
        let is_unknown = ["invalid value", "unexpected argument"];
        let is_known = !is_unknown.iter().any(|unknown| message.contains(unknown));
        assert_eq!(is_known, is_there, "{options:?}: {message}");
    }
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
