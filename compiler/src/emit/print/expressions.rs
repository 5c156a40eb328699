//! Expressions, on as many lines as they take.

use super::flat::{is_short, is_simple};
use super::{CALL, INDENT, Printer, SHORT, WIDTH};
use crate::emit::tree::{Case, Expr, Stmt};
use crate::text::wrap;

impl Printer {
    /// Writes an expression before `tail` more characters.
    pub(super) fn expr(&mut self, expr: &Expr, tail: usize) {
        self.put(expr, tail, false);
    }

    /// Writes an expression that is part of another one.
    pub(super) fn nested_expr(&mut self, expr: &Expr, tail: usize) {
        self.put(expr, tail, true);
    }

    pub(super) fn put(&mut self, expr: &Expr, tail: usize, nested: bool) {
        if let Some(flat) = self.flat(expr, nested)
            && flat.chars().count() + tail <= self.room()
        {
            self.out.push_str(&flat);
            return;
        }
        match expr {
            Expr::Word(word) => self.out.push_str(&word.text),
            Expr::Field(of, name) => {
                self.operand(of, 6, 0);
                self.out.push('.');
                self.out.push_str(name);
            }
            Expr::Index(of, index) => {
                self.operand(of, 6, 0);
                self.out.push_str(&format!("[{index}]"));
            }
            Expr::Method(..) => self.chain(expr, tail),
            Expr::Call(of, arguments) => {
                self.expr(of, 0);
                self.arguments(arguments, tail);
            }
            Expr::Prefix(operator, of) => {
                self.out.push_str(operator);
                self.operand(of, 5, tail);
            }
            Expr::Cast(of, to) => {
                self.operand(of, 5, 0);
                self.out.push_str(&format!(" as {to}"));
            }
            Expr::Binary(left, "=", right) => {
                self.expr(left, 0);
                self.assigned(right);
            }
            Expr::Binary(left, "|=", right) => {
                self.expr(left, 0);
                self.out.push_str(" |= ");
                self.nested_expr(right, tail);
            }
            Expr::Binary(left, operator, right) => self.operands(left, operator, right, tail),
            Expr::Struct(path, fields) => {
                self.out.push_str(&path.text);
                self.nested(" {", "}", |printer| {
                    for (name, value) in fields {
                        printer.newline();
                        printer.out.push_str(name);
                        if name == ".." {
                            printer.nested_expr(value, 0);
                            continue;
                        }
                        if !is_short(name, value) {
                            printer.out.push_str(": ");
                            printer.nested_expr(value, 1);
                        }
                        printer.out.push(',');
                    }
                });
            }
            Expr::Tuple(values) => self.list("(", values, ")"),
            Expr::Array(values) => self.list("[", values, "]"),
            Expr::If(alternatives, last) => {
                for (index, (test, body)) in alternatives.iter().enumerate() {
                    self.out
                        .push_str(if index > 0 { " else if " } else { "if " });
                    self.head(test, body);
                }
                if !last.is_empty() {
                    self.out.push_str(" else ");
                    self.block(last);
                }
            }
            Expr::Match(value, cases) => {
                self.out.push_str("match ");
                self.expr(value, 2);
                self.nested(" {", "}", |printer| {
                    for case in cases {
                        printer.case(case);
                    }
                });
            }
            Expr::Block(body) => self.block(body),
            Expr::Closure(name, value) => {
                self.out.push_str(&format!("|{}| ", name.text));
                self.block(&[Stmt::Value((**value).clone())]);
            }
            Expr::Asm(lines) => self.nested("asm!(", ")", |printer| {
                let templates = lines.iter().filter(|line| line.starts_with('"')).count();
                let (templates, operands) = lines.split_at(templates);
                // The operands share a line, if there are any besides the options.
                let together = operands.join(", ");
                let fits = operands.len() > 1 && printer.indent + INDENT + together.len() < WIDTH;
                let operands = if fits {
                    vec![together]
                } else {
                    operands.to_vec()
                };
                for line in templates.iter().chain(&operands) {
                    printer.newline();
                    printer.out.push_str(line);
                    printer.out.push(',');
                }
            }),
        }
    }

    pub(super) fn case(&mut self, case: &Case) {
        self.newline();
        self.pattern(&case.pattern);
        if let Some(guard) = &case.guard {
            self.out.push_str(" if ");
            self.expr(guard, 4);
        }
        self.out.push_str(" => ");
        let flat = self.flat(&case.value, false);
        let width = flat.map(|flat| flat.chars().count());
        // A value that fits only on a line of its own is in a block.
        let in_block = width
            .is_some_and(|width| width >= self.room() && self.indent + INDENT + width <= WIDTH);
        match (&case.value, in_block) {
            (Expr::Block(body), _) => self.block(body),
            (Expr::If(..), _) | (_, true) => self.block(&[Stmt::Value(case.value.clone())]),
            (value, _) => {
                self.expr(value, 1);
                self.out.push(',');
            }
        }
    }

