//! `tlbc gen` and `tlbc diff`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::project;
use crate::support::{command, names_in, shipped, tlbc};

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
        "--- /dev/null\n+++ b/generated/src/lib.rs\n",
        "--- a/generated/src/x86_64.rs\n+++ b/generated/src/x86_64.rs\n",
        "\n-// Mine.\n",
        "--- a/generated/src/old.rs\n+++ /dev/null\n",
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
fn gen_with_an_error_writes_nothing() {
    let project = project();
    let bad = project.path().join("archdefs/bad.arch");
    fs::write(bad, "arch bad { frobnicate; }").expect("a file");
    let run = tlbc(project.path(), &["gen"]);
    assert_eq!(run.code, Some(1));
    assert!(!project.path().join("generated").exists());
}

/// Runs `git` with an input. Panics if it fails.
fn git(directory: &Path, arguments: &[&str], input: &str) {
    let mut command = Command::new("git");
    command.current_dir(directory).args(arguments);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut child = child.expect("git is installed");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    assert!(
        child.wait().expect("it ends").success(),
        "git {arguments:?}"
    );
}

/// git applies the printed patch also in a subdirectory of a repository. Where git would ignore it, no patch is printed.
#[test]
fn git_applies_what_diff_prints_below_the_top() {
    let project = project();
    let below = project.path().join("below/here");
    fs::create_dir_all(below.join("out")).expect("a directory");
    git(project.path(), &["init", "--quiet"], "");
    let definitions = "../../archdefs";
    let diff = tlbc(&below, &["diff", definitions, "--out", "out"]);
    assert_eq!(diff.code, Some(1), "{}", diff.stderr);
    git(&below, &["apply"], &diff.stdout);
    let after = tlbc(&below, &["gen", definitions, "--out", "out", "--check"]);
    assert_eq!(after.code, Some(0), "{}", after.stdout);

    fs::create_dir(project.path().join("other")).expect("a directory");
    let top = fs::canonicalize(project.path()).expect("a directory");
    for other in ["../../other", "../../below", ".."] {
        let refused = tlbc(&below, &["diff", definitions, "--out", other]);
        let expected = format!(
            "error: {other} is not in the directory that this runs in, and `git apply` would ignore a patch of it\n  \
             run `tlbc diff` and `git apply` in {}\n",
            top.display()
        );
        assert_eq!(
            (refused.code, refused.stdout.as_str(), refused.stderr),
            (Some(2), "", expected)
        );
    }
    // Without a repository, paths are from where the command runs.
    let elsewhere = TempDir::new().expect("a directory");
    let definitions = project.path().join("archdefs");
    let definitions = definitions.to_str().expect("text");
    let diff = |directory: &str| tlbc(elsewhere.path(), &["diff", definitions, "--out", directory]);
    assert!(diff(".").stdout.contains("+++ b/lib.rs\n"));
    let out = project.path().join("other");
    assert_eq!(diff(out.to_str().expect("text")).code, Some(2));
}

/// `tlbc diff | git apply` has the same effect as `tlbc gen` on files that are new, different or no longer needed, with
/// and without a line break at their end.
#[test]
fn git_applies_what_diff_prints() {
    let project = project();
    tlbc(project.path(), &["gen"]);
    let at = |name: &str| out(&project).join(name);
    let text = fs::read_to_string(at("x86_64.rs")).expect("a file");
    fs::write(
        at("x86_64.rs"),
        text.replacen("pub ", "pub(crate) ", 3) + "// Mine.",
    )
    .expect("a file");
    fs::rename(at("lib.rs"), at("left over.rs")).expect("a file");
    fs::write(at(".tlbc-AbC123"), "// @gen").expect("a file");
    fs::write(at(".tlbc-AbC124"), "").expect("a file");
    let git = |arguments: &[&str], input: &str| git(project.path(), arguments, input);
    git(&["init", "--quiet"], "");
    let directory = fs::canonicalize(out(&project)).expect("a directory");
    let directory = directory.to_str().expect("text");
    for directory in ["generated/src", "./generated/src", directory] {
        let diff = tlbc(project.path(), &["diff", "--out", directory]);
        assert_eq!(diff.code, Some(1), "{}", diff.stderr);
        git(&["apply", "--check"], &diff.stdout);
    }
    let diff = tlbc(project.path(), &["diff"]);
    git(&["apply"], &diff.stdout);
    let after = tlbc(project.path(), &["gen", "--check"]);
    assert_eq!(
        (after.code, after.stdout.as_str()),
        (Some(0), "generated/src is up to date\n")
    );
}

