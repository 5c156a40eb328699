//! Decisions: tests, and the code of their branches.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use tlbc_runtime::deferred::Pending;
use tlbc_runtime::pte::Kind;

use super::Emit;
use super::nodes::finish_steps;
use super::parameters::At;
use crate::plan::ir::{Node, Shape, Test};

impl Emit<'_> {
    /// Returns a decision. Tests that lead to the same code are joined: with `||` if one is asked when the other
    /// fails, with `&&` if both failures lead to the same.
    pub(super) fn select(
        &self,
        on: Test,
        then: &Node,
        otherwise: &Node,
        at: At,
        shape: Shape,
    ) -> TokenStream {
        // Tests of one value exclude each other, so the first test is redundant if its branch equals the
        // rest.
        if let Node::Select {
            on: next,
            then: other,
            otherwise: rest,
        } = otherwise
            && exclude_each_other(on, *next)
            && same(then, rest)
        {
            return self.select(*next, other, rest, at, shape);
        }
        let (test, then, otherwise) = if is_silent(then) {
            (self.negated(on, shape), otherwise, then)
        } else {
            (self.test(on, shape), then, otherwise)
        };
        let (test, then, otherwise) = self.joined(test, then, otherwise, shape, &same);
        let chained = matches!(otherwise, Node::Select { .. });
        let (then, otherwise) = (self.node(then, at, shape), self.node(otherwise, at, shape));
        match (then.is_empty(), otherwise.is_empty()) {
            (true, true) => quote!(),
            (true, false) => quote!(if !(#test) { #otherwise }),
            (false, true) => quote!(if #test { #then }),
            (false, false) if chained => quote!(if #test { #then } else #otherwise),
            (false, false) => quote!(if #test { #then } else { #otherwise }),
        }
    }

    /// Joins a test with tests in its branches that lead to the same. Returns the whole test and the branches.
    pub(super) fn joined<'n>(
        &self,
        mut test: TokenStream,
        mut then: &'n Node,
        mut otherwise: &'n Node,
        shape: Shape,
        same: &dyn Fn(&Node, &Node) -> bool,
    ) -> (TokenStream, &'n Node, &'n Node) {
        let mut alternatives = false;
        loop {
            if let Node::Select {
                on: next,
                then: other,
                otherwise: rest,
            } = otherwise
                && same(other, then)
            {
                let next = self.test(*next, shape);
                test = quote!(#test || #next);
                otherwise = rest;
                alternatives = true;
                continue;
            }
            let Node::Select {
                on: next,
                then: a,
                otherwise: b,
            } = then
            else {
                break;
            };
            let (next, inner) = if same(b, otherwise) {
                (self.test(*next, shape), a)
            } else if same(a, otherwise) {
                (self.negated(*next, shape), b)
            } else {
                break;
            };
            test = if std::mem::take(&mut alternatives) {
                quote!((#test) && #next)
            } else {
                quote!(#test && #next)
            };
            then = inner;
        }
        (test, then, otherwise)
    }

    /// Returns the expression for one of two values; `value` returns that of a node.
    pub(super) fn choice(
        &self,
        on: Test,
        (then, otherwise): (&Node, &Node),
        shape: Shape,
        value: &dyn Fn(&Node) -> TokenStream,
    ) -> TokenStream {
        let same = |a: &Node, b: &Node| a == b;
        let (test, then, otherwise) =
            self.joined(self.test(on, shape), then, otherwise, shape, &same);
        let chained = matches!(otherwise, Node::Select { .. });
        let (then, otherwise) = (value(then), value(otherwise));
        if chained {
            quote!(if #test { #then } else #otherwise)
        } else {
            quote!(if #test { #then } else { #otherwise })
        }
    }

    fn negated(&self, test: Test, shape: Shape) -> TokenStream {
        match test {
            Test::Pending(Pending::None) => quote!(pending != Pending::None),
            Test::Pending(Pending::Tag) => quote!(pending != Pending::Tag),
            Test::Pending(Pending::All) => quote!(pending != Pending::All),
            Test::Kind(kind) => {
                let kind = kind_name(kind);
                quote!(kind != Kind::#kind)
            }
            Test::OneEntry => quote!(pass.entries != 1),
            other => {
                let test = self.test(other, shape);
                quote!(!#test)
            }
        }
    }

    pub(super) fn test(&self, test: Test, shape: Shape) -> TokenStream {
        match test {
            Test::Feature(feature) => {
                let name = self.feature(feature);
                quote!(c.has(Config::#name))
            }
            Test::Erratum(erratum) => {
                let name = self.erratum(erratum);
                quote!(c.has(Config::#name))
            }
            Test::GlobalTag => quote!(global),
            Test::WalkEntries => tables(shape),
            Test::LeafEntries => quote!(pass.leaf),
            Test::NegativeEntries => match shape {
                Shape::Ranges(..) => quote!(ranges.have_appeared()),
                Shape::Passes(..) => quote!(passes.negative()),
                _ => quote!(pass.negative),
            },
            Test::NegativeAt(levels) => {
                let levels = Literal::u8_unsuffixed(levels.0);
                quote!(ranges.appeared_at(Levels(#levels)))
            }
            Test::Teardown => quote!(teardown),
            Test::Kind(kind) => {
                let kind = kind_name(kind);
                quote!(kind == Kind::#kind)
            }
            Test::MayDefer => quote!(owner.may_defer),
            Test::OnlyHere => quote!(matches!(owner.reach, Reach::Here)),
            Test::OneEntry => quote!(pass.entries == 1),
            Test::OfKernel => quote!(matches!(owner.space, Space::Kernel)),
            Test::Live => quote!(passes.cuts_are_live()),
            Test::Stride(levels) => {
                let levels = levels.iter().map(|level| self.names.level(level.index()));
                if let Shape::Change = shape {
                    quote!(matches!(change.level, #(#levels)|*))
                } else {
                    quote!(matches!(pass.stride, #(#levels)|*))
                }
            }
            Test::FitsRun(operand) => {
                let units = self.names.units(operand);
                quote!(#units.hold(pass.shift.wrapping_sub(page_shift(c))))
            }
            Test::Pending(Pending::None) => quote!(pending == Pending::None),
            Test::Pending(Pending::Tag) => quote!(pending == Pending::Tag),
            Test::Pending(Pending::All) => quote!(pending == Pending::All),
            Test::ViewDeferred => quote!(view_deferred),
            Test::Required(required) => {
                let required = finish_steps(required);
                if let Shape::Finish(..) = shape {
                    quote!(steps.requires(#required))
                } else {
                    quote!(outcome.steps.requires(#required))
                }
            }
        }
    }
}

/// Returns the expression for whether tables were unlinked, in the routine of a shape.
pub(super) fn tables(shape: Shape) -> TokenStream {
    match shape {
        Shape::Ranges(..) => quote!(ranges.tables()),
        Shape::Passes(..) => quote!(passes.tables()),
        Shape::Pass(..) => quote!(pass.walk),
        _ => quote!(tables),
    }
}

/// Returns the name of a kind of change.
fn kind_name(kind: Kind) -> Ident {
    format_ident!(
        "{}",
        match kind {
            Kind::Map => "Map",
            Kind::Unmap => "Unmap",
            Kind::RelaxPermissions => "RelaxPermissions",
            Kind::Same => "Same",
            Kind::Remap => "Remap",
        }
    )
}

/// Returns whether at most one of two tests holds.
fn exclude_each_other(a: Test, b: Test) -> bool {
    a != b
        && matches!(
            (a, b),
            (Test::Pending(_), Test::Pending(_)) | (Test::Kind(_), Test::Kind(_))
        )
}

/// Returns whether two nodes are the same, or no code is written for either.
fn same(a: &Node, b: &Node) -> bool {
    a == b || is_silent(a) && is_silent(b)
}

/// Returns whether no code is written for a node.
fn is_silent(node: &Node) -> bool {
    match node {
        Node::Seq(steps) => steps.iter().all(is_silent),
        Node::Select {
            then, otherwise, ..
        } => is_silent(then) && is_silent(otherwise),
        Node::Publish { barrier } => barrier.is_none(),
        Node::Nothing(_) | Node::CompletePending(_) | Node::InvalidateSecondary => true,
        _ => false,
    }
}
