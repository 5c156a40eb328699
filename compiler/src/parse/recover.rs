//! Explains the words that do not fit the grammar.
//!
//! In: the parse of a whole file, with `bad` nodes where nothing fitted. Out: a [`SyntaxError`] for each,
//! from a second parse of these words alone by the rule that should fit. A missing semicolon comes
//! with its place, so that the caller can parse again and see what follows.

use super::blocks::{Context, body_of, context};
use super::expected::Expected;
use super::foreign;
use super::lex::{self, TokenKind};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};
use std::ops::Range;
use tlbc_grammar::{Grammar, ParseNode, Rule};

/// The most findings of a file.
pub(super) const MAX_FINDINGS: usize = 50;

/// A syntax error.
pub(super) struct SyntaxError {
    pub(super) diagnostic: Diagnostic,
    /// A mark with which the text can be parsed further, and the byte that it replaces: white space, or
    /// another mark.
    pub(super) repair: Option<(usize, char)>,
}

/// The syntax errors of a file.
#[derive(Default)]
pub(super) struct Findings {
    /// The first of them.
    pub(super) listed: Vec<SyntaxError>,
    /// The number of further ones.
    pub(super) more: usize,
}

impl Findings {
    /// Lists a finding, or counts it.
    fn add(&mut self, finding: SyntaxError) {
        if self.listed.len() < MAX_FINDINGS {
            self.listed.push(finding);
        } else {
            self.more += 1;
        }
    }
}

/// Returns what the statements of a body begin with.
fn beginnings(context: &Context) -> Expected {
    match Grammar::parse(context.statement, "").map_err(|error| error.variant) {
        Err(ErrorVariant::ParsingError { positives, .. }) => Expected::new(&positives),
        _ => Expected::new(&[]),
    }
}

/// Returns the syntax errors of a file.
pub(super) fn explain(file: FileId, text: &str, length: usize, root: &ParseNode) -> Findings {
    let mut parts = root.clone().into_inner().map(|node| node.as_rule());
    let mut recovery = Recovery {
        file,
        text,
        closes_too_much: parts.any(|rule| rule == Rule::arch)
            && parts.any(|rule| rule == Rule::bad_outside),
        length,
        findings: Findings::default(),
    };
    recovery.walk(root, 0);
    recovery.findings
}

struct Recovery<'t> {
    file: FileId,
    text: &'t str,
    /// Whether the definition ends before the file does.
    closes_too_much: bool,
    /// The end of the file, after which missing closing braces are appended.
    length: usize,
    findings: Findings,
}

