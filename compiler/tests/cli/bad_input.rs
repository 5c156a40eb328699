//! Invalid input: a clear message with its place, the right exit code, no written file, and never a panic.

use crate::snapshot;
use crate::support::{Run, names_in, shipped, tlbc, tlbc_reading};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

fn empty() -> TempDir {
    TempDir::new().expect("a directory")
}

/// Checks a file with these bytes. Returns the exit code and the messages.
fn check(name: &str, bytes: &[u8]) -> (Option<i32>, String) {
    let directory = empty();
    fs::write(directory.path().join(name), bytes).expect("a file");
    let run = tlbc(
        directory.path(),
        &["check", name, "--message-format", "short"],
    );
    let human = tlbc(directory.path(), &["check", name]);
    assert_eq!(human.code, run.code);
    let generated = tlbc(directory.path(), &["gen", name, "--out", "out"]);
    assert_eq!(generated.code, run.code);
    assert_eq!(directory.path().join("out").exists(), run.code == Some(0));
    (run.code, run.stdout + &run.stderr)
}

fn within(items: &str) -> String {
    format!("arch m {{\n    {items}\n}}\n")
}

#[test]
fn texts() {
    let noise: Vec<u8> = (0..10 << 20)
        .map(|i: u32| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    let printable: Vec<u8> = noise.iter().map(|byte| b' ' + byte % 95).collect();
    let braces = "{".repeat(100_000) + &"}".repeat(100_000);
    let number = within("tag t { 99999999999999999999 bits; reserved 0x1_0000_0000_0000_0000; }");
    let twice = within("feature a \"a\";\n    feature a \"a\";");
    let unknown = within("feature a \"a\" needs b;");
    let circle = within(
        "feature one \"1\" needs two;\n    feature two \"2\" needs three;\n    feature three \"3\" needs one;",
    );
    let renamed = |name: &str| {
        let text = shipped("x86_64.arch");
        text.replace("arch x86_64", &format!("arch {name}"))
    };
    let cases: [(&str, Vec<u8>); 14] = [
        ("empty.arch", Vec::new()),
        ("blank.arch", b"\r\n\r\n".into()),
        ("mark.arch", b"\xef\xbb\xbf".into()),
        ("latin.arch", b"arch m {\n    // \xe9t\xe9\n}\n".into()),
        ("wide.arch", b"\xff\xfea\0r\0c\0h\0".into()),
        ("noise.arch", noise),
        ("printable.arch", printable),
        ("braces.arch", within(&braces).into()),
        ("number.arch", number.into()),
        ("twice.arch", twice.into()),
        ("unknown.arch", unknown.into()),
        ("circle.arch", circle.into()),
        ("keyword.arch", renamed("fn").into()),
        ("lib.arch", renamed("lib").into()),
    ];
    let mut shown = String::new();
    for (name, bytes) in cases {
        let (code, said) = check(name, &bytes);
        assert_eq!(code, Some(1), "{name}: {said}");
        // Other tests check the diagnostics about missing statements.
        for line in said.lines().filter(|line| !line.contains("error[E0203]")) {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    snapshot("bad_input", &shown);
}

#[test]
fn foreign_line_ends_and_byte_order_marks_are_accepted() {
    let dos = shipped("x86_64.arch").replace('\n', "\r\n");
    for text in [dos.clone(), format!("\u{FEFF}{dos}")] {
        let (code, said) = check("x86_64.arch", text.as_bytes());
        assert_eq!(
            (code, said.as_str()),
            (Some(0), "1 definition, no errors\n")
        );
    }
}

#[test]
fn standard_input_without_a_definition() {
    let run = tlbc_reading(
        empty().path(),
        &["check", "-", "--message-format", "short"],
        b"",
    );
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.starts_with("<stdin>:1:1: error["),
        "{}",
        run.stderr
    );
}

/// Findings of what can be read are not hidden by a file that cannot be.
#[test]
fn what_can_be_read_is_checked() {
    let directory = empty();
    fs::write(directory.path().join("cut.arch"), "arch cut {").expect("a file");
    let missing = "error: cannot read nowhere.arch: No such file or directory (os error 2)\n";
    let check = |arguments: &[&str]| {
        let all = [&["check", "nowhere.arch", "cut.arch"], arguments].concat();
        let run = tlbc(directory.path(), &all);
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (Some(2), ""),
            "{}",
            run.stderr
        );
        run.stderr
    };
    let said = check(&["--message-format", "short"]);
    let findings = said.strip_prefix(missing).expect("why it cannot be read");
    assert!(findings.starts_with("cut.arch:1:"), "{said}");
    let json = check(&["--message-format", "json"]);
    let lines: Vec<&str> = json.lines().collect();
    assert!(lines.len() > 1, "{json}");
    assert!(lines.iter().all(|line| line.starts_with('{')), "{json}");
    assert!(lines[0].contains("cannot read nowhere.arch"), "{json}");
}

#[test]
fn paths() {
    let directory = empty();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("bare")).expect("a directory");
    fs::write(at("bare/.#hidden.arch"), "").expect("a file");
    fs::create_dir(at("bare/directory.arch")).expect("a directory");
    let said = |arguments: &[&str]| {
        let run = tlbc(directory.path(), arguments);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        run.stderr
    };
    let no_file = "error: cannot read nowhere.arch: No such file or directory (os error 2)\n";
    assert_eq!(said(&["check", "nowhere.arch"]), no_file);
    assert_eq!(said(&["gen", "nowhere.arch"]), no_file);
    assert_eq!(said(&["trace", "nowhere.arch", "--everything"]), no_file);
    let no_default = said(&["check"]);
    assert_eq!(
        no_default,
        "error: there is no directory archdefs here\n  \
         give the PATH of a definition or of a directory with definitions; archdefs is the default\n"
    );
    assert_eq!(
        said(&["check", "nowhere.arch", "bare", "gone.arch"]),
        "error: cannot read nowhere.arch: No such file or directory (os error 2)\n\
         no *.arch file in directory bare\n\
         cannot read gone.arch: No such file or directory (os error 2)\n"
    );
    assert_eq!(
        said(&["check", "bare"]),
        "error: no *.arch file in directory bare\n"
    );
    let directory = said(&["check", "bare/directory.arch"]);
    assert_eq!(
        directory,
        "error: no *.arch file in directory bare/directory.arch\n"
    );
}

