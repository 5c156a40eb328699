//! Barriers, operands, invalidations and loads.

use super::{Cases, Cond, Ident, Kind, Number, Spanned, Text};
use crate::source::Span;

/// `barrier tlbsync "tlbsync" requires invlpgb { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barrier {
    /// Its name.
    pub name: Ident,
    /// The instruction.
    pub template: Text,
    /// Features it requires.
    pub requires: Option<Cond>,
    /// The facts.
    pub facts: Vec<Spanned<BarrierFact>>,
    /// All of it.
    pub span: Span,
}

/// `keeps flags, operands;`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keeps {
    /// The flags are what they were.
    pub flags: bool,
    /// The registers of the operands are what they were.
    pub operands: bool,
}

/// A fact of a barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BarrierFact {
    /// `publishes on inner;`
    Publishes(Ident),
    /// `completes on cpus;`, `completes on cpus by the same cpu;`
    Completes {
        /// The audience.
        on: Ident,
        /// Whether the CPU that issued must also complete.
        same_cpu: bool,
    },
    /// `resyncs on self;`
    Resyncs(Ident),
    /// `keeps flags;`
    Keeps(Keeps),
    /// `gone;`
    Gone,
    /// `drained;`
    Drained,
}

/// `operand page 64 bits in memory { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operand {
    /// Its name.
    pub name: Ident,
    /// Its width.
    pub bits: Number,
    /// `in memory`, `in rax` or a class of registers; any register without.
    pub place: Option<Ident>,
    /// `in memory by reg_addr`: the class of the register that holds the address.
    pub by: Option<Ident>,
    /// The fields.
    pub fields: Vec<Field>,
    /// `names (num + 1) << (5 * scale + 1) pages;`
    pub names: Option<Names>,
    /// `start aligned to hint;`
    pub aligned: Option<Span>,
    /// All of it.
    pub span: Span,
}

/// `[47:44] hint when ttl;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The highest bit.
    pub high: Number,
    /// The lowest bit.
    pub low: Number,
    /// What stands there.
    pub value: Spanned<FieldValue>,
    /// Zero when it does not hold.
    pub when: Option<Cond>,
    /// All of it.
    pub span: Span,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// A constant.
    Const(u64),
    /// `tag`, `va`, `root`, `num`, `scale`, `hint`, `granule`, `form`, `keep`
    Source(Ident),
    /// `va[55:12]`
    Slice {
        /// The source.
        source: Ident,
        /// Its highest bit.
        high: Number,
        /// Its lowest bit.
        low: Number,
    },
    /// `va >> page`: the number of the page.
    PageNumber(Ident),
    /// `level as pte 0, pte 5 when g64k, pmd 1, else 0`
    LevelAs {
        /// The number of each level.
        cases: Vec<(Ident, Number, Option<Cond>)>,
        /// The number of every other.
        otherwise: Option<Number>,
    },
}

/// `names (num + 1) << (5 * scale + 1) pages;`, `names any entries;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// How many; any number where there is no formula.
    pub count: Option<Spanned<Expr>>,
    /// `pages` (true): base pages whatever the level; `entries`: entries of the level asked for.
    pub pages: bool,
    /// All of it.
    pub span: Span,
}

/// An expression over the fields of an operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// A number.
    Const(u64),
    /// A field's source.
    Source(Ident),
    /// `+`, `*`, `<<`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
}

/// An operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `*`
    Mul,
    /// `<<`
    Shl,
}

/// `invalidate vae1is requires x "..." with a, b requires x { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalidate {
    /// The comment before it (`//` lines do not count, `///` do).
    pub doc: Vec<String>,
    /// Its name: the mnemonic in lower case.
    pub name: Ident,
    /// The instruction or instructions, separated by `;`.
    pub template: Option<Text>,
    /// `call NAME`: a function of the platform in place of instructions.
    pub call: Option<Ident>,
    /// Operands in fixed registers that the template does not name.
    pub with: Vec<Ident>,
    /// Features it requires.
    pub requires: Option<Cond>,
    /// The facts.
    pub facts: Vec<Spanned<InvalidateFact>>,
    /// All of it.
    pub span: Span,
}

