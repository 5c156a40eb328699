//! Issuers: one function for each instruction with operands, and one for each workaround.
//!
//! In: the instructions that plans issue. Out: functions that encode the operands of an instruction and issue it, so
//! that each step of a routine is one call. Holds: a function has the parameters that its operands are encoded from.

use std::collections::BTreeSet;

use super::context::Emit;
use super::docs::escaped;
use super::parameters::{OperandValues, nothing};
use super::tree::{CodeWord, Expr, Function, Item, Private, Stmt, Uses, Var, number, structure};
use crate::model::{Instr, Issued, Which};
use crate::plan::ir::{Issue, Node};

impl Emit<'_> {
    /// Returns the functions that issue an instruction with operands, of those that the rest of the module calls.
    pub(super) fn issuers(&self, rest: &Uses) -> Vec<Item> {
        let instructions = self.instructions().into_iter();
        let called = instructions.filter(|it| rest.private(Private::Issuer(it.which)));
        let issuers = called.map(|instruction| {
            let op = self.instruction(instruction.which, |operand| {
                self.encoded(operand, &|parameter| parameter.expr())
            });
            self.issuer(
                Private::Issuer(instruction.which),
                format!("Issues `{}`.", instruction.named.name),
                self.issuer_parameters(instruction.which),
                vec![issue(op)],
            )
        });
        issuers.collect()
    }

    /// Returns a function that issues instructions.
    pub(super) fn issuer(
        &self,
        item: Private,
        docs: String,
        parameters: Vec<Var>,
        body: Vec<Stmt>,
    ) -> Item {
        let parameters = std::iter::once(Var::Cpu).chain(parameters);
        Item::from(Function {
            docs,
            attributes: vec!["inline(always)"],
            head: format!("fn {}", self.names.private(item)).into(),
            parameters: parameters.map(Var::parameter).collect(),
            body: Some(body),
            ..Function::default()
        })
    }

    /// Returns the functions of workarounds.
    pub(super) fn workarounds(&self) -> Vec<Item> {
        let mut used = BTreeSet::new();
        for plan in self.plans.iter() {
            plan.body.walk(&mut |node| {
                if let Node::Workaround {
                    erratum, number, ..
                } = node
                {
                    used.insert((*erratum, *number));
                }
            });
        }
        let functions = used.into_iter().map(|(index, number)| {
            let erratum = &self.model.errata[index];
            let workaround = &erratum.workarounds[number];
            let steps = workaround.issue.iter().map(|issued| match issued.instr {
                Instr::Barrier(barrier) => self.barrier(barrier),
                Instr::Invalidate(invalidate) => {
                    let which = Which::Invalidate(invalidate);
                    if let Instr::Barrier(_) = workaround.target.value {
                        return issue(self.instruction(which, |operand| self.zero(operand)));
                    }
                    let value = |parameter: Var| {
                        let stated = self.stated(issued, parameter);
                        stated.unwrap_or_else(|| parameter.expr())
                    };
                    self.issued(which, &value)
                }
            });
            let test = self.has(self.erratum_bit(index));
            let body = Stmt::Do(Expr::If(vec![(test, steps.collect())], Vec::new()));
            self.issuer(
                Private::Workaround(index, number),
                escaped(&format!("Works around an erratum. {}.", erratum.named.text)),
                self.workaround_parameters(index, number),
                vec![body],
            )
        });
        functions.collect()
    }

    /// Returns the call of a workaround.
    pub(super) fn workaround(
        &self,
        (erratum, number): (usize, usize),
        of: Option<&Issue>,
        at: OperandValues,
    ) -> Stmt {
        let parameters = self.workaround_parameters(erratum, number).into_iter();
        let arguments = parameters.map(|parameter| match (parameter, of) {
            (Var::Config, _) => Var::Config.expr(),
            (_, None) => nothing(parameter),
            (_, Some(issue)) => self.parameter(issue, parameter, at),
        });
        let arguments = std::iter::once(Var::Cpu.expr()).chain(arguments);
        let function = self.private(Private::Workaround(erratum, number));
        Stmt::Do(function.call(arguments))
    }

    /// Returns the parameters of a workaround's function, besides the sink.
    fn workaround_parameters(&self, erratum: usize, number: usize) -> Vec<Var> {
        let workaround = &self.model.errata[erratum].workarounds[number];
        let mut taken = BTreeSet::from([Var::Config]);
        if let Instr::Invalidate(_) = workaround.target.value {
            for issued in &workaround.issue {
                if let Instr::Invalidate(invalidate) = issued.instr {
                    let of_step = self.issuer_parameters(Which::Invalidate(invalidate));
                    let open = of_step.into_iter();
                    taken.extend(open.filter(|it| self.stated(issued, *it).is_none()));
                }
            }
        }
        taken.into_iter().collect()
    }

    /// Returns the value that a workaround states for a parameter of its instruction.
    fn stated(&self, issued: &Issued, parameter: Var) -> Option<Expr> {
        let mut stated = issued.with.iter();
        match (parameter, issued.level) {
            (Var::Config, _) => None,
            (Var::Stride, Some(level)) => Some(self.level_word(level)),
            _ => match stated.find(|(of, _)| of.name() == parameter.name()) {
                Some((_, value)) => Some(number(*value)),
                None => (parameter == Var::Form).then(|| nothing(parameter)),
            },
        }
    }

    /// Returns the statement that issues an instruction; `argument` returns the value of a parameter.
    pub(super) fn issued(&self, which: Which, argument: &dyn Fn(Var) -> Expr) -> Stmt {
        if self.operands_of(which).is_empty() {
            return issue(self.instruction(which, |operand| self.zero(operand)));
        }
        let arguments = self.issuer_parameters(which).into_iter().map(argument);
        let arguments = std::iter::once(Var::Cpu.expr()).chain(arguments);
        Stmt::Do(self.private(Private::Issuer(which)).call(arguments))
    }

    /// Returns the statement that issues a barrier.
    pub(super) fn barrier(&self, barrier: usize) -> Stmt {
        self.issued(Which::Barrier(barrier), &nothing)
    }

    /// Returns the parameters from which the operands of an instruction are encoded.
    pub(super) fn issuer_parameters(&self, which: Which) -> Vec<Var> {
        let mut uses = Uses::default();
        for &operand in self.operands_of(which) {
            uses.add(&Uses::of_expr(&self.encoded(operand, &|it| it.expr())));
        }
        uses.free_vars().collect()
    }

    fn operands_of(&self, which: Which) -> &[usize] {
        match which {
            Which::Invalidate(index) => &self.model.invalidates[index].template.operands,
            Which::Load(index) => &self.model.loads[index].template.operands,
            Which::Barrier(_) | Which::Store => &[],
        }
    }

    /// Returns an instruction with the values of its operands.
    fn instruction(&self, which: Which, operand: impl Fn(usize) -> Expr) -> Expr {
        let path: CodeWord = format!("Op::{}", self.names.variant(which)).into();
        let operands = self.operands_of(which);
        if operands.is_empty() {
            return path.into();
        }
        structure(
            path,
            operands
                .iter()
                .map(|&index| (self.names.operand(index), operand(index))),
        )
    }

    fn zero(&self, operand: usize) -> Expr {
        if self.model.operands[operand].bits.value > 64 {
            Expr::Array(vec![number(0u32), number(0u32)])
        } else {
            number(0u32)
        }
    }
}

/// Returns the statement that hands an instruction to the sink.
fn issue(op: Expr) -> Stmt {
    Stmt::Do(Var::Cpu.method("issue", [op]))
}
