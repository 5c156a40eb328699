//! Terms of the encoders that are printed.
//!
//! In: the trees of Rust that `emit` prints for an operand. Out: the two words of its bits. Holds: an expression that is not
//! understood is an error, never ignored.

use std::collections::BTreeMap;

use super::sources::Sources;
use super::term::{Truth, Word};
use crate::emit::Arithmetic;
use crate::emit::tree::{Expr, Private, Property, Stmt, Use, Var};

/// The value of an expression.
#[derive(Debug, Clone)]
enum ExprValue {
    Word(Word),
    Truth(Truth),
    /// The words of an operand of 128 bits, the low one first.
    Two(Word, Word),
}

/// An expression that is not understood.
type Unclear = String;

/// Returns the low and the high word that the printed code encodes an operand as.
pub fn encoded(
    code: &Arithmetic,
    sources: &Sources<'_>,
    operand: usize,
) -> Result<(Word, Word), Unclear> {
    let reader = Reader { code, sources };
    match reader.value(&code.operands[operand], &Locals::new())? {
        ExprValue::Word(low) => Ok((low, Word::Number(0))),
        ExprValue::Two(low, high) => Ok((low, high)),
        ExprValue::Truth(_) => Err("a truth value".to_owned()),
    }
}

type Locals = BTreeMap<String, ExprValue>;

struct Reader<'a> {
    code: &'a Arithmetic,
    sources: &'a Sources<'a>,
}

