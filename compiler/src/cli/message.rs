//! Messages on stderr besides findings.
//!
//! In: trouble, hints and errors of usage. Out: text for people, or one JSON object on a line where `--message-format json` is
//! among the arguments. Holds: with it, every line on stderr is an object, however a command ends, except for the
//! report of a bug in tlbc.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use crate::hidden::{is_hidden, spelt};
use crate::json;

/// The format of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineFormat {
    /// Text.
    Text,
    /// JSON lines.
    Json,
}

/// A message without a place in a definition: those members of a finding that apply.
#[derive(Serialize)]
struct Object<'a> {
    code: Option<&'static str>,
    severity: &'static str,
    message: &'a str,
    notes: Vec<&'a str>,
}

impl LineFormat {
    /// Returns the format that the arguments ask for, even if other arguments are wrong.
    pub(super) fn of(arguments: impl Iterator<Item = OsString>) -> Self {
        let mut arguments = arguments.take_while(|argument| argument != "--");
        while let Some(argument) = arguments.next() {
            let value = match argument.to_str() {
                Some("--message-format") => arguments.next(),
                Some(argument) => {
                    let value = argument.strip_prefix("--message-format=");
                    value.map(OsString::from)
                }
                None => None,
            };
            if value.is_some_and(|value| value == "json") {
                return Self::Json;
            }
        }
        Self::Text
    }

    /// Writes an error: a sentence, and lines of details.
    pub(super) fn trouble(self, text: &str) {
        match self {
            Self::Text => complain(format_args!("error: {}\n", spelt(text))),
            Self::Json => object("error", text),
        }
    }

    /// Writes a hint.
    pub(super) fn hint(self, text: &str) {
        match self {
            Self::Text => complain(text),
            Self::Json => object("note", text),
        }
    }

    /// Writes an error of usage.
    pub(super) fn usage(self, error: &clap::Error) {
        let text = error.render().to_string();
        match self {
            Self::Json => object("error", text.strip_prefix("error: ").unwrap_or(&text)),
            Self::Text if text.contains(is_hidden) => complain(spelt(&text)),
            // In colour on a terminal.
            Self::Text => {
                let _ = error.print();
            }
        }
    }
}

/// Writes a message as an object: its first line as the message, the others as notes.
fn object(severity: &'static str, text: &str) {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let object = Object {
        code: None,
        severity,
        message: lines.next().unwrap_or_default(),
        notes: lines.collect(),
    };
    complain(format_args!("{}\n", json::text(&object)));
}

/// Writes to stderr. A failure cannot be reported and is ignored.
pub(super) fn complain(message: impl Display) {
    let _ = write!(io::stderr(), "{message}");
}
