//! Characters that make the text look different from what it is.
//!
//! In: a text. Out: a finding for each such character, with its other places. Nothing else is reported about a file
//! with one, because its reader may not see what it says.

use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::hidden::is_hidden;
use crate::source::{FileId, Span};
use std::collections::BTreeMap;

/// Returns the findings.
pub(super) fn find(file: FileId, text: &str) -> Vec<Diagnostic> {
    let bytes = text.as_bytes();
    let ends_line = |at: usize| bytes.get(at + 1) == Some(&b'\n');
    // A file may begin with a byte-order mark.
    let is_mark = |at: usize, c: char| at == 0 && c == '\u{feff}';
    let hidden = text
        .char_indices()
        .filter(|&(at, c)| is_hidden(c) && !(c == '\r' && ends_line(at)) && !is_mark(at, c));
    let mut found: BTreeMap<char, Diagnostic> = BTreeMap::new();
    for (at, c) in hidden {
        let span = Span::new(file, at..at + c.len_utf8());
        found
            .entry(c)
            .and_modify(|first| first.also.push(span))
            .or_insert_with(|| finding(c, span));
    }
    found.into_values().collect()
}

fn finding(c: char, span: Span) -> Diagnostic {
    if c == '\r' {
        return Diagnostic::new(Code::E0108, span, "a carriage return without a line feed")
            .label("here")
            .note("the compiler reads this as one line, and a terminal overwrites its beginning")
            .help("save the file with line feeds, or with both, as line ends");
    }
    let what = if c.is_control() {
        "is a control character"
    } else {
        "changes how the text is displayed"
    };
    let code = u32::from(c);
    Diagnostic::new(
        Code::E0108,
        span,
        format!("the character U+{code:04X} {what}"),
    )
    .label("here")
    .note("readers of this file would not see what the compiler reads")
    .help("remove it; texts and comments may hold any letter, and line breaks and tabs are fine")
}
