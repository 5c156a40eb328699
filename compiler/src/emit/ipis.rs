//! Whether the flushes of a machine send IPIs, by its configuration alone.
//!
//! In: the plan that chooses the IPI targets of a user space. Out: a function of the backend, for a machine on which it depends on
//! the configuration. Holds: where the function returns false, no request of a space with a global tag sends an IPI, whatever
//! flags the space has.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

use tlbc_runtime::backend::Shootdown;
use tlbc_runtime::request::Space;

use super::Emit;
use crate::model::Known;
use crate::plan::ir::{Node, Shape, Test};

/// When an IPI is sent.
#[derive(Clone)]
enum Sends {
    Never,
    Always,
    /// In the configurations in which this expression is true.
    If(TokenStream),
}

impl Sends {
    /// Returns when either of two requests sends an IPI.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Always, _) | (_, Self::Always) => Self::Always,
            (Self::Never, sends) | (sends, Self::Never) => sends,
            (Self::If(a), Self::If(b)) if a.to_string() == b.to_string() => Self::If(a),
            (Self::If(a), Self::If(b)) => Self::If(quote!((#a || #b))),
        }
    }

    /// Returns when an IPI is sent by a request that a test of the configuration decides.
    fn select(test: &TokenStream, then: Self, otherwise: Self) -> Self {
        match (then, otherwise) {
            (Self::Never, Self::Never) => Self::Never,
            (Self::Always, Self::Always) => Self::Always,
            (Self::Always, Self::Never) => Self::If(quote!(#test)),
            (Self::Never, Self::Always) => Self::If(quote!(!#test)),
            (Self::Never, Self::If(b)) => Self::If(quote!((!#test && #b))),
            (Self::If(a), Self::Never) => Self::If(quote!((#test && #a))),
            (Self::Always, Self::If(b)) => Self::If(quote!((#test || #b))),
            (Self::If(a), Self::Always) => Self::If(quote!((!#test || #a))),
            (Self::If(a), Self::If(b)) => Self::If(quote!(if #test { #a } else { #b })),
        }
    }
}

/// Returns an expression without the parentheses around it.
fn without_parentheses(expression: TokenStream) -> TokenStream {
    let mut trees = expression.clone().into_iter();
    match (trees.next(), trees.next()) {
        (Some(TokenTree::Group(group)), None) => group.stream(),
        _ => expression,
    }
}

impl Emit<'_> {
    /// Returns the function that says whether flushes of spaces with a global tag send IPIs; nothing if the facts of the machine
    /// say it for every configuration.
    pub(super) fn sends_ipis(&self) -> TokenStream {
        let shape = Shape::IpiTargets(Space::User);
        let Some(plan) = self.plans.get(shape) else {
            return quote!();
        };
        if self.plans.shootdown(self.model) != Shootdown::Either {
            return quote!();
        }
        let body = match self.sends(&plan.body, shape) {
            Sends::Never => quote!(false),
            Sends::Always => quote!(true),
            Sends::If(test) => {
                let test = without_parentheses(test);
                quote!(let c = self.config.flags(); #test)
            }
        };
        quote! {
            #[inline]
            fn sends_ipis(&self) -> bool { #body }
        }
    }

    /// Returns in which configurations some request under a global tag comes to a node that sends an IPI.
    fn sends(&self, node: &Node, shape: Shape) -> Sends {
        let Node::Select {
            on,
            then,
            otherwise,
        } = node
        else {
            return match node {
                Node::SendIpi { .. } => Sends::Always,
                _ => Sends::Never,
            };
        };
        let (then, otherwise) = (self.sends(then, shape), self.sends(otherwise, shape));
        match *on {
            Test::GlobalTag => then,
            Test::Feature(feature) if self.model.features[feature].known == Known::Space => {
                then.or(otherwise)
            }
            Test::Feature(_) | Test::Erratum(_) => {
                Sends::select(&self.test(*on, shape), then, otherwise)
            }
            _ => then.or(otherwise),
        }
    }
}
