//! From a text to its tree.
//!
//! In: a file of [`Files`]. Out: the [`Arch`] in it, and a diagnostic for each fault of the text. The tree holds every
//! statement that can be read, and an error node in the place of each other one and of each fault, so later stages can
//! continue; it is complete if there is no diagnostic. There is no tree if the first words of the definition cannot be read,
//! or if a blank is left. Spans are bytes of the file as it is, with byte-order mark and carriage returns.
//!
//! Six steps: `controls` rejects characters that make the text look different; `blanks` reports blanks, and then
//! nothing else is reported; `scan` rejects what is too large and closes what is left open; `Grammar` parses;
//! `recover` explains what did not fit, after which the parse is repeated with the missing marks; `tree` builds the
//! tree.

mod blanks;
mod blocks;
mod braces;
mod comments;
mod controls;
mod effects;
mod expected;
mod facts;
mod foreign;
mod items;
mod lex;
mod order;
mod recover;
mod registers;
mod scan;
mod tree;

use crate::ast::{Arch, Unread};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Files, Span};
use crate::text;
use pest::Parser;
use recover::{Findings, MAX_FINDINGS};
use scan::Scanned;
use std::collections::BTreeSet;
use tlbc_grammar::{Grammar, Rule};

/// The number of times that a file is parsed with more marks; it bounds the work on noise.
const MAX_PASSES: usize = 10;

/// Adds a source from its bytes.
///
/// # Errors
///
/// Returns a diagnostic if the bytes are not UTF-8. The source is still added, with the rest of it
/// replaced, so that the diagnostic can be shown.
pub fn decode(
    files: &mut Files,
    name: impl Into<String>,
    bytes: Vec<u8>,
) -> Result<FileId, Box<Diagnostic>> {
    let error = match String::from_utf8(bytes) {
        Ok(text) => {
            let quoted = blanks::without_questions(&text);
            let file = files.add(name, text);
            if let Some(quoted) = quoted {
                files.quote(file, quoted);
            }
            return Ok(file);
        }
        Err(error) => error,
    };
    let at = error.utf8_error().valid_up_to();
    let bytes = error.as_bytes();
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let message = if is_utf16 {
        "the file is in UTF-16, not in UTF-8".to_owned()
    } else {
        format!("byte {:#04x} is not part of a UTF-8 text", bytes[at])
    };
    // The replacement does not change offsets before this byte, which becomes one U+FFFD.
    let file = files.add(name, String::from_utf8_lossy(bytes));
    let span = Span::new(file, at..at + char::REPLACEMENT_CHARACTER.len_utf8());
    Err(Box::new(Diagnostic::new(Code::E0104, span, message).help(
        "save the file as UTF-8; everything except texts and comments is ASCII",
    )))
}

/// Parses a file.
#[must_use]
pub fn parse(files: &Files, file: FileId) -> (Option<Arch>, Vec<Diagnostic>) {
    let original = &files.get(file).text;
    let hidden = controls::find(file, original);
    if !hidden.is_empty() {
        return (None, hidden);
    }
    let blanks = blanks::find(file, original);
    if !blanks.listed.is_empty() {
        let mut left = blanks.listed;
        cap(&mut left, blanks.more);
        return (None, left);
    }
    let Scanned { mut text, findings } = match scan::scan(file, original) {
        Ok(scanned) => scanned,
        Err(refused) => return (None, vec![*refused]),
    };
    let unclosed = findings;
    let mut repaired = Vec::new();
    let mut passes = MAX_PASSES;
    let last = loop {
        let mut pass = ParseResult::new(file, &text, original.len());
        passes -= 1;
        let (missing, others): (Vec<_>, Vec<_>) =
            (pass.syntax.listed.into_iter()).partition(|f| f.repair.is_some());
        pass.syntax.listed = others;
        if passes == 0 || missing.is_empty() {
            pass.syntax.listed.extend(missing);
            break pass;
        }
        for finding in missing {
            if let Some((at, mark)) = finding.repair {
                text.replace_range(at..=at, mark.encode_utf8(&mut [0; 4]));
            }
            repaired.push(finding.diagnostic);
        }
    };
    let listed = last.syntax.listed.into_iter().map(|f| f.diagnostic);
    let syntax = repaired.into_iter().chain(listed).collect();
    let mut diagnostics = without_echoes(files, syntax, &unclosed);
    diagnostics.extend(unclosed);
    diagnostics.extend(last.diagnostics);
    diagnostics.sort_by_key(|d| d.primary.span.start);
    let mut arch = last.arch;
    if let Some(arch) = &mut arch {
        let places = diagnostics.iter().flat_map(Diagnostic::labels);
        arch.unread.extend(places.map(|label| Unread {
            words: BTreeSet::new(),
            span: label.span,
        }));
    }
    cap(&mut diagnostics, last.syntax.more);
    (arch, diagnostics)
}

/// The outcome of one parse.
struct ParseResult {
    arch: Option<Arch>,
    /// What did not fit the grammar.
    syntax: Findings,
    /// Faults of what fits the grammar.
    diagnostics: Vec<Diagnostic>,
}

impl ParseResult {
    /// Parses `text`; what is after byte `length` was appended, and no span reaches there.
    fn new(file: FileId, text: &str, length: usize) -> Self {
        // Every text fits the rule `file`; only pest's guard of the stack can stop it.
        let Some(root) = Grammar::parse(Rule::file, text)
            .ok()
            .and_then(|mut p| p.next())
        else {
            let span = Span::new(file, 0..0);
            let message = "the file is nested too deeply";
            return Self {
                arch: None,
                syntax: Findings::default(),
                diagnostics: vec![Diagnostic::new(Code::E0105, span, message)],
            };
        };
        let (arch, diagnostics) = tree::build(file, text, length, &root);
        Self {
            arch,
            syntax: recover::explain(file, text, length, &root),
            diagnostics,
        }
    }
}

/// Removes messages about the rest of a line after an unclosed text, and second messages about the same
/// place.
fn without_echoes(
    files: &Files,
    mut syntax: Vec<Diagnostic>,
    unclosed: &[Diagnostic],
) -> Vec<Diagnostic> {
    let source = |d: &Diagnostic| files.text(d.primary.span);
    let line = |d: &Diagnostic| files.lines(d.primary.span).0;
    let texts: Vec<usize> = unclosed
        .iter()
        .filter(|d| source(d) == "\"")
        .map(line)
        .collect();
    syntax.retain(|d| texts.binary_search(&line(d)).is_err());
    syntax.sort_by_key(|d| d.primary.span.start);
    syntax.dedup_by_key(|d| d.primary.span);
    syntax
}

/// Limits the number of messages, and states how many were removed; `more` were removed before.
fn cap(diagnostics: &mut Vec<Diagnostic>, more: usize) {
    let more = more + diagnostics.len().saturating_sub(MAX_FINDINGS);
    diagnostics.truncate(MAX_FINDINGS);
    if let Some(last) = diagnostics.last_mut().filter(|_| more > 0) {
        let count = text::count(more, "more error");
        let note = format!("{count} in this file not shown");
        last.notes.push(note);
    }
}
