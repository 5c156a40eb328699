//! What is written by way of tokens until it is written as a tree.

use proc_macro2::{Ident, Literal, TokenStream, TokenTree};
use quote::{format_ident, quote};
use rustc_hash::FxHashSet;
use tlbc_runtime::request::{Reach, Space};

use super::Emit;
use super::docs::escaped;
use super::tree::{Private, Runtime, Use, Uses};
use crate::model::{Cases, Cond, Var};

/// The body of a function, and the names in it.
#[derive(Default)]
pub struct Body {
    pub tokens: TokenStream,
    names: FxHashSet<String>,
}

impl Body {
    pub fn new(tokens: TokenStream) -> Self {
        let mut names = FxHashSet::default();
        collect_names(tokens.clone(), &mut names);
        Self { tokens, names }
    }

    /// Returns these tokens followed by the body.
    pub fn after(self, tokens: TokenStream) -> Self {
        let Body {
            tokens: before,
            mut names,
        } = Body::new(tokens);
        names.extend(self.names);
        let tokens = [before, self.tokens].into_iter().collect();
        Self { tokens, names }
    }

    pub fn mentions(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Returns whether the body uses a name of the runtime. A scope has the same name as `Ranges`.
    pub fn takes(&self, name: &str) -> bool {
        let is_scope = name == "Ranges";
        self.mentions(name) && (!is_scope || self.mentions("ranges"))
    }
}

/// Collects the names in tokens, and the words in rows of tables, which are literals until the text is written.
fn collect_names(tokens: TokenStream, names: &mut FxHashSet<String>) {
    let mut is_row = false;
    for tree in tokens {
        match tree {
            TokenTree::Ident(ident) => {
                is_row = ident == "__line";
                names.insert(ident.to_string());
            }
            TokenTree::Group(group) if is_row => {
                is_row = false;
                for literal in group.stream() {
                    let row = literal.to_string();
                    let words = row.split(|c: char| !c.is_alphanumeric() && c != '_');
                    names.extend(words.map(str::to_owned));
                }
            }
            TokenTree::Group(group) => collect_names(group.stream(), names),
            TokenTree::Literal(_) | TokenTree::Punct(_) => {}
        }
    }
}

impl Emit<'_> {
    /// Returns what a body uses.
    pub(super) fn uses(&self, body: &Body) -> Uses {
        let runtime = Runtime::MODULES.iter().flat_map(|(_, names)| *names);
        let runtime = runtime
            .filter(|it| body.takes(it.name()))
            .map(|&it| Use::Runtime(it));
        let flags = 0..self.names.flags().count();
        let flags = flags
            .filter(|&bit| body.mentions(&self.names.flag(bit).to_string()))
            .map(Use::Flag);
        let private = [
            ("shift_of", Private::ShiftOf),
            ("hint_of", Private::HintOf),
            ("granule", Private::Granule),
            ("page_shift", Private::PageShift),
        ];
        let private = private
            .iter()
            .filter(|(name, _)| body.mentions(name))
            .map(|(_, it)| Use::Private(*it));
        runtime.chain(flags).chain(private).collect()
    }

    /// Returns the constant of a feature.
    pub(super) fn feature(&self, feature: usize) -> Ident {
        self.names.flag(feature)
    }

    /// Returns the constant of an erratum.
    pub(super) fn erratum(&self, erratum: usize) -> Ident {
        self.names.flag(self.model.features.len() + erratum)
    }

    /// Returns the constant of a geometry other than the first.
    fn geometry(&self, geometry: usize) -> Ident {
        self.names.flag(self.geometry_bit(geometry))
    }

    /// Returns the type of an operand.
    pub(super) fn operand_type(&self, operand: usize) -> TokenStream {
        match self.model.operands[operand].bits.value {
            0..=32 => quote!(u32),
            33..=64 => quote!(u64),
            _ => quote!([u64; 2]),
        }
    }

