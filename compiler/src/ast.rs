//! The tree of a definition as it is written: nothing resolved, nothing checked, a span on every
//! node. `parse` makes it, `lower` reads it.
//!
//! Names and templates may hold `{variable}` of an enclosing `for`; `lower` expands them.

use crate::source::Span;

/// A node with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The node.
    pub node: T,
    /// Its words.
    pub span: Span,
}

/// A name.
pub type Ident = Spanned<String>;
/// A text in quotes, without the quotes (the span includes them).
pub type Text = Spanned<String>;
/// A number. The parser has checked that it fits.
pub type Number = Spanned<u64>;

/// `arch NAME { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arch {
    /// Lines of the `///` comment before it.
    pub doc: Vec<String>,
    /// Its name.
    pub name: Ident,
    /// What stands between the braces.
    pub items: Vec<Item>,
    /// From `arch` to the closing brace.
    pub span: Span,
}

/// An item of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `target_arch "aarch64";`
    TargetArch(Spanned<Text>),
    /// `geometry g4k { ... }`
    Geometry(Geometry),
    /// `caches { ... }`
    Caches(Caches),
    /// `feature pcid "..." needs a and not b;`
    Feature(Feature),
    /// `limit NAME "..." 1..65536;`
    Limit(Limit),
    /// `domain inner is cpus;`
    Domain(Domain),
    /// `tag asid when pcid { ... }`
    Tag(Tag),
    /// `space user { ... }`
    Space(Space),
    /// `publishes assumed "...";`
    Assumed(Spanned<Text>),
    /// `barrier dsb_ish "dsb ish" { ... }`
    Barrier(Barrier),
    /// `operand page 64 bits { ... }`
    Operand(Operand),
    /// `invalidate vae1is "..." { ... }`
    Invalidate(Invalidate),
    /// `change { ... }`
    Change(Change),
    /// `load cr3 "..." { ... }`
    Load(Load),
    /// `switch { ... }`, `resume { ... }`, `arrive { ... }`
    Event(Event),
    /// `erratum NAME "..." { ... }`
    Erratum(Erratum),
    /// `cpus sme "...";`
    Cpus(CpuSet),
    /// `policy { ... }`
    Policy(Policy),
    /// `for (a, b) in ("x", y), ... { ... }`
    For(For),
}

/// `a and not b`: every term holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cond {
    /// The terms.
    pub terms: Vec<Term>,
    /// Its words, without `when`.
    pub span: Span,
}

/// `pcid`, `not pti`; in operands also `hinted` and `keep`; elsewhere also a geometry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Whether `not` (or an `unless`) stands before it.
    pub negated: bool,
    /// The name.
    pub name: Ident,
}

/// `47 bits, 56 bits when la57`: the last alternative whose condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cases<T> {
    /// The alternatives in order.
    pub cases: Vec<(T, Option<Cond>)>,
    /// All of it.
    pub span: Span,
}

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
    /// `leaf`
    pub leaf: Option<Span>,
    /// `hint 2`
    pub hint: Option<Number>,
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
    /// `tlb holds leaf, walk;`
    Holds {
        /// The cache.
        cache: Ident,
        /// The kinds of entries.
        kinds: Vec<Spanned<Kind>>,
    },
    /// `one per cpu;`
    OnePerCpu,
    /// `walk spans its reach;`: one address drops a walk entry wherever in its reach it lies.
    WalkSpansReach,
    /// `large leaf may split;`, with `, dropped together`: one address drops all pieces.
    LargeLeaf {
        /// `dropped together`
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
    Stricter(Stricter),
    /// `clean to dirty walks;`: a clean entry never becomes dirty without a walk.
    CleanToDirtyWalks,
}

/// An entry that allows less than the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stricter {
    /// `refetched`
    Refetched,
    /// `dropped by the fault`
    DroppedByFault,
    /// `faults until dropped on self`
    FaultsUntilDropped,
}

/// A kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A translation.
    Leaf,
    /// A pointer to a table.
    Walk,
    /// A binding of a tag to its top table.
    Root,
}

/// `feature pcid "..." needs a and not b;`, `feature x "..." of space;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: Ident,
    /// What it is.
    pub text: Text,
    /// When it is known: at boot unless it says so.
    pub known: Option<Spanned<Known>>,
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

/// `limit invlpgb_pages "..." 1..65536;`: a number the kernel reads at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: Ident,
    /// Where it is read.
    pub text: Text,
    /// The least and the largest value it may have.
    pub range: (Number, Number),
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
    /// `from generations;`, `from slots;`
    From(Ident),
    /// `read after publish;`
    ReadAfterPublish,
    /// `may be retired;`
    MayBeRetired,
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
    /// `resync isb;`
    pub resync: Option<Ident>,
    /// All of it.
    pub span: Span,
}

/// `low 48 bits`, `high 47 bits`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half {
    /// Whether it is the upper end of the 64-bit addresses.
    pub high: bool,
    /// How many bits.
    pub bits: Number,
}

/// Which tag class entries of a space have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Under {
    /// `under slot or shared`
    Tags(Vec<Ident>),
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
    /// `in memory` or `in rax`; any register without.
    pub place: Option<Ident>,
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
    /// `level is pmd`: one for that level, else zero.
    LevelIs(Ident),
}

/// `names (num + 1) << (5 * scale + 1) pages;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// How many.
    pub count: Spanned<Expr>,
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
    pub template: Text,
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
    /// `where inner;`
    Where(Ident),
    /// `at once;`
    AtOnce,
    /// `after dsb_ish;`
    After(Ident),
    /// `needs same cpu;` or `needs interrupts off;`
    Needs(Spanned<Need>),
    /// `clobbers flags;`
    ClobbersFlags,
    /// `writes entry;`: it changes the table entry as well.
    WritesEntry,
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
    pub which: Spanned<Which>,
    /// Of whom.
    pub whose: Spanned<Whose>,
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
    /// `at pmd`
    At(Ident),
}

