//! Changes of entries, and events.

use super::scope::{Lower, of_kind};
use crate::ast::{self, EventFact, EventKind, Ident, Item};
use crate::model::{Aspect, At, Cases, Change, Event, Loads};

impl Lower {
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
            flushes: None,
            span: it.span,
        };
        let (mut half_loaded, mut contents, mut waits, mut flushes) = (None, None, None, None);
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
                EventFact::Flushes(when) => {
                    let when = self.cond(when.as_ref(), &[]);
                    self.once(&mut flushes, "`flushes`", when, fact.span);
                }
            }
        }
        event.contents_unknown = contents;
        event.flushes = flushes;
        event.half_loaded_unsafe = half_loaded.map(|at| at.span);
        event.waits_for_changes = waits.map(|at| at.span);
        Some(event)
    }
}

/// Returns the blocks to which a fact belongs, if not to this one.
fn misplaced(kind: EventKind, fact: &EventFact) -> Option<&'static str> {
    match (fact, kind) {
        (EventFact::ContentsUnknown(_), EventKind::Switch | EventKind::ReturnToUser) => {
            Some("`cpu_online`")
        }
        (
            EventFact::WaitsForChanges | EventFact::Flushes(_),
            EventKind::ReturnToUser | EventKind::CpuOnline,
        ) => Some("`switch`"),
        (EventFact::Loads { .. } | EventFact::HalfLoadedUnsafe, EventKind::CpuOnline) => {
            Some("`switch` and `return_to_user`")
        }
        _ => None,
    }
}
