//! The trees that are proved are those that are printed.
//!
//! In: the shipped definitions. Holds: the text of a module has the text of each tree that the claims are about; a tree with
//! another text is refuted.

use super::super::operands;
use super::{broken, broken_body, is_checked};
use crate::analysis::{Analysis, analyse};
use crate::emit::tree::{Expr, Function, Private, Stmt, Use, Var};
use crate::emit::{self, Arithmetic};
use crate::source::Files;

/// Returns the shipped definitions.
fn shipped() -> Vec<(Files, Analysis)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../archdefs");
    let all = std::fs::read_dir(folder).expect("a folder");
    let paths = all.map(|it| it.expect("a file").path());
    let definitions = paths.filter(|it| it.extension().is_some_and(|it| it == "arch"));
    let analysed = definitions.map(|path| {
        let mut files = Files::default();
        let text = std::fs::read_to_string(&path).expect("a text");
        let file = files.add(path.display().to_string(), &text);
        let (analysis, _) = analyse(&files, file);
        (files, analysis.expect("a definition"))
    });
    analysed.collect()
}

/// Returns a text without its comments and without what depends on the width of lines.
fn packed(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let code: String = lines.filter(|line| !line.starts_with("//")).collect();
    let packed: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let ends = [",)", ",]", ",}"];
    let without = |text: String, end: &str| text.replace(end, &end[1..]);
    ends.into_iter().fold(packed, without)
}

/// Returns the text of statements.
fn text_of(body: &[Stmt]) -> String {
    let function = Function {
        head: "fn f".into(),
        body: Some(body.to_vec()),
        ..Function::default()
    };
    let text = packed(&emit::print::items(&[function.into()]));
    let body = text.strip_prefix("fnf(){");
    let body = body.and_then(|it| it.strip_suffix('}'));
    body.unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// Returns the start of the body of a function, or of the value of a constant, in the text of a module.
fn body_of<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let after = |head: String, start: char| {
        let (_, rest) = text.split_once(&head)?;
        Some(rest.split_once(start)?.1)
    };
    after(format!("fn{name}("), '{').or_else(|| after(format!("const{name}:"), '='))
}

/// Returns the name of the encoder or constant that has the value of an operand; none if the operand is a parameter or a number.
fn name_of(value: &Expr) -> Option<&str> {
    match value {
        Expr::Call(function, _) => name_of(function),
        Expr::Word(word) => {
            let is_encoder = matches!(word.uses, Some(Use::Private(Private::Encoder(_))));
            is_encoder.then_some(word.text.as_ref())
        }
        _ => None,
    }
}

/// Returns the first claim about an operand that does not hold for printed code.
fn refuted(analysis: &Analysis, code: &Arithmetic, operand: usize) -> Option<String> {
    let about = format!("operand `{}`", analysis.model.operands[operand].named.name);
    let all = operands::claims(&analysis.model, code).into_iter();
    let mut claims = all.filter(|it| it.about == about);
    claims.find(|it| !is_checked(it)).map(|it| it.words)
}

#[test]
fn what_is_proved_is_printed() {
    let mut printed = 0;
    for (files, analysis) in shipped() {
        let text = packed(&emit::emit(&analysis, &files, 0));
        let code = emit::arithmetic(&analysis, &files);
        for (value, body) in code.operands.iter().zip(&code.encoders) {
            // What no instruction of a plan uses is not printed.
            let Some(found) = name_of(value).and_then(|name| body_of(&text, name)) else {
                continue;
            };
            assert!(found.starts_with(&text_of(body)), "{body:?}");
            printed += 1;
        }
        let unused = format!("let_={};", Var::Config.name());
        for (name, value) in [("granule", code.granule), ("page_shift", code.page_shift)] {
            let Some(found) = body_of(&text, name) else {
                continue;
            };
            let found = found.trim_start_matches(&unused);
            assert!(found.starts_with(&text_of(&[Stmt::Value(value)])), "{name}");
            printed += 1;
        }
    }
    assert!(printed > 20, "{printed}");
}

/// Refutes an emitter that prints another tree: the claims are about the tree that it prints.
#[test]
fn a_tree_with_another_text_is_refuted() {
    let mut changed = 0;
    for (files, analysis) in shipped() {
        let code = || emit::arithmetic(&analysis, &files);
        for operand in 0..analysis.model.operands.len() {
            let bodies = broken_body(&code().encoders[operand]);
            let is_used = name_of(&code().operands[operand]).is_some();
            for body in bodies.into_iter().filter(|_| is_used) {
                let mut code = code();
                assert_ne!(text_of(&body), text_of(&code.encoders[operand]));
                code.encoders[operand] = body;
                let words = refuted(&analysis, &code, operand);
                assert!(words.is_some(), "{:?}", code.encoders[operand]);
                changed += 1;
            }
            let mut other = code();
            for value in broken(&other.operands[operand]) {
                other.operands[operand] = value;
                assert!(refuted(&analysis, &other, operand).is_some(), "{operand}");
                changed += 1;
            }
        }
    }
    assert!(changed > 100, "{changed}");
}
