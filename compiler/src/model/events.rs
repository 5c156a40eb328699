//! Changes of entries, events, errata and policy.

use tlbc_facts::clause::CacheSet;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Levels;
use tlbc_runtime::pte::{self, ChangeFacts};
use tlbc_runtime::request::{Reach, Space};

use super::{
    At, Cases, Cond, Config, Instr, Lost, Machine, Model, Named, Shootdown, Source, Stricter,
    TagSource,
};
use crate::source::Span;

/// An erratum.
#[derive(Debug, Clone)]
pub struct Erratum {
    /// Its name.
    pub named: Named,
    /// On which machines it occurs.
    pub needs: Cond,
    /// What it weakens.
    pub weakens: Vec<Weakens>,
    /// What mends it.
    pub workarounds: Vec<Workaround>,
}

/// A fact that no longer holds.
#[derive(Debug, Clone)]
pub struct Weakens {
    /// Of what.
    pub target: At<Instr>,
    /// For this space alone.
    pub space: Option<Space>,
    /// What it no longer does.
    pub lost: At<Lost>,
    /// In these caches alone.
    pub stores: Option<CacheSet>,
    /// On these CPUs alone: index of the set.
    pub on: Option<usize>,
    /// When.
    pub when: Cond,
}

/// What mends an erratum.
#[derive(Debug, Clone)]
pub struct Workaround {
    /// Behind (true) or before.
    pub after: bool,
    /// What it stands beside.
    pub target: At<Instr>,
    /// What is issued.
    pub issue: Vec<Issued>,
    /// All of it.
    pub span: Span,
}

/// An instruction of a workaround. Behind or before an invalidation it has the operands of that, beside a
/// barrier all are zero; save for the sources that are set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Issued {
    /// Which.
    pub instr: Instr,
    /// Sources that are set to a number.
    pub with: Vec<(Source, u64)>,
    /// The level that is given, by its index.
    pub level: Option<usize>,
}

/// How an entry may be changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// By a plain store.
    pub plain_store: At<bool>,
    /// Where an instruction changes entries, a plain store may do while no other CPU is attached.
    pub deferred: Option<Span>,
    /// Where an instruction changes entries, the levels at which a plain store may change bits that software alone reads.
    pub software_bits: Option<At<Levels>>,
    /// What of a valid entry may change in place, and when. What is not said goes through an invalid entry.
    pub in_place: Vec<(Aspect, Cases<bool>)>,
}

/// What of a table entry may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// The page that it maps.
    Output,
    /// Its size: a page instead of a table, or a table instead of a page.
    Size,
    /// What else of a leaf is cached with the translation.
    Attributes,
    /// More is allowed.
    Rights,
}

impl Aspect {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Output, Self::Size, Self::Attributes, Self::Rights];
}

impl Change {
    /// When an aspect changes in place (true) and when through an invalid entry: nothing of it where an instruction
    /// writes entries, which leaves nothing between the old one and the new one.
    #[must_use]
    pub fn in_place(&self, aspect: Aspect) -> &[(bool, Cond)] {
        let said = self.in_place.iter().find(|(of, _)| *of == aspect);
        said.map_or(&[], |(_, cases)| &cases.cases)
    }
}

/// The barrier after which this CPU fetches anew, if any.
pub type Resync = Cases<At<Option<usize>>>;

impl Resync {
    /// The barrier in a configuration.
    #[must_use]
    pub fn barrier(&self, machine: impl Machine) -> Option<usize> {
        self.get(machine)?.value
    }

    /// The barriers, each with where it is named and when.
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

/// A moment at which a CPU's translations change as a whole.
#[derive(Debug, Clone)]
pub struct Event {
    /// What is loaded, in order.
    pub loads: Vec<Loads>,
    /// Root and tag must not stand half loaded.
    pub half_loaded_unsafe: Option<Span>,
    /// The barrier behind it.
    pub resync: Option<Resync>,
    /// When nothing is known of the caches, if that is ever so.
    pub contents_unknown: Option<At<Cond>>,
    /// It waits for changes of entries that are under way.
    pub waits_for_changes: Option<Span>,
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

impl Model {
    /// Whether a CPU that attaches a space waits for changes of entries that are under way: it says so, or how an entry is
    /// changed depends on which CPUs have the space attached.
    #[must_use]
    pub fn attach_waits(&self) -> bool {
        let local = self.invalidates.iter().any(|it| {
            let mut cases = it.holders.cases.iter();
            let narrow = cases.any(|(at, _)| !at.value.covers(Agents::CPUS));
            it.writes_entry.is_some() && narrow
        });
        let depends = self.change.deferred.is_some() || local;
        self.switch.waits_for_changes.is_some() || !self.change.plain_store.value && depends
    }

