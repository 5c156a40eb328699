//! The result of a trace, from which both the text and the JSON are made.
//!
//! All types are serialised as they are; `compiler/schema/trace.schema.json` describes the JSON. [`VERSION`] is raised when
//! a reader of the previous form would misread the new one.

use std::fmt;

use serde::Serialize;

use super::explanation::Why;
use super::hex::Hex;
use super::request::{Range, Request};
use crate::text;

/// The version of the JSON form of a [`Trace`].
pub const VERSION: u32 = 3;

/// Everything that is issued and deferred for a request.
#[derive(Debug, Clone, Serialize)]
pub struct Trace {
    /// [`VERSION`].
    pub version: u32,
    /// The request.
    pub request: Request,
    /// Remarks, such as why no flush is required.
    pub notes: Vec<String>,
    /// The steps of this CPU, in order.
    pub here: Vec<Step>,
    /// The IPIs, each with its targets and their steps. A step of [`here`](Self::here) says when it is sent.
    pub ipis: Vec<Ipi>,
    /// The deferred flushes.
    pub deferred: Vec<Deferred>,
    /// What the request costs, and why these instructions are issued; only if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

impl Trace {
    /// Returns the instructions that this CPU issues.
    pub fn issued(&self) -> impl Iterator<Item = &Instruction> {
        self.here.iter().filter_map(Step::instruction)
    }

    /// Returns the instructions that the interrupted CPUs issue.
    pub fn issued_elsewhere(&self) -> impl Iterator<Item = &Instruction> {
        let steps = self.ipis.iter().flat_map(|ipi| &ipi.steps);
        steps.filter_map(Step::instruction)
    }

    /// Returns the CPUs that are interrupted, in words.
    pub fn targets(&self) -> impl Iterator<Item = String> {
        let targets = self.ipis.iter().flat_map(|ipi| &ipi.targets);
        targets.map(Target::words)
    }
}

/// One step of a CPU.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Step {
    /// It issues a barrier.
    Barrier {
        /// What it is issued for.
        role: BarrierRole,
        /// The erratum whose workaround it belongs to.
        workaround: Option<String>,
        /// The instruction.
        #[serde(flatten)]
        instruction: Instruction,
    },
    /// It issues an instruction that invalidates.
    Invalidate {
        /// The erratum whose workaround it is.
        workaround: Option<String>,
        /// The instruction.
        #[serde(flatten)]
        instruction: Instruction,
    },
    /// It loads a register.
    Load {
        /// The root that it loads.
        root: LoadedRoot,
        /// The instruction.
        #[serde(flatten)]
        instruction: Instruction,
    },
    /// It stores entries.
    Store(Store),
    /// It sends an IPI, and waits for its targets before the next step.
    Ipi {
        /// The index of the IPI in [`Trace::ipis`].
        ipi: usize,
    },
}

impl Step {
    /// Returns the instruction, if the step is one.
    #[must_use]
    pub fn instruction(&self) -> Option<&Instruction> {
        match self {
            Self::Barrier { instruction, .. }
            | Self::Invalidate { instruction, .. }
            | Self::Load { instruction, .. } => Some(instruction),
            Self::Store(_) | Self::Ipi { .. } => None,
        }
    }
}

/// The role of a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BarrierRole {
    /// It makes stores visible to walkers.
    Publish,
    /// It comes before instructions that follow it.
    Order,
    /// It waits until invalidations are complete.
    Complete,
    /// It synchronizes the context: this CPU translates and fetches again.
    Resync,
}

/// The root that a load loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadedRoot {
    /// The root of the space.
    Space,
    /// A root that maps nothing.
    Empty,
}

/// An instruction with its operands filled in.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Instruction {
    /// Its name in the definition.
    pub name: String,
    /// Its text, one line for each instruction of the machine.
    pub asm: Vec<String>,
    /// Its operands.
    pub operands: Vec<Operand>,
}

impl fmt::Debug for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.asm.join("; "))
    }
}

/// An operand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Operand {
    /// Its name in the definition.
    pub name: String,
    /// Its value.
    pub value: Hex,
    /// Its fields whose condition holds, from the highest bit.
    pub fields: Vec<Field>,
}

/// A field of an operand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its highest bit.
    pub high: u32,
    /// Its lowest bit.
    pub low: u32,
    /// The source that the definition names; `None` for a number.
    pub source: Option<String>,
    /// Its value.
    pub value: Hex,
}

/// Entries that are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Store {
    /// Their level.
    pub level: String,
    /// The first address that they translate.
    pub start: Hex,
    /// How many entries.
    pub entries: u64,
    /// Their new state.
    pub becomes: Becomes,
}

/// The new state of a stored entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Becomes {
    /// Invalid.
    Invalid,
    /// The value that was requested, which is valid.
    New,
}

