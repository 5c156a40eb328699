//! Tables, caches, features, tags and spaces.

use super::{Cases, Cond, Ident, LimitFrom, Number, ReadFrom, Spanned, Text};
use crate::source::Span;

/// A geometry: one page size with its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geometry {
    /// Its name.
    pub name: Ident,
    /// `page 4 KiB;` in bytes.
    pub page: Vec<Number>,
    /// `granule 0b01;`
    pub granule: Vec<Number>,
    /// `levels { ... }`, from the leaf up.
    pub levels: Vec<Level>,
    /// `top pud, p4d, pgd;`: a space has its top table at one of these.
    pub tops: Vec<Spanned<Vec<Ident>>>,
    /// All of it.
    pub span: Span,
}

/// `pmd 21 leaf hint 2;`, `p4d 39 when la57;`, `pgd 39, 48 when la57;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Its name.
    pub name: Ident,
    /// log2 of the bytes an entry reaches. A level with a condition on its only case exists under it alone.
    pub shift: Cases<Number>,
    /// `leaf`, `leaf when edat1`
    pub leaf: Option<Spanned<Option<Cond>>>,
    /// `hint 2`
    pub hint: Option<Number>,
    /// All of it.
    pub span: Span,
}

/// `target_arch "...";`, `target_arch "..." intended;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetArch {
    /// Rust's name of the architecture.
    pub name: Text,
    /// It is meant as it is, although Rust does not know it.
    pub intended: bool,
    /// All of it.
    pub span: Span,
}

/// `caches { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caches {
    /// The facts.
    pub facts: Vec<Spanned<CacheFact>>,
    /// All of it.
    pub span: Span,
}

/// What the machine may remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheFact {
    /// `tlb holds leaf, walk;`, `erat holds leaf from tlb;`
    Holds {
        /// The cache.
        cache: Ident,
        /// The kinds of entries.
        kinds: Vec<Spanned<Kind>>,
        /// The cache from whose entries it makes its own.
        from: Option<Ident>,
    },
    /// `tlb has 128 sets, 1 set when isa31;`
    Sets {
        /// The cache.
        cache: Ident,
        /// How many.
        count: Cases<Number>,
    },
    /// `one per core;` (true) or `one per cpu;`
    OnePer {
        /// Whether the CPUs of a core share it.
        core: bool,
    },
    /// `leaf at pte covers 2 entries;`: one cached translation serves neighbouring table entries of a level.
    Joined {
        /// The level; one has to be named.
        level: Option<Ident>,
        /// How many.
        count: Number,
    },
    /// `walk spans its reach;`: one address drops a walk entry wherever in its reach it lies.
    WalkSpansReach,
    /// `large leaf may split, dropped together;`: one address drops all pieces; `large leaf kept whole;`
    LargeLeaf {
        /// `dropped together` or `kept whole`
        together: bool,
    },
    /// `invalid never;` or `invalid cached;`
    Invalid {
        /// Whether entries for invalid table entries are kept.
        cached: bool,
    },
    /// `fills while loaded;`: a CPU with a root loaded walks by speculation.
    FillsWhileLoaded,
    /// `stricter ...;`: what becomes of an entry that allows less than the table.
    Stricter {
        /// On CPUs.
        how: Stricter,
        /// `refetched by cpus`: devices keep it.
        cpus_only: bool,
    },
    /// `clean to dirty walks;`: a clean entry never becomes dirty without a walk.
    CleanToDirtyWalks,
    /// `cleared accessed may stay;`: clearing the accessed mark requires no flush.
    ClearedAccessedMayStay,
}

pub use tlbc_runtime::pte::Stricter;

/// A kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A translation.
    Leaf,
    /// A pointer to a table.
    Walk,
    /// A binding of a tag to its top table.
    Root,
    /// A remembered absence.
    Negative,
}

/// `feature pcid "..." from CR4[17] = 1 needs a and not b;`, `feature x "..." of space;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: Ident,
    /// What it is.
    pub text: Text,
    /// When it is known: at boot unless it says so.
    pub known: Option<Spanned<Known>>,
    /// Where it is read.
    pub from: Option<ReadFrom>,
    /// What it needs.
    pub needs: Option<Cond>,
    /// All of it.
    pub span: Span,
}

/// When a condition is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    /// Once, before any flush.
    Boot,
    /// `of cpu`
    Cpu,
    /// `of space`
    Space,
}

/// `limit invlpgb_pages "..." 1..65536 from CPUID.80000008H.EDX[15:0] + 1;`: a number the kernel reads at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: Ident,
    /// What it is.
    pub text: Text,
    /// The least and the largest value it may have.
    pub range: (Number, Number),
    /// The register that tells it.
    pub from: Option<LimitFrom>,
    /// All of it.
    pub span: Span,
}

/// `domain inner is cpus;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its name.
    pub name: Ident,
    /// `self`, `core`, `cpus`, `devices`.
    pub members: Vec<Ident>,
    /// All of it.
    pub span: Span,
}

/// `tag asid when pcid { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: Ident,
    /// When there is such a tag.
    pub when: Option<Cond>,
    /// The facts.
    pub facts: Vec<Spanned<TagFact>>,
    /// All of it.
    pub span: Span,
}

/// A fact of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagFact {
    /// `12 bits;`
    Bits(Number),
    /// `of cpu;` (true) or `of machine;`
    OfCpu(bool),
    /// `values 1..6;`
    Values(Number, Number),
    /// `reserved 0;`
    Reserved(Number),
    /// `from generations;`
    From(TagSource),
    /// `read after publish;`
    ReadAfterPublish,
    /// `may be invalidated lazily;`
    InvalidatedLazily,
    /// `is the root;`
    IsRoot,
}

/// Where the values of a tag come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagSource {
    /// `generations`: given out anew at each rollover.
    Generations,
    /// `slots`: a few of each CPU's own, given out anew one by one.
    Slots,
    /// `life`: one for as long as a space lives.
    Life,
}

/// `space user { ... }` or `space kernel { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// `user` or `kernel`.
    pub name: Ident,
    /// `addresses low 48 bits;`
    pub addresses: Vec<Cases<Half>>,
    /// `leaf under asid;`
    pub leaf: Vec<Cases<Under>>,
    /// `walk under asid;`
    pub walk: Vec<Cases<Under>>,
    /// `view user tag | 1 when kpti;`
    pub views: Vec<View>,
    /// `resync isb, nothing when ets2;`
    pub resync: Option<Cases<Option<Ident>>>,
    /// `devices when attached;`: devices walk its tables as well.
    pub devices: Vec<Spanned<Option<Cond>>>,
    /// All of it.
    pub span: Span,
}

/// `low 48 bits`, `high 47 bits`, `from 0xc000_0000_0000_0000, 52 bits`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half {
    /// Where they begin.
    pub base: Base,
    /// How many bits.
    pub bits: Number,
}

/// Where the addresses of a space begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// At 0.
    Low,
    /// So that they end with the last one.
    High,
    /// There.
    At(Number),
}

/// Which tag class entries of a space have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Under {
    /// `under slot or shared`
    Tags(Vec<Ident>),
    /// `under pid 0`
    Fixed(Ident, Number),
    /// `under every tag`
    EveryTag,
    /// `global`
    Global,
}

/// `view user tag | 1 << 11 when pti and pcid;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: Ident,
    /// What is or-ed to the tag; nothing for `tag` alone.
    pub or: Option<Number>,
    /// `loaded`: the view that is loaded while the kernel runs.
    pub loaded: Option<Span>,
    /// When there is such a view.
    pub when: Option<Cond>,
    /// All of it.
    pub span: Span,
}
