//! Characters that show another text than there is.
//!
//! In: a text. Out: a finding for each. A file with one is not looked at any further: what its reader sees
//! may not be what it says.

use super::recover::MAX_FINDINGS;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::hidden::is_hidden;
use crate::source::{FileId, Span};

/// The findings, and how many more there are.
pub(super) fn find(file: FileId, text: &str) -> (Vec<Diagnostic>, usize) {
    let bytes = text.as_bytes();
    let ends_line = |at: usize| bytes.get(at + 1) == Some(&b'\n');
    // A mark of the byte order may begin a file.
    let is_mark = |at: usize, c: char| at == 0 && c == '\u{feff}';
    let hidden = text
        .char_indices()
        .filter(|&(at, c)| is_hidden(c) && !(c == '\r' && ends_line(at)) && !is_mark(at, c));
    let found = |(at, c): (usize, char)| {
        let span = Span::new(file, at..at + c.len_utf8());
        let what = if c.is_control() {
            "is a control character"
        } else {
            "changes how the text is shown"
        };
        Diagnostic::new(
            Code::E0108,
            span,
            format!("the character U+{:04X} {what}", u32::from(c)),
        )
        .label("here")
        .note("what people read in this file would not be what the compiler reads")
        .help(
            "remove it; texts and comments may hold any letter, and line breaks and tabs are fine",
        )
    };
    let count = hidden.clone().count();
    let listed: Vec<Diagnostic> = hidden.take(MAX_FINDINGS).map(found).collect();
    let more = count - listed.len();
    (listed, more)
}
