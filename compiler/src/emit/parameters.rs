//! Parameters: the sources of operand values at each place of a routine.

use proc_macro2::TokenStream;
use quote::quote;

use tlbc_runtime::request::Space;

use super::config::{hex, unsuffixed};
use super::{Body, Emit, doc};
use crate::plan::ir::Issue;

/// Returns the argument for a parameter without a value.
pub fn nothing(parameter: &str) -> TokenStream {
    match parameter {
        "hint" => quote!(None),
        "stride" => quote!(Level(0)),
        "keep" => quote!(false),
        _ => quote!(0),
    }
}

/// Where the operand values of an instruction are found.
#[derive(Clone, Copy)]
pub enum At {
    /// There is no address.
    Nothing,
    /// `va` and `level`.
    Page,
    /// The first address of `pass`.
    First,
    /// `va`, an address of `pass`, and its number `nth`.
    Each,
    /// `run`.
    Piece,
    /// `va`.
    Rest,
    /// `set`, and no address.
    Set,
}

impl Emit<'_> {
    /// Returns the argument for a parameter from which operands are encoded.
    pub(super) fn parameter(&self, issue: &Issue, name: &str, at: At) -> TokenStream {
        match name {
            "c" => quote!(c),
            "tag" => match (issue.view, issue.tag) {
                (None, _) => nothing(name),
                (Some(_), Some(tag)) => unsuffixed(tag),
                (Some(view), None) => self.tag(issue.space, view, &quote!(tag)),
            },
            "va" | "end" | "stride" if !issue.address => nothing(name),
            "va" => match at {
                At::Piece => quote!(run.va),
                At::First => quote!(pass.start),
                _ => quote!(va),
            },
            "end" => match at {
                At::Piece => quote!(pass.after(run.va, run.num.wrapping_add(1))),
                At::First => quote!(pass.after(pass.start, 1)),
                At::Page => quote!(end_of(c, va, level)),
                _ => quote!(pass.after(va, 1)),
            },
            "set" if matches!(at, At::Set) => quote!(set),
            "table" => quote!(slot.table),
            "entry" | "old" => {
                let nth = match at {
                    At::Each => quote!(nth),
                    At::Piece => quote!(run.va.wrapping_sub(pass.start).wrapping_shr(pass.shift)),
                    _ => quote!(0),
                };
                if name == "entry" {
                    quote!(slot.address(#nth))
                } else {
                    quote!(slot.load(#nth))
                }
            }
            "new" => quote!(change.new_bits),
            "hint" if !issue.hint => nothing(name),
            "hint" if matches!(at, At::Page) => quote!(hint_of(c, level)),
            "hint" => quote!(hinted),
            "stride" if matches!(at, At::Page) => quote!(level),
            "stride" => quote!(pass.stride),
            "num" if matches!(at, At::Piece) => quote!(run.num),
            "scale" if matches!(at, At::Piece) => quote!(run.scale),
            "form" => self.form(issue),
            _ => nothing(name),
        }
    }

    /// Returns the number of an instruction's form.
    fn form(&self, issue: &Issue) -> TokenStream {
        match self.names.form(issue.invalidate, issue.form) {
            Some(name) => quote!(#name),
            None => nothing("form"),
        }
    }

    /// Returns a tag for a view.
    pub(super) fn tag(&self, space: Space, view: usize, tag: &TokenStream) -> TokenStream {
        match self.names.view(space, view) {
            Some(bits) => quote!(#tag | #bits),
            None => tag.clone(),
        }
    }

    /// Returns the constants for forms and views that `code` mentions.
    pub(super) fn operand_constants(&self, code: &Body) -> TokenStream {
        let mut out = TokenStream::new();
        for (index, it) in self.model.invalidates.iter().enumerate() {
            for (form, it_form) in it.forms.iter().enumerate() {
                let name = self.names.form(index, form);
                let (Some((named, value)), Some(name)) = (&it_form.named, name) else {
                    continue;
                };
                if code.mentions(&name.to_string()) {
                    let text = doc(&format!("Form `{}` of `{}`.", named.name, it.named.name));
                    let value = hex(*value);
                    out.extend(quote!(#text const #name: u64 = #value;));
                }
            }
        }
        for space in [Space::User, Space::Kernel] {
            for (index, view) in self.model.space(space).views.iter().enumerate() {
                let Some(name) = self.names.view(space, index) else {
                    continue;
                };
                if code.mentions(&name.to_string()) {
                    let text = format!(
                        "The bits that the tag of view `{}` has set.",
                        view.named.name
                    );
                    let (text, value) = (doc(&text), hex(view.or));
                    out.extend(quote!(#text const #name: u64 = #value;));
                }
            }
        }
        out
    }
}
