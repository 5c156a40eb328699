//! Findings that follow from others.
//!
//! In: findings of several stages. Out: those that say something of their own. Holds: an error is never left out
//! unless another stays.
//!
//! A statement that could not be read or resolved may be all that seems to be missing: what says that something is
//! not there waits until the statement is mended. So does what is said about an item with such a statement, or because
//! of a fact in it.

use crate::ast::{Arch, Item};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// The findings of all stages, one after the other.
pub(crate) struct Findings {
    found: Vec<Diagnostic>,
    /// The items of the definition.
    items: Vec<Span>,
    /// Those with an error in them.
    broken: Vec<Span>,
}

impl Findings {
    /// What is wrong with the text of a definition.
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

    /// Adds what is wrong with names and parts.
    pub(crate) fn add_names(&mut self, names: Vec<Diagnostic>) {
        let (unknown, others): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|d| d.code == Code::E0202);
        self.broken.extend(self.with_labels_of(&unknown));
        let text_is_right = self.found.is_empty();
        let others = others.into_iter().filter(|d| {
            let in_broken = self.broken.iter().any(|item| item.contains(d.primary.span));
            !d.code.is_of_absence() || text_is_right && !in_broken
        });
        let others: Vec<_> = others.collect();
        self.broken.extend(self.with_labels_of(&others));
        self.found
            .extend(unknown.into_iter().filter(|d| !d.follows));
        self.found.extend(others);
    }

    /// Adds what contradicts.
    pub(crate) fn add_contradictions(&mut self, contradictions: Vec<Diagnostic>) {
        let nothing_so_far = self.found.is_empty();
        let of_broken = |d: &Diagnostic| {
            let mut labels = d.labels();
            labels.any(|label| self.broken.iter().any(|item| item.contains(label.span)))
        };
        let own = contradictions
            .into_iter()
            .filter(|d| (nothing_so_far || !d.code.is_of_absence()) && !of_broken(d));
        let own: Vec<_> = own.collect();
        self.found.extend(own);
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them.
    pub(crate) fn into_vec(self) -> Vec<Diagnostic> {
        self.found
    }

    /// The items in which findings have a place.
    fn with_labels_of(&self, found: &[Diagnostic]) -> Vec<Span> {
        let has_label = |item: &&Span| {
            let mut labels = found.iter().flat_map(Diagnostic::labels);
            labels.any(|label| item.contains(label.span))
        };
        self.items.iter().filter(has_label).copied().collect()
    }
}
