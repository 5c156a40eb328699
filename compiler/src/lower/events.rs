//! Errata, changes of entries, events and the policy.

use tlbc_runtime::request::{Reach, Space};

use super::scope::{Lower, of_kind};
use crate::ast::{self, EventFact, EventKind, Ident, Item, PolicyFact};
use crate::model::{
    Aspect, At, Cases, Ceiling, Change, Erratum, Event, Instr, Issued, Loads, Named, Policy,
    Weakens, Workaround,
};
use crate::source::Span;

impl Lower {
    pub(super) fn lower_errata(&mut self, items: &[Item]) -> Vec<Erratum> {
        let named = self.names(
            "erratum",
            of_kind!(items, Erratum).map(|e| (&e.name, e.text.node.as_str())),
        );
        self.flags_share_a_name(&named);
        let mut out = Vec::new();
        for (it, named) in of_kind!(items, Erratum).zip(named) {
            let weakens = it.weakens.iter().flat_map(|w| self.weakens(w)).collect();
            let workarounds = it
                .workarounds
                .iter()
                .flat_map(|r| self.workaround(r))
                .collect();
            if it.weakens.is_empty() {
                self.missing(
                    it.name.span,
                    &format!("the erratum `{}`", it.name.node),
                    "what it weakens",
                    "add, for instance, `weakens` a barrier `: not drained;`",
                );
            }
            out.push(Erratum {
                named,
                needs: self.cond(it.needs.as_ref(), &[]),
                weakens,
                workarounds,
            });
        }
        out
    }

    /// Reports names that two of features, errata and geometries share: all of them become flags of a configuration.
    fn flags_share_a_name(&mut self, errata: &[Named]) {
        let kinds = [
            self.features.clone(),
            errata.to_vec(),
            self.geometries.clone(),
        ];
        for (index, kind) in kinds.iter().enumerate() {
            for flag in kind {
                let mut others = kinds[..index].iter().flatten();
                if let Some(first) = others.find(|other| other.name == flag.name) {
                    self.said_twice(&format!("the name `{}`", flag.name), flag.span, first.span);
                }
            }
        }
    }

    /// Reports more features, errata, geometries or sets of CPUs than a configuration can have, and returns whether
    /// there are.
    pub(super) fn too_many_flags(&mut self, errata: &[Erratum]) -> bool {
        const MOST: [(usize, &str); 4] = [
            (16, "features"),
            (8, "errata"),
            (8, "geometries"),
            (8, "sets of CPUs"),
        ];
        let [features, geometries, sets] = [&self.features, &self.geometries, &self.cpu_sets]
            .map(|list| list.iter().map(|named| named.span).collect::<Vec<_>>());
        let errata: Vec<Span> = errata.iter().map(|e| e.named.span).collect();
        let lists = [features, errata, geometries, sets];
        let beyond = MOST
            .iter()
            .zip(&lists)
            .find_map(|((most, what), spans)| Some((most, what, *spans.get(*most)?)));
        if let Some((most, what, span)) = beyond {
            self.misplaced(
                span,
                format!("there are more than {most} {what}"),
                "remove those on which no instruction depends, or split the definition",
            );
        }
        beyond.is_some()
    }

    /// Returns the barrier or invalidation of a name.
    fn target(&mut self, name: &Ident) -> Option<At<Instr>> {
        Some(At {
            value: self.instruction(name)?,
            span: name.span,
        })
    }

    /// Returns the space of a word: `user` or `kernel`.
    fn of_space(&mut self, name: &Ident) -> Option<Space> {
        match name.node.as_str() {
            "user" => Some(Space::User),
            "kernel" => Some(Space::Kernel),
            _ => {
                self.unknown("space", name, super::scope::SPACES.into_iter());
                None
            }
        }
    }

    /// Returns one for each target.
    fn weakens(&mut self, it: &ast::Weakens) -> Vec<Weakens> {
        let space = it.space.as_ref().map(|name| self.of_space(name));
        let on = it
            .on
            .as_ref()
            .map(|name| self.with(|s| &mut s.cpu_sets, |s, l| s.find("set of CPUs", l, name)));
        self.repeated_names(&it.targets);
        let (caches, when) = (self.caches(&it.caches), self.cond(it.when.as_ref(), &[]));
        let (Some(space), Some(on)) = (
            space.map_or(Some(None), |s| s.map(Some)),
            on.map_or(Some(None), |o| o.map(Some)),
        ) else {
            return Vec::new();
        };
        let targets = it.targets.iter().filter_map(|name| self.target(name));
        let weakens = targets.map(|target| Weakens {
            target,
            space,
            lost: At {
                value: it.lost.node,
                span: it.lost.span,
            },
            caches,
            on,
            when: when.clone(),
        });
        weakens.collect()
    }

