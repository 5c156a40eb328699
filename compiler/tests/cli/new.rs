//! `tlbc new`, and the diagnostics about blanks until they are filled in.

use crate::snapshot;
use crate::support::{Run, names_in, root, shipped, tlbc, tlbc_reading};
use std::fs;
use tempfile::TempDir;

/// A machine whose flushes reach every CPU; hardware threads share a TLB.
const BROADCAST: &str = "foo64 | 4 | 12 | 21 | 30 | 56 | core | never | refetched | 8 | machine | 255 | generations | 38 | \
    38 | global | order stores | wait | cpus | refetch | 8 | 7 | flush.page | 4.1 | \
    leaf, walk | this tag or global | cpus | no lock | flush.tag | 4.2 | leaf, walk | cpus | \
    no lock | flush.all | 4.3 | leaf, walk | cpus | no lock | 56 | 55 | 55 | load.root | 3.1 | broadcast | 64";

/// A machine on which each CPU only flushes its own TLB and has its own tags.
const IPI: &str = "foo64 | 16 | 14 | 25 | 36 | 48 | cpu | never | dropped by the fault | 16 | cpu | \
    65535 | slots | 46 | 45 | under every tag | order stores | wait | self | refetch | 16 | \
    15 | flush.page | 4.1 | leaf | this tag | self | no lock | flush.tag | 4.2 | leaf, walk | \
    self | no lock | flush.all | 4.3 | leaf, walk | self | no lock | 48 | 47 | 47 | load.root | 3.1 | ipi | 33";

/// Fills the answers into the blanks of a definition in order. Comments keep their question marks.
fn filled(definition: &str, answers: &str) -> String {
    let mut answers = answers.split(" | ");
    let mut text = String::new();
    for line in definition.lines() {
        let (code, comment) = line.split_at(line.find("//").unwrap_or(line.len()));
        let mut parts = code.split("???");
        text.extend(parts.next());
        for part in parts {
            text.push_str(answers.next().expect("an answer"));
            text.push_str(part);
        }
        text.push_str(comment);
        text.push('\n');
    }
    assert_eq!(answers.next(), None, "answers are left");
    text
}

/// Checks a text given on standard input.
fn check(text: &str, format: &str) -> Run {
    let arguments = ["check", "--message-format", format, "-"];
    tlbc_reading(&root(), &arguments, text.as_bytes())
}

#[test]
fn a_new_definition_has_a_question_for_each_blank() {
    let run = tlbc(&root(), &["new", "foo", "--out", "-"]);
    assert_eq!(run.code, Some(0));
    let findings = check(&run.stdout, "human");
    assert_eq!(findings.code, Some(1));
    snapshot("blank_definition", &findings.stderr);
    let questions = run.stdout.matches("// ? ").count();
    let errors = findings.stderr.matches("error[").count();
    assert_eq!(errors, findings.stderr.matches("error[E0107]").count());
    assert_eq!(errors, BROADCAST.split(" | ").count());
    assert!(questions <= errors && !findings.stderr.contains("what?"));
}

#[test]
fn a_new_definition_that_is_filled_in_has_no_errors() {
    let new = tlbc(&root(), &["new", "foo", "--out", "-"]).stdout;
    for answers in [BROADCAST, IPI] {
        let run = check(&filled(&new, answers), "human");
        assert_eq!(run.stdout, "1 definition, no errors\n", "{}", run.stderr);
    }
}

/// A machine whose CPUs flush for themselves, and whose tags are the same everywhere.
const SHARED_TAGS: &str = "foo64 | 16 | 14 | 25 | 36 | 48 | cpu | never | dropped by the fault | 16 | machine | \
    65535 | generations | 46 | 45 | under every tag | order stores | wait | self | refetch | 16 | \
    15 | flush.page | 4.1 | leaf | this tag | self | no lock | flush.tag | 4.2 | leaf, walk | \
    self | no lock | flush.all | 4.3 | leaf, walk | self | no lock | 48 | 47 | 47 | load.root | 3.1 | ipi | 33";

