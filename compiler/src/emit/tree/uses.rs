//! What trees use, and which variables they use without a definition.

use std::collections::BTreeSet;

use super::syntax::{Expr, Item, Member, Stmt};
use super::words::{CodeWord, Private, Runtime, Use, Var};

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

    fn word(&mut self, word: &CodeWord) {
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
    use super::super::syntax::Case;
    use super::super::words::Property;
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
        let flag = CodeWord {
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
