//! From the AST to the model.
//!
//! In: an [`ast::Arch`]. Out: a [`Model`], and a diagnostic for every name that is unknown, is
//! used twice or is not possible in its place, and for every part that is missing. Holds
//! afterwards: what [`Model`] promises. A statement that cannot be resolved is left out, and its item is
//! [unknown](Unknown), so that one run reports as much as it can and nothing that follows from another diagnostic;
//! without its essential parts there is no model.

mod caches;
mod declare;
mod drops;
mod errata;
mod events;
mod expand;
mod instructions;
mod invalidations;
mod list;
mod machine;
mod names;
mod needs;
mod operands;
mod physical;
mod policy;
mod registers;
mod resync;
mod scope;
mod spaces;
mod statements;
mod targets;
mod templates;
mod texts;
mod unconfirmed;

use crate::ast::{self, Item};
use crate::diagnostic::Diagnostic;
use crate::model::{At, DefinitionName, Event, Model, Policy, Unknown};
use crate::spelling::nearest;
use scope::{Lower, SPACES, UnreadNames, of_kind};

/// Resolves a definition.
pub fn lower(arch: &ast::Arch) -> (Option<Model>, Vec<Diagnostic>) {
    let mut cx = Lower {
        unread: UnreadNames::new(&arch.unread),
        unknown: Unknown::new(arch.flat_items().map(Item::span).collect()),
        ..Lower::default()
    };
    for error in &arch.unread {
        cx.unknown.add(error.span);
    }
    let items = cx.expand(&arch.items);
    cx.declare(&items);
    cx.texts(&items);
    let mut model = cx.model(arch, &items);
    cx.join_unknown_of_rows();
    if let Some(model) = &mut model {
        for label in cx.diagnostics.iter().flat_map(Diagnostic::labels) {
            cx.unknown.add(label.span);
        }
        model.unknown = cx.unknown;
    }
    (model, cx.diagnostics)
}

