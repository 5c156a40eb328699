//! Traces: everything that is issued for one request.
//!
//! In: a [`Query`]: entries were unmapped, certain CPUs may have cached them. Out: a [`Trace`]: what is issued here,
//! which CPUs are interrupted and what each of them issues, and which flushes are deferred until when. [`show`] prints it,
//! as text or as JSON. Holds: the runtime with the generated backend does the same.

mod change;
mod deferred;
pub mod encode;
mod env;
mod explanation;
mod hex;
mod input;
pub mod interpret;
mod query;
mod request;
mod required;
mod response;
mod run;
pub mod show;
mod steps;
mod why;

pub use explanation::{Choice, Cost, Interrupted, LostEntries, Rejected, Set, Why};
pub use hex::Hex;
#[cfg(feature = "torment")]
pub(crate) use input::with_devices;
#[cfg(feature = "cli")]
pub(crate) use input::without_devices;
pub use query::{
    AddressRange, Change, EMPTY, EntriesInMemory, Event, Query, ROOT, Tables, To, UnmappedEntries,
};
pub use request::{Asked, Limit, Machine, Range, Request, TagValue, name};
pub use response::{
    BarrierRole, Becomes, Deferred, DeferredBy, EntryKind, Field, Instruction, Ipi, LoadedRoot,
    Operand, Stale, StaleOf, Step, Store, Target, TargetCpus, Trace, Undrained, Until, VERSION,
};
pub use run::is_ever_local;
pub use steps::step;

use crate::model::Model;
use crate::plan::Plans;

/// Answers a query.
///
/// # Errors
/// When no machine of the configuration has such a request: it has no such address or level, or no such change.
pub fn trace(model: &Model, plans: &Plans, query: &Query) -> Result<Trace, String> {
    let mut run = run::TraceRun::new(model, plans, query);
    run.execute()?;
    Ok(run.trace)
}

/// Answers a query, and explains the instructions by their costs and by the alternatives.
///
/// # Errors
/// Those of [`trace()`].
pub fn explained(model: &Model, plans: &Plans, query: &Query) -> Result<Trace, String> {
    let mut run = run::TraceRun::new(model, plans, query);
    run.execute()?;
    let why = Some(run.why());
    Ok(Trace { why, ..run.trace })
}
