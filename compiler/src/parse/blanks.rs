//! Blanks: the `???` that a new definition has wherever a fact is still missing.
//!
//! In: a text. Out: a finding for each blank outside of comments, with its question. While one
//! is left nothing else is reported about the file, because most of it would follow from the blanks.
//!
//! The question is in a comment that begins with `?`: after the blank on its line, or else the
//! last such comment directly above it. Without one, the message names the statement of the blank.

use super::lex::{self, TokenKind};
use super::recover::MAX_FINDINGS;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use std::ops::Range;

/// How a blank is written; more question marks are the same one.
const BLANK: &str = "???";
/// The beginning of a comment with a question.
const QUESTION: &str = "// ?";
/// The number of words that name a statement, and their length.
const MAX_WORDS: usize = 4;
const MAX_WORD: usize = 40;

/// The blanks of a file.
#[derive(Default)]
pub(super) struct Blanks {
    /// A finding for each of the first.
    pub(super) listed: Vec<Diagnostic>,
    /// The number of further ones.
    pub(super) more: usize,
}

/// A blank, and what is around it.
struct Blank<'t> {
    at: Range<usize>,
    quoted: bool,
    /// The first words of its block.
    block: &'t [&'t str],
    /// The first words of its statement, if they precede it.
    words: &'t [&'t str],
}

/// Finds the blanks of `text`.
pub(super) fn find(file: FileId, text: &str) -> Blanks {
    let mut blanks = Blanks::default();
    if !text.contains(BLANK) {
        return blanks;
    }
    let (mut blocks, mut words) = (Vec::new(), Vec::new());
    let mut last = 0;
    for (kind, token) in lex::tokens(text, 0) {
        match kind {
            TokenKind::Word if words.len() < MAX_WORDS && token.len() <= MAX_WORD => {
                let word = &text[token.clone()];
                if !word.starts_with(|c: char| c.is_ascii_digit()) {
                    words.push(word);
                }
            }
            TokenKind::Mark(';') => words.clear(),
            TokenKind::Mark('{') => blocks.push(std::mem::take(&mut words)),
            TokenKind::Mark('}') => {
                blocks.pop();
                words.clear();
            }
            _ => {}
        }
        let quoted = matches!(kind, TokenKind::Text | TokenKind::Unclosed);
        if token.start < last || !(quoted || kind == TokenKind::Mark('?')) {
            continue;
        }
        // A text may have several; outside of one, marks are tokens of their own.
        let end = if quoted { token.end } else { text.len() };
        let mut at = token.start;
        while let Some(found) = run(text, at..end, quoted) {
            at = found.end;
            last = at;
            if blanks.listed.len() == MAX_FINDINGS {
                blanks.more += 1;
                continue;
            }
            let blank = Blank {
                at: found,
                quoted,
                block: blocks.last().map_or(&[], Vec::as_slice),
                words: &words,
            };
            blanks.listed.push(finding(file, text, &blank));
            if !quoted {
                break;
            }
        }
    }
    blanks
}

/// Returns the next blank of a text between quotes, or the one that begins right here.
fn run(text: &str, within: Range<usize>, quoted: bool) -> Option<Range<usize>> {
    let rest = &text[within.clone()];
    let start = rest.find(BLANK).filter(|&start| quoted || start == 0)?;
    let marks = rest[start..].bytes().take_while(|&byte| byte == b'?');
    let start = within.start + start;
    Some(start..start + marks.count())
}

fn finding(file: FileId, text: &str, blank: &Blank) -> Diagnostic {
    let named = blank.block.iter().take(2).copied();
    let block = named.collect::<Vec<_>>().join(" ");
    let statement = blank.words.join(" ");
    let message = match (block.as_str(), statement.as_str()) {
        ("", "") => "a blank is left".to_owned(),
        ("", before) => format!("a blank is left after `{before}`"),
        (within, "") => format!("a blank is left in `{within}`"),
        (within, before) => format!("a blank is left in `{within}`, after `{before}`"),
    };
    let label = match question(text, &blank.at) {
        Some(question) => question.to_owned(),
        None if statement.is_empty() => "what belongs here?".to_owned(),
        None => format!("`{statement}` what?"),
    };
    let help = if blank.quoted {
        "write a text between the quotes, instead of the question marks"
    } else {
        "write a number, a name or another word instead of the question marks"
    };
    Diagnostic::new(Code::E0107, Span::new(file, blank.at.clone()), message)
        .label(label)
        .help(format!(
            "{help}; delete statements that do not apply to the machine"
        ))
}

/// Returns the text with blanks in place of the comments that contain questions. These comments remain in a finished
/// definition, and messages should not quote them. Nothing if there are none.
pub fn without_questions(text: &str) -> Option<String> {
    if !text.contains(QUESTION) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let end = line.trim_end().len();
        let code = lex::tokens(&line[..end], 0)
            .map(|(_, token)| token.end)
            .last();
        let comment = &line[code.unwrap_or(0)..end];
        let is_question = comment
            .trim_start()
            .strip_prefix("//")
            .and_then(asked)
            .is_some();
        if is_question && comment.is_ascii() {
            out.push_str(&line[..end - comment.len()]);
            out.extend(std::iter::repeat_n(' ', comment.len()));
            out.push_str(&line[end..]);
        } else {
            out.push_str(line);
        }
    }
    Some(out)
}

/// Returns the question at a place.
fn question<'t>(text: &'t str, at: &Range<usize>) -> Option<&'t str> {
    let line_start = text[..at.start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let line_end = text[at.end..]
        .find('\n')
        .map_or(text.len(), |to| at.end + to);
    let after = comment_of(text, at.end..line_end).and_then(asked);
    after.or_else(|| {
        let above = text[..line_start].lines().rev();
        let mut comments = above.map_while(|line| line.trim().strip_prefix("//"));
        comments.find_map(asked)
    })
}

/// Returns the comment at the end of a line; `rest` is the rest of the line.
fn comment_of(text: &str, rest: Range<usize>) -> Option<&str> {
    // From the start of the line, so that `//` in a text is not a comment.
    let line = text[..rest.start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let tokens = lex::tokens(&text[line..rest.end], 0);
    let end = tokens.map(|(_, token)| line + token.end).last()?;
    let tail = text[end.max(rest.start)..rest.end].trim();
    tail.strip_prefix("//")
}

/// Returns the question in a comment, if it contains one.
fn asked(comment: &str) -> Option<&str> {
    let question = comment.trim().strip_prefix('?')?.trim();
    (!question.is_empty()).then_some(question)
}
