//! What one run executes: the programs of its CPUs, and the order of their steps.
//!
//! In: a seed, or a [`ScheduledCase`]. Out: the [`Ran`] of its run. Holds: the case of a run, given again, is
//! the same run.

use std::rc::Rc;

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use tlbc_machine::schedule::{self, CpuMain, Ended, SchedulePolicy, Turn};
use tlbc_runtime::points;

use super::cores::Cores;
use super::cores::blame::{Blame, blame};
use super::cores::history::History;
use super::mix::Mix;
use super::operations::{Operation, OperationSource, Program};
use super::options::{LIMIT_RANGE, MOST_CPUS, MOST_IDLE_STEPS, OPERATIONS, Options};
use super::program::World;
use crate::analysis::Analysis;
use crate::interpreted::Interpreted;
use crate::model::{Config, Model};
use crate::torment::decode::Hardware;
use crate::torment::request;
use crate::trace::without_devices;

/// The programs of a machine, and the order of their steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledCase {
    /// The seed of the machine and its spaces.
    pub seed: u64,
    /// The operations of each CPU; none for a CPU that stays offline.
    pub programs: Vec<Option<Vec<Operation>>>,
    /// Where another CPU runs on: the CPU, the operation, the points since it began, and the CPU that runs on.
    #[serde(with = "turns")]
    pub turns: Vec<Turn>,
}

/// Turns as lists of numbers.
mod turns {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tlbc_machine::schedule::Turn;

    pub fn serialize<S: Serializer>(turns: &[Turn], to: S) -> Result<S::Ok, S::Error> {
        let turns = turns.iter().map(|it| (it.cpu, it.part, it.point, it.to));
        turns.collect::<Vec<_>>().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Turn>, D::Error> {
        let turns = Vec::<(usize, u32, u64, usize)>::deserialize(from)?;
        let turns = turns.into_iter().map(|(cpu, part, point, to)| Turn {
            cpu,
            part,
            point,
            to,
        });
        Ok(turns.collect())
    }
}

/// How large a run is: CPUs, operations, turns, and steps.
pub type Size = (usize, usize, usize, u64);

impl ScheduledCase {
    /// Checks that a machine can have its CPUs.
    ///
    /// # Errors
    ///
    /// What is wrong with the case.
    pub fn check(&self) -> Result<(), String> {
        let cpus = self.programs.len();
        if !(1..=MOST_CPUS).contains(&cpus) {
            return Err(format!("a machine has 1 to {MOST_CPUS} CPUs, not {cpus}"));
        }
        let wrong = self.turns.iter().find(|turn| turn.cpu.max(turn.to) >= cpus);
        wrong.map_or(Ok(()), |turn| {
            Err(format!("there is no CPU {}", turn.cpu.max(turn.to)))
        })
    }

