//! What `tlbc gen` remembers of earlier runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;

use crate::project;
use crate::support::{Run, command, names_in, shipped};

/// Runs the command with a directory for results.
fn remembering(project: &TempDir, cache: &Path, arguments: &[&str]) -> Run {
    let mut command = command(project.path(), arguments);
    command.env("TLBC_CACHE", cache).stdin(Stdio::null());
    let run = Run::from(command.output().expect("it runs"));
    run.is_sound();
    run
}

/// Returns the names of the remembered outputs, or of the proofs (`what`).
fn remembered(cache: &Path, what: &str) -> Vec<String> {
    let mut names = names_in(cache);
    names.retain(|name| name.starts_with(what));
    names
}

/// Returns the only remembered outputs.
fn result(cache: &Path) -> PathBuf {
    let names = remembered(cache, "gen-");
    assert_eq!(names.len(), 1, "{names:?}");
    cache.join(&names[0])
}

/// Replaces a text that occurs in a file.
fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replace(from, to)).expect("a file");
}

const WRITTEN: &str = "generated/src/x86_64.rs: written\n";
const UP_TO_DATE: &str = "generated/src is up to date\n";

#[test]
fn outputs_are_remembered_until_a_definition_changes() {
    let (project, cache) = (project(), TempDir::new().expect("a directory"));
    let generate = || remembering(&project, cache.path(), &["gen"]).stdout;
    let module = project.path().join("generated/src/x86_64.rs");
    let definition = project.path().join("archdefs/x86_64.arch");
    generate();
    let first = fs::read_to_string(&module).expect("a file");
    assert_eq!(generate(), UP_TO_DATE);

    // A mark shows that the second run takes what the first one stored, and that --check does not.
    let mark = "DO NOT EDIT. Remembered.";
    replace(&result(cache.path()), "DO NOT EDIT.", mark);
    assert!(generate().contains(WRITTEN));
    assert!(fs::read_to_string(&module).expect("a file").contains(mark));
    let check = remembering(&project, cache.path(), &["gen", "--check"]);
    assert_eq!(check.code, Some(1), "{}", check.stdout);

    // Another byte, and nothing of it is used.
    fs::write(&definition, shipped("x86_64.arch") + "\n").expect("a file");
    assert!(generate().contains(WRITTEN));
    assert_eq!(fs::read_to_string(&module).expect("a file"), first);
    assert_eq!(generate(), UP_TO_DATE);

    // What was deleted is written again.
    fs::remove_file(&module).expect("a file");
    assert_eq!(generate(), WRITTEN);
    assert_eq!(remembered(cache.path(), "gen-").len(), 1);
}

/// A proof is remembered for each definition alone.
#[test]
fn proofs_are_remembered_until_a_definition_changes() {
    let (project, cache) = (project(), TempDir::new().expect("a directory"));
    let definition = project.path().join("archdefs/x86_64.arch");
    let proof = || {
        remembering(&project, cache.path(), &["gen"]);
        let names = remembered(cache.path(), "proof-");
        assert_eq!(names.len(), 1, "{names:?}");
        fs::read_to_string(cache.path().join(&names[0])).expect("a file")
    };
    let first = proof();
    fs::remove_file(result(cache.path())).expect("a file");
    assert_eq!(proof(), first);
    fs::write(&definition, shipped("x86_64.arch") + "\n").expect("a file");
    assert_ne!(proof(), first);
}

#[test]
fn another_executable_or_a_damaged_result_counts_as_nothing() {
    let (project, cache) = (project(), TempDir::new().expect("a directory"));
    let generate = || remembering(&project, cache.path(), &["gen"]);
    let marked = |from: &str, to: &str| {
        replace(&result(cache.path()), "DO NOT EDIT.", "Remembered.");
        replace(&result(cache.path()), from, to);
        let run = generate();
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (UP_TO_DATE, ""));
    };
    generate();
    marked("\"made_by\":\"", "\"made_by\":\"9");
    marked("\"archdefs/", "\"other/");
    let path = result(cache.path());
    let text = fs::read(&path).expect("a file");
    for damaged in [&text[..text.len() / 2], &b"\xff"[..], b"{}", b""] {
        fs::write(&path, damaged).expect("a file");
        assert_eq!(generate().stdout, UP_TO_DATE);
        assert_eq!(fs::read(&path).expect("a file"), text);
    }
}

#[test]
fn runs_with_warnings_show_them_each_time() {
    let (project, cache) = (project(), TempDir::new().expect("a directory"));
    let definition = project.path().join("archdefs/x86_64.arch");
    replace(
        &definition,
        "\n    change {",
        "\n    operand spare 64 bits { [63:0] va; }\n    change {",
    );
    for _ in 0..2 {
        let run = remembering(&project, cache.path(), &["gen"]);
        assert!(run.stderr.contains("warning[W0201]"), "{}", run.stderr);
    }
    assert_eq!(remembered(cache.path(), "gen-"), [""; 0]);
}

#[test]
fn a_directory_that_cannot_be_written_is_no_trouble() {
    let (project, cache) = (project(), TempDir::new().expect("a directory"));
    let file = cache.path().join("file");
    fs::write(&file, "Mine.").expect("a file");
    for path in [&file, &file.join("below")] {
        let run = remembering(&project, path, &["gen"]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    }
    assert_eq!(fs::read_to_string(&file).expect("a file"), "Mine.");
}

#[test]
fn old_results_are_deleted_and_files_of_the_user_are_not() {
    let (project, cache) = (project(), TempDir::new().expect("a directory"));
    fs::write(cache.path().join("notes-0123.json"), "Mine.").expect("a file");
    for n in 0..40 {
        fs::write(cache.path().join(format!("gen-{n:016x}.json")), "").expect("a file");
    }
    remembering(&project, cache.path(), &["gen"]);
    let names = names_in(cache.path());
    assert_eq!(names.len(), 33, "{names:?}");
    assert!(names.contains(&"notes-0123.json".to_owned()));
    remembering(&project, cache.path(), &["gen"]);
    assert_eq!(names_in(cache.path()), names);
}
