//! Encoders: one function for each operand, one statement for each field.

use proc_macro2::{Ident, Literal, TokenStream, TokenTree};
use quote::{format_ident, quote};

use super::config::{hex, unsuffixed};
use super::{Body, Emit, comment, doc};
use crate::model::{Field, Source, Value, Var};

/// The parameters of encoders, in order.
pub const PARAMETERS: [(&str, &str); 16] = [
    ("c", "Config"),
    ("tag", "u64"),
    ("va", "u64"),
    ("root", "u64"),
    ("hint", "Option<u64>"),
    ("stride", "Level"),
    ("num", "u64"),
    ("scale", "u32"),
    ("form", "u64"),
    ("keep", "bool"),
    ("set", "u64"),
    ("end", "u64"),
    ("table", "u64"),
    ("entry", "u64"),
    ("old", "u64"),
    ("new", "u64"),
];

/// Returns the arms of a match over levels, each with its guard. Arms of a level after one without a guard are left
/// out.
pub fn arms_by_level(
    arms: impl Iterator<Item = (usize, Option<TokenStream>, TokenStream)>,
) -> TokenStream {
    let mut settled = Vec::new();
    let arms = arms.filter_map(|(level, guard, value)| {
        if settled.contains(&level) {
            return None;
        }
        if guard.is_none() {
            settled.push(level);
        }
        let level = Literal::usize_unsuffixed(level);
        let guard = guard.map(|guard| quote!(if #guard));
        Some(quote!(#level #guard => #value,))
    });
    arms.collect()
}

/// Returns the source whose value a field is, without a change.
fn unchanged(field: &Field) -> Option<Source> {
    let Value::Source(source) = field.value else {
        return None;
    };
    let is_whole = match source {
        Source::Num | Source::Form | Source::Set => true,
        Source::Hint | Source::Granule | Source::Keep | Source::Scale => false,
        _ => field.width() == 64,
    };
    (is_whole && field.low == 0 && field.when.terms.is_empty()).then_some(source)
}

/// Returns whether a name occurs in tokens.
pub fn mentions(tokens: &TokenStream, name: &str) -> bool {
    tokens.clone().into_iter().any(|tree| match tree {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        _ => false,
    })
}

impl Emit<'_> {
    /// Returns the parameters of an encoder.
    pub(super) fn encoder_parameters(&self, operand: usize) -> Vec<&'static str> {
        let body = &self.encoders[operand];
        let taken = PARAMETERS.iter().filter(|(name, _)| body.mentions(name));
        taken.map(|(name, _)| *name).collect()
    }

    /// Returns the value of an operand; `argument` returns the value of a parameter. An operand that is a value, or 0,
    /// needs no encoder.
    pub(super) fn encoded(
        &self,
        operand: usize,
        argument: &dyn Fn(&str) -> TokenStream,
    ) -> TokenStream {
        let it = &self.model.operands[operand];
        let mut fields = it.fields.iter().filter(|it| it.value != Value::Const(0));
        match (fields.next(), fields.next()) {
            (None, _) if it.bits.value <= 64 => return quote!(0),
            (Some(field), None) if (33..=64).contains(&it.bits.value) => {
                if let Some(source) = unchanged(field) {
                    return argument(source.name());
                }
            }
            _ => {}
        }
        let encoder = self.names.encoder(operand);
        let arguments = self.encoder_parameters(operand).into_iter().map(argument);
        quote!(#encoder(#(#arguments),*))
    }

    /// Returns the encoders and run lengths that the rest of the module mentions.
    pub(super) fn operands(&self, rest: &Body) -> TokenStream {
        let all = 0..self.model.operands.len();
        let encoders = all.map(|operand| {
            let it = &self.model.operands[operand];
            let name = self.names.encoder(operand);
            let is_used = |name: &Ident| rest.mentions(&name.to_string());
            let of = self.operand_type(operand);
            let body = &self.encoders[operand];
            let parameters = PARAMETERS.iter().filter(|(name, _)| body.mentions(name));
            let body = &body.tokens;
            let parameters = parameters.map(|(name, of)| {
                let name = format_ident!("{name}");
                let of: TokenStream = of.parse().unwrap_or_default();
                quote!(#name: #of)
            });
            let text = doc(&format!("Encodes operand `{}`.", it.named.name));
            let units = it.names.as_ref().filter(|_| is_used(&self.names.units(operand)));
            let units = units.map(|names| {
                let (base, step, scales) = (
                    Literal::u32_unsuffixed(names.base),
                    Literal::u32_unsuffixed(names.step),
                    Literal::u32_unsuffixed(names.scales),
                );
                let most = Literal::u64_unsuffixed(names.most_num + 1);
                let name = self.names.units(operand);
                let text = doc(&format!("The lengths of runs that operand `{}` encodes.", it.named.name));
                quote! {
                    #text
                    const #name: Units = Units { base: #base, step: #step, scales: #scales, most: #most };
                }
            });
            let encoder = is_used(&name).then(|| {
                quote! {
                    #text
                    #[inline(always)]
                    const fn #name(#(#parameters),*) -> #of { #body }
                }
            });
            quote!(#encoder #units)
        });
        encoders.collect()
    }

    pub(super) fn encoder_body(&self, operand: usize) -> TokenStream {
        let it = &self.model.operands[operand];
        let wide = it.bits.value > 64;
        let mut fields: Vec<&Field> = it.fields.iter().collect();
        fields.sort_by_key(|field| std::cmp::Reverse(field.high));
        let statements: Vec<TokenStream> = fields
            .into_iter()
            .filter(|field| field.value != Value::Const(0))
            .map(|field| self.field(field, it.bits.value))
            .collect();
        let takes = |name: &str| statements.iter().any(|statement| mentions(statement, name));
        let hinted = takes("hinted").then(|| quote!(let hinted = hint.is_some();));
        let hint =
            takes("hint").then(|| quote!(let hint = match hint { Some(hint) => hint, None => 0 };));
        let start = if wide {
            quote!([0u64; 2])
        } else {
            quote!(0u64)
        };
        let end = if let 0..=32 = it.bits.value {
            quote!(bits as u32)
        } else {
            quote!(bits)
        };
        if statements.is_empty() {
            return quote!(0);
        }
        quote! {
            #hinted
            #hint
            let mut bits = #start;
            #(#statements)*
            #end
        }
    }

    fn field(&self, field: &Field, bits: u64) -> TokenStream {
        let wide = bits > 64;
        let value = self.value(field, bits);
        let low = field.low % 64;
        let value = if low == 0 {
            value
        } else {
            let low = Literal::u32_unsuffixed(low);
            let call = value
                .clone()
                .into_iter()
                .skip(1)
                .all(|t| matches!(t, TokenTree::Group(_)));
            if call {
                quote!(#value << #low)
            } else {
                quote!((#value) << #low)
            }
        };
        let place = if wide {
            let word = Literal::u32_unsuffixed(field.low / 64);
            quote!(bits[#word])
        } else {
            quote!(bits)
        };
        let set = quote!(#place |= #value;);
        let set = match self.cond_of_field(field) {
            None => set,
            Some(cond) => quote!(if #cond { #set }),
        };
        let text = self
            .files
            .text(field.span)
            .trim()
            .trim_end_matches(';')
            .to_owned();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let note = comment(&text);
        quote!(#note #set)
    }

    fn cond_of_field(&self, field: &Field) -> Option<TokenStream> {
        let mut cond = field.when.clone();
        let hinted: Vec<bool> = (cond.terms.iter())
            .filter(|term| term.value.0 == Var::Hinted)
            .map(|term| term.value.1)
            .collect();
        cond.terms.retain(|term| term.value.0 != Var::Hinted);
        let others = self.cond(&cond);
        hinted.into_iter().fold(others, |all, wanted| {
            let is = if wanted {
                quote!(hinted)
            } else {
                quote!(!hinted)
            };
            Some(match all {
                None => is,
                Some(before) => quote!(#before && #is),
            })
        })
    }

    /// Returns the value of a field. Bits beyond the word need no mask, because they are shifted out.
    fn value(&self, field: &Field, bits: u64) -> TokenStream {
        let width = field.width();
        let word = if bits <= 32 { bits as u32 } else { 64 };
        let topmost = (field.high + 1).is_multiple_of(word);
        let masked = |value: TokenStream, bits: u32| {
            if bits <= width || topmost {
                value
            } else {
                let mask = hex((1u64 << width) - 1);
                let single = value.clone().into_iter().count() == 1;
                if single {
                    quote!(#value & #mask)
                } else {
                    quote!((#value) & #mask)
                }
            }
        };
        let source = |source: Source| {
            let name = format_ident!("{}", source.name());
            match source {
                Source::Tag => masked(quote!(tag), 64),
                Source::Granule => quote!(granule(c)),
                Source::Keep => quote!(keep as u64),
                Source::Scale => quote!(scale as u64),
                Source::Va
                | Source::Root
                | Source::End
                | Source::Table
                | Source::Entry
                | Source::Old
                | Source::New => masked(quote!(#name), 64),
                Source::Num | Source::Hint | Source::Form | Source::Set => quote!(#name),
            }
        };
        match field.value {
            Value::Const(bits) => hex(bits),
            Value::Source(s) => source(s),
            Value::Slice(s, high, low) => {
                let name = format_ident!("{}", s.name());
                let low_bits = unsuffixed(u64::from(low));
                let shifted = if low == 0 {
                    quote!(#name)
                } else {
                    quote!(#name >> #low_bits)
                };
                let _ = high;
                masked(shifted, 64 - low)
            }
            Value::PageNumber(s) => {
                let name = format_ident!("{}", s.name());
                masked(quote!(#name >> page_shift(c)), 64)
            }
            Value::LevelAs(table) => {
                let numbers = &self.model.level_numbers[table];
                let cases = numbers.cases.iter().rev();
                let arms = cases
                    .map(|(level, number, when)| (*level, self.cond(when), unsuffixed(*number)));
                let arms = arms_by_level(arms);
                let otherwise = unsuffixed(numbers.otherwise.unwrap_or(0));
                quote!(match stride.0 { #arms _ => #otherwise })
            }
        }
    }
}
