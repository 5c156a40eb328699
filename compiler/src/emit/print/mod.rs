//! From trees to text.
//!
//! In: items. Out: their text, as rustfmt writes it with its default settings.

mod expressions;
mod flat;
mod operators;
mod statements;

use super::tree::{Function, Item, Member};
use crate::text::wrap;

/// The maximum width of a line.
const WIDTH: usize = 100;
/// The maximum width of the arguments of a call, of an array, and of a chain of calls on one line.
const CALL: usize = 60;
/// The maximum width of the fields of a structure on one line.
const FIELDS: usize = 18;
/// The maximum width of the fields of a variant on one line.
const VARIANT: usize = 35;
/// The maximum width of a choice on one line.
const CHOICE: usize = 50;
const INDENT: usize = 4;
/// The maximum width of arguments and fields that share a line where they do not all fit on the first one.
const SHORT: usize = 10;

/// Returns the text of items.
pub fn items(items: &[Item]) -> String {
    let mut printer = Printer::default();
    printer.items(items);
    printer.out
}

/// Returns the import of several names.
pub fn import(path: &str, names: &[&str]) -> String {
    let line = format!("use {path}::{{{}}};\n", names.join(", "));
    if line.len() <= WIDTH {
        return line;
    }
    let names = wrap(&format!("{},", names.join(", ")), WIDTH - INDENT - 1);
    let names: Vec<String> = names.iter().map(|line| format!("    {line}\n")).collect();
    format!("use {path}::{{\n{}}};\n", names.concat())
}

#[derive(Default)]
struct Printer {
    out: String,
    /// The indentation of the current line.
    indent: usize,
}

impl Printer {
    /// Returns the width of what is left of the current line.
    fn room(&self) -> usize {
        let line = self.out.rfind('\n').map_or(0, |at| at + 1);
        WIDTH.saturating_sub(self.out[line..].chars().count())
    }

    fn newline(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', self.indent));
    }

    /// Starts a line, unless the text is empty.
    fn start(&mut self) {
        if self.out.is_empty() {
            return;
        }
        self.newline();
    }

    /// Writes something in a deeper indentation, between two texts.
    fn nested(&mut self, open: &str, close: &str, write: impl FnOnce(&mut Self)) {
        self.out.push_str(open);
        self.indent += INDENT;
        write(self);
        self.indent -= INDENT;
        self.newline();
        self.out.push_str(close);
    }

    /// Writes lines of comment after a prefix.
    fn comment(&mut self, prefix: &str, text: &str) {
        for paragraph in text.lines() {
            let hanging = if paragraph.starts_with("- ") {
                "  "
            } else {
                ""
            };
            let width = WIDTH - self.indent - prefix.len() - 1 - hanging.len();
            let lines = wrap(paragraph, width);
            if lines.is_empty() {
                self.start();
                self.out.push_str(prefix);
            }
            for (index, line) in lines.iter().enumerate() {
                self.start();
                self.out.push_str(prefix);
                self.out.push(' ');
                self.out.push_str(if index > 0 { hanging } else { "" });
                self.out.push_str(line);
            }
        }
    }

    fn attributes<T: AsRef<str>>(&mut self, attributes: &[T]) {
        for attribute in attributes {
            self.start();
            self.out.push_str("#[");
            self.out.push_str(attribute.as_ref());
            self.out.push(']');
        }
    }