/// An IPI.
#[derive(Debug, Clone, Serialize)]
pub struct Ipi {
    /// Which CPUs it is sent to, and why.
    pub targets: Vec<Target>,
    /// The steps of this CPU that flush the targets in place of the IPI: calls that are given these CPUs. Targets that the calls
    /// do not reach get the IPI.
    pub calls: Vec<Step>,
    /// The steps of each target. If there are none, taking the interrupt is enough.
    pub steps: Vec<Step>,
    /// The kind of tag, if each target uses its own value for the space instead of the one that is shown.
    pub own_tag: Option<String>,
}

/// CPUs of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// The kind of CPUs.
    pub cpus: TargetCpus,
    /// The name of the set that the kernel keeps, if they are one.
    pub set: Option<String>,
    /// Why they are interrupted.
    pub reason: String,
    /// The barriers that do not drain the accesses of the set.
    pub undrained_by: Vec<Undrained>,
}

impl Target {
    /// Returns the CPUs in words.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.cpus, &self.set) {
            (TargetCpus::Active, _) => "active CPUs".to_owned(),
            (TargetCpus::Lazy, _) => "lazy CPUs".to_owned(),
            (TargetCpus::Inactive, _) => "inactive CPUs".to_owned(),
            (TargetCpus::Set, set) => format!("CPUs of `{}`", set.as_deref().unwrap_or_default()),
        }
    }
}

/// The kinds of CPUs that are interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetCpus {
    /// They run the space.
    Active,
    /// They have its root loaded without using it.
    Lazy,
    /// They may hold entries of it and have another root loaded.
    Inactive,
    /// A set that the kernel keeps for an erratum.
    Set,
}

/// A barrier that does not drain accesses, because of an erratum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undrained {
    /// The name of the barrier.
    pub barrier: String,
    /// The erratum that says so.
    pub erratum: String,
}

/// A deferred flush.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deferred {
    /// The CPUs that do it.
    pub cpus: DeferredBy,
    /// What it invalidates.
    pub entries: Stale,
    /// Its latest moment.
    pub until: Until,
}

/// The CPUs that do a deferred flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferredBy {
    /// This CPU.
    ThisCpu,
    /// Each interrupted CPU.
    InterruptedCpus,
    /// CPUs that have the root of the space loaded without using it.
    LazyCpus,
    /// CPUs that may hold entries of the space and have another root loaded.
    InactiveCpus,
    /// Any other CPU.
    AnotherCpu,
    /// A CPU that takes a fault at the addresses.
    FaultingCpu,
}

impl DeferredBy {
    /// Returns it in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::ThisCpu => "this CPU",
            Self::InterruptedCpus => "each interrupted CPU",
            Self::LazyCpus => "lazy CPUs",
            Self::InactiveCpus => "inactive CPUs",
            Self::AnotherCpu => "another CPU",
            Self::FaultingCpu => "a CPU that faults there",
        }
    }
}

/// Cached entries that a deferred flush invalidates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// Their kinds.
    pub kinds: Vec<EntryKind>,
    /// Where they are.
    pub of: StaleOf,
    /// Whether only entries that allow less than the tables are meant.
    pub stricter: bool,
}

impl Stale {
    /// Returns it in words.
    #[must_use]
    pub fn words(&self) -> String {
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.word()).collect();
        let kinds = text::list(&kinds, "and");
        let stricter = if self.stricter {
            " that allow less than the tables"
        } else {
            ""
        };
        let of = match &self.of {
            StaleOf::OtherTags => "under other tags".to_owned(),
            StaleOf::UserView => "under the user view's tag".to_owned(),
            StaleOf::Space => "of the whole space".to_owned(),
            StaleOf::Request => "that are flushed here, or everything under the tag".to_owned(),
            StaleOf::Range(range) => {
                let (level, start, end) = (range.levels.join(", "), range.start, range.end);
                format!("of level {level} at {start}..{end}")
            }
        };
        format!("{kinds} entries {of}{stricter}")
    }
}

/// A kind of cached entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A translation.
    Leaf,
    /// A pointer to a table.
    Walk,
    /// A binding of a tag to its top table.
    Root,
    /// A cached "not present".
    Negative,
}

impl EntryKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Walk => "walk",
            Self::Root => "root",
            Self::Negative => "negative",
        }
    }
}

/// Where entries are that a deferred flush invalidates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleOf {
    /// Under every tag that is not loaded.
    OtherTags,
    /// Under the tag of the user view of the loaded space.
    UserView,
    /// Under the tag of the space.
    Space,
    /// Where the request says; the CPU may flush everything under the tag instead.
    Request,
    /// At these addresses.
    Range(Range),
}

/// The latest moment of a deferred flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// The CPU loads the tag or the space.
    Load,
    /// The CPU returns to user code.
    ReturnToUser,
    /// A CPU attaches the space.
    Attach,
    /// Something relies on the old entries being gone, or the gather ends.
    Reuse,
    /// The CPU takes a fault there.
    Fault,
}

impl Until {
    /// Returns it in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::ReturnToUser => "the return to user code",
            Self::Attach => "attach",
            Self::Reuse => "reuse",
            Self::Fault => "a fault",
        }
    }
}