    /// Returns one for each target.
    fn workaround(&mut self, it: &ast::Workaround) -> Vec<Workaround> {
        self.repeated_names(&it.targets);
        let issue: Vec<Issued> = it.issue.iter().filter_map(|i| self.issued(i)).collect();
        let targets = it.targets.iter().filter_map(|name| self.target(name));
        let workarounds = targets.map(|target| Workaround {
            after: it.after,
            target,
            issue: issue.clone(),
            span: it.span,
        });
        workarounds.collect()
    }

    fn issued(&mut self, it: &ast::Issued) -> Option<Issued> {
        let mut out = Issued {
            instr: self.instruction(&it.name)?,
            with: Vec::new(),
            level: None,
        };
        for (source, value) in &it.with {
            match value {
                ast::Setting::Level(level) if source.node == "level" => {
                    out.level = Some(self.level(level)?);
                }
                ast::Setting::Level(level) => self.misplaced(
                    level.span,
                    format!("`{}` is set to a name", source.node),
                    "give it a number; only `level` is set to the name of a level",
                ),
                ast::Setting::Number(number) => {
                    let source = self.source(source)?;
                    out.with.push((source, number.node));
                }
            }
        }
        Some(out)
    }

    pub(super) fn lower_change(&mut self, it: &ast::Change) -> Change {
        let mut out = Change {
            plain_store: At {
                value: it.plain.as_ref().is_none_or(|plain| plain.node),
                span: it.plain.as_ref().map_or(it.span, |plain| plain.span),
            },
            deferred: it.deferred,
            software_bits: None,
            in_place: Vec::new(),
        };
        for bits in &it.software_bits {
            let levels = self.level_set(&bits.node);
            if out.plain_store.value && it.plain.is_none() && !self.is_known(bits.span) {
                continue;
            }
            if out.plain_store.value {
                self.misplaced(
                    bits.span,
                    "a plain store changes every bit of an entry".to_owned(),
                    "remove it, or state `by writers;`",
                );
            } else {
                let what = "which software bits a plain store changes";
                self.once(&mut out.software_bits, what, levels, bits.span);
            }
        }
        if it.plain.is_none() {
            self.missing(
                it.span,
                "`change`",
                "how an entry may be changed",
                "add `plain store;` or `by writers;`",
            );
        }
        for aspects in &it.aspects {
            if !out.plain_store.value {
                self.misplaced(
                    aspects.span,
                    "an instruction writes an entry and invalidates in one step, so there is nothing to state".to_owned(),
                    "remove it, or state `plain store;`",
                );
                continue;
            }
            let when = self.cond(aspects.when.as_ref(), &[]);
            self.repeated_names(&aspects.names);
            for name in &aspects.names {
                let Some(aspect) = self.aspect(name) else {
                    continue;
                };
                let case = (aspects.in_place, when.clone());
                match out.in_place.iter_mut().find(|(of, _)| *of == aspect) {
                    Some((_, cases)) => {
                        cases.cases.push(case);
                        cases.span = aspects.span;
                    }
                    None => out.in_place.push((
                        aspect,
                        Cases {
                            cases: vec![case],
                            span: aspects.span,
                        },
                    )),
                }
            }
        }
        out
    }

    fn aspect(&mut self, name: &Ident) -> Option<Aspect> {
        match name.node.as_str() {
            "output" => Some(Aspect::Output),
            "size" => Some(Aspect::Size),
            "attributes" => Some(Aspect::Attributes),
            "rights" => Some(Aspect::Rights),
            "merge" => {
                self.misplaced(
                    name.span,
                    "contiguity is one of the attributes of an entry".to_owned(),
                    "write `attributes`",
                );
                None
            }
            _ => {
                let known = ["output", "size", "attributes", "rights"];
                self.unknown("aspect", name, known.into_iter());
                None
            }
        }
    }

