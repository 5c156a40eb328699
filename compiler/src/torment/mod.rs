//! Runs the plans of a definition on hostile hardware.
//!
//! In: a definition with its plans, the definition of the hardware, and a seed. Out: a [`Report`]: the first request
//! after which an agent may still use a stale entry. Holds: what an instruction does comes from the definition of the
//! hardware, by the text and the operand bits that the plan issues; nothing is taken from the planner's reasoning.
//!
//! [`whole`] runs the whole runtime.
//!
//! Not covered: changes of entries by instructions, switches and other events, and the answers of calls to
//! firmware.

mod agent;
mod decode;
mod effect;
mod explore;
mod kinds;
pub mod picture;
mod report;
mod request;
mod run;
mod same_instructions;
#[cfg(feature = "torment")]
pub mod whole;

pub use explore::Explored;
pub use report::{FailedRequest, Report};

use std::ops::ControlFlow;

use decode::Hardware;
use fastrand::Rng;
use run::Bench;
use same_instructions::SameInstructions;

use crate::analysis::Analysis;
use crate::model::{Config, Model};

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The first seed: each machine has its own.
    pub seed: u64,
    /// The number of machines.
    pub machines: u64,
    /// The number of requests on each.
    pub requests: u64,
    /// The machine and its limits, if it is not chosen at random.
    pub machine: Option<(Config, Vec<u64>)>,
    /// Whether a request with more instructions than are followed ends the run without a failure.
    pub ends_at_long: bool,
}

impl Options {
    /// Returns the machine of a seed, and its limits.
    fn machine(&self, hardware: &Model, rng: &mut Rng) -> (Config, Vec<u64>) {
        let drawn = self.machine.clone();
        drawn.unwrap_or_else(|| request::machine(hardware, rng))
    }
}

/// Returns plans on hardware; none if their definition has no such machine.
fn bench<'m>(
    planned: &'m Analysis,
    hardware: Hardware<'m>,
    same_instructions: &'m SameInstructions<'m>,
) -> Option<Bench<'m>> {
    let config = renamed(hardware.model, &planned.model, hardware.config)?;
    Some(Bench {
        planned,
        config,
        hardware,
        same_instructions,
    })
}

/// Passes the plans to `run` on each machine of a run, with the generator of its requests and its seed; nothing in place of
/// the plans if their definition has no such machine.
fn on_each_machine(
    planned: &Analysis,
    hardware: &Model,
    options: &Options,
    mut run: impl FnMut(Option<Bench<'_>>, &mut Rng, u64) -> ControlFlow<()>,
) {
    let same_instructions = SameInstructions::new(hardware, &planned.model);
    for seed in options.seed..options.seed.saturating_add(options.machines) {
        let mut rng = Rng::with_seed(seed);
        let (config, limits) = options.machine(hardware, &mut rng);
        let hardware = Hardware {
            model: hardware,
            config,
            limits: &limits,
        };
        if run(bench(planned, hardware, &same_instructions), &mut rng, seed).is_break() {
            return;
        }
    }
}

/// Runs the plans of a definition on the hardware of another one, or of the same.
#[must_use]
pub fn torment(planned: &Analysis, hardware: &Model, options: &Options) -> Report {
    torment_shown(planned, hardware, options, |_| {})
}

/// Runs the plans of a definition on the hardware of another one, or of the same. Passes what was run to `progress` before
/// each machine.
#[must_use]
pub fn torment_shown(
    planned: &Analysis,
    hardware: &Model,
    options: &Options,
    mut progress: impl FnMut(&Report),
) -> Report {
    let mut report = Report::default();
    on_each_machine(planned, hardware, options, |bench, rng, seed| {
        progress(&report);
        let Some(bench) = bench else {
            report.incomparable += 1;
            return ControlFlow::Continue(());
        };
        for _ in 0..options.requests {
            let Some(request) = bench.hardware.request(rng) else {
                continue;
            };
            report.requests += 1;
            if let Some(failure) = FailedRequest::of(&bench, &request, seed) {
                if !(failure.is_too_long && options.ends_at_long) {
                    report.failure = Some(failure);
                }
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    report
}

/// Compares the hostile hardware with a search through all schedules, on the requests of a run. Machines that the planned
/// definition does not have are left out.
#[must_use]
pub fn explore(planned: &Analysis, hardware: &Model, options: &Options) -> Explored {
    let mut explored = Explored::default();
    on_each_machine(planned, hardware, options, |bench, rng, _| {
        let Some(bench) = bench else {
            return ControlFlow::Continue(());
        };
        for _ in 0..options.requests {
            if let Some(request) = bench.hardware.request(rng) {
                bench.explore(&request, &mut explored);
            }
        }
        ControlFlow::Continue(())
    });
    explored
}

/// Returns a configuration in terms of another definition: the features, errata and geometry of the same names. Returns
/// none if that definition has no such machine, or if its machine has other levels.
fn renamed(from: &Model, to: &Model, config: Config) -> Option<Config> {
    let geometry = &from.geometries[config.geometry].named.name;
    let mut named = Config {
        geometry: to
            .geometries
            .iter()
            .position(|it| it.named.name == *geometry)?,
        ..Config::default()
    };
    for (index, feature) in to.features.iter().enumerate() {
        let mut known = from.features.iter();
        let same = known.position(|it| it.named.name == feature.named.name);
        if same.is_some_and(|same| config.has(same)) {
            named.features |= 1 << index;
        }
    }
    for (index, erratum) in to.errata.iter().enumerate() {
        let mut known = from.errata.iter();
        let same = known.position(|it| it.named.name == erratum.named.name);
        if same.is_some_and(|same| config.suffers(same)) {
            named.errata |= 1 << index;
        }
    }
    let levels = |model: &Model, config| -> Vec<_> {
        let table = model.level_table(config);
        let names = model.levels.iter().enumerate();
        names
            .map(|(index, level)| (level.name.clone(), table[index].shift, table[index].leaf))
            .collect()
    };
    let same_levels = levels(from, config) == levels(to, named);
    (to.possible(named) && same_levels).then_some(named)
}
