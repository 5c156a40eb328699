//! The table of effects: what each instruction drops, one row a form.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use tlbc_runtime::clause::{Holders, Levels, Most, Stride};

use super::Emit;
use super::config::unsuffixed;
use crate::model::{Config, Drops, Form, Invalidate, LevelSel, Which};

impl Emit<'_> {
    pub(super) fn effects(&self) -> TokenStream {
        let forms = self.model.invalidates.iter();
        let rows = forms.flat_map(|it| it.forms.iter().map(|form| self.effect(it, form)));
        let rows = rows.map(|row| one_line(&row));
        quote! {
            /// What each instruction drops, by the book.
            const EFFECTS: &[Effect] = &[#(__line!(#rows)),*];
        }
    }

    fn effect(&self, it: &Invalidate, form: &Form) -> TokenStream {
        let name = match &form.named {
            None => it.named.name.clone(),
            Some((named, _)) => format!("{}.{}", it.named.name, named.name),
        };
        let plain = form
            .drops
            .iter()
            .filter(|d| d.when.holds(Config::default()));
        let drops = plain.map(|d| self.clause(d, it));
        let holders = match it.reach(Config::default()) {
            Holders::SELF => quote!(Holders::SELF),
            Holders::CORE => quote!(Holders::CORE),
            Holders::CPUS => quote!(Holders::CPUS),
            Holders(bits) => {
                let bits = Literal::u8_unsuffixed(bits);
                quote!(Holders(#bits))
            }
        };
        let when = match it.done_after(Config::default()) {
            None => quote!(When::AT_ONCE),
            Some(barrier) => {
                let same = self.model.barriers[barrier].same_cpu;
                let barrier = Literal::usize_unsuffixed(barrier);
                quote!(When::after(#barrier, #same))
            }
        };
        quote!(Effect::new(#name, &[#(#drops),*], #holders, #when))
    }

    fn clause(&self, d: &Drops, it: &Invalidate) -> TokenStream {
        let levels = |selected| match selected {
            LevelSel::Only(levels) if levels != Levels::ALL => {
                let bits = Literal::u8_unsuffixed(levels.0);
                quote!(Levels(#bits))
            }
            _ => quote!(Levels::ALL),
        };
        let all = |selected| !matches!(selected, LevelSel::Only(levels) if levels != Levels::ALL);
        let leaf = d.leaf.map(levels).map(|levels| quote!(What::leaf(#levels)));
        let walk = d.walk.map(levels).map(|levels| quote!(What::walk(#levels)));
        let what = match (leaf, walk) {
            (Some(_), Some(_)) if d.leaf.is_some_and(all) && d.walk.is_some_and(all) => {
                quote!(What::LEAF_AND_WALK)
            }
            (Some(leaf), Some(walk)) => quote!(#leaf.and(#walk)),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) if d.root => quote!(What::ROOT),
            (None, None) => quote!(What::NOTHING),
        };
        let tagged = d.leaf.is_some() || d.walk.is_some();
        let root = (d.root && tagged).then(|| quote!(.and(What::ROOT)));
        let absent = d
            .absent
            .map(levels)
            .map(|levels| quote!(.and(What::absent(#levels))));
        let within = d.stores.map(|stores| {
            let bits = Literal::u8_unsuffixed(stores.0);
            quote!(.within(Stores(#bits)))
        });
        let what = quote!(#what #root #absent #within);
        let which = self.which(d, it);
        let whose = d.whose.value;
        let named = match (whose.this, whose.loaded, whose.other, whose.global) {
            _ if whose.table => quote!(Whose::TABLE),
            _ if whose.user => quote!(Whose::THIS.or_other()),
            (true, _, true, true) => quote!(Whose::ANY),
            (false, false, _, true) => quote!(Whose::GLOBAL),
            (_, true, ..) => quote!(Whose::LOADED),
            _ => quote!(Whose::THIS),
        };
        let any = whose.this && whose.other && whose.global;
        let other = (whose.other && !any).then(|| quote!(.or_other()));
        let tagged = whose.this || whose.loaded;
        let global = (whose.global && tagged && !any).then(|| quote!(.or_global()));
        quote!(Clause::new(#what, #which, #named #other #global))
    }

    fn which(&self, d: &Drops, it: &Invalidate) -> TokenStream {
        let (least, most, stride) = match &d.which.value {
            Which::OnePage => return quote!(Which::Containing),
            Which::Everything => return quote!(Which::Everything),
            Which::Subtree => return quote!(Which::Subtree),
            Which::OneSet => {
                let stores = self.model.caches.stores.iter().enumerate();
                let named = stores.filter(|(i, _)| d.stores.is_none_or(|s| s.0 & (1 << i) != 0));
                let counts =
                    named.filter_map(|(_, store)| store.sets.as_ref()?.get(Config::default()));
                let count = Literal::u64_unsuffixed(counts.max().copied().unwrap_or(1));
                return quote!(Which::Set { index: 0, of: #count });
            }
            Which::Run {
                least,
                most,
                stride,
            } => (unsuffixed(*least), most, stride),
        };
        let mut operands = it.template.operands.iter();
        let aligned = operands.any(|&operand| self.model.operands[operand].aligned.is_some());
        let most = match most {
            Most::Count(count) => {
                let count = Literal::u32_unsuffixed(*count);
                quote!(Most::Count(#count))
            }
            Most::Limit(limit) => {
                let limit = Literal::u8_unsuffixed(*limit);
                quote!(Most::Limit(#limit))
            }
        };
        let stride = match stride {
            Stride::Pages => quote!(Stride::Pages),
            Stride::Entries(levels) => {
                let bits = Literal::u8_unsuffixed(levels.0);
                quote!(Stride::Entries(Levels(#bits)))
            }
        };
        quote!(Which::Run { least: #least, most: #most, aligned: #aligned, stride: #stride })
    }
}

/// An expression on one line, spaced as the formatter would.
fn one_line(expression: &TokenStream) -> String {
    let file: syn::File = syn::parse_quote!(const X: () = #expression;);
    let text = prettyplease::unparse(&file);
    let text = text
        .trim()
        .trim_start_matches("const X: () =")
        .trim_end_matches(';');
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let tight = joined
        .replace("( ", "(")
        .replace("[ ", "[")
        .replace(", )", ")");
    tight
        .replace(",)", ")")
        .replace(", ]", "]")
        .replace(",]", "]")
        .replace(") .", ").")
}
