//! Operators and their operands.

use super::{INDENT, Printer};
use crate::emit::tree::Expr;

/// Returns how strongly an operator binds.
fn strength(operator: &str) -> u8 {
    match operator {
        "||" => 1,
        "&&" => 2,
        "|=" | "=" => 0,
        "|" | "&" | "<<" | ">>" | "+" => 4,
        _ => 3,
    }
}

impl Printer {
    /// Writes an operand, in parentheses if it binds less strongly than its operator.
    pub(super) fn operand(&mut self, expr: &Expr, strength: u8, tail: usize) {
        if needs_parentheses(expr, strength) {
            self.out.push('(');
            self.expr(expr, tail + 1);
            self.out.push(')');
        } else {
            self.expr(expr, tail);
        }
    }

    /// Writes operands that do not fit on a line, each on its own.
    pub(super) fn operands(
        &mut self,
        left: &Expr,
        operator: &'static str,
        right: &Expr,
        tail: usize,
    ) {
        let mut operands = vec![right];
        let mut first = left;
        while let Expr::Binary(before, of, after) = first
            && *of == operator
        {
            operands.push(after);
            first = before;
        }
        self.side(first, operator, false, 0);
        // The end of a call is followed by an operator on the same line.
        if let [last] = operands[..]
            && matches!(first, Expr::Call(..) | Expr::Method(..))
            && self.out.ends_with(')')
            && self
                .out
                .lines()
                .next_back()
                .is_some_and(|line| line.trim_start() == ")")
        {
            self.out.push_str(&format!(" {operator} "));
            return self.side(last, operator, true, tail);
        }
        self.indent += INDENT;
        for operand in operands.into_iter().rev() {
            self.newline();
            self.out.push_str(operator);
            self.out.push(' ');
            self.side(operand, operator, true, tail);
        }
        self.indent -= INDENT;
    }

    /// Writes a side of an operator.
    pub(super) fn side(&mut self, expr: &Expr, operator: &str, is_right: bool, tail: usize) {
        if side_needs_parentheses(expr, operator, is_right) {
            self.out.push('(');
            self.expr(expr, tail + 1);
            self.out.push(')');
        } else {
            self.nested_expr(expr, tail);
        }
    }

    pub(super) fn flat_operand(&self, expr: &Expr, strength: u8) -> Option<String> {
        let text = self.flat(expr, true)?;
        Some(if needs_parentheses(expr, strength) {
            format!("({text})")
        } else {
            text
        })
    }

    pub(super) fn flat_side(&self, expr: &Expr, operator: &str, is_right: bool) -> Option<String> {
        let text = self.flat(expr, true)?;
        Some(if side_needs_parentheses(expr, operator, is_right) {
            format!("({text})")
        } else {
            text
        })
    }
}

fn needs_parentheses(expr: &Expr, at_least: u8) -> bool {
    match expr {
        Expr::Binary(_, operator, _) => strength(operator) < at_least,
        Expr::Cast(..) | Expr::If(..) | Expr::Match(..) => at_least >= 5,
        Expr::Prefix(..) => at_least >= 6,
        _ => false,
    }
}

/// Returns whether a side of an operator is in parentheses. Two operators are separated by parentheses wherever a reader would
/// have to know which one binds more strongly, except for comparisons.
fn side_needs_parentheses(expr: &Expr, operator: &str, is_right: bool) -> bool {
    let own = strength(operator);
    match expr {
        Expr::Binary(_, other, _) if *other == operator => is_right || own == 3,
        Expr::Binary(_, other, _) if own == 3 => strength(other) <= own,
        Expr::Binary(_, other, _) => own > 0 && strength(other) != 3 || strength(other) < own,
        Expr::Cast(..) => matches!(operator, "<<" | "<"),
        Expr::If(..) | Expr::Match(..) => own > 0,
        _ => false,
    }
}