impl Reader<'_> {
    fn body(&self, body: &[Stmt]) -> Result<ExprValue, Unclear> {
        let mut locals = Locals::new();
        for statement in body {
            match statement {
                Stmt::Let(name, value) => {
                    let value = match name.text.as_ref() {
                        "_" => continue,
                        _ => self.value(value, &locals)?,
                    };
                    let name = name.text.trim_start_matches("mut ");
                    locals.insert(name.to_owned(), value);
                }
                Stmt::Do(Expr::If(alternatives, otherwise)) if otherwise.is_empty() => {
                    let [(test, body)] = alternatives.as_slice() else {
                        return Err("alternatives that exclude each other".to_owned());
                    };
                    let test = self.truth(test, &locals)?;
                    for statement in body {
                        self.set(statement, &test, &mut locals)?;
                    }
                }
                Stmt::Do(_) => self.set(statement, &Truth::Is(true), &mut locals)?,
                Stmt::Value(value) => return self.value(value, &locals),
                other => return Err(format!("{other:?}")),
            }
        }
        Err("no value".to_owned())
    }

    /// Executes `place |= value` where a condition holds.
    fn set(&self, statement: &Stmt, test: &Truth, locals: &mut Locals) -> Result<(), Unclear> {
        let unclear = || Err(format!("{statement:?}"));
        let Stmt::Do(Expr::Binary(place, "|=", value)) = statement else {
            return unclear();
        };
        let value = self.word(value, locals)?;
        let value = Word::choice(test.clone(), value, Word::Number(0));
        let (name, index) = match place.as_ref() {
            Expr::Word(name) => (name, 0),
            Expr::Index(array, index) => match array.as_ref() {
                Expr::Word(name) => (name, *index),
                _ => return unclear(),
            },
            _ => return unclear(),
        };
        match (locals.get_mut(name.text.as_ref()), index) {
            (Some(ExprValue::Word(word) | ExprValue::Two(word, _)), 0) => {
                *word = word.clone() | value;
            }
            (Some(ExprValue::Two(_, word)), 1) => *word = word.clone() | value,
            _ => return unclear(),
        }
        Ok(())
    }

    fn value(&self, of: &Expr, locals: &Locals) -> Result<ExprValue, Unclear> {
        match of {
            Expr::Array(words) => match words.as_slice() {
                [low, high] => Ok(ExprValue::Two(
                    self.word(low, locals)?,
                    self.word(high, locals)?,
                )),
                _ => Err(format!("{of:?}")),
            },
            Expr::Word(word) if locals.contains_key(word.text.as_ref()) => {
                Ok(locals[word.text.as_ref()].clone())
            }
            Expr::Word(word) => match word.uses {
                Some(Use::Private(Private::Encoder(operand))) => {
                    self.body(&self.code.encoders[operand])
                }
                Some(Use::Var(Var::Keep)) => Ok(ExprValue::Truth(Sources::keep())),
                Some(Use::Var(var)) => {
                    let word = self.sources.of_var(var.name());
                    word.map(ExprValue::Word).ok_or_else(|| format!("{of:?}"))
                }
                None => literal(&word.text).ok_or_else(|| format!("{of:?}")),
                _ => Err(format!("{of:?}")),
            },
            Expr::Call(function, arguments) => self.call(function, arguments, locals),
            Expr::Method(value, name, arguments) => {
                match (value.as_ref(), name.as_ref(), arguments.as_slice()) {
                    (value, "unwrap_or", [otherwise]) if *value == Var::Hint.expr() => {
                        let (is, number) = self.sources.hint();
                        let otherwise = self.word(otherwise, locals)?;
                        Ok(ExprValue::Word(Word::choice(is, number, otherwise)))
                    }
                    _ => Ok(ExprValue::Truth(self.truth(of, locals)?)),
                }
            }
            Expr::Prefix("!", value) => Ok(match self.value(value, locals)? {
                ExprValue::Word(word) => ExprValue::Word(!word),
                ExprValue::Truth(truth) => ExprValue::Truth(!truth),
                ExprValue::Two(..) => return Err(format!("{of:?}")),
            }),
            Expr::Cast(value, "u32") => {
                Ok(ExprValue::Word(self.word(value, locals)? & Word::ones(32)))
            }
            Expr::Binary(left, operator, right) => {
                if matches!(*operator, "&&" | "||") {
                    return Ok(ExprValue::Truth(self.truth(of, locals)?));
                }
                let (left, right) = (self.word(left, locals)?, self.word(right, locals)?);
                Ok(ExprValue::Word(match *operator {
                    "|" => left | right,
                    "&" => left & right,
                    "<<" => left << right,
                    ">>" => left >> right,
                    _ => return Err(format!("{of:?}")),
                }))
            }
            Expr::If(alternatives, otherwise) => {
                let last = self.only_value(otherwise, locals)?;
                let mut all = alternatives.iter().rev();
                let chosen = all.try_fold(last, |rest, (test, then)| {
                    let test = self.truth(test, locals)?;
                    Ok::<_, Unclear>(Word::choice(test, self.only_value(then, locals)?, rest))
                })?;
                Ok(ExprValue::Word(chosen))
            }
            Expr::Match(over, cases) if **over == Var::Stride.expr() => {
                let mut chosen = Word::Number(0);
                for case in cases.iter().rev() {
                    let value = self.word(&case.value, locals)?;
                    let mut tests = Vec::new();
                    if case.pattern != Expr::from("_") {
                        let Expr::Word(name) = &case.pattern else {
                            return Err(format!("{of:?}"));
                        };
                        let mut levels = self.code.levels.iter();
                        let level = levels.position(|it| name.text == *it);
                        let level = level.ok_or_else(|| format!("{of:?}"))?;
                        tests.push(self.sources.stride().equals((level as u64).into()));
                    }
                    if let Some(guard) = &case.guard {
                        tests.push(self.truth(guard, locals)?);
                    }
                    chosen = Word::choice(Truth::And(tests), value, chosen);
                }
                Ok(ExprValue::Word(chosen))
            }
            _ => Err(format!("{of:?}")),
        }
    }

    fn call(
        &self,
        function: &Expr,
        arguments: &[Expr],
        locals: &Locals,
    ) -> Result<ExprValue, Unclear> {
        let Expr::Word(name) = function else {
            return Err(format!("{function:?}"));
        };
        match (name.uses, name.text.as_ref(), arguments) {
            // The arguments are the parameters themselves.
            (Some(Use::Private(Private::Encoder(operand))), ..)
                if arguments.iter().all(
                    |it| matches!(it, Expr::Word(word) if matches!(word.uses, Some(Use::Var(_)))),
                ) =>
            {
                self.body(&self.code.encoders[operand])
            }
            (Some(Use::Private(Private::Function(Property::Granule))), ..) => {
                self.value(&self.code.granule, locals)
            }
            (Some(Use::Private(Private::Function(Property::PageShift))), ..) => {
                self.value(&self.code.page_shift, locals)
            }
            (None, "u64::from", [value]) => {
                Ok(ExprValue::Word(match self.value(value, locals)? {
                    ExprValue::Truth(is) => Word::choice(is, Word::Number(1), Word::Number(0)),
                    ExprValue::Word(word) => word,
                    ExprValue::Two(..) => return Err(format!("{function:?}")),
                }))
            }
            _ => Err(format!("{function:?}")),
        }
    }

    fn only_value(&self, body: &[Stmt], locals: &Locals) -> Result<Word, Unclear> {
        match body {
            [Stmt::Value(value)] => self.word(value, locals),
            _ => Err(format!("{body:?}")),
        }
    }

    fn word(&self, of: &Expr, locals: &Locals) -> Result<Word, Unclear> {
        match self.value(of, locals)? {
            ExprValue::Word(word) => Ok(word),
            _ => Err(format!("{of:?}")),
        }
    }

    fn truth(&self, of: &Expr, locals: &Locals) -> Result<Truth, Unclear> {
        match of {
            Expr::Method(value, name, arguments) => {
                match (value.as_ref(), name.as_ref(), arguments.as_slice()) {
                    (value, "has", [flags]) if *value == Var::Config.expr() => self.flags(flags),
                    (value, "is_some", []) if *value == Var::Hint.expr() => {
                        Ok(self.sources.hint().0)
                    }
                    (value, "is_none", []) if *value == Var::Hint.expr() => {
                        Ok(!self.sources.hint().0)
                    }
                    _ => Err(format!("{of:?}")),
                }
            }
            Expr::Binary(left, "&&", right) => Ok(Truth::And(vec![
                self.truth(left, locals)?,
                self.truth(right, locals)?,
            ])),
            Expr::Binary(left, "||", right) => Ok(Truth::Or(vec![
                self.truth(left, locals)?,
                self.truth(right, locals)?,
            ])),
            Expr::Prefix("!", inner) => Ok(!self.truth(inner, locals)?),
            Expr::Word(word) if matches!(word.text.as_ref(), "true" | "false") => {
                Ok(Truth::Is(word.text == "true"))
            }
            Expr::Word(_) => match self.value(of, locals)? {
                ExprValue::Truth(truth) => Ok(truth),
                _ => Err(format!("{of:?}")),
            },
            _ => Err(format!("{of:?}")),
        }
    }

    /// Returns whether the configuration has one of some flags.
    fn flags(&self, of: &Expr) -> Result<Truth, Unclear> {
        match of {
            Expr::Word(word) => match word.uses {
                Some(Use::Flag(bit)) => Ok(self.sources.flag(bit)),
                _ => Err(format!("{of:?}")),
            },
            Expr::Method(flags, name, others) if name == "with" && others.len() == 1 => {
                Ok(Truth::Or(vec![self.flags(flags)?, self.flags(&others[0])?]))
            }
            _ => Err(format!("{of:?}")),
        }
    }
}

/// Returns the number of a literal.
fn literal(text: &str) -> Option<ExprValue> {
    let digits = text.replace('_', "");
    let number = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    number.ok().map(|number| ExprValue::Word(number.into()))
}
