//! The command as a user runs it.

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use support::{Run, command, names_in, root, shipped, tlbc, tlbc_reading};
use tempfile::TempDir;

/// A directory with one definition, in `archdefs`.
fn project() -> TempDir {
    let directory = TempDir::new().expect("a directory");
    let archdefs = directory.path().join("archdefs");
    fs::create_dir(&archdefs).expect("a directory");
    fs::write(archdefs.join("x86_64.arch"), shipped("x86_64.arch")).expect("a file");
    directory
}

fn out(project: &TempDir) -> PathBuf {
    project.path().join("generated/src")
}

/// A command, all it says, and its exit code.
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

/// What several runs in the checkout say.
fn session(runs: &[&[&str]]) -> String {
    let shown: Vec<String> = runs
        .iter()
        .map(|arguments| shown(arguments, &tlbc(&root(), arguments)))
        .collect();
    shown.join("\n")
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn help() {
    let commands = [
        "new", "check", "gen", "diff", "trace", "matrix", "doc", "explain",
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
        (&["diff", "--against", "nowhere"], 2),
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
fn findings() {
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

#[test]
fn standard_input() {
    let text = shipped("x86_64.arch");
    let run = tlbc_reading(&root(), &["check", "-"], text.as_bytes());
    assert_eq!(run.stdout, "1 definition, no errors\n");
    let trace = ["trace", "-", "--range", "0x1000..0x2000"];
    let run = tlbc_reading(&root(), &trace, text.as_bytes());
    assert!(
        run.stdout
            .starts_with("x86_64: pte entries at 0x1000..0x2000")
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

#[test]
fn traces() {
    let x86 = "archdefs/x86_64.arch";
    let arm = "archdefs/arm64.arch";
    snapshot(
        "traces",
        &session(&[
            &["trace", x86, "--range", "0x1000..0x3000"],
            &[
                "trace",
                arm,
                "--range",
                "0x40000000..0x40200000",
                "--tables-freed",
                "--cpus",
                "others",
                "--features",
                "all",
                "--errata",
                "all",
            ],
            &[
                "trace",
                x86,
                "--kernel",
                "--range",
                "0xffff_ffff_ffff_f000..0x1_0000_0000_0000_0000",
                "--format",
                "json",
            ],
            &[
                "trace",
                x86,
                "--event",
                "switch",
                "--owed",
                "tag",
                "--features",
                "pcid",
            ],
        ]),
    );
}

#[test]
fn trace_refuses() {
    let x86 = "archdefs/x86_64.arch";
    let s390 = "archdefs/s390.arch";
    let page = "0x1000..0x2000";
    snapshot(
        "trace_refuses",
        &session(&[
            &["trace", x86, "--range", "0x3000"],
            &["trace", x86, "--range", "0x3000..0x1000"],
            &["trace", x86, "--range", "0x1000..0x1000"],
            &["trace", x86, "--range", "0x1000..0x1_0000_0000_0000_0001"],
            &["trace", x86, "--range", "0x1000..0x1010"],
            &[
                "trace",
                x86,
                "--range",
                "0xffff800000000000..0xffff800000001000",
            ],
            &["trace", x86, "--range", page, "--level", "ptt"],
            &["trace", x86, "--range", page, "--level", "p4d"],
            &["trace", x86, "--range", page, "--features", "pcid,invpclb"],
            &["trace", x86, "--range", page, "--features", "invlpgb,pti"],
            &["trace", x86, "--range", page, "--errata", "missing"],
            &["trace", x86, "--range", page, "--geometry", "g16k"],
            &["trace", x86, "--range", page, "--limit", "invlpgb_pages=0"],
            &["trace", x86, "--range", page, "--limit", "invlpgb_pages"],
            &[
                "trace",
                x86,
                "--range",
                page,
                "--features",
                "pcid",
                "--tag",
                "0x1000",
            ],
            &[
                "trace",
                x86,
                "--range",
                page,
                "--features",
                "pcid,pti",
                "--tag",
                "0x801",
            ],
            &["trace", x86, "--range", page, "--tag", "7"],
            &[
                "trace",
                x86,
                "--range",
                page,
                "--tag",
                "0x10000000000000000",
            ],
            &[
                "trace", s390, "--range", page, "--level", "pmd", "--change", "new",
            ],
            &[
                "trace",
                s390,
                "--range",
                "0xff000..0x101000",
                "--change",
                "new",
            ],
            &["trace", x86, "--event", "arrive", "--owed", "tag"],
            &["trace", x86],
        ]),
    );
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

#[test]
fn a_reader_that_leaves_is_no_trouble() {
    let mut child = command(&root(), &["explain"]);
    let mut child = child
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

#[test]
fn results_that_cannot_be_written_are_trouble() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let full = File::options().write(true).open(full).expect("a device");
    let output = command(&root(), &["explain"]).stdout(full).output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        output
            .stderr
            .starts_with(b"error: cannot write to stdout: ")
    );
}

/// What the README shows is what its command prints.
#[test]
fn the_readme_tells_the_truth() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let command = readme
        .lines()
        .find(|line| line.contains("-- trace"))
        .unwrap();
    let (_, arguments) = command.split_once("-- trace").unwrap();
    let arguments: Vec<&str> = std::iter::once("trace")
        .chain(arguments.split_whitespace())
        .collect();
    let (_, shown) = readme.split_once("```console\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tlbc"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), shown);
}
