//! Expressions on one line.

use super::{CALL, CHOICE, FIELDS, Printer, SHORT, WIDTH};
use crate::emit::tree::{Expr, Stmt};

impl Printer {
    /// Returns an expression on one line, unless its kind or its width forbids it.
    pub(super) fn flat(&self, expr: &Expr, nested: bool) -> Option<String> {
        let within = |text: String, most: usize| (text.chars().count() <= most).then_some(text);
        Some(match expr {
            Expr::Word(word) => word.text.to_string(),
            Expr::Field(of, name) => format!("{}.{name}", self.flat_operand(of, 6)?),
            Expr::Index(of, index) => format!("{}[{index}]", self.flat_operand(of, 6)?),
            Expr::Method(of, name, arguments) => {
                let before = self.flat_operand(of, 6)?;
                let text = format!("{before}.{name}({})", self.flat_list(arguments)?);
                let is_chain = matches!(**of, Expr::Method(..) | Expr::Field(..));
                within(text, if is_chain { CALL } else { WIDTH })?
            }
            Expr::Call(of, arguments) => {
                let of = self.flat(of, false)?;
                format!("{of}({})", self.flat_list(arguments)?)
            }
            Expr::Prefix(operator, of) => format!("{operator}{}", self.flat_operand(of, 5)?),
            Expr::Cast(of, to) => format!("{} as {to}", self.flat_operand(of, 5)?),
            Expr::Binary(left, operator, right) => {
                let (left, right) = (
                    self.flat_side(left, operator, false)?,
                    self.flat_side(right, operator, true)?,
                );
                match *operator {
                    ".." | "..=" => format!("{left}{operator}{right}"),
                    operator => format!("{left} {operator} {right}"),
                }
            }
            Expr::Struct(path, fields) => {
                let fields = fields.iter().map(|(name, value)| {
                    Some(if name == ".." {
                        format!("..{}", self.flat(value, true)?)
                    } else if is_short(name, value) {
                        name.to_string()
                    } else {
                        format!("{name}: {}", self.flat(value, true)?)
                    })
                });
                let fields: Option<Vec<String>> = fields.collect();
                format!(
                    "{} {{ {} }}",
                    path.text,
                    within(fields?.join(", "), FIELDS)?
                )
            }
            Expr::Tuple(values) => format!("({})", self.flat_list(values)?),
            Expr::Array(values) => format!("[{}]", self.flat_list(values)?),
            Expr::If(alternatives, last) => {
                let ([(test, then)], true) = (alternatives.as_slice(), nested) else {
                    return None;
                };
                let ([Stmt::Value(then)], [Stmt::Value(last)]) = (then.as_slice(), last.as_slice())
                else {
                    return None;
                };
                let (test, then, last) = (
                    self.flat(test, false)?,
                    self.flat(then, true)?,
                    self.flat(last, true)?,
                );
                within(format!("if {test} {{ {then} }} else {{ {last} }}"), CHOICE)?
            }
            Expr::Block(body) if body.is_empty() => "{}".to_owned(),
            Expr::Match(..) | Expr::Block(_) => return None,
            Expr::Closure(name, value) => format!("|{}| {}", name.text, self.flat(value, true)?),
            Expr::Asm(lines) => {
                let templates = lines.iter().filter(|line| line.starts_with('"')).count();
                let text = lines.join(", ");
                let most = if templates == 1 { WIDTH } else { CALL };
                format!("asm!({})", within(text, most)?)
            }
        })
    }

    pub(super) fn flat_list(&self, values: &[Expr]) -> Option<String> {
        let values: Option<Vec<String>> = values.iter().map(|it| self.flat(it, true)).collect();
        let text = values?.join(", ");
        (text.chars().count() <= CALL).then_some(text)
    }
}

/// Returns whether an argument may share its line with others where they do not fit on one line.
pub(super) fn is_simple(expr: &Expr) -> bool {
    match expr {
        Expr::Word(word) => word.text.len() <= SHORT && !word.text.contains("::"),
        _ => false,
    }
}

/// Returns whether a field may be written as its name alone.
pub(super) fn is_short(name: &str, value: &Expr) -> bool {
    matches!(value, Expr::Word(word) if word.text == name)
}
