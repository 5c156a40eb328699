//! Warnings that a definition allows.
//!
//! In: warnings, and the comments of a file. Out: the warnings that no comment allows, and W0101 for each comment
//! that allows nothing or gives no reason.

use crate::codes::{Code, Severity};
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Files, Span};

/// How such a comment begins.
const ALLOW: &str = "// allow ";

/// A comment that allows a warning.
struct Allow<'t> {
    code: &'t str,
    has_reason: bool,
    /// The lines on which it allows the warning, from 1.
    first: usize,
    last: usize,
    span: Span,
    used: bool,
}

/// Removes the warnings that comments allow, and adds warnings about the comments.
pub(super) fn without(files: &Files, file: FileId, mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let text = &files.get(file).text;
    if !text.contains(ALLOW) {
        return found;
    }
    let mut allows = comments(file, text);
    found.retain(|warning| {
        let (line, _) = files.lines(warning.primary.span);
        let allow = allows.iter_mut().find(|allow| {
            allow.code == warning.code.name() && (allow.first..=allow.last).contains(&line)
        });
        let Some(allow) = allow else { return true };
        allow.used = true;
        false
    });
    found.extend(allows.iter().filter_map(wrong));
    found
}

/// Returns the comments of a text that allow something.
fn comments(file: FileId, text: &str) -> Vec<Allow<'_>> {
    let mut allows = Vec::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if let Some(at) = line.find(ALLOW) {
            let rest = line[at + ALLOW.len()..].trim_end();
            let (code, reason) = rest.split_once(':').unwrap_or((rest, ""));
            // Above the line of the warning, with other comments between.
            let alone = line[..at].trim().is_empty();
            let below = text[start + line.len()..].lines();
            let comments = below
                .take_while(|line| line.trim_start().starts_with("//"))
                .count();
            let first = index + 1;
            allows.push(Allow {
                code: code.trim(),
                has_reason: !reason.trim().is_empty(),
                first,
                last: if alone { first + comments + 1 } else { first },
                span: Span::new(file, start + at..start + at + ALLOW.len() + rest.len()),
                used: false,
            });
        }
        start += line.len();
    }
    allows
}

fn wrong(allow: &Allow) -> Option<Diagnostic> {
    let code = allow.code;
    let is_warning = Code::named(code).is_some_and(|code| code.severity() == Severity::Warning);
    let (message, help) = if !is_warning {
        (
            format!("`{code}` is not a warning"),
            "write `// allow W0301: why`; `tlbc explain` lists the codes, and errors cannot be allowed",
        )
    } else if !allow.used {
        (
            format!("this allows `{code}`, and there is no such warning here"),
            "remove the comment, or move it to the line of the warning or right above it",
        )
    } else if !allow.has_reason {
        (
            format!("this allows `{code}` without a reason"),
            "state the reason after a colon",
        )
    } else {
        return None;
    };
    Some(Diagnostic::new(Code::W0101, allow.span, message).help(help))
}
