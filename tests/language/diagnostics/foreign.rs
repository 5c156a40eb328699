//! What people write if they know other languages: each slip has a suggestion.
//!
//! A line of `foreign.txt` replaces a part of the machine of `slips.rs` wherever it is, and says the help of every finding.

use crate::diagnostics::found;
use crate::diagnostics::slips::with;

/// What is right, what is written in its place, and the help, on a line each. `\n`, `\t` and `\u{...}` are escapes.
const WORDS: &str = include_str!("foreign.txt");

/// Comments of other languages, each before an item.
const COMMENTS: &[(&str, &str)] = &[
    ("; Changes", ";"),
    ("<!-- Changes\n of entries -->", "<!--"),
    ("<!-- never ends", "<!--"),
    ("% Changes, isn't it?", "%"),
    ("(* Changes { *)", "(*"),
    ("' Changes", "'"),
    ("\"\"\" Changes \"\"\"", "\"\"\""),
    ("{- Changes -}", "{-"),
    ("-- Changes }", "--"),
    ("# Changes", "#"),
    ("/* Changes", "/*"),
];

/// The text of a cell.
fn unescaped(cell: &str) -> String {
    let wide = ["\u{a0}", "\u{ff1b}", "\u{ff3b}"];
    let text = cell.replace("\\n", "\n").replace("\\t", "\t");
    wide.iter().fold(text, |text, wide| {
        text.replace(&wide.escape_unicode().to_string(), wide)
    })
}

#[test]
fn each_has_a_suggestion() {
    assert!(WORDS.lines().count() > 100);
    for line in WORDS.lines() {
        let cells: Vec<String> = line.split(" => ").map(unescaped).collect();
        let [from, to, help] = cells.as_slice() else {
            panic!("{line}");
        };
        let (_, diagnostics) = found(&with(from, to), true);
        assert!(!diagnostics.is_empty(), "{line}");
        for diagnostic in &diagnostics {
            assert_eq!(
                diagnostic.help.as_deref(),
                Some(help.as_str()),
                "{line}: {diagnostic:#?}"
            );
        }
    }
}

#[test]
fn comments_have_one_finding() {
    for &(comment, mark) in COMMENTS {
        let text = with("    change {", &format!("    {comment}\n    change {{"));
        let (_, diagnostics) = found(&text, true);
        let [only] = diagnostics.as_slice() else {
            panic!("{comment}: {diagnostics:#?}");
        };
        let message = format!("comments begin with `//`, not with `{mark}`");
        assert_eq!(only.message, message);
    }
}

/// Marks that begin a comment elsewhere and may stand in a definition.
#[test]
fn what_may_stand_is_no_comment() {
    for (from, to) in [
        ("gone; drained;", "gone\n    ; drained;"),
        ("gone; drained;", "gone\n    ;\n    drained;"),
        ("gone; drained;", "gone; // ; <!-- (* {-\n drained;"),
        ("\"order stores\"", "\"% <!-- (* #\""),
        ("    change {", "\tchange\r\n{"),
    ] {
        let (_, diagnostics) = found(&with(from, to), true);
        assert!(diagnostics.is_empty(), "{to}: {diagnostics:#?}");
    }
}
