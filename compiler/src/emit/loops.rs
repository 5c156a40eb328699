//! Loops over passes, entries and runs, and the ceilings before them.

use proc_macro2::TokenStream;
use quote::quote;

use tlbc_facts::clause::MaxCount;

use super::Emit;
use super::backend::{reach_name, space_name};
use super::config::unsuffixed;
use super::operands::mentions;
use super::parameters::At;
use crate::plan::ir::{Count, Node, Over, Shape};

impl Emit<'_> {
    /// Returns a loop. What its steps depend on does not change within it, so the compiler decides before the loop.
    pub(super) fn repeat(
        &self,
        over: Over,
        each: &Node,
        rest: Option<&Node>,
        shape: Shape,
    ) -> TokenStream {
        match over {
            Over::Cuts => {
                let each = self.node(each, At::First, shape);
                quote!(for pass in passes.cuts() { #each })
            }
            Over::Leaves => {
                let each = self.node(each, At::First, shape);
                quote!(for pass in passes.leaves() { #each })
            }
            Over::Entries => {
                let each = self.node(each, At::Each, shape);
                match (mentions(&each, "va"), mentions(&each, "nth")) {
                    (true, false) => quote!(for va in pass.addresses() { #each }),
                    (true, true) => quote!(for (nth, va) in (0..).zip(pass.addresses()) { #each }),
                    (false, true) => quote!(for nth in 0..pass.entries { #each }),
                    (false, false) => quote!(for _ in 0..pass.entries { #each }),
                }
            }
            Over::Runs { operand, most } => self.runs(operand, most, each, rest, shape),
            Over::Sets { first, count } => {
                let each = self.node(each, At::Set, shape);
                let (first, count) = (unsuffixed(first), self.amount(count));
                quote!(for set in #first..#count { #each })
            }
        }
    }

    fn runs(
        &self,
        operand: usize,
        most: MaxCount,
        each: &Node,
        rest: Option<&Node>,
        shape: Shape,
    ) -> TokenStream {
        let Some(names) = self.model.operands[operand].names.as_ref() else {
            return quote!();
        };
        let each = self.node(each, At::Piece, shape);
        let rest = rest.map(|rest| self.node(rest, At::Rest, shape));
        let units = self.names.units(operand);
        let most = self.most(most);
        let runs = if names.pages {
            quote!(Runs::of_pages(pass, page_shift(c), #units))
        } else {
            quote!(Runs::of_entries(pass, #most, #units))
        };
        let Some(rest) = rest else {
            return quote!(for run in #runs { #each });
        };
        quote! {
            let mut runs = #runs;
            for run in runs.by_ref() { #each }
            if let Some(va) = runs.rest() { #rest }
        }
    }

    /// Returns the steps up to a ceiling, after those for more operations, which end the routine.
    pub(super) fn ceiling_of(
        &self,
        count: &Node,
        beyond: Shape,
        within: &Node,
        shape: Shape,
    ) -> TokenStream {
        let operations = self.operations(count, shape);
        let (space, reach) = (space_name(shape.space()), reach_name(shape.reach()));
        let beyond = self.call_from(beyond, shape);
        let within = self.node(within, At::Nothing, shape);
        quote! {
            let operations = #operations;
            if self.ceiling(Space::#space, Reach::#reach).is_exceeded_by(operations, passes.pages()) {
                outcome.exceeded_ceiling = true;
                #beyond
                return outcome;
            }
            #within
        }
    }

    /// Returns the expression for a number of operations.
    fn operations(&self, count: &Node, shape: Shape) -> TokenStream {
        match count {
            Node::Select {
                on,
                then,
                otherwise,
            } => self.choice(*on, (then, otherwise), shape, &|node| {
                self.operations(node, shape)
            }),
            Node::Count(counts) => {
                let mut counts = counts.iter().map(|count| self.count(*count));
                let first = counts.next().unwrap_or_else(|| quote!(0));
                counts.fold(first, |most, count| quote!(#most.max(#count)))
            }
            _ => quote!(0),
        }
    }

    fn count(&self, count: Count) -> TokenStream {
        match count {
            Count::Entries => quote!(passes.entries()),
            Count::EntryRuns(most, levels, walks) => {
                let most = self.most(most);
                let levels = unsuffixed(u64::from(levels.0));
                quote!(passes.entry_runs(#most, Levels(#levels), #walks))
            }
            Count::PageRuns(operand, walks) => {
                let units = self.names.units(operand);
                quote!(passes.page_runs(page_shift(c), #units, #walks))
            }
        }
    }

    /// Returns the most entries of a run.
    fn most(&self, most: MaxCount) -> TokenStream {
        match most {
            MaxCount::Count(u32::MAX) => quote!(u32::MAX),
            MaxCount::Count(count) => unsuffixed(u64::from(count)),
            MaxCount::Limit(limit) => {
                let name = self.names.limit(limit as usize);
                quote!(self.#name)
            }
        }
    }
}
