//! From a query to what is run of the plans.
//!
//! In: a [`Query`]. Out: the scope that a backend would be asked for, and the environment of its plan; or why no such
//! request can be made on that machine.

use tlbc_runtime::backend::{Debt, FinishSteps, Root};
use tlbc_runtime::clause::Level;
use tlbc_runtime::request::{Conditions, Extent, Ranges, Scope, Tag};

use super::interpret::{Changing, Env};
use super::{EMPTY, Event, Query, ROOT};
use crate::model::{Config, Known, Model};
use crate::plan::ir::Shape;

/// What a backend would be asked for.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    /// A flush of one page.
    Page,
    /// A flush of several ranges.
    Ranges,
    /// A flush of the whole space.
    Everything,
    /// The same, for a space that ends.
    Teardown,
    /// Something else than a flush.
    Event(Shape),
}

/// The scope of a query, and what its plan is run with.
pub(super) fn prepare(model: &Model, query: &Query) -> Result<(Asked, Env), String> {
    let of_machine = query.others && machine_tag(model, query.config);
    let tag = Tag {
        value: query.tag,
        of_machine,
    };
    let mut env = Env {
        config: query.config,
        limits: query.limits.clone(),
        tag,
        walk: false,
        ends: false,
        change: Changing::default(),
        page: (0, Level(0)),
        ranges: Ranges::new(),
        root: Root {
            table: ROOT,
            tag,
            empty: EMPTY,
            conditions: Conditions::NONE,
        },
        debt: Debt::None,
        owed: false,
        steps: FinishSteps::NONE,
    };
    let asked = match &query.event {
        Event::Cleared {
            extent,
            levels,
            tables,
            live,
            appeared,
        } => {
            env.ranges = ranges(model, query, *extent, levels, *tables, *appeared)?;
            if *live {
                env.ranges.below_live();
            }
            env.walk = env.ranges.tables();
            match env.ranges.scope(&model.level_table(query.config)) {
                Scope::Page { va, level, .. } => {
                    env.page = (va, level);
                    Asked::Page
                }
                _ => Asked::Ranges,
            }
        }
        Event::Everything => {
            env.walk = true;
            Asked::Everything
        }
        Event::Teardown => {
            (env.walk, env.ends) = (true, true);
            Asked::Teardown
        }
        Event::Change(change) => {
            env.change = *change;
            Asked::Event(Shape::Change)
        }
        Event::Switch(debt) => {
            env.debt = *debt;
            Asked::Event(Shape::Switch)
        }
        Event::Resume(owed) => {
            env.owed = *owed;
            Asked::Event(Shape::Resume)
        }
        Event::EnterFromUser => Asked::Event(Shape::Enter),
        Event::Arrive => Asked::Event(Shape::Arrive),
        Event::Publish => Asked::Event(Shape::Publish(query.space)),
    };
    Ok((asked, env))
}

/// The configuration as a CPU has it that is told by interrupt: who sends that tells the devices.
pub(super) fn without_devices(model: &Model, config: Config) -> Config {
    let devices = model.user.devices.iter().chain(&model.kernel.devices);
    let features = devices.flat_map(|when| when.value.features_wanted());
    let of_space = features.filter(|&feature| model.features[feature].known == Known::Space);
    Config {
        features: of_space.fold(config.features, |all, feature| all & !(1 << feature)),
        ..config
    }
}

/// Whether the configuration has a tag that means the same space on every CPU.
fn machine_tag(model: &Model, config: Config) -> bool {
    let mut tags = model.tags.iter().filter(|tag| tag.when.holds(config));
    tags.any(|tag| !tag.of_cpu.value)
}

fn ranges(
    model: &Model,
    query: &Query,
    extent: Extent,
    levels: &[usize],
    tables: bool,
    appeared: bool,
) -> Result<Ranges, String> {
    let config = query.config;
    let space = model.space(query.space);
    if let Some(addresses) = space.addresses.get(config)
        && (!addresses.contain(extent.start) || !addresses.contain(extent.last()))
    {
        let end = u128::from(addresses.base) + (1u128 << addresses.bits);
        return Err(format!(
            "{:#x}..{:#x} is not in {:#x}..{end:#x}, the addresses that the space has",
            extent.start,
            u128::from(extent.last()) + 1,
            addresses.base
        ));
    }
    let table = model.level_table(config);
    let mut ranges = Ranges::new();
    for &level in levels {
        let facts = table[level];
        let name = &model.levels[level].name;
        if facts.shift == 0 {
            return Err(format!("there is no level {name} in this configuration"));
        }
        if facts.leaf && appeared {
            ranges.appeared(Level(level as u8), extent);
        } else if facts.leaf {
            ranges.leaf(Level(level as u8), extent);
        } else if !tables {
            return Err(format!("entries of level {name} map no pages"));
        }
    }
    if tables {
        let (Some(low), Some(high)) = (levels.iter().min(), levels.iter().max()) else {
            return Ok(ranges);
        };
        // The tables of a level hang on the entries of the next one above.
        for level in *low..=*high {
            if table[level].shift == 0 {
                continue;
            }
            match (level + 1..table.len()).find(|&above| table[above].shift != 0) {
                Some(above) => ranges.walk(Level(above as u8), extent),
                None => {
                    return Err(format!(
                        "the table of level {} is the top: nothing points at it that could be cut",
                        model.levels[level].name
                    ));
                }
            }
        }
    }
    Ok(ranges)
}
