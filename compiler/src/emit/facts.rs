//! The facts of a backend: constants, ceilings, and what changes require.

use proc_macro2::TokenStream;
use quote::quote;

use tlbc_runtime::backend::Shootdown;
use tlbc_runtime::level::LEVELS;
use tlbc_runtime::request::{Reach, Space};

use super::Emit;
use super::backend::{reach_name, space_name};
use super::config::unsuffixed;
use crate::model::{
    Amount, Aspect, Cases, Ceiling, Cond, Kind, Need, Negative, Stricter, TagSource,
};

impl Emit<'_> {
    pub(super) fn ceiling(&self) -> TokenStream {
        let of = |cases: &Option<Cases<Ceiling>>, space, reach| {
            let Some(cases) = cases else {
                return quote!(u64::MAX);
            };
            let kept = (cases.cases.iter()).filter(|(ceiling, _)| ceiling.is_for(space, reach));
            let kept = Cases {
                cases: kept.cloned().collect(),
                span: cases.span,
            };
            self.cases(&kept, &quote!(u64::MAX), |ceiling| {
                self.amount(ceiling.count)
            })
        };
        let policy = &self.model.policy;
        let both = |space, reach| {
            let operations = of(&policy.ceiling_operations, space, reach);
            let pages = of(&policy.ceiling_pages, space, reach);
            quote!(Ceiling { operations: #operations, pages: #pages })
        };
        let mut arms: Vec<(TokenStream, TokenStream)> = Vec::new();
        for space in [Space::User, Space::Kernel] {
            for reach in [Reach::Here, Reach::Wide] {
                let value = both(space, reach);
                let (space, reach) = (space_name(space), reach_name(reach));
                let pattern = quote!((Space::#space, Reach::#reach));
                let same = arms
                    .iter_mut()
                    .find(|(_, of)| of.to_string() == value.to_string());
                match same {
                    Some((patterns, _)) => *patterns = quote!(#patterns | #pattern),
                    None => arms.push((pattern, value)),
                }
            }
        }
        let body = if let [(_, only)] = arms.as_slice() {
            quote!(let _ = (space, reach); #only)
        } else {
            let arms = arms
                .iter()
                .map(|(pattern, value)| quote!(#pattern => #value,));
            quote!(match (space, reach) { #(#arms)* })
        };
        if super::operands::mentions(&body, "c") {
            quote!(let c = self.config.flags(); #body)
        } else {
            body
        }
    }

    /// Returns the facts about changes that depend on the configuration.
    pub(super) fn change_facts(&self) -> TokenStream {
        let model = self.model;
        let caches = &model.caches;
        let stricter = self.cases(&caches.stricter, &quote!(), |stricter| match stricter.how {
            Stricter::Refetched => quote!(Stricter::Refetched),
            Stricter::DroppedByFault => quote!(Stricter::DroppedByFault),
            Stricter::FaultsUntilDropped => quote!(Stricter::FaultsUntilDropped),
        });
        let of_walks = caches.ever_holding(Kind::Walk);
        let of_walks = caches
            .all
            .iter()
            .enumerate()
            .filter(|(index, _)| of_walks.0 & 1 << index != 0);
        let walk = self.any_of(of_walks.map(|(_, cache)| &cache.when));
        let negative = self.cases(&caches.negative, &quote!(), |negative| match negative {
            Negative::Never => quote!(Negative::Never),
            Negative::UntilDropped => quote!(Negative::UntilDropped),
            Negative::Expires => quote!(Negative::Expires),
        });
        let dirty = self.any_of(caches.clean_to_dirty_walks.iter());
        let through = |aspect: Aspect| self.through_invalid(model.change.in_place(aspect));
        let (output, size, attributes, rights) = (
            through(Aspect::Output),
            through(Aspect::Size),
            through(Aspect::Attributes),
            through(Aspect::Rights),
        );
        let (accessed, none) = (quote!(Marks::ACCESSED), quote!(Marks::NONE));
        let cleared = match &caches.accessed_may_stay {
            None => none,
            Some(when) => match self.cond(when) {
                None => accessed,
                Some(when) => quote!(if #when { #accessed } else { #none }),
            },
        };
        let spaces = [&model.user, &model.kernel].into_iter();
        let devices = spaces.filter_map(|space| Some(&space.devices.as_ref()?.value));
        let strict = self.cases(&caches.stricter, &quote!(false), |stricter| {
            if stricter.cpus_only {
                self.any_of(devices.clone())
            } else {
                quote!(false)
            }
        });
        let facts = quote! {
            ChangeFacts {
                walk_cached: #walk,
                negative: #negative,
                stricter: #stricter,
                devices_stay_strict: #strict,
                output_through_invalid: #output,
                size_through_invalid: #size,
                attributes_through_invalid: #attributes,
                rights_through_invalid: #rights,
                cleared_may_stay: #cleared,
                clean_to_dirty_walks: #dirty,
            }
        };
        match (super::operands::mentions(&facts, "c"), self.of_space()) {
            (true, Some(_)) => {
                quote!(let c = OfSpace { machine: self.config, flags }.flags(); #facts)
            }
            (true, None) => quote!(let _ = flags; let c = self.config.flags(); #facts),
            (false, _) => quote!(let _ = flags; #facts),
        }
    }

    /// Returns whether an aspect changes through an invalid entry. It does if nothing is stated, and the last
    /// statement counts.
    fn through_invalid(&self, in_place: &[(bool, Cond)]) -> TokenStream {
        if !self.model.change.plain_store.value {
            return quote!(false);
        }
        let mut through = quote!(true);
        for (in_place, when) in in_place {
            let (constant, opposite) = (quote!(true), quote!(false));
            let is = |tokens: &TokenStream, of: &TokenStream| tokens.to_string() == of.to_string();
            through = match (in_place, self.cond(when)) {
                (true, None) => opposite,
                (false, None) => constant,
                (true, Some(when)) if is(&through, &constant) => quote!(!(#when)),
                (true, Some(when)) => quote!(!(#when) && (#through)),
                (false, Some(when)) if is(&through, &opposite) => when,
                (false, Some(when)) => quote!(#when || #through),
            };
        }
        through
    }

    /// Returns whether any of these conditions holds.
    fn any_of<'c>(&self, conds: impl Iterator<Item = &'c Cond>) -> TokenStream {
        let mut any: Option<TokenStream> = None;
        for cond in conds {
            let Some(is) = self.cond(cond) else {
                return quote!(true);
            };
            any = Some(match any {
                None => is,
                Some(before) => quote!(#before || #is),
            });
        }
        any.unwrap_or(quote!(false))
    }

    /// Returns the tags of user spaces.
    pub(super) fn tags(&self) -> TokenStream {
        let model = self.model;
        let views = model.user.views.iter().filter(|view| view.or != 0);
        let bits = views.map(|view| {
            let or = unsuffixed(view.or);
            match self.cond(&view.when) {
                None => quote!(#or),
                Some(when) => quote!(if #when { #or } else { 0 }),
            }
        });
        let views = bits
            .reduce(|all, or| quote!((#all) | (#or)))
            .unwrap_or(quote!(0));
        let of = |per_cpu: bool| {
            let mut chain = quote!(None);
            for tag in model.tags.iter().filter(|tag| tag.of_cpu.value == per_cpu) {
                let (first, last) = tag.range();
                let first = unsuffixed(first);
                let last = match tag.bits.value {
                    Amount::Stated(_) => unsuffixed(last),
                    width @ Amount::Limit(_) => {
                        let (width, last) = (self.amount(width), super::config::suffixed(last));
                        quote!(#last.min((1 << #width) - 1))
                    }
                };
                let values = quote!(TagValues { first: #first, last: #last, views });
                let source = match tag.source {
                    _ if tag.is_root.is_some() => quote!(Root),
                    Some(at) if at.value == TagSource::Generations => quote!(Generations),
                    _ => quote!(Life),
                };
                let some = if per_cpu {
                    quote!(Some(#values))
                } else {
                    quote!(Some((#values, TagSource::#source)))
                };
                chain = match self.cond(&tag.when) {
                    None => some,
                    Some(when) => quote!(if #when { #some } else { #chain }),
                };
            }
            chain
        };
        let (per_cpu, global) = (of(true), of(false));
        let views = (!model.tags.is_empty()).then(|| quote!(let views = #views;));
        let body = quote! {
            #views
            Tags { per_cpu: #per_cpu, global: #global }
        };
        let config =
            super::operands::mentions(&body, "c").then(|| quote!(let c = self.config.flags();));
        quote!(#config #body)
    }

    /// Returns a number that is stated, or read at boot, as a word.
    pub(super) fn amount(&self, amount: Amount) -> TokenStream {
        match amount {
            Amount::Stated(number) => unsuffixed(number),
            Amount::Limit(limit) => {
                let name = self.names.limit(limit);
                quote!(u64::from(self.#name))
            }
        }
    }

    pub(super) fn facts(&self) -> TokenStream {
        let model = self.model;
        let name = &model.arch.name;
        let level_names = (0..LEVELS).map(|i| model.levels.get(i).map_or("", |l| l.name.as_str()));
        let shootdown = match self.plans.shootdown(model) {
            Shootdown::Broadcast => quote!(Broadcast),
            Shootdown::Ipi => quote!(Ipi),
            Shootdown::Either => quote!(Either),
        };
        let pte_update = if model.change.plain_store.value {
            quote!(Store)
        } else {
            let pages = model.policy.pages_batched.is_none_or(|at| at.value);
            let deferrable = model.change.deferred.is_some();
            quote!(Instruction { pages_batched: #pages, deferrable: #deferrable })
        };
        let table_free = if model.policy.tables_deferred.is_none_or(|at| at.value) {
            quote!(GracePeriod)
        } else {
            quote!(AfterFlush)
        };
        let lazy_mm = if model.policy.lazy_refcounted.is_none_or(|at| at.value) {
            quote!(Refcounted)
        } else {
            quote!(Shootdown)
        };
        let interrupts_off = self.plans.needs(Need::InterruptsOff);
        let after_publish = model.reads_tag_after_publish();
        let one_at_a_time = self.plans.needs(Need::Lock);
        let waits = model.attach_waits();
        // The target may be another machine than the host.
        let target = &model.target_arch.value;
        let atomics = if model.atomics_order.is_some() {
            quote!(cfg!(target_arch = #target))
        } else {
            quote!(false)
        };
        quote! {
            Facts {
                name: #name,
                level_names: [#(#level_names),*],
                shootdown: Shootdown::#shootdown,
                pte_update: PteUpdate::#pte_update,
                table_free: TableFree::#table_free,
                lazy_mm: LazyMm::#lazy_mm,
                interrupts_off: #interrupts_off,
                tag_after_publish: #after_publish,
                one_at_a_time: #one_at_a_time,
                attach_waits_for_changes: #waits,
                atomics_order_everything: #atomics,
            }
        }
    }
}
