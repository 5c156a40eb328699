//! Changes of entries, events, errata and policy.

use tlbc_runtime::clause::Levels;

use super::{At, Cases, Cond, Delivery, Instr, Lost, Named};
use crate::source::Span;

/// An erratum.
#[derive(Debug, Clone)]
pub struct Erratum {
    /// Its name.
    pub named: Named,
    /// What it weakens.
    pub weakens: Vec<Weakens>,
    /// What mends it.
    pub remedies: Vec<Remedy>,
}

/// A fact that no longer holds.
#[derive(Debug, Clone)]
pub struct Weakens {
    /// Of what.
    pub target: At<Instr>,
    /// For this space alone.
    pub space: Option<tlbc_runtime::request::Space>,
    /// What it no longer does.
    pub lost: At<Lost>,
    /// On these CPUs alone: index of the set.
    pub on: Option<usize>,
    /// When.
    pub when: Cond,
}

/// What mends an erratum.
#[derive(Debug, Clone)]
pub struct Remedy {
    /// Behind (true) or before.
    pub after: bool,
    /// What it stands beside.
    pub target: At<Instr>,
    /// What is issued, with zero operands.
    pub issue: Vec<Instr>,
    /// All of it.
    pub span: Span,
}

/// How an entry may be changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// By a plain store.
    pub plain_store: At<bool>,
    /// Another page goes into a valid entry through an invalid one.
    pub output_through_invalid: bool,
    /// Another size goes into a valid entry through an invalid one.
    pub size_through_invalid: bool,
}

/// A moment at which a CPU's translations change as a whole.
#[derive(Debug, Clone)]
pub struct Event {
    /// What is loaded, in order.
    pub loads: Vec<Loads>,
    /// Root and tag must not stand half loaded.
    pub half_loaded_unsafe: Option<Span>,
    /// The barrier behind it.
    pub resync: Option<At<usize>>,
    /// Nothing is known of the caches.
    pub contents_unknown: Option<Span>,
    /// Where it is said.
    pub span: Span,
}

/// Loads of one event.
#[derive(Debug, Clone)]
pub struct Loads {
    /// The loads, by index, in order.
    pub loads: Vec<usize>,
    /// The view, by index into the user space's.
    pub view: usize,
    /// When.
    pub when: Cond,
    /// Where it is said.
    pub span: Span,
}

/// What the definition states of what follows from it.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How others are reached.
    pub delivery: Option<Cases<At<Delivery>>>,
    /// Levels whose leaves are worth a stride of their own.
    pub strides: Option<At<Levels>>,
    /// Pages are gathered behind one flush.
    pub pages_batched: Option<At<bool>>,
    /// Tables wait for lockless walkers.
    pub tables_deferred: Option<At<bool>>,
    /// A lazy CPU holds a reference.
    pub lazy_refcounted: Option<At<bool>>,
    /// The most instructions of one view.
    pub ceiling_operations: Option<Cases<u64>>,
    /// The most base pages.
    pub ceiling_pages: Option<Cases<u64>>,
    /// Where it is said.
    pub span: Span,
}
