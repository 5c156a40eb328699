//! The functions of a backend that issue nothing, compared with the model: in every configuration, for several values of the
//! limits that are read at boot.

use tlbc::Analysis;
use tlbc::model::{self, Config, Model};
use tlbc::plan::ir::Shape;
use tlbc::trace::interpret::{ceiling, interpret};
use tlbc_runtime::request::{Space, Tag};
use tlbc_runtime::{IpiTargets, PerCpuSource, TagSource, TagValues, Tags};

use super::asked::env;
use super::machines::{Module, REACHES, SPACES, machine, machine_of, most, space_flags};
use crate::configurations;

/// Checks that the functions of a machine that issue nothing return what the definition says, and that the machines that the
/// backend has are those that the definition permits.
pub fn a_machine_is_what_the_definition_says(analysis: &Analysis, module: &Module) {
    let model = &analysis.model;
    let flags = module.flags.len();
    let expected = model.features.len() + model.errata.len() + model.geometries.len() - 1;
    assert_eq!(flags, expected, "the first geometry has no flag");
    assert_eq!(module.facts.name, model.arch.name);
    for config in configurations::all(model) {
        let tlb = machine(module, model, config, &most(model));
        assert_eq!(tlb.is_some(), model.possible(config), "{config:?}");
        if tlb.is_some() {
            functions_are_those_of_the_model(analysis, module, config);
        }
    }
    assert!(
        (module.make)(&|name| geometry_flag(model, name), &most(model)).is_none()
            || model.geometries.len() < 3,
        "two geometries at once are no machine"
    );
}

fn functions_are_those_of_the_model(analysis: &Analysis, module: &Module, config: Config) {
    let model = &analysis.model;
    for limits in values_of_limits(model) {
        let tlb = machine(module, model, config, &limits).expect("a possible machine");
        assert_eq!(*tlb.levels(), model.level_table(config), "{config:?}");
        let found = tlb.change_facts(space_flags(model, config));
        assert_eq!(found, model.change_facts(config), "{config:?}");
        let found = tlb.tags();
        assert_eq!(found, tags(model, config, &limits), "{config:?} {limits:?}");
        for (space, reach) in SPACES.iter().flat_map(|s| REACHES.map(|r| (*s, r))) {
            let found = tlb.ceiling(space, reach);
            let stated = ceiling(model, (config, &limits), space, reach);
            assert_eq!(
                (found.operations, found.pages),
                stated,
                "{config:?} {limits:?}"
            );
        }
        // It is asked of the machine, for spaces with any flags.
        let tlb = machine_of(module, model, config, &limits).expect("a possible machine");
        let sends = sends_ipis(analysis, config, &limits);
        assert_eq!(tlb.sends_ipis(), sends, "{config:?} {limits:?}");
    }
}

/// Returns values of the limits: the least, the greatest, others between them, and the least of one among the greatest of the
/// others.
fn values_of_limits(model: &Model) -> Vec<Vec<u64>> {
    let most = most(model);
    let each = |of: fn(&model::Limit) -> u64| model.limits.iter().map(of).collect();
    let mut values: Vec<Vec<u64>> = vec![
        most.clone(),
        each(|limit| limit.least),
        each(|limit| limit.least.midpoint(limit.most)),
    ];
    values.extend(model.limits.iter().enumerate().map(|(index, limit)| {
        let mut values = most.clone();
        values[index] = limit.least;
        values
    }));
    values.sort_unstable();
    values.dedup();
    values
}

/// Returns the tags of user spaces.
fn tags(model: &Model, config: Config, limits: &[u64]) -> Tags {
    let views = model.user.views.iter().filter(|it| it.when.holds(config));
    let views = views.fold(0, |all, view| all | view.or);
    let of = |per_cpu: bool| {
        let mut tags = model.tags.iter();
        let tag = tags.rfind(|it| it.per_cpu.value == per_cpu && it.when.holds(config))?;
        let (first, last) = tag.on(limits).range();
        Some((TagValues { first, last, views }, tag))
    };
    let source = |tag: &model::Tag| tag.source.map(|at| at.value);
    let per_cpu = of(true).map(|(values, tag)| match source(tag) {
        Some(model::TagSource::Generations) => (values, PerCpuSource::Generations),
        Some(model::TagSource::Slots | model::TagSource::Life) | None => {
            (values, PerCpuSource::Slots)
        }
    });
    let global = of(false).map(|(values, tag)| match source(tag) {
        _ if tag.is_root.is_some() => (values, TagSource::Root),
        Some(model::TagSource::Generations) => (values, TagSource::Generations),
        Some(model::TagSource::Slots | model::TagSource::Life) | None => (values, TagSource::Life),
    });
    Tags { per_cpu, global }
}

/// Returns whether a flush of some user space with a global tag sends IPIs on the machine of a configuration.
fn sends_ipis(analysis: &Analysis, config: Config, limits: &[u64]) -> bool {
    let Analysis { model, plans } = analysis;
    let of_space = space_flags(
        model,
        Config {
            features: u32::MAX,
            ..config
        },
    );
    let tag = Tag {
        value: 1,
        global: true,
    };
    configurations::all(model)
        .filter(|other| {
            let same = |config: Config| {
                (
                    config.features & !of_space.0,
                    config.errata,
                    config.geometry,
                )
            };
            same(*other) == same(config) && model.possible(*other)
        })
        .any(|config| {
            let requests = [(false, false), (true, false), (true, true)];
            requests.into_iter().any(|(tables, teardown)| {
                let mut env = env(config, limits, tag);
                (env.walk, env.teardown) = (tables, teardown);
                let effects = interpret(model, plans, Shape::IpiTargets(Space::User), &env);
                effects.flush_ipis != IpiTargets::NONE
            })
        })
}

fn geometry_flag(model: &Model, name: &str) -> bool {
    model.geometries.iter().any(|g| g.named.name == name)
}
