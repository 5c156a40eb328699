//! Invalidations, changes, loads, events, errata and policy.

use super::facts::keeps;
use super::tree::{TreeBuilder, all, first, has, one};
use crate::ast::{
    AddressSelector, Aspects, Cases, CeilingOf, Change, Drops, Erratum, Event, EventFact,
    EventKind, Form, Ident, Invalidate, InvalidateFact, Issued, Levels, Load, Lost, MaxCount, Need,
    Policy, PolicyFact, Setting, Shootdown, Spanned, TagSelector, Weakens, Workaround, Written,
};
use tlbc_grammar::{ParseNode, Rule};

impl TreeBuilder<'_> {
    pub(super) fn invalidate(&mut self, node: &ParseNode) -> Invalidate {
        Invalidate {
            doc: self.doc(node),
            name: self.name(node),
            template: first(node, Rule::text).map(|text| self.quoted(&text)),
            call: first(node, Rule::call).map(|call| self.name(&call)),
            with: all(node, Rule::with)
                .flat_map(|with| self.names(&with))
                .collect(),
            requires: self.requires(node),
            facts: self.facts(&one(node, Rule::invalidate_body), Self::invalidate_fact),
            span: self.span(node),
        }
    }

    fn invalidate_fact(&mut self, node: &ParseNode) -> Option<InvalidateFact> {
        Some(match node.as_rule() {
            Rule::per => InvalidateFact::Per(self.text(node)),
            Rule::drops => InvalidateFact::Drops(self.drops(node)),
            Rule::drops_nothing => InvalidateFact::DropsNothing,
            Rule::reach => InvalidateFact::Where(self.name_cases(node)),
            Rule::at_once => InvalidateFact::AtOnce,
            Rule::after => InvalidateFact::After(self.name_cases(node)),
            Rule::follows => InvalidateFact::Follows(self.name(node)),
            Rule::needs if has(node, Rule::no_lock) => InvalidateFact::NeedsNoLock,
            Rule::needs => InvalidateFact::Needs(self.need(node)),
            Rule::interrupted => InvalidateFact::MayBeInterrupted,
            Rule::keeps => InvalidateFact::Keeps(keeps(node)),
            Rule::clobbers => InvalidateFact::ClobbersFlags,
            Rule::overwrites => InvalidateFact::OverwritesOperands,
            Rule::retry => InvalidateFact::RetryWhileBusy,
            Rule::encoded => InvalidateFact::Encoded(self.text(node)),
            Rule::writes => InvalidateFact::WritesEntry {
                levels: self.names(node),
                to: if has(node, Rule::written_invalid) {
                    Written::Invalid
                } else if has(node, Rule::written_rights) {
                    Written::MoreRights
                } else {
                    Written::Replaced
                },
                if_old: has(node, Rule::k_old),
            },
            Rule::cost => InvalidateFact::Cost(self.number_in(node)),
            Rule::form => InvalidateFact::Form(self.form(node)),
            _ => return None,
        })
    }

    fn name_cases(&mut self, node: &ParseNode) -> Cases<Ident> {
        let cases = one(node, Rule::name_cases);
        self.cases(&cases, Rule::name_case, Self::name)
    }

    fn need(&self, node: &ParseNode) -> Spanned<Need> {
        let needs = [
            (Rule::same_cpu, Need::SameCpu),
            (Rule::interrupts_off, Need::InterruptsOff),
            (Rule::lock, Need::Lock),
        ];
        let found = needs.into_iter().find_map(|(rule, need)| {
            first(node, rule).map(|node| Spanned {
                node: need,
                span: self.span(&node),
            })
        });
        found.expect("the grammar demands a need")
    }

    fn form(&mut self, node: &ParseNode) -> Form {
        let body = one(node, Rule::form_body);
        Form {
            name: self.name(node),
            value: self.number_in(node),
            requires: self.requires(node),
            drops: self.facts(&body, Self::drops_fact),
            span: self.span(node),
        }
    }

    fn drops_fact(&mut self, node: &ParseNode) -> Option<Drops> {
        (node.as_rule() == Rule::drops).then(|| self.drops(node))
    }

    fn drops(&mut self, node: &ParseNode) -> Drops {
        let what = all(node, Rule::what)
            .map(|what| (self.kind(&one(&what, Rule::kind)), self.levels(&what)))
            .collect();
        let mut inner = node.clone().into_inner();
        let which = inner.find_map(|which| self.which(&which));
        Drops {
            what,
            which: which.expect("the grammar demands which entries"),
            whose: self.whose(&one(node, Rule::whose)),
            whose_words: self.whose_words(&one(node, Rule::whose)),
            caches: self.in_caches(node),
            when: self.cond(node),
        }
    }

    fn in_caches(&mut self, node: &ParseNode) -> Vec<Ident> {
        first(node, Rule::in_caches).map_or_else(Vec::new, |caches| self.names(&caches))
    }

    fn levels(&mut self, node: &ParseNode) -> Levels {
        if has(node, Rule::at_hint) {
            Levels::AtHint
        } else if has(node, Rule::at_given) {
            Levels::AtGiven
        } else if has(node, Rule::above_hint) {
            Levels::AboveHint
        } else {
            first(node, Rule::at_level).map_or(Levels::Any, |level| Levels::At(self.name(&level)))
        }
    }

    fn which(&mut self, node: &ParseNode) -> Option<Spanned<AddressSelector>> {
        let which = match node.as_rule() {
            Rule::one_page => AddressSelector::OnePage,
            Rule::everything => AddressSelector::Everything,
            Rule::one_set => AddressSelector::OneSet,
            Rule::subtree => AddressSelector::Subtree,
            Rule::run => {
                let numbers: Vec<_> = all(node, Rule::number)
                    .map(|number| self.number(&number))
                    .collect();
                let limit = first(node, Rule::of_limit);
                let levels = first(node, Rule::run_levels);
                let (least, most) = (numbers.first().cloned(), numbers.get(1).cloned());
                AddressSelector::Run {
                    least: least.expect("the grammar demands a number"),
                    most: match limit {
                        Some(limit) => MaxCount::Limit(self.name(&limit)),
                        None => most.map_or(MaxCount::Unsaid, MaxCount::Const),
                    },
                    entries_at: levels.map(|levels| self.idents(&levels)),
                }
            }
            _ => return None,
        };
        Some(Spanned {
            node: which,
            span: self.span(node),
        })
    }

    fn whose_words(&mut self, node: &ParseNode) -> Vec<Ident> {
        let words = [Rule::k_this, Rule::k_loaded, Rule::k_other, Rule::k_global];
        let inner = node.clone().into_inner();
        let words = inner.filter(|node| words.contains(&node.as_rule()));
        words.map(|word| self.ident(&word)).collect()
    }

    fn whose(&self, node: &ParseNode) -> Spanned<TagSelector> {
        let any = has(node, Rule::any_tag);
        let table = has(node, Rule::this_table);
        let user = has(node, Rule::user_tags);
        Spanned {
            node: TagSelector {
                this: any || has(node, Rule::k_this),
                loaded: has(node, Rule::k_loaded),
                other: any || has(node, Rule::k_other),
                global: any || has(node, Rule::k_global),
                table,
                user,
            },
            span: self.span(node),
        }
    }

    pub(super) fn change(&mut self, node: &ParseNode) -> Change {
        let body = one(node, Rule::change_body);
        let stores = all(&body, Rule::plain_store).chain(all(&body, Rule::by_writers));
        let mut plain: Option<Spanned<bool>> = None;
        for store in stores {
            let span = self.span(&store);
            if let Some(plain) = &plain {
                self.twice(span, plain.span);
            } else {
                let node = store.as_rule() == Rule::plain_store;
                plain = Some(Spanned { node, span });
            }
        }
        let deferred = all(&body, Rule::by_writers)
            .find_map(|writers| first(&writers, Rule::deferred))
            .map(|deferred| self.span(&deferred));
        Change {
            plain,
            deferred,
            software_bits: all(&body, Rule::software_bits)
                .map(|bits| Spanned {
                    node: self.names(&bits),
                    span: self.span(&bits),
                })
                .collect(),
            aspects: self.each(&body, Rule::aspects, |builder, node| Aspects {
                names: builder.names(node),
                in_place: has(node, Rule::k_place),
                when: builder.cond(node),
                span: builder.span(node),
            }),
            span: self.span(node),
        }
    }

    pub(super) fn load(&mut self, node: &ParseNode) -> Load {
        let body = one(node, Rule::load_body);
        Load {
            name: self.name(node),
            template: self.text(node),
            per: all(&body, Rule::per).map(|per| self.text(&per)).collect(),
            keeps: self.facts(&body, |_, node| {
                (node.as_rule() == Rule::keeps).then(|| keeps(node))
            }),
            drops: self.facts(&body, Self::drops_fact),
            follows: self.facts(&body, |builder, node| {
                (node.as_rule() == Rule::follows).then(|| builder.name(node))
            }),
            requires: self.requires(node),
            span: self.span(node),
        }
    }

    pub(super) fn event(&mut self, node: &ParseNode) -> Event {
        let kind = one(node, Rule::event_kind);
        let event_kind = if has(&kind, Rule::k_switch) {
            EventKind::Switch
        } else if has(&kind, Rule::k_return_to_user) {
            EventKind::ReturnToUser
        } else {
            EventKind::CpuOnline
        };
        Event {
            kind: Spanned {
                node: event_kind,
                span: self.span(&kind),
            },
            facts: self.facts(&one(node, Rule::event_body), Self::event_fact),
            span: self.span(node),
        }
    }

    fn event_fact(&mut self, node: &ParseNode) -> Option<EventFact> {
        Some(match node.as_rule() {
            Rule::loads => EventFact::Loads {
                loads: self.names(node),
                view: first(node, Rule::name).map(|view| self.ident(&view)),
                when: self.cond(node),
            },
            Rule::half_loaded => EventFact::HalfLoadedUnsafe,
            Rule::resync => EventFact::Resync(self.resync(node)),
            Rule::contents => EventFact::ContentsUnknown(self.cond(node)),
            Rule::waits => EventFact::WaitsForChanges,
            Rule::flushes => EventFact::Flushes(self.cond(node)),
            _ => return None,
        })
    }

    pub(super) fn erratum(&mut self, node: &ParseNode) -> Erratum {
        let body = one(node, Rule::erratum_body);
        Erratum {
            name: self.name(node),
            text: self.text(node),
            needs: self.cond(node),
            weakens: self.each(&body, Rule::weakens, Self::weakens),
            workarounds: self.each(&body, Rule::workaround, Self::workaround),
            span: self.span(node),
        }
    }

    fn weakens(&mut self, node: &ParseNode) -> Weakens {
        let lost = one(node, Rule::lost);
        let kinds = [
            (Rule::k_gone, Lost::Gone),
            (Rule::k_drained, Lost::Drained),
            (Rule::k_global, Lost::Global),
            (Rule::k_walk, Lost::Walk),
            (Rule::k_root, Lost::Root),
            (Rule::k_devices, Lost::Devices),
        ];
        let kind = kinds.iter().find(|&&(rule, _)| has(&lost, rule));
        Weakens {
            targets: self.names(node),
            caches: self.in_caches(node),
            space: first(node, Rule::for_space).map(|space| self.name(&space)),
            lost: Spanned {
                node: kind.map_or(Lost::Leaf, |&(_, kind)| kind),
                span: self.span(&lost),
            },
            on: first(node, Rule::on_cpus).map(|cpus| self.name(&cpus)),
            when: self.cond(node),
            span: self.span(node),
        }
    }

    fn workaround(&mut self, node: &ParseNode) -> Workaround {
        Workaround {
            after: has(node, Rule::k_after),
            targets: self.names(node),
            issue: self.each(node, Rule::issued, Self::issued),
            span: self.span(node),
        }
    }

    fn issued(&mut self, node: &ParseNode) -> Issued {
        Issued {
            name: self.name(node),
            with: self.each(node, Rule::setting, |builder, node| {
                let value = if let Some(number) = first(node, Rule::number) {
                    Setting::Number(builder.number(&number))
                } else {
                    let level = all(node, Rule::name).nth(1);
                    Setting::Level(builder.ident(&level.expect("the grammar demands a value")))
                };
                (builder.name(node), value)
            }),
        }
    }

    pub(super) fn policy(&mut self, node: &ParseNode) -> Policy {
        Policy {
            facts: self.facts(&one(node, Rule::policy_body), Self::policy_fact),
            span: self.span(node),
        }
    }

    fn policy_fact(&mut self, node: &ParseNode) -> Option<PolicyFact> {
        Some(match node.as_rule() {
            Rule::shootdown => {
                let cases = one(node, Rule::shootdowns);
                PolicyFact::Shootdown(self.cases(&cases, Rule::shootdown_case, Self::shootdown))
            }
            Rule::strides => PolicyFact::Strides(self.names(node)),
            Rule::gather => PolicyFact::Gather {
                pages_batched: first(node, Rule::gather_pages)
                    .map(|pages| self.flag(&pages, Rule::k_batched)),
                tables_deferred: first(node, Rule::gather_tables)
                    .map(|tables| self.flag(&tables, Rule::k_deferred)),
            },
            Rule::lazy => {
                let how = one(node, Rule::lazy_how);
                PolicyFact::LazyRefcounted(self.flag(&how, Rule::k_refcounted))
            }
            Rule::kernel_faults => PolicyFact::KernelFaultsFixed,
            Rule::ceiling => {
                let pages = first(node, Rule::pages);
                let (cases, case) = match &pages {
                    Some(pages) => (pages.clone(), Rule::pages_case),
                    None => (one(node, Rule::operations), Rule::operations_case),
                };
                PolicyFact::Ceiling {
                    count: self.cases(&cases, case, |builder, node| {
                        let of = first(node, Rule::ceiling_of).map(|of| {
                            if has(&of, Rule::k_here) {
                                CeilingOf::Here
                            } else {
                                CeilingOf::Space(builder.name(&of))
                            }
                        });
                        (builder.amount(node), of)
                    }),
                    pages: pages.is_some(),
                }
            }
            _ => return None,
        })
    }

    fn shootdown(&mut self, node: &ParseNode) -> Spanned<Shootdown> {
        let by = one(node, Rule::shootdown_by);
        let shootdown = if has(&by, Rule::k_broadcast) {
            Shootdown::Broadcast
        } else {
            Shootdown::Ipi
        };
        Spanned {
            node: shootdown,
            span: self.span(&by),
        }
    }

    /// Returns whether a node contains the keyword.
    fn flag(&self, node: &ParseNode, keyword: Rule) -> Spanned<bool> {
        Spanned {
            node: has(node, keyword),
            span: self.span(node),
        }
    }
}
