//! Geometries, levels, caches, features, limits and domains.

use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::LEVELS;

use super::scope::{Lower, of_kind};
use crate::ast::{self, AGENTS, Ident, Item};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{At, DefinitionName, Domain, Feature, Geometry, Known, Level, Limit, Var};
use crate::source::Span;
use crate::spelling::nearest;

/// Fewer bytes than in the page of any machine: numbers of KiB whose unit is missing.
const LEAST_PAGE: u64 = 128;

/// The agents that [`AGENTS`] names.
const PREDEFINED: [Agents; AGENTS.len()] =
    [Agents::SELF, Agents::CORE, Agents::CPUS, Agents::DEVICE];

impl Lower {
    /// Orders the level names of all geometries from the leaf up: each geometry lists them so, and
    /// one without a level does not determine its place.
    pub(super) fn declare_levels(&mut self, items: &[Item]) {
        let mut order: Vec<DefinitionName> = Vec::new();
        for geometry in of_kind!(items, Geometry) {
            let levels = self.names("level", geometry.levels.iter().map(|l| (&l.name, "")));
            let mut at = 0;
            for level in levels.iter().cloned() {
                let position = order.iter().position(|known| known.name == level.name);
                if let Some(position) = position {
                    at = position + 1;
                } else {
                    order.insert(at, level);
                    at += 1;
                }
            }
        }
        if order.len() > LEVELS {
            self.misplaced(
                order[LEVELS].span,
                format!(
                    "there are {} levels; at most {LEVELS} can be described",
                    order.len()
                ),
                "give the same level the same name in every geometry",
            );
            order.truncate(LEVELS);
        }
        self.levels = order.into();
    }

    pub(super) fn declare_domains(&mut self, items: &[Item]) {
        let domains: Vec<&ast::Domain> = of_kind!(items, Domain).collect();
        self.names("domain", domains.iter().map(|d| (&d.name, "")));
        for domain in domains {
            self.repeated_names(&domain.members);
            let mut agents = Agents::NONE;
            for member in &domain.members {
                if let Some(more) = self.agents(member) {
                    agents = agents.union(more);
                }
            }
            let named = DefinitionName {
                name: domain.name.node.clone(),
                span: domain.name.span,
                text: String::new(),
            };
            self.domains.push(Domain {
                named,
                agents,
                used: false,
            });
        }
    }

    /// Returns the agents of `self`, `core`, `cpus`, `devices` or a domain.
    pub(super) fn agents(&mut self, ident: &Ident) -> Option<Agents> {
        self.agents_of(&ident.node).or_else(|| {
            let domains = self.domains.iter().map(|it| it.named.name.clone());
            let known = AGENTS.iter().map(|name| (*name).to_owned());
            let known: Vec<String> = known.chain(domains).collect();
            let names = || known.iter().map(String::as_str);
            self.unknown("reach or domain", ident, names());
            self.agents_of(nearest(&ident.node, names())?)
        })
    }

    /// Returns the agents of a name that is defined; a domain is used then.
    fn agents_of(&mut self, name: &str) -> Option<Agents> {
        if let Some(predefined) = AGENTS.iter().position(|known| *known == name) {
            return Some(PREDEFINED[predefined]);
        }
        let domain = self.domains.iter_mut().find(|it| it.named.name == name)?;
        domain.used = true;
        Some(domain.agents)
    }

    /// Returns the agents on which an invalidation acts: `given`, or those that have another name.
    pub(super) fn acts_on(&mut self, ident: &Ident) -> Option<Agents> {
        if ident.node == "given" {
            return Some(Agents::OTHERS);
        }
        self.agents(ident)
    }

    pub(super) fn lower_geometries(&mut self, arch: &ast::Arch, items: &[Item]) -> Vec<Geometry> {
        let mut out = Vec::new();
        for it in of_kind!(items, Geometry) {
            if let Some(geometry) = self.geometry(it) {
                out.push(geometry);
            }
        }
        if out.is_empty() && of_kind!(items, Geometry).next().is_none() {
            self.lacks(
                arch.name.span,
                &format!("the definition `{}`", arch.name.node),
                "`geometry`",
                "state the page size and the levels of tables: `geometry g4k { page 4 KiB; levels { ... } }`",
            );
        }
        out
    }

