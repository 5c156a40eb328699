//! Checks before the grammar: size, nesting, and whether braces and quotes are closed.
//!
//! In: a text. Out: a text of the same words in which every brace and quote is closed, so that the
//! grammar can continue, with a finding for each repair. Offsets do not change: a repair overwrites white
//! space, or the end of a text that lacks its quote, or is appended. A text that is too large or
//! nested too deeply is rejected, so later stages may recurse.

use super::braces::{self, MAX_DEPTH, Mismatch};
use super::comments::comments;
use super::lex::{self, TokenKind};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};

/// The largest text in bytes.
const MAX_SIZE: usize = 4 << 20;
/// The most braces that are repaired; it bounds the work on noise.
const MAX_ROUNDS: usize = 8;

/// A text that the grammar can take.
pub(super) struct Scanned {
    pub(super) text: String,
    pub(super) findings: Vec<Diagnostic>,
}

/// Checks and repairs `text`.
pub(super) fn scan(file: FileId, text: &str) -> Result<Scanned, Box<Diagnostic>> {
    if text.len() > MAX_SIZE {
        let message = format!("the file has {} bytes; the most is {MAX_SIZE}", text.len());
        return Err(Box::new(Diagnostic::new(
            Code::E0105,
            Span::new(file, 0..0),
            message,
        )));
    }
    let mut bytes = text.as_bytes().to_vec();
    let mut findings = comments(file, text, &mut bytes);
    let text = into_text(bytes);
    let mut bytes = text.as_bytes().to_vec();
    for (kind, range) in lex::tokens(&text, 0) {
        if kind == TokenKind::Unclosed {
            findings.push(unclosed_text(file, range.start, range.end));
            close_text(&mut bytes, &text, range.start, range.end);
        }
    }
    let mut text = into_text(bytes);
    // Each round repairs one brace; the last closes what is left.
    for round in 0..=MAX_ROUNDS {
        let Some(mismatch) = braces::mismatch(&text, round < MAX_ROUNDS) else {
            break;
        };
        let place = |at: usize| Span::new(file, at..at + 1);
        match mismatch {
            Mismatch::TooDeep(at) => {
                let message = format!("more than {MAX_DEPTH} nested braces and parentheses");
                return Err(Box::new(Diagnostic::new(Code::E0105, place(at), message)));
            }
            Mismatch::TooMany(at) => {
                findings.push(
                    Diagnostic::new(Code::E0101, place(at), "this `}` closes no block")
                        .help("remove it, or add the `{` that it should close"),
                );
                text.replace_range(at..=at, " ");
            }
            Mismatch::Doubled(at) => {
                findings.push(
                    Diagnostic::new(Code::E0101, place(at), "this `{` opens the block again")
                        .label("the block is open already"),
                );
                text.replace_range(at..=at, " ");
            }
            Mismatch::Unclosed(block) => {
                let why = if block.by_indentation {
                    "by its indentation this is outside of the block"
                } else {
                    "this is not possible inside of the block"
                };
                findings
                    .push(unclosed_brace(file, block.opener).because(place(block.outside), why));
                if !overwrite(&mut text, block.end, '}') {
                    text.push('}');
                }
            }
            Mismatch::Open(open) => {
                let end = text.len();
                for &opener in &open {
                    findings.push(unclosed_brace(file, opener).because(
                        Span::new(file, end..end),
                        "the file ends before the closing `}`",
                    ));
                }
                text.extend(open.iter().map(|_| '}'));
                break;
            }
        }
    }
    Ok(Scanned { text, findings })
}

/// Writes `mark` over the white space at `at`, if there is any.
fn overwrite(text: &mut String, at: usize, mark: char) -> bool {
    let blank = text[at..].starts_with(|c: char| c.is_ascii_whitespace());
    if blank {
        text.replace_range(at..=at, mark.encode_utf8(&mut [0; 4]));
    }
    blank
}

fn unclosed_text(file: FileId, start: usize, end: usize) -> Diagnostic {
    Diagnostic::new(
        Code::E0102,
        Span::new(file, start..start + 1),
        "this `\"` is never closed",
    )
    .because(
        Span::new(file, end..end),
        "a text ends on the line on which it begins, and the line ends here",
    )
}

fn unclosed_brace(file: FileId, at: usize) -> Diagnostic {
    Diagnostic::new(
        Code::E0102,
        Span::new(file, at..at + 1),
        "this `{` is never closed",
    )
}

/// Puts the missing quote where the text should probably end: before ` {`, or before the last
/// mark of the line. The text of the line changes, its length does not.
fn close_text(bytes: &mut [u8], text: &str, start: usize, end: usize) {
    let line = &text[start..end];
    let mut close = match line.find(" {") {
        Some(at) => start + at,
        None if line.ends_with(';') && line.len() > 2 => end - 2,
        // Over the line break, or over nothing at the end of the file.
        None => end,
    };
    while !text.is_char_boundary(close) {
        close -= 1;
    }
    let length = text[close..].chars().next().map_or(0, char::len_utf8);
    if let [blanks @ .., quote] = &mut bytes[close..close + length] {
        blanks.fill(b' ');
        *quote = b'"';
    }
}

fn into_text(bytes: Vec<u8>) -> String {
    // Only whole characters were overwritten.
    String::from_utf8(bytes).unwrap_or_default()
}
