//! The backend: the struct, its facts, and the trait that dispatches to the routines.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use tlbc_runtime::clause::LEVELS;
use tlbc_runtime::request::{Reach, Space};

use super::config::unsuffixed;
use super::{Emit, doc};
use crate::model::{Aspect, Cases, Delivery, Known, Need, Stricter};
use crate::plan::ir::{Node, Shape};

impl Emit<'_> {
    pub(super) fn tlb(&self) -> TokenStream {
        let limits = self.model.limits.iter().map(|limit| {
            let name = format_ident!("{}", limit.named.name);
            let text = doc(&limit.named.text);
            quote!(#text pub #name: u32,)
        });
        let published = self.model.assumed.as_ref().map_or(String::new(), |by| {
            format!("\n\nChanges of entries are published by {}.", by.value)
        });
        let text = doc(&(self.model.doc.join("\n") + &published));
        quote! {
            #text
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub struct Tlb {
                /// What the machine has. It must be [possible](Config::is_possible).
                pub config: Config,
                #(#limits)*
            }
        }
    }

    pub(super) fn backend(&self) -> TokenStream {
        let facts = self.facts();
        let start = self.start();
        let finish = self.finish();
        let ceiling = self.ceiling();
        let change_facts = self.change_facts();
        let change = self.change();
        let sender_only = self.sender_only();
        let event = |shape: Shape, argument: &dyn Fn(&str) -> TokenStream| match (
            self.acts(shape),
            shape,
        ) {
            (false, _) => quote!(()),
            (true, Shape::Arrive) => self.call(shape, argument),
            (true, _) => self.call_on(&self.receiver(), shape, argument),
        };
        // Devices are not switched.
        let tlb = self.for_space(&if sender_only.is_empty() {
            quote!(to.conditions)
        } else {
            quote!(to.conditions.without(Self::SENDER_ONLY))
        });
        let same = |name: &str| {
            let name = format_ident!("{name}");
            quote!(#name)
        };
        let owing = |shape: Shape, call: TokenStream| {
            if self.owes(shape) {
                call
            } else {
                quote!(#call; Owed::NOTHING)
            }
        };
        let switch = owing(Shape::Switch, event(Shape::Switch, &same));
        let arrive = owing(Shape::Arrive, event(Shape::Arrive, &same));
        let resume = if self.acts(Shape::Resume) {
            let call = self.call_on(&self.receiver(), Shape::Resume, &same);
            quote!(#call;)
        } else {
            quote!()
        };
        let unused = |body: &TokenStream, names: &[&str]| -> TokenStream {
            let unused = names
                .iter()
                .filter(|name| !super::operands::mentions(body, name));
            unused
                .map(|name| {
                    let name = format_ident!("{name}");
                    quote!(let _ = #name;)
                })
                .collect()
        };
        let switch_unused = unused(&switch, &["cpu", "to", "debt"]);
        let resume_tlb = self.acts(Shape::Resume).then_some(&tlb);
        let resume_unused = unused(&resume, &["cpu", "to", "owed_view"]);
        let finish_unused = unused(&finish, &["cpu"]);
        quote! {
            impl Backend for Tlb {
                type Op = Op;
                const FACTS: Facts = #facts;

                #sender_only

                fn levels(&self) -> LevelTable { level_table(self.config) }

                #[inline]
                fn ceiling(&self, space: Space, reach: Reach) -> Ceiling { #ceiling }

                fn change_facts(&self, conditions: Conditions) -> ChangeFacts { #change_facts }

                #change

                #[inline(always)]
                fn start(&self, cpu: &mut impl Issue<Op>, request: &Request<'_>) -> Started { #start }

                #[inline(always)]
                fn finish(&self, cpu: &mut impl Issue<Op>, started: Started) -> Finished {
                    #finish_unused #finish
                }

                #[inline]
                fn switch(&self, cpu: &mut impl Issue<Op>, to: &Root, debt: Debt) -> Owed {
                    #switch_unused #tlb #switch
                }

                #[inline]
                fn resume(&self, cpu: &mut impl Issue<Op>, to: &Root, owed_view: bool) {
                    #resume_unused #resume_tlb #resume
                }

                #[inline]
                fn arrive(&self, cpu: &mut impl Issue<Op>) -> Owed { #arrive }
            }
        }
    }

    fn ceiling(&self) -> TokenStream {
        let of = |cases: &Option<Cases<crate::model::Ceiling>>, space, reach| {
            let Some(cases) = cases else {
                return quote!(u64::MAX);
            };
            let kept = (cases.cases.iter()).filter(|(ceiling, _)| ceiling.is_for(space, reach));
            let kept = Cases {
                cases: kept.cloned().collect(),
                span: cases.span,
            };
            if kept.cases.iter().all(|(_, when)| !when.terms.is_empty()) {
                let chain = self.cases_or(&kept, |ceiling| unsuffixed(ceiling.count));
                return quote!(#chain { u64::MAX });
            }
            self.cases(&kept, |ceiling| unsuffixed(ceiling.count))
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
            quote!(let c = self.config; #body)
        } else {
            body
        }
    }

    /// What a change leaves behind, as far as that depends on the configuration.
    fn change_facts(&self) -> TokenStream {
        let model = self.model;
        let stricter = match model.caches.stricter {
            Stricter::Refetched => quote!(Refetched),
            Stricter::DroppedByFault => quote!(DroppedByFault),
            Stricter::FaultsUntilDropped => quote!(FaultsUntilDropped),
        };
        let walk = model.caches.walk.is_some();
        let invalid = model.caches.invalid_cached;
        let dirty = model.caches.clean_to_dirty_walks;
        let through = |aspect: Aspect| {
            let facts = model.change.through_invalid.iter();
            let whens = facts.filter(|(of, _)| *of == aspect);
            self.any_of(whens.map(|(_, when)| when))
        };
        let (output, size, rights) = (
            through(Aspect::Output),
            through(Aspect::Size),
            through(Aspect::Rights),
        );
        let devices = if model.caches.stricter_on_cpus_only {
            let spaces = [&model.user, &model.kernel].into_iter();
            self.any_of(spaces.filter_map(|space| Some(&space.devices.as_ref()?.value)))
        } else {
            quote!(false)
        };
        let facts = quote! {
            ChangeFacts {
                walk_cached: #walk,
                invalid_cached: #invalid,
                stricter: Stricter::#stricter,
                devices_stay_strict: #devices,
                output_through_invalid: #output,
                size_through_invalid: #size,
                rights_through_invalid: #rights,
                clean_to_dirty_walks: #dirty,
            }
        };
        match (super::operands::mentions(&facts, "c"), self.of_space()) {
            (true, Some(_)) => quote!(let c = self.config.of_space(conditions); #facts),
            (true, None) => quote!(let _ = conditions; let c = self.config; #facts),
            (false, _) => quote!(let _ = conditions; #facts),
        }
    }

    /// Whether any of these conditions holds.
    fn any_of<'c>(&self, conds: impl Iterator<Item = &'c crate::model::Cond>) -> TokenStream {
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

    /// Changes of entries by instructions that write them.
    fn change(&self) -> TokenStream {
        if self.model.change.plain_store.value {
            return quote!();
        }
        let argument = |name: &str| match name {
            "tag" => quote!(owner.tag.value),
            name => {
                let name = format_ident!("{name}");
                quote!(#name)
            }
        };
        let call = self.call_on(&self.receiver(), Shape::Change, &argument);
        let tlb = self.for_space(&quote!(owner.conditions));
        let owed = if self.owes(Shape::Change) {
            quote!(let owed = #call;)
        } else {
            quote!(#call; let owed = Owed::NOTHING;)
        };
        // What an instruction that writes the entry drops, it has dropped; a stricter entry that other
        // CPUs keep after more was allowed is dropped by their faults.
        quote! {
            fn change(&self, cpu: &mut impl Issue<Op>, slot: &Slot<'_>, change: &Change, owner: &Owner) -> Changed {
                #tlb
                #owed
                let obligation = match change.kind() {
                    Kind::Appears | Kind::Relaxes => {
                        change.obligation(&self.change_facts(owner.conditions))
                    }
                    Kind::Vanishes | Kind::Replaces => Obligation::NOTHING,
                };
                Changed { obligation, owed }
            }
        }
    }

    /// The conditions that only the sender of an interrupt looks at.
    fn sender_only(&self) -> TokenStream {
        let model = self.model;
        let devices = model.user.devices.iter().chain(&model.kernel.devices);
        let features = devices.flat_map(|when| when.value.features_wanted());
        let of_space = features.filter(|&feature| model.features[feature].known == Known::Space);
        let names: Vec<_> = of_space
            .map(|feature| super::config::upper(&model.features[feature].named.name))
            .collect();
        if names.is_empty() {
            return quote!();
        }
        quote!(const SENDER_ONLY: Conditions = Config::NONE #(.with(Config::#names))* .conditions();)
    }

    /// The backend of the space at hand, where spaces differ.
    fn for_space(&self, conditions: &TokenStream) -> TokenStream {
        if self.of_space().is_none() {
            return quote!();
        }
        let rest = (!self.model.limits.is_empty()).then(|| quote!(, ..*self));
        quote!(let tlb = Self { config: self.config.of_space(#conditions) #rest };)
    }

    /// What routines are called on.
    fn receiver(&self) -> TokenStream {
        if self.of_space().is_some() {
            quote!(tlb)
        } else {
            quote!(self)
        }
    }

    /// A flush by its space, its reach and its scope.
    fn start(&self) -> TokenStream {
        let argument = |name: &str| match name {
            "tag" => quote!(request.tag.value),
            "of_machine" => quote!(request.tag.of_machine),
            name => {
                let name = format_ident!("{name}");
                quote!(#name)
            }
        };
        let receiver = self.receiver();
        let tlb = self.for_space(&quote!(request.conditions));
        let call = |shape: Shape, argument: &dyn Fn(&str) -> TokenStream| {
            let call = self.call_on(&receiver, shape, argument);
            if self.owes(shape) {
                quote!(#call)
            } else if self.acts(shape) {
                quote!({ #call; Owed::NOTHING })
            } else {
                quote!(Owed::NOTHING)
            }
        };
        let cases = [Space::User, Space::Kernel].into_iter().flat_map(|space| {
            [Reach::Here, Reach::Wide].map(|reach| {
                let (page, ranges, all) = (
                    call(Shape::Page(space, reach), &argument),
                    call(Shape::Ranges(space, reach), &argument),
                    call(Shape::Everything(space, reach), &argument),
                );
                let teardown = if self.plans.get(Shape::Teardown(space, reach)).is_some() {
                    call(Shape::Teardown(space, reach), &argument)
                } else {
                    let with_tables = |name: &str| match name {
                        "walk" => quote!(true),
                        name => argument(name),
                    };
                    call(Shape::Everything(space, reach), &with_tables)
                };
                let (space, reach) = (space_name(space), reach_name(reach));
                let used = |body: &TokenStream, name: &str| super::operands::mentions(body, name);
                let field = |name: &str| {
                    let ident = format_ident!("{name}");
                    used(&page, name).then(|| quote!(#ident,))
                };
                let (va, level) = (field("va"), field("level"));
                let table = used(&page, "walk").then(|| quote!(table: walk,));
                let ranges_pattern = if used(&ranges, "ranges") {
                    quote!(ranges)
                } else {
                    quote!(_)
                };
                let tables = if used(&all, "walk") {
                    quote!({ tables: walk })
                } else {
                    quote!({ .. })
                };
                quote! {
                    (Space::#space, Reach::#reach) => match request.scope {
                        Scope::Page { #va #level #table .. } => #page,
                        Scope::Ranges(#ranges_pattern) => #ranges,
                        Scope::Everything #tables => #all,
                        Scope::Teardown => #teardown,
                    },
                }
            })
        });
        let told = |space: Space| {
            let arguments = self.told_arguments(space)?;
            let arguments = arguments.into_iter().map(|name| match name {
                "walk" => quote!(request.tables()),
                "ends" => quote!(matches!(request.scope, Scope::Teardown)),
                _ => quote!(request.tag.of_machine),
            });
            let (name, space) = (super::routines::name(Shape::Told(space)), space_name(space));
            Some(quote!((Space::#space, Reach::Wide) => #receiver.#name(#(#arguments),*),))
        };
        let told: Vec<TokenStream> = [Space::User, Space::Kernel]
            .into_iter()
            .filter_map(told)
            .collect();
        let deliver = if told.is_empty() {
            quote!(Audience::NOBODY)
        } else {
            let nobody = if told.len() == 2 {
                quote!((_, Reach::Here) => Audience::NOBODY,)
            } else {
                quote!(_ => Audience::NOBODY,)
            };
            quote!(match (request.space, request.reach) { #(#told)* #nobody })
        };
        quote! {
            #tlb
            let owed = match (request.space, request.reach) { #(#cases)* };
            let deliver = #deliver;
            Started::new(request, deliver, owed)
        }
    }

    fn finish(&self) -> TokenStream {
        let argument = |_: &str| quote!(started.of_machine);
        let receiver = self.receiver();
        let tlb = self.for_space(&quote!(started.conditions));
        let cases = [Space::User, Space::Kernel].into_iter().flat_map(|space| {
            [Reach::Here, Reach::Wide].map(|reach| {
                let shape = Shape::Finish(space, reach);
                let (space, reach) = (space_name(space), reach_name(reach));
                let body = if !self.acts(shape) {
                    quote!(Audience::NOBODY)
                } else if self.interrupts(shape) {
                    self.call_on(&receiver, shape, &argument)
                } else {
                    let call = self.call_on(&receiver, shape, &argument);
                    quote!({ #call; Audience::NOBODY })
                };
                quote!((Space::#space, Reach::#reach) => #body,)
            })
        });
        quote! {
            #tlb
            let interrupt = match (started.space, started.reach) { #(#cases)* };
            Finished { interrupt, owed: started.owed }
        }
    }

    fn facts(&self) -> TokenStream {
        let model = self.model;
        let name = &model.arch.name;
        let level_names = (0..LEVELS).map(|i| model.levels.get(i).map_or("", |l| l.name.as_str()));
        let delivery = self.delivery();
        let strides = model.policy.strides.map_or_else(
            || {
                let leaf = |i: usize| {
                    model
                        .geometries
                        .iter()
                        .any(|g| g.levels[i].as_ref().is_some_and(|l| l.leaf.is_some()))
                };
                let levels = (0..model.levels.len()).filter(|&i| leaf(i));
                levels.fold(0u8, |bits, i| bits | 1 << i)
            },
            |at| at.value.0,
        );
        let strides = Literal::u8_unsuffixed(strides);
        let pages = model.policy.pages_batched.is_none_or(|at| at.value);
        let tables = model.policy.tables_deferred.is_none_or(|at| at.value);
        let lazy = model.policy.lazy_refcounted.is_none_or(|at| at.value);
        let interrupts_off = self.guards(Need::InterruptsOff);
        let after_publish = model
            .tags
            .iter()
            .any(|tag| tag.read_after_publish.is_some());
        let is_root = model.tags.iter().any(|tag| tag.is_root.is_some());
        let one_at_a_time = self.guards(Need::Lock);
        let deferrable = model.change.deferred.is_some();
        let waits = model.switch.waits_for_changes.is_some();
        quote! {
            Facts {
                name: #name,
                level_names: [#(#level_names),*],
                effects: EFFECTS,
                delivery: Delivery::#delivery,
                strides: Levels(#strides),
                pages_batched: #pages,
                tables_deferred: #tables,
                lazy_refcounted: #lazy,
                interrupts_off: #interrupts_off,
                tag_after_publish: #after_publish,
                tag_is_root: #is_root,
                one_at_a_time: #one_at_a_time,
                changes_deferrable: #deferrable,
                attach_waits_for_changes: #waits,
            }
        }
    }

    fn guards(&self, need: Need) -> bool {
        let mut found = false;
        for plan in self.plans.iter() {
            plan.body.walk(&mut |node| {
                found |= matches!(node, Node::Guard { scope, .. } if *scope == need);
            });
        }
        found
    }

    /// How others are reached over all configurations: by nobody's interrupt, or only by interrupts.
    fn delivery(&self) -> TokenStream {
        let told = [Space::User, Space::Kernel].map(|space| self.acts(Shape::Told(space)));
        let stated = self.model.policy.delivery.iter().flat_map(|d| &d.cases);
        let broadcasts = stated
            .clone()
            .any(|(at, _)| at.value == Delivery::Broadcast);
        match (told.contains(&true), broadcasts) {
            (false, _) => quote!(Broadcast),
            (true, false) => quote!(Interrupts),
            (true, true) => quote!(Either),
        }
    }
}

pub(super) fn space_name(space: Space) -> proc_macro2::Ident {
    match space {
        Space::User => format_ident!("User"),
        Space::Kernel => format_ident!("Kernel"),
    }
}

pub(super) fn reach_name(reach: Reach) -> proc_macro2::Ident {
    match reach {
        Reach::Here => format_ident!("Here"),
        Reach::Wide => format_ident!("Wide"),
    }
}
