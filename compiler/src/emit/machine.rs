//! Instructions: the enum, its names, and the sink that executes them.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::names::{Scope, field, settled};
use super::text::Asm;
use super::{Emit, doc};
use crate::model::Which;
use crate::model::{Invalidate, Named, Place, Template};
use crate::template;

/// An instruction of any kind.
pub struct Instruction<'a> {
    /// Its index.
    pub which: Which,
    /// Its name.
    pub named: &'a Named,
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
        let barriers = model
            .barriers
            .iter()
            .enumerate()
            .map(|(index, it)| Instruction {
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
    pub(super) fn operand_type(&self, operand: usize) -> TokenStream {
        match self.model.operands[operand].bits.value {
            0..=32 => quote!(u32),
            33..=64 => quote!(u64),
            _ => quote!([u64; 2]),
        }
    }

    /// Returns a pattern for an instruction that binds its operands to variables.
    fn pattern(&self, instruction: &Instruction<'_>, variables: &[Ident]) -> TokenStream {
        let variant = self.names.variant(instruction.which);
        let operands = &instruction.template.operands;
        if operands.is_empty() {
            return quote!(Op::#variant);
        }
        let fields = operands.iter().map(|&operand| self.names.operand(operand));
        quote!(Op::#variant { #(#fields: #variables),* })
    }

    /// Returns a variable for each operand, in a scope.
    fn variables(&self, operands: &[usize], scope: &mut Scope) -> Vec<Ident> {
        let names = operands
            .iter()
            .map(|&operand| &self.model.operands[operand].named.name);
        names.map(|name| scope.give(name)).collect()
    }

    pub(super) fn op(&self) -> TokenStream {
        let instructions = self.instructions();
        let variants = instructions.iter().map(|instruction| {
            let text = doc(&instruction.text);
            let variant = self.names.variant(instruction.which);
            let operands = &instruction.template.operands;
            if operands.is_empty() {
                return quote!(#text #variant,);
            }
            let fields = operands.iter().map(|&operand| {
                let (name, of) = (self.names.operand(operand), self.operand_type(operand));
                let it = &self.model.operands[operand];
                let fields = it.fields.iter().map(|field| self.files.text(field.span));
                let fields: Vec<&str> = fields.map(|text| text.trim_end_matches(';')).collect();
                let fields = fields.join("; ");
                let fields = fields.split_whitespace().collect::<Vec<_>>().join(" ");
                let text = doc(&format!("`{fields}`"));
                quote!(#text #name: #of)
            });
            quote!(#text #variant { #(#fields),* },)
        });
        let names = instructions.iter().map(|instruction| {
            let variant = self.names.variant(instruction.which);
            let name = &instruction.named.name;
            if instruction.template.operands.is_empty() {
                quote!(Self::#variant => #name,)
            } else {
                quote!(Self::#variant { .. } => #name,)
            }
        });
        let with = instructions
            .iter()
            .filter(|i| !i.template.operands.is_empty());
        let none = (instructions.len() > with.clone().count()).then(|| quote!(_ => {}));
        let values = with.map(|instruction| {
            let operands = &instruction.template.operands;
            let variables: Vec<Ident> = operands.iter().map(|&it| self.local(it)).collect();
            let pattern = self.pattern(instruction, &variables);
            let each = operands.iter().zip(&variables).map(|(&operand, name)| {
                let text = &self.model.operands[operand].named.name;
                if self.model.operands[operand].bits.value > 64 {
                    quote!(each(#text, u128::from(#name[0]) | u128::from(#name[1]) << 64);)
                } else {
                    quote!(each(#text, u128::from(#name));)
                }
            });
            quote!(#pattern => { #(#each)* })
        });
        let operands = settled(quote! {
            /// Passes each operand to `each`, with its name in the definition.
            pub fn operands(self, mut each: impl FnMut(&'static str, u128)) {
                match self { #(#values)* #none }
            }
        });
        quote! {
            /// An instruction with its operands.
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum Op { #(#variants)* }

            impl Op {
                /// Returns the name of the instruction in the definition.
                #[must_use]
                pub const fn name(self) -> &'static str {
                    match self { #(#names)* }
                }

                #operands
            }
        }
    }

    pub(super) fn hardware(&self) -> TokenStream {
        let target = &self.model.target_arch.value;
        let instructions = self.instructions();
        let calls: Vec<&Invalidate> = instructions
            .iter()
            .filter_map(|instruction| instruction.invalidate)
            .filter(|it| it.call.is_some())
            .collect();
        let arms = instructions.iter().map(|instruction| {
            let operands = &instruction.template.operands;
            let (variables, does) = match instruction.invalidate {
                Some(it) if it.call.is_some() => {
                    let variables: Vec<Ident> = operands.iter().map(|&it| self.local(it)).collect();
                    let call = self.platform_call(it, &variables);
                    (variables, call)
                }
                _ => {
                    let mut scope = Scope::new(["op"]);
                    let variables = self.variables(operands, &mut scope);
                    let asm = self.asm(instruction, &variables, &mut scope);
                    (variables.iter().map(field).collect(), asm.marker())
                }
            };
            let pattern = self.pattern(instruction, &variables);
            quote!(#pattern => #does,)
        });
        let platform = self.calls(&calls);
        let setup = self.setup_text();
        let mode = if self.model.setup.is_empty() {
            "The CPU is in the mode that the definition describes"
        } else {
            "The CPU is in the mode that the definition describes and set up as stated above"
        };
        let mode = doc(&format!(
            "{mode}. The tables of every root that is loaded through the sink stay valid while a CPU \
             can walk them."
        ));
        let (fields, made_of, new, parameter, bound, of) = if calls.is_empty() {
            (
                quote!(()),
                quote!(()),
                quote!(),
                quote!(),
                quote!(),
                quote!(),
            )
        } else {
            (
                quote!(P),
                quote!(calls),
                quote!(calls: P),
                quote!(<P>),
                quote!(<P: Calls>),
                quote!(<P>),
            )
        };
        let safety = super::comment(
            "SAFETY: invalidating cached translations and ordering accesses has no effect that Rust \
             can observe. The caller of `new` guarantees the mode and the loaded roots. Memory \
             operands point at a live local.",
        );
        let issue = settled(quote! {
            #[inline(always)]
            fn issue(&mut self, op: Op) {
                #safety
                unsafe {
                    match op { #(#arms)* }
                }
            }
        });
        quote! {
            #platform

            /// Executes every instruction on the current CPU.
            #[cfg(target_arch = #target)]
            #[derive(Debug, Clone, Copy)]
            pub struct Hardware #parameter (#fields);

            #[cfg(target_arch = #target)]
            impl #parameter Hardware #of {
                /// Returns a sink that executes instructions.
                ///
                #setup
                /// # Safety
                #mode
                #[must_use]
                #[inline(always)]
                pub const unsafe fn new(#new) -> Self { Self(#made_of) }
            }

            #[cfg(target_arch = #target)]
            impl #bound Issue<Op> for Hardware #of { #issue }
        }
    }

    /// Returns the trait for instructions that the platform performs.
    fn calls(&self, calls: &[&Invalidate]) -> TokenStream {
        let mut names: Vec<&str> = Vec::new();
        let mut functions = Vec::new();
        for it in calls {
            let Some(call) = it
                .call
                .as_ref()
                .filter(|c| !names.contains(&c.value.as_str()))
            else {
                continue;
            };
            names.push(&call.value);
            let name = self.names.call(&call.value);
            let operands = &it.template.operands;
            let variables = self.variables(operands, &mut Scope::new([]));
            let types = operands.iter().map(|&operand| self.operand_type(operand));
            let parameters = variables.iter().map(field).zip(types);
            let parameters = parameters.map(|(name, of)| quote!(#name: #of));
            let answer = it.retry_while_busy.then(|| quote!(-> Answer));
            let per = it.per.as_ref().map_or("", |per| per.value.as_str());
            let text = doc(&format!("{per}."));
            functions.push(quote!(#text fn #name(&mut self, #(#parameters),*) #answer;));
        }
        if functions.is_empty() {
            return quote!();
        }
        quote! {
            /// Invalidations that the platform performs because no instruction can.
            ///
            /// A call returns when the entries are gone and drained. It cannot fail: an implementation that
            /// cannot invalidate the given entries invalidates more of the space, or does not return.
            ///
            /// # Context
            /// That of [`Backend::start`].
            pub trait Calls { #(#functions)* }
        }
    }

    fn platform_call(&self, it: &Invalidate, operands: &[Ident]) -> TokenStream {
        let Some(call) = &it.call else {
            return quote!();
        };
        let name = self.names.call(&call.value);
        let call = quote!(self.0.#name(#(#operands),*));
        if it.retry_while_busy {
            quote!(while #call == Answer::Busy { core::hint::spin_loop(); })
        } else {
            call
        }
    }

    /// Returns the assembly of an instruction with its operands in these variables.
    fn asm(&self, instruction: &Instruction<'_>, variables: &[Ident], scope: &mut Scope) -> Asm {
        let template = instruction.template;
        let (way, back) = if template.keeps.operands {
            ("in", "")
        } else {
            ("inout", " => _")
        };
        let scratch = scope.give(template::SCRATCH).to_string();
        let operands = template.operands.iter().zip(variables);
        let mut arguments: Vec<String> = operands
            .clone()
            .map(|(&operand, name)| {
                let it = &self.model.operands[operand];
                // Otherwise the upper bits of the register would be undefined.
                let value = match it.bits.value {
                    0..=32 => format!("{name} as usize"),
                    _ => name.to_string(),
                };
                match &it.place {
                    Place::Register => format!("{name} = {way}(reg) {value}{back}"),
                    Place::Class(class) => format!("{name} = {way}({class}) {value}{back}"),
                    Place::Fixed(register) => format!("{way}(\"{register}\") {name}{back}"),
                    Place::Memory(by) => {
                        let class = by.as_deref().unwrap_or("reg");
                        format!("{name} = {way}({class}) &raw const {name}{back}")
                    }
                }
            })
            .collect();
        let lines = instruction
            .invalidate
            .map_or(template.lines.as_slice(), Invalidate::assembled);
        if lines
            .iter()
            .any(|line| template::mentions(line, template::SCRATCH))
        {
            arguments.push(format!("{scratch} = out(reg) _"));
        }
        let called = |of: &str| {
            let mut operands = operands.clone();
            let operand =
                operands.find(|(operand, _)| self.model.operands[**operand].named.name == of);
            operand.map_or_else(|| scratch.clone(), |(_, name)| name.to_string())
        };
        Asm {
            lines: lines
                .iter()
                .map(|line| template::for_asm(line, called))
                .collect(),
            operands: arguments,
            preserves_flags: template.keeps.flags,
        }
    }
}
