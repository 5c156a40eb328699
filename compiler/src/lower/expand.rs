//! `for`: the same items once for each row of values.

use super::Lower;
use crate::ast::{self, Cond, Ident, InvalidateFact, Item, Text};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;

impl Lower {
    /// The items with every `for` written out.
    pub(super) fn expand(&mut self, items: &[Item]) -> Vec<Item> {
        let mut out = Vec::new();
        for item in items {
            let Item::For(it) = item else {
                out.push(item.clone());
                continue;
            };
            for row in &it.rows {
                if row.node.len() == it.variables.len() {
                    let values = Values(it, &row.node);
                    for item in &it.items {
                        let mut item = item.clone();
                        if values.item(&mut item) {
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
                }
            }
        }
        out
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
                    counted(have, "value"),
                    counted(want, "variable")
                ),
            )
            .label(counted(have, "value"))
            .because(first.to(last), counted(want, "variable"))
            .help("give each variable one value in every row"),
        );
    }
}

/// `1 value`, `2 values`
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// One row of a `for`.
struct Values<'a>(&'a ast::For, &'a [Text]);

impl Values<'_> {
    fn text(&self, text: &mut String) {
        for (variable, value) in self.0.variables.iter().zip(self.1) {
            *text = text.replace(&format!("{{{}}}", variable.node), &value.node);
        }
    }

    fn ident(&self, ident: &mut Ident) {
        self.text(&mut ident.node);
    }

    fn cond(&self, cond: Option<&mut Cond>) {
        for term in cond.into_iter().flat_map(|cond| &mut cond.terms) {
            self.ident(&mut term.name);
        }
    }

    /// Whether the item may be repeated.
    fn item(&self, item: &mut Item) -> bool {
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
                        | ast::BarrierFact::Drained => {}
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
                for per in &mut it.per {
                    self.text(&mut per.node);
                }
            }
            _ => return false,
        }
        true
    }

    fn invalidate(&self, it: &mut ast::Invalidate) {
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