impl Recovery<'_> {
    /// Adds the syntax errors under `node`, whose offsets count from byte `base` of the file.
    fn walk(&mut self, node: &ParseNode, base: usize) {
        let mut defined = false;
        let strange = self.statements_of_another(node, base);
        let mut explained = false;
        for child in node.clone().into_inner() {
            let span = child.as_span();
            let bytes = base + span.start()..base + span.end();
            match child.as_rule() {
                Rule::bad_outside if defined => self.reject_rest(bytes.start),
                Rule::bad if strange > 1 && explained => {}
                Rule::bad | Rule::bad_outside => {
                    let index = self.findings.listed.len();
                    self.explain(node.as_rule(), bytes);
                    if let Some(finding) = self.findings.listed.get_mut(index)
                        && strange > 1
                    {
                        let note =
                            format!("none of the {strange} statements is possible in this block");
                        finding.diagnostic.notes.push(note);
                    }
                    explained = true;
                }
                rule => {
                    defined |= rule == Rule::arch;
                    self.walk(&child, base);
                }
            }
        }
    }

    /// Returns the number of statements of a block, if none of them begins like one of its own: probably another block
    /// was meant.
    fn statements_of_another(&self, block: &ParseNode, base: usize) -> usize {
        let rule = block.as_rule();
        let statements = block.clone().into_inner();
        let statements =
            statements.filter(|node| !matches!(node.as_rule(), Rule::open | Rule::close));
        let begins = |node: &ParseNode| {
            let span = node.as_span();
            let text = &self.text[base + span.start()..base + span.end()];
            match Grammar::parse(context(rule).statement, text) {
                Ok(_) => true,
                Err(error) => !matches!(error.location, InputLocation::Pos(0)),
            }
        };
        let mut count = 0;
        for node in statements {
            if matches!(rule, Rule::arch_body | Rule::for_body | Rule::file)
                || node.as_rule() != Rule::bad
                || begins(&node)
            {
                return 0;
            }
            count += 1;
        }
        count
    }

    /// Adds that something follows the definition.
    fn reject_rest(&mut self, start: usize) {
        let (found, range) = self.found(start);
        let message = format!("expected the end of the file, found {}", describe(found));
        let span = Span::new(self.file, range);
        self.findings.add(SyntaxError {
            diagnostic: Diagnostic::new(Code::E0101, span, message)
                .note("the definition ends above, at the `}` that closes `arch`"),
            repair: None,
        });
    }

    /// Adds the faults of the bytes `bad` in a body.
    fn explain(&mut self, body: Rule, bad: Range<usize>) {
        if self.findings.listed.len() == MAX_FINDINGS {
            // Not worth a second parse.
            self.findings.more += 1;
            return;
        }
        let context = context(body);
        let Err(error) = Grammar::parse(context.statement, self.from(&bad)) else {
            // The body tried the same rule at the same place, so there is an error.
            return;
        };
        let (InputLocation::Pos(at) | InputLocation::Span((at, _))) = error.location;
        let expected = match error.variant {
            ErrorVariant::ParsingError { positives, .. } => Expected::new(&positives),
            ErrorVariant::CustomError { .. } => Expected::new(&[]),
        };
        let finding = self.finding(&context, &expected, bad.start, bad.start + at);
        let meant = expected
            .meant(self.found(bad.start + at).0)
            .map(str::to_owned);
        self.findings.add(finding);
        self.descend(bad, at, meant);
    }

    /// Returns the text from these words on, as far as a statement may reach: the parser looks through all of a text
    /// for the line of an error.
    fn from(&self, bad: &Range<usize>) -> &str {
        const REACH: usize = 4096;
        let end = (bad.end + REACH).min(self.text.len());
        let end = (0..=end).rev().find(|&end| self.text.is_char_boundary(end));
        &self.text[bad.start..end.unwrap_or(bad.end)]
    }

    /// Returns the token at `at`, and its bytes; nothing at the end of the file.
    fn found(&self, at: usize) -> (&str, Range<usize>) {
        let range = lex::tokens(self.text, at)
            .next()
            .map(|(_, range)| range)
            .filter(|range| range.end <= self.length)
            .unwrap_or(self.length..self.length);
        (&self.text[range.clone()], range)
    }

    fn finding(
        &self,
        context: &Context,
        expected: &Expected,
        start: usize,
        at: usize,
    ) -> SyntaxError {
        let (found, range) = self.found(at);
        let span = |range| Span::new(self.file, range);
        if context.statement == Rule::plain_item && start == range.start && found == "for" {
            let message = "a `for` cannot be inside another `for`";
            return SyntaxError {
                diagnostic: Diagnostic::new(Code::E0101, span(range), message)
                    .help("write one `for` with a row for each combination"),
                repair: None,
            };
        }
        if let Some(finding) = self.misspelt_beginning(context, start, at) {
            return finding;
        }
        if let Some(finding) = self.missing_mark(context, expected, start, at) {
            return finding;
        }
        let range = foreign::operator(self.text, range);
        let found = &self.text[range.clone()];
        if ["when", "unless"].contains(&found) && expected.semicolon() {
            let message = format!("this statement takes no condition, found `{found}`");
            let diagnostic = Diagnostic::new(Code::E0101, span(range), message)
                .label("expected `;`")
                .help(
                    "remove the condition; LANGUAGE.md, \"How a file is read\", lists the statements that take one",
                );
            return SyntaxError {
                diagnostic,
                repair: None,
            };
        }
        let begins = (start == range.start).then_some(context.words);
        let (sentence, note) = expected.sentence(begins, &describe(found));
        let mut diagnostic = Diagnostic::new(Code::E0101, span(range.clone()), sentence);
        let mut repair = None;
        if let Some(meant) = expected.meant(found) {
            diagnostic = diagnostic.help(format!("did you mean `{meant}`?"));
        } else if let Some(meant) = foreign::meant(expected, self.text, &range) {
            repair = meant.mark.map(|mark| (range.start, mark));
            diagnostic = diagnostic.help(meant.help);
        } else {
            diagnostic.notes.extend(note);
            if expected.name() && found.contains(|c: char| c.is_ascii_alphanumeric()) {
                diagnostic = diagnostic.help(
                    "a name begins with a lower-case letter or `_`; lower-case letters, digits and `_` follow",
                );
            }
        }
        SyntaxError { diagnostic, repair }
    }

    /// Returns the finding that the first word is a misspelt keyword, where it was taken for a name and the statement
    /// fits with the keyword.
    fn misspelt_beginning(
        &self,
        context: &Context,
        start: usize,
        at: usize,
    ) -> Option<SyntaxError> {
        let (first, range) = self.found(start);
        if self.found(range.end).1.start != at {
            return None;
        }
        let beginnings = beginnings(context);
        let meant = beginnings.meant(first).filter(|meant| *meant != first)?;
        let corrected = format!("{meant}{}", self.from(&(range.end..range.end)));
        if Grammar::parse(context.statement, &corrected).is_err() {
            return None;
        }
        let (sentence, _) = beginnings.sentence(Some(context.words), &describe(first));
        let span = Span::new(self.file, range);
        Some(SyntaxError {
            diagnostic: Diagnostic::new(Code::E0101, span, sentence)
                .help(format!("did you mean `{meant}`?")),
            repair: None,
        })
    }

    /// Returns the finding that a mark is missing before `at`, where the statement that begins at `start` does not
    /// continue.
    fn missing_mark(
        &self,
        context: &Context,
        expected: &Expected,
        start: usize,
        at: usize,
    ) -> Option<SyntaxError> {
        let (found, range) = self.found(at);
        let before = lex::tokens(self.text, start).map(|(_, range)| range.end);
        let end = before.take_while(|&end| end <= at).last()?;
        let span = |range| Span::new(self.file, range);
        let blank = self.text[end..].starts_with(|c: char| c.is_ascii_whitespace());
        let repair = |mark| blank.then_some((end, mark));
        if expected.meant(found).is_some() {
            return None;
        }
        // A block that was not opened is closed.
        if expected.has("{") && self.closes_too_much && found != "{" {
            let message = format!("expected `{{`, found {}", describe(found));
            let mut diagnostic = Diagnostic::new(Code::E0101, span(range.clone()), message);
            if let Some(meant) = foreign::meant(expected, self.text, &range) {
                diagnostic = diagnostic.help(meant.help);
            }
            return Some(SyntaxError {
                diagnostic,
                repair: repair('{'),
            });
        }
        // A statement that could end before another one, or at the end of a line, lacks its semicolon.
        let breaks = found == "}"
            || found.is_empty()
            || self.text[end..at].contains('\n')
            || beginnings(context).has(found);
        (expected.semicolon() && breaks).then(|| SyntaxError {
            diagnostic: Diagnostic::new(Code::E0101, span(end..end), "expected `;`")
                .label("the statement ends here"),
            repair: repair(';'),
        })
    }

    /// Looks for errors in the block of an item whose head is wrong.
    fn descend(&mut self, bad: Range<usize>, at: usize, meant: Option<String>) {
        let words = &self.text[bad.clone()];
        let mut tokens = lex::tokens(words, 0);
        let Some((_, first)) = tokens.next() else {
            return;
        };
        let keyword = match meant {
            Some(meant) if first.start == at => meant,
            _ => words[first].to_owned(),
        };
        let open = tokens.find(|(kind, range)| *kind == TokenKind::Mark('{') && range.start >= at);
        if let (Some(rule), Some((_, open))) = (body_of(&keyword), open) {
            let base = bad.start + open.start;
            let text = self.text;
            if let Ok(body) = Grammar::parse(rule, &text[base..]) {
                for node in body {
                    self.walk(&node, base);
                }
            }
        }
    }
}

/// Returns the form of a token in a message.
fn describe(found: &str) -> String {
    const MAX_SHOWN: usize = 24;
    if found.is_empty() {
        return "the end of the file".to_owned();
    }
    if found.starts_with('"') {
        return "a text".to_owned();
    }
    let mut shown = String::new();
    for c in found.chars().take(MAX_SHOWN) {
        match c {
            '\'' | '"' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    if found.chars().nth(MAX_SHOWN).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}
