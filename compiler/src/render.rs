//! The text of diagnostics, for people, editors and scripts.
//!
//! In: the sources and the diagnostics. Out: a text that ends with a line break; empty without diagnostics.
//! Holds: findings are sorted by file and place, and each is shown once. A place past the end of its file
//! is moved to the end.

use crate::codes::Severity;
use crate::diagnostic::{Diagnostic, Label};
use crate::hidden::{is_hidden, one_line, spelt};
use crate::json;
use crate::source::{Files, Span};
use crate::text;
use codespan_reporting::diagnostic as codespan;
use codespan_reporting::files::SimpleFiles;
use codespan_reporting::term::{self, Config, Styles, StylesWriter, termcolor::Ansi};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The longest line in bytes that is shown.
const MAX_LINE: usize = 400;

/// A format of diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// The lines of the source with marks, notes and a summary.
    #[default]
    Human,
    /// One line for each finding: `file:line:column: error[E0101]: message`.
    Short,
    /// One JSON object on a line for each finding.
    Json,
}

/// Returns the text of `diagnostics`.
#[must_use]
pub fn render(files: &Files, diagnostics: &[Diagnostic], format: Format, color: bool) -> String {
    let diagnostics = sorted(diagnostics);
    match format {
        Format::Human => human(files, &diagnostics, color),
        Format::Short => lines(&diagnostics, |diagnostic| short(files, diagnostic)),
        Format::Json => lines(&diagnostics, |diagnostic| json(files, diagnostic)),
    }
}

/// Sorts by place and removes duplicates.
fn sorted(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by(|a, b| {
        let key = |d: &Diagnostic| (d.primary.span, d.code);
        key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
    });
    sorted.dedup();
    sorted
}

fn lines(diagnostics: &[&Diagnostic], line: impl Fn(&Diagnostic) -> String) -> String {
    diagnostics
        .iter()
        .map(|diagnostic| line(diagnostic) + "\n")
        .collect()
}

fn short(files: &Files, diagnostic: &Diagnostic) -> String {
    let span = diagnostic.primary.span;
    let (line, column) = files.line_column(span.file, span.start);
    let name = one_line(&files.get(span.file).name);
    let message = spelt(&diagnostic.message);
    let more = match diagnostic.also.len() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!(
        "{name}:{line}:{column}: {}[{}]: {message}{more}",
        diagnostic.severity().name(),
        diagnostic.code
    )
}

/// A finding for scripts. Lines and columns count from 1, columns in characters; offsets count bytes from 0.
#[derive(Serialize)]
struct Finding<'a> {
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    #[serde(flatten)]
    place: LabelledPlace<'a>,
    because: Vec<LabelledPlace<'a>>,
    /// Other places with the same finding.
    also: Vec<LabelledPlace<'a>>,
    notes: &'a [String],
    help: Option<&'a str>,
}

/// A place, and the label for it.
#[derive(Serialize)]
struct LabelledPlace<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    start: u32,
    end: u32,
    label: &'a str,
}

fn json(files: &Files, diagnostic: &Diagnostic) -> String {
    let because = diagnostic.secondary.iter();
    let also = diagnostic.also.iter();
    json::text(&Finding {
        code: diagnostic.code.name(),
        severity: diagnostic.severity().name(),
        message: &diagnostic.message,
        place: place(files, &diagnostic.primary),
        because: because.map(|label| place(files, label)).collect(),
        also: also.map(|span| span_place(files, *span, "")).collect(),
        notes: &diagnostic.notes,
        help: diagnostic.help.as_deref(),
    })
}

fn place<'a>(files: &'a Files, label: &'a Label) -> LabelledPlace<'a> {
    span_place(files, label.span, &label.text)
}

fn span_place<'a>(files: &'a Files, span: Span, label: &'a str) -> LabelledPlace<'a> {
    let Span { file, start, end } = span;
    let (line, column) = files.line_column(file, start);
    let (end_line, end_column) = files.line_column(file, end);
    LabelledPlace {
        file: &files.get(file).name,
        line,
        column,
        end_line,
        end_column,
        start,
        end,
        label,
    }
}

fn human(files: &Files, diagnostics: &[&Diagnostic], color: bool) -> String {
    let Some(first) = diagnostics.first() else {
        return String::new();
    };
    let mut sources = SimpleFiles::new();
    let names: Vec<String> = files.iter().map(|(_, file)| one_line(&file.name)).collect();
    let texts: Vec<_> = files
        .iter()
        .map(|(_, file)| file.quoted.as_ref().unwrap_or(&file.text))
        .collect();
    // Whether blanks with questions were replaced by spaces.
    let has_blanks = files.iter().any(|(_, file)| file.quoted.is_some());
    for (name, text) in names.iter().zip(&texts) {
        sources.add(name.as_str(), text.as_str());
    }
    let mut out = String::new();
    for diagnostic in diagnostics {
        let shown = is_showable(files, diagnostic)
            .then(|| snippet(&sources, &with_labels(files, diagnostic), color))
            .flatten();
        let shown = shown.unwrap_or_else(|| without_snippet(files, diagnostic));
        for line in shown.lines() {
            out += if has_blanks {
                line.trim_end_matches(' ')
            } else {
                line
            };
            out.push('\n');
        }
    }
    let named: BTreeSet<_> = diagnostics.iter().map(|d| d.primary.span.file).collect();
    let _ = writeln!(
        out,
        "{} in {}; `tlbc explain {}` says more",
        tally(diagnostics),
        text::count(named.len(), "file"),
        first.code
    );
    out
}

