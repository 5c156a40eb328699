//! Statements, on as many lines as they take.

use super::{INDENT, Printer, WIDTH};
use crate::emit::tree::{Expr, Stmt};

impl Printer {
    /// Writes a block.
    pub(super) fn block(&mut self, body: &[Stmt]) {
        if body.is_empty() {
            self.out.push_str("{}");
            return;
        }
        self.nested("{", "}", |printer| {
            for statement in body {
                printer.statement(statement);
            }
        });
    }

    pub(super) fn statement(&mut self, statement: &Stmt) {
        if let Stmt::Comment(text) = statement {
            return self.comment("//", text);
        }
        self.newline();
        match statement {
            Stmt::Comment(_) => {}
            Stmt::Let(name, value) => {
                self.out.push_str("let ");
                self.out.push_str(&name.text);
                self.assigned(value);
                self.out.push(';');
            }
            Stmt::Return(value) => {
                self.out.push_str("return ");
                self.nested_expr(value, 1);
                self.out.push(';');
            }
            Stmt::Do(value) => {
                self.expr(value, 1);
                if !matches!(value, Expr::If(..) | Expr::Match(..) | Expr::Block(_)) {
                    self.out.push(';');
                }
            }
            Stmt::Value(value) => self.expr(value, 0),
            Stmt::For(vars, over, body) => {
                let names: Vec<&str> = vars.iter().map(|var| var.name()).collect();
                let pattern = match names.as_slice() {
                    [] => "_".to_owned(),
                    [one] => (*one).to_owned(),
                    names => format!("({})", names.join(", ")),
                };
                self.out.push_str(&format!("for {pattern} in "));
                self.head(over, body);
            }
            Stmt::While(test, body) => {
                self.out.push_str("while ");
                self.head(test, body);
            }
            Stmt::IfSome(var, value, body) => {
                self.out
                    .push_str(&format!("if let Some({}) = ", var.name()));
                self.head(value, body);
            }
            Stmt::Unsafe(body) => {
                self.out.push_str("unsafe ");
                self.block(body);
            }
        }
    }

    /// Writes what follows a keyword, and a block.
    pub(super) fn head(&mut self, value: &Expr, body: &[Stmt]) {
        let before = self.out.len();
        self.expr(value, 0);
        if self.out[before..].contains('\n') || self.room() < 2 {
            self.newline();
        } else {
            self.out.push(' ');
        }
        self.block(body);
    }

    /// Writes ` = value`, in the next line if it fits only there.
    pub(super) fn assigned(&mut self, value: &Expr) {
        self.out.push_str(" =");
        if let Some(flat) = self.flat(value, true)
            && flat.chars().count() + 2 > self.room()
            && flat.chars().count() + 1 + self.indent + INDENT <= WIDTH
        {
            self.indent += INDENT;
            self.newline();
            self.indent -= INDENT;
            self.out.push_str(&flat);
            return;
        }
        if let Expr::If(alternatives, _) = value
            && let Some((test, _)) = alternatives.first()
            && self
                .flat(test, false)
                .is_none_or(|test| test.chars().count() + 6 > self.room())
        {
            self.indent += INDENT;
            self.newline();
            self.nested_expr(value, 1);
            self.indent -= INDENT;
            return;
        }
        self.out.push(' ');
        self.nested_expr(value, 1);
    }
}
