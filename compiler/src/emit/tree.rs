//! Generated Rust as a tree.
//!
//! In: what the folds of this module build. Out: items that [`super::print`] writes. Holds: a word of a tree that something
//! else has to provide (a parameter, an import, a flag, a private item) says so, so that what a function uses is known without
//! its text.

use std::borrow::Cow;
use std::collections::BTreeSet;

use tlbc_runtime::request::Space;

use crate::model::Which;

pub type Text = Cow<'static, str>;

/// Something that a word of a tree refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// A variable with a fixed name.
    Var(Var),
    /// A name of the runtime.
    Runtime(Runtime),
    /// A flag of the configuration, by its bit.
    Flag(usize),
    /// A private item of the module.
    Private(Private),
}

/// A private item of a module, which is written if something uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Private {
    /// A function of the configuration.
    Function(Property),
    /// The encoder of an operand.
    Encoder(usize),
    /// The run lengths that an operand encodes.
    Units(usize),
    /// The function that issues an instruction.
    Issuer(Which),
    /// The function of an erratum's workaround.
    Workaround(usize, usize),
    /// The number of an instruction's form.
    Form(usize, usize),
    /// The bits of a view's tag.
    View(Space, usize),
}

/// What a private function returns of a configuration, or of a level in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// The table of levels.
    LevelTable,
    /// log2 of the bytes that an entry of a level maps.
    ShiftOf,
    /// The first address after an entry.
    EndOf,
    /// The number of a level in operands.
    HintOf,
    /// The number of the page size in operands.
    Granule,
    /// log2 of the page size.
    PageShift,
}

impl Property {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 6] = [
        Self::LevelTable,
        Self::ShiftOf,
        Self::EndOf,
        Self::HintOf,
        Self::Granule,
        Self::PageShift,
    ];

    /// Returns the name of the function.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LevelTable => "level_table",
            Self::ShiftOf => "shift_of",
            Self::EndOf => "end_of",
            Self::HintOf => "hint_of",
            Self::Granule => "granule",
            Self::PageShift => "page_shift",
        }
    }

    /// Returns a call of the function for the configuration `c`.
    pub fn call(self, arguments: impl IntoIterator<Item = Expr>) -> Expr {
        let function = Word {
            text: self.name().into(),
            uses: Some(Use::Private(Private::Function(self))),
        };
        let arguments = std::iter::once(Var::Config.expr()).chain(arguments);
        Expr::Word(function).call(arguments)
    }
}

/// Defines the variables with fixed names, and their types as parameters.
macro_rules! variables {
    ($($var:ident $name:literal: $of:literal $($uses:ident)?;)*) => {
        /// A variable with a fixed name: a parameter, or one of a loop.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Var { $($var),* }

        impl Var {
            /// All names.
            pub const NAMES: &[&str] = &[$($name),*];

            /// Returns the name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$var => $name),* }
            }

            /// Returns the type of a parameter.
            pub fn of(self) -> Word {
                match self { $(Self::$var => variables!(@ $of $($uses)?)),* }
            }
        }
    };
    (@ $of:literal) => { Word::from($of) };
    (@ $of:literal $uses:ident) => { Runtime::$uses.text($of) };
}