#[test]
fn patches_have_colour_if_requested() {
    let project = project();
    tlbc(project.path(), &["gen"]);
    fs::write(out(&project).join("lib.rs"), "\u{1b}[31m// Old.\n").expect("a file");
    let run = |color: &str| tlbc(project.path(), &["diff", "--color", color]).stdout;
    let (plain, painted) = (run("never"), run("always"));
    assert_eq!(plain, run("auto"));
    assert!(
        !plain.contains('\u{1b}') && painted.contains("\n\u{1b}[31m-\\u{1b}[31m// Old.\u{1b}[m\n"),
        "{painted:?}"
    );
    let bare = [
        "\u{1b}[1m",
        "\u{1b}[31m",
        "\u{1b}[32m",
        "\u{1b}[36m",
        "\u{1b}[m",
    ];
    assert_eq!(
        bare.iter()
            .fold(painted, |text, color| text.replace(color, "")),
        plain
    );
}

/// Temporary files of killed runs are deleted, and no other file with a similar name.
#[test]
fn gen_deletes_the_files_of_killed_runs() {
    let project = project();
    tlbc(project.path(), &["gen"]);
    let at = |name: &str| out(&project).join(name);
    let header = "// @generated by tlbc";
    for (name, text) in [
        (".tlbc-AbC123", header),
        (".tlbc-000000", ""),
        (".tlbc-zzzzzz", &header[..9]),
        (".tlbc-mine00", "mine"),
        (".tlbc-notes.md", header),
        (".tlbc-", header),
    ] {
        fs::write(at(name), text).expect("a file");
    }
    let kept = [
        ".tlbc-",
        ".tlbc-mine00",
        ".tlbc-notes.md",
        "lib.rs",
        "x86_64.rs",
    ];
    let before = names_in(&out(&project));
    let left = [".tlbc-000000", ".tlbc-AbC123", ".tlbc-zzzzzz"];
    let listed = |what: &str| {
        let line = |name: &&str| format!("generated/src/{name}: {what}\n");
        left.iter().map(line).collect::<String>()
    };
    let check = tlbc(project.path(), &["gen", "--check"]);
    assert_eq!((check.code, check.stdout), (Some(1), listed("left over")));
    assert_eq!(names_in(&out(&project)), before);
    let one = ["gen", "archdefs/x86_64.arch", "--check"];
    assert_eq!(tlbc(project.path(), &one).stdout, listed("left over"));
    assert_eq!(tlbc(project.path(), &["gen"]).stdout, listed("deleted"));
    assert_eq!(names_in(&out(&project)), kept);
}

/// Kills runs while they write. Afterwards `lib.rs` names only modules that exist, and the next run leaves the same
/// files as an undisturbed run.
#[test]
fn a_run_completes_the_work_of_a_killed_run() {
    let project = project();
    let archdefs = project.path().join("archdefs");
    fs::write(archdefs.join("s390.arch"), shipped("s390.arch")).expect("a file");
    tlbc(project.path(), &["gen"]);
    let expected = names_in(&out(&project));
    for wait in 0..6 {
        fs::remove_dir_all(out(&project)).expect("a directory");
        let mut child = command(project.path(), &["gen"]);
        let mut child = child.stdout(Stdio::null()).spawn().expect("it runs");
        let deadline = Instant::now() + Duration::from_secs(60);
        while !out(&project).exists() && Instant::now() < deadline {
            thread::sleep(Duration::from_micros(200));
        }
        thread::sleep(Duration::from_millis(wait));
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
        if out(&project).join("lib.rs").exists() {
            let there = names_in(&out(&project));
            assert!(
                expected.iter().all(|name| there.contains(name)),
                "{there:?}"
            );
        }
        assert_eq!(tlbc(project.path(), &["gen"]).code, Some(0));
        assert_eq!(names_in(&out(&project)), expected);
    }
}

/// A file that is not generated is not replaced: neither a module nor the list of modules.
#[test]
fn gen_replaces_no_file_that_is_not_generated() {
    for name in ["lib.rs", "x86_64.rs"] {
        let project = project();
        fs::create_dir_all(out(&project)).expect("a directory");
        let path = out(&project).join(name);
        fs::write(&path, "//! By hand.\n").expect("a file");
        let check = tlbc(project.path(), &["gen", "--check"]);
        assert_eq!(check.code, Some(1), "{}", check.stderr);
        let run = tlbc(project.path(), &["gen"]);
        assert_eq!(run.code, Some(2), "{}", run.stdout);
        assert!(
            run.stderr.contains("is no generated file"),
            "{}",
            run.stderr
        );
        assert_eq!(names_in(&out(&project)), [name]);
        let text = fs::read_to_string(&path).expect("a file");
        assert_eq!(text, "//! By hand.\n");
    }
}
