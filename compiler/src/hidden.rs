//! Characters that make a text look different from what it is.
//!
//! In: any text. Out: whether a character is one of these, and the text with each of them escaped. Terminals execute
//! control characters, bidirectional controls change the order in which other characters are shown, and some
//! characters are invisible. A reader of a definition, or of a message about one, would see a different text than the
//! compiler.

use std::fmt::{self, Write as _};

/// Returns whether a character is a control character other than a line break and a tab, a bidirectional control, a
/// separator that some programs take for a line break, or invisible. The joiners U+200C and U+200D are allowed, because
/// some scripts need them.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        other => other.is_control(),
    }
}

/// Returns the text with each hidden character escaped as in `\u{202e}`, so that it can be written to a terminal.
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

/// Returns the text escaped and on one line, so that it cannot start another line of output.
#[must_use]
pub fn one_line(text: impl fmt::Display) -> String {
    spelt(&text.to_string()).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(
            one_line("a\ncargo::error=b\u{1b}"),
            "a\\ncargo::error=b\\u{1b}"
        );
    }
}
