//! The words of trees, and what they refer to.

use std::borrow::Cow;

use tlbc_runtime::request::Space;

use crate::model::Which;

/// Something that a word of a tree refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// A variable with a fixed name.
    Var(Var),
    /// A name of the runtime.
    Runtime(Runtime),
    /// A flag of the configuration, by its bit.
    Flag(usize),
    /// A private item of the module.
    Private(Private),
}

/// A private item of a module, which is written if something uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Private {
    /// A function of the configuration.
    Function(Property),
    /// The encoder of an operand.
    Encoder(usize),
    /// The run lengths that an operand encodes.
    Units(usize),
    /// The function that issues an instruction.
    Issuer(Which),
    /// The function that issues one of two barriers, depending on a flag.
    Barriers(FlagBarriers),
    /// The function of a loop over sets.
    Sets(SetLoop),
    /// The function of an erratum's workaround.
    Workaround(usize, usize),
    /// The number of an instruction's form.
    Form(usize, usize),
    /// The bits of a view's tag.
    View(Space, usize),
    /// An erratum set, by index.
    ErratumSet(usize),
    /// A step of completion, by its bit.
    FinishStep(usize),
}

/// The choice of a barrier by a flag of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlagBarriers {
    /// The bit of the flag.
    pub flag: usize,
    /// The barrier where it is set.
    pub set: usize,
    /// The barrier where it is clear.
    pub clear: usize,
}

/// A loop over sets of a cache, with one instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetLoop {
    /// The instruction, by index.
    pub invalidate: usize,
    /// The number of sets of the cache.
    pub count: u64,
}

/// What a private function returns of a configuration, or of a level in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// The table of levels.
    LevelTable,
    /// log2 of the bytes that an entry of a level maps.
    ShiftOf,
    /// The first address after an entry.
    EndOf,
    /// The number of a level in operands.
    HintOf,
    /// The number of the page size in operands.
    Granule,
    /// log2 of the page size.
    PageShift,
}

impl Property {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 6] = [
        Self::LevelTable,
        Self::ShiftOf,
        Self::EndOf,
        Self::HintOf,
        Self::Granule,
        Self::PageShift,
    ];

    /// Returns the name of the function.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LevelTable => "level_table",
            Self::ShiftOf => "shift_of",
            Self::EndOf => "end_of",
            Self::HintOf => "hint_of",
            Self::Granule => "granule",
            Self::PageShift => "page_shift",
        }
    }
}

/// Defines the variables with fixed names, and their types as parameters.
macro_rules! variables {
    ($($var:ident $name:literal: $of:literal $($uses:ident)?;)*) => {
        /// A variable with a fixed name: a parameter, or one of a loop.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Var { $($var),* }

        impl Var {
            /// All names.
            pub const NAMES: &[&str] = &[$($name),*];

            /// Returns the name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$var => $name),* }
            }

            /// Returns the type of a parameter.
            pub fn of(self) -> CodeWord {
                match self { $(Self::$var => variables!(@ $of $($uses)?)),* }
            }
        }
    };
    (@ $of:literal) => { CodeWord::from($of) };
    (@ $of:literal $uses:ident) => { Runtime::$uses.text($of) };
}

variables! {
    Config "c": "Config";
    Cpu "cpu": "&mut impl Issue<Op>" Issue;
    Tag "tag": "u64";
    Global "global": "bool";
    Va "va": "u64";
    End "end": "u64";
    Bytes "bytes": "u64";
    Level "level": "Level" Level;
    Tables "tables": "bool";
    Teardown "teardown": "bool";
    Pass "pass": "&Pass" Pass;
    Ranges "ranges": "&Ranges" Ranges;
    Passes "passes": "&impl Passes" Passes;
    To "to": "&Root" Root;
    Pending "pending": "Pending" Pending;
    ViewDeferred "view_deferred": "bool";
    Slot "slot": "&Slot<'_>" Slot;
    Change "change": "&Change" Change;
    Kind "kind": "Kind" Kind;
    Owner "owner": "&Owner" Owner;
    Steps "steps": "FinishSteps" FinishSteps;
    Root "root": "u64";
    Hint "hint": "Option<u64>";
    Stride "stride": "Level" Level;
    Num "num": "u64";
    Scale "scale": "u32";
    Form "form": "u64";
    Keep "keep": "bool";
    Set "set": "u64";
    Table "table": "u64";
    Entry "entry": "u64";
    Old "old": "u64";
    New "new": "u64";
    Hinted "hinted": "Option<u64>";
    Nth "nth": "u64";
    Run "run": "Run";
    Runs "runs": "Runs" Runs;
    Operations "operations": "u64";
    Ceiling "ceiling": "Ceiling" Ceiling;
    Levels "levels": "&LevelTable" LevelTable;
    Folding "folding": "Folding" Folding;
    Single "single": "SinglePass" SinglePass;
    Sorted "sorted": "&SortedPasses" SortedPasses;
    Outcome "outcome": "Outcome" Outcome;
    SyncIpis "sync_ipis": "IpiTargets" IpiTargets;
}

/// Defines the names of the runtime that a module may import.
macro_rules! runtime {
    ($($module:literal: $($name:ident)*;)*) => {
        /// A name of the runtime.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Runtime { $($($name),*),* }

        impl Runtime {
            /// Every module, with its names.
            pub const MODULES: &[(&str, &[Self])] = &[$(($module, &[$(Self::$name),*])),*];

            /// Returns the name.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$name => stringify!($name)),*),* }
            }
        }
    };
}

runtime! {
    "agents": Agents;
    "backend": Answer Backend Ceiling Configuration Facts FinishSteps Finished Flags IpiTargets Issue LazyMm OfSpace Outcome
        PerCpuSource PteUpdate Root Shootdown Started TableFree TagSource TagValues Tags;
    "deferred": Deferred Pending;
    "level": Level Levels;
    "pte": Change ChangeFacts Changed Kind Marks Negative Owner RequiredFlush Slot Stricter;
    "request::passes": Folding Pass Passes SinglePass SortedPasses Walks;
    "request::runs": Runs Units;
    "request": LevelFacts LevelTable Ranges Reach Request Scope Space SpaceFlags;
}

pub type CodeText = Cow<'static, str>;

/// A token or a path, and what it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeWord {
    pub text: CodeText,
    pub uses: Option<Use>,
}

impl CodeWord {
    /// Returns the name of a private item.
    pub fn private(item: Private, name: impl Into<CodeText>) -> Self {
        Self {
            text: name.into(),
            uses: Some(Use::Private(item)),
        }
    }
}

impl<T: Into<CodeText>> From<T> for CodeWord {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            uses: None,
        }
    }
}

impl Runtime {
    /// Returns a text that contains the name, such as a type.
    pub fn text(self, text: impl Into<CodeText>) -> CodeWord {
        CodeWord {
            text: text.into(),
            uses: Some(Use::Runtime(self)),
        }
    }
}

impl Var {
    /// Returns the variable as a word, such as where it is defined.
    pub fn word(self) -> CodeWord {
        CodeWord {
            text: self.name().into(),
            uses: Some(Use::Var(self)),
        }
    }

    /// Returns the definition of a variable that changes.
    pub fn mutable(self) -> CodeWord {
        CodeWord {
            text: format!("mut {}", self.name()).into(),
            uses: Some(Use::Var(self)),
        }
    }

    /// Returns a parameter of this name.
    pub fn parameter(self) -> (CodeText, CodeWord) {
        (self.name().into(), self.of())
    }
}