    /// Writes a pattern, with each alternative on its own line if they do not fit on one.
    pub(super) fn pattern(&mut self, pattern: &Expr) {
        let fits = self
            .flat(pattern, false)
            .is_some_and(|flat| flat.chars().count() + 5 <= self.room());
        if let Expr::Struct(path, fields) = pattern
            && !fits
            && fields.last().is_some_and(|(name, _)| name == "..")
            && fields.iter().all(|(name, _)| name.len() <= SHORT)
        {
            // Short names share a line.
            let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
            self.out.push_str(&path.text);
            return self.nested(" {", "}", |printer| {
                printer.newline();
                printer.out.push_str(&names.join(", "));
            });
        }
        match pattern {
            Expr::Binary(first, "|", last) if !fits => {
                self.pattern_before(first);
                self.newline();
                self.out.push_str("| ");
                self.expr(last, 5);
            }
            _ => self.expr(pattern, 5),
        }
    }

    pub(super) fn pattern_before(&mut self, pattern: &Expr) {
        if let Expr::Binary(first, "|", last) = pattern {
            self.pattern_before(first);
            self.newline();
            self.out.push_str("| ");
            self.expr(last, 0);
        } else {
            self.expr(pattern, 0);
        }
    }

    pub(super) fn list(&mut self, open: &str, values: &[Expr], close: &str) {
        self.nested(open, close, |printer| {
            for value in values {
                printer.newline();
                printer.nested_expr(value, 1);
                printer.out.push(',');
            }
        });
    }

    /// Writes arguments of a call. A last argument in braces, or the only one, begins on the line of the call.
    pub(super) fn arguments(&mut self, arguments: &[Expr], tail: usize) {
        if let [
            only @ (Expr::Struct(..)
            | Expr::Call(..)
            | Expr::Method(..)
            | Expr::Match(..)
            | Expr::Array(_)
            | Expr::Tuple(_)),
        ] = arguments
        {
            self.out.push('(');
            self.nested_expr(only, tail + 1);
            self.out.push(')');
            return;
        }
        if let [first @ .., Expr::Closure(name, value)] = arguments
            && let Some(first) = self.flat_list(first)
            && first.len() + name.text.len() + 8 < self.room()
        {
            self.out.push_str(&format!("({first}, |{}| ", name.text));
            self.block(&[Stmt::Value((**value).clone())]);
            self.out.push(')');
            return;
        }
        if !arguments.iter().all(is_simple) {
            return self.list("(", arguments, ")");
        }
        let arguments: Option<Vec<String>> =
            arguments.iter().map(|it| self.flat(it, true)).collect();
        let arguments = arguments.unwrap_or_default().join(", ") + ",";
        self.nested("(", ")", |printer| {
            for line in wrap(&arguments, WIDTH - printer.indent) {
                printer.newline();
                printer.out.push_str(&line);
            }
        });
    }

    /// Writes a chain of fields and methods that does not fit on a line.
    pub(super) fn chain(&mut self, expr: &Expr, tail: usize) {
        let mut links = Vec::new();
        let mut first = expr;
        while let Expr::Method(of, ..) | Expr::Field(of, _) = first {
            links.push(first);
            first = of;
        }
        links.reverse();
        // All but the last link on one line, and the arguments of the last one below it.
        if let Expr::Method(of, name, arguments) = expr
            && let Some(before) = self.flat_operand(of, 6)
            && before.chars().count() + name.len() + 2 <= self.room()
            && (links.len() == 1
                || before.chars().count() + name.len() + 2 <= CALL
                    && self.flat_list(arguments).is_none())
        {
            self.out.push_str(&format!("{before}.{name}"));
            return self.arguments(arguments, tail);
        }
        self.operand(first, 6, 0);
        // A short start of a line is followed by the first link.
        let line = self.out.rfind('\n').map_or(0, |at| at + 1);
        let short = self.out[line..].trim_start().len() <= INDENT;
        self.indent += INDENT;
        for (index, link) in links.iter().enumerate() {
            if index > 0 || !short {
                self.newline();
            }
            match link {
                Expr::Method(_, name, arguments) => {
                    self.out.push_str(&format!(".{name}"));
                    match self.flat_list(arguments) {
                        Some(flat) if flat.chars().count() + 2 <= self.room() => {
                            self.out.push_str(&format!("({flat})"));
                        }
                        _ => self.arguments(arguments, 0),
                    }
                }
                Expr::Field(_, name) => self.out.push_str(&format!(".{name}")),
                _ => {}
            }
        }
        self.indent -= INDENT;
    }
}
