//! The texts of instructions, and the operands that they name.

use std::ops::Range;

use super::scope::Lower;
use crate::ast::{self, Ident};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Keeps, Template};
use crate::source::Span;
use crate::template;

impl Lower {
    /// Returns the instructions of a text; none, with a diagnostic, where it is malformed.
    pub(super) fn lines(&mut self, text: &ast::Text) -> Vec<String> {
        template::parse(&text.node).unwrap_or_else(|malformed| {
            let span = within(text, malformed.range);
            let found = Diagnostic::new(Code::E0320, span, malformed.message);
            self.report(found.label("here").help(malformed.help));
            Vec::new()
        })
    }

    /// Returns the lines of a template, and the operands in the order in which it names them.
    pub(super) fn template(&mut self, text: &ast::Text, with: &[Ident]) -> Template {
        let lines = self.lines(text);
        let mut operands = Vec::new();
        for (range, name) in template::names(&text.node) {
            if name == template::SCRATCH {
                continue;
            }
            let ident = Ident {
                node: name.to_owned(),
                span: within(text, range),
            };
            self.place_operand(&ident, &mut operands);
        }
        for ident in with {
            self.place_operand(ident, &mut operands);
        }
        Template {
            lines,
            keeps: Keeps::default(),
            operands,
            span: text.span,
        }
    }

    fn place_operand(&mut self, ident: &Ident, operands: &mut Vec<usize>) {
        let found = self.with(|s| &mut s.operands, |s, l| s.find("operand", l, ident));
        if let Some(operand) = found.filter(|operand| !operands.contains(operand)) {
            operands.push(operand);
        }
    }

    /// Returns the text of a call of the platform in a trace.
    pub(super) fn call(&mut self, name: &Ident, with: &[Ident]) -> Template {
        let mut operands = Vec::new();
        for ident in with {
            self.place_operand(ident, &mut operands);
        }
        let arguments: Vec<String> = with.iter().map(|o| format!("{{{}}}", o.node)).collect();
        Template {
            lines: vec![format!("{}({})", name.node, arguments.join(", "))],
            keeps: Keeps::default(),
            operands,
            span: name.span,
        }
    }
}

/// Returns the place of a part of a text. Where a `for` made another text of it, the place of the whole text.
fn within(text: &ast::Text, range: Range<usize>) -> Span {
    let Span { file, start, end } = text.span;
    if (end - start) as usize != text.node.len() + 2 {
        return text.span;
    }
    Span {
        file,
        start: start + 1 + range.start as u32,
        end: start + 1 + range.end as u32,
    }
}
