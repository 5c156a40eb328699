//! Simplifications of statements. They do not change what the statements do.

use super::syntax::{Expr, Stmt};
use super::uses::Uses;
use super::words::Var;

/// Returns statements that have the value of a variable as their value, if they need not define the variable: on each path they
/// add to it at most once, and at the end. `nothing` is its first value.
pub fn as_value(statements: &[Stmt], var: Var, nothing: &Expr) -> Option<Vec<Stmt>> {
    let uses = |statements: &[Stmt]| Uses::of(statements).var(var);
    if !uses(statements) {
        let value = Stmt::Value(nothing.clone());
        return Some(statements.iter().cloned().chain([value]).collect());
    }
    let (last, before) = statements.split_last()?;
    if uses(before) {
        return None;
    }
    let last = match last {
        Stmt::Do(Expr::Binary(to, "|=", value)) if **to == var.expr() => (**value).clone(),
        Stmt::Do(Expr::If(alternatives, otherwise)) => {
            let alternatives = alternatives
                .iter()
                .map(|(test, body)| Some((test.clone(), as_value(body, var, nothing)?)));
            Expr::If(
                alternatives.collect::<Option<_>>()?,
                as_value(otherwise, var, nothing)?,
            )
        }
        _ => return None,
    };
    let value = Stmt::Value(last);
    (!Uses::of(std::slice::from_ref(&value)).var(var))
        .then(|| before.iter().cloned().chain([value]).collect())
}

/// Moves the definition of a variable out of loops in which its value does not change, and out of the last alternatives of a
/// choice if they define it with the same value.
pub fn hoist(statements: Vec<Stmt>, var: Var) -> Vec<Stmt> {
    let mut out = Vec::new();
    for statement in statements {
        match statement {
            Stmt::For(vars, over, body) => {
                let (definition, body) = split(hoist(body, var), var);
                let changes = definition.as_ref().is_some_and(|definition| {
                    let uses = Uses::of(std::slice::from_ref(definition));
                    vars.iter().any(|var| uses.var(*var))
                });
                if changes {
                    let body = definition.into_iter().chain(body).collect();
                    out.push(Stmt::For(vars, over, body));
                } else {
                    out.extend(definition);
                    out.push(Stmt::For(vars, over, body));
                }
            }
            Stmt::Do(Expr::If(alternatives, last)) => {
                let alternatives = alternatives.into_iter();
                let alternatives = alternatives.map(|(test, body)| (test, hoist(body, var)));
                let alternatives: Vec<_> = alternatives.collect();
                let last = hoist(last, var);
                let is_shared = |definition: &&Stmt| matches!(definition, Stmt::Let(name, _) if *name == var.word());
                let shared = last.first().filter(is_shared).cloned();
                let has_it = |(_, body): &&(_, Vec<Stmt>)| body.first() == shared.as_ref();
                let sharing = alternatives.iter().rev().take_while(has_it).count();
                let Some(definition) = shared.filter(|_| sharing > 0) else {
                    out.push(Stmt::Do(Expr::If(alternatives, last)));
                    continue;
                };
                let mut others = alternatives;
                let sharing = others.split_off(others.len() - sharing);
                let rest = |body: Vec<Stmt>| split(body, var).1;
                let sharing = sharing.into_iter().map(|(test, body)| (test, rest(body)));
                let choice = Stmt::Do(Expr::If(sharing.collect(), rest(last)));
                if others.is_empty() {
                    out.extend([definition, choice]);
                } else {
                    out.push(Stmt::Do(Expr::If(others, vec![definition, choice])));
                }
            }
            other => out.push(other),
        }
    }
    out
}

