//! What a plan did, in words: who is told, what is owed, and the instructions with their operands filled in.

use tlbc_runtime::backend::{Audience, Owed};
use tlbc_runtime::clause::Holders;

use super::interpret::{Effects, Op, Which};
use super::{Debit, Instruction, encode};
use crate::model::{Config, Model};
use crate::template::{mentions, shown};

/// Those who are in an audience.
pub(super) fn names(model: &Model, audience: Audience) -> Vec<String> {
    let holders = audience
        .holders
        .iter()
        .map(|class| Holders::name(class).to_owned());
    let sets = model.cpu_sets.iter().enumerate();
    let sets = sets.filter(|(index, _)| audience.sets & (1 << index) != 0);
    holders
        .chain(sets.map(|(_, set)| format!("CPUs of `{}`", set.name)))
        .collect()
}

/// What was put off, by whom, and until when.
pub(super) fn debits(effects: &[Effects], holder: &'static str) -> Vec<Debit> {
    let owed = effects.iter().fold(Owed::NOTHING, |all, e| all | e.owed);
    let table = [
        (
            Owed::OTHERS_UNTIL_LOAD,
            holder,
            "leaf and walk entries of everything under other tags",
            "load",
        ),
        (
            Owed::VIEW_UNTIL_RESUME,
            holder,
            "leaf and walk entries of everything under the user view's tag",
            "resume",
        ),
        (
            Owed::LAZY_UNTIL_LOAD,
            "lazy CPUs",
            "what was asked for, or everything under the tag",
            "load",
        ),
        (
            Owed::PARKED_UNTIL_LOAD,
            "parked CPUs",
            "what was asked for, or everything under the tag",
            "load",
        ),
        (
            Owed::SPACE_UNTIL_ATTACH,
            "every CPU",
            "leaf and walk entries of the whole space",
            "attach",
        ),
    ];
    let of = |(what, holder, text, until)| {
        owed.contains(what).then_some(Debit {
            holder,
            what: text,
            until,
        })
    };
    table.into_iter().filter_map(of).collect()
}

/// What was issued, as the machine has it.
pub(super) fn instructions(model: &Model, config: Config, effects: &[Effects]) -> Vec<Instruction> {
    let ops = effects.iter().flat_map(|effects| &effects.ops);
    ops.flat_map(|op| lines(model, config, op)).collect()
}

/// An instruction of the machine a line, even where the definition has several in one.
fn lines(model: &Model, config: Config, op: &Op) -> Vec<Instruction> {
    let (named, template) = match op.which {
        Which::Barrier(index) => {
            let it = &model.barriers[index];
            (&it.named, &it.template)
        }
        Which::Invalidate(index) => {
            let it = &model.invalidates[index];
            (&it.named, &it.template)
        }
        Which::Load(index) => {
            let it = &model.loads[index];
            (&it.named, &it.template)
        }
        Which::Store => {
            return vec![Instruction {
                name: "store".to_owned(),
                asm: "(the entries are stored)".to_owned(),
                operands: Vec::new(),
            }];
        }
    };
    let operands = |line: &str| {
        let of_line = |operand: usize| {
            let name = &model.operands[operand].named.name;
            let named_anywhere = template.lines.iter().any(|line| mentions(line, name));
            !named_anywhere || mentions(line, name)
        };
        op.operands
            .iter()
            .filter(|(operand, _)| of_line(*operand))
            .map(|&(operand, bits)| {
                let it = &model.operands[operand];
                let fields = encode::fields(model, it, config, &op.sources.0);
                (it.named.name.clone(), bits, fields)
            })
            .collect::<Vec<_>>()
    };
    let machine = template.lines.iter().filter(|line| !line.starts_with('.'));
    machine
        .map(|line| {
            let operands = operands(line);
            let value = |of: &str| {
                let operand = operands.iter().find(|(name, ..)| name == of);
                operand.map_or_else(|| of.to_owned(), |(_, bits, _)| format!("{bits:#x}"))
            };
            Instruction {
                name: named.name.clone(),
                asm: shown(line, value),
                operands,
            }
        })
        .collect()
}
