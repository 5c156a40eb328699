//! What is issued for a request: the one value from which the text and the JSON are made.
//!
//! Everything here is serialised as it stands; `compiler/schema/trace.schema.json` describes the result, and [`VERSION`] is
//! raised when a reader of the former form would misread the new one.

use std::fmt;

use serde::{Serialize, Serializer};

use super::request::Request;

/// The version of the form in which a [`Trace`] is serialised.
pub const VERSION: u32 = 1;

/// What is issued and deferred.
#[derive(Debug, Clone, Serialize)]
pub struct Trace {
    /// [`VERSION`].
    pub version: u32,
    /// What was asked.
    pub request: Request,
    /// What a reader should know besides, such as why no flush is required.
    pub notes: Vec<String>,
    /// What this CPU does, in order.
    pub here: Vec<Step>,
    /// Which CPUs are interrupted, and what they do. A step of [`here`](Self::here) says when.
    pub ipis: Vec<Ipi>,
    /// Which flushes are not done now.
    pub deferred: Vec<Deferred>,
}

impl Trace {
    /// The instructions that this CPU issues.
    pub fn issued(&self) -> impl Iterator<Item = &Instruction> {
        self.here.iter().filter_map(Step::instruction)
    }

    /// The instructions that the interrupted CPUs issue.
    pub fn issued_elsewhere(&self) -> impl Iterator<Item = &Instruction> {
        let steps = self.ipis.iter().flat_map(|ipi| &ipi.steps);
        steps.filter_map(Step::instruction)
    }

    /// The names of the CPUs that are interrupted.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        let targets = self.ipis.iter().flat_map(|ipi| &ipi.targets);
        targets.map(|target| target.cpus.as_str())
    }
}

/// Something that a CPU does.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Step {
    /// It issues a barrier.
    Barrier {
        /// What for.
        role: BarrierRole,
        /// The erratum whose workaround it belongs to.
        workaround: Option<String>,
        /// Which.
        #[serde(flatten)]
        instruction: Instruction,
    },
    /// It issues an instruction that invalidates.
    Invalidate {
        /// The erratum that it is a workaround of.
        workaround: Option<String>,
        /// Which.
        #[serde(flatten)]
        instruction: Instruction,
    },
    /// It loads a register.
    Load {
        /// Which root.
        root: LoadedRoot,
        /// Which instruction.
        #[serde(flatten)]
        instruction: Instruction,
    },
    /// It stores entries.
    Store(Store),
    /// It interrupts other CPUs, and waits for them before the next step.
    Ipi {
        /// Which, by index.
        ipi: usize,
    },
}

impl Step {
    /// The instruction, where it is one.
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

/// What a barrier is issued for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BarrierRole {
    /// It makes stores visible to walkers.
    Publish,
    /// It waits until invalidations are complete.
    Complete,
    /// It makes this CPU translate and fetch anew.
    Resync,
}

/// The root that a load is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadedRoot {
    /// That of the space.
    Space,
    /// One that maps nothing.
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
    /// Its fields whose condition holds, from the highest.
    pub fields: Vec<Field>,
}

/// A field of an operand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its highest bit.
    pub high: u32,
    /// Its lowest bit.
    pub low: u32,
    /// What the definition says stands there.
    pub source: String,
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
    /// How many they are.
    pub entries: u64,
    /// What they become.
    pub becomes: Becomes,
}

/// What a stored entry becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Becomes {
    /// Invalid.
    Invalid,
    /// What was asked for, which is valid.
    New,
}

/// CPUs that are interrupted.
#[derive(Debug, Clone, Serialize)]
pub struct Ipi {
    /// Which, and why.
    pub targets: Vec<Target>,
    /// What each of them does. If nothing, taking the interrupt is enough.
    pub steps: Vec<Step>,
    /// The kind of tag of which each of them uses its own value for the space, in place of the one that is shown.
    pub own_tag: Option<String>,
}

/// CPUs of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Which.
    pub cpus: String,
    /// The set of CPUs that the kernel keeps, where it is one.
    pub set: Option<String>,
    /// Why they are interrupted.
    pub reason: String,
}

/// A flush that is not done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Deferred {
    /// By which CPUs it is done.
    pub cpus: &'static str,
    /// What it invalidates.
    pub entries: &'static str,
    /// Its latest moment.
    pub until: Until,
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
    /// In words.
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

/// A number that is shown and serialised in hexadecimal, `0x...`: addresses do not fit the numbers of many JSON readers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hex(pub u128);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<u64> for Hex {
    fn from(number: u64) -> Self {
        Self(number.into())
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
