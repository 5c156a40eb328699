//! Standard input, and output that cannot be written because its reader ended or the device is full.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use crate::support::{command, root, shipped, tlbc_reading};

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
fn a_closed_pipe_is_not_an_error() {
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
fn results_that_cannot_be_written_are_an_error() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    for arguments in [
        &["explain"][..],
        &["--help"],
        &["check", "--help"],
        &["--version"],
    ] {
        let full = File::options().write(true).open(full).expect("a device");
        let output = command(&root(), arguments).stdout(full).output();
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let complaint = b"error: cannot write to stdout: ";
        assert!(output.stderr.starts_with(complaint), "{arguments:?}");
    }
}

#[test]
fn control_characters_are_escaped() {
    let directory = tempfile::tempdir().expect("a directory");
    let name = "a\u{1b}[31m\u{202e}.arch";
    let path = directory.path().join(name);
    if std::fs::write(&path, shipped("x86_64.arch")).is_err() {
        // Some systems do not accept such names.
        return;
    }
    let arguments = [
        vec!["gen", name, "--out", "out\u{1b}"],
        vec!["check", "b\u{9b}.arch"],
        vec!["trace", name, "--range", "\u{1b}"],
        vec!["trace", name, "--features", "\u{202e}"],
        vec!["\u{1b}[31m"],
        vec!["new", "x\u{1b}"],
        vec!["check", "--message-format", "short", name],
        vec!["check", "--message-format", "json", name],
        vec!["doc", name],
        vec!["matrix", name],
        vec!["diff", name, "--out", "out\u{7}"],
        vec!["explain", "\u{9b}"],
        vec!["check", "\r\u{202e}"],
        vec!["trace", "slate.arch", "--level", "\u{1b}", "--everything"],
    ];
    for arguments in arguments {
        let run = tlbc_reading(directory.path(), &arguments, b"");
        let all = run.stdout + &run.stderr;
        assert!(!all.is_empty(), "{arguments:?}");
        assert!(!all.contains(tlbc::hidden::is_hidden), "{all:?}");
    }
}
