//! The names that a definition makes, entered before any of them is used, so that their order does not matter.

use rustc_hash::FxHashMap;

use super::list::NameList;
use super::scope::{Lower, of_kind};
use crate::ast::{Ident, Item};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::DefinitionName;

impl Lower {
    /// Makes a list of names, and reports repeated ones.
    pub(super) fn names<'a>(
        &mut self,
        what: &str,
        names: impl Iterator<Item = (&'a Ident, &'a str)>,
    ) -> NameList {
        let mut list: Vec<DefinitionName> = Vec::new();
        let mut firsts: FxHashMap<&str, usize> = FxHashMap::default();
        for (ident, text) in names {
            let has_variable = ident.node.contains('{');
            let first = firsts.get(ident.node.as_str()).map(|&first| &list[first]);
            if let Some(first) = first.filter(|_| !has_variable) {
                let twice = |span| {
                    let message = format!("the {what} `{}` is defined twice", ident.node);
                    Diagnostic::new(Code::E0201, span, message)
                };
                let row = self.origins.get(&(ident.span, ident.node.clone()));
                self.report(match row {
                    Some(&row) if first.span == ident.span => twice(row)
                        .label("the same value as in another row")
                        .because(ident.span, "both rows make it here")
                        .help("give the rows different values"),
                    None if first.span == ident.span => twice(ident.span)
                        .label("defined again by each row of the `for`")
                        .help("put a variable of the `for` into the name"),
                    _ => twice(ident.span)
                        .label("again here")
                        .because(first.span, "first here")
                        .help("give one of them another name, or join them"),
                });
            }
            firsts.entry(&ident.node).or_insert(list.len());
            list.push(DefinitionName {
                name: ident.node.clone(),
                span: ident.span,
                text: text.to_owned(),
            });
        }
        list.into()
    }

    /// Enters every name, so that their order does not matter.
    pub(super) fn declare(&mut self, items: &[Item]) {
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
            of_kind!(items, CpuSet).map(|s| (&s.name, s.text.node.as_str())),
        );
        self.barriers = self.names("barrier", of_kind!(items, Barrier).map(|b| (&b.name, "")));
        self.invalidates = self.names(
            "invalidation",
            of_kind!(items, Invalidate).map(|i| (&i.name, "")),
        );
        let barriers = self.barriers.iter().rev().cloned();
        let barriers: FxHashMap<String, DefinitionName> =
            barriers.map(|it| (it.name.clone(), it)).collect();
        let invalidates = self.invalidates.clone();
        for invalidate in invalidates.iter() {
            if let Some(barrier) = barriers.get(&invalidate.name) {
                let message = format!(
                    "`{}` is the name of a barrier and of an invalidation",
                    barrier.name
                );
                let both = [
                    (barrier.span, "a barrier here"),
                    (invalidate.span, "an invalidation here"),
                ];
                let [first, second] = if barrier.span < invalidate.span {
                    both
                } else {
                    [both[1], both[0]]
                };
                self.report(
                    Diagnostic::new(Code::E0201, second.0, message)
                        .label(second.1)
                        .because(first.0, first.1)
                        .help("give one of them another name"),
                );
            }
        }
        self.unclear_conditions();
        self.declare_levels(items);
        self.declare_domains(items);
        self.declare_caches(items);
        // Also those of a space whose name is misspelt.
        let spaces = of_kind!(items, Space).filter(|space| space.name.node != "kernel");
        let views = spaces.flat_map(|space| &space.views);
        self.views = self.names("view", views.map(|view| (&view.name, "")));
    }
}
