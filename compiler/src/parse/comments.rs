//! Comments in the syntax of other languages.
//!
//! In: a text. Out: the text with blanks in place of such comments, and a finding for each. Holds: the content of such
//! a comment causes no other finding; a mark that is possible in a definition begins a comment only where it is not
//! possible.

use super::lex::{self, TokenKind};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use std::ops::Range;

/// Marks that begin a comment, and the mark that ends it.
const BLOCKS: &[(&str, &str)] = &[
    ("/*", "*/"),
    ("<!--", "-->"),
    ("(*", "*)"),
    ("{-", "-}"),
    ("\"\"\"", "\"\"\""),
];

/// Marks that begin a comment up to the end of the line, where a statement may begin.
const LINES: &[&str] = &["#", "--", "%", "'"];

/// Overwrites comments of other languages with blanks, and returns a finding for each.
pub(super) fn comments(file: FileId, text: &str, bytes: &mut [u8]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let mut from = 0;
    while let Some((mark, comment)) = comment(text, from) {
        let message = format!("comments begin with `//`, not with `{mark}`");
        let span = Span::new(file, comment.start..comment.start + mark.len());
        findings.push(Diagnostic::new(Code::E0101, span, message));
        for byte in &mut bytes[comment.clone()] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        from = comment.end;
    }
    findings
}

/// Returns the first comment of another language from a place on, and the mark that it begins with.
fn comment(text: &str, from: usize) -> Option<(&'static str, Range<usize>)> {
    let line_end = |at: usize| {
        text[at..]
            .find('\n')
            .map_or(text.len(), |length| at + length)
    };
    // A comment begins where a statement could begin.
    let mut may_begin = true;
    let mut ended = true;
    let mut end = from;
    for (kind, range) in lex::tokens(text, from) {
        let (rest, breaks) = (&text[range.start..], text[end..range.start].contains('\n'));
        let block = BLOCKS.iter().find(|(open, _)| rest.starts_with(open));
        if let Some((open, close)) = block.filter(|(open, _)| *open == "/*" || may_begin || breaks)
        {
            let close = rest[open.len()..]
                .find(close)
                .map(|at| at + open.len() + close.len());
            let end = close.map_or(line_end(range.start), |length| range.start + length);
            return Some((open, range.start..end));
        }
        let line = LINES.iter().find(|mark| rest.starts_with(**mark));
        if let Some(mark) = line.filter(|_| may_begin || breaks) {
            return Some((mark, range.start..line_end(range.start)));
        }
        // One that ends a statement may be on the next line, or alone.
        if kind == TokenKind::Mark(';') && breaks && ended && !is_alone(&rest[1..]) {
            return Some((";", range.start..line_end(range.start)));
        }
        may_begin = matches!(kind, TokenKind::Mark(';' | '{' | '}' | ','));
        ended = matches!(kind, TokenKind::Mark(';' | '{' | '}'));
        end = range.end;
    }
    None
}

/// Returns whether nothing follows on the line, or another comment.
fn is_alone(rest: &str) -> bool {
    let line = rest.lines().next().unwrap_or_default().trim();
    line.is_empty() || line.starts_with("//")
}
