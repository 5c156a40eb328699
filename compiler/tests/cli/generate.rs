//! `tlbc gen`, and `tlbc diff`.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::project;
use crate::support::{names_in, tlbc};

fn out(project: &TempDir) -> PathBuf {
    project.path().join("generated/src")
}

#[test]
fn gen_writes_what_changed() {
    let project = project();
    let first = tlbc(project.path(), &["gen"]);
    let path = |name: &str| format!("generated/src/{name}");
    assert_eq!(
        first.stdout,
        format!(
            "{}: written\n{}: written\n",
            path("lib.rs"),
            path("x86_64.rs")
        )
    );
    assert_eq!(names_in(&out(&project)), ["lib.rs", "x86_64.rs"]);
    let written = |name: &str| {
        let metadata = fs::metadata(out(&project).join(name)).expect("a file");
        metadata.modified().expect("a time")
    };
    let before = [written("lib.rs"), written("x86_64.rs")];

    let second = tlbc(project.path(), &["gen"]);
    assert_eq!(second.stdout, "generated/src is up to date\n");
    assert_eq!(before, [written("lib.rs"), written("x86_64.rs")]);

    fs::write(out(&project).join("lib.rs"), "").expect("a file");
    let third = tlbc(project.path(), &["gen"]);
    assert_eq!(third.stdout, "generated/src/lib.rs: written\n");
    assert_eq!(before[1], written("x86_64.rs"));
}

#[test]
fn gen_check_and_diff() {
    let project = project();
    let check = || {
        let run = tlbc(project.path(), &["gen", "--check"]);
        (run.code, run.stdout)
    };
    assert_eq!(
        check(),
        (
            Some(1),
            "generated/src/lib.rs: missing\ngenerated/src/x86_64.rs: missing\n".to_owned()
        )
    );
    assert!(!out(&project).exists());
    tlbc(project.path(), &["gen"]);
    assert_eq!(
        check(),
        (Some(0), "generated/src is up to date\n".to_owned())
    );
    let same = tlbc(project.path(), &["diff"]);
    assert_eq!((same.code, same.stdout), (Some(0), String::new()));

    let module = out(&project).join("x86_64.rs");
    let text = fs::read_to_string(&module).expect("a file");
    fs::write(&module, format!("{text}// Mine.\n")).expect("a file");
    fs::rename(out(&project).join("lib.rs"), out(&project).join("old.rs")).expect("a file");
    fs::write(out(&project).join("mine.rs"), "// By hand.\n").expect("a file");
    let (code, stdout) = check();
    assert_eq!(code, Some(1));
    assert_eq!(
        stdout,
        "generated/src/lib.rs: missing\n\
         generated/src/x86_64.rs: different\n\
         generated/src/old.rs: left over\n"
    );
    let diff = tlbc(project.path(), &["diff"]);
    assert_eq!(diff.code, Some(1));
    for line in [
        "--- /dev/null\n+++ generated/src/lib.rs\n",
        "--- generated/src/x86_64.rs\n+++ generated/src/x86_64.rs\n",
        "\n-// Mine.\n",
        "--- generated/src/old.rs\n+++ /dev/null\n",
    ] {
        assert!(diff.stdout.contains(line), "{}", diff.stdout);
    }
    tlbc(project.path(), &["gen"]);
    assert_eq!(names_in(&out(&project)), ["lib.rs", "mine.rs", "x86_64.rs"]);
    assert_eq!(check().0, Some(0));
}

#[test]
fn gen_of_one_file_leaves_the_others_alone() {
    let project = project();
    tlbc(project.path(), &["gen"]);
    let other = out(&project).join("other.rs");
    fs::copy(out(&project).join("x86_64.rs"), other).expect("a file");
    fs::remove_file(out(&project).join("lib.rs")).expect("a file");
    let run = tlbc(project.path(), &["gen", "archdefs/x86_64.arch"]);
    assert_eq!(run.stdout, "generated/src is up to date\n");
    assert_eq!(names_in(&out(&project)), ["other.rs", "x86_64.rs"]);
}

#[test]
fn gen_with_a_finding_writes_nothing() {
    let project = project();
    let bad = project.path().join("archdefs/bad.arch");
    fs::write(bad, "arch bad { frobnicate; }").expect("a file");
    let run = tlbc(project.path(), &["gen"]);
    assert_eq!(run.code, Some(1));
    assert!(!project.path().join("generated").exists());
}