/// A fact of an invalidation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidateFact {
    /// `per "DDI 0487, D8.17";`
    Per(Text),
    /// `drops leaf, walk of one page, this tag;`
    Drops(Drops),
    /// `drops nothing;`
    DropsNothing,
    /// `where inner;`, `where devices, everyone when broadcast;`
    Where(Cases<Ident>),
    /// `at once;`
    AtOnce,
    /// `after dsb_ish;`
    After(Cases<Ident>),
    /// `needs same cpu;`, `needs interrupts off;`, `needs lock;`
    Needs(Spanned<Need>),
    /// `needs no lock;`: CPUs may issue it at once.
    NeedsNoLock,
    /// `may be interrupted;`: nothing goes wrong between its instructions.
    MayBeInterrupted,
    /// `keeps flags, operands;`
    Keeps(Keeps),
    /// `clobbers flags;`
    ClobbersFlags,
    /// `overwrites operands;`
    OverwritesOperands,
    /// `retry while busy;`
    RetryWhileBusy,
    /// `encoded ".long ...";`: for the assembler, where it does not know the instruction.
    Encoded(Text),
    /// `writes entry at pte: invalid;`: it changes the table entry as well.
    WritesEntry {
        /// Entries of which levels.
        levels: Vec<Ident>,
        /// What they become.
        to: Written,
        /// `if old`: they are compared with what they were, and stay if they are something else.
        if_old: bool,
    },
    /// `cost 2;`
    Cost(Number),
    /// `form page = 0 requires pcid { ... }`
    Form(Form),
}

/// What must hold while it is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The caller does not move to another CPU before completion.
    SameCpu,
    /// Interrupts are off.
    InterruptsOff,
    /// Nobody else in the machine has one under way.
    Lock,
}

/// What an instruction that writes an entry makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Written {
    /// Nothing is mapped any more.
    Invalid,
    /// Whatever it is told.
    Replaced,
    /// What it was, with more allowed.
    MoreRights,
}

/// One of several effects, chosen by a constant operand field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Its name.
    pub name: Ident,
    /// The value of the field source `form`.
    pub value: Number,
    /// Features it requires.
    pub requires: Option<Cond>,
    /// What it drops.
    pub drops: Vec<Spanned<Drops>>,
    /// All of it.
    pub span: Span,
}

/// `drops leaf, walk of one page, this tag when not tce;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drops {
    /// Kinds, each with its levels.
    pub what: Vec<(Spanned<Kind>, Levels)>,
    /// Which of them.
    pub which: Spanned<AddressSelector>,
    /// Of whom.
    pub whose: Spanned<TagSelector>,
    /// `this`, `other`: the words that say so.
    pub whose_words: Vec<Ident>,
    /// In these caches; without any, in all that hold the kind.
    pub caches: Vec<Ident>,
    /// When.
    pub when: Option<Cond>,
}

/// The levels a `drops` speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Levels {
    /// Every level.
    Any,
    /// `at hint`: that level with a hint, every level without.
    AtHint,
    /// `above hint`: the levels above it with a hint, every level without.
    AboveHint,
    /// `at level`: the level that the instruction must be given.
    AtGiven,
    /// `at pmd`
    At(Ident),
}

/// Which entries go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressSelector {
    /// `one page`: those that contain the address.
    OnePage,
    /// `run of 2..2097152 pages`, `run of 1..limit(x) entries at pte, pmd`
    Run {
        /// Least count.
        least: Number,
        /// Largest count.
        most: MaxCount,
        /// `pages`, or `entries at ...` of the levels named.
        entries_at: Option<Vec<Ident>>,
    },
    /// `one set`: what one set of the cache holds.
    OneSet,
    /// `subtree`: what was made through one table entry, and all below it.
    Subtree,
    /// `everything`
    Everything,
}

/// The largest count of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaxCount {
    /// A number.
    Const(Number),
    /// `limit(name)`
    Limit(Ident),
    /// Nothing is said.
    Unsaid,
}

/// Of whom entries go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TagSelector {
    /// `this tag`: the tag given as operand.
    pub this: bool,
    /// `loaded tag`: whatever is loaded.
    pub loaded: bool,
    /// `other tag`
    pub other: bool,
    /// `global`
    pub global: bool,
    /// `this table`: made through the table that is given, whatever the tag, and global entries as well.
    pub table: bool,
    /// `user tags`: under whatever tag user spaces have, and not under one that is the kernel's alone.
    pub user: bool,
}

/// `load cr3 "mov cr3, {cr3}" { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Its name: the register.
    pub name: Ident,
    /// The instruction or instructions.
    pub template: Text,
    /// `per "...";`
    pub per: Vec<Text>,
    /// `keeps flags, operands;`
    pub keeps: Vec<Spanned<Keeps>>,
    /// What loading drops.
    pub drops: Vec<Spanned<Drops>>,
    /// All of it.
    pub span: Span,
}
