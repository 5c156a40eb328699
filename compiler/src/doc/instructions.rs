//! The sections of the page about invalidations, barriers, loads and operands.

use std::fmt::Write as _;

use super::markdown::{anchor, fenced, heading, place, table};
use crate::describe::{self, code, plain, when};
use crate::matrix::{done, marked, reach};
use crate::model::{Drops, Field, Form, Invalidate, Model, Operand, OperandPlace, Template, Value};
use crate::source::Files;

pub fn write(out: &mut String, model: &Model, files: &Files) {
    heading(out, "Instructions");
    let links = model.invalidates.iter().map(|it| {
        let title = title(it);
        format!("[{}](#{})", code(&it.named.name), anchor(&title))
    });
    let links: Vec<String> = links.collect();
    let _ = writeln!(
        out,
        "{}",
        if links.is_empty() {
            "None.".to_owned()
        } else {
            links.join(", ")
        }
    );
    for it in &model.invalidates {
        invalidate(out, model, files, it);
    }
    barriers(out, model);
    loads(out, model, files);
    operands(out, model);
}

fn title(invalidate: &Invalidate) -> String {
    format!("Instruction {}", invalidate.named.name)
}

/// Returns the text of an instruction.
fn template(invalidate: &Invalidate, model: &Model) -> String {
    let lines = match &invalidate.call {
        Some(function) => {
            let operands = invalidate.template.operands.iter();
            let names: Vec<String> = operands
                .map(|&of| format!("{{{}}}", model.operands[of].named.name))
                .collect();
            vec![format!("call {}({})", function.value, names.join(", "))]
        }
        None => invalidate.template.lines.clone(),
    };
    let encoded = invalidate.encoded.iter().flat_map(|at| &at.value);
    let encoded = encoded.map(|line| format!("  encoded: {line}"));
    lines
        .into_iter()
        .chain(encoded)
        .collect::<Vec<_>>()
        .join("\n")
}

fn invalidate(out: &mut String, model: &Model, files: &Files, it: &Invalidate) {
    let _ = write!(out, "\n### {}\n\n", title(it));
    fenced(out, &template(it, model));
    out.push('\n');
    let mut bullet = |what: &str, text: &str| {
        let _ = writeln!(out, "- **{what}**: {}", marked(text));
    };
    for form in &it.forms {
        let (head, text) = effect(model, form);
        bullet(&head, &text);
    }
    if let Some(writes) = &it.writes_entry {
        bullet("Also", &describe::writes(model, writes));
    }
    bullet("On", &reach(model, it));
    bullet("Complete", &done(model, it));
    let requires = describe::cond(model, &it.requires);
    if !requires.is_empty() {
        bullet("Available when", &requires);
    }
    let mut needs: Vec<String> = it
        .needs
        .iter()
        .map(|need| describe::need(need.value).to_owned())
        .collect();
    if it.retry_while_busy {
        needs.push("to be repeated while it is busy".to_owned());
    }
    if !needs.is_empty() {
        bullet("Needs", &needs.join("; "));
    }
    let changed = [
        (!it.template.keeps.flags, "flags"),
        (
            !it.template.keeps.operands && !it.template.operands.is_empty(),
            "its operands",
        ),
    ];
    let changed: Vec<&str> = changed
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, what)| *what)
        .collect();
    if !changed.is_empty() {
        bullet("May change", &changed.join(" and "));
    }
    if it.cost != 1 {
        bullet("Relative cost", &it.cost.to_string());
    }
    bullet(
        "Documented in",
        &it.per
            .as_ref()
            .map_or("nothing".to_owned(), |per| plain(&per.value)),
    );
    bullet("Defined at", &code(&place(files, it.span)));
}

/// Describes what a form drops: a heading, and the clauses.
fn effect(model: &Model, form: &Form) -> (String, String) {
    let head = match &form.named {
        None => "Drops".to_owned(),
        Some((named, value)) => {
            let needed = when(model, &form.requires);
            format!("Form {} ({value:#x}){needed} drops", code(&named.name))
        }
    };
    (head, clauses(model, &form.drops))
}

fn clauses(model: &Model, drops: &[Drops]) -> String {
    let clauses: Vec<String> = drops
        .iter()
        .map(|drops| describe::drops(model, drops))
        .collect();
    if clauses.is_empty() {
        "nothing".to_owned()
    } else {
        clauses.join("; ")
    }
}

fn lines(template: &Template) -> String {
    let lines: Vec<String> = template.lines.iter().map(|line| code(line)).collect();
    lines.join("\n")
}