impl Lower {
    fn model(&mut self, arch: &ast::Arch, items: &[Item]) -> Option<Model> {
        let target = self.single(
            arch,
            "`target_arch`",
            "name the architecture as Rust does: `target_arch \"...\";`",
            of_kind!(items, TargetArch),
            |t: &ast::TargetArch| t.span,
        );
        if let Some(target) = target {
            self.known_target(target);
        }
        let caches = self.single(
            arch,
            "`caches`",
            "state what the machine may cache: `caches { tlb holds leaf, walk; ... }`",
            of_kind!(items, Caches),
            |c: &ast::Caches| c.span,
        );
        let policy = self.single(
            arch,
            "`policy`",
            "state how other CPUs are flushed, and the ceiling: `policy { ... }`",
            of_kind!(items, Policy),
            |p: &ast::Policy| p.span,
        );
        let change = self.single(
            arch,
            "`change`",
            "state how an entry may be changed: `change { plain store; }`",
            of_kind!(items, Change),
            |c: &ast::Change| c.span,
        );
        for space in of_kind!(items, Space) {
            if !SPACES.contains(&space.name.node.as_str()) {
                self.unknown("space", &space.name, SPACES.into_iter());
            }
        }
        let user = self.space_named(arch, items, "user");
        let kernel = self.space_named(arch, items, "kernel");
        let geometries = self.lower_geometries(arch, items);
        let features = self.lower_features(items);
        let limits = self.lower_limits(items);
        let table_bits = self.lower_table_bits(items);
        let entry_bytes = self.lower_entry_size(items);
        let mut setup = self.lower_setup(items);
        setup.extend(table_bits.iter().flat_map(physical::demands));
        setup.extend(physical::demands_of_roots(&geometries));
        let tags = self.lower_tags(items, &limits);
        let barriers = self.lower_barriers(items);
        let operands = self.lower_operands(items);
        let invalidates = self.lower_invalidates(items);
        let loads = self.lower_loads(items);
        let errata = self.lower_errata(items);
        let unconfirmed = self.lower_unconfirmed(items, &errata);
        let mut switch = self.event(arch, items, ast::EventKind::Switch);
        let mut return_to_user = self.event(arch, items, ast::EventKind::ReturnToUser);
        let mut cpu_online = self.event(arch, items, ast::EventKind::CpuOnline);
        let mut assumed = None;
        for text in of_kind!(items, Assumed) {
            self.once(
                &mut assumed,
                "`publishes assumed`",
                text.node.node.clone(),
                text.span,
            );
        }
        let mut atomics_order = None;
        for span in of_kind!(items, AtomicsOrder) {
            self.once(&mut atomics_order, "`atomics order everything`", (), *span);
        }
        let caches = caches.map(|c| self.lower_caches(c, &limits));
        let change = change.map(|c| self.lower_change(c));
        let policy: Option<Policy> = policy.map(|p| self.lower_policy(p));
        let walks = caches
            .as_ref()
            .is_some_and(|caches| caches.ever_hold(ast::CachedKind::Walk));
        let mut user = user.map(|s| self.lower_space(s, walks));
        let mut kernel = kernel.map(|s| self.lower_space(s, walks));
        self.resynced(
            [("`space user`", &mut user), ("`space kernel`", &mut kernel)],
            [
                ("`switch`", &mut switch),
                ("`return_to_user`", &mut return_to_user),
                ("`cpu_online`", &mut cpu_online),
            ],
            &barriers,
        );
        if geometries.is_empty() || self.too_many_flags(&errata) {
            return None;
        }
        Some(Model {
            arch: DefinitionName {
                name: arch.name.node.clone(),
                span: arch.name.span,
                text: String::new(),
            },
            doc: arch.doc.clone(),
            target_arch: target.map(|t| At {
                value: t.name.node.clone(),
                span: t.span,
            })?,
            register_bits: target.map_or(64, |t| targets::register_bits(&t.name.node)),
            geometries,
            levels: self.levels.to_vec(),
            caches: caches?,
            features,
            errata,
            limits,
            table_bits,
            entry_bytes,
            setup,
            domains: std::mem::take(&mut self.domains),
            tags,
            user: user?,
            kernel: kernel?,
            assumed,
            atomics_order,
            barriers,
            operands,
            level_numbers: std::mem::take(&mut self.level_numbers),
            invalidates,
            loads,
            change: change?,
            switch: switch?,
            return_to_user: return_to_user.unwrap_or(Event {
                loads: Vec::new(),
                half_loaded_unsafe: None,
                resync: None,
                contents_unknown: None,
                waits_for_changes: None,
                flushes: None,
                span: arch.name.span,
            }),
            cpu_online: cpu_online?,
            cpu_sets: self.cpu_sets.to_vec(),
            policy: policy?,
            unconfirmed,
            unknown: Unknown::default(),
        })
    }

    fn space_named<'a>(
        &mut self,
        arch: &ast::Arch,
        items: &'a [Item],
        name: &str,
    ) -> Option<&'a ast::Space> {
        let mut spaces = of_kind!(items, Space).map(|space| space.name.node.as_str());
        let is_meant = |other: &str| {
            let near = nearest(other, SPACES);
            !SPACES.contains(&other) && near.is_none_or(|near| near == name)
        };
        // Reported as an unknown name.
        if !spaces.clone().any(|other| other == name) && spaces.any(is_meant) {
            return None;
        }
        let help = if name == "kernel" {
            "state its addresses and the tags of its entries: `space ... { addresses ...; leaf ...; walk ...; }`; where these tables map no kernel, as those of a second stage of translation, it is what the hypervisor itself runs with"
        } else {
            "state its addresses and the tags of its entries: `space ... { addresses ...; leaf ...; walk ...; }`"
        };
        self.single(
            arch,
            &format!("`space {name}`"),
            help,
            of_kind!(items, Space).filter(|s| s.name.node == name),
            |s: &ast::Space| s.span,
        )
    }
}
