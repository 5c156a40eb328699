//! Statements that are repeated, missing or not possible in their place.

use super::scope::Lower;
use crate::ast::{self, Ident};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::At;
use crate::source::Span;

impl Lower {
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Keeps the first fact of a kind and reports the second.
    pub(super) fn once<T>(&mut self, slot: &mut Option<At<T>>, what: &str, value: T, span: Span) {
        if let Some(first) = slot {
            let first = first.span;
            self.said_twice(what, span, first);
        } else {
            *slot = Some(At { value, span });
        }
    }

    pub(super) fn said_twice(&mut self, what: &str, span: Span, first: Span) {
        self.report(
            Diagnostic::new(Code::E0204, span, format!("{what} is stated twice"))
                .label("again here")
                .because(first, "first here")
                .help("keep one of the two"),
        );
    }

    /// Reports the members of a list that it contains already.
    pub(super) fn repeated<T: PartialEq>(
        &mut self,
        list: impl IntoIterator<Item = (T, Span)>,
        what: impl Fn(&T) -> String,
    ) {
        let mut seen: Vec<(T, Span)> = Vec::new();
        for (member, span) in list {
            match seen.iter().find(|(other, _)| *other == member) {
                Some(&(_, first)) => self.said_twice(&what(&member), span, first),
                None => seen.push((member, span)),
            }
        }
    }

    /// Reports repeated names.
    pub(super) fn repeated_names(&mut self, names: &[Ident]) {
        let names = names.iter().map(|name| (&name.node, name.span));
        self.repeated(names, |name| format!("`{name}`"));
    }

    /// Reports repeated kinds of entries.
    pub(super) fn repeated_kinds<'a>(
        &mut self,
        kinds: impl Iterator<Item = &'a ast::Spanned<ast::CachedKind>>,
    ) {
        let kinds = kinds.map(|kind| (kind.node, kind.span));
        self.repeated(kinds, |kind| {
            let word = match kind {
                ast::CachedKind::Leaf => "leaf",
                ast::CachedKind::Walk => "walk",
                ast::CachedKind::Root => "root",
                ast::CachedKind::Negative => "negative",
            };
            format!("`{word}`")
        });
    }

    /// Returns whether a fact that is missing from the item of a place is not stated in it; for a place outside of
    /// items, nowhere. Otherwise it may be what could not be read or resolved.
    pub(super) fn is_known(&self, place: Span) -> bool {
        if self.unknown.is_in_item(place) {
            !self.unknown.touches(place)
        } else {
            self.unread.is_empty()
        }
    }

    /// Reports that `whole` does not say `what`.
    pub(super) fn missing(&mut self, span: Span, whole: &str, what: &str, help: &str) {
        if !self.is_known(span) {
            return;
        }
        let message = format!("{whole} does not say {what}");
        self.report(
            Diagnostic::new(Code::E0203, span, message)
                .label("missing from this block")
                .help(help),
        );
    }

    /// Reports that `whole` has no `part`.
    pub(super) fn lacks(&mut self, span: Span, whole: &str, part: &str, help: &str) {
        if !self.is_known(span) {
            return;
        }
        let message = format!("{whole} has no {part}");
        self.report(
            Diagnostic::new(Code::E0203, span, message)
                .label("missing from this block")
                .help(help),
        );
    }

    /// Reports E0401: an instruction or a form does not state a required fact. One that a row of a `for` made names
    /// the row.
    pub(super) fn silent(&mut self, name: &Ident, what: &str, help: &str) {
        if !self.is_known(name.span) {
            return;
        }
        let message = format!("`{}` does not say {what}", name.node);
        let silent = Diagnostic::new(Code::E0401, name.span, message)
            .label("missing from this block")
            .note("every flush relies on these statements; none has a default")
            .help(help);
        let row = self.origins.get(&(name.span, name.node.clone()));
        let silent = match row {
            Some(&row) => silent.because(row, "made by this row"),
            None => silent,
        };
        self.report(silent);
    }

    pub(super) fn misplaced(&mut self, span: Span, message: String, help: &str) {
        self.report(
            Diagnostic::new(Code::E0207, span, message)
                .label("not possible here")
                .help(help),
        );
    }

    /// Returns the one item of a kind.
    pub(super) fn single<'a, T>(
        &mut self,
        arch: &ast::Arch,
        what: &str,
        help: &str,
        items: impl Iterator<Item = &'a T>,
        span: impl Fn(&T) -> Span,
    ) -> Option<&'a T> {
        let mut first: Option<&'a T> = None;
        for item in items {
            match first {
                Some(first) => self.said_twice(what, span(item), span(first)),
                None => first = Some(item),
            }
        }
        if first.is_none() {
            let whole = format!("the definition `{}`", arch.name.node);
            self.lacks(arch.name.span, &whole, what, help);
        }
        first
    }
}
