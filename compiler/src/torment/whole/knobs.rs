//! Faults that can be put back, to see that random programs find each.
//!
//! In: a definition with its plans, and a [`Knob`]: a fault of the runtime, of the plans, of operands or of the kernel. Out: the
//! first seed whose schedule fails. Holds: with no knob turned nothing changes.

pub mod plans;

use std::time::{Duration, Instant};

use tlbc_runtime::fault::{Fault, is_reached, put_back};
use tlbc_runtime::level::Level;
use tlbc_runtime::request::LevelTable;

use super::kernel::Mistake;
use super::{FailedSchedule, Options, torment};
use crate::analysis::Analysis;
use crate::interpreted::Breaks;
use crate::plan::Plans;
use crate::trace::interpret::Env;

/// A fault that can be put back.
#[derive(Debug, Clone, Copy)]
pub struct Knob {
    /// Its name.
    pub name: &'static str,
    /// What is broken.
    pub what: &'static str,
    /// Where.
    pub place: FaultPlace,
}

/// Where a fault is.
#[derive(Debug, Clone, Copy)]
pub enum FaultPlace {
    /// In the runtime.
    Runtime(Fault),
    /// In the plans.
    Plans(fn(&mut Plans)),
    /// In the requests for which plans are interpreted, and so in the operands.
    Operands(Breaks),
    /// In the kernel.
    Kernel(Mistake),
}

/// What came of turning a knob.
#[derive(Debug, Clone)]
pub enum Turned {
    /// A schedule failed.
    Found {
        /// Its seed.
        seed: u64,
        /// The schedules that were run.
        schedules: u64,
        /// The time until then.
        took: Duration,
        /// What failed.
        failure: Box<FailedSchedule>,
    },
    /// No schedule failed.
    Nothing {
        /// The schedules that were run.
        schedules: u64,
    },
    /// The definition's machines never get to the place, so nothing was tried.
    Elsewhere,
}

/// Declares knobs.
macro_rules! knobs {
    ($($name:ident: $what:literal, $place:expr;)*) => {
        /// All knobs, in groups: pages and tables, gathers, cpumask and generations, messages, tags, devices and kernels;
        /// plans; operands; the kernel.
        pub const KNOBS: &[Knob] = &[$(Knob {
            name: stringify!($name),
            what: $what,
            place: $place,
        }),*];
    };
}

