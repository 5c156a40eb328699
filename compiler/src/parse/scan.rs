//! What is checked before the grammar: size, nesting, and whether all that is opened is closed.
//!
//! In: a text. Out: a text of the same words in which every brace and quote is closed, so that the
//! grammar can go on, with a finding for each that was mended. Offsets stay: a mend overwrites white
//! space, or the end of a text that lacks its quote, or is appended. A text that is too large or
//! nested too deep is refused, so what follows may recurse.

use super::lex::{self, Kind};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};

/// The largest text in bytes.
const MAX_SIZE: usize = 4 << 20;
/// The deepest nesting of braces and parentheses.
const MAX_DEPTH: usize = 200;
/// Braces that are mended by indentation; it bounds the work on noise.
const MAX_ROUNDS: usize = 8;

/// A text that the grammar can take.
pub(super) struct Scanned {
    /// The mended text.
    pub(super) text: String,
    /// What was mended.
    pub(super) findings: Vec<Diagnostic>,
}

/// An opening brace or parenthesis.
struct Opener {
    at: usize,
    brace: bool,
    /// Columns before the line that it stands on.
    indent: usize,
    /// Columns before the first line inside.
    inner: Option<usize>,
}

/// A brace that must be closed before some place, by the indentation of what stands there.
struct Suspect {
    opener: usize,
    noticed: usize,
    /// Behind the last word before that place.
    end: usize,
}

/// What a walk over the braces finds.
struct Braces {
    /// The braces that are left open, outermost first.
    open: Vec<usize>,
    suspect: Option<Suspect>,
}

/// Checks and mends `text`.
pub(super) fn scan(file: FileId, text: &str) -> Result<Scanned, Box<Diagnostic>> {
    if text.len() > MAX_SIZE {
        let message = format!(
            "the file has {} bytes, and {MAX_SIZE} is the most",
            text.len()
        );
        return Err(Box::new(Diagnostic::new(
            Code::E0105,
            Span::new(file, 0..0),
            message,
        )));
    }
    let mut bytes = text.as_bytes().to_vec();
    let mut findings = Vec::new();
    for (kind, range) in lex::tokens(text, 0) {
        if kind == Kind::Unclosed {
            findings.push(unclosed_text(file, range.start, range.end));
            close_text(&mut bytes, text, range.start, range.end);
        }
    }
    let mut text = into_text(bytes);
    // Each round mends one brace that the indentation gives away; the last closes what is left.
    for round in 0..=MAX_ROUNDS {
        let braces = braces(file, &text)?;
        if braces.open.is_empty() {
            break;
        }
        let Some(suspect) = braces.suspect.filter(|_| round < MAX_ROUNDS) else {
            let end = text.len();
            for &opener in &braces.open {
                findings.push(unclosed_brace(file, opener).because(
                    Span::new(file, end..end),
                    "the file ends before the closing `}`",
                ));
            }
            text.extend(braces.open.iter().map(|_| '}'));
            break;
        };
        let noticed = Span::new(file, suspect.noticed..suspect.noticed + 1);
        findings.push(
            unclosed_brace(file, suspect.opener)
                .because(noticed, "by its indentation this stands outside of it"),
        );
        if !overwrite(&mut text, suspect.end, '}') {
            text.push('}');
        }
    }
    Ok(Scanned { text, findings })
}

/// Writes `mark` over the white space at `at`, if there is any.
pub(super) fn overwrite(text: &mut String, at: usize, mark: char) -> bool {
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
        "a text ends on its line, and this line ends here",
    )
}

fn unclosed_brace(file: FileId, at: usize) -> Diagnostic {
    Diagnostic::new(
        Code::E0102,
        Span::new(file, at..at + 1),
        "this `{` is never closed",
    )
}

/// Puts the missing quote where the text most likely was to end: before ` {`, or before the last
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

fn braces(file: FileId, text: &str) -> Result<Braces, Box<Diagnostic>> {
    let mut stack: Vec<Opener> = Vec::new();
    let mut suspect = None;
    let mut previous_end = 0;
    let mut indent = 0;
    for (kind, range) in lex::tokens(text, 0) {
        let at = range.start;
        let between = &text[previous_end..at];
        if previous_end == 0 || between.contains('\n') {
            let before = between.trim_start_matches('\u{FEFF}');
            indent = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
            if let Some(opener) = stack.last_mut().filter(|opener| opener.brace) {
                let inner = *opener.inner.get_or_insert(indent);
                let outside =
                    indent < opener.indent || indent == opener.indent && kind != Kind::Mark('}');
                if inner > opener.indent && outside && suspect.is_none() {
                    suspect = Some(Suspect {
                        opener: opener.at,
                        noticed: at,
                        end: previous_end,
                    });
                }
            }
        }
        match kind {
            Kind::Mark(mark @ ('{' | '(')) => {
                if stack.len() == MAX_DEPTH {
                    let message = format!("more than {MAX_DEPTH} nested braces and parentheses");
                    return Err(Box::new(Diagnostic::new(
                        Code::E0105,
                        Span::new(file, range),
                        message,
                    )));
                }
                stack.push(Opener {
                    at,
                    brace: mark == '{',
                    indent,
                    inner: None,
                });
            }
            Kind::Mark(')') => {
                stack.pop_if(|opener| !opener.brace);
            }
            // A statement or a block ends: a parenthesis still open is the grammar's to report.
            Kind::Mark(';') => close_parentheses(&mut stack),
            Kind::Mark('}') => {
                close_parentheses(&mut stack);
                stack.pop();
            }
            _ => {}
        }
        previous_end = range.end;
    }
    close_parentheses(&mut stack);
    let open = stack.iter().filter(|opener| opener.brace);
    Ok(Braces {
        open: open.map(|opener| opener.at).collect(),
        suspect,
    })
}

fn close_parentheses(stack: &mut Vec<Opener>) {
    while stack.pop_if(|opener| !opener.brace).is_some() {}
}
