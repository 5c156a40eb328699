//! Barriers, operands, invalidations and loads.

use super::machine::CachedKind;
use super::terms::{Cases, Cond, Ident, Number, Spanned, Text};
use crate::source::Span;

/// `barrier tlbsync "tlbsync" requires invlpgb { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barrier {
    pub name: Ident,
    pub template: Text,
    pub requires: Option<Cond>,
    pub facts: Vec<Spanned<BarrierFact>>,
    pub span: Span,
}

/// `keeps flags, operands;`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keeps {
    /// The flags do not change.
    pub flags: bool,
    /// The registers of the operands do not change.
    pub operands: bool,
}

/// A fact of a barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BarrierFact {
    /// `publishes on inner;`
    Publishes(Ident),
    /// `completes on cpus;`, `completes on cpus by the same cpu;`
    Completes {
        on: Ident,
        /// It waits only for invalidations of the CPU that issues it.
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
    /// `cost 2;`
    Cost(Number),
}

/// `operand page 64 bits in memory { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operand {
    pub name: Ident,
    pub bits: Number,
    /// `in memory`, `in rax` or a class of registers; without it, any general register.
    pub place: Option<Ident>,
    /// `in memory by reg_addr`: the class of the register that holds the address.
    pub by: Option<Ident>,
    pub fields: Vec<Field>,
    /// `names (num + 1) << (5 * scale + 1) pages;`
    pub names: Option<Names>,
    /// `start aligned to hint;`
    pub aligned: Option<Span>,
    pub span: Span,
}

/// `[47:44] hint when ttl;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub high: Number,
    pub low: Number,
    pub value: Spanned<FieldValue>,
    /// The field is zero where this does not hold.
    pub when: Option<Cond>,
    pub span: Span,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    Const(u64),
    /// `tag`, `va`, `root`, `num`, `scale`, `hint`, `granule`, `form`, `keep`
    Source(Ident),
    /// `va[55:12]`
    Slice {
        source: Ident,
        high: Number,
        low: Number,
    },
    /// `va >> page`: the number of the page.
    PageNumber(Ident),
    /// `level as pte 0, pte 5 when g64k, pmd 1, else 0`
    LevelAs {
        /// The number of each level.
        cases: Vec<(Ident, Number, Option<Cond>)>,
        /// The number of every other level.
        otherwise: Option<Number>,
    },
}

/// `names (num + 1) << (5 * scale + 1) pages;`, `names any entries;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The count; without a formula, any number.
    pub count: Option<Spanned<Expr>>,
    /// `pages` (true): base pages at any level; `entries`: entries of the level of the range.
    pub pages: bool,
    pub span: Span,
}

/// An expression over the fields of an operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    Const(u64),
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
    /// The `///` comment before it.
    pub doc: Vec<String>,
    pub name: Ident,
    pub template: Option<Text>,
    /// `call NAME`: a function of the platform in place of instructions.
    pub call: Option<Ident>,
    /// Operands in fixed registers that the template does not name.
    pub with: Vec<Ident>,
    pub requires: Option<Cond>,
    pub facts: Vec<Spanned<InvalidateFact>>,
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
    /// `where inner;`, `where devices, all_agents when broadcast;`
    Where(Cases<Ident>),
    /// `at once;`
    AtOnce,
    /// `after dsb_ish;`
    After(Cases<Ident>),
    /// `follows sfence_w_inval;`: the barrier is issued before it.
    Follows(Ident),
    /// `needs same cpu;`, `needs interrupts off;`, `needs lock;`
    Needs(Spanned<Need>),
    /// `needs no lock;`: CPUs may issue it at once.
    NeedsNoLock,
    /// `may be interrupted;`: an interrupt between its instructions does no harm.
    MayBeInterrupted,
    /// `keeps flags, operands;`
    Keeps(Keeps),
    /// `clobbers flags;`
    ClobbersFlags,
    /// `overwrites operands;`
    OverwritesOperands,
    /// `retry while busy;`
    RetryWhileBusy,
    /// `encoded ".long ...";`: the lines for the assembler, where it does not know the instruction.
    Encoded(Text),
    /// `writes entry at pte: invalid;`: it also changes the table entry.
    WritesEntry {
        /// The levels of the entries.
        levels: Vec<Ident>,
        to: Written,
        /// `if old`: an entry that differs from `old` is not changed.
        if_old: bool,
    },
    /// `cost 2;`
    Cost(Number),
    /// `form page = 0 requires pcid { ... }`
    Form(Form),
}

/// What the kernel must ensure while the instruction is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The caller stays on this CPU until completion.
    SameCpu,
    InterruptsOff,
    /// No other CPU issues one at the same time.
    Lock,
}

/// The value that an instruction writes into an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Written {
    /// An invalid entry.
    Invalid,
    /// The value of an operand.
    Replaced,
    /// The same page with more rights.
    MoreRights,
}

/// One of several effects, chosen by a constant operand field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    pub name: Ident,
    /// The value of the source `form`.
    pub value: Number,
    pub requires: Option<Cond>,
    pub drops: Vec<Spanned<Drops>>,
    pub span: Span,
}

/// `drops leaf, walk of one page, this tag when not tce;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drops {
    /// The kinds, each with its levels.
    pub what: Vec<(Spanned<CachedKind>, Levels)>,
    pub which: Spanned<AddressSelector>,
    pub whose: Spanned<TagSelector>,
    /// The words that name the tags.
    pub whose_words: Vec<Ident>,
    /// The caches; without any, all that hold the kind.
    pub caches: Vec<Ident>,
    pub when: Option<Cond>,
}

/// The levels of a kind of entries in `drops`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Levels {
    Any,
    /// `at hint`: the hinted level; every level without a hint.
    AtHint,
    /// `above hint`: the levels above the hinted one; every level without a hint.
    AboveHint,
    /// `at level`: the level that the instruction must be given.
    AtGiven,
    /// `at pmd`
    At(Ident),
}

/// The addresses of the entries that are dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressSelector {
    /// `one page`: the entries that contain the address.
    OnePage,
    /// `run of 2..2097152 pages`, `run of 1..limit(x) entries at pte, pmd`
    Run {
        least: Number,
        most: MaxCount,
        /// `pages`, or `entries at ...` of the levels named.
        entries_at: Option<Vec<Ident>>,
    },
    /// `one set`: the entries in one set of the cache.
    OneSet,
    /// `subtree`: what was made through one table entry, and everything below it.
    Subtree,
    /// `everything`
    Everything,
}

/// The largest count of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaxCount {
    Const(Number),
    /// `limit(name)`
    Limit(Ident),
    Unsaid,
}

/// The tags of the entries that are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TagSelector {
    /// `this tag`: the tag in an operand.
    pub this: bool,
    /// `loaded tag`: the tag that is loaded on this CPU.
    pub loaded: bool,
    /// `other tag`
    pub other: bool,
    /// `global`
    pub global: bool,
    /// `this table`: made through the table in an operand, under any tag, and global entries as well.
    pub table: bool,
    /// `user tags`: all tags except one that only the kernel has.
    pub user: bool,
}

/// `load cr3 "mov cr3, {cr3}" { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    pub name: Ident,
    pub template: Text,
    pub requires: Option<Cond>,
    /// `per "...";`
    pub per: Vec<Text>,
    /// `keeps flags, operands;`
    pub keeps: Vec<Spanned<Keeps>>,
    pub drops: Vec<Spanned<Drops>>,
    /// `follows isb;`
    pub follows: Vec<Spanned<Ident>>,
    pub span: Span,
}
