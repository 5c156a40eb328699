//! From the AST to the model.
//!
//! In: an [`ast::Arch`]. Out: a [`Model`], and a diagnostic for every name that is not known, is
//! used twice or does not belong where it stands, and for every part that is missing. Holds
//! afterwards: what [`Model`] promises. A statement that cannot be resolved is left out, so that
//! one run reports as much as it can; without its essential parts there is no model.

mod events;
mod expand;
mod instructions;
mod machine;
mod operands;
mod spaces;

use crate::ast::{self, Ident, Item, Spanned};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{At, Cases, Cond, Event, Instr, Model, Named, Policy, Var};
use crate::source::Span;
use crate::spelling::nearest;

/// Resolves a definition.
pub fn lower(arch: &ast::Arch) -> (Option<Model>, Vec<Diagnostic>) {
    let mut cx = Lower::default();
    let items = cx.expand(&arch.items);
    cx.declare(&items);
    let model = cx.model(arch, &items);
    (model, cx.diagnostics)
}

/// What is known while a definition is resolved.
#[derive(Default)]
struct Lower {
    diagnostics: Vec<Diagnostic>,
    features: Vec<Named>,
    geometries: Vec<Named>,
    levels: Vec<Named>,
    limits: Vec<Named>,
    domains: Vec<(Named, tlbc_runtime::clause::Holders)>,
    tags: Vec<Named>,
    barriers: Vec<Named>,
    operands: Vec<Named>,
    invalidates: Vec<Named>,
    loads: Vec<Named>,
    cpu_sets: Vec<Named>,
    views: Vec<Named>,
}

/// Items of one kind, in order.
macro_rules! of_kind {
    ($items:expr, $kind:ident) => {
        $items.iter().filter_map(|item| match item {
            Item::$kind(it) => Some(it),
            _ => None,
        })
    };
}
use of_kind;

