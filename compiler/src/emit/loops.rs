//! Loops over passes, entries and runs.

use proc_macro2::TokenStream;
use quote::quote;

use tlbc_facts::clause::MaxCount;

use super::Emit;
use super::config::unsuffixed;
use super::parameters::At;
use crate::model::Amount;
use crate::plan::ir::{Issue, Node, Over, Shape};

impl Emit<'_> {
    pub(super) fn each(
        &self,
        over: Over,
        body: &Node,
        rest: Option<&Node>,
        shape: Shape,
    ) -> TokenStream {
        match over {
            Over::Cuts => {
                let body = self.node(body, At::First, shape);
                quote!(for pass in passes.cuts() { #body })
            }
            Over::Leaves => {
                let body = self.node(body, At::First, shape);
                quote!(for pass in passes.leaves() { #body })
            }
            Over::Entries => self.entries(body, shape),
            Over::Runs { operand, most } => self.runs(operand, most, body, rest, shape),
            Over::Sets { first, count } => {
                let body = self.node(body, At::Set, shape);
                let first = unsuffixed(first);
                let count = match count {
                    Amount::Stated(count) => unsuffixed(count),
                    limit => {
                        let limit = self.amount(limit);
                        quote!(u64::from(#limit))
                    }
                };
                quote! {
                    let mut set = #first;
                    while set < #count {
                        #body
                        set = set.wrapping_add(1);
                    }
                }
            }
        }
    }

    /// Returns a loop over entries. Operands are built once and stepped by additions, except those that depend on
    /// the entry itself or have the address under a condition.
    pub(super) fn entries(&self, body: &Node, shape: Shape) -> TokenStream {
        let steps = match body {
            Node::Seq(steps) => steps.as_slice(),
            step => std::slice::from_ref(step),
        };
        let issues = steps.iter().filter_map(|step| match step {
            Node::Issue(issue) => Some(issue),
            _ => None,
        });
        // An operand of several instructions in the loop needs a variable for each of them.
        let takers = |operand: usize| {
            let operands = |i: &Issue| &self.model.invalidates[i.invalidate].template.operands;
            issues
                .clone()
                .filter(move |i| operands(i).contains(&operand))
        };
        let (mut before, mut inside, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            let Node::Issue(issue) = step else {
                inside.push(self.node(step, At::Each, shape));
                continue;
            };
            let named = |operand: usize| {
                let name = &self.model.operands[operand].named.name;
                let place = takers(operand)
                    .position(|taker| taker == issue)
                    .unwrap_or(0);
                let of_view = takers(operand)
                    .filter(|taker| taker.view == issue.view)
                    .count()
                    == 1;
                match issue.view {
                    _ if takers(operand).count() == 1 => self.local(operand),
                    Some(view) if of_view => {
                        let views = &self.model.space(issue.space).views;
                        let of_view = format!("{name}_{}", views[view].named.name);
                        self.nth_local(operand, place, &of_view)
                    }
                    _ => self.nth_local(operand, place, &format!("{name}_{place}")),
                }
            };
            for &operand in &self.model.invalidates[issue.invalidate].template.operands {
                let name = named(operand);
                let parameters = self.encoder_parameters(operand);
                if parameters
                    .iter()
                    .any(|name| ["entry", "old"].contains(name))
                    || self.has_address_by_condition(operand)
                {
                    let value = self.encode(issue, operand, At::Each);
                    inside.push(quote!(let #name = #value;));
                    continue;
                }
                let value = self.encode(issue, operand, At::First);
                let advance = self.advance(operand, &name);
                let mutable = (!advance.is_empty()).then(|| quote!(mut));
                before.push(quote!(let #mutable #name = #value;));
                after.push(advance);
            }
            let note = self.cite(issue);
            let op = self.instruction(issue.invalidate, |operand| {
                let name = named(operand);
                quote!(#name)
            });
            inside.push(quote!(#note cpu.issue(#op);));
        }
        let steps = after.iter().any(|advance| !advance.is_empty());
        let step = steps.then(|| quote!(let step = 1u64.wrapping_shl(pass.shift);));
        quote! {
            #step
            #(#before)*
            let mut left = entries;
            while left > 0 {
                #(#inside)*
                #(#after)*
                left = left.wrapping_sub(1);
            }
        }
    }

    pub(super) fn runs(
        &self,
        operand: usize,
        most: MaxCount,
        body: &Node,
        rest: Option<&Node>,
        shape: Shape,
    ) -> TokenStream {
        let Some(names) = self.model.operands[operand].names.as_ref() else {
            return quote!();
        };
        let body = self.node(body, At::Piece, shape);
        let rest = rest.map(|rest| self.node(rest, At::Rest, shape));
        let units = self.names.units(operand);
        let most = self.most(most);
        let runs = if names.pages {
            quote!(Runs::of_pages(pass, page_shift(c), #units))
        } else {
            quote!(Runs::of_entries(pass, #most, #units))
        };
        let Some(rest) = rest else {
            return quote!(for run in #runs { #body });
        };
        quote! {
            let mut runs = #runs;
            for run in runs.by_ref() { #body }
            if let Some(va) = runs.rest() { #rest }
        }
    }
}
