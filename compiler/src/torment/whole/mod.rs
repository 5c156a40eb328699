//! Runs the whole runtime on hostile hardware that is built from a definition.
//!
//! In: a definition with its plans, and a seed. Out: the first complaint of [`cores`], made small, with what caused it. Holds: the
//! same seed runs the same programs in the same order. The backend interprets the plans; what an instruction
//! does comes from the definition, by its text and its operand bits.
//!
//! Each CPU runs a random program: it switches between spaces, becomes lazy, runs user code, maps, unmaps, protects, replaces
//! and unlinks entries of user spaces and of the kernel, in gathers that may be nested or abandoned, splits large pages and makes
//! them of small ones, moves tables, reclaims pages in batches,
//! creates and tears down spaces, flushes everything of one, goes offline and comes online again, attaches a device, and pins a
//! tag. There are few tags, so that rollovers are frequent, and memory is refused now and then. What a program does, and how
//! often, is drawn for each schedule: some mixes are shaped for rare events, and some CPUs seldom leave their space. In one of
//! four schedules user code takes faults that its table does not justify, batched unmaps wait in parts and before pages are
//! written to disk, spaces end while devices share their tables, and interrupt handlers flush. In one of four spaces are released with pins, or before
//! their last reference is gone; in one of four the machine sets accessed and dirty marks.
//!
//! Another CPU may run, and an IPI may arrive, at each instruction, at each call of the platform, and after each access of the
//! runtime to what CPUs share. In some schedules a CPU stands still at such a point for as long as others take for some operations.
//!
//! Not covered: the memory model of CPUs (steps are sequentially consistent), errata, calls that are given CPUs, accesses that were translated before an invalidation, CPUs that share a TLB, marks that the machine sets through an entry that
//! is cached.

mod case;
mod cores;
mod entry;
pub mod kernel;
pub mod knobs;
mod memory;
mod mix;
mod operations;
mod options;
mod process;
mod program;
mod shrink;
mod small;

use std::time::Instant;

use crate::analysis::Analysis;
pub use case::ScheduledCase;
use case::{Drawn, run};
pub use cores::blame::line::BlamedPlace;
pub use cores::weak::Weakness;
pub use options::Options;
use shrink::shrink;
pub use small::Small;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// The number of schedules that were run.
    pub schedules: u64,
    /// The number of seeds whose machine has too few tags for its CPUs.
    pub unusable: u64,
    /// The number of points at which another CPU could run.
    pub points: u64,
    /// The first failure.
    pub failure: Option<FailedSchedule>,
}

/// A schedule that failed.
#[derive(Debug, Clone)]
pub struct FailedSchedule {
    /// Its seed.
    pub seed: u64,
    /// The complaint.
    pub complaint: String,
    /// What was executed.
    pub case: ScheduledCase,
    /// A small case that fails in the same way, unless [`Options::shrinks`] is off.
    pub small: Option<Small>,
}

/// Runs the runtime with the plans of a definition.
///
/// # Errors
///
/// If the runtime cannot run on a machine of the definition.
pub fn torment(analysis: &Analysis, options: &Options) -> Result<Report, String> {
    torment_shown(analysis, options, |_| {})
}

/// Runs the runtime with the plans of a definition. Passes what was run to `progress` before each schedule.
///
/// # Errors
///
/// If the runtime cannot run on a machine of the definition.
pub fn torment_shown(
    analysis: &Analysis,
    options: &Options,
    mut progress: impl FnMut(&Report),
) -> Result<Report, String> {
    let analysis = leaked(analysis);
    let mut report = Report::default();
    for nth in 0..options.schedules {
        let seed = options.seed.wrapping_add(nth.wrapping_mul(options.stride));
        if options.until.is_some_and(|until| Instant::now() > until) {
            break;
        }
        progress(&report);
        let ran = run(analysis, options, Drawn::Seed(seed), false)?;
        if ran.steps == 0 {
            report.unusable += 1;
            continue;
        }
        report.schedules += 1;
        report.points += ran.steps;
        let Some(complaint) = ran.complaint.clone() else {
            continue;
        };
        let whole = ran.case.clone();
        let mut small = None;
        if options.shrinks {
            let case = shrink(analysis, options, ran)?.case;
            let ran = run(analysis, options, Drawn::ScheduledCase(&case), true)?;
            small = Small::of(ran);
        }
        report.failure = Some(FailedSchedule {
            seed,
            complaint,
            case: whole,
            small,
        });
        break;
    }
    Ok(report)
}

/// Runs a case. Returns how it fails, if it does.
///
/// # Errors
///
/// If the runtime cannot run on the machine.
pub fn replay(
    analysis: &Analysis,
    options: &Options,
    case: &ScheduledCase,
) -> Result<Option<Small>, String> {
    let ran = run(leaked(analysis), options, Drawn::ScheduledCase(case), true)?;
    Ok(Small::of(ran))
}

/// Returns a definition that stays in memory until the process ends: CPUs are coroutines, whose closures borrow nothing.
fn leaked(analysis: &Analysis) -> &'static Analysis {
    Box::leak(Box::new(analysis.clone()))
}
