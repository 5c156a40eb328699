//! Facts that no manual confirms.

use super::scope::{Lower, of_kind};
use crate::ast::{Ident, Item};
use crate::model::{Erratum, Instr, Subject, Unconfirmed};

/// The parts of a definition that have no name.
const PARTS: [&str; 6] = [
    "caches",
    "change",
    "switch",
    "return_to_user",
    "cpu_online",
    "atomics",
];

impl Lower {
    pub(super) fn lower_unconfirmed(
        &mut self,
        items: &[Item],
        errata: &[Erratum],
    ) -> Vec<Unconfirmed> {
        let mut out = Vec::new();
        for it in of_kind!(items, Unconfirmed) {
            self.repeated_names(&it.about);
            let about = it.about.iter();
            out.push(Unconfirmed {
                about: about.filter_map(|it| self.subject(it, errata)).collect(),
                text: it.text.node.clone(),
                span: it.span,
            });
        }
        out
    }

    fn subject(&mut self, ident: &Ident, errata: &[Erratum]) -> Option<Subject> {
        let name = ident.node.as_str();
        let invalidate = self.invalidates.place(name);
        let barrier = self.barriers.place(name);
        let load = self.loads.place(name);
        let erratum = errata.iter().position(|it| it.named.name == name);
        let part = PARTS.into_iter().find(|part| *part == name);
        let instr = invalidate.map(Instr::Invalidate);
        let instr = instr.or(barrier.map(Instr::Barrier)).map(Subject::Instr);
        let found = instr.or(load.map(Subject::Load));
        let found = found.or(erratum.map(Subject::Erratum));
        let found = found.or(part.map(Subject::Part));
        if found.is_none() {
            let named = [&self.invalidates, &self.barriers, &self.loads];
            let named = named.into_iter().flat_map(|list| list.iter());
            let named = named.map(|it| it.name.clone());
            let errata = errata.iter().map(|it| it.named.name.clone());
            let known: Vec<String> = named.chain(errata).collect();
            let known = known.iter().map(String::as_str).chain(PARTS);
            self.unknown("instruction, load, erratum or part", ident, known);
        }
        found
    }
}
