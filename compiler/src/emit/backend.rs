//! The backend: the struct, its facts, and the trait that dispatches to the routines.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use tlbc_runtime::request::{Reach, Space};

use super::{Emit, doc};
use crate::model::Known;
use crate::plan::ir::Shape;

impl Emit<'_> {
    pub(super) fn tlb(&self) -> TokenStream {
        let limits = self.model.limits.iter().enumerate().map(|(index, limit)| {
            let name = self.names.limit(index);
            let text = doc(&limit.named.text);
            quote!(#text pub #name: u32,)
        });
        let published = self.model.assumed.as_ref().map_or(String::new(), |by| {
            format!("\n\nChanged entries are published by {}.", by.value)
        });
        let text = doc(&(self.model.doc.join("\n") + &published));
        quote! {
            #text
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub struct Tlb<M = Config> {
                /// The features, errata and page size, which must be [possible](Config::is_possible): a [`Config`], or a
                /// [`Constant`](tlbc_runtime::Constant).
                pub config: M,
                #(#limits)*
            }
        }
    }

    pub(super) fn backend(&self) -> TokenStream {
        let facts = self.facts();
        let tags = self.tags();
        let ipi_targets = self.ipi_targets();
        let start = self.start();
        let finish = self.finish();
        let ceiling = self.ceiling();
        let change_facts = self.change_facts();
        let change = self.change();
        let publish = self.publish();
        let sender_only = self.sender_only();
        let event = |shape: Shape, argument: &dyn Fn(&str) -> TokenStream| match (
            self.acts(shape),
            shape,
        ) {
            (false, _) => quote!(()),
            (true, Shape::CpuOnline) => self.call(shape, argument),
            (true, _) => self.call_on(&self.receiver(), shape, argument),
        };
        // Devices do not depend on the loaded space.
        let tlb = self.for_space(&if sender_only.is_empty() {
            quote!(to.flags)
        } else {
            quote!(to.flags.without(Self::SENDER_ONLY))
        });
        let same = |name: &str| {
            let name = format_ident!("{name}");
            quote!(#name)
        };
        let deferring = |shape: Shape, call: TokenStream| {
            if self.defers(shape) {
                call
            } else {
                quote!(#call; Deferred::NOTHING)
            }
        };
        let switch = deferring(Shape::Switch, event(Shape::Switch, &same));
        let online = deferring(Shape::CpuOnline, event(Shape::CpuOnline, &same));
        let user = if self.acts(Shape::ReturnToUser) {
            let call = self.call_on(&self.receiver(), Shape::ReturnToUser, &same);
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
        let enter = self.acts(Shape::EnterFromUser);
        let enter = enter.then(|| self.call_on(&self.receiver(), Shape::EnterFromUser, &same));
        let enter = enter.map_or(quote!(), |call| quote!(#call;));
        let enter_tlb = self.acts(Shape::EnterFromUser).then_some(&tlb);
        let enter_unused = unused(&enter, &["cpu", "to"]);
        let switch_unused = unused(&switch, &["cpu", "to", "pending"]);
        let user_tlb = self.acts(Shape::ReturnToUser).then_some(&tlb);
        let user_unused = unused(&user, &["cpu", "to", "view_deferred"]);
        let finish_unused = unused(&finish, &["cpu"]);
        quote! {
            impl<M: Configuration<Config>> Backend for Tlb<M> {
                type Op = Op;
                const FACTS: Facts = #facts;

                #sender_only

                #[inline]
                fn levels(&self) -> &'static LevelTable { level_table(self.config.flags()) }

                #[inline]
                fn ceiling(&self, space: Space, reach: Reach) -> Ceiling { #ceiling }

                #[inline]
                fn change_facts(&self, flags: SpaceFlags) -> ChangeFacts { #change_facts }

                #change

                #publish

                #[inline]
                fn tags(&self) -> Tags { #tags }

                #[inline(always)]
                fn ipi_targets(&self, request: &Request<'_>) -> IpiTargets { #ipi_targets }

                #[inline(always)]
                fn start(&self, cpu: &mut impl Issue<Op>, request: &Request<'_>) -> Started { #start }

                #[inline(always)]
                fn finish(&self, cpu: &mut impl Issue<Op>, started: Started) -> Finished {
                    #finish_unused #finish
                }

                #[inline]
                fn switch(&self, cpu: &mut impl Issue<Op>, to: &Root, pending: Pending) -> Deferred {
                    #switch_unused #tlb #switch
                }

                #[inline]
                fn return_to_user(&self, cpu: &mut impl Issue<Op>, to: &Root, view_deferred: bool) {
                    #user_unused #user_tlb #user
                }

                #[inline]
                fn enter_from_user(&self, cpu: &mut impl Issue<Op>, to: &Root) {
                    #enter_unused #enter_tlb #enter
                }

                #[inline]
                fn cpu_online(&self, cpu: &mut impl Issue<Op>) -> Deferred { #online }
            }
        }
    }

    /// Returns the function that changes entries with the instructions that write them.
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
        let tlb = self.for_space(&quote!(owner.flags));
        let deferred = if self.defers(Shape::Change) {
            quote!(let deferred = #call;)
        } else {
            quote!(#call; let deferred = Deferred::NOTHING;)
        };
        quote! {
            fn change(&self, cpu: &mut impl Issue<Op>, slot: &Slot<'_>, change: &Change, owner: &Owner) -> Changed {
                #tlb
                let facts = self.change_facts(owner.flags);
                let kind = change.kind(&facts);
                let was = slot.was();
                #deferred
                let required = change.left_over(&facts, owner.space);
                Changed { was, required, deferred }
            }
        }
    }

    /// Returns the function that makes new entries visible. If it issues nothing, its documentation says why.
    fn publish(&self) -> TokenStream {
        let spaces = [Space::User, Space::Kernel];
        if !spaces.iter().any(|&space| self.acts(Shape::Publish(space))) {
            let why = match &self.model.assumed {
                Some(by) => format!("Issues nothing: new entries are published by {}.", by.value),
                None => "Issues nothing: the definition has no barrier that publishes.".to_owned(),
            };
            let text = doc(&why);
            return quote! {
                #text
                #[inline]
                fn publish(&self, cpu: &mut impl Issue<Op>, space: Space) { let _ = (cpu, space); }
            };
        }
        let arms = spaces.map(|space| {
            let shape = Shape::Publish(space);
            let call = if self.acts(shape) {
                self.call(shape, &|_| quote!())
            } else {
                quote!({})
            };
            let space = space_name(space);
            quote!(Space::#space => #call,)
        });
        quote! {
            #[inline]
            fn publish(&self, cpu: &mut impl Issue<Op>, space: Space) { match space { #(#arms)* } }
        }
    }

    /// Returns the flags that only the sender of an IPI tests.
    fn sender_only(&self) -> TokenStream {
        let model = self.model;
        let devices = model.user.devices.iter().chain(&model.kernel.devices);
        let features = devices.flat_map(|when| when.value.features_wanted());
        let of_space = features.filter(|&feature| model.features[feature].known == Known::Space);
        let names: Vec<_> = of_space.map(|feature| self.names.flag(feature)).collect();
        if names.is_empty() {
            return quote!();
        }
        quote!(const SENDER_ONLY: SpaceFlags = Config::NONE #(.with(Config::#names))* .space_flags();)
    }

    /// Returns the backend for a space, if spaces differ.
    pub(super) fn for_space(&self, conditions: &TokenStream) -> TokenStream {
        if self.of_space().is_none() {
            return quote!();
        }
        let limits = (0..self.model.limits.len()).map(|limit| {
            let name = self.names.limit(limit);
            quote!(#name: self.#name)
        });
        quote!(let tlb = Tlb { config: OfSpace { machine: self.config, flags: #conditions }, #(#limits),* };)
    }

    /// Returns the receiver of calls of routines.
    pub(super) fn receiver(&self) -> TokenStream {
        if self.of_space().is_some() {
            quote!(tlb)
        } else {
            quote!(self)
        }
    }

    /// Returns the start of a flush, by its space, reach and scope.
    fn start(&self) -> TokenStream {
        let argument = |name: &str| match name {
            "tag" => quote!(request.tag.value),
            "global" => quote!(request.tag.global),
            name => {
                let name = format_ident!("{name}");
                quote!(#name)
            }
        };
        let receiver = self.receiver();
        let tlb = self.for_space(&quote!(request.flags));
        let call = |shape: Shape, argument: &dyn Fn(&str) -> TokenStream| {
            let call = self.call_on(&receiver, shape, argument);
            if self.returns_outcome(shape) {
                quote!(#call)
            } else if self.acts(shape) {
                quote!({ #call; Outcome::NOTHING })
            } else {
                quote!(Outcome::NOTHING)
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
                        "tables" => quote!(true),
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
                let table = used(&page, "tables").then(|| quote!(table: tables,));
                let ranges_pattern = if used(&ranges, "ranges") {
                    quote!(ranges)
                } else {
                    quote!(_)
                };
                let tables = if used(&all, "tables") {
                    quote!({ tables })
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
        quote! {
            #tlb
            let outcome = match (request.space, request.reach) { #(#cases)* };
            Started::new(request, self.ipi_targets(request), outcome)
        }
    }

    /// Returns the choice of the CPUs to send an IPI.
    fn ipi_targets(&self) -> TokenStream {
        let receiver = self.receiver();
        let tlb = self.for_space(&quote!(request.flags));
        let targets = |space: Space| {
            let arguments = self.ipi_target_arguments(space)?;
            let arguments = arguments.into_iter().map(|name| match name {
                "tables" => quote!(request.tables()),
                "teardown" => quote!(matches!(request.scope, Scope::Teardown)),
                _ => quote!(request.tag.global),
            });
            let (name, space) = (
                super::routines::name(Shape::IpiTargets(space)),
                space_name(space),
            );
            Some(quote!((Space::#space, Reach::Wide) => #receiver.#name(#(#arguments),*),))
        };
        let targets: Vec<TokenStream> = [Space::User, Space::Kernel]
            .into_iter()
            .filter_map(targets)
            .collect();
        let body = if targets.is_empty() {
            quote!(IpiTargets::NONE)
        } else {
            let others = if targets.len() == 2 {
                quote!((_, Reach::Here) => IpiTargets::NONE,)
            } else {
                quote!(_ => IpiTargets::NONE,)
            };
            quote!(match (request.space, request.reach) { #(#targets)* #others })
        };
        if super::operands::mentions(&body, "tlb") {
            quote!(#tlb #body)
        } else {
            let request =
                (!super::operands::mentions(&body, "request")).then(|| quote!(let _ = request;));
            quote!(#request #body)
        }
    }

    fn finish(&self) -> TokenStream {
        let argument = |name: &str| match name {
            "steps" => quote!(started.outcome.steps),
            name => {
                let name = format_ident!("{name}");
                quote!(started.#name)
            }
        };
        let receiver = self.receiver();
        let tlb = self.for_space(&quote!(started.flags));
        let cases = [Space::User, Space::Kernel].into_iter().flat_map(|space| {
            [Reach::Here, Reach::Wide].map(|reach| {
                let shape = Shape::Finish(space, reach);
                let (space, reach) = (space_name(space), reach_name(reach));
                let body = if !self.acts(shape) {
                    quote!(IpiTargets::NONE)
                } else if self.returns_ipis(shape) {
                    self.call_on(&receiver, shape, &argument)
                } else {
                    let call = self.call_on(&receiver, shape, &argument);
                    quote!({ #call; IpiTargets::NONE })
                };
                quote!((Space::#space, Reach::#reach) => #body,)
            })
        });
        quote! {
            #tlb
            let sync_ipis = match (started.space, started.reach) { #(#cases)* };
            Finished { sync_ipis, deferred: started.outcome.deferred }
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
