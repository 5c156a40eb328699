//! Fixed registers: two operands of an instruction are in registers of their own.
//!
//! In: the operands in a named register. Out: E0410. Holds: no register is given two values, under
//! any of its names. A table next to the sources lists the names that Rust has for a register.

use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Model, OperandPlace};

/// Architectures, and the names of one register.
const REGISTERS: &str = include_str!("../../registers.txt");

/// Returns whether two names mean the same register.
pub fn is_same(target_arch: &str, a: &str, b: &str) -> bool {
    let lines = REGISTERS.lines().filter(|line| !line.starts_with('#'));
    let one_register = |line: &str| {
        let mut words = line.split_whitespace();
        let mut architectures = words.next().unwrap_or_default().split(',');
        let names: Vec<&str> = words.collect();
        architectures.any(|it| it == target_arch) && names.contains(&a) && names.contains(&b)
    };
    a == b || lines.into_iter().any(one_register)
}

/// Checks E0410: two operands of an instruction are in registers of their own.
pub fn registers(model: &Model, found: &mut Vec<Diagnostic>) {
    let invalidates = model.invalidates.iter().map(|it| (&it.named, &it.template));
    let loads = model.loads.iter().map(|it| (&it.named, &it.template));
    let register = |operand: usize| match &model.operands[operand].place {
        OperandPlace::Fixed(register) => Some(register.as_str()),
        _ => None,
    };
    for (named, template) in invalidates.chain(loads) {
        for (index, &second) in template.operands.iter().enumerate() {
            let Some(again) = register(second) else {
                continue;
            };
            let before = template.operands[..index].iter();
            let mut before = before.filter_map(|&first| Some((first, register(first)?)));
            let same = before.find(|(_, it)| is_same(&model.target_arch.value, it, again));
            let Some((first, it)) = same else { continue };
            let (first, second) = (&model.operands[first].named, &model.operands[second].named);
            let (a, b) = (&first.name, &second.name);
            let message = if it == again {
                format!(
                    "`{a}` and `{b}` are both in `{it}`, and `{}` takes both",
                    named.name
                )
            } else {
                format!(
                    "`{it}` and `{again}` are the same register, and `{}` takes `{a}` and `{b}` in them",
                    named.name
                )
            };
            found.push(
                Diagnostic::new(Code::E0410, second.span, message)
                    .label("again here")
                    .because(first.span, "first here")
                    .because(template.span, "takes both")
                    .note("a register holds one value")
                    .help("give each operand the register that the manual gives it"),
            );
        }
    }
}
