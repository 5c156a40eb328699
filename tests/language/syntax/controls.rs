//! Characters that make the text look different from what it is: rejected, and never written to a terminal unescaped.

use tlbc::hidden::{is_hidden, spelt};
use tlbc::render::{Format, render};
use tlbc::source::Files;

use crate::syntax::{parsed, shipped};

/// Those that are refused, and their neighbours that are not.
const REFUSED: &str = "\u{0}\u{1}\u{7}\u{8}\u{b}\u{c}\u{1b}\u{1f}\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{ad}\u{180e}\u{200b}\u{2060}\u{2064}\u{feff}\u{fff9}\u{fffb}\u{e0001}\u{e007f}";
const TAKEN: &str =
    "\t ~\u{a0}\u{e9}\u{61b}\u{200d}\u{2027}\u{202f}\u{205f}\u{2070}\u{5d0}\u{1f600}";

#[test]
fn they_are_refused_wherever_they_stand() {
    let arm64 = shipped("arm64.arch");
    for c in REFUSED.chars() {
        for (old, new) in [
            ("\"dsb nsh\"", format!("\"dsb{c} nsh\"")),
            ("// no CnP", format!("// {c}no CnP")),
            ("of machine;", format!("of {c}machine;")),
            ("/// Arm A-profile", format!("/// Arm {c}A-profile")),
        ] {
            let text = arm64.replacen(old, &new, 1);
            let (files, arch, found) = parsed(&text);
            assert_eq!(arch, None);
            assert_eq!(found.len(), 1, "{c:?}");
            assert_eq!(found[0].code.name(), "E0108");
            let at = found[0].primary.span.range();
            assert_eq!(text[at].chars().next(), Some(c));
            for (format, color) in [
                (Format::Human, false),
                (Format::Short, false),
                (Format::Json, false),
            ] {
                let shown = render(&files, &found, format, color);
                assert!(!shown.contains(is_hidden), "{shown:?}");
            }
        }
    }
}

#[test]
fn others_and_line_ends_are_taken() {
    let arm64 = shipped("arm64.arch");
    let text = arm64.replacen("// no CnP", &format!("// {TAKEN}"), 1);
    assert_eq!(parsed(&text).2, []);
    assert_eq!(parsed(&arm64.replace('\n', "\r\n")).2, []);
    // A terminal goes back to the start of the line.
    let alone = arm64.replacen("// no CnP", "// no\rCnP", 1);
    assert_eq!(parsed(&alone).2[0].code.name(), "E0108");
}

#[test]
fn each_is_reported_once_with_its_other_places() {
    let text = format!("arch m {{ // {}\u{1b}\n}}\n", "\u{202e}".repeat(1000));
    let (_, _, found) = parsed(&text);
    let places: Vec<_> = found
        .iter()
        .map(|d| (d.message.as_str(), d.also.len()))
        .collect();
    assert_eq!(
        places,
        [
            ("the character U+001B is a control character", 0),
            (
                "the character U+202E changes how the text is displayed",
                999
            ),
        ]
    );
    // A file with the line ends of old Macs.
    let (files, _, found) = parsed(&shipped("arm64.arch").replace('\n', "\r"));
    assert_eq!(found.len(), 1);
    let shown = render(&files, &found, Format::Short, false);
    assert!(
        shown.contains("a carriage return without a line feed (and "),
        "{shown}"
    );
}

#[test]
fn names_of_files_are_spelt_out() {
    let mut files = Files::default();
    let file = files.add("a\u{1b}[31m\u{202e}.arch", "arch m { x; }");
    let (_, found) = tlbc::parse::parse(&files, file);
    for format in [Format::Human, Format::Short, Format::Json] {
        let shown = render(&files, &found, format, false);
        assert!(!shown.contains(is_hidden), "{shown:?}");
    }
    let shown = render(&files, &found, Format::Short, false);
    assert!(
        shown.starts_with("a\\u{1b}[31m\\u{202e}.arch:1:10: error[E0101]"),
        "{shown}"
    );
    assert_eq!(spelt("a\tb\nc\u{9b}"), "a\tb\nc\\u{9b}");
}
