//! Errors and warnings about a definition.
//!
//! A [`Diagnostic`] holds places and sentences, independent of how they are shown; `render` formats it.

use crate::codes::{Code, Severity};
use crate::source::Span;

/// A place in a source, with a short text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The text; may be empty.
    pub text: String,
}

/// Returns whether any of the diagnostics is an error.
#[must_use]
pub fn has_errors(found: &[Diagnostic]) -> bool {
    found.iter().any(|d| d.severity() == Severity::Error)
}

/// An error or a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The rule that is violated.
    pub code: Code,
    /// One sentence without its full stop, understandable without the source.
    pub message: String,
    /// The place of the fault.
    pub primary: Label,
    /// The facts that the primary place contradicts.
    pub secondary: Vec<Label>,
    /// Other places with the same fault.
    pub also: Vec<Span>,
    /// Explanations of why this is a fault.
    pub notes: Vec<String>,
    /// How to fix it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Creates a diagnostic with a primary place.
    #[must_use]
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            primary: Label {
                span,
                text: String::new(),
            },
            secondary: Vec::new(),
            also: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// Returns the severity of its code.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// Iterates over the primary and the secondary labels.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        std::iter::once(&self.primary).chain(&self.secondary)
    }

    /// Sets the text at the primary place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.primary.text = text.into();
        self
    }

    /// Adds a fact that the primary place contradicts.
    #[must_use]
    pub fn because(mut self, span: Span, text: impl Into<String>) -> Self {
        self.secondary.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Adds an explanation.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Sets how to fix it.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}
