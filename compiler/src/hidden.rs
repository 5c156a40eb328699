//! Characters that show another text than there is.
//!
//! In: any text. Out: whether a character is one of those, and the text with each of them spelt out. A
//! terminal obeys control characters, and bidirectional controls change the order in which others are shown:
//! a reader of a definition, or of a message about one, would see something else than the compiler.

use std::fmt::Write as _;

/// Whether a character is a control character other than a line break and a tab, a bidirectional control, or
/// a separator that some programs take for a line break.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => true,
        other => other.is_control(),
    }
}

/// The text with each of these characters as `\u{202e}`, so that it can be written to a terminal.
#[must_use]
pub fn spelt(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}
