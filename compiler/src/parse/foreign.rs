//! What other languages write: comments, operators, units, marks.
//!
//! In: a text, or a place in it where something else was expected. Out: how this language writes what was most
//! likely meant; nothing where that is not known.

use super::expected::Expected;
use super::grammar::Rule;
use super::lex::{self, Kind};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use std::ops::Range;

/// Words and operators with their counterparts, which are only meant where they may stand.
const COUNTERPARTS: &[(&[&str], &str)] = &[
    (&["&&", "&", "with"], "and"),
    (&["!", "~"], "not"),
    (&["if", "?"], "when"),
    (&["==", ":=", ":", "is"], "="),
    (&["==", "=", ":", "are", "as"], "is"),
    (&["-", "...", "..=", "to", ":"], ".."),
    (&["=", "->", "-", ".."], ":"),
    (&["=>", ">"], ">="),
    (&["<"], "<<"),
    (&[">"], ">>"),
    (&["kb", "k", "kbyte", "kbytes"], "KiB"),
    (&["mb", "m", "mbyte", "mbytes"], "MiB"),
    (&["gb", "g", "gbyte", "gbytes"], "GiB"),
    (&["ops", "op", "instructions", "flushes"], "operations"),
    (&["ipi", "ipis", "interrupt"], "interrupts"),
    (&["none", "0"], "nothing"),
    (&["all", "each"], "every"),
    (&["all", "any"], "everything"),
    (&["all", "every"], "any"),
    (&["asid", "pcid", "pid"], "tag"),
];

/// Marks that end a statement elsewhere.
const ENDS: &[&str] = &[",", ":", "."];

/// What was most likely meant.
pub(super) struct Meant {
    /// What to do.
    pub(super) help: String,
    /// A mark to take in place of the one byte that was found.
    pub(super) mark: Option<char>,
}

/// What was meant by the token in `found`, where something else was `expected`.
pub(super) fn meant(expected: &Expected, text: &str, found: &Range<usize>) -> Option<Meant> {
    let word = &text[found.clone()];
    let help = |help: String| Some(Meant { help, mark: None });
    if word == "-" && follows_name(text, found) {
        let whole = hyphenated(text, found.start);
        let name = whole.replace('-', "_");
        return help(format!("names have no `-`; did you mean `{name}`?"));
    }
    if ["||", "|", "or"].contains(&word) && expected.has("and") {
        return help(
            "a condition has no `or`: write one statement, or one case, for each".to_owned(),
        );
    }
    // The first mark was taken for the whole.
    let taken = [("==", "="), ("...", ".."), ("..=", "..")];
    if let Some((_, ours)) = taken.iter().find(|(foreign, _)| *foreign == word)
        && !expected.has("is")
    {
        return help(format!("did you mean `{ours}`?"));
    }
    if word.starts_with(['\'', '`', '“', '”', '„', '«', '‘', '’']) && expected.text() {
        return help("a text stands between double quotes: `\"...\"`".to_owned());
    }
    if ["b", "byte", "bytes"].contains(&word.to_ascii_lowercase().as_str()) && expected.has("KiB") {
        return help("a number without a unit counts bytes".to_owned());
    }
    if let Some(unit) = joined_unit(word).filter(|_| expected.number()) {
        return help(format!("write the unit apart: `{unit}`"));
    }
    if [":", "="].contains(&word) && may_follow(expected, &text[found.end..]) {
        return help(format!("leave out the `{word}`"));
    }
    if word == "," && expected.semicolon() && !ends_line(&text[found.end..]) {
        return help("one statement ends here: write `;`, and what follows as another".to_owned());
    }
    if ENDS.contains(&word) && expected.semicolon() && ends_line(&text[found.end..]) {
        return Some(Meant {
            help: "a statement ends with `;`".to_owned(),
            mark: Some(';'),
        });
    }
    let lower = word.to_ascii_lowercase();
    let counterpart = COUNTERPARTS.iter().find(|(foreign, ours)| {
        expected.has(ours) && (foreign.contains(&word) || foreign.contains(&lower.as_str()))
    });
    counterpart.and_then(|(_, ours)| help(format!("did you mean `{ours}`?")))
}

