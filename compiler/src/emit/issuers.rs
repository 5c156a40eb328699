//! Issuers: one function for each instruction with operands, and one for each workaround.
//!
//! In: the instructions that plans issue. Out: functions that encode the operands of an instruction and issue it, so
//! that each step of a routine is one call. Holds: a function has the parameters that its operands are encoded from.

use std::collections::BTreeSet;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::config::hex;
use super::operands::PARAMETERS;
use super::parameters::{At, nothing};
use super::{Body, Emit, doc};
use crate::model::{Instr, Issued, Which, Workaround};
use crate::plan::ir::{Issue, Node};

impl Emit<'_> {
    /// Returns the functions that issue an instruction with operands, of those that `code` calls.
    pub(super) fn issuers(&self, code: &Body) -> TokenStream {
        let called = self.instructions().into_iter().filter(|instruction| {
            self.has_operands(instruction.which)
                && code.mentions(&self.names.issuer(instruction.which).to_string())
        });
        let issuers = called.map(|instruction| {
            let name = self.names.issuer(instruction.which);
            let parameters = declared(&self.issuer_parameters(instruction.which));
            let op = self.instruction(instruction.which, |operand| {
                self.encoded(operand, &|name| {
                    let name = format_ident!("{name}");
                    quote!(#name)
                })
            });
            let text = doc(&format!("Issues `{}`.", instruction.named.name));
            quote! {
                #text
                #[inline(always)]
                fn #name(cpu: &mut impl Issue<Op>, #(#parameters),*) { cpu.issue(#op); }
            }
        });
        issuers.collect()
    }

    /// Returns the functions of workarounds.
    pub(super) fn workarounds(&self) -> TokenStream {
        let mut used = BTreeSet::new();
        for plan in self.plans.iter() {
            plan.body.walk(&mut |node| {
                if let Node::Workaround {
                    erratum, number, ..
                } = node
                {
                    let of_erratum = &self.model.errata[*erratum].workarounds;
                    let same = |it: &Workaround| it.steps_are_of(&of_erratum[*number]);
                    let first = of_erratum.iter().position(same);
                    used.insert((*erratum, first.unwrap_or(*number)));
                }
            });
        }
        let functions = used.into_iter().map(|(index, number)| {
            let erratum = &self.model.errata[index];
            let workaround = &erratum.workarounds[number];
            let name = self.names.workaround(index, number);
            let parameters = declared(&self.workaround_parameters(index, number));
            let steps = workaround.issue.iter().map(|issued| match issued.instr {
                Instr::Barrier(barrier) => self.barrier(barrier),
                Instr::Invalidate(invalidate) => {
                    let which = Which::Invalidate(invalidate);
                    if let Instr::Barrier(_) = workaround.target.value {
                        let op = self.instruction(which, |operand| self.zero(operand));
                        return quote!(cpu.issue(#op););
                    }
                    self.issued(which, &|parameter| {
                        self.stated(issued, parameter).unwrap_or_else(|| {
                            let name = format_ident!("{parameter}");
                            quote!(#name)
                        })
                    })
                }
            });
            let text = doc(&format!("Works around an erratum. {}.", erratum.named.text));
            let flag = self.erratum(index);
            quote! {
                #text
                #[inline(always)]
                fn #name(cpu: &mut impl Issue<Op>, #(#parameters),*) {
                    if c.has(Config::#flag) { #(#steps)* }
                }
            }
        });
        functions.collect()
    }

    /// Returns the call of a workaround.
    pub(super) fn workaround(
        &self,
        (erratum, number): (usize, usize),
        of: Option<&Issue>,
        at: At,
    ) -> TokenStream {
        let name = self.names.workaround(erratum, number);
        let parameters = self.workaround_parameters(erratum, number).into_iter();
        let arguments = parameters.map(|parameter| match (parameter, of) {
            ("c", _) => quote!(c),
            (name, None) => nothing(name),
            (name, Some(issue)) => self.parameter(issue, name, at),
        });
        quote!(#name(cpu, #(#arguments),*);)
    }

    /// Returns the parameters of a workaround's function.
    fn workaround_parameters(&self, erratum: usize, number: usize) -> Vec<&'static str> {
        let workaround = &self.model.errata[erratum].workarounds[number];
        let mut taken = BTreeSet::from(["c"]);
        if let Instr::Invalidate(_) = workaround.target.value {
            for issued in &workaround.issue {
                if let Instr::Invalidate(invalidate) = issued.instr {
                    let of_step = self.issuer_parameters(Which::Invalidate(invalidate));
                    let open = of_step
                        .into_iter()
                        .filter(|p| self.stated(issued, p).is_none());
                    taken.extend(open);
                }
            }
        }
        in_order(&taken)
    }

    /// Returns the value that a workaround states for a parameter of its instruction.
    fn stated(&self, issued: &Issued, parameter: &str) -> Option<TokenStream> {
        let mut stated = issued.with.iter();
        match (parameter, issued.level) {
            ("c", _) => None,
            ("stride", Some(level)) => {
                let name = self.names.level(level);
                Some(quote!(#name))
            }
            _ => match stated.find(|(of, _)| of.name() == parameter) {
                Some((_, value)) => Some(hex(*value)),
                None => (parameter == "form").then(|| nothing("form")),
            },
        }
    }

    /// Returns the call that issues an instruction; `argument` returns the value of a parameter.
    pub(super) fn issued(
        &self,
        which: Which,
        argument: &dyn Fn(&str) -> TokenStream,
    ) -> TokenStream {
        if !self.has_operands(which) {
            let variant = self.names.variant(which);
            return quote!(cpu.issue(Op::#variant););
        }
        let name = self.names.issuer(which);
        let arguments = self.issuer_parameters(which).into_iter().map(argument);
        quote!(#name(cpu, #(#arguments),*);)
    }

    /// Returns the parameters from which the operands of an instruction are encoded.
    fn issuer_parameters(&self, which: Which) -> Vec<&'static str> {
        let operands = self.operands_of(which).iter();
        let taken = operands.flat_map(|&operand| self.encoder_parameters(operand));
        in_order(&taken.collect())
    }

    fn has_operands(&self, which: Which) -> bool {
        !self.operands_of(which).is_empty()
    }

    fn operands_of(&self, which: Which) -> &[usize] {
        match which {
            Which::Invalidate(index) => &self.model.invalidates[index].template.operands,
            Which::Load(index) => &self.model.loads[index].template.operands,
            Which::Barrier(_) | Which::Store => &[],
        }
    }

    /// Returns an instruction with the values of its operands.
    fn instruction(&self, which: Which, operand: impl Fn(usize) -> TokenStream) -> TokenStream {
        let variant = self.names.variant(which);
        let operands = self.operands_of(which);
        if operands.is_empty() {
            return quote!(Op::#variant);
        }
        let fields = operands.iter().map(|&index| {
            let (name, value) = (self.names.operand(index), operand(index));
            let shorthand = value.to_string() == self.names.operand_text(index);
            if shorthand {
                quote!(#name)
            } else {
                quote!(#name: #value)
            }
        });
        quote!(Op::#variant { #(#fields),* })
    }

    fn zero(&self, operand: usize) -> TokenStream {
        if self.model.operands[operand].bits.value > 64 {
            quote!([0, 0])
        } else {
            quote!(0)
        }
    }
}

/// Returns parameters in the order in which functions have them.
fn in_order(taken: &BTreeSet<&'static str>) -> Vec<&'static str> {
    let all = PARAMETERS.iter().map(|(name, _)| *name);
    all.filter(|name| taken.contains(name)).collect()
}

/// Returns the declarations of parameters.
fn declared(parameters: &[&str]) -> Vec<TokenStream> {
    let all = PARAMETERS
        .iter()
        .filter(|(name, _)| parameters.contains(name));
    all.map(|(name, of)| {
        let name: Ident = format_ident!("{name}");
        let of: TokenStream = of.parse().unwrap_or_default();
        quote!(#name: #of)
    })
    .collect()
}
