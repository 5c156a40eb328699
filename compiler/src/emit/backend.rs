//! The backend: the struct, its facts, and the trait that dispatches to the routines.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use tlbc_runtime::clause::LEVELS;
use tlbc_runtime::request::{Reach, Space};

use super::config::unsuffixed;
use super::{Emit, doc};
use crate::model::{Delivery, Need, Stricter};
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
        let event = |shape: Shape, argument: &dyn Fn(&str) -> TokenStream| {
            if self.acts(shape) {
                self.call(shape, argument)
            } else {
                quote!(())
            }
        };
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
            let call = self.call(Shape::Resume, &same);
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
        let resume_unused = unused(&resume, &["cpu", "to", "owed_view"]);
        let finish_unused = unused(&finish, &["cpu"]);
        quote! {
            impl Backend for Tlb {
                type Op = Op;
                const FACTS: Facts = #facts;

                fn levels(&self) -> LevelTable { level_table(self.config) }

                #[inline]
                fn ceiling(&self) -> Ceiling { #ceiling }

                #[inline(always)]
                fn start(&self, cpu: &mut impl Issue<Op>, request: &Request<'_>) -> Started { #start }

                #[inline(always)]
                fn finish(&self, cpu: &mut impl Issue<Op>, started: Started) -> Finished {
                    #finish_unused #finish
                }

                #[inline]
                fn switch(&self, cpu: &mut impl Issue<Op>, to: &Root, debt: Debt) -> Owed {
                    #switch_unused #switch
                }

                #[inline]
                fn resume(&self, cpu: &mut impl Issue<Op>, to: &Root, owed_view: bool) {
                    #resume_unused #resume
                }

                #[inline]
                fn arrive(&self, cpu: &mut impl Issue<Op>) -> Owed { #arrive }
            }
        }
    }

    fn ceiling(&self) -> TokenStream {
        let of = |cases: &Option<crate::model::Cases<u64>>| match cases {
            None => quote!(u64::MAX),
            Some(cases) => self.cases(cases, |&count| unsuffixed(count)),
        };
        let policy = &self.model.policy;
        let (operations, pages) = (of(&policy.ceiling_operations), of(&policy.ceiling_pages));
        let both = quote!(Ceiling { operations: #operations, pages: #pages });
        if super::operands::mentions(&both, "c") {
            quote!(let c = self.config; #both)
        } else {
            both
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
        let call = |shape: Shape| {
            let call = self.call(shape, &argument);
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
                    call(Shape::Page(space, reach)),
                    call(Shape::Ranges(space, reach)),
                    call(Shape::Everything(space, reach)),
                );
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
                    },
                }
            })
        });
        let told = |space: Space| {
            let arguments = self.told_arguments(space)?;
            let arguments = arguments.into_iter().map(|name| {
                if name == "walk" {
                    quote!(request.tables())
                } else {
                    quote!(request.tag.of_machine)
                }
            });
            let (name, space) = (super::routines::name(Shape::Told(space)), space_name(space));
            Some(quote!((Space::#space, Reach::Wide) => self.#name(#(#arguments),*),))
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
            let owed = match (request.space, request.reach) { #(#cases)* };
            let deliver = #deliver;
            Started::new(request, deliver, owed)
        }
    }

    fn finish(&self) -> TokenStream {
        let argument = |_: &str| quote!(started.of_machine);
        let cases = [Space::User, Space::Kernel].into_iter().flat_map(|space| {
            [Reach::Here, Reach::Wide].map(|reach| {
                let shape = Shape::Finish(space, reach);
                let (space, reach) = (space_name(space), reach_name(reach));
                let body = if !self.acts(shape) {
                    quote!(Audience::NOBODY)
                } else if self.interrupts(shape) {
                    self.call(shape, &argument)
                } else {
                    let call = self.call(shape, &argument);
                    quote!({ #call; Audience::NOBODY })
                };
                quote!((Space::#space, Reach::#reach) => #body,)
            })
        });
        quote! {
            let interrupt = match (started.space, started.reach) { #(#cases)* };
            Finished { interrupt, owed: started.owed }
        }
    }

    fn facts(&self) -> TokenStream {
        let model = self.model;
        let name = &model.arch.name;
        let level_names = (0..LEVELS).map(|i| model.levels.get(i).map_or("", |l| l.name.as_str()));
        let stricter = match model.caches.stricter {
            Stricter::Refetched => quote!(Refetched),
            Stricter::DroppedByFault => quote!(DroppedByFault),
            Stricter::FaultsUntilDropped => quote!(FaultsUntilDropped),
        };
        let walk = model.caches.walk.is_some();
        let invalid = model.caches.invalid_cached;
        let dirty = model.caches.clean_to_dirty_walks;
        let (plain, output, size) = (
            model.change.plain_store.value,
            model.change.output_through_invalid,
            model.change.size_through_invalid,
        );
        let delivery = self.delivery();
        let strides = model.policy.strides.map_or_else(
            || {
                let leaf = |i: usize| {
                    model
                        .geometries
                        .iter()
                        .any(|g| g.levels[i].as_ref().is_some_and(|l| l.leaf))
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
        quote! {
            Facts {
                name: #name,
                level_names: [#(#level_names),*],
                effects: EFFECTS,
                change: ChangeFacts {
                    walk_cached: #walk,
                    invalid_cached: #invalid,
                    stricter: Stricter::#stricter,
                    plain_store: #plain,
                    output_through_invalid: #output,
                    size_through_invalid: #size,
                    clean_to_dirty_walks: #dirty,
                },
                delivery: Delivery::#delivery,
                strides: Levels(#strides),
                pages_batched: #pages,
                tables_deferred: #tables,
                lazy_refcounted: #lazy,
                interrupts_off: #interrupts_off,
                tag_after_publish: #after_publish,
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

fn space_name(space: Space) -> proc_macro2::Ident {
    match space {
        Space::User => format_ident!("User"),
        Space::Kernel => format_ident!("Kernel"),
    }
}

fn reach_name(reach: Reach) -> proc_macro2::Ident {
    match reach {
        Reach::Here => format_ident!("Here"),
        Reach::Wide => format_ident!("Wide"),
    }
}