/// Returns the counts that are not zero: `2 errors, 1 warning`.
fn tally(diagnostics: &[&Diagnostic]) -> String {
    let of = |severity: Severity| {
        let count = diagnostics.iter().filter(|d| d.severity() == severity);
        match count.count() {
            0 => None,
            count => Some(text::count(count, severity.name())),
        }
    };
    let counts = [Severity::Error, Severity::Warning].into_iter();
    counts.filter_map(of).collect::<Vec<_>>().join(", ")
}

fn snippet(
    sources: &SimpleFiles<&str, &str>,
    diagnostic: &codespan::Diagnostic<usize>,
    color: bool,
) -> Option<String> {
    let config = Config::default();
    if !color {
        return term::emit_into_string(&config, sources, diagnostic).ok();
    }
    let mut ansi = Ansi::new(Vec::new());
    let styles = Styles::default();
    let mut writer = StylesWriter::new(&mut ansi, &styles);
    term::emit_to_write_style(&mut writer, &config, sources, diagnostic).ok()?;
    String::from_utf8(ansi.into_inner()).ok()
}

fn with_labels(files: &Files, diagnostic: &Diagnostic) -> codespan::Diagnostic<usize> {
    let primary = label(files, codespan::LabelStyle::Primary, &diagnostic.primary);
    let secondary = diagnostic.secondary.iter();
    let secondary = secondary.map(|fact| label(files, codespan::LabelStyle::Secondary, fact));
    let severity = match diagnostic.severity() {
        Severity::Error => codespan::Severity::Error,
        Severity::Warning => codespan::Severity::Warning,
    };
    codespan::Diagnostic::new(severity)
        .with_code(diagnostic.code)
        .with_message(spelt(&diagnostic.message))
        .with_label(primary)
        .with_labels_iter(secondary)
        .with_notes_iter(notes(files, diagnostic))
}

fn label(files: &Files, style: codespan::LabelStyle, label: &Label) -> codespan::Label<usize> {
    let Span { file, start, end } = label.span;
    let text = &files.get(file).text;
    // The start of the character there, or the end of the text.
    let boundary = |offset: u32| {
        let mut offset = (offset as usize).min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    };
    let (start, end) = (boundary(start.min(end)), boundary(end));
    codespan::Label::new(style, file.0 as usize, start..end).with_message(spelt(&label.text))
}

/// Returns the notes, with the other places first and the help last.
fn notes(files: &Files, diagnostic: &Diagnostic) -> impl Iterator<Item = String> {
    let help = diagnostic.help.iter().map(|help| format!("help: {help}"));
    let also = also(files, &diagnostic.also).into_iter();
    also.chain(diagnostic.notes.iter().cloned())
        .chain(help)
        .map(|note| spelt(&note))
}

/// Returns a note with the lines of other places with the same finding.
fn also(files: &Files, places: &[Span]) -> Option<String> {
    const LISTED: usize = 6;
    let mut lines: Vec<usize> = places.iter().map(|&span| files.lines(span).0).collect();
    lines.sort_unstable();
    lines.dedup();
    let more = lines.len().saturating_sub(LISTED);
    let listed: Vec<String> = lines.iter().take(LISTED).map(usize::to_string).collect();
    let noun = text::plural(lines.len(), "line");
    let rest = if more > 0 { ", ..." } else { "" };
    let count = places.len();
    (count > 0).then(|| format!("and {count} more, in {noun} {}{rest}", listed.join(", ")))
}

/// Returns whether the lines of all labels are short and contain no control characters.
fn is_showable(files: &Files, diagnostic: &Diagnostic) -> bool {
    diagnostic.labels().all(|label| {
        let text = &files.get(label.span.file).text;
        let at = |offset: u32| (offset as usize).min(text.len());
        let newline = |&byte: &u8| byte == b'\n';
        let (before, after) = (&text.as_bytes()[..at(label.span.start)], at(label.span.end));
        let start = before.iter().rposition(newline).map_or(0, |at| at + 1);
        let rest = &text.as_bytes()[after..];
        let end = after + rest.iter().position(newline).unwrap_or(rest.len());
        text.get(start..end).is_some_and(|shown| {
            shown.lines().all(|line| line.len() <= MAX_LINE)
                && !shown.contains(|c: char| is_hidden(c) && c != '\r')
        })
    })
}

/// Returns a diagnostic without the lines of the source.
fn without_snippet(files: &Files, diagnostic: &Diagnostic) -> String {
    let mut out = short(files, diagnostic) + "\n";
    for note in notes(files, diagnostic) {
        let _ = writeln!(out, "  = {note}");
    }
    out.push('\n');
    out
}