    fn items(&mut self, items: &[Item]) {
        for (index, item) in items.iter().enumerate() {
            let is_const = |item: &Item| matches!(item, Item::Const { .. });
            let follows = index.checked_sub(1).map(|before| &items[before]);
            if follows.is_some_and(|before| !(is_const(before) && is_const(item))) {
                self.out.push('\n');
            }
            self.item(item);
        }
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Function(function) => self.function(function),
            Item::Const { docs, head, value } => {
                self.comment("///", docs);
                self.start();
                self.out.push_str(&head.text);
                self.assigned(value);
                self.out.push(';');
            }
            Item::Type {
                docs,
                attributes,
                head,
                members,
            } => {
                self.comment("///", docs);
                self.attributes(attributes);
                self.start();
                self.out.push_str(head);
                self.members(members, "");
            }
            Item::Group {
                docs,
                attributes,
                head,
                items,
            } => {
                self.comment("///", docs);
                self.attributes(attributes);
                self.start();
                self.out.push_str(&head.text);
                self.nested(" {", "}", |printer| printer.items(items));
            }
            Item::Text(text) => {
                for line in text.lines() {
                    if line.is_empty() {
                        self.out.push('\n');
                    } else {
                        self.start();
                        self.out.push_str(line);
                    }
                }
            }
        }
    }

    fn members(&mut self, members: &[Member], comma: &str) {
        if members.is_empty() {
            self.out
                .push_str(if comma.is_empty() { ";" } else { comma });
            return;
        }
        let flat: Vec<&str> = members.iter().map(|it| it.text.text.as_ref()).collect();
        let flat = flat.join(", ");
        let is_flat = |it: &Member| it.docs.is_empty() && it.fields.is_empty();
        if !comma.is_empty() && members.iter().all(is_flat) && flat.len() <= VARIANT {
            self.out.push_str(&format!(" {{ {flat} }}{comma}"));
            return;
        }
        self.nested(" {", "}", |printer| {
            for member in members {
                printer.comment("///", &member.docs);
                printer.newline();
                printer.out.push_str(&member.text.text);
                printer.members(&member.fields, ",");
            }
        });
        self.out.push_str(comma);
    }

    fn function(&mut self, function: &Function) {
        self.comment("///", &function.docs);
        self.attributes(&function.attributes);
        self.start();
        let mut parameters: Vec<String> = Vec::new();
        if !function.receiver.is_empty() {
            parameters.push(function.receiver.to_owned());
        }
        let typed = function.parameters.iter();
        parameters.extend(typed.map(|(name, of)| format!("{name}: {}", of.text)));
        let returns = function.returns.as_ref();
        let returns = returns.map_or(String::new(), |of| format!(" -> {}", of.text));
        let end = if function.body.is_some() { " {" } else { ";" };
        let head = format!("{}({}){returns}", function.head, parameters.join(", "));
        self.out.push_str(&function.head);
        if head.chars().count() + end.len() > self.room() + function.head.chars().count() {
            self.nested("(", ")", |printer| {
                for parameter in parameters {
                    printer.newline();
                    printer.out.push_str(&parameter);
                    printer.out.push(',');
                }
            });
            self.out.push_str(&returns);
        } else {
            self.out.push_str(&head[function.head.len()..]);
        }
        match &function.body {
            None => self.out.push(';'),
            Some(body) => {
                self.out.push(' ');
                self.block(body);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::tree::{CodeWord, Expr, Stmt, Var, borrow, number, structure};

    /// Returns the text of a function of these statements.
    fn printed(body: Vec<Stmt>) -> String {
        let function = Function {
            head: "fn f".into(),
            body: Some(body),
            ..Function::default()
        };
        let text = items(&[function.into()]);
        let body = text
            .strip_prefix("fn f() {\n")
            .and_then(|text| text.strip_suffix("\n}"));
        body.unwrap_or(&text).to_owned()
    }

    fn word(text: &str) -> Expr {
        text.to_owned().into()
    }

    #[test]
    fn operators_are_separated_by_parentheses() {
        let [a, b, c] = ["a", "b", "c"].map(word);
        let shift = a.clone().binary("<<", number(3u32));
        let both = a.clone().and(b.clone());
        let cases = [
            (shift.clone().binary("|", b.clone()), "(a << 3) | b"),
            (
                a.clone().binary("|", b.clone()).binary("|", c.clone()),
                "a | b | c",
            ),
            (
                a.clone().binary("|", b.clone().binary("|", c.clone())),
                "a | (b | c)",
            ),
            (shift.clone().binary("==", b.clone()), "a << 3 == b"),
            (both.clone().or(c.clone()), "(a && b) || c"),
            (both.clone().and(c.clone()), "a && b && c"),
            (both.clone().not(), "!(a && b)"),
            (a.clone().binary("==", b.clone()).not(), "a != b"),
            (a.clone().not().not(), "a"),
            (shift.clone().method("f", []), "(a << 3).f()"),
            (shift.clone().cast("u32"), "(a << 3) as u32"),
            (borrow(a.clone()).method("f", []), "(&a).f()"),
            (
                a.clone().cast("u32").binary("+", number(1u32)),
                "a as u32 + 1",
            ),
            (number(0u32).binary("..", b.clone()), "0..b"),
        ];
        for (expr, expected) in cases {
            assert_eq!(printed(vec![Stmt::Value(expr)]), format!("    {expected}"));
        }
    }

    #[test]
    fn what_does_not_fit_on_a_line_is_broken() {
        let argument = || word(&"x".repeat(25));
        let call = word("f").call([argument(), argument(), argument()]);
        let long = "x".repeat(25);
        let expected = format!("    f(\n        {long},\n        {long},\n        {long},\n    )");
        assert_eq!(printed(vec![Stmt::Value(call)]), expected);

        let test = word(&"x".repeat(60)).and(word(&"y".repeat(60)));
        let test = Expr::If(vec![(test, vec![Stmt::Do(word("f").call([]))])], Vec::new());
        let expected = format!(
            "    if {}\n        && {}\n    {{\n        f();\n    }}",
            "x".repeat(60),
            "y".repeat(60)
        );
        assert_eq!(printed(vec![Stmt::Do(test)]), expected);

        let fields = [("long_name", number(1u32)), ("other_name", number(2u32))];
        let value = structure(CodeWord::from("S"), fields);
        let value = Stmt::Let(Var::Pass.word(), borrow(value));
        let expected = "    let pass = &S {\n        long_name: 1,\n        other_name: 2,\n    };";
        assert_eq!(printed(vec![value]), expected);

        let chain = word("first").method("second", [argument()]);
        let chain = chain.method("third", [argument()]).method("fourth", []);
        let expected = format!(
            "    first\n        .second({long})\n        .third({long})\n        .fourth()"
        );
        assert_eq!(printed(vec![Stmt::Value(chain)]), expected);
    }

    #[test]
    fn a_choice_is_on_one_line_only_where_it_is_a_part() {
        let choice = Expr::choice(word("a"), number(1u32), number(2u32));
        let part = vec![Stmt::Let("x".into(), choice.clone())];
        assert_eq!(printed(part), "    let x = if a { 1 } else { 2 };");
        let whole = "    if a {\n        1\n    } else {\n        2\n    }";
        assert_eq!(printed(vec![Stmt::Value(choice)]), whole);
    }

    #[test]
    fn comments_are_wrapped_and_lists_are_indented() {
        let words = "word ".repeat(30);
        let mut printer = Printer::default();
        printer.comment("///", &format!("- {words}\n\nend"));
        let lines: Vec<&str> = printer.out.lines().collect();
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert!(lines[0].starts_with("/// - word") && lines[1].starts_with("///   word"));
        assert_eq!(lines[2..], ["///", "/// end"]);
        assert!(lines.iter().all(|line| line.len() <= WIDTH));
    }
}
