//! Proves claims with an SMT solver, found when the command runs.
//!
//! In: claims, one after the other. Out: a verdict for each. Holds: [`Verdict::Proved`] means that the solver found
//! that no values refute the claim; what it does not decide in time is checked for values, and reported as checked.

use std::io;
use std::process::Command;

use easy_smt::{Context, ContextBuilder, Response, SExpr};

use super::check::check;
use super::claim::{Claim, Verdict};
use super::term::{Operator, Truth, Variable, Word};

const Z3: &str = "z3";

/// The time for one claim, in milliseconds.
const TIME: u32 = 10_000;

/// A running solver.
pub struct Solver(Context);

impl Solver {
    /// Returns what z3 says of its version; none if there is none.
    pub fn version() -> Option<String> {
        let output = Command::new(Z3).arg("--version").output().ok()?;
        String::from_utf8(output.stdout).ok()
    }

    /// Starts z3; none if there is none.
    pub fn start() -> Option<Self> {
        let mut builder = ContextBuilder::new();
        builder.solver(Z3).solver_args(["-smt2", "-in", "-v:0"]);
        let mut context = builder.build().ok()?;
        let time = context.numeral(TIME);
        context.set_option(":timeout", time).ok()?;
        context.set_logic("QF_BV").ok()?;
        Some(Self(context))
    }

    /// Proves a claim, or finds values that refute it.
    pub fn prove(&mut self, claim: &Claim) -> Verdict {
        self.alone(claim)
            .unwrap_or_else(|error| Verdict::Unknown(format!("the solver failed: {error}")))
    }

    /// Does so without a trace in later queries.
    fn alone(&mut self, claim: &Claim) -> io::Result<Verdict> {
        self.0.push()?;
        let verdict = self.query(claim);
        self.0.pop()?;
        verdict
    }

    fn query(&mut self, claim: &Claim) -> io::Result<Verdict> {
        let variables = claim.variables();
        let mut declared = Vec::new();
        for variable in &variables {
            declared.push(self.declare(variable)?);
        }
        for given in &claim.given {
            let given = truth(&self.0, given);
            self.0.assert(given)?;
        }
        // What is given can be given: otherwise everything would follow.
        let possible = self.0.check()? != Response::Unsat;
        let holds = truth(&self.0, &claim.holds);
        self.0.assert(self.0.not(holds))?;
        Ok(match self.0.check()? {
            _ if !possible => Verdict::Unknown("what is given cannot be".to_owned()),
            Response::Unsat => Verdict::Proved,
            Response::Unknown => check(claim),
            Response::Sat => {
                let found = self.0.get_value(declared)?;
                let values = found.iter().map(|(_, value)| self.number(*value));
                Verdict::Refuted(variables.into_iter().zip(values).collect())
            }
        })
    }

    fn declare(&mut self, variable: &Variable) -> io::Result<SExpr> {
        let name = quoted(variable);
        let Some(bits) = variable.bits else {
            let sort = self.0.bool_sort();
            return self.0.declare_const(name, sort);
        };
        let sort = self.0.bit_vec_sort(self.0.numeral(64));
        let declared = self.0.declare_const(name, sort)?;
        let most = word(&self.0, &Word::ones(bits));
        self.0.assert(self.0.bvule(declared, most))?;
        Ok(declared)
    }

    fn number(&self, value: SExpr) -> u64 {
        let text = self.0.display(value).to_string();
        let parsed = match text.split_at_checked(2) {
            Some(("#x", digits)) => u64::from_str_radix(digits, 16),
            Some(("#b", digits)) => u64::from_str_radix(digits, 2),
            _ => return u64::from(text == "true"),
        };
        parsed.unwrap_or(0)
    }
}

fn quoted(variable: &Variable) -> String {
    format!("|{}|", variable.name)
}

fn word(context: &Context, of: &Word) -> SExpr {
    match of {
        Word::Number(number) => context.atom(format!("#x{number:016x}")),
        Word::Var(variable) => context.atom(quoted(variable)),
        Word::Not(inner) => context.bvnot(word(context, inner)),
        Word::Binary(operator, left, right) => {
            let (left, right) = (word(context, left), word(context, right));
            match operator {
                Operator::And => context.bvand(left, right),
                Operator::Or => context.bvor(left, right),
                Operator::Add => context.bvadd(left, right),
                Operator::Sub => context.bvsub(left, right),
                Operator::Shl => context.bvshl(left, right),
                Operator::Shr => context.bvlshr(left, right),
            }
        }
        Word::If(test, then, otherwise) => context.ite(
            truth(context, test),
            word(context, then),
            word(context, otherwise),
        ),
    }
}

fn truth(context: &Context, of: &Truth) -> SExpr {
    match of {
        Truth::Is(true) => context.true_(),
        Truth::Is(false) => context.false_(),
        Truth::Var(variable) => context.atom(quoted(variable)),
        Truth::Not(inner) => context.not(truth(context, inner)),
        Truth::And(all) => {
            let all = all.iter().map(|it| truth(context, it));
            context.and_many(std::iter::once(context.true_()).chain(all))
        }
        Truth::Or(all) => {
            let all = all.iter().map(|it| truth(context, it));
            context.or_many(std::iter::once(context.false_()).chain(all))
        }
        Truth::Equal(left, right) => context.eq(word(context, left), word(context, right)),
        Truth::AtMost(left, right) => context.bvule(word(context, left), word(context, right)),
    }
}