    fn geometry(&mut self, it: &ast::Geometry) -> Option<Geometry> {
        let mut page = None;
        for number in &it.page {
            self.once(&mut page, "`page`", number.node, number.span);
        }
        let mut granule = None;
        for number in &it.granule {
            self.once(&mut granule, "`granule`", number.node, number.span);
        }
        let Some(page) = page else {
            self.missing(
                it.name.span,
                &format!("the geometry `{}`", it.name.node),
                "how large a page is",
                "add, for instance, `page 4 KiB;`",
            );
            return None;
        };
        if page.value < LEAST_PAGE {
            self.misplaced(
                page.span,
                format!("a page of {} bytes holds no table", page.value),
                &format!(
                    "a number without a unit counts bytes: write, for instance, `{} KiB`",
                    page.value
                ),
            );
            return None;
        }
        if !page.value.is_power_of_two() {
            self.misplaced(
                page.span,
                format!("a page of {} bytes is not a power of two", page.value),
                "page sizes are powers of two",
            );
            return None;
        }
        let root_bits = self.root_bits(&it.root_within);
        let root_shift = self.root_shift(&it.root_aligned);
        let mut tops = Vec::new();
        for (index, top) in it.tops.iter().enumerate() {
            if index > 0 {
                self.said_twice("`top`", top.span, it.tops[0].span);
            }
            self.repeated_names(&top.node);
            tops.extend(top.node.iter().filter_map(|name| self.level(name)));
        }
        let mut levels = vec![None; self.levels.len()];
        for level in &it.levels {
            let shift = self.cases(&level.shift, true, |cx, number| {
                let shift = u32::try_from(number.node).ok();
                let shift = shift.filter(|shift| *shift < 64);
                if shift.is_none() {
                    cx.misplaced(
                        number.span,
                        format!("no entry reaches 2^{} bytes", number.node),
                        "write the log2 of the bytes that one entry reaches; addresses have 64 bits",
                    );
                }
                shift
            });
            let hint = level.hint.as_ref();
            if let Some(index) = self.levels.place(&level.name.node) {
                levels[index] = Some(Level {
                    shift,
                    leaf: level
                        .leaf
                        .as_ref()
                        .map(|leaf| self.cond(leaf.node.as_ref(), &[])),
                    hint: hint.map(|number| At {
                        value: number.node,
                        span: number.span,
                    }),
                    span: level.span,
                });
            }
        }
        if it.levels.is_empty() {
            self.lacks(
                it.name.span,
                &format!("the geometry `{}`", it.name.node),
                "`levels`",
                "list them from the leaf up: `levels { pte 12 leaf; ... }`",
            );
            return None;
        }
        Some(Geometry {
            named: DefinitionName {
                name: it.name.node.clone(),
                span: it.name.span,
                text: String::new(),
            },
            page_shift: page.value.trailing_zeros(),
            granule,
            root_bits,
            root_shift,
            levels,
            tops,
        })
    }

    pub(super) fn lower_features(&mut self, items: &[Item]) -> Vec<Feature> {
        let mut out = Vec::new();
        for (it, named) in of_kind!(items, Feature).zip(self.features.to_vec()) {
            out.push(Feature {
                named,
                known: it.known.as_ref().map_or(Known::Boot, |known| known.node),
                from: it.from.as_ref().and_then(|from| self.read_from(it, from)),
                needs: self.cond(it.needs.as_ref(), &[]),
            });
        }
        self.circles(&out);
        out
    }

    /// Reports features that need themselves through others: each circle once.
    fn circles(&mut self, features: &[Feature]) {
        let mut reported = vec![false; features.len()];
        for start in 0..features.len() {
            let mut seen = vec![false; features.len()];
            let Some(circle) = way(features, start, start, &mut seen) else {
                continue;
            };
            if circle.iter().any(|&(feature, _)| reported[feature]) {
                continue;
            }
            let named = &features[start].named;
            let mut diagnostic = Diagnostic::new(
                Code::E0206,
                named.span,
                format!("the feature `{}` needs itself", named.name),
            )
            .label("part of a circle")
            .help("remove one `needs` of the circle");
            for (feature, span) in circle {
                reported[feature] = true;
                let name = &features[feature].named.name;
                diagnostic = diagnostic.because(span, format!("needed by `{name}`"));
            }
            self.report(diagnostic);
        }
    }

    pub(super) fn lower_limits(&mut self, items: &[Item]) -> Vec<Limit> {
        let mut out = Vec::new();
        for (it, named) in of_kind!(items, Limit).zip(self.limits.to_vec()) {
            let (least, most) = (it.range.0.node, it.range.1.node);
            if least == 0 || least > most || most > u64::from(u32::MAX) {
                self.misplaced(
                    it.range.0.span.to(it.range.1.span),
                    format!("a limit from {least} to {most} is not possible"),
                    "a limit is at least 1 and fits 32 bits, and the first number is the least",
                );
            }
            let from = it.from.as_ref().and_then(|from| self.limit_from(from));
            out.push(Limit {
                named,
                least,
                most,
                from,
            });
        }
        out
    }
}

/// Returns the features from one to another, each with the words by which it needs the next.
fn way(
    features: &[Feature],
    from: usize,
    to: usize,
    seen: &mut [bool],
) -> Option<Vec<(usize, Span)>> {
    for term in &features[from].needs.terms {
        let (Var::Feature(next), true) = term.value else {
            continue;
        };
        if next == to {
            return Some(vec![(from, term.span)]);
        }
        if !std::mem::replace(&mut seen[next], true)
            && let Some(mut rest) = way(features, next, to, seen)
        {
            rest.insert(0, (from, term.span));
            return Some(rest);
        }
    }
    None
}
