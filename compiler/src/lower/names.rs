//! Names, and the diagnostics for unknown, repeated and misplaced ones.

use super::{Lower, of_kind};
use crate::ast::{self, Ident, Item};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Amount, At, Cases, Cond, Instr, Named, Var};
use crate::source::Span;
use crate::spelling::nearest;
use crate::text;
use std::collections::{BTreeMap, BTreeSet};
use tlbc_runtime::level::{Level, Levels};

/// Names that may be defined where the text could not be read.
#[derive(Default)]
pub(super) struct Unread {
    names: BTreeSet<String>,
    /// Names with variables, as the texts between the variables.
    patterns: Vec<Vec<String>>,
}

impl Unread {
    pub(super) fn new(words: &BTreeSet<String>) -> Self {
        let mut unread = Self::default();
        for word in words {
            unread.add(word);
        }
        unread
    }

    pub(super) fn add(&mut self, name: &str) {
        if !name.contains('{') {
            self.names.insert(name.to_owned());
            return;
        }
        let parts = name.split(['{', '}']).step_by(2);
        let parts: Vec<String> = parts.map(str::to_owned).collect();
        // A variable alone could be any name.
        if parts.concat() != "" {
            self.patterns.push(parts);
        }
    }

    fn may_define(&self, name: &str) -> bool {
        self.names.contains(name) || self.patterns.iter().any(|parts| fits(parts, name))
    }
}

/// A name that a row of a `for` made and that nothing defines.
pub(super) struct UnknownOfRow {
    what: String,
    name: Ident,
    row: Span,
    /// The index of its diagnostic.
    reported: usize,
}

/// Returns whether a name consists of these texts with others between them.
fn fits(parts: &[String], name: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return false;
    };
    let rest = name.strip_prefix(first.as_str());
    let rest = middle.iter().fold(rest, |rest, part| {
        let rest = rest?;
        rest.find(part.as_str()).map(|at| &rest[at + part.len()..])
    });
    rest.is_some_and(|rest| rest.ends_with(last.as_str()))
}

