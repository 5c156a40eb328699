//! Printed code, loops and definitions that are broken on purpose are refuted.

mod printed;

use super::check::check;
use super::claim::{Claim, Verdict};
use super::loops;
use super::operands;
use super::solve::Solver;
use super::term::{Truth, Word};
use crate::analysis::{Analysis, analyse};
use crate::emit::tree::{Case, Expr, Stmt};
use crate::emit::{self, Arithmetic};
use crate::model::{Field, Model, Names, Source, Value};
use crate::source::Files;

/// Operands of every kind beside those of the example machine.
const OPERANDS: &str = "
    feature wide \"wide tags\";
    operand range 64 bits {
        [63:56] tag; [55:47] 0; [46:45] scale; [44:40] num; [39:38] hint when hinted; [37:36] 0; [35:0] va[47:12];
        names (num + 1) << (5 * scale + 1) pages;
        start aligned to hint;
    }
    operand pair 128 bits in memory { [127:64] va; [63:12] 0; [11:8] level as pmd 2, else 1; [7:0] tag when wide; }
    operand pages 64 bits { [63:30] va >> page; [29:1] 0; [0] keep when not wide; }
    operand lower 64 bits { [63:56] tag; [55:24] va[43:12]; [23:0] 0; }
    operand upper 64 bits { [63:20] 0; [19:0] va[63:44]; }
    operand half 64 bits { [63:1] 0; [0] va[63]; }
    operand within 64 bits { [63:56] tag; [55:26] 0; [25:0] va[37:12]; }
    invalidate drop_half \"drop.half {within}, {half}\" {
        per \"Toy manual, 4.5\";
        drops leaf of one page, this tag;
        where cpus;
        needs no lock;
        after wait;
    }
    invalidate drop_both \"drop.both {lower}, {upper}\" {
        per \"Toy manual, 4.4\";
        drops leaf of one page, this tag;
        where cpus;
        needs no lock;
        after wait;
    }
";

fn analysis(operands: &str) -> (Files, Analysis) {
    let toy = include_str!("../../explain/toy.arch");
    let text = toy.replacen(
        "    invalidate drop_page",
        &format!("{operands}    invalidate drop_page"),
        1,
    );
    let mut files = Files::default();
    let file = files.add("toy.arch", &text);
    let (analysis, found) = analyse(&files, file);
    let messages: Vec<String> = found.into_iter().map(|it| it.message).collect();
    (files, analysis.unwrap_or_else(|| panic!("{messages:?}")))
}

fn is_checked(claim: &Claim) -> bool {
    matches!(check(claim), Verdict::Checked(_))
}

/// Returns the claims that fail after a change of the model.
fn refuted(change: impl Fn(&mut Model)) -> Vec<String> {
    let (files, mut analysis) = analysis(OPERANDS);
    change(&mut analysis.model);
    let code = emit::arithmetic(&analysis, &files);
    let mut all = operands::claims(&analysis.model, &code);
    all.extend(loops::claims(&analysis.model, &code));
    all.retain(|it| !is_checked(it));
    all.into_iter().map(|it| it.words).collect()
}

#[test]
fn operands_of_every_kind_are_right() {
    assert_eq!(refuted(|_| {}), Vec::<String>::new());
}

/// Returns an expression with each of its parts broken.
fn broken(of: &Expr) -> Vec<Expr> {
    let mut all = Vec::new();
    let boxed = |inner: &Expr| broken(inner).into_iter().map(Box::new);
    match of {
        Expr::Word(word) if word.uses.is_none() => {
            if let Ok(number) = word.text.parse::<u64>() {
                all.push((number + 1).to_string().into());
            } else if word.text.starts_with("0x") {
                all.push(of.clone().binary(">>", emit::tree::number(1u32)));
            }
        }
        Expr::Binary(left, operator, right) => {
            let other = match *operator {
                "|" => "&",
                "&" => "|",
                "<<" => ">>",
                ">>" => "<<",
                "|=" => "|=",
                other => other,
            };
            if other != *operator {
                all.push(Expr::Binary(left.clone(), other, right.clone()));
            }
            all.extend(boxed(left).map(|it| Expr::Binary(it, operator, right.clone())));
            all.extend(boxed(right).map(|it| Expr::Binary(left.clone(), operator, it)));
        }
        Expr::Prefix("!", inner) => {
            all.push((**inner).clone());
            all.extend(boxed(inner).map(|it| Expr::Prefix("!", it)));
        }
        Expr::Array(words) => {
            for (index, word) in words.iter().enumerate() {
                all.extend(broken(word).into_iter().map(|it| {
                    let mut words = words.clone();
                    words[index] = it;
                    Expr::Array(words)
                }));
            }
        }
        Expr::If(alternatives, otherwise) => {
            for (index, (test, then)) in alternatives.iter().enumerate() {
                let with = |test: Expr, then: Vec<Stmt>| {
                    let mut alternatives = alternatives.clone();
                    alternatives[index] = (test, then);
                    Expr::If(alternatives, otherwise.clone())
                };
                all.push(with(test.clone().not(), then.clone()));
                all.extend(
                    broken_body(then)
                        .into_iter()
                        .map(|it| with(test.clone(), it)),
                );
            }
        }
        Expr::Match(over, cases) => {
            for (index, case) in cases.iter().enumerate() {
                all.extend(broken(&case.value).into_iter().map(|value| {
                    let mut cases = cases.clone();
                    cases[index] = Case {
                        value,
                        ..case.clone()
                    };
                    Expr::Match(over.clone(), cases)
                }));
            }
        }
        _ => {}
    }
    all
}

