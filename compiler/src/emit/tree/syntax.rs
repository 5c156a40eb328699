//! Expressions, statements and items.

use super::words::{CodeText, CodeWord, Private, Property, Runtime, Var};

impl Property {
    /// Returns a call of the function for the configuration `c`.
    pub fn call(self, arguments: impl IntoIterator<Item = Expr>) -> Expr {
        let function = CodeWord::private(Private::Function(self), self.name());
        let arguments = std::iter::once(Var::Config.expr()).chain(arguments);
        Expr::Word(function).call(arguments)
    }
}

impl Runtime {
    /// Returns an associated item.
    pub fn item(self, name: &str) -> Expr {
        self.text(format!("{}::{name}", self.name())).into()
    }

    /// Returns the constructor of a tuple structure.
    pub fn of(self, value: impl Into<Expr>) -> Expr {
        Expr::from(self.text(self.name())).call([value.into()])
    }

    /// Returns a value of the structure with these fields.
    pub fn with<N: Into<CodeText>>(self, fields: impl IntoIterator<Item = (N, Expr)>) -> Expr {
        structure(self.text(self.name()), fields)
    }
}

/// Returns a value of a structure or a variant with named fields.
pub fn structure<N: Into<CodeText>>(
    path: CodeWord,
    fields: impl IntoIterator<Item = (N, Expr)>,
) -> Expr {
    let fields = fields.into_iter().map(|(name, value)| (name.into(), value));
    Expr::Struct(path, fields.collect())
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    Word(CodeWord),
    Field(Box<Expr>, CodeText),
    Index(Box<Expr>, u32),
    Method(Box<Expr>, CodeText, Vec<Expr>),
    Call(Box<Expr>, Vec<Expr>),
    Prefix(&'static str, Box<Expr>),
    Cast(Box<Expr>, &'static str),
    Binary(Box<Expr>, &'static str, Box<Expr>),
    /// A structure with its fields; that with the name `..` is the rest.
    Struct(CodeWord, Vec<(CodeText, Expr)>),
    Tuple(Vec<Expr>),
    Array(Vec<Expr>),
    /// Alternatives with their conditions, and the last one.
    If(Vec<(Expr, Vec<Stmt>)>, Vec<Stmt>),
    Match(Box<Expr>, Vec<Case>),
    Block(Vec<Stmt>),
    /// A function of one variable.
    Closure(CodeWord, Box<Expr>),
    /// A call of `asm!`.
    Asm(Vec<String>),
}

/// A case of a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub pattern: Expr,
    pub guard: Option<Expr>,
    pub value: Expr,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stmt {
    Comment(String),
    /// The definition of a variable.
    Let(CodeWord, Expr),
    Do(Expr),
    /// The value of a block.
    Value(Expr),
    Return(Expr),
    For(Vec<Var>, Expr, Vec<Stmt>),
    While(Expr, Vec<Stmt>),
    /// A block for the value of an option.
    IfSome(Var, Expr, Vec<Stmt>),
    /// A block marked `unsafe`.
    Unsafe(Vec<Stmt>),
}

/// An item.
#[derive(Debug, Clone)]
pub enum Item {
    Function(Function),
    /// A constant, or an associated type.
    Const {
        docs: Docs,
        /// Everything before the value.
        head: CodeWord,
        value: Expr,
    },
    /// A structure or an enum.
    Type {
        docs: Docs,
        attributes: Vec<CodeText>,
        head: CodeText,
        members: Vec<Member>,
    },
    /// Items in braces, such as an implementation.
    Group {
        docs: Docs,
        attributes: Vec<CodeText>,
        head: CodeWord,
        items: Vec<Item>,
    },
    /// A text that is the same for every definition, or differs in a word.
    Text(CodeText),
}

/// A text of documentation. Each line is a paragraph, an item of a list, or empty.
pub type Docs = String;

/// A field or a variant.
#[derive(Debug, Clone)]
pub struct Member {
    pub docs: Docs,
    pub text: CodeWord,
    pub fields: Vec<Member>,
}

/// A function.
#[derive(Debug, Clone, Default)]
pub struct Function {
    pub docs: Docs,
    pub attributes: Vec<&'static str>,
    /// Everything before the parameters.
    pub head: CodeText,
    /// The words of the signature that refer to something, besides types of parameters.
    pub receiver: &'static str,
    pub parameters: Vec<(CodeText, CodeWord)>,
    pub returns: Option<CodeWord>,
    /// The statements, unless it is a declaration.
    pub body: Option<Vec<Stmt>>,
}

impl From<Function> for Item {
    fn from(function: Function) -> Self {
        Item::Function(function)
    }
}

impl Item {
    /// Returns items in braces.
    pub fn group(head: CodeWord, items: Vec<Item>) -> Self {
        Item::Group {
            docs: String::new(),
            attributes: Vec::new(),
            head,
            items,
        }
    }
}

impl Var {
    /// Returns the variable as an expression.
    pub fn expr(self) -> Expr {
        Expr::Word(self.word())
    }

    /// Returns a field.
    pub fn field(self, name: &'static str) -> Expr {
        self.expr().field(name)
    }

    /// Returns the call of a method.
    pub fn method(self, name: &'static str, arguments: impl IntoIterator<Item = Expr>) -> Expr {
        self.expr().method(name, arguments)
    }
}

impl From<Var> for Expr {
    fn from(var: Var) -> Self {
        var.expr()
    }
}

impl From<CodeWord> for Expr {
    fn from(word: CodeWord) -> Self {
        Expr::Word(word)
    }
}

impl From<&'static str> for Expr {
    fn from(text: &'static str) -> Self {
        Expr::Word(text.into())
    }
}

impl From<String> for Expr {
    fn from(text: String) -> Self {
        Expr::Word(text.into())
    }
}

impl From<bool> for Expr {
    fn from(is: bool) -> Self {
        Expr::from(if is { "true" } else { "false" })
    }
}

/// Returns a literal: a decimal one if the number is small.
pub fn number(number: impl Into<u64>) -> Expr {
    match number.into() {
        small @ 0..10_000 => small.to_string().into(),
        large => hex(large),
    }
}

/// Returns a hexadecimal literal, in groups of four digits; a decimal one if it has the same digit.
pub fn hex(number: impl Into<u64>) -> Expr {
    let number = number.into();
    if number < 10 {
        return number.to_string().into();
    }
    let digits = format!("{number:x}");
    let mut out = String::from("0x");
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(4) {
            out.push('_');
        }
        out.push(digit);
    }
    out.into()
}

/// Returns a string literal.
pub fn string(text: &str) -> Expr {
    format!("{text:?}").into()
}

/// Returns a reference.
pub fn borrow(value: impl Into<Expr>) -> Expr {
    Expr::Prefix("&", Box::new(value.into()))
}

/// Returns a call of `matches!`.
pub fn matches(value: impl Into<Expr>, pattern: Expr) -> Expr {
    Expr::from("matches!").call([value.into(), pattern])
}

impl Expr {
    pub fn field(self, name: impl Into<CodeText>) -> Self {
        Expr::Field(Box::new(self), name.into())
    }

    pub fn index(self, index: u32) -> Self {
        Expr::Index(Box::new(self), index)
    }

    pub fn method(
        self,
        name: impl Into<CodeText>,
        arguments: impl IntoIterator<Item = Expr>,
    ) -> Self {
        Expr::Method(Box::new(self), name.into(), arguments.into_iter().collect())
    }

    pub fn call(self, arguments: impl IntoIterator<Item = Expr>) -> Self {
        Expr::Call(Box::new(self), arguments.into_iter().collect())
    }

    pub fn cast(self, to: &'static str) -> Self {
        Expr::Cast(Box::new(self), to)
    }

    pub fn binary(self, operator: &'static str, other: impl Into<Expr>) -> Self {
        Expr::Binary(Box::new(self), operator, Box::new(other.into()))
    }

    pub fn and(self, other: Expr) -> Self {
        self.binary("&&", other)
    }

    pub fn or(self, other: Expr) -> Self {
        self.binary("||", other)
    }

    /// Returns the negation. That of two tests of which one is negated is written without a parenthesis.
    pub fn not(self) -> Self {
        let is_negated = |test: &Expr| matches!(test, Expr::Prefix("!", _));
        match self {
            Expr::Prefix("!", inner) => *inner,
            Expr::Binary(left, "&&", right) if is_negated(&left) != is_negated(&right) => {
                left.not().or(right.not())
            }
            Expr::Binary(left, "||", right) if is_negated(&left) != is_negated(&right) => {
                left.not().and(right.not())
            }
            Expr::Binary(left, "==", right) => Expr::Binary(left, "!=", right),
            other => Expr::Prefix("!", Box::new(other)),
        }
    }

    /// Returns a choice: a condition if the values are, and otherwise a chain of alternatives where that is possible.
    pub fn choice(test: Expr, then: Expr, otherwise: Expr) -> Self {
        let [holds, fails] = [true, false].map(Expr::from);
        if then == holds || otherwise == fails {
            let both = |then| {
                if then == holds {
                    test.clone()
                } else {
                    test.clone().and(then)
                }
            };
            return if otherwise == fails {
                both(then)
            } else {
                test.or(otherwise)
            };
        }
        if then == fails || otherwise == holds {
            return Self::choice(test.not(), otherwise, then);
        }
        if matches!((&then, &otherwise), (Expr::If(..), other) if !matches!(other, Expr::If(..))) {
            return Self::choice(test.not(), otherwise, then);
        }
        let otherwise = match otherwise {
            Expr::If(mut alternatives, last) => {
                alternatives.insert(0, (test, vec![Stmt::Value(then)]));
                return Expr::If(alternatives, last);
            }
            other => other,
        };
        Expr::If(
            vec![(test, vec![Stmt::Value(then)])],
            vec![Stmt::Value(otherwise)],
        )
    }

    /// Returns a match.
    pub fn matched(self, cases: Vec<Case>) -> Self {
        Expr::Match(Box::new(self), cases)
    }
}

impl Case {
    pub fn new(pattern: impl Into<Expr>, value: impl Into<Expr>) -> Self {
        Self {
            pattern: pattern.into(),
            guard: None,
            value: value.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_between_conditions_is_a_condition() {
        let [a, b, holds, fails] = ["a", "b", "true", "false"].map(Expr::from);
        let choice = |then: &Expr, otherwise: &Expr| {
            Expr::choice(a.clone(), then.clone(), otherwise.clone())
        };
        assert_eq!(choice(&holds, &fails), a);
        assert_eq!(choice(&fails, &holds), a.clone().not());
        assert_eq!(choice(&b, &fails), a.clone().and(b.clone()));
        assert_eq!(choice(&holds, &b), a.clone().or(b.clone()));
        assert_eq!(choice(&fails, &b), a.clone().not().and(b.clone()));
        assert_eq!(choice(&b, &holds), a.clone().not().or(b.clone()));
    }

    #[test]
    fn negations_move_inwards_if_there_are_not_more_of_them() {
        let [a, b] = ["a", "b"].map(Expr::from);
        let only_a = a.clone().and(b.clone().not());
        assert_eq!(only_a.clone().not(), a.clone().not().or(b.clone()));
        assert_eq!(only_a.clone().not().not(), only_a);
        let both = a.and(b);
        assert_eq!(both.clone().not(), Expr::Prefix("!", Box::new(both)));
    }

    #[test]
    fn choices_are_chains_where_that_is_possible() {
        let [a, b] = ["a", "b"].map(Expr::from);
        let [first_value, second_value, last_value] = ["x", "y", "z"].map(Expr::from);
        let value = |value: &Expr| vec![Stmt::Value(value.clone())];
        let chain = |test: Expr, first: &Expr, second: &Expr, last: &Expr| {
            let alternatives = vec![(test, value(first)), (b.clone(), value(second))];
            Expr::If(alternatives, value(last))
        };
        let inner = || Expr::choice(b.clone(), first_value.clone(), second_value.clone());
        let after = Expr::choice(a.clone(), last_value.clone(), inner());
        assert_eq!(
            after,
            chain(a.clone(), &last_value, &first_value, &second_value)
        );
        let within = Expr::choice(a.clone(), inner(), last_value.clone());
        assert_eq!(
            within,
            chain(a.not(), &last_value, &first_value, &second_value)
        );
    }
}
