//! `for`: the same items once for each row of values.
//!
//! In: items. Out: items without a `for`, and for each name that a row made the place in the row that it comes
//! from. Holds: every such text is a name.

use super::scope::{Lower, Origins};
use crate::ast::{self, Cond, Ident, InvalidateFact, Item, Text};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::spelling::nearest;
use crate::text::{self, count};
use std::collections::BTreeSet;

impl Lower {
    /// Returns the items with every `for` written out.
    pub(super) fn expand(&mut self, items: &[Item]) -> Vec<Item> {
        let mut out = Vec::new();
        for item in items {
            let Item::For(it) = item else {
                out.push(item.clone());
                continue;
            };
            for row in &it.rows {
                if row.node.len() == it.variables.len() {
                    let mut values = ForRow {
                        variables: &it.variables,
                        row,
                        origins: &mut self.origins,
                        unknown: &mut self.unknown_variables,
                        bad: Vec::new(),
                    };
                    let mut items = it.items.clone();
                    let may_stand: Vec<bool> =
                        items.iter_mut().map(|item| values.item(item)).collect();
                    let bad = std::mem::take(&mut values.bad);
                    if !bad.is_empty() {
                        self.leave_out(it);
                    }
                    for label in bad.iter().flat_map(Diagnostic::labels) {
                        self.unknown.add(label.span);
                    }
                    self.diagnostics.extend(bad);
                    for (item, may_stand) in items.into_iter().zip(may_stand) {
                        if may_stand {
                            out.push(item);
                        } else {
                            self.misplaced(
                                it.span,
                                "a `for` repeats instructions, barriers, operands and loads only"
                                    .to_owned(),
                                "move the other items out of it",
                            );
                        }
                    }
                } else {
                    self.row_of_wrong_length(it, row);
                    self.leave_out(it);
                }
            }
        }
        out
    }

    /// Notes the names that a row would have made.
    fn leave_out(&mut self, it: &ast::For) {
        for item in &it.items {
            let name = match item {
                Item::Barrier(it) => &it.name,
                Item::Operand(it) => &it.name,
                Item::Invalidate(it) => &it.name,
                Item::Load(it) => &it.name,
                _ => continue,
            };
            self.unread.add(&name.node);
        }
    }

    fn row_of_wrong_length(&mut self, it: &ast::For, row: &ast::Spanned<Vec<Text>>) {
        let (have, want) = (row.node.len(), it.variables.len());
        let first = it.variables.first().map_or(it.span, |v| v.span);
        let last = it.variables.last().map_or(it.span, |v| v.span);
        self.report(
            Diagnostic::new(
                Code::E0205,
                row.span,
                format!(
                    "this row has {} for {}",
                    count(have, "value"),
                    count(want, "variable")
                ),
            )
            .label(count(have, "value"))
            .because(first.to(last), count(want, "variable"))
            .help("give each variable one value in every row"),
        );
    }
}

/// Returns the first variable in a name.
fn variable(name: &str) -> Option<&str> {
    let (_, variable) = name.split_once('{')?;
    variable.split('}').next()
}

/// Returns the fault of a name into which the values of a row were written.
fn bad_name(
    variables: &[Ident],
    template: &str,
    ident: &Ident,
    origin: Span,
) -> Option<Diagnostic> {
    let name = &ident.node;
    if let Some(variable) = variable(name) {
        let message = format!("this `for` has no variable `{variable}`");
        let known = variables.iter().map(|variable| variable.node.as_str());
        let help = match nearest(variable, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", text::names(known)),
        };
        return Some(
            Diagnostic::new(Code::E0202, ident.span, message)
                .label("not defined")
                .help(help),
        );
    }
    let may_begin = |c: char| c.is_ascii_lowercase() || c == '_';
    let is_name =
        name.starts_with(may_begin) && name.chars().all(|c| may_begin(c) || c.is_ascii_digit());
    (!is_name).then(|| {
        let message = format!("`{template}` becomes `{name}`, which is not a name");
        Diagnostic::new(Code::E0207, origin, message)
            .label("by this value")
            .because(ident.span, "written in here")
            .help("a name begins with a lower-case letter or `_`; lower-case letters, digits and `_` follow")
    })
}

/// One row of a `for`.
struct ForRow<'a> {
    variables: &'a [Ident],
    row: &'a ast::Spanned<Vec<Text>>,
    origins: &'a mut Origins,
    unknown: &'a mut BTreeSet<String>,
    /// The texts that the row makes of names, and that are no names.
    bad: Vec<Diagnostic>,
}