    /// Returns the number of operations of all CPUs.
    pub fn operations(&self) -> usize {
        self.programs.iter().flatten().map(Vec::len).sum()
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    pub complaint: Option<String>,
    /// The number of steps; 0 if the machine has too few tags for its CPUs.
    pub steps: u64,
    /// What was executed.
    pub case: ScheduledCase,
    /// Why it failed, if that was recorded.
    pub blame: Option<Blame>,
}

impl Ran {
    /// Returns the size of what was executed.
    pub fn size(&self) -> Size {
        let cpus = self.case.programs.iter().flatten().count();
        (
            cpus,
            self.case.operations(),
            self.case.turns.len(),
            self.steps,
        )
    }
}

/// Where a run comes from.
#[derive(Clone, Copy)]
pub enum Drawn<'c> {
    /// From a seed.
    Seed(u64),
    /// Given.
    ScheduledCase(&'c ScheduledCase),
}

/// Returns limits that are less than [`LIMIT_RANGE`] above the least ones: where a limit permits thousands of instructions in one
/// flush, the schedule has few places that differ.
fn small_limits(limits: Vec<u64>, model: &Model) -> Vec<u64> {
    let limits = limits.into_iter().zip(&model.limits);
    limits
        .map(|(limit, of)| of.least + (limit - of.least) % LIMIT_RANGE)
        .collect()
}

/// Runs programs on a machine of the definition.
///
/// # Errors
///
/// If the runtime cannot run on the machine.
pub fn run(
    analysis: &'static Analysis,
    options: &Options,
    drawn: Drawn<'_>,
    records: bool,
) -> Result<Ran, String> {
    let (seed, given) = match drawn {
        Drawn::Seed(seed) => (seed, None),
        Drawn::ScheduledCase(case) => (case.seed, Some(case)),
    };
    let mut rng = Rng::with_seed(seed);
    let model = &analysis.model;
    let machine = options.machine.clone();
    let (config, limits) = machine.unwrap_or_else(|| {
        let (config, limits) = request::machine(model, &mut rng);
        (config, small_limits(limits, model))
    });
    let config = Config {
        errata: 0,
        ..without_devices(model, config)
    };
    let hardware = Hardware {
        model,
        config,
        limits: Box::leak(limits.clone().into_boxed_slice()),
    };
    let count = given.map_or(options.cpus, |case| case.programs.len());
    let mix = Mix::new(count, &mut rng);
    let tags = 2 * count as u64 + mix.more_tags;
    let backend = Interpreted::new(analysis, config, limits.clone())?
        .with_tags(tags)
        .with_requests(options.broken);
    let mut ran = Ran {
        complaint: None,
        steps: 0,
        case: ScheduledCase {
            seed,
            programs: vec![None; count],
            turns: Vec::new(),
        },
        blame: None,
    };
    if !World::has_tags(&backend, count) {
        return Ok(ran);
    }
    let mut cores = Cores::new(hardware, count);
    cores.weak = options.weak;
    cores.history = records.then(History::default);
    let shape = (count, mix);
    let world = World::new(cores, backend, shape, options.mistake, &mut rng)?;
    let world = Rc::new(world);
    let at_timer = Rc::downgrade(&world);
    let _ = world.kernel().at_timer.set(Box::new(move || {
        if let Some(world) = at_timer.upgrade() {
            world.take_timer();
        }
    }));
    let policy = match rng.u8(..5) {
        0 => {
            let (seed, changes) = (rng.u64(..), rng.usize(1..12));
            SchedulePolicy::priorities(seed, count, changes, rng.u64(500..20_000))
        }
        1 => SchedulePolicy::random(rng.u64(..), 2),
        2 | 3 => {
            let (seed, one_in) = (rng.u64(..), rng.u32(4..=24));
            SchedulePolicy::stalls(seed, count, one_in, rng.u32(6..=12))
        }
        _ => SchedulePolicy::random(rng.u64(..), 12),
    };
    let policy = given.map_or(policy, |case| SchedulePolicy::given(&case.turns));
    let mut begun = Vec::new();
    let mut cpus: Vec<CpuMain> = Vec::new();
    for cpu in 0..count {
        let drawn = OperationSource::Drawn(Rng::with_seed(rng.u64(..)), OPERATIONS);
        let source = match given.map(|case| case.programs[cpu].clone()) {
            None => Some(drawn),
            Some(operations) => operations.map(|it| OperationSource::Given(it.into_iter())),
        };
        let Some(source) = source else {
            begun.push(None);
            cpus.push(Box::new(|| {}));
            continue;
        };
        let program = Program::new(source);
        begun.push(Some(program.begun()));
        let world = world.clone();
        cpus.push(Box::new(move || world.run(program)));
    }
    let of_runtime = world.clone();
    points::at_each(Some(Rc::new(move || of_runtime.kernel().point())));
    let schedule = schedule::run(policy, MOST_IDLE_STEPS, cpus);
    points::at_each(None);
    let cores = world.kernel().cores.borrow();
    ran.complaint = match (&cores.complaint, schedule.ended) {
        (Some(text), _) => Some(text.clone()),
        (None, Ended::Stuck) => Some("no progress".to_owned()),
        (None, Ended::TooLong) => Some("no end".to_owned()),
        (None, Ended::All | Ended::Stopped) => None,
    };
    ran.steps = schedule.steps;
    ran.case.turns = schedule.turns;
    let begun = begun
        .iter()
        .map(|begun| Some(begun.as_ref()?.borrow().clone()));
    ran.case.programs = begun.collect();
    if let (Some(_), Some(history)) = (&ran.complaint, &cores.history) {
        ran.blame = Some(blame(&cores, history));
    }
    Ok(ran)
}
