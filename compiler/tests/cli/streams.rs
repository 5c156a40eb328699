//! Standard input, and readers of the output that leave or are full.

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