/// The statements in comments of a new definition are valid when they are uncommented.
#[test]
fn commented_statements_are_right() {
    let new = tlbc(&root(), &["new", "foo", "--out", "-"]).stdout;
    let stated = |text: &str, begins: &str| {
        let line = text.lines().find(|line| {
            let code = line.trim().strip_prefix("// ");
            code.is_some_and(|code| code.starts_with(begins))
        });
        let line = line.unwrap_or_else(|| panic!("{begins}"));
        let code = line.trim().trim_start_matches("// ");
        let code = code.split("   ").next().expect("a statement");
        text.replacen(line, code, 1)
    };
    let shared = filled(&new, SHARED_TAGS);
    let called = stated(&filled(&new, BROADCAST), "invalidate ask_all call");
    let loads = filled(&new, IPI);
    let loads = loads.replacen(
        "    // feature",
        "    feature tagged \"tags\";\n    // feature",
        1,
    );
    let loads = stated(&stated(&loads, "load plain_root"), "switch {");
    let first = loads.find("\n    switch {").expect("the usual switch");
    let last = first + loads[first..].find("    }\n").expect("its end") + "    }\n".len();
    let loads = format!("{}\n{}", &loads[..first], &loads[last..]);
    for text in [shared, called, loads] {
        let run = check(&text, "human");
        assert_eq!(run.code, Some(0), "{text}\n{}", run.stderr);
    }
}

#[test]
fn new_writes_one_file_and_overwrites_none() {
    let directory = TempDir::new().expect("a directory");
    let new = |arguments: &[&str]| tlbc(directory.path(), &[&["new"], arguments].concat());
    let first = new(&["foo"]);
    assert_eq!(
        first.stdout,
        "foo.arch: written; `tlbc check foo.arch` lists what is to be filled in\n"
    );
    let mine = directory.path().join("foo.arch");
    fs::write(&mine, "mine").expect("a file");
    let again = new(&["foo"]);
    assert_eq!(again.code, Some(2));
    assert_eq!(
        again.stderr,
        "error: foo.arch exists already and is not overwritten\n"
    );
    assert_eq!(fs::read_to_string(&mine).expect("a file"), "mine");

    assert_eq!(new(&["bar", "--out", "new/dir/it.arch"]).code, Some(0));
    assert_eq!(new(&["bar", "--out", "new/dir"]).code, Some(0));
    let under_a_file = new(&["bar", "--out", "foo.arch/bar.arch"]);
    assert_eq!(under_a_file.code, Some(2));
    assert_eq!(names_in(directory.path()), ["foo.arch", "new"]);
    let below = directory.path().join("new/dir");
    assert_eq!(names_in(&below), ["bar.arch", "it.arch"]);
}

#[test]
fn new_refuses_invalid_names() {
    let directory = TempDir::new().expect("a directory");
    for name in ["Foo", "6502", "a-b", "é", "", "lib", "fn", "_", "a{b}"] {
        let run = tlbc(directory.path(), &["new", name]);
        assert_eq!(run.code, Some(2), "{name}");
        let start = format!("error: an architecture cannot be called `{name}`\n  ");
        assert!(run.stderr.starts_with(&start), "{}", run.stderr);
    }
    assert_eq!(names_in(directory.path()), [""; 0]);
}

#[test]
fn blanks_are_found_everywhere() {
    let text = r#"/// ??? in a comment is none
arch ??? {
    // ? not this one

    // ? the page, and
    // its size
    geometry g { page ???? KiB; frobnicate; }
    invalidate x "?? ??? {a} ???" {     // "???"
        per "http://???";               // ? in a text that looks like a comment
        ???                             // not a question
        drops leaf of ???, "???         // ? unclosed
    }
    ? ?? ???;
"#;
    snapshot("blanks", &check(text, "human").stderr);
}

/// While blanks are left, only they are reported: other diagnostics would be consequences of them.
#[test]
fn nothing_else_is_reported_while_a_blank_is_left() {
    let text = shipped("x86_64.arch")
        .replacen("page 4 KiB", "page ??? KiB", 1)
        .replacen("tlb holds leaf, walk", "tlb frobnicates", 1);
    let run = check(&text, "short");
    assert_eq!(
        run.stderr,
        "<stdin>:8:14: error[E0107]: a blank is left in `geometry g4k`, after `page`\n"
    );
}

#[test]
fn many_blanks_are_counted() {
    let text = format!("arch m {{ {} }}", "frob ???;\n".repeat(70));
    let run = check(&text, "human");
    assert_eq!(run.stderr.matches("error[E0107]").count(), 50);
    assert!(run.stderr.contains("20 more errors in this file not shown"));
}