variables! {
    Config "c": "Config";
    Cpu "cpu": "&mut impl Issue<Op>" Issue;
    Tag "tag": "u64";
    Global "global": "bool";
    Va "va": "u64";
    End "end": "u64";
    Level "level": "Level" Level;
    Tables "tables": "bool";
    Teardown "teardown": "bool";
    Pass "pass": "&Pass" Pass;
    Ranges "ranges": "&Ranges" Ranges;
    Passes "passes": "&impl Passes" Passes;
    To "to": "&Root" Root;
    Pending "pending": "Pending" Pending;
    ViewDeferred "view_deferred": "bool";
    Slot "slot": "&Slot<'_>" Slot;
    Change "change": "&Change" Change;
    Kind "kind": "Kind" Kind;
    Owner "owner": "&Owner" Owner;
    Steps "steps": "FinishSteps" FinishSteps;
    Root "root": "u64";
    Hint "hint": "Option<u64>";
    Stride "stride": "Level" Level;
    Num "num": "u64";
    Scale "scale": "u32";
    Form "form": "u64";
    Keep "keep": "bool";
    Set "set": "u64";
    Table "table": "u64";
    Entry "entry": "u64";
    Old "old": "u64";
    New "new": "u64";
    Hinted "hinted": "Option<u64>";
    Nth "nth": "u64";
    Run "run": "Run";
    Runs "runs": "Runs" Runs;
    Operations "operations": "u64";
    Levels "levels": "&LevelTable" LevelTable;
    Folding "folding": "Folding" Folding;
    Single "single": "SinglePass" SinglePass;
    Sorted "sorted": "&SortedPasses" SortedPasses;
    Outcome "outcome": "Outcome" Outcome;
    SyncIpis "sync_ipis": "IpiTargets" IpiTargets;
}

/// Defines the names of the runtime that a module may import.
macro_rules! runtime {
    ($($module:literal: $($name:ident)*;)*) => {
        /// A name of the runtime.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Runtime { $($($name),*),* }

        impl Runtime {
            /// Every module, with its names.
            pub const MODULES: &[(&str, &[Self])] = &[$(($module, &[$(Self::$name),*])),*];

            /// Returns the name.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$name => stringify!($name)),*),* }
            }
        }
    };
}

runtime! {
    "agents": Agents;
    "backend": Answer Backend Ceiling Configuration Facts FinishSteps Finished Flags IpiTargets Issue LazyMm OfSpace Outcome
        PteUpdate Root Shootdown Started TableFree TagSource TagValues Tags;
    "deferred": Deferred Pending;
    "level": Level Levels;
    "pte": Change ChangeFacts Changed Kind Marks Negative Owner RequiredFlush Slot Stricter;
    "request::passes": Folding Pass Passes SinglePass SortedPasses Walks;
    "request::runs": Runs Units;
    "request": LevelFacts LevelTable Ranges Reach Request Scope Space SpaceFlags;
}

impl Runtime {
    /// Returns a text that contains the name, such as a type.
    pub fn text(self, text: impl Into<Text>) -> Word {
        Word {
            text: text.into(),
            uses: Some(Use::Runtime(self)),
        }
    }

    /// Returns an associated item.
    pub fn item(self, name: &str) -> Expr {
        self.text(format!("{}::{name}", self.name())).into()
    }

    /// Returns the constructor of a tuple structure.
    pub fn of(self, value: impl Into<Expr>) -> Expr {
        Expr::from(self.text(self.name())).call([value.into()])
    }

    /// Returns a value of the structure with these fields.
    pub fn with<N: Into<Text>>(self, fields: impl IntoIterator<Item = (N, Expr)>) -> Expr {
        structure(self.text(self.name()), fields)
    }
}

/// Returns a value of a structure or a variant with named fields.
pub fn structure<N: Into<Text>>(path: Word, fields: impl IntoIterator<Item = (N, Expr)>) -> Expr {
    let fields = fields.into_iter().map(|(name, value)| (name.into(), value));
    Expr::Struct(path, fields.collect())
}

/// A token or a path, and what it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub text: Text,
    pub uses: Option<Use>,
}

impl Word {
    /// Returns the name of a private item.
    pub fn private(item: Private, name: impl Into<Text>) -> Self {
        Self {
            text: name.into(),
            uses: Some(Use::Private(item)),
        }
    }
}

