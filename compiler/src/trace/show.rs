//! A trace as text, for people and for scripts.

use std::fmt::Write as _;

use super::{Debit, Instruction, Trace};
use crate::json::Json;

/// For people: one instruction a line, with the fields of its operands beside it.
#[must_use]
pub fn text(trace: &Trace) -> String {
    let mut out = String::from("here:\n");
    section(&mut out, &trace.here, "nothing is issued");
    let told = match trace.told.as_slice() {
        [] => "others:\n".to_owned(),
        told => format!("others ({}), each told by interrupt:\n", told.join(", ")),
    };
    out.push_str(&told);
    section(&mut out, &trace.others, "nobody is told");
    out.push_str("owed:\n");
    for debit in &trace.owed {
        let Debit {
            holder,
            what,
            until,
        } = debit;
        let _ = writeln!(out, "  {holder}: {what}, until {until}");
    }
    if trace.owed.is_empty() {
        out.push_str("  (nothing)\n");
    }
    out
}

fn section(out: &mut String, instructions: &[Instruction], none: &str) {
    if instructions.is_empty() {
        let _ = writeln!(out, "  ({none})");
    }
    let width = instructions.iter().map(|i| i.asm.len()).max().unwrap_or(0);
    for instruction in instructions {
        let mut line = format!("  {:width$}", instruction.asm);
        for (name, bits, fields) in &instruction.operands {
            let _ = write!(line, "  {name}={bits:#x}");
            let shown: Vec<String> = (fields.iter())
                .filter(|f| f.bits != 0 && !(fields.len() == 1 && f.low == 0))
                .map(|f| {
                    let place = if f.high == f.low {
                        f.high.to_string()
                    } else {
                        format!("{}:{}", f.high, f.low)
                    };
                    format!("[{place}] {} {:#x}", f.name, f.bits)
                })
                .collect();
            if !shown.is_empty() {
                let _ = write!(line, " ({})", shown.join(", "));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// For scripts.
#[must_use]
pub fn json(trace: &Trace) -> Json {
    let instructions = |list: &[Instruction]| Json::Array(list.iter().map(instruction).collect());
    let owed = trace.owed.iter().map(|debit| {
        Json::object([
            ("holder", Json::from(debit.holder)),
            ("what", Json::from(debit.what)),
            ("until", Json::from(debit.until)),
        ])
    });
    Json::object([
        ("here", instructions(&trace.here)),
        ("others", instructions(&trace.others)),
        ("owed", Json::Array(owed.collect())),
    ])
}

fn instruction(instruction: &Instruction) -> Json {
    let operands = instruction
        .operands
        .iter()
        .map(|(name, bits, _)| (name.clone(), Json::String(format!("{bits:#x}"))));
    Json::object([
        ("name", Json::from(instruction.name.as_str())),
        ("asm", Json::from(instruction.asm.as_str())),
        ("operands", Json::Object(operands.collect())),
    ])
}