/// Which entries go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// `one page`: those that contain the address.
    OnePage,
    /// `run of 2..2097152 pages`, `run of 1..limit(x) entries at pte, pmd`
    Run {
        /// Least count.
        least: Number,
        /// Largest count.
        most: Most,
        /// `pages`, or `entries at ...` of the levels named.
        entries_at: Option<Vec<Ident>>,
    },
    /// `everything`
    Everything,
}

/// The largest count of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Most {
    /// A number.
    Const(Number),
    /// `limit(name)`
    Limit(Ident),
}

/// Of whom entries go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Whose {
    /// `this tag`: the tag given as operand.
    pub this: bool,
    /// `loaded tag`: whatever is loaded.
    pub loaded: bool,
    /// `other tag`
    pub other: bool,
    /// `global`
    pub global: bool,
}

/// `change { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `plain store;` (true) or `by writers;`
    pub plain: Option<Spanned<bool>>,
    /// `output, size, merge of a valid entry through invalid;`
    pub through_invalid: Vec<(Vec<Ident>, Option<Cond>, Span)>,
    /// All of it.
    pub span: Span,
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
    /// What loading drops.
    pub drops: Vec<Spanned<Drops>>,
    /// All of it.
    pub span: Span,
}

/// `switch { ... }`, `resume { ... }`, `arrive { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which.
    pub kind: Spanned<EventKind>,
    /// The facts.
    pub facts: Vec<Spanned<EventFact>>,
    /// All of it.
    pub span: Span,
}

/// A moment at which a CPU's translations change as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Another address space.
    Switch,
    /// Return to user code.
    Resume,
    /// A CPU comes up.
    Arrive,
}

/// A fact of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventFact {
    /// `loads ttbr1, ttbr0;`, `loads cr3 in user when pti;`
    Loads {
        /// The loads, in the order in which they must stand.
        loads: Vec<Ident>,
        /// The view.
        view: Option<Ident>,
        /// When.
        when: Option<Cond>,
    },
    /// `half loaded is unsafe;`
    HalfLoadedUnsafe,
    /// `resync isb;`
    Resync(Ident),
    /// `contents unknown;`
    ContentsUnknown,
}

/// `erratum NAME "..." { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erratum {
    /// Its name.
    pub name: Ident,
    /// Its number, or what it is.
    pub text: Text,
    /// What it weakens.
    pub weakens: Vec<Weakens>,
    /// What mends it.
    pub remedies: Vec<Remedy>,
    /// All of it.
    pub span: Span,
}

/// `weakens dsb_ish for user: not drained on sme;`, `weakens invlpg: not global when pcid;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakens {
    /// The barrier or invalidation.
    pub target: Ident,
    /// Only for this space.
    pub space: Option<Ident>,
    /// What it no longer does.
    pub lost: Spanned<Lost>,
    /// On these CPUs only.
    pub on: Option<Ident>,
    /// When.
    pub when: Option<Cond>,
    /// All of it.
    pub span: Span,
}

/// What an erratum takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// `not gone`
    Gone,
    /// `not drained`
    Drained,
    /// `not global`
    Global,
    /// `not walk`
    Walk,
    /// `not leaf`
    Leaf,
}

/// `remedy after dsb_ish issue vale1is, dsb_ish;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// `after` (true) or `before`.
    pub after: bool,
    /// The barrier or invalidation that it stands beside.
    pub target: Ident,
    /// What is issued, with zero operands.
    pub issue: Vec<Ident>,
    /// All of it.
    pub span: Span,
}

/// `cpus sme "...";`: a set of CPUs that the kernel knows, per space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuSet {
    /// Its name.
    pub name: Ident,
    /// Who they are.
    pub text: Text,
    /// All of it.
    pub span: Span,
}

/// `policy { ... }`: what the facts imply, stated for the reader and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The statements.
    pub facts: Vec<Spanned<PolicyFact>>,
    /// All of it.
    pub span: Span,
}

/// A statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyFact {
    /// `delivery interrupts, broadcast when invlpgb;`
    Delivery(Cases<Spanned<Delivery>>),
    /// `strides pte, pmd, pud;`
    Strides(Vec<Ident>),
    /// `gather pages batched, tables deferred;`
    Gather {
        /// `pages batched` (true) or `pages at change`.
        pages_batched: Spanned<bool>,
        /// `tables deferred` (true) or `tables after flush`.
        tables_deferred: Spanned<bool>,
    },
    /// `lazy refcounted;` (true) or `lazy shootdown;`
    LazyRefcounted(Spanned<bool>),
    /// `ceiling 511 operations, 2047 operations when g16k;`, `ceiling 2097152 pages;`
    Ceiling {
        /// The numbers.
        count: Cases<Number>,
        /// `pages` (true) or `operations`.
        pages: bool,
    },
}

/// How other CPUs are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// An instruction of this CPU reaches them.
    Broadcast,
    /// Each is interrupted and flushes for itself.
    Interrupts,
}

/// `for (is, reach) in ("is", inner), ("", self) { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct For {
    /// The variables.
    pub variables: Vec<Ident>,
    /// The rows of values.
    pub rows: Vec<Spanned<Vec<Text>>>,
    /// The body.
    pub items: Vec<Item>,
    /// All of it.
    pub span: Span,
}
