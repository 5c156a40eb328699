//! Parameters: the sources of operand values at each place of a routine.

use proc_macro2::TokenStream;
use quote::quote;

use tlbc_runtime::request::Space;

use super::Emit;
use super::old::hex;
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
    /// `start`, the first address of the pass.
    First,
    /// The current entry of a loop over a pass. `left` entries remain, including this one.
    Each,
    /// `va`, `num` and `scale`.
    Piece,
    /// `va`.
    Rest,
    /// `set`, and no address.
    Set,
}

impl Emit<'_> {
    /// Returns a call of an operand's encoder.
    pub(super) fn encode(&self, issue: &Issue, operand: usize, at: At) -> TokenStream {
        let encoder = self.names.encoder(operand);
        let parameters = self.encoder_parameters(operand).into_iter();
        let arguments = parameters.map(|name| self.parameter(issue, name, at));
        quote!(#encoder(#(#arguments),*))
    }

    /// Returns the argument for a parameter of an encoder.
    pub(super) fn parameter(&self, issue: &Issue, name: &str, at: At) -> TokenStream {
        let it = &self.model.invalidates[issue.invalidate];
        match name {
            "c" => quote!(c),
            "tag" => match (issue.view, issue.tag) {
                (None, _) => nothing(name),
                (Some(_), Some(tag)) => hex(tag),
                (Some(view), None) => self.tag(issue.space, view, &quote!(tag)),
            },
            "va" | "end" | "stride" if !issue.address => nothing(name),
            "va" => match at {
                At::Piece => quote!(run.va),
                At::First => quote!(start),
                At::Each => {
                    quote!(start.wrapping_add(entries.wrapping_sub(left).wrapping_shl(pass.shift)))
                }
                _ => quote!(va),
            },
            "end" => match at {
                At::Piece => {
                    quote!(
                        run.va
                            .wrapping_add(run.num.wrapping_add(1).wrapping_shl(pass.shift))
                    )
                }
                At::First => quote!(start.wrapping_add(1u64.wrapping_shl(pass.shift))),
                At::Each => quote!(
                    start.wrapping_add(
                        entries
                            .wrapping_sub(left)
                            .wrapping_add(1)
                            .wrapping_shl(pass.shift)
                    )
                ),
                At::Page => quote!(va.wrapping_add(1u64.wrapping_shl(shift_of(c, level)))),
                _ => nothing(name),
            },
            "set" => {
                if let At::Set = at {
                    quote!(set)
                } else {
                    nothing(name)
                }
            }
            "table" => quote!(slot.table),
            "entry" | "old" => {
                let nth = match at {
                    At::Each => quote!(entries.wrapping_sub(left)),
                    At::Piece => quote!(run.va.wrapping_sub(start).wrapping_shr(pass.shift)),
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
            "hint" => {
                if let At::Page = at {
                    quote!(hint_of(c, level))
                } else {
                    quote!(hinted)
                }
            }
            "stride" => {
                if let At::Page = at {
                    quote!(level)
                } else {
                    quote!(stride)
                }
            }
            "num" => {
                if let At::Piece = at {
                    quote!(run.num)
                } else {
                    nothing(name)
                }
            }
            "scale" => {
                if let At::Piece = at {
                    quote!(run.scale)
                } else {
                    nothing(name)
                }
            }
            "form" => hex(it.forms[issue.form]
                .named
                .as_ref()
                .map_or(0, |(_, value)| *value)),
            _ => nothing(name),
        }
    }

    /// Returns a tag for a view.
    pub(super) fn tag(&self, space: Space, view: usize, tag: &TokenStream) -> TokenStream {
        match self.model.space(space).views[view].or {
            0 => tag.clone(),
            or => {
                let or = hex(or);
                quote!(#tag | #or)
            }
        }
    }
}
