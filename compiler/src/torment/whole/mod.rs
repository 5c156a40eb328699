//! Runs the whole runtime on hostile hardware that is built from a definition.
//!
//! In: a definition with its plans, and a seed. Out: the first complaint of [`cores`], with the events before it, CPU by
//! CPU. Holds: the same seed runs the same programs in the same order. The backend interprets the plans; what an instruction
//! does comes from the definition, by its text and its operand bits.
//!
//! Each CPU runs a random program: it switches between spaces, becomes lazy, runs user code, and maps, unmaps, protects,
//! replaces and unlinks in gathers. There are fewer tags than spaces, so that rollovers are frequent.
//!
//! Another CPU may run, and an IPI may arrive, at each instruction, at each call of the platform, and after each access of the
//! runtime to what CPUs share.
//!
//! Not covered: the memory model of CPUs (steps are sequentially consistent), kernel mappings, devices, errata, negative and global entries, calls that are given CPUs, accesses
//! that were translated before an invalidation, CPUs that share a TLB, hotplug, large pages, the end of spaces.

mod cores;
pub mod kernel;
pub mod knobs;
mod memory;
mod program;

use std::rc::Rc;

use fastrand::Rng;
use tlbc_machine::schedule::{self, Ended, SchedulePolicy};
use tlbc_runtime::points;

use super::decode::Hardware;
use super::request;
use crate::analysis::Analysis;
use crate::interpreted::{Breaks, Instruction, Interpreted};
use crate::model::Config;
use crate::trace::{step, without_devices};
use cores::{CoreEvent, Cores};
use kernel::Mistake;
use program::World;

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The seed of the first schedule; the next one has the next seed.
    pub seed: u64,
    /// The number of schedules.
    pub schedules: u64,
    /// The number of CPUs.
    pub cpus: usize,
    /// The machine and its limits, if it is not chosen at random.
    pub machine: Option<(Config, Vec<u64>)>,
    /// Whether a failure is shown with the shortest programs that still fail.
    pub shortens: bool,
    /// What the kernel does wrong.
    pub mistake: Option<Mistake>,
    /// What is wrong with the requests that plans are interpreted for.
    pub broken: Option<Breaks>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            schedules: 1000,
            cpus: 2,
            machine: None,
            shortens: true,
            mistake: None,
            broken: None,
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// The number of schedules that were run.
    pub schedules: u64,
    /// The number of seeds whose machine has too few tags for its CPUs.
    pub unusable: u64,
    /// The number of points at which another CPU could run.
    pub steps: u64,
    /// The first complaint, with the events before it, and its seed.
    pub failure: Option<(u64, String)>,
}

/// The operations of the program of each CPU.
const OPERATIONS: usize = 40;
/// The limit of steps of a schedule. A program takes some thousands.
const MOST_STEPS: u64 = 400_000;

/// Runs the runtime with the plans of a definition.
///
/// # Errors
///
/// If the runtime cannot run on a machine of the definition.
pub fn torment(analysis: &Analysis, options: &Options) -> Result<Report, String> {
    // CPUs are coroutines, whose closures borrow nothing: the definition stays in memory until the process ends.
    let analysis: &'static Analysis = Box::leak(Box::new(analysis.clone()));
    let mut report = Report::default();
    for seed in options.seed..options.seed.saturating_add(options.schedules) {
        let run = |operations| one(analysis, options, seed, operations);
        let (mut complaint, steps) = run(OPERATIONS)?;
        if steps == 0 {
            report.unusable += 1;
            continue;
        }
        report.schedules += 1;
        report.steps += steps;
        if complaint.is_some() {
            let shorter = if options.shortens {
                1..OPERATIONS
            } else {
                0..0
            };
            for operations in shorter {
                if let (Some(shorter), _) = run(operations)? {
                    complaint = Some(shorter);
                    break;
                }
            }
            report.failure = complaint.map(|text| (seed, text));
            break;
        }
    }
    Ok(report)
}

/// Runs one schedule. Returns the complaint, and the number of steps.
fn one(
    analysis: &'static Analysis,
    options: &Options,
    seed: u64,
    operations: usize,
) -> Result<(Option<String>, u64), String> {
    let mut rng = Rng::with_seed(seed);
    let model = &analysis.model;
    let drawn = options.machine.clone();
    let (config, limits) = drawn.unwrap_or_else(|| request::machine(model, &mut rng));
    let config = Config {
        errata: 0,
        ..without_devices(model, config)
    };
    let hardware = Hardware {
        model,
        config,
        limits: Box::leak(limits.clone().into_boxed_slice()),
    };
    let tags = 2 * options.cpus as u64 + 1;
    let backend = Interpreted::new(analysis, config, limits.clone())?
        .with_tags(tags)
        .with_requests(options.broken);
    if !World::has_tags(&backend, options.cpus) {
        return Ok((None, 0));
    }
    let cores = Cores::new(hardware, options.cpus);
    let world = Rc::new(World::new(cores, backend, options.mistake, &mut rng)?);
    let policy = match rng.u8(..3) {
        0 => SchedulePolicy::priorities(rng.u64(..), options.cpus, rng.usize(1..12), 4000),
        1 => SchedulePolicy::random(rng.u64(..), 2),
        _ => SchedulePolicy::random(rng.u64(..), 12),
    };
    let seeds: Vec<u64> = (0..options.cpus).map(|_| rng.u64(..)).collect();
    let cpus = seeds.into_iter().map(|seed| {
        let world = world.clone();
        Box::new(move || world.run(Rng::with_seed(seed), operations)) as schedule::CpuMain
    });
    let of_runtime = world.clone();
    points::at_each(Some(Rc::new(move || of_runtime.kernel().point())));
    let (ended, steps) = schedule::run(policy, MOST_STEPS, cpus.collect());
    points::at_each(None);
    let cores = world.kernel().cores.borrow();
    let complaint = match (&cores.complaint, ended) {
        (Some(text), _) => Some(text.clone()),
        (None, Ended::TooLong) => Some("no progress".to_owned()),
        (None, _) => None,
    };
    let text = complaint.map(|text| {
        let mut lines = vec![format!("{text}\n")];
        let events = cores.events.iter();
        lines.extend(events.map(|(step, cpu, event)| {
            format!("{step:6}  CPU {cpu}: {}\n", shown(hardware, event))
        }));
        lines.concat()
    });
    Ok((text, steps))
}

/// Returns an event in words.
fn shown(hardware: Hardware<'_>, event: &CoreEvent) -> String {
    let text = |instruction: &Instruction| {
        let op = instruction.op(hardware.model);
        let step = step(hardware.model, hardware.config, &op, None);
        step.and_then(|it| Some(it.instruction()?.asm.join("; ")))
    };
    match event {
        CoreEvent::Issued(instruction) => text(instruction).unwrap_or_default(),
        CoreEvent::Note(text) => text.clone(),
    }
}