impl<T: Into<Text>> From<T> for Word {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            uses: None,
        }
    }
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    Word(Word),
    Field(Box<Expr>, Text),
    Index(Box<Expr>, u32),
    Method(Box<Expr>, Text, Vec<Expr>),
    Call(Box<Expr>, Vec<Expr>),
    Prefix(&'static str, Box<Expr>),
    Cast(Box<Expr>, &'static str),
    Binary(Box<Expr>, &'static str, Box<Expr>),
    /// A structure with its fields; that with the name `..` is the rest.
    Struct(Word, Vec<(Text, Expr)>),
    Tuple(Vec<Expr>),
    Array(Vec<Expr>),
    /// Alternatives with their conditions, and the last one.
    If(Vec<(Expr, Vec<Stmt>)>, Vec<Stmt>),
    Match(Box<Expr>, Vec<Case>),
    Block(Vec<Stmt>),
    /// A function of one variable.
    Closure(Word, Box<Expr>),
    /// A call of `asm!`.
    Asm(Vec<String>),
}

/// An case of a match.
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
    Let(Word, Expr),
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
        head: Word,
        value: Expr,
    },
    /// A structure or an enum.
    Type {
        docs: Docs,
        attributes: Vec<Text>,
        head: Text,
        members: Vec<Member>,
    },
    /// Items in braces, such as an implementation.
    Group {
        docs: Docs,
        attributes: Vec<Text>,
        head: Word,
        items: Vec<Item>,
    },
    /// A text that is the same for every definition, or differs in a word.
    Text(Text),
}

/// A text of documentation. Each line is a paragraph, an item of a list, or empty.
pub type Docs = String;

/// A field or a variant.
#[derive(Debug, Clone)]
pub struct Member {
    pub docs: Docs,
    pub text: Word,
    pub fields: Vec<Member>,
}

