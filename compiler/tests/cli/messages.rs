//! Errors for scripts: a JSON object on each line of stderr, however a command ends.

use std::fs;

use serde_json::Value;
use tlbc::hidden::spelt;

use crate::project;
use crate::support::{Run, tlbc};

/// Returns the objects on stderr.
fn objects(run: &Run) -> Vec<Value> {
    let object = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        assert!(value["message"].is_string(), "{line}");
        value
    };
    run.stderr.lines().map(object).collect()
}

/// Returns a text without its layout.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn all_that_goes_wrong_is_an_object() {
    let project = project();
    let bad = "arch bad {\n    barrier dsb \"dsb\";\n}\n";
    fs::write(project.path().join("bad.arch"), bad).expect("a file");
    fs::write(project.path().join("full"), "").expect("a file");
    let x86 = "archdefs/x86_64.arch";
    let runs: [&[&str]; 22] = [
        &["check", "nowhere.arch"],
        &["check", "full"],
        &["check", "--deny", "warning"],
        &["check", "--no-such-option"],
        &["check", "bad.arch"],
        &["gen", "nowhere.arch"],
        &["gen", "--out", "full"],
        &["gen", "--check"],
        &["gen", "--check", "--out"],
        &["diff", "nowhere"],
        &["diff"],
        &["doc", "nowhere"],
        &["matrix", "bad.arch"],
        &["matrix", "--format", "pdf"],
        &["trace", "nowhere", "--everything"],
        &["trace", x86],
        &["trace", x86, "--range", "0x1000"],
        &["trace", x86, "--range", "0x1000..0x1010"],
        &["trace", x86, "--everything", "--level", "pte"],
        &["trace", x86, "--everything", "--features", "invpclb"],
        &["no-such-command"],
        &["check", "a\u{1b}[31m", "b\n{}"],
    ];
    for arguments in runs {
        let text = tlbc(project.path(), arguments);
        for form in [
            &["--message-format", "json"][..],
            &["--message-format=json"],
        ] {
            let arguments = [arguments, form].concat();
            let json = tlbc(project.path(), &arguments);
            assert_eq!(text.code, json.code, "{arguments:?}");
            assert_ne!(json.code, Some(0), "{arguments:?}");
            let objects = objects(&json);
            assert!(!objects.is_empty(), "{arguments:?}");
            if json.code != Some(2) {
                continue;
            }
            let [object] = objects.as_slice() else {
                panic!("{arguments:?}: {}", json.stderr);
            };
            assert_eq!(
                (&object["code"], &object["severity"]),
                (&Value::Null, &Value::from("error"))
            );
            // The usage line differs: it repeats the options.
            let (said, _) = text
                .stderr
                .split_once("Usage:")
                .unwrap_or((&text.stderr, ""));
            let notes = object["notes"].as_array().expect("notes").iter();
            let parts = std::iter::once(&object["message"]).chain(notes);
            let parts: Vec<&str> = parts.map(|part| part.as_str().expect("a text")).collect();
            let whole = words(&spelt(&format!("error: {}", parts.join(" "))));
            let is_usage = text.stderr.contains("Usage:");
            assert!(
                is_usage && whole.starts_with(&words(said)) || whole == words(&text.stderr),
                "{arguments:?}: {whole}"
            );
        }
    }
}

/// What follows `--` is a path, and an option takes its value from the next argument alone.
#[test]
fn words_that_are_no_option_ask_for_nothing() {
    let project = project();
    for arguments in [
        &["check", "--", "--message-format=json"][..],
        &["check", "--message-format", "short", "json"],
        &["check", "nowhere", "--message-format", "jsonl"],
    ] {
        let run = tlbc(project.path(), arguments);
        assert!(
            run.stderr.starts_with("error: "),
            "{arguments:?}: {}",
            run.stderr
        );
    }
}