    /// Returns a condition over the configuration `c`; `None` if it always holds.
    pub(super) fn cond(&self, cond: &Cond) -> Option<TokenStream> {
        let mut all: Option<TokenStream> = None;
        for term in &cond.terms {
            let (var, wanted) = term.value;
            let is = match var {
                Var::Feature(feature) => {
                    let name = self.feature(feature);
                    quote!(c.has(Config::#name))
                }
                // The first page size has no flag.
                Var::Geometry(0) => {
                    let others = 1..self.model.geometries.len();
                    let mut others = others.map(|geometry| self.geometry(geometry));
                    let Some(first) = others.next() else {
                        if wanted {
                            continue;
                        }
                        return Some(quote!(false));
                    };
                    let others = quote!(Config::#first #(.with(Config::#others))*);
                    let not = wanted.then(|| quote!(!));
                    let is = quote!(#not c.has(#others));
                    and_also(&mut all, &is);
                    continue;
                }
                Var::Geometry(geometry) => {
                    let name = self.geometry(geometry);
                    quote!(c.has(Config::#name))
                }
                Var::Hinted => quote!(hint.is_some()),
                Var::Keep => quote!(keep),
            };
            let is = if wanted { is } else { quote!(!#is) };
            and_also(&mut all, &is);
        }
        all
    }

    /// Returns the value of the case that holds, as an expression; `otherwise` if none does.
    pub(super) fn cases<T>(
        &self,
        cases: &Cases<T>,
        otherwise: &TokenStream,
        value: impl Fn(&T) -> TokenStream,
    ) -> TokenStream {
        let mut chain = quote!();
        for (case, cond) in cases.cases.iter().rev() {
            let value = value(case);
            match self.cond(cond) {
                Some(cond) => chain = quote!(#chain if #cond { #value } else),
                None if chain.is_empty() => return value,
                None => return quote!(#chain { #value }),
            }
        }
        if chain.is_empty() {
            return otherwise.clone();
        }
        quote!(#chain { #otherwise })
    }
}

/// Adds a condition to a conjunction.
fn and_also(all: &mut Option<TokenStream>, is: &TokenStream) {
    *all = Some(match all.take() {
        None => is.clone(),
        Some(before) => quote!(#before && #is),
    });
}

/// Returns a decimal literal without a suffix.
pub fn unsuffixed(number: u64) -> TokenStream {
    let literal = Literal::u64_unsuffixed(number);
    quote!(#literal)
}

/// Returns a hexadecimal literal, in groups of four digits.
pub fn hex(number: u64) -> TokenStream {
    let digits = format!("{number:x}");
    let mut out = String::from("0x");
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 4 == 0 {
            out.push('_');
        }
        out.push(digit);
    }
    out.parse().unwrap_or_else(|_| unsuffixed(number))
}

pub(super) fn space_name(space: Space) -> Ident {
    match space {
        Space::User => format_ident!("User"),
        Space::Kernel => format_ident!("Kernel"),
    }
}

pub(super) fn reach_name(reach: Reach) -> Ident {
    match reach {
        Reach::Here => format_ident!("Here"),
        Reach::Wide => format_ident!("Wide"),
    }
}

/// Returns doc comment lines. Paragraphs are wrapped; brackets in the words of a definition are bits and no links.
pub fn doc(text: &str) -> TokenStream {
    let mut lines: Vec<String> = Vec::new();
    for (index, paragraph) in text.split("\n\n").enumerate() {
        if index > 0 {
            lines.push(String::new());
        }
        lines.extend(crate::text::wrap(&escaped(paragraph), 88));
    }
    let lines = lines.into_iter().map(|line| {
        let line = if line.is_empty() {
            line
        } else {
            format!(" {line}")
        };
        quote!(#[doc = #line])
    });
    lines.collect()
}

/// Returns the marker of a comment.
pub fn comment(text: &str) -> TokenStream {
    let lines = crate::text::wrap(text, 88);
    quote!(__comment!(#(#lines),*);)
}