fn barriers(out: &mut String, model: &Model) {
    heading(out, "Barriers");
    if let Some(assumed) = &model.assumed {
        let text = marked(&plain(&assumed.value));
        let _ = writeln!(
            out,
            "Changes are published without an instruction: {text}.\n"
        );
    }
    if model.atomics_order.is_some() {
        out.push_str("An atomic read-modify-write is a full barrier.\n\n");
    }
    if model.barriers.is_empty() {
        out.push_str("None.\n");
        return;
    }
    let rows = model.barriers.iter().map(|barrier| {
        let publishes = barrier
            .publishes
            .map(|at| describe::agents(at.value))
            .unwrap_or_default();
        let completes = barrier.completes.map(|at| {
            let facts = [
                (barrier.gone.is_some(), "gone"),
                (barrier.drained.is_some(), "drained"),
            ];
            let facts = facts.iter().filter(|(is, _)| *is).map(|(_, fact)| *fact);
            let facts: Vec<&str> = facts.collect();
            let same = if barrier.same_cpu {
                ", only invalidations of the same CPU"
            } else {
                ""
            };
            format!(
                "{}: {}{same}",
                describe::agents(at.value),
                facts.join(" and ")
            )
        });
        let resyncs = barrier.resyncs.map_or("", |_| "this CPU");
        [
            code(&barrier.named.name),
            lines(&barrier.template),
            describe::cond(model, &barrier.requires),
            publishes,
            completes.unwrap_or_default(),
            resyncs.to_owned(),
        ]
    });
    table(
        out,
        [
            "barrier",
            "instruction",
            "available when",
            "publishes to",
            "completes on",
            "resyncs",
        ],
        rows,
    );
}

fn loads(out: &mut String, model: &Model, files: &Files) {
    heading(out, "Loads");
    if model.loads.is_empty() {
        out.push_str("None.\n");
        return;
    }
    let rows = model.loads.iter().map(|load| {
        let drops = clauses(model, &load.drops);
        let place = code(&place(files, load.span));
        let name = code(&load.named.name) + &when(model, &load.requires);
        let follows = load.follows.map_or(String::new(), |at| {
            code(&model.barriers[at.value].named.name)
        });
        [name, lines(&load.template), follows, drops, place]
    });
    let columns = ["load", "instruction", "follows", "drops", "defined at"];
    table(out, columns, rows);
}

fn operands(out: &mut String, model: &Model) {
    heading(out, "Operands");
    if model.operands.is_empty() {
        out.push_str("None.\n");
        return;
    }
    let rows = model.operands.iter().map(|operand| {
        let fields = operand.fields.iter().map(|of| field(model, of));
        let names = operand.names.as_ref().map(|names| {
            let unit = if names.pages { "pages" } else { "entries" };
            match (names.step, names.base) {
                _ if names.any => format!("names any number of {unit}"),
                (0, 0) => format!("names num + 1 {unit}"),
                (0, base) => format!("names (num + 1) << {base} {unit}"),
                (step, base) => format!("names (num + 1) << ({step} * scale + {base}) {unit}"),
            }
        });
        let fields: Vec<String> = fields.chain(names).collect();
        [
            code(&operand.named.name),
            location(operand),
            fields.join("\n"),
        ]
    });
    table(out, ["operand", "where", "fields"], rows);
}

fn location(operand: &Operand) -> String {
    let place = match &operand.place {
        OperandPlace::Register => "in a register".to_owned(),
        OperandPlace::Fixed(name) => format!("in {}", code(name)),
        OperandPlace::Class(name) => format!("in a register of class {}", code(name)),
        OperandPlace::Memory(None) => "in memory".to_owned(),
        OperandPlace::Memory(Some(class)) => {
            format!("in memory, by a register of class {}", code(class))
        }
    };
    format!("{} bits {place}", operand.bits.value)
}

fn field(model: &Model, field: &Field) -> String {
    let bits = if field.high == field.low {
        field.high.to_string()
    } else {
        format!("{}:{}", field.high, field.low)
    };
    let value = match field.value {
        Value::LevelAs(index) => {
            let numbers = &model.level_numbers[index];
            let cases = numbers.cases.iter().map(|(level, number, cond)| {
                format!(
                    "{} {number:#x}{}",
                    code(&model.levels[*level].name),
                    when(model, cond)
                )
            });
            let otherwise = numbers.otherwise.map(|number| format!("else {number:#x}"));
            format!(
                "level as {}",
                cases.chain(otherwise).collect::<Vec<_>>().join(", ")
            )
        }
        value => value.text(),
    };
    let bits = code(&format!("[{bits}]"));
    format!("{bits} {value}{}", when(model, &field.when))
}
