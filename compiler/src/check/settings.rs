//! Settings: an instruction of a workaround is given what it needs.
//!
//! In: the workarounds of errata, and the operands of the instructions that they issue. Out: E0517. Holds: what a
//! workaround sets is in an operand of the instruction and fits there, and an instruction with forms is given an
//! existing one.

use super::field_of;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Form, Instr, Issued, Model, Source, Value, Workaround};
use crate::source::Span;

/// Returns the number of the form that is set, if one is.
fn form(issued: &Issued) -> Option<u64> {
    let mut with = issued.with.iter();
    with.find_map(|(source, number)| (*source == Source::Form).then_some(*number))
}

/// Returns whether that form is issued: the one that is set, or form 0.
pub fn is_form(issued: &Issued, of: &Form) -> bool {
    let number = form(issued).unwrap_or(0);
    of.named.as_ref().is_none_or(|(_, its)| *its == number)
}

/// Checks E0517: what is set has a field, and fits it.
pub fn places(model: &Model, found: &mut Vec<Diagnostic>) {
    for workaround in model.errata.iter().flat_map(|erratum| &erratum.workarounds) {
        for issued in &workaround.issue {
            found.extend(misplaced(model, workaround, issued));
        }
    }
}

fn misplaced(model: &Model, workaround: &Workaround, issued: &Issued) -> Option<Diagnostic> {
    let (named, template) = match issued.instr {
        Instr::Barrier(index) => (
            &model.barriers[index].named,
            &model.barriers[index].template,
        ),
        Instr::Invalidate(index) => (
            &model.invalidates[index].named,
            &model.invalidates[index].template,
        ),
    };
    let name = &named.name;
    let operands = &template.operands;
    for (source, number) in &issued.with {
        let word = source.name();
        let Some(field) = field_of(model, operands, *source) else {
            let message = format!("`{name}` has no operand with `{word}`");
            return Some(finding(
                workaround,
                message,
                template.span,
                "takes no such value",
            ));
        };
        let bits = match field.value {
            Value::Slice(_, high, _) => high + 1,
            // The lowest page, whose number is then 1.
            Value::PageNumber(_) => 64,
            _ => field.width(),
        };
        if number.checked_shr(bits).is_some_and(|above| above != 0) {
            let message = format!("`{word}` is set to {number}, which does not fit `{name}`");
            return Some(finding(workaround, message, field.span, "narrower"));
        }
    }
    let level = issued.level?;
    let fields = operands
        .iter()
        .flat_map(|&operand| &model.operands[operand].fields);
    let mut given = fields.filter_map(|field| match field.value {
        Value::LevelAs(table) => {
            let numbers = &model.level_numbers[table];
            let named = numbers.cases.iter().any(|(of, ..)| *of == level);
            Some(named || numbers.otherwise.is_some())
        }
        Value::Source(Source::Hint) => {
            let mut levels = model
                .geometries
                .iter()
                .filter_map(|it| it.levels[level].as_ref());
            Some(levels.any(|level| level.hint.is_some()))
        }
        _ => None,
    });
    if given.any(|has| has) {
        return None;
    }
    let message = format!(
        "`{name}` has no number for the level `{}`",
        model.levels[level].name
    );
    Some(finding(workaround, message, template.span, "in no operand"))
}

fn finding(workaround: &Workaround, message: String, fact: Span, label: &str) -> Diagnostic {
    Diagnostic::new(Code::E0517, workaround.span, message)
        .label("set here")
        .because(fact, label)
        .note("the instruction would be issued with another value")
        .help("set a value that the instruction takes, or name another instruction")
}

/// Checks E0517: an instruction with forms is given one, unless the workaround belongs to the same instruction.
pub fn forms(model: &Model, found: &mut Vec<Diagnostic>) {
    for workaround in model.errata.iter().flat_map(|erratum| &erratum.workarounds) {
        for issued in &workaround.issue {
            let Instr::Invalidate(index) = issued.instr else {
                continue;
            };
            let it = &model.invalidates[index];
            let same = form(issued).is_none() && issued.instr == workaround.target.value;
            if same || it.forms.iter().any(|form| is_form(issued, form)) {
                continue;
            }
            let message = match form(issued) {
                Some(number) => format!("`{}` has no form {number}", it.named.name),
                None => format!("the form of `{}` is not stated", it.named.name),
            };
            found.push(
                Diagnostic::new(Code::E0517, workaround.span, message)
                    .label("issued here")
                    .because(it.named.span, "has forms")
                    .note("operands that are not set are zero here, and no form has that number")
                    .help(format!("set it: `{} with form ...`", it.named.name)),
            );
        }
    }
}
