//! Parameters: the sources of operand values at each place of a routine.

use tlbc_runtime::request::Space;

use super::context::Emit;
use super::tree::{CodeWord, Expr, Private, Property, Runtime, Var, number};
use crate::plan::ir::{Issue, Node, Shape};

/// Returns the argument for a parameter without a value.
pub fn nothing(parameter: Var) -> Expr {
    match parameter {
        Var::Hint => "None".into(),
        Var::Stride => Runtime::Level.of(number(0u32)),
        Var::Keep => false.into(),
        _ => number(0u32),
    }
}

/// Where the operand values of an instruction are found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OperandValues {
    /// There is no address.
    Nothing,
    /// `va` and `level`.
    Page,
    /// The first address of `pass`.
    First,
    /// `va`, an address of `pass`, and its number `nth`.
    Each,
    /// `run`.
    Piece,
    /// `va`.
    Rest,
    /// `set`, and no address.
    Set,
}

impl Emit<'_> {
    /// Returns the argument for a parameter from which operands are encoded.
    pub(super) fn parameter(&self, issue: &Issue, parameter: Var, at: OperandValues) -> Expr {
        let after = |va: Expr| Var::Pass.method("after", [va]);
        match parameter {
            Var::Config => Var::Config.expr(),
            Var::Tag => match (issue.view, issue.tag) {
                (None, _) => nothing(parameter),
                (Some(_), Some(tag)) => number(tag),
                (Some(view), None) => self.tag(issue.space, view, Var::Tag.expr()),
            },
            Var::Va | Var::End | Var::Bytes | Var::Stride if !issue.address => nothing(parameter),
            Var::Va => match at {
                OperandValues::Piece => Var::Run.field("va"),
                OperandValues::First => Var::Pass.field("start"),
                _ => Var::Va.expr(),
            },
            Var::End => match at {
                OperandValues::Piece => Var::Run.field("end"),
                OperandValues::First => after(Var::Pass.field("start")),
                OperandValues::Page => Property::EndOf.call([Var::Va.expr(), Var::Level.expr()]),
                _ => after(Var::Va.expr()),
            },
            Var::Bytes => {
                let end = self.parameter(issue, Var::End, at);
                end.method("wrapping_sub", [self.parameter(issue, Var::Va, at)])
            }
            Var::Set if at == OperandValues::Set => Var::Set.expr(),
            Var::Table => Var::Slot.field("table"),
            Var::Entry => Var::Slot.method("address", [nth(at)]),
            Var::Old => Var::Slot.method("load", [nth(at)]),
            Var::New => Var::Change.field("new_bits"),
            Var::Hint if !issue.hint => nothing(parameter),
            Var::Hint => Var::Hinted.expr(),
            Var::Stride if at == OperandValues::Page => Var::Level.expr(),
            Var::Stride => Var::Pass.field("stride"),
            Var::Num if at == OperandValues::Piece => Var::Run.field("num"),
            Var::Scale if at == OperandValues::Piece => Var::Run.field("scale"),
            Var::Form => self.form(issue),
            _ => nothing(parameter),
        }
    }

    /// Returns the expression for the form of the instruction of a node.
    pub(super) fn form_of(&self, node: &Node, shape: Shape) -> Expr {
        self.selected(node, shape, &|node| match node {
            Node::Issue(issue) => self.form(issue),
            _ => nothing(Var::Form),
        })
    }

    /// Returns the number of an instruction's form.
    fn form(&self, issue: &Issue) -> Expr {
        if !self.names.has_form(issue.invalidate, issue.form) {
            return nothing(Var::Form);
        }
        self.private(Private::Form(issue.invalidate, issue.form))
    }

    /// Returns a tag for a view.
    pub(super) fn tag(&self, space: Space, view: usize, tag: Expr) -> Expr {
        if !self.names.has_view(space, view) {
            return tag;
        }
        tag.binary("|", self.private(Private::View(space, view)))
    }

    /// Returns a private item.
    pub(super) fn private(&self, item: Private) -> Expr {
        Expr::Word(CodeWord::private(item, self.names.private(item)))
    }
}

/// Returns the number of an entry in its slot.
fn nth(at: OperandValues) -> Expr {
    match at {
        OperandValues::Each => Var::Nth.expr(),
        OperandValues::Piece => {
            let bytes = Var::Run
                .field("va")
                .method("wrapping_sub", [Var::Pass.field("start")]);
            bytes.method("wrapping_shr", [Var::Pass.field("shift")])
        }
        _ => number(0u32),
    }
}
