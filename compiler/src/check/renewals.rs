//! Renewals: a space that is loaded gets a new value of its tag in place of a flush.
//!
//! In: the tags that may be renewed, their loads, and the user space. Out: E0519. Holds: the load changes the tag of this CPU
//! alone, and then no entry of the space is under what is loaded.

use super::configs::{Configs, RecordedConfig};
use super::tags_in;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{CachedKind, Cond, Model, Source, Tag, TagSource, Under};
use crate::source::Span;

/// Why a tag cannot be renewed.
struct Obstacle {
    why: String,
    fact: Span,
    label: &'static str,
    help: &'static str,
}

/// Checks E0519: the load of a renewal is sufficient for what it is to do.
pub fn possible(model: &Model, found: &mut Vec<Diagnostic>) {
    for tag in &model.tags {
        let Some(renewal) = tag.renewal else {
            continue;
        };
        let conds = model.user.leaf.conds().chain(model.user.walk.conds());
        let views = model.user.views.iter().map(|view| &view.when);
        let loads = model.switch.loads.iter().map(|loads| &loads.when);
        let tags = model.tags.iter().map(|tag| &tag.when);
        let conds: Vec<&Cond> = conds.chain(views).chain(loads).chain(tags).collect();
        let configs = Configs::of(model, conds);
        let of_machine = |config: RecordedConfig<'_>| {
            let there = tag.when.holds(config);
            there.then(|| on_machine(model, tag, config)).flatten()
        };
        let obstacle = always(model, tag).map(|it| (it, String::new()));
        let obstacle = obstacle.or_else(|| {
            let mut all = configs.iter();
            all.find_map(|config| Some((of_machine(config)?, configs.when(config))))
        });
        let Some((obstacle, when)) = obstacle else {
            continue;
        };
        found.push(
            Diagnostic::new(
                Code::E0519,
                renewal.span,
                format!(
                    "`{}` cannot be renewed: {}{when}",
                    tag.named.name, obstacle.why
                ),
            )
            .label("a new value in place of a flush")
            .because(obstacle.fact, obstacle.label)
            .help(obstacle.help),
        );
    }
}

/// Returns what keeps a tag from being renewed on every machine.
fn always(model: &Model, tag: &Tag) -> Option<Obstacle> {
    let renewal = tag.renewal?.value;
    let source = tag.source.filter(|at| at.value == TagSource::Generations);
    if !tag.per_cpu.value || source.is_none() {
        return Some(Obstacle {
            why: "no new value of it is at hand on one CPU".to_owned(),
            fact: tag.source.map_or(tag.per_cpu.span, |at| at.span),
            label: "how values are given out",
            help: "it takes a tag `of cpu` that comes `from generations`",
        });
    }
    let load = &model.loads[renewal.load];
    let operands = load.template.operands.iter();
    let fields = operands.flat_map(|&operand| &model.operands[operand].fields);
    let sources: Vec<Source> = fields.filter_map(|field| field.value.source()).collect();
    let name = &load.named.name;
    if !sources.contains(&Source::Tag) || sources.contains(&Source::Root) {
        return Some(Obstacle {
            why: format!("`{name}` does not load the tag alone"),
            fact: load.named.span,
            label: "this load",
            help: "name a load with the tag and without a root: the root stays as it is",
        });
    }
    None
}

/// Returns what keeps a tag from being renewed on a machine that has it.
fn on_machine(model: &Model, tag: &Tag, config: RecordedConfig<'_>) -> Option<Obstacle> {
    let load = tag.renewal?.value.load;
    let loads = model.switch.loads.iter();
    let mut here = loads.filter(|loads| loads.when.holds(config));
    if !here.any(|loads| loads.loads.contains(&load)) {
        let named = &model.loads[load].named;
        return Some(Obstacle {
            why: format!("a switch does not load `{}`", named.name),
            fact: named.span,
            label: "this load",
            help: "name the load by which a switch loads the tag",
        });
    }
    let mut tags = tags_in(model, config);
    if let Some(other) = tags.find(|other| !other.per_cpu.value) {
        return Some(Obstacle {
            why: format!("a space may have `{}` instead", other.named.name),
            fact: other.named.span,
            label: "means the same space on every CPU",
            help: "state on which machines each of the tags exists",
        });
    }
    let views = model.user.views.iter();
    let mut views = views.filter(|view| view.when.holds(config));
    if let (Some(_), Some(other)) = (views.next(), views.next()) {
        return Some(Obstacle {
            why: "a space has several views".to_owned(),
            fact: other.named.span,
            label: "a second one",
            help: "entry code may have recorded the tag of a view, so a tag with views is flushed",
        });
    }
    let kinds = [
        (CachedKind::Leaf, &model.user.leaf),
        (CachedKind::Walk, &model.user.walk),
    ];
    let held = kinds.into_iter();
    let held = held.filter(|(kind, _)| model.caches.hold(*kind, config));
    for (_, cases) in held {
        let under = cases.get(config)?;
        if !matches!(under.value, Under::Tags(_)) {
            return Some(Obstacle {
                why: "entries of a user space are found under its old and new values".to_owned(),
                fact: under.span,
                label: "under these",
                help: "only entries that the tag tells apart are out of reach when it changes",
            });
        }
    }
    None
}
