//! Instructions: the enum, its names, and the sink that executes them.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::text::Asm;
use super::{Emit, doc};
use crate::model::{Invalidate, Named, Place, Template};
use crate::trace::interpret::Which;

/// A variant's name.
pub fn camel(name: &str) -> Ident {
    let words = name.split('_').map(|word| {
        let mut chars = word.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    });
    format_ident!("{}", words.collect::<String>())
}

/// An instruction, whatever it is for.
pub struct Instruction<'a> {
    /// Which.
    pub which: Which,
    /// Its name.
    pub named: &'a Named,
    /// What it looks like.
    pub template: &'a Template,
    /// What it is, in words.
    pub text: String,
    /// The invalidation that it is, if it is one.
    pub invalidate: Option<&'a Invalidate>,
}

impl Emit<'_> {
    /// Every instruction that some plan issues, in the order of the definition.
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
                    "`{}`: {}.",
                    it.template.lines.join("; "),
                    self.place(it.span)
                ),
                invalidate: None,
            });
        let invalidates = model.invalidates.iter().enumerate().map(|(index, it)| {
            let per = it.per.as_ref().map_or("", |per| per.value.as_str());
            Instruction {
                which: Which::Invalidate(index),
                named: &it.named,
                template: &it.template,
                text: format!("{per}. {}.", self.place(it.span)),
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
                text: format!("Loads `{}`. {}.", it.named.name, self.place(it.span)),
                invalidate: None,
            });
        let all = barriers.chain(invalidates).chain(loads);
        all.filter(|instruction| self.used.contains(&instruction.which))
            .collect()
    }

    /// The variant of an instruction.
    pub(super) fn variant(&self, which: Which) -> Ident {
        match which {
            Which::Barrier(index) => camel(&self.model.barriers[index].named.name),
            Which::Invalidate(index) => camel(&self.model.invalidates[index].named.name),
            // A register may be named like an instruction.
            Which::Load(index) => camel(&format!("load_{}", self.model.loads[index].named.name)),
            Which::Store => camel("store"),
        }
    }

    /// The type of an operand.
    pub(super) fn operand_type(&self, operand: usize) -> TokenStream {
        match self.model.operands[operand].bits.value {
            0..=32 => quote!(u32),
            33..=64 => quote!(u64),
            _ => quote!([u64; 2]),
        }
    }

    pub(super) fn operand_name(&self, operand: usize) -> Ident {
        let name = &self.model.operands[operand].named.name;
        syn::parse_str::<Ident>(name).unwrap_or_else(|_| format_ident!("{name}_"))
    }

    fn pattern(&self, instruction: &Instruction<'_>) -> TokenStream {
        let variant = self.variant(instruction.which);
        let names = instruction
            .template
            .operands
            .iter()
            .map(|&o| self.operand_name(o));
        if instruction.template.operands.is_empty() {
            quote!(Op::#variant)
        } else {
            quote!(Op::#variant { #(#names),* })
        }
    }

    pub(super) fn op(&self) -> TokenStream {
        let instructions = self.instructions();
        let variants = instructions.iter().map(|instruction| {
            let text = doc(&instruction.text);
            let variant = self.variant(instruction.which);
            let operands = &instruction.template.operands;
            if operands.is_empty() {
                return quote!(#text #variant,);
            }
            let fields = operands.iter().map(|&operand| {
                let (name, of) = (self.operand_name(operand), self.operand_type(operand));
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
            let variant = self.variant(instruction.which);
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
            let pattern = self.pattern(instruction);
            let each = instruction.template.operands.iter().map(|&operand| {
                let name = self.operand_name(operand);
                let text = &self.model.operands[operand].named.name;
                if self.model.operands[operand].bits.value > 64 {
                    quote!(each(#text, u128::from(#name[0]) | u128::from(#name[1]) << 64);)
                } else {
                    quote!(each(#text, u128::from(#name));)
                }
            });
            quote!(#pattern => { #(#each)* })
        });
        quote! {
            /// An instruction with its operands.
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum Op { #(#variants)* }

            impl Op {
                /// The name of the instruction in the definition.
                #[must_use]
                pub const fn name(self) -> &'static str {
                    match self { #(#names)* }
                }

                /// Its operands, by their names in the definition.
                pub fn operands(self, mut each: impl FnMut(&'static str, u128)) {
                    match self { #(#values)* #none }
                }
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
            let pattern = self.pattern(instruction);
            match instruction.invalidate {
                Some(it) if it.call.is_some() => {
                    let call = self.platform_call(it);
                    quote!(#pattern => #call,)
                }
                _ => {
                    let asm = self.asm(instruction).marker();
                    quote!(#pattern => #asm,)
                }
            }
        });
        let platform = self.calls(&calls);
        let setup = self.setup_text();
        let mode = if self.model.setup.is_empty() {
            "The CPU is in the mode that the definition describes"
        } else {
            "The CPU is in the mode that the definition describes and set up as stated above"
        };
        let mode = doc(&format!(
            "{mode}, and every root that is loaded through the sink is that of tables which stay valid \
             while a CPU can walk them."
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
             can observe, and whoever made this sink vouches for the mode and for what is loaded. \
             Memory operands point at a live local.",
        );
        quote! {
            #platform

            /// Executes every instruction on the CPU that it runs on.
            #[cfg(target_arch = #target)]
            #[derive(Debug, Clone, Copy)]
            pub struct Hardware #parameter (#fields);

            #[cfg(target_arch = #target)]
            impl #parameter Hardware #of {
                /// A sink that executes.
                ///
                #setup
                /// # Safety
                #mode
                #[must_use]
                #[inline(always)]
                pub const unsafe fn new(#new) -> Self { Self(#made_of) }
            }

            #[cfg(target_arch = #target)]
            impl #bound Issue<Op> for Hardware #of {
                #[inline(always)]
                fn issue(&mut self, op: Op) {
                    #safety
                    unsafe {
                        match op { #(#arms)* }
                    }
                }
            }
        }
    }

    /// What the platform has to bring, for instructions that are calls of it.
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
            let name = format_ident!("{}", call.value);
            let parameters = it.template.operands.iter().map(|&operand| {
                let (name, of) = (self.operand_name(operand), self.operand_type(operand));
                quote!(#name: #of)
            });
            let answer = it.retry_while_busy.then(|| quote!(-> Answer));
            let per = it.per.as_ref().map_or("", |per| per.value.as_str());
            let text = doc(&format!("{per}."));
            functions.push(quote!(#text fn #name(&mut self, #(#parameters),*) #answer;));
        }
        if functions.is_empty() {
            return quote!();
        }
        quote! {
            /// What the platform does where no instruction may.
            ///
            /// Contexts: those of [`Backend::start`]. A call returns when
            /// the entries are gone and drained.
            ///
            /// No answer stands for a failure. What cannot drop the entries that it is
            /// given drops more, in the end all of the space, or it does not return.
            pub trait Calls { #(#functions)* }
        }
    }

    fn platform_call(&self, it: &Invalidate) -> TokenStream {
        let Some(call) = &it.call else {
            return quote!();
        };
        let name = format_ident!("{}", call.value);
        let operands = it.template.operands.iter().map(|&o| self.operand_name(o));
        let call = quote!(self.0.#name(#(#operands),*));
        if it.retry_while_busy {
            quote!(while #call == Answer::Busy { core::hint::spin_loop(); })
        } else {
            call
        }
    }

    pub(super) fn asm(&self, instruction: &Instruction<'_>) -> Asm {
        let template = instruction.template;
        let (way, back) = if template.keeps.operands {
            ("in", "")
        } else {
            ("inout", " => _")
        };
        let mut operands: Vec<String> = template
            .operands
            .iter()
            .map(|&operand| {
                let it = &self.model.operands[operand];
                let name = self.operand_name(operand);
                match &it.place {
                    Place::Register => format!("{name} = {way}(reg) {name}{back}"),
                    Place::Class(class) => format!("{name} = {way}({class}) {name}{back}"),
                    Place::Fixed(register) => format!("{way}(\"{register}\") {name}{back}"),
                    Place::Memory(by) => {
                        let class = by.as_deref().unwrap_or("reg");
                        format!("{name} = {way}({class}) &raw const {name}{back}")
                    }
                }
            })
            .collect();
        let encoded = instruction.invalidate.and_then(|it| it.encoded.as_ref());
        let lines = encoded.unwrap_or(&template.lines);
        if lines.iter().any(|line| line.contains("{scratch}")) {
            operands.push("scratch = out(reg) _".to_owned());
        }
        Asm {
            lines: lines.clone(),
            operands,
            preserves_flags: template.keeps.flags,
        }
    }
}
