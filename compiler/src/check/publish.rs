//! Publishing: the walkers that a flush is for see the change first.
//!
//! In: the barriers, what instructions reach, and what is assumed to publish. Out: E0411. Holds: in every
//! configuration something publishes a change as far as a flush of it reaches.

use tlbc_runtime::clause::Holders;

use super::configs::Configs;
use super::listed;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{Cases, Config, Delivery, Model};
use crate::source::Span;

/// E0411: a barrier publishes to whom a flush reaches, or something else is assumed to.
pub fn published(model: &Model, found: &mut Vec<Diagnostic>) {
    if model.assumed.is_some() {
        return;
    }
    let configs = Configs::of(model, conds(model));
    for config in configs.iter() {
        let (wanted, span) = reached(model, config);
        let barriers = model.barriers.iter();
        let publishing: Vec<(Holders, Span)> = barriers
            .filter(|barrier| barrier.requires.holds(config))
            .filter_map(|barrier| barrier.publishes.map(|at| (at.value, at.span)))
            .collect();
        if publishing.iter().any(|(on, _)| on.covers(wanted)) {
            continue;
        }
        let widest = publishing.iter().max_by_key(|(on, _)| on.0.count_ones());
        let left = wanted.without(widest.map_or(Holders::NONE, |(on, _)| *on));
        let left: Vec<String> = left.iter().map(|h| Holders::name(h).to_owned()).collect();
        let mut diagnostic = Diagnostic::new(
            Code::E0411,
            span,
            format!(
                "nothing publishes changes to the walkers of {}{}",
                listed(&left),
                configs.when(config)
            ),
        )
        .label("flushes reach as far as this");
        if let Some((_, narrower)) = widest {
            diagnostic = diagnostic.because(*narrower, "publishes no further");
        }
        found.push(
            diagnostic
                .note("a walk that does not see the change yet fills the old entry again, behind the flush")
                .help("add a barrier that `publishes on` all of them, or say why none is needed: `publishes assumed \"...\";`"),
        );
        return;
    }
}

/// How far flushes reach in a configuration, and where that is said.
fn reached(model: &Model, config: Config) -> (Holders, Span) {
    let delivery = model.policy.delivery.as_ref();
    let stated = delivery.and_then(|delivery| delivery.get(config));
    let interrupts = stated.is_some_and(|at| at.value == Delivery::Interrupts);
    let used = model
        .invalidates
        .iter()
        .filter(|it| it.requires.holds(config));
    let wide = used.filter_map(|it| it.holders.get(config));
    let wide = wide.filter(|at| !interrupts && at.value.covers(Holders::CPUS));
    let (cpus, span) = wide
        .map(|at| (Holders::CPUS, at.span))
        .next()
        .unwrap_or((Holders::SELF, model.arch.span));
    let spaces = [&model.user, &model.kernel];
    let devices = spaces.into_iter().find(|space| space.has_devices(config));
    match devices.and_then(|space| space.devices.as_ref()) {
        Some(devices) => (cpus.union(Holders::DEVICE), devices.span),
        None => (cpus, span),
    }
}

fn conds(model: &Model) -> Vec<&crate::model::Cond> {
    let barriers = model.barriers.iter().map(|barrier| &barrier.requires);
    let requires = model.invalidates.iter().map(|it| &it.requires);
    let holders = model.invalidates.iter().flat_map(|it| it.holders.conds());
    let delivery = model.policy.delivery.iter().flat_map(Cases::conds);
    let devices = [&model.user, &model.kernel].map(|space| space.devices.as_ref());
    let devices = devices.into_iter().flatten().map(|at| &at.value);
    barriers
        .chain(requires)
        .chain(holders)
        .chain(delivery)
        .chain(devices)
        .collect()
}
