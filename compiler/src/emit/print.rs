//! From trees to text.
//!
//! In: items. Out: their text, as rustfmt writes it with its default settings.

use crate::text::wrap;

use super::tree::{Case, Expr, Function, Item, Member, Stmt};

/// The maximum width of a line.
const WIDTH: usize = 100;
/// The maximum width of the arguments of a call, of an array, and of a chain of calls on one line.
const CALL: usize = 60;
/// The maximum width of the fields of a structure on one line.
const FIELDS: usize = 18;
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
    let names = wrap(&format!("{},", names.join(", ")), WIDTH - INDENT);
    let names: Vec<String> = names.iter().map(|line| format!("    {line}\n")).collect();
    format!("use {path}::{{\n{}}};\n", names.concat())
}

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

    /// Writes a block.
    fn block(&mut self, body: &[Stmt]) {
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

    fn statement(&mut self, statement: &Stmt) {
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
    fn head(&mut self, value: &Expr, body: &[Stmt]) {
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
    fn assigned(&mut self, value: &Expr) {
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

    /// Writes an expression before `tail` more characters.
    fn expr(&mut self, expr: &Expr, tail: usize) {
        self.put(expr, tail, false);
    }

    /// Writes an expression that is part of another one.
    fn nested_expr(&mut self, expr: &Expr, tail: usize) {
        self.put(expr, tail, true);
    }

    fn put(&mut self, expr: &Expr, tail: usize, nested: bool) {
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
            Expr::Asm(lines) => {
                self.nested("asm!(", ")", |printer| {
                    for line in lines {
                        printer.newline();
                        printer.out.push_str(line);
                        printer.out.push(',');
                    }
                });
            }
        }
    }

    fn case(&mut self, case: &Case) {
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
    fn pattern(&mut self, pattern: &Expr) {
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

    fn pattern_before(&mut self, pattern: &Expr) {
        if let Expr::Binary(first, "|", last) = pattern {
            self.pattern_before(first);
            self.newline();
            self.out.push_str("| ");
            self.expr(last, 0);
        } else {
            self.expr(pattern, 0);
        }
    }

    fn list(&mut self, open: &str, values: &[Expr], close: &str) {
        self.nested(open, close, |printer| {
            for value in values {
                printer.newline();
                printer.nested_expr(value, 1);
                printer.out.push(',');
            }
        });
    }

    /// Writes arguments of a call. A last argument in braces, or the only one, begins on the line of the call.
    fn arguments(&mut self, arguments: &[Expr], tail: usize) {
        if let [
            only @ (Expr::Struct(..)
            | Expr::Call(..)
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
    fn chain(&mut self, expr: &Expr, tail: usize) {
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

    /// Writes an operand, in parentheses if it binds less strongly than its operator.
    fn operand(&mut self, expr: &Expr, strength: u8, tail: usize) {
        if needs_parentheses(expr, strength) {
            self.out.push('(');
            self.expr(expr, tail + 1);
            self.out.push(')');
        } else {
            self.expr(expr, tail);
        }
    }

    /// Writes operands that do not fit on a line, each on its own.
    fn operands(&mut self, left: &Expr, operator: &'static str, right: &Expr, tail: usize) {
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
    fn side(&mut self, expr: &Expr, operator: &str, is_right: bool, tail: usize) {
        if side_needs_parentheses(expr, operator, is_right) {
            self.out.push('(');
            self.expr(expr, tail + 1);
            self.out.push(')');
        } else {
            self.nested_expr(expr, tail);
        }
    }

    /// Returns an expression on one line, unless its kind or its width forbids it.
    fn flat(&self, expr: &Expr, nested: bool) -> Option<String> {
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
                    ".." => format!("{left}..{right}"),
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

    fn flat_list(&self, values: &[Expr]) -> Option<String> {
        let values: Option<Vec<String>> = values.iter().map(|it| self.flat(it, true)).collect();
        let text = values?.join(", ");
        (text.chars().count() <= CALL).then_some(text)
    }

    fn flat_operand(&self, expr: &Expr, strength: u8) -> Option<String> {
        let text = self.flat(expr, true)?;
        Some(if needs_parentheses(expr, strength) {
            format!("({text})")
        } else {
            text
        })
    }

    fn flat_side(&self, expr: &Expr, operator: &str, is_right: bool) -> Option<String> {
        let text = self.flat(expr, true)?;
        Some(if side_needs_parentheses(expr, operator, is_right) {
            format!("({text})")
        } else {
            text
        })
    }
}

/// Returns whether an argument may share its line with others where they do not fit on one line.
fn is_simple(expr: &Expr) -> bool {
    match expr {
        Expr::Word(word) => word.text.len() <= SHORT && !word.text.contains("::"),
        _ => false,
    }
}

/// Returns whether a field may be written as its name alone.
fn is_short(name: &str, value: &Expr) -> bool {
    matches!(value, Expr::Word(word) if word.text == name)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::tree::{Var, Word, borrow, number, structure};

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
        let value = structure(Word::from("S"), fields);
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
