//! Changes of entries, events, errata and policy.

use super::terms::{Amount, Cases, Cond, Ident, Number, Spanned, Text};
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
    pub span: Span,
}

/// `rights of a valid entry in place when pcid;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aspects {
    /// The aspects that change.
    pub names: Vec<Ident>,
    /// `in place` (true) or `through invalid`.
    pub in_place: bool,
    pub when: Option<Cond>,
    pub span: Span,
}

/// `switch { ... }`, `return_to_user { ... }`, `cpu_online { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: Spanned<EventKind>,
    pub facts: Vec<Spanned<EventFact>>,
    pub span: Span,
}

/// An event that changes all translations of a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    Switch,
    /// The return to user code.
    ReturnToUser,
    /// A CPU comes online.
    CpuOnline,
}

/// A fact of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventFact {
    /// `loads ttbr1, ttbr0;`, `loads cr3 in user when pti;`
    Loads {
        /// The loads, in the order in which they are issued.
        loads: Vec<Ident>,
        view: Option<Ident>,
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
    /// `flushes;`, `flushes unless asids;`
    Flushes(Option<Cond>),
}

/// `erratum NAME "..." { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erratum {
    pub name: Ident,
    /// Its number at the vendor, or a description.
    pub text: Text,
    /// The machines on which it occurs: `needs not isa31`.
    pub needs: Option<Cond>,
    pub weakens: Vec<Weakens>,
    pub workarounds: Vec<Workaround>,
    pub span: Span,
}

/// `weakens wait for user: not drained on sme;`, `weakens drop_page: not global when tagged;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakens {
    pub targets: Vec<Ident>,
    /// The space for which the fact is lost; without it, both.
    pub space: Option<Ident>,
    /// The fact that is lost.
    pub lost: Spanned<Lost>,
    /// The caches in which the fact is lost; without any, all.
    pub caches: Vec<Ident>,
    /// The set of CPUs on which the fact is lost; without it, all.
    pub on: Option<Ident>,
    pub when: Option<Cond>,
    pub span: Span,
}

/// A fact that an erratum removes.
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
    /// The barriers or invalidations with which it is issued.
    pub targets: Vec<Ident>,
    pub issue: Vec<Issued>,
    pub span: Span,
}

/// `drop_page with tag 0 and level pte`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    pub name: Ident,
    /// Values of its operands that are set, each to a number or to a level.
    pub with: Vec<(Ident, Setting)>,
}

/// The value to which a source is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    Number(Number),
    Level(Ident),
}

/// `cpu_set sme "...";`: a set of CPUs that the kernel maintains for each space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuSet {
    pub name: Ident,
    pub text: Text,
    pub span: Span,
}

/// `policy { ... }`: what the kernel does with the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub facts: Vec<Spanned<PolicyFact>>,
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
    /// `kernel faults fixed;`
    KernelFaultsFixed,
    /// `ceiling 511 operations, 2047 operations when g16k;`, `ceiling 2097152 pages;`
    Ceiling {
        /// The numbers, each with `here`, `for user` or `for kernel` if it is restricted to that.
        count: Cases<(Amount, Option<CeilingOf>)>,
        /// `pages` (true) or `operations`.
        pages: bool,
    },
}

/// The flushes to which a ceiling is restricted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CeilingOf {
    /// `here`: flushes of this CPU alone.
    Here,
    /// `for kernel`
    Space(Ident),
}

/// How other CPUs are flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shootdown {
    /// An instruction reaches them.
    Broadcast,
    /// Each receives an IPI and flushes itself.
    Ipi,
}
