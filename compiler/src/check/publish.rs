//! Publishing: a change is visible to walkers before its flush.
//!
//! In: the barriers, the devices that walk, and what is assumed to publish. Out: E0411. Holds: in every configuration
//! a change, and a new entry, is published to every walker of the tables.

use tlbc_runtime::agents::Agents;

use super::configs::Configs;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Cond, Machine, Model};
use crate::source::Span;
use crate::text::list;

/// Checks E0411: a barrier publishes to all that walk the tables, or publishing is assumed.
pub fn published(model: &Model, found: &mut Vec<Diagnostic>) {
    if model.assumed.is_some() {
        return;
    }
    let configs = Configs::of(model, conds(model));
    for config in configs.iter() {
        let (wanted, span) = reached(model, config);
        let barriers = model.barriers.iter();
        let publishing: Vec<(Agents, Span)> = barriers
            .filter(|barrier| barrier.requires.holds(config))
            .filter_map(|barrier| barrier.publishes.map(|at| (at.value, at.span)))
            .collect();
        if publishing.iter().any(|(on, _)| on.covers(wanted)) {
            continue;
        }
        let widest = publishing.iter().max_by_key(|(on, _)| on.0.count_ones());
        let left = wanted.without(widest.map_or(Agents::NONE, |(on, _)| *on));
        let left: Vec<String> = left.iter().map(|h| Agents::name(h).to_owned()).collect();
        let mut diagnostic = Diagnostic::new(
            Code::E0411,
            span,
            format!(
                "no barrier publishes changes to the walkers of {}{}",
                list(&left, "and"),
                configs.when(config)
            ),
        )
        .label(if wanted.covers(Agents::DEVICE) {
            "walk its tables"
        } else {
            "all CPUs walk its tables"
        });
        if let Some((_, narrower)) = widest {
            diagnostic = diagnostic.because(*narrower, "publishes no further");
        }
        found.push(
            diagnostic
                .note("a walk that does not see the change yet fills the old entry again after the flush")
                .help("add a barrier that `publishes on` all of them, or say why none is needed: `publishes assumed \"...\";`"),
        );
        return;
    }
}

/// Returns the walkers of the tables in a configuration, and where they are stated. All CPUs are: other CPUs walk the
/// new entries of a space, whether they receive an IPI for a flush or not.
fn reached(model: &Model, config: impl Machine) -> (Agents, Span) {
    let spaces = [&model.user, &model.kernel];
    let devices = spaces.into_iter().find(|space| space.has_devices(config));
    match devices.and_then(|space| space.devices.as_ref()) {
        Some(devices) => (Agents::CPUS.union(Agents::DEVICE), devices.span),
        None => (Agents::CPUS, model.arch.span),
    }
}

fn conds(model: &Model) -> Vec<&Cond> {
    let barriers = model.barriers.iter().map(|barrier| &barrier.requires);
    let devices = [&model.user, &model.kernel].map(|space| space.devices.as_ref());
    let devices = devices.into_iter().flatten().map(|at| &at.value);
    barriers.chain(devices).collect()
}