knobs! {
    free_page: "pages are released before the flush", FaultPlace::Runtime(Fault::ReleasesBeforeFlush);
    free_table: "tables are freed before the flush", FaultPlace::Runtime(Fault::FreesTablesBeforeFlush);
    detach: "a table is detached without a flush", FaultPlace::Runtime(Fault::DetachesUnflushed);
    below: "what is below an unlinked table is not flushed", FaultPlace::Runtime(Fault::OverlooksBelow);
    size: "a page changes its size in place", FaultPlace::Runtime(Fault::ChangesSizeInPlace);
    nested: "a gather ignores unflushed changes of others", FaultPlace::Runtime(Fault::IgnoresOtherGathers);
    spurious: "a fault leaves the stricter entry", FaultPlace::Runtime(Fault::LeavesStricter);
    negative_fault: "a fault leaves the negative entry", FaultPlace::Runtime(Fault::LeavesNegative);
    negative_new: "a new page of the kernel is not flushed", FaultPlace::Runtime(Fault::IgnoresNegative);
    map_unflushed: "a new entry is stored where an old one may be cached", FaultPlace::Runtime(Fault::MapsUnflushed);
    attributes: "a change of attributes requires no flush", FaultPlace::Runtime(Fault::IgnoresAttributes);
    first_range: "of several changes only the first range is recorded", FaultPlace::Runtime(Fault::RecordsFirstRange);
    kernel_rights: "a kernel page that gets more rights is not flushed", FaultPlace::Runtime(Fault::KernelFaults);
    generation: "a flush does not raise the generation", FaultPlace::Runtime(Fault::RaisesNoGeneration);
    skipped: "a CPU that missed a generation flushes only the present one", FaultPlace::Runtime(Fault::SkipsGenerations);
    lazy_stale: "a lazy CPU does not catch up", FaultPlace::Runtime(Fault::LeavesLazyStale);
    lazy_teardown: "a teardown overlooks lazy CPUs", FaultPlace::Runtime(Fault::OverlooksLazy);
    mask_early: "a CPU leaves the cpumask before it has loaded another root", FaultPlace::Runtime(Fault::LeavesMaskEarly);
    mask_late: "a CPU enters the cpumask after it has loaded the root", FaultPlace::Runtime(Fault::EntersMaskLate);
    generation_early: "a CPU reads the generation before it is a target", FaultPlace::Runtime(Fault::ReadsGenerationEarly);
    attach: "a CPU attaches a space during a change", FaultPlace::Runtime(Fault::AttachesDuringChange);
    trim_after: "the cpumask is trimmed by what is loaded after the flush", FaultPlace::Runtime(Fault::TrimsAfterFlush);
    trim_entering: "a CPU that enters the cpumask is trimmed", FaultPlace::Runtime(Fault::TrimsEntering);
    publish_late: "the cpumask is read before the change is published", FaultPlace::Runtime(Fault::LooksBeforePublish);
    publish_claimed: "a local flush takes changes for published that are not", FaultPlace::Runtime(Fault::ClaimsPublished);
    no_wait: "a sender does not wait for one of the CPUs", FaultPlace::Runtime(Fault::WaitsForOneLess);
    flush_interrupted: "a flush that sends a message can be interrupted", FaultPlace::Runtime(Fault::FlushesInterrupted);
    ack_unread: "a message is acknowledged before it is read", FaultPlace::Runtime(Fault::AcknowledgesUnread);
    locks: "locks are taken with interrupts on", FaultPlace::Runtime(Fault::LocksInterrupted);
    rollover: "a rollover makes no CPU flush", FaultPlace::Runtime(Fault::RollsOverUnflushed);
    rollover_old_root: "a rollover's flush comes before the root is replaced", FaultPlace::Runtime(Fault::FlushesUnderOldRoot);
    reservation: "a reservation keeps the tag of an old generation", FaultPlace::Runtime(Fault::KeepsOldReservation);
    half_generation: "half of the generation is compared", FaultPlace::Runtime(Fault::ComparesHalfGenerations);
    slot: "a slot is reused without a flush", FaultPlace::Runtime(Fault::ReusesSlotUnflushed);
    view: "the deferred flush of the user view is forgotten", FaultPlace::Runtime(Fault::ForgetsView);
    other_tags: "other tags are not invalidated", FaultPlace::Runtime(Fault::ForgetsOtherTags);
    renewal: "a new tag takes the place of a flush and is not loaded", FaultPlace::Runtime(Fault::KeepsLoadedTag);
    deferred_late: "what a flush defers is recorded after it has waited for other CPUs", FaultPlace::Runtime(Fault::DefersAfterWait);
    kernel_root: "the kernel root's tag is not invalidated", FaultPlace::Runtime(Fault::ForgetsKernelRoot);
    pin_value: "a pin is looked up by value", FaultPlace::Runtime(Fault::PinsByValue);
    pin_once: "pins are not counted", FaultPlace::Runtime(Fault::PinsOnce);
    devices: "a local flush is chosen although devices share the tables", FaultPlace::Runtime(Fault::OverlooksDevices);
    device_flags: "a device that leaves clears the flags of others", FaultPlace::Runtime(Fault::ClearsFlagsOfOthers);
    flags_early: "the flags of a space are read before the store alone", FaultPlace::Runtime(Fault::ReadsFlagsEarly);
    reclaim: "a batched unmap starts flushes with interrupts on", FaultPlace::Runtime(Fault::ReclaimsInterrupted);
    batch_end: "a batched unmap ends without a wait", FaultPlace::Runtime(Fault::EndsUnwaited);
    redeem: "an earlier wait redeems a page", FaultPlace::Runtime(Fault::RedeemsEarly);
    before_io: "a dirty page is written to disk before the wait", FaultPlace::Runtime(Fault::WritesUnwaited);
    before_io_clean: "a clean page is written to disk before another gather is flushed", FaultPlace::Runtime(Fault::TrustsCleanEntries);
    batched: "a locked section overlooks a batched unmap that is pending", FaultPlace::Runtime(Fault::ForgetsBatchedUnmaps);
    drivers: "devices that only their driver can reach are overlooked", FaultPlace::Runtime(Fault::OverlooksDrivers);
    device_lock: "the counts of flags are changed without a lock", FaultPlace::Runtime(Fault::CountsUnlocked);
    user_table: "user code runs on the top table of the kernel's view", FaultPlace::Runtime(Fault::LoadsOneTable);
    release_pins: "the release of a space leaves its tag pinned", FaultPlace::Runtime(Fault::KeepsPins);
    release_loaded: "a space is released while a CPU begins to leave it", FaultPlace::Runtime(Fault::ReadsLoadedAgain);
    marks: "a mark is lost that was set before an entry was replaced", FaultPlace::Runtime(Fault::ReturnsEarlyMarks);
    online_flush: "a CPU that comes online flushes before it loads the root", FaultPlace::Runtime(Fault::FlushesBeforeRoot);
    online_stale: "a CPU that comes online keeps the kernel root's entries", FaultPlace::Runtime(Fault::KeepsStaleRoot);
    plan_publish: "changes are not published", FaultPlace::Plans(plans::without_publish);
    plan_complete: "invalidations are not completed", FaultPlace::Plans(plans::without_completion);
    plan_order: "the first barrier comes after the instructions", FaultPlace::Plans(plans::barrier_late);
    plan_flush: "one page is not flushed", FaultPlace::Plans(plans::without_page);
    plan_leaf_only: "walk entries stay when a table is freed", FaultPlace::Plans(plans::leaf_only);
    plan_local: "the local plan serves every reach", FaultPlace::Plans(plans::local);
    plan_no_ipi: "no CPU is sent an IPI", FaultPlace::Plans(plans::without_ipis);
    plan_no_lazy: "lazy CPUs are sent no IPI", FaultPlace::Plans(plans::without_lazy);
    plan_pending: "a switch forgets the pending flush", FaultPlace::Plans(plans::without_pending);
    plan_deferred: "what is deferred is not recorded", FaultPlace::Plans(plans::without_deferred);
    operand_page: "the page beside the one that changed is flushed", FaultPlace::Operands(other_page);
    operand_level: "the level is one too high", FaultPlace::Operands(other_level);
    operand_tag: "another tag is flushed", FaultPlace::Operands(other_tag);
    walkers: "a table is freed under a software walk", FaultPlace::Kernel(Mistake::FreesUnderWalkers);
    uninitialized: "a table is linked before it is cleared", FaultPlace::Kernel(Mistake::LinksUninitialized);
    rmap: "the reverse mapping is removed before the flush", FaultPlace::Kernel(Mistake::RemovesRmapEarly);
}

