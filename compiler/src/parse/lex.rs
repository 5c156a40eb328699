//! Words of a text, for what must be known before the grammar or in addition to it.
//!
//! In: any text. Out: its tokens in order, with white space and comments left out. Every character
//! belongs to a token, to white space or to a comment, so no text is an error here.

use std::ops::Range;

/// The kind of a token, by its first character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Letters, digits and `_`, and variables between them: `vale1{is}`.
    Word,
    /// A text with both its quotes.
    Text,
    /// A text that its line ends.
    Unclosed,
    Mark(char),
}

/// A token and its bytes.
pub(super) type Token = (TokenKind, Range<usize>);

/// Returns the tokens of `text` from byte `at` on, which must not lie within a token.
pub(super) fn tokens(text: &str, mut at: usize) -> impl Iterator<Item = Token> {
    std::iter::from_fn(move || {
        loop {
            let rest = &text[at..];
            let skipped = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else {
                let is_space = |c: char| c.is_ascii_whitespace() || c == '\u{FEFF}';
                rest.len() - rest.trim_start_matches(is_space).len()
            };
            if skipped == 0 {
                break;
            }
            at += skipped;
        }
        let (kind, length) = token(&text[at..])?;
        let range = at..at + length;
        at = range.end;
        Some((kind, range))
    })
}

/// Returns the token at the start of `rest` and its length.
fn token(rest: &str) -> Option<(TokenKind, usize)> {
    let first = rest.chars().next()?;
    if first == '"' {
        // A text ends on its line.
        let end = rest[1..].find(['"', '\n']).map_or(rest.len(), |at| at + 1);
        return Some(if rest[end..].starts_with('"') {
            (TokenKind::Text, end + 1)
        } else {
            (TokenKind::Unclosed, rest[..end].trim_end().len())
        });
    }
    let mut length = 0;
    loop {
        let rest = &rest[length..];
        let part = word(rest).max(variable(rest));
        if part == 0 {
            break;
        }
        length += part;
    }
    Some(if length > 0 {
        (TokenKind::Word, length)
    } else {
        (TokenKind::Mark(first), first.len_utf8())
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the length of the letters, digits and `_` at the start of `rest`.
fn word(rest: &str) -> usize {
    rest.find(|c| !is_word(c)).unwrap_or(rest.len())
}

/// Returns the length of the `{variable}` at the start of `rest`, or 0. A block of one word looks the same, unless it
/// has blanks within its braces.
fn variable(rest: &str) -> usize {
    let Some(inside) = rest.strip_prefix('{') else {
        return 0;
    };
    let length = word(inside);
    if length > 0 && inside[length..].starts_with('}') {
        length + 2
    } else {
        0
    }
}