#[test]
#[cfg(unix)]
fn an_endless_file_is_refused() {
    let run = tlbc(Path::new("/"), &["check", "dev/zero"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("more than 64 MiB"), "{}", run.stderr);
}

/// A pipe has no writer, and reading it would not end.
#[test]
#[cfg(unix)]
fn a_pipe_in_a_directory_is_no_definition() {
    let directory = good();
    let pipe = directory.path().join("pipe.arch");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let run = tlbc(directory.path(), &["check", "."]);
    assert_eq!(
        (run.code, &*run.stdout),
        (Some(0), "1 definition, no errors\n")
    );
}

/// Creates a directory with a valid definition.
fn good() -> TempDir {
    let directory = empty();
    fs::write(directory.path().join("x86_64.arch"), shipped("x86_64.arch")).expect("a file");
    directory
}

#[test]
fn outputs_that_cannot_be_written() {
    let directory = good();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("file"), "mine").expect("a file");
    fs::create_dir_all(at("taken/x86_64.rs")).expect("a directory");
    let mut said = String::new();
    for out in ["file", "file/below", "taken"] {
        let run = tlbc(directory.path(), &["gen", ".", "--out", out]);
        assert_eq!(run.code, Some(2));
        said += &run.stderr;
    }
    assert_eq!(
        said,
        "error: file is there already, and is no directory\n  \
         name the directory of the files that are written\n\
         error: file is there already, and is no directory\n  \
         name the directory of the files that are written\n\
         error: cannot read taken/x86_64.rs: Is a directory (os error 21)\n"
    );
    assert_eq!(names_in(directory.path()), ["file", "taken", "x86_64.arch"]);
    assert_eq!(fs::read_to_string(at("file")).expect("a file"), "mine");
    assert_eq!(names_in(&at("taken")), ["x86_64.rs"]);
}

#[test]
#[cfg(unix)]
fn a_full_disk_leaves_the_old_files() {
    let directory = good();
    let out = directory.path().join("out");
    fs::create_dir(&out).expect("a directory");
    fs::write(out.join("lib.rs"), "// @generated by tlbc. Old.\n").expect("a file");
    // A limit on the size of files simulates a full disk, which only root could create.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args([
            "-c",
            script,
            env!("CARGO_BIN_EXE_tlbc"),
            "gen",
            ".",
            "--out",
            "out",
        ])
        .current_dir(directory.path())
        .output();
    let run = Run::from(output.expect("it runs"));
    run.is_sound();
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(
        run.stderr
            .starts_with("error: cannot write out/x86_64.rs: "),
        "{}",
        run.stderr
    );
    assert_eq!(names_in(&out), ["lib.rs"]);
    assert_eq!(
        fs::read_to_string(out.join("lib.rs")).expect("a file"),
        "// @generated by tlbc. Old.\n"
    );
}