    /// What changes of entries leave behind in the caches.
    #[must_use]
    pub fn change_facts(&self, config: Config) -> ChangeFacts {
        let caches = &self.caches;
        // Where instructions write entries nothing stands between the old one and the new one.
        let through_invalid = |aspect| {
            let mut said = self.change.in_place(aspect).iter().rev();
            let said = said.find(|(_, when)| when.holds(config));
            self.change.plain_store.value && !said.is_some_and(|(in_place, _)| *in_place)
        };
        let shared = self.user.has_devices(config) || self.kernel.has_devices(config);
        ChangeFacts {
            walk_cached: caches.walk.is_some(),
            invalid_cached: caches.invalid_cached,
            stricter: match caches.stricter {
                Stricter::Refetched => pte::Stricter::Refetched,
                Stricter::DroppedByFault => pte::Stricter::DroppedByFault,
                Stricter::FaultsUntilDropped => pte::Stricter::FaultsUntilDropped,
            },
            devices_stay_strict: caches.stricter_on_cpus_only && shared,
            output_through_invalid: through_invalid(Aspect::Output),
            size_through_invalid: through_invalid(Aspect::Size),
            attributes_through_invalid: through_invalid(Aspect::Attributes),
            rights_through_invalid: through_invalid(Aspect::Rights),
            cleared_may_stay: if caches.accessed_may_stay {
                pte::Marks::ACCESSED
            } else {
                pte::Marks::NONE
            },
            clean_to_dirty_walks: caches.clean_to_dirty_walks,
        }
    }

    /// Whether a CPU comes online with nothing cached.
    #[must_use]
    pub fn arrives_clean(&self, machine: impl Machine) -> bool {
        let unknown = self.arrive.contents_unknown.as_ref();
        unknown.is_some_and(|when| !when.value.holds(machine))
    }

    /// Whether tags are given out anew all at once, so that none keeps its meaning.
    #[must_use]
    pub fn has_generations(&self, machine: impl Machine) -> bool {
        self.tags.iter().any(|tag| {
            let source = tag.source.map(|at| at.value);
            tag.when.holds(machine) && source == Some(TagSource::Generations)
        })
    }

    /// Whether a switch can flush everything under every tag: a CPU whose caches start empty needs no instruction that
    /// does, unless tags are given out anew all at once.
    #[must_use]
    pub fn switch_flushes_every_tag(&self, machine: impl Machine) -> bool {
        !self.arrives_clean(machine) || self.has_generations(machine)
    }

    /// Whether an event loads root and tag one after the other: a walk in between would fill entries of one
    /// space under the tag of another, so that an empty root is loaded first.
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
        stated || has(Source::Root) && has(Source::Tag) && !loads.iter().any(whole)
    }

    /// Whether the tag of a space is read again when the change is visible: it says so, or the tag may become another at any
    /// time. The second does not count where the change is visible before the first read: where it is published by an
    /// atomic that orders everything.
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

/// What the definition states of what follows from it.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How others are reached.
    pub shootdown: Option<Cases<At<Shootdown>>>,
    /// Levels whose leaves are worth a stride of their own.
    pub strides: Option<At<Levels>>,
    /// Pages are gathered behind one flush.
    pub pages_batched: Option<At<bool>>,
    /// Tables wait for lockless walkers.
    pub tables_deferred: Option<At<bool>>,
    /// A lazy CPU holds a reference.
    pub lazy_refcounted: Option<At<bool>>,
    /// The most instructions of one view.
    pub ceiling_operations: Option<Cases<Ceiling>>,
    /// The most base pages.
    pub ceiling_pages: Option<Cases<Ceiling>>,
    /// Where it is said.
    pub span: Span,
}

/// A ceiling, and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// The most.
    pub count: u64,
    /// For flushes of this reach alone.
    pub reach: Option<Reach>,
    /// For this space alone.
    pub space: Option<Space>,
}

impl Ceiling {
    /// Whether it is for flushes of this space and reach.
    #[must_use]
    pub fn is_for(self, space: Space, reach: Reach) -> bool {
        self.space.is_none_or(|of| of == space) && self.reach.is_none_or(|of| of == reach)
    }
}

impl Cases<Ceiling> {
    /// The ceiling of a space and a reach: the last that is for them.
    #[must_use]
    pub fn of(&self, config: Config, space: Space, reach: Reach) -> Option<u64> {
        let mut cases = self.cases.iter().rev();
        let case = cases.find(|(ceiling, when)| when.holds(config) && ceiling.is_for(space, reach));
        case.map(|(ceiling, _)| ceiling.count)
    }
}
