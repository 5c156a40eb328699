//! Changes of entries, events, errata and policy.

use tlbc_facts::clause::CacheSet;
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::{Reach, Space};

use super::instructions::{Instr, Source};
use super::machine::Amount;
use super::terms::{At, Cases, Cond, Config, DefinitionName, Resync};
use crate::ast::{Lost, Shootdown};
use crate::source::Span;

/// An erratum.
#[derive(Debug, Clone)]
pub struct Erratum {
    pub named: DefinitionName,
    /// The machines on which it occurs.
    pub needs: Cond,
    pub weakens: Vec<Weakens>,
    pub workarounds: Vec<Workaround>,
}

/// A fact that an erratum removes from an instruction.
#[derive(Debug, Clone)]
pub struct Weakens {
    pub target: At<Instr>,
    /// The space for which the fact is lost; without it, both.
    pub space: Option<Space>,
    /// The fact that is lost.
    pub lost: At<Lost>,
    /// The caches in which the fact is lost; without any, all.
    pub caches: Option<CacheSet>,
    /// The index of the set of CPUs on which the fact is lost; without it, all.
    pub on: Option<usize>,
    pub when: Cond,
}

/// A workaround of an erratum.
#[derive(Debug, Clone)]
pub struct Workaround {
    /// Issued after (true) or before the target.
    pub after: bool,
    /// The instruction with which it is issued.
    pub target: At<Instr>,
    pub issue: Vec<Issued>,
    pub span: Span,
}

impl Workaround {
    /// Returns whether another workaround has the same steps with operands from the same sources.
    #[must_use]
    pub fn steps_are_of(&self, other: &Self) -> bool {
        let has_zeros = |it: &Self| matches!(it.target.value, Instr::Barrier(_));
        self.issue == other.issue && has_zeros(self) == has_zeros(other)
    }
}

/// An instruction of a workaround. It has the operands of the invalidation with which it is issued, or zeros
/// for a barrier, except for the sources that are set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Issued {
    pub instr: Instr,
    /// The sources that are set to a number.
    pub with: Vec<(Source, u64)>,
    /// The index of the level that is set.
    pub level: Option<usize>,
}

/// How an entry may be changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// By a plain store (true) or by instructions.
    pub plain_store: At<bool>,
    /// Where instructions change entries: whether a plain store is sufficient while no other CPU is attached.
    pub deferred: Option<Span>,
    /// Where instructions change entries: the levels at which a plain store may change bits that only software reads.
    pub software_bits: Option<At<Levels>>,
    /// The aspects of a valid entry that may change in place, and when. Others change through an invalid entry.
    pub in_place: Vec<(Aspect, Cases<bool>)>,
}

/// An aspect of a table entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// The output address.
    Output,
    /// Its size: a page instead of a table, or a table instead of a page.
    Size,
    /// The other attributes of a leaf that are cached with the translation.
    Attributes,
    Rights,
}

impl Aspect {
    /// All aspects, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Output, Self::Size, Self::Attributes, Self::Rights];
}

impl Change {
    /// Returns when an aspect changes in place (true) and when through an invalid entry. Nothing is stated where
    /// instructions write entries, because such an instruction writes and invalidates in one step.
    #[must_use]
    pub fn in_place(&self, aspect: Aspect) -> &[(bool, Cond)] {
        let said = self.in_place.iter().find(|(of, _)| *of == aspect);
        said.map_or(&[], |(_, cases)| &cases.cases)
    }
}

/// An event that changes all translations of a CPU.
#[derive(Debug, Clone)]
pub struct Event {
    /// The loads, in order.
    pub loads: Vec<Loads>,
    /// Whether a walk between two of the loads would do harm.
    pub half_loaded_unsafe: Option<Span>,
    /// The barrier that follows the loads.
    pub resync: Option<Resync>,
    /// The machines on which the content of the caches is unknown.
    pub contents_unknown: Option<At<Cond>>,
    /// Whether a CPU waits for changes of entries that are not finished.
    pub waits_for_changes: Option<Span>,
    /// The machines on which everything of user spaces is invalidated after the loads.
    pub flushes: Option<At<Cond>>,
    pub span: Span,
}

/// Loads of one event.
#[derive(Debug, Clone)]
pub struct Loads {
    /// The indices of the loads, in order.
    pub loads: Vec<usize>,
    /// The index of the view of the user space.
    pub view: usize,
    pub when: Cond,
    pub span: Span,
}

/// What the kernel does with the facts.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How other CPUs are flushed.
    pub shootdown: Option<Cases<At<Shootdown>>>,
    /// The levels at which ranges are gathered separately.
    pub strides: Option<At<Levels>>,
    /// Whether pages are freed after one flush for all of them.
    pub pages_batched: Option<At<bool>>,
    /// Whether tables are freed after a grace period.
    pub tables_deferred: Option<At<bool>>,
    /// Whether a lazy CPU holds a reference to its space.
    pub lazy_refcounted: Option<At<bool>>,
    /// Whether the kernel's own code may fault on new entries, and on those that gain rights.
    pub kernel_faults_fixed: Option<At<()>>,
    /// Ceilings in instructions of one view.
    pub ceiling_operations: Option<Cases<Ceiling>>,
    /// Ceilings in base pages.
    pub ceiling_pages: Option<Cases<Ceiling>>,
    pub span: Span,
}

/// A ceiling, and the flushes to which it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    pub count: Amount,
    /// The reach of the flushes to which it applies; without it, both.
    pub reach: Option<Reach>,
    /// The space for which the fact is lost; without it, both.
    pub space: Option<Space>,
}

impl Ceiling {
    /// Returns whether it applies to flushes of this space and reach.
    #[must_use]
    pub fn is_for(self, space: Space, reach: Reach) -> bool {
        self.space.is_none_or(|of| of == space) && self.reach.is_none_or(|of| of == reach)
    }
}

impl Cases<Ceiling> {
    /// Returns the ceiling of a space and a reach: the last one that applies.
    #[must_use]
    pub fn of(&self, config: Config, space: Space, reach: Reach) -> Option<Amount> {
        let mut cases = self.cases.iter().rev();
        let case = cases.find(|(ceiling, when)| when.holds(config) && ceiling.is_for(space, reach));
        case.map(|(ceiling, _)| ceiling.count)
    }
}
