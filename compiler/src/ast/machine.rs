//! Tables, caches, features, tags and spaces.

use super::registers::{LimitFrom, ReadFrom};
use super::terms::{Amount, Cases, Cond, Ident, Number, Spanned, Text};
use crate::source::Span;

/// A geometry: one page size with its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geometry {
    pub name: Ident,
    /// `page 4 KiB;` in bytes.
    pub page: Vec<Number>,
    /// `granule 0b01;`
    pub granule: Vec<Number>,
    /// `root within 32 bits;`
    pub root_within: Vec<Number>,
    /// `root aligned to 16 KiB;` in bytes.
    pub root_aligned: Vec<Number>,
    /// `levels { ... }`, from the leaf up.
    pub levels: Vec<Level>,
    /// `top pud, p4d, pgd;`: a space has its top table at one of these.
    pub tops: Vec<Spanned<Vec<Ident>>>,
    pub span: Span,
}

/// `pmd 21 leaf hint 2;`, `p4d 39 when la57;`, `pgd 39, 48 when la57;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    pub name: Ident,
    /// log2 of the reach of an entry. A level whose only case has a condition exists under that condition alone.
    pub shift: Cases<Number>,
    /// `leaf`, `leaf when edat1`
    pub leaf: Option<Spanned<Option<Cond>>>,
    /// `hint 2`
    pub hint: Option<Number>,
    pub span: Span,
}

/// `target_arch "...";`, `target_arch "..." intended;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetArch {
    /// Rust's name of the architecture.
    pub name: Text,
    /// Whether the name is correct although Rust does not know it.
    pub intended: bool,
    pub span: Span,
}

/// `caches { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caches {
    pub facts: Vec<Spanned<CacheFact>>,
    pub span: Span,
}

/// What the machine may cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheFact {
    /// `tlb holds leaf, walk;`, `erat holds leaf from tlb;`
    Holds {
        cache: Ident,
        /// The kinds of entries.
        kinds: Vec<Spanned<CachedKind>>,
        /// The cache from whose entries it makes its own.
        from: Option<Ident>,
        when: Option<Cond>,
    },
    /// `tlb has 128 sets, 1 set when isa31;`
    Sets { cache: Ident, count: Cases<Amount> },
    /// `one per core;` (true) or `one per cpu;`
    OnePer { core: bool },
    /// `leaf at pte covers 2 entries;`: one cached translation serves neighbouring table entries of a level.
    Joined {
        /// The level, which is required.
        level: Option<Ident>,
        count: Number,
    },
    /// `walk spans its reach;`: an invalidation of any address in its reach drops a walk entry.
    WalkSpansReach,
    /// `large leaf may split, dropped together;`: an invalidation of one address drops all pieces; or `large leaf kept
    /// whole;`
    LargeLeaf {
        /// `dropped together` or `kept whole`
        together: bool,
    },
    /// `invalid never;`, `invalid cached, expires when svvptc;`
    Invalid(Cases<Negative>),
    /// `fills while loaded;`, `fills by software, while loaded when walker;`
    Fills(Cases<Fills>),
    /// `stricter ...;`: what happens when an entry allows less than the table.
    Stricter(Cases<StricterOn>),
    /// `clean to dirty walks;`: a clean entry never becomes dirty without a walk.
    CleanToDirtyWalks { when: Option<Cond> },
    /// `cleared accessed may stay;`: clearing the accessed mark requires no flush.
    ClearedAccessedMayStay { when: Option<Cond> },
}

pub use tlbc_runtime::pte::Negative;

/// What fills entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fills {
    /// `while loaded`: a CPU with a root loaded walks by speculation.
    WhileLoaded,
    /// `by software`: the kernel fills an entry when an access finds none.
    BySoftware,
}

/// What happens when an entry allows less than the table, and on which agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StricterOn {
    pub how: Stricter,
    /// `refetched by cpus`: devices keep it.
    pub cpus_only: bool,
}

pub use tlbc_runtime::pte::Stricter;

/// A kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachedKind {
    Leaf,
    /// A pointer to a table.
    Walk,
    /// A binding of a tag to its top table.
    Root,
    Negative,
}

/// `feature pcid "..." from CR4[17] = 1 needs a and not b;`, `feature x "..." of space;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    pub name: Ident,
    pub text: Text,
    /// When it is known; at boot unless stated.
    pub known: Option<Spanned<Known>>,
    /// The register that reports it.
    pub from: Option<ReadFrom>,
    pub needs: Option<Cond>,
    pub span: Span,
}

/// The moment from which a condition is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    /// Once, before any flush.
    Boot,
    /// `of cpu`
    Cpu,
    /// `of space`
    Space,
}

/// `limit invlpgb_pages "..." 1..65536 from CPUID.80000008H.EDX[15:0] + 1;`: a number that the kernel reads at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub name: Ident,
    pub text: Text,
    /// The least and the largest value.
    pub range: (Number, Number),
    /// The register that reports it.
    pub from: Option<LimitFrom>,
    pub span: Span,
}

/// The names of agents that every definition has.
pub const AGENTS: [&str; 4] = ["self", "core", "cpus", "devices"];

/// `domain inner is cpus;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    pub name: Ident,
    /// Of [`AGENTS`], or other domains.
    pub members: Vec<Ident>,
    pub span: Span,
}

/// `tag asid when pcid { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    pub name: Ident,
    /// The machines on which the tag exists.
    pub when: Option<Cond>,
    pub facts: Vec<Spanned<TagFact>>,
    pub span: Span,
}

/// A fact of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagFact {
    /// `12 bits;`, `limit(asid_bits) bits;`
    Bits(Amount),
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
    /// `may be renewed by asid, cost 1;`: the load, and the cost.
    Renewed(Ident, Number),
    /// `is the root;`
    IsRoot,
}

/// How the values of a tag are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagSource {
    /// `generations`: given out anew at each rollover.
    Generations,
    /// `slots`: each CPU has a few, and gives them out again one by one.
    Slots,
    /// `life`: a space keeps its value until teardown.
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
    pub span: Span,
}

/// `low 48 bits`, `high 47 bits`, `from 0xc000_0000_0000_0000, 52 bits`, `below 0xc000_0000`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Half {
    Bits { base: Base, bits: Number },
    Below(Number),
}

/// Where the addresses of a space begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    Low,
    /// The addresses end with the last one.
    High,
    At(Number),
}

/// The tags under which entries of a space are cached.
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
    pub name: Ident,
    /// The bits that are or-ed to the tag; none for `tag` alone.
    pub or: Option<Number>,
    /// `loaded`: the view that is loaded while the kernel runs.
    pub loaded: Option<Span>,
    /// The machines on which the view exists.
    pub when: Option<Cond>,
    pub span: Span,
}