/// Splits the definition of a variable from the statements after it.
fn split(mut statements: Vec<Stmt>, var: Var) -> (Option<Stmt>, Vec<Stmt>) {
    let is_definition = matches!(
        statements.first(),
        Some(Stmt::Let(name, _)) if *name == var.word()
    );
    let definition = is_definition.then(|| statements.remove(0));
    (definition, statements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(value: &'static str) -> Stmt {
        Stmt::Do(Var::Outcome.expr().binary("|=", Expr::from(value)))
    }

    fn choice(then: Vec<Stmt>, otherwise: Vec<Stmt>) -> Stmt {
        Stmt::Do(Expr::If(vec![("test".into(), then)], otherwise))
    }

    fn value(statements: &[Stmt]) -> Option<Vec<Stmt>> {
        as_value(statements, Var::Outcome, &"nothing".into())
    }

    #[test]
    fn what_is_added_last_is_the_value() {
        let other = || Stmt::Do("other()".into());
        let is = |text: &'static str| Stmt::Value(text.into());
        assert_eq!(value(&[other(), add("a")]), Some(vec![other(), is("a")]));
        let branches = choice(vec![add("a")], vec![other()]);
        let expected = Stmt::Value(Expr::If(
            vec![("test".into(), vec![is("a")])],
            vec![other(), is("nothing")],
        ));
        assert_eq!(value(&[branches]), Some(vec![expected]));
        let only = choice(vec![add("a")], Vec::new());
        let expected = Stmt::Value(Expr::If(
            vec![("test".into(), vec![is("a")])],
            vec![is("nothing")],
        ));
        assert_eq!(value(&[only]), Some(vec![expected]));
    }

    #[test]
    fn what_is_added_twice_or_earlier_needs_the_variable() {
        assert_eq!(value(&[add("a"), add("b")]), None);
        assert_eq!(value(&[add("a"), Stmt::Do("other()".into())]), None);
        let twice = choice(vec![add("a"), add("b")], Vec::new());
        assert_eq!(value(&[twice]), None);
        let once_more = [choice(vec![add("a")], Vec::new()), add("b")];
        assert_eq!(value(&once_more), None);
    }

    fn form(value: Expr) -> Stmt {
        Stmt::Let(Var::Form.word(), value)
    }

    fn use_of_form() -> Stmt {
        Stmt::Do(Expr::from("issue").call([Var::Form.expr()]))
    }

    #[test]
    fn a_definition_moves_out_of_a_loop_that_does_not_change_it() {
        let in_loop = |value: Expr| {
            let body = vec![form(value), use_of_form()];
            vec![Stmt::For(vec![Var::Va], "all".into(), body)]
        };
        let moved = vec![
            form("same".into()),
            Stmt::For(vec![Var::Va], "all".into(), vec![use_of_form()]),
        ];
        assert_eq!(hoist(in_loop("same".into()), Var::Form), moved);
        let changes = in_loop(Var::Va.expr());
        assert_eq!(hoist(changes.clone(), Var::Form), changes);
    }

    #[test]
    fn a_definition_moves_out_of_alternatives_that_all_have_it() {
        let branch = |value: &'static str| vec![form(value.into()), use_of_form()];
        let same = vec![choice(branch("a"), branch("a"))];
        let moved = vec![
            form("a".into()),
            choice(vec![use_of_form()], vec![use_of_form()]),
        ];
        assert_eq!(hoist(same, Var::Form), moved);
        let chain = |first: Vec<Stmt>, rest: (Vec<Stmt>, Vec<Stmt>)| {
            let alternatives = vec![("first".into(), first), ("test".into(), rest.0)];
            Stmt::Do(Expr::If(alternatives, rest.1))
        };
        let last_two = chain(vec![add("x")], (branch("a"), branch("a")));
        let nested = vec![
            form("a".into()),
            choice(vec![use_of_form()], vec![use_of_form()]),
        ];
        let nested = Stmt::Do(Expr::If(vec![("first".into(), vec![add("x")])], nested));
        assert_eq!(hoist(vec![last_two], Var::Form), [nested]);
        for kept in [
            choice(branch("a"), branch("b")),
            choice(branch("a"), Vec::new()),
        ] {
            assert_eq!(hoist(vec![kept.clone()], Var::Form), [kept]);
        }
    }
}