/// A function.
#[derive(Debug, Clone, Default)]
pub struct Function {
    pub docs: Docs,
    pub attributes: Vec<&'static str>,
    /// Everything before the parameters.
    pub head: Text,
    /// The words of the signature that refer to something, besides types of parameters.
    pub receiver: &'static str,
    pub parameters: Vec<(Text, Word)>,
    pub returns: Option<Word>,
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
    pub fn group(head: Word, items: Vec<Item>) -> Self {
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

    /// Returns the variable as a word, such as where it is defined.
    pub fn word(self) -> Word {
        Word {
            text: self.name().into(),
            uses: Some(Use::Var(self)),
        }
    }

    /// Returns the definition of a variable that changes.
    pub fn mutable(self) -> Word {
        Word {
            text: format!("mut {}", self.name()).into(),
            uses: Some(Use::Var(self)),
        }
    }

    /// Returns a parameter of this name.
    pub fn parameter(self) -> (Text, Word) {
        (self.name().into(), self.of())
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

impl From<Word> for Expr {
    fn from(word: Word) -> Self {
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

/// Returns a hexadecimal literal, in groups of four digits.
pub fn hex(number: impl Into<u64>) -> Expr {
    let digits = format!("{:x}", number.into());
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
    pub fn field(self, name: impl Into<Text>) -> Self {
        Expr::Field(Box::new(self), name.into())
    }

    pub fn index(self, index: u32) -> Self {
        Expr::Index(Box::new(self), index)
    }

    pub fn method(self, name: impl Into<Text>, arguments: impl IntoIterator<Item = Expr>) -> Self {
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

    pub fn not(self) -> Self {
        match self {
            Expr::Prefix("!", inner) => *inner,
            Expr::Binary(left, "==", right) => Expr::Binary(left, "!=", right),
            other => Expr::Prefix("!", Box::new(other)),
        }
    }

    /// Returns a choice.
    pub fn choice(test: Expr, then: Expr, otherwise: Expr) -> Self {
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

/// What trees use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses(BTreeSet<Use>);

impl Uses {
    /// Returns what statements use.
    pub fn of(statements: &[Stmt]) -> Self {
        let mut uses = Self::default();
        uses.statements(statements);
        uses
    }

    /// Returns what an expression uses.
    pub fn of_expr(expr: &Expr) -> Self {
        let mut uses = Self::default();
        uses.expr(expr);
        uses
    }

    /// Returns what items use.
    pub fn of_items<'i>(items: impl IntoIterator<Item = &'i Item>) -> Self {
        let mut uses = Self::default();
        items.into_iter().for_each(|item| uses.item(item));
        uses
    }

    pub fn add(&mut self, other: &Uses) {
        self.0.extend(&other.0);
    }

    /// Returns whether a variable is used that nothing in the tree defines.
    pub fn var(&self, var: Var) -> bool {
        self.0.contains(&Use::Var(var))
    }

    /// Returns the variables that nothing in the tree defines, in the order in which functions have them as parameters.
    pub fn free_vars(&self) -> impl Iterator<Item = Var> {
        self.0.iter().filter_map(|it| match it {
            Use::Var(var) => Some(*var),
            _ => None,
        })
    }

    pub fn runtime(&self, name: Runtime) -> bool {
        self.0.contains(&Use::Runtime(name))
    }

    pub fn flag(&self, bit: usize) -> bool {
        self.0.contains(&Use::Flag(bit))
    }

    pub fn private(&self, item: Private) -> bool {
        self.0.contains(&Use::Private(item))
    }

    fn word(&mut self, word: &Word) {
        self.0.extend(word.uses);
    }

    /// Adds what a block uses, from its end, so that a variable is not used before its definition.
    fn statements(&mut self, statements: &[Stmt]) {
        let mut block = Self::default();
        for statement in statements.iter().rev() {
            match statement {
                Stmt::Comment(_) => {}
                Stmt::Let(name, value) => {
                    block.define(name.uses);
                    block.expr(value);
                }
                Stmt::Do(value) | Stmt::Value(value) | Stmt::Return(value) => block.expr(value),
                Stmt::For(vars, value, body) => {
                    block.block_of(body, vars.iter().map(|var| Use::Var(*var)));
                    block.expr(value);
                }
                Stmt::IfSome(var, value, body) => {
                    block.block_of(body, [Use::Var(*var)]);
                    block.expr(value);
                }
                Stmt::While(value, body) => {
                    block.expr(value);
                    block.statements(body);
                }
                Stmt::Unsafe(body) => block.statements(body),
            }
        }
        self.add(&block);
    }

    /// Adds what a block uses in which variables are defined.
    fn block_of(&mut self, body: &[Stmt], defined: impl IntoIterator<Item = Use>) {
        let mut block = Self::of(body);
        block.define(defined);
        self.add(&block);
    }

    fn define(&mut self, defined: impl IntoIterator<Item = Use>) {
        for it in defined {
            self.0.remove(&it);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Word(word) => self.word(word),
            Expr::Field(of, _) | Expr::Index(of, _) | Expr::Prefix(_, of) | Expr::Cast(of, _) => {
                self.expr(of);
            }
            Expr::Method(of, _, arguments) | Expr::Call(of, arguments) => {
                self.expr(of);
                self.exprs(arguments);
            }
            Expr::Binary(left, _, right) => {
                self.expr(left);
                self.expr(right);
            }
            Expr::Struct(path, fields) => {
                self.word(path);
                for (_, value) in fields {
                    self.expr(value);
                }
            }
            Expr::Tuple(values) | Expr::Array(values) => self.exprs(values),
            Expr::If(alternatives, last) => {
                for (test, body) in alternatives {
                    self.expr(test);
                    self.statements(body);
                }
                self.statements(last);
            }
            Expr::Match(value, cases) => {
                self.expr(value);
                for case in cases {
                    let mut of_case = Self::of_expr(&case.value);
                    of_case.exprs(case.guard.as_slice());
                    let pattern = Self::of_expr(&case.pattern);
                    of_case.define(pattern.free_vars().map(Use::Var));
                    self.add(&of_case);
                    self.0
                        .extend(pattern.0.iter().filter(|it| !matches!(it, Use::Var(_))));
                }
            }
            Expr::Block(body) => self.statements(body),
            Expr::Closure(name, value) => {
                let mut of_value = Self::of_expr(value);
                of_value.define(name.uses);
                self.add(&of_value);
            }
            Expr::Asm(_) => {}
        }
    }

    fn exprs(&mut self, exprs: &[Expr]) {
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Function(function) => {
                let types = function.parameters.iter().map(|(_, of)| of);
                types.chain(&function.returns).for_each(|of| self.word(of));
                self.statements(function.body.as_deref().unwrap_or_default());
            }
            Item::Const { head, value, .. } => {
                self.word(head);
                self.expr(value);
            }
            Item::Type { members, .. } => members.iter().for_each(|member| self.member(member)),
            Item::Text(_) => {}
            Item::Group { head, items, .. } => {
                self.word(head);
                for item in items {
                    self.item(item);
                }
            }
        }
    }

    fn member(&mut self, member: &Member) {
        self.word(&member.text);
        member.fields.iter().for_each(|field| self.member(field));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the names of the variables that statements use and do not define.
    fn free(statements: &[Stmt]) -> Vec<&'static str> {
        Uses::of(statements).free_vars().map(Var::name).collect()
    }

    #[test]
    fn a_variable_is_a_parameter_unless_it_is_defined_before() {
        let f = |var: Var| Stmt::Do(Expr::from("f").call([var.expr()]));
        assert_eq!(free(&[f(Var::Tag), f(Var::Va)]), ["tag", "va"]);
        let define = |value: Var| Stmt::Let(Var::Tag.word(), value.expr());
        assert_eq!(free(&[define(Var::Va), f(Var::Tag)]), ["va"]);
        // Used before it is defined, also by its own definition.
        assert_eq!(free(&[f(Var::Tag), define(Var::Va)]), ["tag", "va"]);
        assert_eq!(free(&[define(Var::Tag)]), ["tag"]);
        let each = |body| Stmt::For(vec![Var::Nth, Var::Va], Var::Pass.expr(), body);
        assert_eq!(free(&[each(vec![f(Var::Va)])]), ["pass"]);
        assert_eq!(free(&[each(Vec::new()), f(Var::Va)]), ["va", "pass"]);
        let rest = Stmt::IfSome(Var::Va, Var::Runs.expr(), vec![f(Var::Va)]);
        assert_eq!(free(&[rest]), ["runs"]);
    }

    #[test]
    fn patterns_and_functions_define_variables() {
        let call = |var: Var| Expr::from("f").call([var.expr()]);
        let some = Expr::from("Some").call([Var::Single.expr()]);
        let choice = Var::Ranges.expr().matched(vec![
            Case::new(some, call(Var::Single)),
            Case::new("None", call(Var::Tag)),
        ]);
        assert_eq!(free(&[Stmt::Value(choice)]), ["tag", "ranges"]);
        let function = Expr::Closure(Var::Sorted.word(), Box::new(call(Var::Sorted)));
        assert_eq!(free(&[Stmt::Value(function)]), [""; 0]);
    }

    #[test]
    fn trees_know_what_they_use() {
        let flag = Word {
            text: "Config::PGE".into(),
            uses: Some(Use::Flag(3)),
        };
        let has = Var::Config.method("has", [flag.into()]);
        let end = Property::EndOf.call([Var::Va.expr()]);
        let test = Expr::If(vec![(has, vec![Stmt::Return(end)])], Vec::new());
        let uses = Uses::of(&[
            Stmt::Do(test),
            Stmt::Value(Runtime::Outcome.item("NOTHING")),
        ]);
        assert!(uses.flag(3) && !uses.flag(2));
        assert!(uses.runtime(Runtime::Outcome) && !uses.runtime(Runtime::Level));
        assert!(uses.private(Private::Function(Property::EndOf)));
        assert_eq!(uses.free_vars().collect::<Vec<_>>(), [Var::Config, Var::Va]);
    }
}
