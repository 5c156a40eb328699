//! Removes diagnostics that only follow from others.
//!
//! In: diagnostics of several stages. Out: those that have a cause of their own. Holds: an error is left out only if
//! another remains.
//!
//! If a statement could not be read or resolved, a diagnostic that says that something is missing may be about just
//! that statement. It is left out until the statement is fixed. So are diagnostics about an item that contains such a
//! statement, and diagnostics that refer to a fact in such an item.

use crate::ast::{Arch, Item};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// The diagnostics of the stages so far.
pub(crate) struct Findings {
    found: Vec<Diagnostic>,
    /// All items of the definition.
    items: Vec<Span>,
    /// The items that contain an error.
    broken: Vec<Span>,
}

impl Findings {
    /// Starts with the diagnostics of the parser.
    pub(crate) fn of_text(arch: &Arch, found: Vec<Diagnostic>) -> Self {
        let items = arch.items.iter().flat_map(|item| match item {
            Item::For(it) => it.items.iter().map(Item::span).collect(),
            item => vec![item.span()],
        });
        let mut findings = Self {
            found,
            items: items.collect(),
            broken: Vec::new(),
        };
        findings.broken = findings.with_labels_of(&findings.found);
        findings
    }

    /// Adds the diagnostics of name resolution.
    pub(crate) fn add_names(&mut self, names: Vec<Diagnostic>) {
        let (unknown, others): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|d| d.code == Code::E0202);
        self.broken.extend(self.with_labels_of(&unknown));
        let text_is_right = self.found.is_empty();
        let others = others.into_iter().filter(|d| {
            let in_broken = self.broken.iter().any(|item| item.contains(d.primary.span));
            !d.code.may_be_missing() || text_is_right && !in_broken
        });
        let others: Vec<_> = others.collect();
        self.broken.extend(self.with_labels_of(&others));
        self.found
            .extend(unknown.into_iter().filter(|d| !d.follows));
        self.found.extend(others);
    }

    /// Adds the contradictions that the checks found.
    pub(crate) fn add_contradictions(&mut self, contradictions: Vec<Diagnostic>) {
        let nothing_so_far = self.found.is_empty();
        let of_broken = |d: &Diagnostic| {
            let mut labels = d.labels();
            labels.any(|label| self.broken.iter().any(|item| item.contains(label.span)))
        };
        let own = contradictions
            .into_iter()
            .filter(|d| (nothing_so_far || !d.code.may_be_missing()) && !of_broken(d));
        let own: Vec<_> = own.collect();
        self.found.extend(own);
    }

    /// Returns whether there is no diagnostic so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<Diagnostic> {
        self.found
    }

    /// Returns the items in which the diagnostics have a label.
    fn with_labels_of(&self, found: &[Diagnostic]) -> Vec<Span> {
        let has_label = |item: &&Span| {
            let mut labels = found.iter().flat_map(Diagnostic::labels);
            labels.any(|label| item.contains(label.span))
        };
        self.items.iter().filter(has_label).copied().collect()
    }
}
