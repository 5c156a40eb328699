//! The sink that executes instructions on the current CPU.

use super::context::Emit;
use super::docs::{escaped, paragraphs};
use super::names::NameScope;
use super::op::Instruction;
use super::tree::{Case, CodeText, Expr, Function, Item, Runtime, Stmt};
use crate::model::{Invalidate, OperandPlace};
use crate::template;

const SAFETY: &str = "SAFETY: invalidating cached translations and ordering accesses has no effect that Rust can \
                      observe. The caller of `new` guarantees the mode and the loaded roots. Memory operands point at \
                      a live local.";

const CALLS: &str = "Invalidations that the platform performs because no instruction can.\n\n\
                     A call returns when the entries are gone and drained. It cannot fail: an implementation that cannot \
                     invalidate the given entries invalidates more of the space, or does not return.\n\n\
                     # Context\nThat of [`Backend::start`].";

impl Emit<'_> {
    /// Returns the sink, with the trait of what the platform performs.
    pub(super) fn hardware(&self) -> Vec<Item> {
        let instructions = self.instructions();
        let calls = instructions
            .iter()
            .filter_map(|instruction| instruction.invalidate);
        let calls: Vec<&Invalidate> = calls.filter(|it| it.call.is_some()).collect();
        let platform = !calls.is_empty();
        let (parameter, bound) = if platform {
            ("<P>", "<P: Calls>")
        } else {
            ("", "")
        };
        let mode = if self.model.setup.is_empty() {
            ""
        } else {
            " and set up as stated above"
        };
        let safety = format!(
            "# Safety\nThe CPU is in the mode that the definition describes{mode}. The tables of every root that is loaded \
             through the sink stay valid while a CPU can walk them."
        );
        let (argument, value) = if platform {
            (Some(("calls".into(), "P".into())), "calls")
        } else {
            (None, "()")
        };
        let new = Function {
            docs: paragraphs([
                "Returns a sink that executes instructions.".into(),
                self.setup_text(),
                safety,
            ]),
            attributes: vec!["must_use", "inline(always)"],
            head: "pub const unsafe fn new".into(),
            parameters: argument.into_iter().collect(),
            returns: Some("Self".into()),
            body: Some(vec![Stmt::Value(Expr::from("Self").call([value.into()]))]),
            ..Function::default()
        };
        let cases = instructions
            .iter()
            .map(|instruction| self.execution(instruction));
        let execute = Stmt::Do(Expr::from("op").matched(cases.collect()));
        let issue = Function {
            attributes: vec!["inline(always)"],
            head: "fn issue".into(),
            receiver: "&mut self",
            parameters: vec![("op".into(), "Op".into())],
            body: Some(vec![
                Stmt::Comment(SAFETY.into()),
                Stmt::Unsafe(vec![execute]),
            ]),
            ..Function::default()
        };
        let target: CodeText =
            format!("cfg(target_arch = {:?})", self.model.target_arch.value).into();
        let group = |head, function: Function| Item::Group {
            docs: String::new(),
            attributes: vec![target.clone()],
            head,
            items: vec![function.into()],
        };
        let sink = [
            Item::Type {
                docs: "Executes every instruction on the current CPU.".into(),
                attributes: vec![target.clone(), "derive(Debug, Clone, Copy)".into()],
                head: format!(
                    "pub struct Hardware{parameter}({})",
                    if platform { "P" } else { "()" }
                )
                .into(),
                members: Vec::new(),
            },
            group(format!("impl{parameter} Hardware{parameter}").into(), new),
            group(
                Runtime::Issue.text(format!("impl{bound} Issue<Op> for Hardware{parameter}")),
                issue,
            ),
        ];
        self.calls(&calls).into_iter().chain(sink).collect()
    }

    /// Returns the trait for instructions that the platform performs, if there are any.
    fn calls(&self, calls: &[&Invalidate]) -> Option<Item> {
        let mut names: Vec<&str> = Vec::new();
        let mut functions = Vec::new();
        for it in calls {
            let Some(call) =
                (it.call.as_ref()).filter(|call| !names.contains(&call.value.as_str()))
            else {
                continue;
            };
            names.push(&call.value);
            let per = it.per.as_ref().map_or("", |per| per.value.as_str());
            // Of several calls, the one with the fewest constants names the parameters.
            let constant = |&operand: &usize| self.model.operands[operand].is_constant();
            let constants = |it: &&&Invalidate| {
                let operands = it.template.operands.iter();
                operands.filter(|&operand| constant(operand)).count()
            };
            let function = |it: &Invalidate| it.call.as_ref().map(|at| at.value.clone());
            let same = calls.iter().filter(|other| function(other) == function(it));
            let naming = same.min_by_key(constants).unwrap_or(it);
            let parameters = naming.template.operands.iter().map(|&operand| {
                let name = self.names.operand(operand);
                (name.into(), self.operand_of(operand).into())
            });
            let given = if it.given().is_some() {
                "\n\nIt acts on the CPUs of the sink ([`Platform::sink_for`](tlbc_runtime::Platform::sink_for)), and adds those \
                 that it does not reach to the CPUs that it missed."
            } else {
                ""
            };
            functions.push(Item::from(Function {
                docs: escaped(&format!("{per}.{given}")),
                head: format!("fn {}", self.names.call(&call.value)).into(),
                receiver: "&mut self",
                parameters: parameters.collect(),
                returns: it.retry_while_busy.then(|| Runtime::Answer.text("Answer")),
                ..Function::default()
            }));
        }
        (!functions.is_empty()).then(|| Item::Group {
            docs: CALLS.into(),
            attributes: Vec::new(),
            head: "pub trait Calls".into(),
            items: functions,
        })
    }

    /// Returns the case of an instruction in the sink.
    fn execution(&self, instruction: &Instruction<'_>) -> Case {
        let does = match instruction.invalidate {
            Some(it) if it.call.is_some() => self.platform_call(it),
            _ => self.asm(instruction),
        };
        Case::new(self.pattern(instruction), does)
    }

    fn platform_call(&self, it: &Invalidate) -> Expr {
        let name = it.call.as_ref().map_or("", |call| &call.value);
        let operands = it.template.operands.iter();
        let operands = operands.map(|&operand| self.names.operand(operand).into());
        let call = Expr::from("self.0").method(self.names.call(name), operands);
        if !it.retry_while_busy {
            return call;
        }
        let busy = call.binary("==", Runtime::Answer.item("Busy"));
        let wait = Expr::from("core::hint::spin_loop").call([]);
        Expr::Block(vec![Stmt::While(busy, vec![Stmt::Do(wait)])])
    }

    /// Returns the assembly of an instruction. The variables and the operands of `asm!` have the names of its operands.
    fn asm(&self, instruction: &Instruction<'_>) -> Expr {
        let template = instruction.template;
        let (way, back) = if template.keeps.operands {
            ("in", "")
        } else {
            ("inout", " => _")
        };
        let names = template
            .operands
            .iter()
            .map(|&operand| self.names.operand(operand));
        let names: Vec<String> = names.collect();
        let mut scope = NameScope::new(names.iter().map(String::as_str));
        let scratch = scope.give(template::SCRATCH);
        let operands = template.operands.iter().zip(&names);
        let bound = operands.clone().map(|(&operand, name)| {
            let it = &self.model.operands[operand];
            // Otherwise the upper bits of the register would be undefined.
            let value = match it.bits.value {
                0..=32 => format!("{name} as usize"),
                _ => name.clone(),
            };
            match &it.place {
                OperandPlace::Register => format!("{name} = {way}(reg) {value}{back}"),
                OperandPlace::Class(class) => format!("{name} = {way}({class}) {value}{back}"),
                OperandPlace::Fixed(register) => format!("{way}(\"{register}\") {name}{back}"),
                OperandPlace::Memory(by) => {
                    let class = by.as_deref().unwrap_or("reg");
                    format!("{name} = {way}({class}) &raw const {name}{back}")
                }
            }
        });
        let lines = instruction
            .invalidate
            .map_or(template.lines.as_slice(), Invalidate::assembled);
        let uses_scratch = |line: &String| template::mentions(line, template::SCRATCH);
        let overwritten = lines.iter().any(uses_scratch);
        let overwritten = overwritten.then(|| format!("{scratch} = out(reg) _"));
        // The default memory clobber remains: it keeps stores to tables before an invalidation, and accesses to freed pages
        // after it.
        let options = if template.keeps.flags {
            "options(nostack, preserves_flags)"
        } else {
            "options(nostack)"
        };
        let called = |of: &str| {
            let mut operands = operands.clone();
            let operand =
                operands.find(|(operand, _)| self.model.operands[**operand].named.name == of);
            operand.map_or_else(|| scratch.clone(), |(_, name)| name.clone())
        };
        let lines = lines
            .iter()
            .map(|line| format!("{:?}", template::for_asm(line, called)));
        let arguments = lines.chain(bound).chain(overwritten);
        Expr::Asm(arguments.chain([options.to_owned()]).collect())
    }
}