impl Lower {
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Makes a list of names, and reports repeated ones.
    pub(super) fn names<'a>(
        &mut self,
        what: &str,
        names: impl Iterator<Item = (&'a Ident, &'a str)>,
    ) -> Vec<Named> {
        let mut list: Vec<Named> = Vec::new();
        for (ident, text) in names {
            let has_variable = ident.node.contains('{');
            let first = list.iter().find(|named| named.name == ident.node);
            if let Some(first) = first.filter(|_| !has_variable) {
                let twice = |span| {
                    let message = format!("the {what} `{}` is defined twice", ident.node);
                    Diagnostic::new(Code::E0201, span, message)
                };
                let row = self.origins.get(&(ident.span, ident.node.clone()));
                self.report(match row {
                    Some(&row) if first.span == ident.span => twice(row)
                        .label("the same value as in another row")
                        .because(ident.span, "both rows make it here")
                        .help("give the rows different values"),
                    None if first.span == ident.span => twice(ident.span)
                        .label("defined again by each row of the `for`")
                        .help("put a variable of the `for` into the name"),
                    _ => twice(ident.span)
                        .label("again here")
                        .because(first.span, "first here")
                        .help("give one of them another name, or join them"),
                });
            }
            list.push(Named {
                name: ident.node.clone(),
                span: ident.span,
                text: text.to_owned(),
            });
        }
        list
    }

    /// Enters every name, so that their order does not matter.
    pub(super) fn declare(&mut self, items: &[Item]) {
        self.features = self.names(
            "feature",
            of_kind!(items, Feature).map(|f| (&f.name, f.text.node.as_str())),
        );
        self.geometries = self.names("geometry", of_kind!(items, Geometry).map(|g| (&g.name, "")));
        self.limits = self.names(
            "limit",
            of_kind!(items, Limit).map(|l| (&l.name, l.text.node.as_str())),
        );
        self.tags = self.names("tag", of_kind!(items, Tag).map(|t| (&t.name, "")));
        self.operands = self.names("operand", of_kind!(items, Operand).map(|o| (&o.name, "")));
        self.loads = self.names("load", of_kind!(items, Load).map(|l| (&l.name, "")));
        self.cpu_sets = self.names(
            "set of CPUs",
            of_kind!(items, CpuSet).map(|s| (&s.name, s.text.node.as_str())),
        );
        self.barriers = self.names("barrier", of_kind!(items, Barrier).map(|b| (&b.name, "")));
        self.invalidates = self.names(
            "invalidation",
            of_kind!(items, Invalidate).map(|i| (&i.name, "")),
        );
        for invalidate in self.invalidates.clone() {
            let barrier = self.barriers.iter().find(|b| b.name == invalidate.name);
            if let Some(barrier) = barrier {
                let message = format!(
                    "`{}` is the name of a barrier and of an invalidation",
                    barrier.name
                );
                let both = [
                    (barrier.span, "a barrier here"),
                    (invalidate.span, "an invalidation here"),
                ];
                let [first, second] = if barrier.span < invalidate.span {
                    both
                } else {
                    [both[1], both[0]]
                };
                self.report(
                    Diagnostic::new(Code::E0201, second.0, message)
                        .label(second.1)
                        .because(first.0, first.1)
                        .help("give one of them another name"),
                );
            }
        }
        self.declare_levels(items);
        self.declare_domains(items);
        self.declare_caches(items);
        // Also those of a space whose name is misspelt.
        let spaces = of_kind!(items, Space).filter(|space| space.name.node != "kernel");
        let views = spaces.flat_map(|space| &space.views);
        self.views = self.names("view", views.map(|view| (&view.name, "")));
    }

    /// Returns the index of a name. An unknown one is reported, and replaced by the nearest, so that
    /// no other diagnostic follows from it.
    pub(super) fn find(&mut self, what: &str, list: &[Named], ident: &Ident) -> Option<usize> {
        let position = |name: &str| list.iter().position(|named| named.name == name);
        position(&ident.node).or_else(|| {
            let known: Vec<&str> = list.iter().map(|named| named.name.as_str()).collect();
            self.unknown(what, ident, known.iter().copied());
            if self.unread.may_define(&ident.node) {
                return None;
            }
            position(nearest(&ident.node, known.iter().copied())?)
        })
    }

    /// Reports an unknown name. The diagnostic follows from a syntax error if the name may be defined in text that
    /// could not be read. A name that the row of a `for` made is reported at the row.
    pub(super) fn unknown<'a>(
        &mut self,
        what: &str,
        ident: &Ident,
        known: impl Iterator<Item = &'a str>,
    ) {
        // A variable that the `for` does not have is reported there; in a template it looks like an operand.
        if ident.node.contains('{') || self.unknown_variables.contains(&ident.node) {
            return;
        }
        let known: Vec<&str> = known.collect();
        let message = format!("there is no {what} `{}`", ident.node);
        let origin = self.origins.get(&(ident.span, ident.node.clone()));
        let mut diagnostic = match origin {
            Some(&row) => Diagnostic::new(Code::E0202, row, message)
                .label("makes a name that is not defined")
                .because(ident.span, "used here"),
            None => Diagnostic::new(Code::E0202, ident.span, message).label("not defined"),
        };
        diagnostic = match nearest(&ident.node, known.iter().copied()) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None if known.is_empty() => {
                diagnostic.help(format!("this definition has no {what}; define one"))
            }
            None => diagnostic.help(format!("there are: {}", text::names(known))),
        };
        diagnostic.follows = self.unread.may_define(&ident.node);
        if let Some(&row) = origin {
            self.unknown_of_rows.push(UnknownOfRow {
                what: what.to_owned(),
                name: ident.clone(),
                row,
                reported: self.diagnostics.len(),
            });
        }
        self.report(diagnostic);
    }

    /// Replaces the diagnostics at the rows by one at the place of use where each of at least two rows of a `for`
    /// makes an unknown name: then the place is wrong, and not the rows.
    pub(super) fn join_unknown_of_rows(&mut self) {
        let mut of_use: BTreeMap<Span, Vec<UnknownOfRow>> = BTreeMap::new();
        for unknown in std::mem::take(&mut self.unknown_of_rows) {
            let others = of_use.entry(unknown.name.span).or_default();
            if others.iter().all(|it| it.name.node != unknown.name.node) {
                others.push(unknown);
            }
        }
        for (place, unknown) in of_use {
            let made = self.origins.keys().filter(|(span, _)| *span == place);
            let of_unread = |it: &UnknownOfRow| self.diagnostics[it.reported].follows;
            if unknown.len() < 2 || made.count() > unknown.len() || unknown.iter().any(of_unread) {
                continue;
            }
            let message = format!("this is not the name of a {} in any row", unknown[0].what);
            let joined = Diagnostic::new(Code::E0202, place, message)
                .label("not defined in any row")
                .help("use the variable that has such names, or correct every row");
            let joined = unknown.iter().fold(joined, |joined, it| {
                joined.because(it.row, format!("makes `{}`", it.name.node))
            });
            // Equal diagnostics are shown once.
            for it in &unknown {
                self.diagnostics[it.reported] = joined.clone();
            }
        }
    }

    /// Calls `f` with a list of names taken out of `self`, which can report at the same time.
    pub(super) fn with<T>(
        &mut self,
        list: impl Fn(&mut Self) -> &mut Vec<Named>,
        f: impl FnOnce(&mut Self, &[Named]) -> T,
    ) -> T {
        let names = std::mem::take(list(self));
        let result = f(self, &names);
        *list(self) = names;
        result
    }

    /// Returns a number that is stated or read at boot; none if the limit is not known.
    pub(super) fn amount(&mut self, amount: &ast::Amount) -> Option<Amount> {
        match amount {
            ast::Amount::Stated(number) => Some(Amount::Stated(number.node)),
            ast::Amount::Limit(name) => {
                let limit = self.with(|s| &mut s.limits, |s, l| s.find("limit", l, name))?;
                Some(Amount::Limit(limit))
            }
        }
    }

    pub(super) fn feature(&mut self, ident: &Ident) -> Option<usize> {
        self.with(|s| &mut s.features, |s, l| s.find("feature", l, ident))
    }

    pub(super) fn barrier(&mut self, ident: &Ident) -> Option<usize> {
        self.with(|s| &mut s.barriers, |s, l| s.find("barrier", l, ident))
    }

    pub(super) fn load(&mut self, ident: &Ident) -> Option<usize> {
        self.with(|s| &mut s.loads, |s, l| s.find("load", l, ident))
    }

    pub(super) fn level(&mut self, ident: &Ident) -> Option<usize> {
        self.with(|s| &mut s.levels, |s, l| s.find("level", l, ident))
    }

    pub(super) fn instruction(&mut self, ident: &Ident) -> Option<Instr> {
        let by_name = |list: &[Named]| list.iter().position(|n| n.name == ident.node);
        if let Some(barrier) = by_name(&self.barriers) {
            return Some(Instr::Barrier(barrier));
        }
        if let Some(invalidate) = by_name(&self.invalidates) {
            return Some(Instr::Invalidate(invalidate));
        }
        let known: Vec<String> = self
            .barriers
            .iter()
            .chain(&self.invalidates)
            .map(|n| n.name.clone())
            .collect();
        self.unknown(
            "barrier or invalidation",
            ident,
            known.iter().map(String::as_str),
        );
        None
    }

    /// Returns a condition. `extra` are the words that it may use besides features and geometries.
    /// A condition may name a geometry only in tables and operands, because one plan serves all geometries.
    pub(super) fn cond(&mut self, cond: Option<&ast::Cond>, extra: &[(&str, Var)]) -> Cond {
        let mut cond = self.cond_with_geometry(cond, extra);
        cond.terms.retain(|term| {
            let of_geometry = matches!(term.value.0, Var::Geometry(_));
            if of_geometry {
                self.misplaced(
                    term.span,
                    "this statement cannot depend on the geometry".to_owned(),
                    "one plan serves every geometry: only levels, operand fields, addresses and ceilings may depend on it",
                );
            }
            !of_geometry
        });
        cond
    }

    pub(super) fn cond_with_geometry(
        &mut self,
        cond: Option<&ast::Cond>,
        extra: &[(&str, Var)],
    ) -> Cond {
        let mut terms = Vec::new();
        for term in cond.into_iter().flat_map(|cond| &cond.terms) {
            let name = &term.name.node;
            let var = if let Some(i) = self.features.iter().position(|f| f.name == *name) {
                Some(Var::Feature(i))
            } else if let Some(i) = self.geometries.iter().position(|g| g.name == *name) {
                Some(Var::Geometry(i))
            } else if let Some((_, var)) = extra.iter().find(|(word, _)| word == name) {
                Some(*var)
            } else {
                self.feature(&term.name).map(Var::Feature)
            };
            if let Some(var) = var {
                terms.push(At {
                    value: (var, !term.negated),
                    span: term.name.span,
                });
            }
        }
        Cond { terms }
    }

    pub(super) fn cases<T, U>(
        &mut self,
        cases: &ast::Cases<T>,
        by_geometry: bool,
        mut value: impl FnMut(&mut Self, &T) -> Option<U>,
    ) -> Cases<U> {
        let mut out = Vec::new();
        for (case, when) in &cases.cases {
            let when = if by_geometry {
                self.cond_with_geometry(when.as_ref(), &[])
            } else {
                self.cond(when.as_ref(), &[])
            };
            if let Some(value) = value(self, case) {
                out.push((value, when));
            }
        }
        Cases {
            cases: out,
            span: cases.span,
        }
    }

    /// Returns Keeps the first fact of a kind and reports the second.
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
        kinds: impl Iterator<Item = &'a ast::Spanned<ast::Kind>>,
    ) {
        let kinds = kinds.map(|kind| (kind.node, kind.span));
        self.repeated(kinds, |kind| {
            let word = match kind {
                ast::Kind::Leaf => "leaf",
                ast::Kind::Walk => "walk",
                ast::Kind::Root => "root",
                ast::Kind::Negative => "negative",
            };
            format!("`{word}`")
        });
    }

    /// Returns the levels of these names.
    pub(super) fn level_set(&mut self, names: &[Ident]) -> Levels {
        self.repeated_names(names);
        let levels = names.iter().filter_map(|name| self.level(name));
        levels.fold(Levels::NONE, |set, level| {
            set.union(Levels::only(Level(level as u8)))
        })
    }

    /// Reports that `whole` does not say `what`.
    pub(super) fn missing(&mut self, span: Span, whole: &str, what: &str, help: &str) {
        let message = format!("{whole} does not say {what}");
        self.report(
            Diagnostic::new(Code::E0203, span, message)
                .label("missing from this block")
                .help(help),
        );
    }

    /// Reports that `whole` has no `part`.
    pub(super) fn lacks(&mut self, span: Span, whole: &str, part: &str, help: &str) {
        let message = format!("{whole} has no {part}");
        self.report(
            Diagnostic::new(Code::E0203, span, message)
                .label("missing from this block")
                .help(help),
        );
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
