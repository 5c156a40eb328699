//! Texts of instructions: each operand is in a place where the text and the assembler can use it.
//!
//! In: barriers, invalidations and loads. Out: E0321. Holds: every operand of an instruction is either in a register of
//! its own, or named in the text that is assembled.

use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Invalidate, Model, Operand, OperandPlace, Template};
use crate::source::Span;
use crate::template::{self, mentions, names};

/// Checks E0321: an operand is named in the text, unless it is in a register of its own.
pub fn operands(model: &Model, found: &mut Vec<Diagnostic>) {
    for barrier in &model.barriers {
        // E0409 reports operands that depend on a request.
        let is_constant =
            |it: &Operand| it.fields.iter().all(|field| field.value.source().is_none());
        let operands = barrier
            .template
            .operands
            .iter()
            .map(|&operand| &model.operands[operand]);
        if let Some(Operand { named, .. }) = operands.clone().find(|it| is_constant(it)) {
            found.push(
                misplaced(
                    barrier.template.span,
                    &named.name,
                    "a barrier has no operands",
                )
                .because(named.span, "an operand")
                .help("write the constant into the text, or move it there with `{scratch}`"),
            );
        }
    }
    for it in model.invalidates.iter().filter(|it| it.call.is_none()) {
        template(model, &it.template, it.assembled(), found);
        encoded(model, it, found);
    }
    for load in &model.loads {
        template(model, &load.template, &load.template.lines, found);
    }
}

fn template(model: &Model, template: &Template, lines: &[String], found: &mut Vec<Diagnostic>) {
    for &operand in &template.operands {
        let it = &model.operands[operand];
        let name = &it.named.name;
        let is_named = lines.iter().any(|line| mentions(line, name));
        let OperandPlace::Fixed(register) = &it.place else {
            if !is_named {
                found.push(
                    misplaced(template.span, name, "the text does not use it")
                        .because(it.named.span, "in a register that the compiler selects")
                        .help(format!(
                            "write `{{{name}}}` into the text, or name a register: `operand {name} ... in REGISTER`"
                        )),
                );
            }
            continue;
        };
        if is_named {
            found.push(
                misplaced(template.span, name, &format!("it is in `{register}`"))
                    .because(it.named.span, "in a register of its own")
                    .help("write the register as the assembler names it, and give the operand by `with`"),
            );
        }
    }
}

/// Reports an operand in the assembled text that the instruction does not have.
fn encoded(model: &Model, it: &Invalidate, found: &mut Vec<Diagnostic>) {
    let Some(encoded) = &it.encoded else { return };
    for line in &encoded.value {
        for (_, name) in names(line).filter(|(_, name)| *name != template::SCRATCH) {
            let mut operands = it.template.operands.iter();
            if !operands.any(|&operand| model.operands[operand].named.name == name) {
                found.push(
                    misplaced(encoded.span, name, "the instruction has no such operand")
                        .because(it.template.span, "has other operands")
                        .help("both texts name the same operands"),
                );
            }
        }
    }
}

fn misplaced(span: Span, name: &str, why: &str) -> Diagnostic {
    let message = format!("`{name}` cannot be an operand here: {why}");
    Diagnostic::new(Code::E0321, span, message).label("here")
}
