//! Errata: what they take from instructions, and their workarounds.

use tlbc_runtime::request::Space;

use super::scope::{Lower, of_kind};
use crate::ast::{self, Ident, Item};
use crate::model::{At, DefinitionName, Erratum, Instr, Issued, Weakens, Workaround};
use crate::source::Span;

impl Lower {
    pub(super) fn lower_errata(&mut self, items: &[Item]) -> Vec<Erratum> {
        let named = self.names(
            "erratum",
            of_kind!(items, Erratum).map(|e| (&e.name, e.text.node.as_str())),
        );
        self.flags_share_a_name(&named);
        let mut out = Vec::new();
        for (it, named) in of_kind!(items, Erratum).zip(named.to_vec()) {
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
    fn flags_share_a_name(&mut self, errata: &[DefinitionName]) {
        let kinds = [
            self.features.to_vec(),
            errata.to_vec(),
            self.geometries.to_vec(),
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

    /// Reports more flags, geometries or sets of CPUs than a configuration can have, and returns whether there are. The
    /// flags are features, errata, and all geometries except the first.
    pub(super) fn too_many_flags(&mut self, errata: &[Erratum]) -> bool {
        const MOST: [(usize, &str); 3] = [
            (8, "geometries"),
            (32, "features, errata and geometries after the first"),
            (8, "sets of CPUs"),
        ];
        let [features, geometries, sets] = [&self.features, &self.geometries, &self.cpu_sets]
            .map(|list| list.iter().map(|named| named.span).collect::<Vec<_>>());
        let errata: Vec<Span> = errata.iter().map(|e| e.named.span).collect();
        let further = geometries.get(1..).unwrap_or_default();
        let flags = [&features, &errata, further].concat();
        let lists = [geometries, flags, sets];
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
    pub(super) fn of_space(&mut self, name: &Ident) -> Option<Space> {
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
}
