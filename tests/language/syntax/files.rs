//! Files: what is in one, its bytes and line ends, and the formats in which it is talked about.

use tlbc::parse::decode;
use tlbc::render::{Format, render};
use tlbc::source::{FileId, Files};

use crate::syntax::{compare, messages, parsed, shipped, snapshot};

#[test]
fn definitions_per_file() {
    snapshot(
        "definitions_per_file",
        &[
            "",
            "// Nothing.\n/// Nothing either.\n",
            "arch a { }\narch b { }\n",
            "arhc m {\n    frobnicate;\n}\n",
            "module m;\narch m { }\n",
            "arch m { }\ntrailing words;\n",
            "arch { domain d is cpus; frobnicate; }\n",
        ],
    );
}

#[test]
fn byte_order_mark_and_carriage_returns() {
    let plain = "/// Text.\narch m {\n    domain d is cpus;\n    domain e are cpus;\n}\n";
    let (_, _, expected) = parsed(plain);
    let dos = format!("\u{FEFF}{}", plain.replace('\n', "\r\n"));
    let (files, arch, diagnostics) = parsed(&dos);
    assert_eq!(arch.expect("a definition").doc, ["Text."]);
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].message, expected[0].message);
    assert_eq!(files.text(diagnostics[0].primary.span), "are");
    for name in ["arm64.arch", "x86_64.arch"] {
        let dos = format!("\u{FEFF}{}", shipped(name).replace('\n', "\r\n"));
        assert_eq!(messages(&dos), [""; 0]);
    }
}

#[test]
fn bytes_that_are_no_text() {
    let mut files = Files::default();
    let latin = decode(
        &mut files,
        "latin.arch",
        b"arch m {\n    // \xe9t\xe9\n}\n".to_vec(),
    );
    let wide = decode(&mut files, "wide.arch", b"\xff\xfea\0r\0c\0h\0".to_vec());
    let found = [*latin.unwrap_err(), *wide.unwrap_err()];
    compare("bytes", &render(&files, &found, Format::Human, false));
    assert_eq!(
        decode(&mut files, "good.arch", b"arch m { }".to_vec()),
        Ok(FileId(2))
    );
}

#[test]
fn formats() {
    let text = "arch a {\n    wher \"\u{e9}\\\" x;\n}\narch b { }\n";
    let (files, _, mut diagnostics) = parsed(text);
    diagnostics.extend(diagnostics.clone());
    diagnostics.reverse();
    for (name, format) in [("short", Format::Short), ("json", Format::Json)] {
        compare(name, &render(&files, &diagnostics, format, false));
    }
    assert!(render(&files, &diagnostics, Format::Human, true).contains("\u{1b}["));
    diagnostics[0].primary.span.start = 1000;
    diagnostics[0].primary.span.end = 2000;
    for format in [Format::Human, Format::Short, Format::Json] {
        assert!(render(&files, &diagnostics, format, false).contains("x.arch"));
    }
}
