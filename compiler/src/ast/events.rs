//! Changes of entries, events, errata, policy and repetition.

use super::{Cases, Cond, Ident, Item, Number, Spanned, Text};
use crate::source::Span;

/// `change { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `plain store;` (true) or `by writers;`
    pub plain: Option<Spanned<bool>>,
    /// `by writers, deferred while detached or here;`
    pub deferred: Option<Span>,
    /// `software bits at pte by plain store;`
    pub software_bits: Vec<Spanned<Vec<Ident>>>,
    /// `output, size, attributes of a valid entry through invalid;`
    pub aspects: Vec<Aspects>,
    /// All of it.
    pub span: Span,
}

/// `rights of a valid entry in place when pcid;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aspects {
    /// What of an entry changes.
    pub names: Vec<Ident>,
    /// `in place` (true) or `through invalid`.
    pub in_place: bool,
    /// When.
    pub when: Option<Cond>,
    /// All of it.
    pub span: Span,
}

/// `switch { ... }`, `return_to_user { ... }`, `cpu_online { ... }`
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
    ReturnToUser,
    /// A CPU comes up.
    CpuOnline,
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
    Resync(Cases<Option<Ident>>),
    /// `contents unknown;`, `contents unknown when hv;`
    ContentsUnknown(Option<Cond>),
    /// `waits for changes;`
    WaitsForChanges,
}

/// `erratum NAME "..." { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erratum {
    /// Its name.
    pub name: Ident,
    /// Its number, or what it is.
    pub text: Text,
    /// On which machines it occurs: `needs not isa31`.
    pub needs: Option<Cond>,
    /// What it weakens.
    pub weakens: Vec<Weakens>,
    /// What mends it.
    pub workarounds: Vec<Workaround>,
    /// All of it.
    pub span: Span,
}

/// `weakens wait for user: not drained on sme;`, `weakens drop_page: not global when tagged;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakens {
    /// The barriers or invalidations.
    pub targets: Vec<Ident>,
    /// Only for this space.
    pub space: Option<Ident>,
    /// What it no longer does.
    pub lost: Spanned<Lost>,
    /// In these caches only.
    pub caches: Vec<Ident>,
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
    /// `not root`
    Root,
    /// `not devices`
    Devices,
}

/// `workaround after dsb_ish issue vale1is, dsb_ish;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workaround {
    /// `after` (true) or `before`.
    pub after: bool,
    /// The barriers or invalidations that it stands beside.
    pub targets: Vec<Ident>,
    /// What is issued.
    pub issue: Vec<Issued>,
    /// All of it.
    pub span: Span,
}

/// `drop_page with tag 0 and level pte`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The barrier or invalidation.
    pub name: Ident,
    /// Sources of its operands that are set: a number, or the name of a level.
    pub with: Vec<(Ident, Setting)>,
}

/// What a source is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A number.
    Number(Number),
    /// A level.
    Level(Ident),
}

/// `cpu_set sme "...";`: a set of CPUs that the kernel knows, per space.
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
    /// `shootdown ipi, broadcast when invlpgb;`
    Shootdown(Cases<Spanned<Shootdown>>),
    /// `strides pte, pmd, pud;`
    Strides(Vec<Ident>),
    /// `gather pages batched, tables deferred;`, or one of the two.
    Gather {
        /// `pages batched` (true) or `pages at change`.
        pages_batched: Option<Spanned<bool>>,
        /// `tables deferred` (true) or `tables after flush`.
        tables_deferred: Option<Spanned<bool>>,
    },
    /// `lazy refcounted;` (true) or `lazy shootdown;`
    LazyRefcounted(Spanned<bool>),
    /// `ceiling 511 operations, 2047 operations when g16k;`, `ceiling 2097152 pages;`
    Ceiling {
        /// The numbers, each with `here`, `for user` or `for kernel` if it is for that only.
        count: Cases<(Number, Option<CeilingOf>)>,
        /// `pages` (true) or `operations`.
        pages: bool,
    },
}

/// What a ceiling is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CeilingOf {
    /// `here`: flushes of this CPU alone.
    Here,
    /// `for kernel`
    Space(Ident),
}

/// How other CPUs are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shootdown {
    /// An instruction of this CPU reaches them.
    Broadcast,
    /// Each is interrupted and flushes for itself.
    Ipi,
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
