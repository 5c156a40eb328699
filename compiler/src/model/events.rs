//! Changes of entries, events, errata and policy.

use tlbc_facts::clause::CacheSet;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Levels;
use tlbc_runtime::pte::{self, ChangeFacts};
use tlbc_runtime::request::{Reach, Space};

use super::{
    At, Cases, Cond, Config, Instr, Kind, Lost, Machine, Model, Named, Shootdown, Source,
    TagSource,
};
use crate::source::Span;

/// An erratum.
#[derive(Debug, Clone)]
pub struct Erratum {
    pub named: Named,
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

/// The barrier after which this CPU fetches anew, if any.
pub type Resync = Cases<At<Option<usize>>>;

impl Resync {
    /// Returns the barrier in a configuration.
    #[must_use]
    pub fn barrier(&self, machine: impl Machine) -> Option<usize> {
        self.get(machine)?.value
    }

    /// Returns the barriers, each with where it is named and when.
    pub fn barriers(&self) -> impl Iterator<Item = (At<usize>, &Cond)> {
        self.cases.iter().filter_map(|(at, when)| {
            let span = at.span;
            Some((
                At {
                    value: at.value?,
                    span,
                },
                when,
            ))
        })
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

impl Model {
    /// Returns whether a CPU that attaches a space waits for changes of entries that are not finished: this is
    /// stated, or the way in which an entry is changed depends on which CPUs have the space attached.
    #[must_use]
    pub fn attach_waits(&self) -> bool {
        let local = self.invalidates.iter().any(|it| {
            let mut cases = it.agents.cases.iter();
            let narrow = cases.any(|(at, _)| !at.value.covers(Agents::CPUS));
            it.writes_entry.is_some() && narrow
        });
        let depends = self.change.deferred.is_some() || local;
        self.switch.waits_for_changes.is_some() || !self.change.plain_store.value && depends
    }

    /// Returns the facts about changes of table entries that the runtime uses.
    #[must_use]
    pub fn change_facts(&self, config: Config) -> ChangeFacts {
        let caches = &self.caches;
        // Where instructions write entries there is no invalid entry between the old one and the new one.
        let through_invalid = |aspect| {
            let mut said = self.change.in_place(aspect).iter().rev();
            let said = said.find(|(_, when)| when.holds(config));
            self.change.plain_store.value && !said.is_some_and(|(in_place, _)| *in_place)
        };
        let holds = |when: &Option<Cond>| when.as_ref().is_some_and(|when| when.holds(config));
        let stricter = caches.stricter(config);
        let shared = self.user.has_devices(config) || self.kernel.has_devices(config);
        ChangeFacts {
            walk_cached: caches.hold(Kind::Walk, config),
            negative: caches.negative(config),
            stricter: stricter.how,
            devices_stay_strict: stricter.cpus_only && shared,
            output_through_invalid: through_invalid(Aspect::Output),
            size_through_invalid: through_invalid(Aspect::Size),
            attributes_through_invalid: through_invalid(Aspect::Attributes),
            rights_through_invalid: through_invalid(Aspect::Rights),
            cleared_may_stay: if holds(&caches.accessed_may_stay) {
                pte::Marks::ACCESSED
            } else {
                pte::Marks::NONE
            },
            clean_to_dirty_walks: holds(&caches.clean_to_dirty_walks),
        }
    }

    /// Returns whether a CPU comes online with nothing cached.
    #[must_use]
    pub fn online_clean(&self, machine: impl Machine) -> bool {
        let unknown = self.cpu_online.contents_unknown.as_ref();
        unknown.is_some_and(|when| !when.value.holds(machine))
    }

    /// Returns whether all tags are given out anew at once, at a rollover.
    #[must_use]
    pub fn has_generations(&self, machine: impl Machine) -> bool {
        self.tags.iter().any(|tag| {
            let source = tag.source.map(|at| at.value);
            tag.when.holds(machine) && source == Some(TagSource::Generations)
        })
    }

    /// Returns whether a switch may need a flush of everything under every tag: a CPU whose caches start empty needs
    /// none, unless all tags are given out anew at once.
    #[must_use]
    pub fn switch_flushes_every_tag(&self, machine: impl Machine) -> bool {
        !self.online_clean(machine) || self.has_generations(machine)
    }

    /// Returns whether an event loads root and tag one after the other: a walk in between would fill entries of one
    /// space under the tag of another, so an empty root is loaded first. Where software fills entries there is no walk
    /// in between, because the kernel accesses no address of a user space then.
    #[must_use]
    pub fn is_half_loaded(&self, event: &Event, machine: impl Machine) -> bool {
        let here = event.loads.iter().filter(|loads| loads.when.holds(machine));
        let loads: Vec<usize> = here.flat_map(|loads| loads.loads.clone()).collect();
        let carries = |load: &usize, source: Source| {
            let operands = self.loads[*load].template.operands.iter();
            let mut fields = operands.flat_map(|&operand| &self.operands[operand].fields);
            fields.any(|field| field.value.source() == Some(source) && field.when.holds(machine))
        };
        let has = |source| loads.iter().any(|load| carries(load, source));
        let whole = |load: &usize| carries(load, Source::Root) && carries(load, Source::Tag);
        let stated = event.half_loaded_unsafe.is_some() && loads.len() > 1;
        let apart = has(Source::Root) && has(Source::Tag) && !loads.iter().any(whole);
        stated || apart && self.caches.fill_while_loaded(machine)
    }

    /// Returns whether the tag of a space is read again after the change is visible: this is stated, or the tag may
    /// change at any time. The latter does not count where an atomic that orders everything publishes the change,
    /// because it is then visible before the first read.
    #[must_use]
    pub fn reads_tag_after_publish(&self) -> bool {
        let visible_before = self.assumed.is_some() && self.atomics_order.is_some();
        self.tags.iter().any(|tag| {
            let generations = tag
                .source
                .is_some_and(|at| at.value == TagSource::Generations);
            let changes = generations && !tag.of_cpu.value && !visible_before;
            tag.read_after_publish.is_some() || changes
        })
    }
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
    /// Ceilings in instructions of one view.
    pub ceiling_operations: Option<Cases<Ceiling>>,
    /// Ceilings in base pages.
    pub ceiling_pages: Option<Cases<Ceiling>>,
    pub span: Span,
}

/// A ceiling, and the flushes to which it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    pub count: u64,
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
    pub fn of(&self, config: Config, space: Space, reach: Reach) -> Option<u64> {
        let mut cases = self.cases.iter().rev();
        let case = cases.find(|(ceiling, when)| when.holds(config) && ceiling.is_for(space, reach));
        case.map(|(ceiling, _)| ceiling.count)
    }
}