/// Returns the bytes of a page.
fn page_size(levels: &LevelTable) -> u64 {
    let there = levels.iter().find(|level| level.shift != 0);
    there.map_or(0, |level| 1 << level.shift)
}

fn other_page(env: &mut Env, levels: &LevelTable) {
    env.page.0 ^= page_size(levels);
}

fn other_level(env: &mut Env, _: &LevelTable) {
    env.page.1 = Level(env.page.1.0 + 1);
}

fn other_tag(env: &mut Env, _: &LevelTable) {
    env.tag.value ^= 1;
}

/// The longest that schedules are run for one knob.
pub const MOST_TIME: Duration = Duration::from_secs(120);

/// Turns a knob, and runs schedules until one fails, for at most [`MOST_TIME`]. The time includes that for making the failure
/// small.
///
/// # Errors
///
/// If the runtime cannot run on a machine of the definition.
pub fn turn(analysis: &Analysis, knob: &Knob, options: &Options) -> Result<Turned, String> {
    let begun = Instant::now();
    let options = Options {
        until: Some(begun + MOST_TIME),
        ..options.clone()
    };
    let ran = with_fault(analysis, knob, &options, torment);
    let Some((report, is_reached)) = ran else {
        return Ok(Turned::Elsewhere);
    };
    let report = report?;
    Ok(match report.failure {
        Some(failure) => Turned::Found {
            seed: failure.seed,
            schedules: report.schedules,
            took: begun.elapsed(),
            failure: Box::new(failure),
        },
        None if !is_reached => Turned::Elsewhere,
        None => Turned::Nothing {
            schedules: report.schedules,
        },
    })
}

/// Puts a fault back while a closure runs. Returns its result, and whether the place of a fault of the runtime was reached; none
/// if the definition has no such plans.
pub fn with_fault<R>(
    analysis: &Analysis,
    knob: &Knob,
    options: &Options,
    run: impl FnOnce(&Analysis, &Options) -> R,
) -> Option<(R, bool)> {
    let mut options = options.clone();
    let mut broken = None;
    let mut is_runtime = false;
    match knob.place {
        FaultPlace::Runtime(fault) => {
            put_back(Some(fault));
            is_runtime = true;
        }
        FaultPlace::Plans(change) => {
            let mut other = analysis.clone();
            change(&mut other.plans);
            if other.plans == analysis.plans {
                return None;
            }
            broken = Some(other);
        }
        FaultPlace::Operands(change) => options.broken = Some(change),
        FaultPlace::Kernel(mistake) => options.mistake = Some(mistake),
    }
    let result = run(broken.as_ref().unwrap_or(analysis), &options);
    let was_reached = !is_runtime || is_reached();
    put_back(None);
    Some((result, was_reached))
}