    pub(super) fn event(
        &mut self,
        arch: &ast::Arch,
        items: &[Item],
        kind: EventKind,
    ) -> Option<Event> {
        let (what, help) = match kind {
            EventKind::Switch => (
                "`switch`",
                "state what a CPU loads to switch to another space: `switch { loads ...; }`",
            ),
            EventKind::ReturnToUser => ("`return_to_user`", ""),
            EventKind::CpuOnline => (
                "`cpu_online`",
                "state what is known of the caches of a CPU that comes online: `cpu_online { contents unknown; }`",
            ),
        };
        let events = of_kind!(items, Event).filter(|e| e.kind.node == kind);
        if kind == EventKind::ReturnToUser && events.clone().next().is_none() {
            return None;
        }
        let it = self.single(arch, what, help, events, |e: &ast::Event| e.span)?;
        let mut event = Event {
            loads: Vec::new(),
            half_loaded_unsafe: None,
            resync: None,
            contents_unknown: None,
            waits_for_changes: None,
            span: it.span,
        };
        let (mut half_loaded, mut contents, mut waits) = (None, None, None);
        for fact in &it.facts {
            if let Some(of) = misplaced(kind, &fact.node) {
                self.misplaced(
                    fact.span,
                    format!("this statement belongs to {of}"),
                    "move it there, or remove it",
                );
                continue;
            }
            match &fact.node {
                EventFact::Loads { loads, view, when } => {
                    self.repeated_names(loads);
                    let loads = loads.iter().filter_map(|name| self.load(name)).collect();
                    let view = match view {
                        None => Some(0),
                        Some(name) => self.with(|s| &mut s.views, |s, l| s.find("view", l, name)),
                    };
                    let when = self.cond(when.as_ref(), &[]);
                    event.loads.extend(view.map(|view| Loads {
                        loads,
                        view,
                        when,
                        span: fact.span,
                    }));
                }
                EventFact::HalfLoadedUnsafe => {
                    self.once(&mut half_loaded, "`half loaded is unsafe`", (), fact.span);
                }
                EventFact::Resync(cases) => {
                    let resync = self.resync(cases);
                    match &event.resync {
                        Some(first) => self.said_twice("`resync`", fact.span, first.span),
                        None => event.resync = Some(resync),
                    }
                }
                EventFact::ContentsUnknown(when) => {
                    let when = self.cond(when.as_ref(), &[]);
                    self.once(&mut contents, "`contents unknown`", when, fact.span);
                }
                EventFact::WaitsForChanges => {
                    self.once(&mut waits, "`waits for changes`", (), fact.span);
                }
            }
        }
        event.contents_unknown = contents;
        event.half_loaded_unsafe = half_loaded.map(|at| at.span);
        event.waits_for_changes = waits.map(|at| at.span);
        Some(event)
    }

    pub(super) fn lower_policy(&mut self, it: &ast::Policy) -> Policy {
        let mut out = Policy {
            shootdown: None,
            strides: None,
            pages_batched: None,
            tables_deferred: None,
            lazy_refcounted: None,
            ceiling_operations: None,
            ceiling_pages: None,
            span: it.span,
        };
        for fact in &it.facts {
            match &fact.node {
                PolicyFact::Shootdown(cases) => {
                    if let Some(first) = &out.shootdown {
                        let first = first.span;
                        self.said_twice("`shootdown`", cases.span, first);
                        continue;
                    }
                    out.shootdown = Some(self.cases(cases, false, |_, d| {
                        Some(At {
                            value: d.node,
                            span: d.span,
                        })
                    }));
                }
                PolicyFact::Strides(names) => {
                    let set = self.level_set(names);
                    self.once(&mut out.strides, "`strides`", set, fact.span);
                }
                PolicyFact::Gather {
                    pages_batched,
                    tables_deferred,
                } => {
                    if let Some(it) = pages_batched {
                        let slot = &mut out.pages_batched;
                        self.once(slot, "`gather pages`", it.node, it.span);
                    }
                    if let Some(it) = tables_deferred {
                        let slot = &mut out.tables_deferred;
                        self.once(slot, "`gather tables`", it.node, it.span);
                    }
                }
                PolicyFact::LazyRefcounted(yes) => {
                    self.once(&mut out.lazy_refcounted, "`lazy`", yes.node, yes.span);
                }
                PolicyFact::Ceiling { count, pages } => {
                    let cases = self.cases(count, true, |cx, (number, of)| {
                        let (mut reach, mut space) = (None, None);
                        match of {
                            None => {}
                            Some(ast::CeilingOf::Here) => reach = Some(Reach::Here),
                            Some(ast::CeilingOf::Space(name)) => {
                                space = Some(cx.of_space(name)?);
                            }
                        }
                        Some(Ceiling {
                            count: cx.amount(number)?,
                            reach,
                            space,
                        })
                    });
                    let slot = if *pages {
                        &mut out.ceiling_pages
                    } else {
                        &mut out.ceiling_operations
                    };
                    if let Some(first) = slot {
                        let first = first.span;
                        self.said_twice("this `ceiling`", cases.span, first);
                    } else {
                        *slot = Some(cases);
                    }
                }
            }
        }
        out
    }
}

/// Returns the blocks to which a fact belongs, if not to this one.
fn misplaced(kind: EventKind, fact: &EventFact) -> Option<&'static str> {
    match (fact, kind) {
        (EventFact::ContentsUnknown(_), EventKind::Switch | EventKind::ReturnToUser) => {
            Some("`cpu_online`")
        }
        (EventFact::WaitsForChanges, EventKind::ReturnToUser | EventKind::CpuOnline) => {
            Some("`switch`")
        }
        (EventFact::Loads { .. } | EventFact::HalfLoadedUnsafe, EventKind::CpuOnline) => {
            Some("`switch` and `return_to_user`")
        }
        _ => None,
    }
}
