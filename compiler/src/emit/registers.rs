//! Registers: what is read from them, and how they are set up.

use proc_macro2::TokenStream;
use quote::quote;

use super::config::{hex, unsuffixed};
use super::{Emit, WIDTH, doc, escaped};
use crate::describe::registers::{demand, limit_from, read_from, reason};
use crate::model::{Bits, Comparison, Feature, LimitFrom, ReadFrom, Setup, Var};
use crate::text::{list, wrap};

impl Emit<'_> {
    /// Returns the features that are read from a register, and where.
    fn read(&self) -> impl Iterator<Item = (usize, &ReadFrom)> {
        let features = self.model.features.iter().enumerate();
        features.filter_map(|(index, feature)| Some((index, feature.from.as_ref()?)))
    }

    /// Returns the description of a feature's flag: where it is read, and the setup that depends on it.
    pub(super) fn feature_text(&self, index: usize) -> String {
        let feature = &self.model.features[index];
        let from = match &feature.from {
            Some(from) => format!("Read from {}.", read_from(from)),
            None => "Not read from a register: the kernel sets it.".to_owned(),
        };
        let concerns = |setup: &&Setup| {
            let conds = setup.conds();
            let mut vars = conds.iter().flat_map(|cond| &cond.terms);
            vars.any(|term| term.value.0 == Var::Feature(index))
        };
        let demands = self.model.setup.iter().filter(concerns);
        let demands: Vec<String> = demands.map(|setup| demand(self.model, setup)).collect();
        let demands = if demands.is_empty() {
            String::new()
        } else {
            format!("\n\nSetup that depends on it: {}.", demands.join("; "))
        };
        format!("Feature: {}.\n\n{from}{demands}", feature.named.text)
    }

    /// Returns the limits that are read from a register, and where.
    fn read_limits(&self) -> impl Iterator<Item = (usize, &LimitFrom)> {
        let limits = self.model.limits.iter().enumerate();
        limits.filter_map(|(index, limit)| Some((index, limit.from.as_ref()?)))
    }

    /// Returns the registers from which features and limits are read, with the names of these.
    fn registers(&self) -> Vec<(&str, Vec<&str>)> {
        let features = self
            .read()
            .map(|(index, from)| (&from.register, &self.model.features[index].named));
        let limits = self.read_limits();
        let limits = limits.map(|(index, from)| (&from.register, &self.model.limits[index].named));
        let mut registers: Vec<(&str, Vec<&str>)> = Vec::new();
        for (register, named) in features.chain(limits) {
            match registers.iter_mut().find(|(of, _)| of == register) {
                Some((_, names)) => names.push(&named.name),
                None => registers.push((register, vec![&named.name])),
            }
        }
        registers
    }

    /// Returns the structure of register values, if a feature or limit is read from one.
    pub(super) fn register_values(&self) -> TokenStream {
        let registers = self.registers();
        if registers.is_empty() {
            return quote!();
        }
        let fields = registers.iter().map(|(register, names)| {
            let names: Vec<String> = names.iter().map(|it| format!("`{it}`")).collect();
            let text = format!("`{register}`, which has {}.", list(&names, "and"));
            let (text, name) = (doc(&text), self.names.register(register));
            quote!(#text pub #name: u64)
        });
        let limits = self.found_limits();
        quote! {
            /// The values of the registers from which the features and limits of a CPU are read.
            ///
            /// A register that the CPU does not have is 0. A register of fewer than 64 bits is zero-extended.
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
            pub struct Registers { #(#fields),* }

            #limits
        }
    }

    /// Returns the value of a register, shifted so that some bits are the least significant ones.
    fn bits_of(&self, registers: &TokenStream, register: &str, bits: &Bits) -> TokenStream {
        let register = self.names.register(register);
        if bits.low == 0 {
            return quote!(#registers.#register);
        }
        let low = unsuffixed(u64::from(bits.low));
        quote!((#registers.#register >> #low))
    }

    /// Returns the functions that read the limits of a machine.
    fn found_limits(&self) -> TokenStream {
        let functions = self.read_limits().map(|(index, from)| {
            let name = self.names.limit(index);
            let text = doc(&format!(
                "Returns the limit from {}: {}.\n\nThe limit of a machine is the smallest of its CPUs.",
                limit_from(from),
                self.model.limits[index].named.text
            ));
            let (word, mask) = (
                self.bits_of(&quote!(self), &from.register, &from.bits),
                hex(from.bits.most()),
            );
            let plus = (from.plus != 0).then(|| {
                let plus = unsuffixed(from.plus);
                quote!(+ #plus)
            });
            quote! {
                #text
                #[must_use]
                pub const fn #name(&self) -> u32 { (#word & #mask) as u32 #plus }
            }
        });
        let functions: Vec<TokenStream> = functions.collect();
        if functions.is_empty() {
            return quote!();
        }
        quote!(impl Registers { #(#functions)* })
    }

    /// Returns the functions that determine the configuration of a machine.
    pub(super) fn found_config(&self) -> TokenStream {
        let read = self.read_config();
        let settled = self.settled();
        let least = if self.model.features.is_empty() {
            quote!(self.0 | other.0)
        } else {
            let features = hex((1 << self.model.features.len()) - 1);
            quote!(self.0 & other.0 | (self.0 | other.0) & !#features)
        };
        quote! {
            /// Returns the configuration with a flag cleared.
            #[must_use]
            pub const fn without(self, flag: Self) -> Self {
                Self(self.0 & !flag.0)
            }

            /// Returns the configuration for two CPUs together: the features of both, the errata of either.
            #[must_use]
            pub const fn least(self, other: Self) -> Self {
                Self(#least)
            }

            #read

            #settled
        }
    }

    /// Returns the constructor of a configuration from register values.
    fn read_config(&self) -> TokenStream {
        if self.read().next().is_none() {
            return quote!();
        }
        let tests = self.read().map(|(index, from)| {
            let (flag, mask) = (self.feature(index), hex(from.bits.most()));
            let word = self.bits_of(&quote!(registers), &from.register, &from.bits);
            let value = hex(from.value.value);
            let sign = match from.comparison {
                Comparison::Equal => quote!(==),
                Comparison::AtLeast => quote!(>=),
            };
            quote! {
                if #word & #mask #sign #value {
                    config = config.with(Self::#flag);
                }
            }
        });
        let left = self.model.features.iter().enumerate();
        let left = left.filter(|(_, it)| it.from.is_none());
        let link = |(index, it): (usize, &Feature)| {
            format!(
                "[`{}`](Self::{})",
                it.named.name,
                self.names.flag_text(index)
            )
        };
        let left: Vec<String> = left.map(link).collect();
        let left = if left.is_empty() {
            quote!()
        } else {
            let text = format!(
                "No register has {}: the kernel adds these with [`with`](Self::with).",
                list(&left, "or")
            );
            let lines = wrap(&text, WIDTH)
                .into_iter()
                .map(|line| format!(" {line}"));
            quote!(#[doc = ""] #(#[doc = #lines])*)
        };
        quote! {
            /// Returns the features of one CPU, read from its registers.
            ///
            /// A machine has the features that all its CPUs have: see [`least`](Self::least). When all
            /// flags are set, [`settled`](Self::settled) clears those that cannot be used.
            #left
            #[must_use]
            pub const fn from_registers(registers: &Registers) -> Self {
                let mut config = Self::NONE;
                #(#tests)*
                config
            }
        }
    }

    /// Returns the function that clears features whose needs are not met.
    fn settled(&self) -> TokenStream {
        let steps = self.in_order_of_needs().into_iter().filter_map(|index| {
            let feature = &self.model.features[index];
            let name = self.feature(index);
            let unmet = feature.needs.terms.iter().filter_map(|term| {
                let (Var::Feature(other), wanted) = term.value else {
                    return None;
                };
                let other = self.feature(other);
                let not = wanted.then(|| quote!(!));
                Some(quote!(#not config.has(Self::#other)))
            });
            let unmet: Vec<TokenStream> = unmet.collect();
            let (first, rest) = unmet.split_first()?;
            Some(quote! {
                if #first #(|| #rest)* { config = config.without(Self::#name); }
            })
        });
        let steps: Vec<TokenStream> = steps.collect();
        let body = if steps.is_empty() {
            quote!(self)
        } else {
            quote!(let mut config = self; #(#steps)* config)
        };
        quote! {
            /// Returns the configuration without features whose needs are not met.
            #[must_use]
            pub const fn settled(self) -> Self { #body }
        }
    }

    /// Returns the features, each after those that it needs. `lower` rejects circular needs.
    fn in_order_of_needs(&self) -> Vec<usize> {
        let features = &self.model.features;
        let mut order: Vec<usize> = Vec::new();
        while order.len() < features.len() {
            let ready = |index: &usize| {
                let mut needed = features[*index].needs.features_wanted();
                !order.contains(index) && needed.all(|needed| order.contains(&needed))
            };
            let ready: Vec<usize> = (0..features.len()).filter(ready).collect();
            order.extend(ready);
        }
        order
    }

    /// Returns the setup of the machine as a section of documentation.
    pub(super) fn setup_text(&self) -> TokenStream {
        let mut lines: Vec<String> = Vec::new();
        for setup in &self.model.setup {
            let what = demand(self.model, setup);
            let why = reason(setup).map_or(String::new(), |why| format!(": {why}"));
            let item = wrap(&escaped(&format!("{what}{why}.")), WIDTH)
                .into_iter()
                .enumerate();
            lines.extend(item.map(|(index, line)| match index {
                0 => format!(" - {line}"),
                _ => format!("   {line}"),
            }));
        }
        if lines.is_empty() {
            return quote!();
        }
        quote! {
            /// # Setup
            /// Every CPU is set up as follows before its first flush and while it runs:
            #[doc = ""]
            #(#[doc = #lines])*
            #[doc = ""]
        }
    }
}