impl ForRow<'_> {
    /// Writes the values into a text, and returns the places of those that it used.
    fn text(&self, text: &mut String) -> Vec<Span> {
        let mut taken = Vec::new();
        for (variable, value) in self.variables.iter().zip(&self.row.node) {
            let variable = format!("{{{}}}", variable.node);
            if text.contains(&variable) {
                *text = text.replace(&variable, &value.node);
                taken.push(value.span);
            }
        }
        taken
    }

    fn ident(&mut self, ident: &mut Ident) {
        if !ident.node.contains('{') {
            return;
        }
        let template = ident.node.clone();
        let origin = match self.text(&mut ident.node).as_slice() {
            [only] => *only,
            [] => ident.span,
            _ => self.row.span,
        };
        let key = (ident.span, ident.node.clone());
        self.origins.entry(key).or_insert(origin);
        if let Some(variable) = variable(&ident.node) {
            self.unknown.insert(variable.to_owned());
        }
        // A value that fits no name fits none of the names into which it is written.
        if let Some(bad) = bad_name(self.variables, &template, ident, origin)
            && !self.bad.iter().any(|known| known.primary.span == origin)
        {
            self.bad.push(bad);
        }
    }

    fn cond(&mut self, cond: Option<&mut Cond>) {
        for term in cond.into_iter().flat_map(|cond| &mut cond.terms) {
            self.ident(&mut term.name);
        }
    }

    /// Returns whether the item may be repeated.
    fn item(&mut self, item: &mut Item) -> bool {
        match item {
            Item::Invalidate(it) => self.invalidate(it),
            Item::Barrier(it) => {
                self.ident(&mut it.name);
                self.text(&mut it.template.node);
                self.cond(it.requires.as_mut());
                for fact in &mut it.facts {
                    match &mut fact.node {
                        ast::BarrierFact::Publishes(on)
                        | ast::BarrierFact::Completes { on, .. }
                        | ast::BarrierFact::Resyncs(on) => self.ident(on),
                        ast::BarrierFact::Keeps(_)
                        | ast::BarrierFact::Gone
                        | ast::BarrierFact::Drained
                        | ast::BarrierFact::Cost(_) => {}
                    }
                }
            }
            Item::Operand(it) => {
                self.ident(&mut it.name);
                for field in &mut it.fields {
                    self.cond(field.when.as_mut());
                }
            }
            Item::Load(it) => {
                self.ident(&mut it.name);
                self.text(&mut it.template.node);
                self.cond(it.requires.as_mut());
                for per in &mut it.per {
                    self.text(&mut per.node);
                }
                for follows in &mut it.follows {
                    self.ident(&mut follows.node);
                }
            }
            _ => return false,
        }
        true
    }

    fn invalidate(&mut self, it: &mut ast::Invalidate) {
        self.ident(&mut it.name);
        if let Some(template) = &mut it.template {
            self.text(&mut template.node);
        }
        if let Some(call) = &mut it.call {
            self.ident(call);
        }
        it.with.iter_mut().for_each(|operand| self.ident(operand));
        self.cond(it.requires.as_mut());
        for fact in &mut it.facts {
            match &mut fact.node {
                InvalidateFact::Per(text) | InvalidateFact::Encoded(text) => {
                    self.text(&mut text.node);
                }
                InvalidateFact::Where(names) | InvalidateFact::After(names) => {
                    for (name, when) in &mut names.cases {
                        self.ident(name);
                        self.cond(when.as_mut());
                    }
                }
                InvalidateFact::Follows(name) => self.ident(name),
                InvalidateFact::Drops(drops) => self.cond(drops.when.as_mut()),
                InvalidateFact::Form(form) => {
                    self.cond(form.requires.as_mut());
                    for drops in &mut form.drops {
                        self.cond(drops.node.when.as_mut());
                    }
                }
                InvalidateFact::AtOnce
                | InvalidateFact::DropsNothing
                | InvalidateFact::Needs(_)
                | InvalidateFact::NeedsNoLock
                | InvalidateFact::MayBeInterrupted
                | InvalidateFact::Keeps(_)
                | InvalidateFact::ClobbersFlags
                | InvalidateFact::OverwritesOperands
                | InvalidateFact::RetryWhileBusy
                | InvalidateFact::WritesEntry { .. }
                | InvalidateFact::Cost(_) => {}
            }
        }
    }
}