fn broken_body(body: &[Stmt]) -> Vec<Vec<Stmt>> {
    let mut all = Vec::new();
    for (index, statement) in body.iter().enumerate() {
        let changed: Vec<Stmt> = match statement {
            Stmt::Let(name, value) => {
                let values = broken(value).into_iter();
                values.map(|it| Stmt::Let(name.clone(), it)).collect()
            }
            Stmt::Do(value) => broken(value).into_iter().map(Stmt::Do).collect(),
            Stmt::Value(value) => broken(value).into_iter().map(Stmt::Value).collect(),
            _ => Vec::new(),
        };
        all.extend(changed.into_iter().map(|statement| {
            let mut body = body.to_vec();
            body[index] = statement;
            body
        }));
    }
    all
}

#[test]
fn each_change_of_the_printed_code_is_refuted() {
    let (files, analysis) = analysis(OPERANDS);
    let code = || emit::arithmetic(&analysis, &files);
    let mut changed: Vec<Arithmetic> = Vec::new();
    for operand in 0..analysis.model.operands.len() {
        for body in broken_body(&code().encoders[operand]) {
            let mut code = code();
            code.encoders[operand] = body;
            changed.push(code);
        }
    }
    for page_shift in broken(&code().page_shift) {
        changed.push(Arithmetic {
            page_shift,
            ..code()
        });
    }
    assert!(changed.len() > 40, "{}", changed.len());
    for code in changed {
        let all = operands::claims(&analysis.model, &code);
        assert!(!all.iter().all(is_checked), "{:?}", code.encoders);
    }
}

/// Returns the field of an operand that has a source.
fn field<'m>(model: &'m mut Model, operand: &str, source: Source) -> &'m mut Field {
    let mut operands = model.operands.iter_mut();
    let operand = operands.find(|it| it.named.name == operand);
    let mut fields = operand.expect("an operand").fields.iter_mut();
    let found = fields.find(|field| field.value.source() == Some(source));
    found.expect("a field")
}

fn names(model: &mut Model) -> &mut Names {
    let mut names = model.operands.iter_mut().filter_map(|it| it.names.as_mut());
    names.next().expect("a run")
}

type Wrong = (&'static str, fn(&mut Model), &'static str);

/// Operands that lose bits, and the start of the claim that fails. The code is printed for the same definition.
const WRONG: &[Wrong] = &[
    (
        "an address without its upper bits",
        |model| {
            let field = field(model, "page", Source::Va);
            (field.value, field.high) = (Value::Slice(Source::Va, 35, 12), 23);
        },
        "an instruction reads the user address back",
    ),
    (
        "a large page's number for a page",
        |model| {
            let field = field(model, "page", Source::Va);
            (field.value, field.high) = (Value::Slice(Source::Va, 59, 21), 38);
        },
        "an instruction reads the user address back",
    ),
    (
        "an address in two operands, of which the lower does not have all bits of the page",
        |model| {
            let field = field(model, "lower", Source::Va);
            (field.value, field.low) = (Value::Slice(Source::Va, 43, 13), 25);
        },
        "an instruction reads the user address back",
    ),
    (
        "an address whose upper operand is the same in both spaces",
        |model| field(model, "half", Source::Va).value = Value::Const(0),
        "an instruction reads the kernel address back",
    ),
    (
        "a tag that is wider than its field",
        |model| field(model, "page", Source::Tag).low += 1,
        "tag fits bits",
    ),
    (
        "a count that is wider than its field",
        |model| field(model, "range", Source::Num).high -= 1,
        "num fits bits",
    ),
    (
        "a count whose field names fewer",
        |model| field(model, "range", Source::Num).high -= 1,
        "the operand names what the run has",
    ),
    (
        "a scale that is wider than its field",
        |model| field(model, "range", Source::Scale).low += 1,
        "scale fits bits",
    ),
    (
        "two pages that are left",
        |model| names(model).base = 2,
        "at most one page or entry is left",
    ),
    (
        "a scale by which a run overflows",
        |model| names(model).step = 20,
        "the next run starts where this one ends",
    ),
];

#[test]
fn operands_that_lose_bits_are_refuted() {
    for (name, change, claim) in WRONG {
        let refuted = refuted(change);
        let found = refuted.iter().any(|it| it.starts_with(claim));
        assert!(found, "{name}: {refuted:?}");
    }
}

#[test]
fn a_solver_and_values_agree() {
    let x = Word::var("x", 64);
    let claim = |holds: Truth| Claim {
        about: "a word".to_owned(),
        words: "a claim".to_owned(),
        span: analysis("").1.model.arch.span,
        given: vec![x.clone().less(Word::Number(1 << 20))],
        holds,
    };
    let right = claim(((x.clone() << 12u32) >> 12u32).equals(x.clone()));
    let wrong = claim(((x.clone() << 45u32) >> 45u32).equals(x.clone()));
    let none = Claim {
        given: vec![Truth::Is(false)],
        ..wrong.clone()
    };
    assert!(is_checked(&right));
    assert!(matches!(check(&wrong), Verdict::Refuted(_)));
    assert!(matches!(check(&none), Verdict::Unknown(_)));
    let Some(mut solver) = Solver::start() else {
        println!("skipped: z3 is not installed");
        return;
    };
    assert_eq!(solver.prove(&right), Verdict::Proved);
    assert!(matches!(solver.prove(&wrong), Verdict::Refuted(_)));
    assert!(matches!(solver.prove(&none), Verdict::Unknown(_)));
}
