//! The tree of a definition as it is written: nothing resolved, nothing checked, a span on every
//! node. `parse` makes it, `lower` reads it.
//!
//! Names and templates may hold `{variable}` of an enclosing `for`; `lower` expands them.

mod events;
mod instructions;
mod machine;
mod registers;
mod terms;

pub use events::*;
pub use instructions::*;
pub use machine::*;
pub use registers::*;
pub use terms::*;

use crate::source::Span;
use std::collections::BTreeSet;

/// `arch NAME { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arch {
    /// Lines of the `///` comment before it.
    pub doc: Vec<String>,
    pub name: Ident,
    pub items: Vec<Item>,
    /// What could not be read, in the places of the statements that would be there.
    pub unread: Vec<Unread>,
    /// From `arch` to the closing brace.
    pub span: Span,
}

/// An error node: a part of the text that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Its words, which may define names. In a `for` they may contain variables.
    pub words: BTreeSet<String>,
    pub span: Span,
}

/// An item of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `target_arch "...";`
    TargetArch(TargetArch),
    /// `geometry g4k { ... }`
    Geometry(Geometry),
    /// `caches { ... }`
    Caches(Caches),
    /// `feature pcid "..." needs a and not b;`
    Feature(Feature),
    /// `limit NAME "..." 1..65536;`
    Limit(Limit),
    /// `needs TCR_EL1.A1[22] = 1 "...";`
    Setup(Setup),
    /// `domain inner is cpus;`
    Domain(Domain),
    /// `tag asid when pcid { ... }`
    Tag(Tag),
    /// `space user { ... }`
    Space(Space),
    /// `tables within 48 bits;`
    TablesWithin(Cases<Number>),
    /// `entries 4 bytes;`
    EntrySize(Spanned<Number>),
    /// `publishes assumed "...";`
    Assumed(Spanned<Text>),
    /// `atomics order everything;`
    AtomicsOrder(Span),
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
    /// `switch { ... }`, `return_to_user { ... }`, `cpu_online { ... }`
    Event(Event),
    /// `erratum NAME "..." { ... }`
    Erratum(Erratum),
    /// `cpu_set sme "...";`
    CpuSet(CpuSet),
    /// `policy { ... }`
    Policy(Policy),
    /// `unconfirmed rdp, rdp_local "...";`
    Unconfirmed(Unconfirmed),
    /// `for (a, b) in ("x", y), ... { ... }`
    For(For),
}

/// `for (is, reach) in ("is", inner), ("", self) { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct For {
    pub variables: Vec<Ident>,
    pub rows: Vec<Spanned<Vec<Text>>>,
    pub items: Vec<Item>,
    pub span: Span,
}

/// `unconfirmed rdp, rdp_local "...";`: facts that no manual confirms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unconfirmed {
    /// Instructions, loads, errata and parts of the definition.
    pub about: Vec<Ident>,
    /// Which fact it is, and what it relies on.
    pub text: Text,
    pub span: Span,
}

impl Arch {
    /// Returns all items, those of a `for` instead of the `for`, in the order of the text.
    pub fn flat_items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().flat_map(|item| match item {
            Item::For(it) => it.items.as_slice(),
            item => std::slice::from_ref(item),
        })
    }
}

impl Item {
    /// Returns all of it.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::TargetArch(it) => it.span,
            Self::Geometry(it) => it.span,
            Self::Caches(it) => it.span,
            Self::Feature(it) => it.span,
            Self::Limit(it) => it.span,
            Self::Setup(it) => it.span,
            Self::Domain(it) => it.span,
            Self::Tag(it) => it.span,
            Self::Space(it) => it.span,
            Self::TablesWithin(it) => it.span,
            Self::EntrySize(it) => it.span,
            Self::Assumed(it) => it.span,
            Self::AtomicsOrder(span) => *span,
            Self::Barrier(it) => it.span,
            Self::Operand(it) => it.span,
            Self::Invalidate(it) => it.span,
            Self::Change(it) => it.span,
            Self::Load(it) => it.span,
            Self::Event(it) => it.span,
            Self::Erratum(it) => it.span,
            Self::CpuSet(it) => it.span,
            Self::Policy(it) => it.span,
            Self::Unconfirmed(it) => it.span,
            Self::For(it) => it.span,
        }
    }
}