impl Lower {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Makes a list of names, reporting those that stand twice.
    fn names<'a>(
        &mut self,
        what: &str,
        names: impl Iterator<Item = (&'a Ident, &'a str)>,
    ) -> Vec<Named> {
        let mut list: Vec<Named> = Vec::new();
        for (ident, text) in names {
            if let Some(first) = list.iter().find(|named| named.name == ident.node) {
                let twice = Diagnostic::new(
                    Code::E0201,
                    ident.span,
                    format!("the {what} `{}` is defined twice", ident.node),
                );
                self.report(if first.span == ident.span {
                    twice
                        .label("defined again by each row of the `for`")
                        .help("put a variable of the `for` into the name")
                } else {
                    twice
                        .label("again here")
                        .because(first.span, "first here")
                        .help("give one of them another name, or join them")
                });
            }
            list.push(Named {
                name: ident.node.clone(),
                span: ident.span,
                text: text.to_owned(),
            });
        }
        list
    }

    /// Enters every name, so that order does not matter.
    fn declare(&mut self, items: &[Item]) {
        self.features = self.names(
            "feature",
            of_kind!(items, Feature).map(|f| (&f.name, f.text.node.as_str())),
        );
        self.geometries = self.names("geometry", of_kind!(items, Geometry).map(|g| (&g.name, "")));
        self.limits = self.names(
            "limit",
            of_kind!(items, Limit).map(|l| (&l.name, l.text.node.as_str())),
        );
        self.tags = self.names("tag", of_kind!(items, Tag).map(|t| (&t.name, "")));
        self.operands = self.names("operand", of_kind!(items, Operand).map(|o| (&o.name, "")));
        self.loads = self.names("load", of_kind!(items, Load).map(|l| (&l.name, "")));
        self.cpu_sets = self.names(
            "set of CPUs",
            of_kind!(items, Cpus).map(|s| (&s.name, s.text.node.as_str())),
        );
        let instructions = items.iter().filter_map(|item| match item {
            Item::Barrier(b) => Some((&b.name, "")),
            Item::Invalidate(i) => Some((&i.name, "")),
            _ => None,
        });
        self.names("instruction", instructions);
        let plain = |name: &Ident| Named {
            name: name.node.clone(),
            span: name.span,
            text: String::new(),
        };
        self.barriers = of_kind!(items, Barrier).map(|b| plain(&b.name)).collect();
        self.invalidates = of_kind!(items, Invalidate)
            .map(|i| plain(&i.name))
            .collect();
        self.declare_levels(items);
        self.declare_domains(items);
        if let Some(user) = of_kind!(items, Space).find(|s| s.name.node == "user") {
            self.views = self.names("view", user.views.iter().map(|v| (&v.name, "")));
        }
    }

    /// The index of a name. One that is not known is reported, and taken for the nearest, so that
    /// nothing else is said about what was likely meant.
    fn find(&mut self, what: &str, list: &[Named], ident: &Ident) -> Option<usize> {
        let position = |name: &str| list.iter().position(|named| named.name == name);
        position(&ident.node).or_else(|| {
            let known: Vec<&str> = list.iter().map(|named| named.name.as_str()).collect();
            self.unknown(what, ident, known.iter().copied());
            position(nearest(&ident.node, known.iter().copied())?)
        })
    }

    fn unknown<'a>(&mut self, what: &str, ident: &Ident, known: impl Iterator<Item = &'a str>) {
        let known: Vec<&str> = known.collect();
        let mut diagnostic = Diagnostic::new(
            Code::E0202,
            ident.span,
            format!("there is no {what} `{}`", ident.node),
        )
        .label("not defined");
        diagnostic = match nearest(&ident.node, known.iter().copied()) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None if known.is_empty() => {
                diagnostic.help(format!("this definition has no {what}; define one"))
            }
            None => diagnostic.help(format!("there are: {}", listed(&known))),
        };
        self.report(diagnostic);
    }

    /// A list lent out while `self` reports.
    fn with<T>(
        &mut self,
        list: impl Fn(&mut Self) -> &mut Vec<Named>,
        f: impl FnOnce(&mut Self, &[Named]) -> T,
    ) -> T {
        let names = std::mem::take(list(self));
        let result = f(self, &names);
        *list(self) = names;
        result
    }

    fn feature(&mut self, ident: &Ident) -> Option<usize> {
        self.with(|s| &mut s.features, |s, l| s.find("feature", l, ident))
    }

    fn barrier(&mut self, ident: &Ident) -> Option<usize> {
        self.with(|s| &mut s.barriers, |s, l| s.find("barrier", l, ident))
    }

    fn load(&mut self, ident: &Ident) -> Option<usize> {
        self.with(|s| &mut s.loads, |s, l| s.find("load", l, ident))
    }

    fn level(&mut self, ident: &Ident) -> Option<usize> {
        self.with(|s| &mut s.levels, |s, l| s.find("level", l, ident))
    }

    fn instruction(&mut self, ident: &Ident) -> Option<Instr> {
        let by_name = |list: &[Named]| list.iter().position(|n| n.name == ident.node);
        if let Some(barrier) = by_name(&self.barriers) {
            return Some(Instr::Barrier(barrier));
        }
        if let Some(invalidate) = by_name(&self.invalidates) {
            return Some(Instr::Invalidate(invalidate));
        }
        let known: Vec<String> = self
            .barriers
            .iter()
            .chain(&self.invalidates)
            .map(|n| n.name.clone())
            .collect();
        self.unknown("instruction", ident, known.iter().map(String::as_str));
        None
    }

    /// A condition. `extra` are the words beside features and geometries that it may use.
    /// A geometry may shape tables and operands, but what is flushed is planned for all of them at once.
    fn cond(&mut self, cond: Option<&ast::Cond>, extra: &[(&str, Var)]) -> Cond {
        let mut cond = self.cond_with_geometry(cond, extra);
        cond.terms.retain(|term| {
            let of_geometry = matches!(term.value.0, Var::Geometry(_));
            if of_geometry {
                self.misplaced(
                    term.span,
                    "this cannot depend on the page size".to_owned(),
                    "plans serve every geometry alike: only levels, operand fields, addresses and ceilings may differ",
                );
            }
            !of_geometry
        });
        cond
    }

    fn cond_with_geometry(&mut self, cond: Option<&ast::Cond>, extra: &[(&str, Var)]) -> Cond {
        let mut terms = Vec::new();
        for term in cond.into_iter().flat_map(|cond| &cond.terms) {
            let name = &term.name.node;
            let var = if let Some(i) = self.features.iter().position(|f| f.name == *name) {
                Some(Var::Feature(i))
            } else if let Some(i) = self.geometries.iter().position(|g| g.name == *name) {
                Some(Var::Geometry(i))
            } else if let Some((_, var)) = extra.iter().find(|(word, _)| word == name) {
                Some(*var)
            } else {
                self.feature(&term.name).map(Var::Feature)
            };
            if let Some(var) = var {
                terms.push(At {
                    value: (var, !term.negated),
                    span: term.name.span,
                });
            }
        }
        Cond { terms }
    }

    fn cases<T, U>(
        &mut self,
        cases: &ast::Cases<T>,
        by_geometry: bool,
        mut value: impl FnMut(&mut Self, &T) -> Option<U>,
    ) -> Cases<U> {
        let mut out = Vec::new();
        for (case, when) in &cases.cases {
            let when = if by_geometry {
                self.cond_with_geometry(when.as_ref(), &[])
            } else {
                self.cond(when.as_ref(), &[])
            };
            if let Some(value) = value(self, case) {
                out.push((value, when));
            }
        }
        Cases {
            cases: out,
            span: cases.span,
        }
    }

    /// The one fact of a kind: reports the second and keeps the first.
    fn once<T>(&mut self, slot: &mut Option<At<T>>, what: &str, value: T, span: Span) {
        if let Some(first) = slot {
            let first = first.span;
            self.said_twice(what, span, first);
        } else {
            *slot = Some(At { value, span });
        }
    }

    fn said_twice(&mut self, what: &str, span: Span, first: Span) {
        self.report(
            Diagnostic::new(Code::E0204, span, format!("{what} is stated twice"))
                .label("again here")
                .because(first, "first here")
                .help("keep one of the two"),
        );
    }

    fn missing(&mut self, span: Span, what: &str, help: &str) {
        self.report(
            Diagnostic::new(Code::E0203, span, format!("{what} is missing"))
                .label("not said in here")
                .help(help),
        );
    }

    fn misplaced(&mut self, span: Span, message: String, help: &str) {
        self.report(
            Diagnostic::new(Code::E0207, span, message)
                .label("not possible here")
                .help(help),
        );
    }

    /// The one item of a kind.
    fn single<'a, T>(
        &mut self,
        arch: &ast::Arch,
        what: &str,
        help: &str,
        items: impl Iterator<Item = &'a T>,
        span: impl Fn(&T) -> Span,
    ) -> Option<&'a T> {
        let mut first: Option<&'a T> = None;
        for item in items {
            match first {
                Some(first) => self.said_twice(what, span(item), span(first)),
                None => first = Some(item),
            }
        }
        if first.is_none() {
            self.missing(arch.name.span, what, help);
        }
        first
    }

    fn model(&mut self, arch: &ast::Arch, items: &[Item]) -> Option<Model> {
        let target = self.single(
            arch,
            "`target_arch`",
            "name the architecture as Rust does: `target_arch \"...\";`",
            of_kind!(items, TargetArch),
            |t: &Spanned<ast::Text>| t.span,
        );
        let caches = self.single(
            arch,
            "`caches`",
            "say what the machine may remember: `caches { tlb holds leaf, walk; ... }`",
            of_kind!(items, Caches),
            |c: &ast::Caches| c.span,
        );
        let policy = self.single(
            arch,
            "`policy`",
            "state how others are told and when entries are no longer flushed one by one: `policy { ... }`",
            of_kind!(items, Policy),
            |p: &ast::Policy| p.span,
        );
        let change = self.single(
            arch,
            "`change`",
            "say how an entry may be changed: `change { plain store; }`",
            of_kind!(items, Change),
            |c: &ast::Change| c.span,
        );
        for space in of_kind!(items, Space) {
            if !["user", "kernel"].contains(&space.name.node.as_str()) {
                self.unknown("space", &space.name, ["user", "kernel"].into_iter());
            }
        }
        let user = self.space_named(arch, items, "user");
        let kernel = self.space_named(arch, items, "kernel");
        let geometries = self.lower_geometries(arch, items);
        let features = self.lower_features(items);
        let limits = self.lower_limits(items);
        let tags = self.lower_tags(items);
        let barriers = self.lower_barriers(items);
        let operands = self.lower_operands(items);
        let invalidates = self.lower_invalidates(items);
        let loads = self.lower_loads(items);
        let errata = self.lower_errata(items);
        let switch = self.event(arch, items, ast::EventKind::Switch);
        let resume = self.event(arch, items, ast::EventKind::Resume);
        let arrive = self.event(arch, items, ast::EventKind::Arrive);
        let mut assumed = None;
        for text in of_kind!(items, Assumed) {
            self.once(
                &mut assumed,
                "`publishes assumed`",
                text.node.node.clone(),
                text.span,
            );
        }
        let caches = caches.map(|c| self.lower_caches(c));
        let change = change.map(|c| self.lower_change(c));
        let policy: Option<Policy> = policy.map(|p| self.lower_policy(p));
        let user = user.map(|s| self.lower_space(s));
        let kernel = kernel.map(|s| self.lower_space(s));
        if geometries.is_empty() || self.too_many_flags(&errata) {
            return None;
        }
        Some(Model {
            arch: Named {
                name: arch.name.node.clone(),
                span: arch.name.span,
                text: String::new(),
            },
            doc: arch.doc.clone(),
            target_arch: target.map(|t| At {
                value: t.node.node.clone(),
                span: t.span,
            })?,
            geometries,
            levels: self.levels.clone(),
            caches: caches?,
            features,
            errata,
            limits,
            tags,
            user: user?,
            kernel: kernel?,
            assumed,
            barriers,
            operands,
            invalidates,
            loads,
            change: change?,
            switch: switch?,
            resume: resume.unwrap_or(Event {
                loads: Vec::new(),
                half_loaded_unsafe: None,
                resync: None,
                contents_unknown: None,
                span: arch.name.span,
            }),
            arrive: arrive?,
            cpu_sets: self.cpu_sets.clone(),
            policy: policy?,
        })
    }

    fn space_named<'a>(
        &mut self,
        arch: &ast::Arch,
        items: &'a [Item],
        name: &str,
    ) -> Option<&'a ast::Space> {
        self.single(
            arch,
            &format!("`space {name}`"),
            "say under which tags its entries are cached: `space ... { addresses ...; leaf ...; walk ...; }`",
            of_kind!(items, Space).filter(|s| s.name.node == name),
            |s: &ast::Space| s.span,
        )
    }
}

/// `a`, `b` and `c`
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}
