//! Instructions: the enum of those that some plan issues, with their names and operands.

use super::context::Emit;
use super::docs::escaped;
use super::names::NameScope;
use super::tree::{Case, CodeWord, Expr, Function, Item, Member, Stmt, string, structure};
use crate::model::Which;
use crate::model::{DefinitionName, Invalidate, Template};

/// An instruction of any kind.
pub struct Instruction<'a> {
    /// Its index.
    pub which: Which,
    /// Its name.
    pub named: &'a DefinitionName,
    /// Its assembly.
    pub template: &'a Template,
    /// Its description.
    pub text: String,
    /// The invalidation, if it is one.
    pub invalidate: Option<&'a Invalidate>,
}

impl Emit<'_> {
    /// Returns every instruction that some plan issues, in the order of the definition.
    pub(super) fn instructions(&self) -> Vec<Instruction<'_>> {
        let model = self.model;
        let barriers = model.barriers.iter().enumerate();
        let barriers = barriers.map(|(index, it)| Instruction {
            which: Which::Barrier(index),
            named: &it.named,
            template: &it.template,
            text: format!(
                "Barrier `{}`: `{}`.",
                it.named.name,
                it.template.lines.join("; ")
            ),
            invalidate: None,
        });
        let invalidates = model.invalidates.iter().enumerate().map(|(index, it)| {
            let per = it.per.as_ref().map_or("", |per| per.value.as_str());
            Instruction {
                which: Which::Invalidate(index),
                named: &it.named,
                template: &it.template,
                text: format!("`{}`: {per}.", it.named.name),
                invalidate: Some(it),
            }
        });
        let loads = model
            .loads
            .iter()
            .enumerate()
            .map(|(index, it)| Instruction {
                which: Which::Load(index),
                named: &it.named,
                template: &it.template,
                text: format!("Loads `{}`.", it.named.name),
                invalidate: None,
            });
        let all = barriers.chain(invalidates).chain(loads);
        all.filter(|instruction| self.used.contains(&instruction.which))
            .collect()
    }

    /// Returns the type of an operand.
    pub(super) fn operand_of(&self, operand: usize) -> &'static str {
        match self.model.operands[operand].bits.value {
            0..=32 => "u32",
            33..=64 => "u64",
            _ => "[u64; 2]",
        }
    }

    /// Returns the fields of an operand, as the definition writes them.
    pub(super) fn fields_text(&self, operand: usize) -> String {
        let fields = self.model.operands[operand].fields.iter().map(|field| {
            let text = self.files.text(field.span).trim_end_matches(';');
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        });
        format!("`{}`", fields.collect::<Vec<_>>().join("; "))
    }

    /// Returns a pattern for an instruction that binds its operands to variables of their names.
    pub(super) fn pattern(&self, instruction: &Instruction<'_>) -> Expr {
        let path: CodeWord = format!("Op::{}", self.names.variant(instruction.which)).into();
        let operands = &instruction.template.operands;
        if operands.is_empty() {
            return path.into();
        }
        let fields = operands.iter().map(|&operand| self.names.operand(operand));
        structure(path, fields.map(|name| (name.clone(), name.into())))
    }

    /// Returns the enum of instructions.
    pub(super) fn op(&self) -> Vec<Item> {
        let instructions = self.instructions();
        let field = |&operand: &usize| Member {
            docs: String::new(),
            text: format!(
                "{}: {}",
                self.names.operand(operand),
                self.operand_of(operand)
            )
            .into(),
            fields: Vec::new(),
        };
        let variants = instructions.iter().map(|instruction| Member {
            docs: escaped(&instruction.text),
            text: self.names.variant(instruction.which).to_owned().into(),
            fields: instruction.template.operands.iter().map(field).collect(),
        });
        let op = Item::Type {
            docs: "An instruction with its operands. Where an operand is encoded says what its bits are.".into(),
            attributes: vec![
                "derive(Debug, Clone, Copy, PartialEq, Eq)".into(),
                "allow(missing_docs)".into(),
            ],
            head: "pub enum Op".into(),
            members: variants.collect(),
        };
        let functions = vec![
            self.name_function(&instructions),
            self.operands_function(&instructions),
        ];
        vec![op, Item::group("impl Op".into(), functions)]
    }

    fn name_function(&self, instructions: &[Instruction<'_>]) -> Item {
        let cases = instructions.iter().map(|instruction| {
            let variant = self.names.variant(instruction.which);
            let rest = if instruction.template.operands.is_empty() {
                ""
            } else {
                " { .. }"
            };
            Case::new(
                format!("Op::{variant}{rest}"),
                string(&instruction.named.name),
            )
        });
        let name = Expr::from("self").matched(cases.collect());
        Item::from(Function {
            docs: "Returns the name of the instruction in the definition.".into(),
            attributes: vec!["must_use"],
            head: "pub const fn name".into(),
            receiver: "self",
            returns: Some("&'static str".into()),
            body: Some(vec![Stmt::Value(name)]),
            ..Function::default()
        })
    }

    /// Returns the function that lists operands. Instructions with the same operands have one case.
    fn operands_function(&self, instructions: &[Instruction<'_>]) -> Item {
        let names = (0..self.model.operands.len()).map(|it| self.names.operand(it));
        let names: Vec<String> = names.collect();
        let each = NameScope::new(names.iter().map(String::as_str)).give("each");
        let mut cases: Vec<(&[usize], Case)> = Vec::new();
        for instruction in instructions {
            let operands = instruction.template.operands.as_slice();
            let pattern = self.pattern(instruction);
            if let Some((_, case)) = cases.iter_mut().find(|(of, _)| *of == operands) {
                case.pattern = case.pattern.clone().binary("|", pattern);
                continue;
            }
            let calls = operands.iter().map(|&operand| {
                let it = &self.model.operands[operand];
                let name = Expr::from(self.names.operand(operand));
                let word = |word: Expr| Expr::from("u128::from").call([word]);
                let value = if it.bits.value > 64 {
                    let high = word(name.clone().index(1)).binary("<<", "64");
                    word(name.index(0)).binary("|", high)
                } else {
                    word(name)
                };
                Expr::from(each.clone()).call([string(&it.named.name), value])
            });
            let calls: Vec<Expr> = calls.collect();
            let value = match calls.as_slice() {
                [only] => only.clone(),
                _ => Expr::Block(calls.into_iter().map(Stmt::Do).collect()),
            };
            cases.push((operands, Case::new(pattern, value)));
        }
        let cases = cases.into_iter().map(|(_, case)| case).collect();
        Item::from(Function {
            docs: format!("Passes each operand to `{each}`, with its name in the definition."),
            head: "pub fn operands".into(),
            receiver: "self",
            parameters: vec![(
                format!("mut {each}").into(),
                "impl FnMut(&'static str, u128)".into(),
            )],
            body: Some(vec![Stmt::Do(Expr::from("self").matched(cases))]),
            ..Function::default()
        })
    }
}
