//! Names, and the diagnostics for unknown, repeated and misplaced ones.

use super::list::NameList;
use super::scope::{Lower, UnknownOfRow};
use crate::ast::{self, Ident};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Amount, At, Cases, Cond, Instr, Var};
use crate::source::Span;
use crate::spelling::nearest;
use crate::text;
use crate::undescribed;
use std::collections::BTreeMap;
use tlbc_runtime::level::{Level, Levels};

/// The condition that the level of the entries is given.
pub(super) const HINTED: (&str, Var) = ("hinted", Var::Hinted);
/// The condition that a load keeps the entries of the tag.
pub(super) const KEEP: (&str, Var) = ("keep", Var::Keep);

/// The words of conditions besides features and geometries, and where they are known.
const WORDS: [(&str, &str); 2] = [
    (
        HINTED.0,
        "whether a level is given is known in the fields of an operand and in what an invalidation drops",
    ),
    (
        KEEP.0,
        "whether entries are kept is known in the fields of an operand and in what a load drops",
    ),
];

impl Lower {
    /// Returns the index of a name. An unknown one is reported, and replaced by the nearest, so that
    /// no other diagnostic follows from it.
    pub(super) fn find(&mut self, what: &str, list: &NameList, ident: &Ident) -> Option<usize> {
        list.place(&ident.node).or_else(|| {
            let known: Vec<&str> = list.iter().map(|named| named.name.as_str()).collect();
            self.unknown(what, ident, known.iter().copied());
            if self.unread.may_define(&ident.node) {
                return None;
            }
            list.place(nearest(&ident.node, known.iter().copied())?)
        })
    }

    /// Reports an unknown name, unless it may be defined where the text could not be read. A name that the row of a `for`
    /// made is reported at the row.
    pub(super) fn unknown<'a>(
        &mut self,
        what: &str,
        ident: &Ident,
        known: impl Iterator<Item = &'a str>,
    ) {
        self.unknown.add(ident.span);
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
        // A feature or an operand may have any name.
        let is_of_machine =
            ["source of a field", "space", "tag", "reach or domain"].contains(&what);
        let undescribed = undescribed::named(&ident.node).filter(|_| is_of_machine);
        diagnostic = match nearest(&ident.node, known.iter().copied()) {
            _ if undescribed.is_some() => diagnostic.help(undescribed.unwrap_or_default()),
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None if known.is_empty() => {
                diagnostic.help(format!("this definition has no {what}; define one"))
            }
            None => diagnostic.help(format!("there are: {}", text::names(known))),
        };
        let may_be_defined = self.unread.may_define(&ident.node);
        if let Some(&row) = origin {
            self.unknown_of_rows.push(UnknownOfRow {
                what: what.to_owned(),
                name: ident.clone(),
                row,
                reported: (!may_be_defined).then_some(self.diagnostics.len()),
            });
        }
        if !may_be_defined {
            self.report(diagnostic);
        }
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
            let reported: Option<Vec<usize>> = unknown.iter().map(|it| it.reported).collect();
            let Some(reported) = reported else { continue };
            if unknown.len() < 2 || made.count() > unknown.len() {
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
            for index in reported {
                self.diagnostics[index] = joined.clone();
            }
        }
    }

    /// Calls `f` with a list of names taken out of `self`, which can report at the same time.
    pub(super) fn with<T>(
        &mut self,
        list: impl Fn(&mut Self) -> &mut NameList,
        f: impl FnOnce(&mut Self, &NameList) -> T,
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
        if let Some(barrier) = self.barriers.place(&ident.node) {
            return Some(Instr::Barrier(barrier));
        }
        if let Some(invalidate) = self.invalidates.place(&ident.node) {
            return Some(Instr::Invalidate(invalidate));
        }
        let known: Vec<String> = self
            .barriers
            .iter()
            .chain(self.invalidates.iter())
            .map(|n| n.name.clone())
            .collect();
        self.unknown(
            "barrier or invalidation",
            ident,
            known.iter().map(String::as_str),
        );
        None
    }

    /// Reports features and geometries whose names mean something else in a condition.
    pub(super) fn unclear_conditions(&mut self) {
        let features = self.features.clone();
        for named in features.iter().chain(self.geometries.clone().iter()) {
            let name = &named.name;
            if WORDS.iter().any(|(word, _)| word == name) {
                let message = format!("`{name}` is a word of conditions");
                self.misplaced(named.span, message, "give it another name");
            }
        }
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
            let var = if let Some(i) = self.features.place(name) {
                Some(Var::Feature(i))
            } else if let Some(i) = self.geometries.place(name) {
                Some(Var::Geometry(i))
            } else if let Some((_, var)) = extra.iter().find(|(word, _)| word == name) {
                Some(*var)
            } else if let Some((_, help)) = WORDS.iter().find(|(word, _)| word == name) {
                let message = format!("`{name}` cannot be tested here");
                self.misplaced(term.name.span, message, help);
                None
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

    /// Returns the levels of these names.
    pub(super) fn level_set(&mut self, names: &[Ident]) -> Levels {
        self.repeated_names(names);
        let levels = names.iter().filter_map(|name| self.level(name));
        levels.fold(Levels::NONE, |set, level| {
            set.union(Levels::only(Level(level as u8)))
        })
    }
}
