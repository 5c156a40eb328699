//! What a stage has to say about a definition.
//!
//! A [`Diagnostic`] holds facts and sentences and knows nothing of terminals; `render` shows it.

use crate::codes::Code;
use crate::source::Span;

/// A place with a few words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The words; may be empty.
    pub text: String,
}

/// Whether a definition with a finding can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, and it may not say what was meant.
    Warning,
}

impl Severity {
    /// `error`, `warning`
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Whether an error is among findings.
#[must_use]
pub fn has_errors(found: &[Diagnostic]) -> bool {
    found.iter().any(|d| d.severity() == Severity::Error)
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which rule.
    pub code: Code,
    /// One sentence without its full stop, understandable alone.
    pub message: String,
    /// The words at fault.
    pub primary: Label,
    /// The facts that they contradict.
    pub secondary: Vec<Label>,
    /// Other places with the same finding.
    pub also: Vec<Span>,
    /// Why, in the user's words.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
    /// Whether it follows from a statement that could not be read, and is not to be shown.
    pub follows: bool,
}

impl Diagnostic {
    /// A finding at a place.
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
            follows: false,
        }
    }

    /// What it means for the definition.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// All its places, without those of the same finding.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        std::iter::once(&self.primary).chain(&self.secondary)
    }

    /// Words for the primary place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.primary.text = text.into();
        self
    }

    /// A fact that is contradicted.
    #[must_use]
    pub fn because(mut self, span: Span, text: impl Into<String>) -> Self {
        self.secondary.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// The reason.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// The fix.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}