/// The operator that the mark at `range` is part of: `&&`, `==`, `..=`.
pub(super) fn operator(text: &str, range: Range<usize>) -> Range<usize> {
    let is_operator = |c: char| "&|=!<>-:.~?".contains(c);
    if !text[range.clone()].starts_with(is_operator) {
        return range;
    }
    let before = text[..range.start].trim_end_matches(is_operator).len();
    let after = text[range.end..].trim_start_matches(is_operator);
    let whole = before..text.len() - after.len();
    if is_known(&text[whole.clone()]) {
        return whole;
    }
    range
}

fn is_known(operator: &str) -> bool {
    ["||", "|"].contains(&operator)
        || COUNTERPARTS
            .iter()
            .any(|(foreign, _)| foreign.contains(&operator))
}

/// Whether a `-` joins a name with what follows.
fn follows_name(text: &str, found: &Range<usize>) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let before = &text[..found.start];
    let word = &before[before.trim_end_matches(is_part).len()..];
    let is_name = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
    is_name && !is_keyword(word) && text[found.end..].starts_with(is_part)
}

/// The words around a `-` that it joins.
pub(super) fn hyphenated(text: &str, at: usize) -> &str {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let start = text[..at].trim_end_matches(is_part).len();
    let end = text.len() - text[at..].trim_start_matches(is_part).len();
    &text[start..end]
}

/// `4 KiB` of `4K`.
fn joined_unit(word: &str) -> Option<String> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let unit = match word[digits.len()..].to_ascii_lowercase().as_str() {
        "k" | "kb" | "kib" => "KiB",
        "m" | "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        _ => return None,
    };
    is_number.then(|| format!("{digits} {unit}"))
}

/// Whether the next token could have stood in place of the one before it.
fn may_follow(expected: &Expected, rest: &str) -> bool {
    let Some((kind, range)) = lex::tokens(rest, 0).next() else {
        return false;
    };
    let word = &rest[range];
    match kind {
        Kind::Text => expected.text(),
        Kind::Word if word.starts_with(|c: char| c.is_ascii_digit()) => expected.number(),
        Kind::Word if is_keyword(word) => expected.has(word),
        Kind::Word => expected.name(),
        Kind::Mark(_) => expected.has(word),
        Kind::Unclosed => false,
    }
}

fn ends_line(rest: &str) -> bool {
    let line = rest.lines().next().unwrap_or_default().trim();
    line.is_empty() || line.starts_with("//") || line.starts_with('}')
}

/// Whether a word is one of the language.
pub(super) fn is_keyword(word: &str) -> bool {
    let mut rules = Rule::all_rules().iter();
    rules.any(|rule| format!("{rule:?}").strip_prefix("k_") == Some(word))
}

/// Overwrites comments as other languages write them with blanks; a finding for each.
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

/// The first comment of another language from a place on, and the mark that it begins with.
fn comment(text: &str, from: usize) -> Option<(&'static str, Range<usize>)> {
    let line_end = |at: usize| {
        text[at..]
            .find('\n')
            .map_or(text.len(), |length| at + length)
    };
    let mut may_begin = true;
    let mut end = from;
    for (kind, range) in lex::tokens(text, from) {
        may_begin |= text[end..range.start].contains('\n');
        if kind == Kind::Mark('/') && text[range.end..].starts_with('*') {
            let close = text[range.end + 1..].find("*/");
            let end = close.map_or(line_end(range.start), |at| range.end + 1 + at + 2);
            return Some(("/*", range.start..end));
        }
        if kind == Kind::Mark('#') && may_begin {
            return Some(("#", range.start..line_end(range.start)));
        }
        if kind == Kind::Mark('-') && may_begin && text[range.end..].starts_with('-') {
            return Some(("--", range.start..line_end(range.start)));
        }
        may_begin = matches!(kind, Kind::Mark(';' | '{' | '}' | ','));
        end = range.end;
    }
    None
}
