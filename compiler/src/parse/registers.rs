//! Registers: the fields that report features and limits, and the required configuration.

use super::tree::{TreeBuilder, first, has, one};
use crate::ast::{Bits, Comparison, Ident, LimitFrom, ReadFrom, Requirement, Setup, Spanned};
use tlbc_grammar::{ParseNode, Rule};

impl TreeBuilder<'_> {
    pub(super) fn read_from(&mut self, node: &ParseNode) -> ReadFrom {
        ReadFrom {
            register: self.register(node),
            bits: self.register_bits(&one(node, Rule::register_bits)),
            comparison: comparison(node),
            value: self.number_in(node),
            span: self.span(node),
        }
    }

    pub(super) fn limit_from(&mut self, node: &ParseNode) -> LimitFrom {
        LimitFrom {
            register: self.register(node),
            bits: self.register_bits(&one(node, Rule::register_bits)),
            plus: first(node, Rule::number).map(|number| self.number(&number)),
            span: self.span(node),
        }
    }

    pub(super) fn setup(&mut self, node: &ParseNode) -> Setup {
        let span = self.span(node);
        if let Some(field) = first(node, Rule::setup_field) {
            return Setup {
                what: Requirement::Field {
                    field: self.register(&field),
                    bits: first(&field, Rule::register_bits).map(|bits| self.register_bits(&bits)),
                    comparison: comparison(&field),
                    values: self.cases(&field, Rule::setup_value, Self::number_in),
                },
                text: self.text(&field),
                span,
            };
        }
        let text = one(node, Rule::setup_text);
        Setup {
            what: Requirement::Text(self.cond(&text)),
            text: self.text(&text),
            span,
        }
    }

    fn register(&self, node: &ParseNode) -> Ident {
        let register = one(node, Rule::register);
        Spanned {
            node: register.as_str().to_owned(),
            span: self.span(&register),
        }
    }

    fn register_bits(&mut self, node: &ParseNode) -> Bits {
        let (high, low) = self.pair(node);
        Bits {
            high,
            low,
            span: self.span(node),
        }
    }
}

fn comparison(node: &ParseNode) -> Comparison {
    if has(node, Rule::at_least) {
        Comparison::AtLeast
    } else {
        Comparison::Equal
    }
}
