//! Every code is explained; its example fails, and the corrected example does not.

use tlbc::Diagnostic;
use tlbc::codes::Code;
use tlbc::parse::decode;
use tlbc::render::{Format, render};
use tlbc::source::Files;

use crate::diagnostics::toy::toy_with;
use crate::diagnostics::{found, snapshot};

/// The block of a section of an explanation.
fn block(code: Code, section: &str) -> Option<&'static str> {
    let (_, rest) = code
        .explanation()
        .split_once(&format!("\n## {section}\n"))?;
    let rest = rest.split("\n## ").next()?;
    let (_, rest) = rest.split_once("```arch\n")?;
    rest.split_once("\n```").map(|(block, _)| block)
}

/// Codes about the text itself, whose examples are whole files.
fn is_of_text(code: Code) -> bool {
    code.name().starts_with("E01")
}

/// An example as a file.
fn example(code: Code, block: &str) -> String {
    if is_of_text(code) {
        format!("{block}\n")
    } else {
        toy_with(block)
    }
}

#[test]
fn every_code_is_explained() {
    for code in Code::all() {
        let text = code.explanation();
        assert!(
            text.starts_with(&format!("# {code}: {}\n", code.title())),
            "{code}"
        );
        assert!(text.contains("\n## Wrong\n"), "{code}");
        assert!(text.contains("\n## Right\n"), "{code}");
        let ending = if is_of_text(code) {
            "\nThe examples are whole files; other required statements are omitted.\n"
        } else {
            "\nThe examples change a few items of the example machine; `tlbc explain toy` prints it.\n"
        };
        assert!(text.ends_with(ending), "{code}");
        let blocks = block(code, "Wrong").is_some() && block(code, "Right").is_some();
        assert!(
            blocks
                || [
                    Code::E0104,
                    Code::E0105,
                    Code::E0108,
                    Code::E0801,
                    Code::E0802,
                    Code::E0803,
                    Code::E0804
                ]
                .contains(&code),
            "{code}"
        );
    }
}

#[test]
fn every_example_fails_and_is_corrected() {
    let mut failures: Vec<String> = Vec::new();
    for code in Code::all() {
        let Some(wrong) = block(code, "Wrong") else {
            continue;
        };
        let (files, diagnostics) = found(&example(code, wrong), !is_of_text(code));
        let rendered = render(&files, &diagnostics, Format::Human, false);
        let helps = |d: &Diagnostic| d.help.is_some() || is_of_text(code);
        let good = diagnostics.iter().all(|d| d.code == code && helps(d));
        if diagnostics.is_empty() || !good {
            failures.push(format!("{code}:\n{rendered}"));
        }
        snapshot(code.name(), &format!("{wrong}\n\n{rendered}"));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_corrected_example_is_accepted() {
    let mut failures: Vec<String> = Vec::new();
    for code in Code::all() {
        if let Some(right) = block(code, "Right") {
            let (files, diagnostics) = found(&example(code, right), !is_of_text(code));
            if !diagnostics.is_empty() {
                let rendered = render(&files, &diagnostics, Format::Human, false);
                failures.push(format!("{code}:\n{rendered}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn bytes_and_sizes_that_no_block_can_show() {
    let mut files = Files::default();
    let latin = b"arch m {\n    // caf\xe9\n}\n".to_vec();
    let refused = decode(&mut files, "x.arch", latin).expect_err("no text");
    assert_eq!(refused.code, Code::E0104);
    let deep = format!("arch m {{\n{}\n}}\n", "{".repeat(1000));
    let (_, diagnostics) = found(&deep, false);
    assert_eq!(diagnostics[0].code, Code::E0105);
    let (_, diagnostics) = found("arch m { // \u{202e}\n}\n", false);
    assert_eq!(diagnostics[0].code, Code::E0108);
}

#[test]
fn codes_are_found_by_name() {
    assert_eq!(Code::named("e0301"), Some(Code::E0301));
    assert_eq!(Code::named("E9999"), None);
    let names: Vec<&str> = Code::all().map(Code::name).collect();
    assert!(names.is_sorted());
}
