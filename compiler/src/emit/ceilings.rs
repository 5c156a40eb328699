//! Whether a flush of ranges gives up naming entries one by one: the decisions of its plan, without what follows.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use tlbc_runtime::request::{Reach, Space};

use super::routines::name;
use super::{Body, Emit, doc};
use crate::plan::ir::{Node, Shape, Test};

impl Emit<'_> {
    /// A function for each space and reach whose ranges have a ceiling, and the body of the trait's function that calls
    /// them.
    pub(super) fn giving_up(&self) -> (TokenStream, TokenStream) {
        let (mut functions, mut arms) = (Vec::new(), Vec::new());
        let receiver = self.receiver();
        for space in [Space::User, Space::Kernel] {
            for reach in [Reach::Here, Reach::Wide] {
                let shape = Shape::Ranges(space, reach);
                let Some(body) = self
                    .plans
                    .get(shape)
                    .and_then(|plan| self.gives_up_by(&plan.body, shape))
                else {
                    continue;
                };
                let body = Body::new(body);
                let of_machine = body.mentions("of_machine");
                let parameter = of_machine.then(|| quote!(of_machine: bool,));
                let argument = of_machine.then(|| quote!(request.tag.of_machine,));
                let c = body.mentions("c").then(|| quote!(let c = self.config;));
                let walk = body
                    .mentions("walk")
                    .then(|| quote!(let walk = ranges.tables();));
                let absent = body.mentions("absent");
                let absent = absent.then(|| quote!(let absent = ranges.have_appeared();));
                let function = giving_up_name(shape);
                let text = doc(&format!(
                    "Whether `{}` drops everything, for too much is named.",
                    name(shape)
                ));
                let tokens = &body.tokens;
                functions.push(quote! {
                    #text
                    fn #function(&self, #parameter ranges: &Ranges) -> bool { #c #walk #absent #tokens }
                });
                let (space, reach) = (
                    super::backend::space_name(space),
                    super::backend::reach_name(reach),
                );
                arms.push(quote! {
                    (Space::#space, Reach::#reach) => #receiver.#function(#argument ranges),
                });
            }
        }
        if arms.is_empty() {
            return (quote!(), quote!(let _ = request; false));
        }
        let tlb = self.for_space(&quote!(request.conditions));
        let rest = (arms.len() < 4).then(|| quote!(_ => false,));
        let body = quote! {
            let Scope::Ranges(ranges) = request.scope else { return false };
            #tlb
            match (request.space, request.reach) { #(#arms)* #rest }
        };
        (quote!(impl Tlb { #(#functions)* }), body)
    }

    /// The decisions of a node, as the body of a block; nothing where it never gives up.
    fn gives_up_by(&self, node: &Node, shape: Shape) -> Option<TokenStream> {
        match node {
            Node::Seq(nodes) => {
                let mut parts = nodes
                    .iter()
                    .filter_map(|node| self.gives_up_by(node, shape));
                let first = parts.next()?;
                Some(parts.fold(first, |all, part| quote!({ #all } || { #part })))
            }
            Node::Select {
                on: on @ Test::OverCeiling(_),
                otherwise,
                ..
            } => {
                let test = self.test(*on, shape);
                Some(match self.gives_up_by(otherwise, shape) {
                    None => test,
                    Some(otherwise) => quote!(#test || { #otherwise }),
                })
            }
            Node::Select {
                on,
                then,
                otherwise,
            } => {
                let (then, otherwise) = (
                    self.gives_up_by(then, shape),
                    self.gives_up_by(otherwise, shape),
                );
                if then.as_ref().map(ToString::to_string)
                    == otherwise.as_ref().map(ToString::to_string)
                {
                    return then;
                }
                let test = self.test(*on, shape);
                let or_not = |gives_up: Option<TokenStream>| gives_up.unwrap_or(quote!(false));
                let (then, otherwise) = (or_not(then), or_not(otherwise));
                Some(quote!(if #test { #then } else { #otherwise }))
            }
            Node::Guard { body, .. } => self.gives_up_by(body, shape),
            Node::Passes { folding, body } => {
                let body = self.gives_up_by(body, shape)?;
                let folding = name(*folding);
                Some(quote! {
                    let passes = Passes::new(ranges, level_table(c), self.#folding());
                    #body
                })
            }
            Node::Call(to @ Shape::Ranges(..)) => {
                let plan = self.plans.get(*to)?;
                let body = Body::new(self.gives_up_by(&plan.body, *to)?);
                let of_machine = body.mentions("of_machine").then(|| quote!(of_machine,));
                let function = giving_up_name(*to);
                Some(quote!(self.#function(#of_machine ranges)))
            }
            _ => None,
        }
    }
}

fn giving_up_name(shape: Shape) -> proc_macro2::Ident {
    let ranges = name(shape).to_string();
    format_ident!("{}_give_up", ranges)
}
