//! The command line as a user runs it, and the library as a build script calls it.

mod bad_input;
mod compile;
mod doc;
mod generate;
mod matrix;
mod memo;
mod messages;
mod new;
#[cfg(unix)]
mod paths;
mod prove;
#[cfg(unix)]
mod remembered_claims;
mod streams;
mod support;
#[cfg(feature = "torment")]
mod torment;
mod traces;

use std::fs;

use support::{Run, command, root, shipped, tlbc, tlbc_reading};
use tempfile::TempDir;

/// Creates a directory with one definition in `archdefs`.
fn project() -> TempDir {
    let directory = TempDir::new().expect("a directory");
    let archdefs = directory.path().join("archdefs");
    fs::create_dir(&archdefs).expect("a directory");
    fs::write(archdefs.join("x86_64.arch"), shipped("x86_64.arch")).expect("a file");
    directory
}

/// Returns a command, its output and its exit code as text.
fn shown(arguments: &[&str], run: &Run) -> String {
    let Run {
        code,
        stdout,
        stderr,
    } = run;
    let command = arguments.join(" ");
    format!(
        "$ tlbc {command}\n{stdout}{stderr}[exit {}]\n",
        code.unwrap_or(-1)
    )
}

/// Runs several commands in the checkout. Returns the commands with their output.
fn session(runs: &[&[&str]]) -> String {
    let shown: Vec<String> = runs
        .iter()
        .map(|arguments| shown(arguments, &tlbc(&root(), arguments)))
        .collect();
    shown.join("\n")
}

/// Compares a text with a snapshot.
fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn help() {
    let commands = [
        "new", "check", "gen", "diff", "prove", "trace", "torment", "matrix", "doc", "explain",
    ];
    let mut shown = session(&[&["--help"]]);
    for command in commands {
        shown += &session(&[&[command, "--help"]]);
    }
    snapshot("help", &shown);
}

#[test]
fn exit_codes() {
    let cases: &[(&[&str], i32)] = &[
        (&["check"], 0),
        (&["check", "archdefs", "archdefs/x86_64.arch"], 0),
        (&["check", "compiler/Cargo.toml"], 1),
        (&["check", "nowhere.arch"], 2),
        (&["check", "compiler"], 2),
        (&["check", "--color", "pink"], 2),
        (&["diff", "--out", "nowhere"], 2),
        (&["trace", "compiler/Cargo.toml", "--everything"], 1),
        (&["trace", "archdefs", "--everything"], 2),
        (&["matrix", "archdefs/x86_64.arch"], 0),
        (&["matrix", "compiler/Cargo.toml"], 1),
        (&["matrix", "nowhere.arch"], 2),
        (&["matrix", "--format", "pink"], 2),
        (&["doc", "compiler/Cargo.toml", "--out", "nowhere"], 1),
        (&["doc", "nowhere.arch"], 2),
        (&["doc", "archdefs"], 2),
        (&["explain", "E0101"], 0),
        (&["explain", "E9999"], 2),
        (&["new", "foo", "--out", "-"], 0),
        (&["new", "Foo"], 2),
        (&["frobnicate"], 2),
        (&["--version"], 0),
    ];
    for (arguments, code) in cases {
        let run = tlbc(&root(), arguments);
        assert_eq!(run.code, Some(*code), "{arguments:?}: {}", run.stderr);
    }
    let nothing = command(&root(), &[]).output().expect("it runs");
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn diagnostics() {
    let text = b"arch m {\n    frobnicate;\n}\n";
    for format in ["human", "short", "json"] {
        let arguments = ["check", "--message-format", format, "-"];
        let run = tlbc_reading(&root(), &arguments, text);
        assert_eq!(run.stdout, "");
        snapshot(&format!("findings_{format}"), &shown(&arguments, &run));
    }
    let colored = tlbc_reading(&root(), &["--color", "always", "check", "-"], text);
    assert!(colored.stderr.contains("\u{1b}["));
}

/// Warnings are shown, and are errors with `--deny warnings`.
#[test]
fn warnings() {
    let project = project();
    let path = project.path().join("archdefs/x86_64.arch");
    let spare = "    operand spare 64 bits { [63:0] va; }\n    operand va ";
    let text = shipped("x86_64.arch").replacen("    operand va ", spare, 1);
    fs::write(&path, text).expect("a file");
    let run = |arguments: &[&str]| {
        let run = tlbc(project.path(), arguments);
        (run.code, run.stdout, run.stderr)
    };
    let warning = "warning[W0201]: the operand `spare` is never used";
    let (code, stdout, stderr) = run(&["check", "--message-format", "short"]);
    assert_eq!(
        (code, stdout.as_str()),
        (Some(0), "1 definition, no errors\n")
    );
    assert!(stderr.contains(warning), "{stderr}");
    let (code, stdout, stderr) = run(&["check", "--deny", "warnings"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(
        stderr.contains(warning)
            && stderr.contains("\n1 warning in 1 file; ")
            && stderr.ends_with("\nwarnings are denied: --deny warnings makes errors of them\n"),
        "{stderr}"
    );
    let (_, _, allowed) = run(&["check"]);
    assert_eq!(stderr.matches("1 warning").count(), 1);
    assert!(!allowed.contains("denied"), "{allowed}");
    let (_, _, json) = run(&["check", "--deny", "warnings", "--message-format", "json"]);
    assert!(json.lines().all(|line| line.starts_with('{')), "{json}");
    let (_, json, stderr) = run(&["check", "--message-format", "json"]);
    assert!(
        stderr.contains("\"severity\":\"warning\""),
        "{json}{stderr}"
    );

    let (code, stdout, _) = run(&["gen", "--deny", "warnings"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(!project.path().join("generated").exists());
    let (code, stdout, stderr) = run(&["gen"]);
    assert_eq!(code, Some(0));
    assert!(
        stdout.contains("x86_64.rs: written") && stderr.contains(warning),
        "{stdout}{stderr}"
    );
}

#[test]
fn the_same_architecture_twice() {
    let project = project();
    let copy = project.path().join("copy.arch");
    fs::write(copy, shipped("x86_64.arch")).expect("a file");
    let arguments = [
        "check",
        "archdefs",
        "copy.arch",
        "--message-format",
        "short",
    ];
    let run = tlbc(project.path(), &arguments);
    let expected = "error[E0201]: architecture `x86_64` is defined twice";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    let same = ["check", "copy.arch", "./copy.arch"];
    assert_eq!(tlbc(project.path(), &same).code, Some(0));
}

#[test]
fn matrices() {
    let x86 = "archdefs/x86_64.arch";
    let arm = "archdefs/arm64.arch";
    snapshot(
        "matrices",
        &session(&[
            &["matrix", "--brief", arm, x86],
            &["matrix", "--brief", "--format", "markdown", x86],
            &["matrix", "--width", "120", x86],
        ]),
    );
}

#[test]
fn explain() {
    let list = tlbc(&root(), &["explain"]);
    assert!(
        list.stdout
            .contains("E0101  the text does not follow the grammar\n")
    );
    let lower = tlbc(&root(), &["explain", "e0101"]);
    assert!(
        lower
            .stdout
            .starts_with("# E0101: the text does not follow the grammar\n\n")
    );
    let toy = tlbc(&root(), &["explain", "toy"]);
    assert!(toy.stdout.contains("\narch toy {\n"));
    let unknown = tlbc(&root(), &["explain", "E9999"]);
    assert!(unknown.stderr.contains("there is no code `E9999`"));
}
