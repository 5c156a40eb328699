//! One machine and one kind of request: which entries there are, and on which agents.

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::{EntryKinds, TagSelector};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::{Reach, Space};

use super::symbolic::SymbolicMachine;
use crate::model::{At, CachedKind, Machine, Model, Shootdown, Space as SpaceFacts, Tag, Under};

/// One machine and one kind of request, for which candidates are chosen.
#[derive(Clone, Copy)]
pub struct PlanContext<'m> {
    /// The definition.
    pub model: &'m Model,
    /// The machine.
    pub machine: &'m SymbolicMachine<'m>,
    /// The space whose mappings are flushed.
    pub space: Space,
    /// The CPUs that may have cached them.
    pub reach: Reach,
    /// Whether the tag has the same meaning on every CPU.
    pub global_tag: bool,
    /// Whether the space is about to be loaded, so that another one is loaded now.
    pub entering: bool,
    /// Whether the lock is not held that some instructions need.
    pub unlocked: bool,
    /// Whether instructions that compare a tag get any value, for entries that are under none.
    pub any_tag: bool,
}

/// The part of a context that does not depend on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContextKey {
    space: Space,
    reach: Reach,
    global_tag: bool,
    entering: bool,
    unlocked: bool,
    any_tag: bool,
}

impl<'m> PlanContext<'m> {
    /// Returns the part of the context that does not depend on the machine.
    pub fn key(&self) -> ContextKey {
        ContextKey {
            space: self.space,
            reach: self.reach,
            global_tag: self.global_tag,
            entering: self.entering,
            unlocked: self.unlocked,
            any_tag: self.any_tag,
        }
    }

    /// Returns the context of a space that is loaded and has a global tag, on a CPU that holds the lock.
    pub fn new(
        model: &'m Model,
        machine: &'m SymbolicMachine<'m>,
        space: Space,
        reach: Reach,
    ) -> Self {
        Self {
            model,
            machine,
            space,
            reach,
            global_tag: true,
            entering: false,
            unlocked: false,
            any_tag: false,
        }
    }

    /// Returns this context, and if the lock is not held the same with the lock.
    pub fn by_lock(&self) -> impl Iterator<Item = Self> + use<'m> {
        let locked = Self {
            unlocked: false,
            ..*self
        };
        [*self].into_iter().chain(self.unlocked.then_some(locked))
    }

    /// Returns this context with any tag, if the space has no tag to give; otherwise nothing.
    pub fn with_any_tag(&self) -> Option<Self> {
        let any = Self {
            any_tag: true,
            ..*self
        };
        let tagless = self.space == Space::Kernel && !self.gives_tag();
        (tagless && self.tags().next().is_some()).then_some(any)
    }

    /// Returns the views of the space on this machine, by index.
    pub fn views(&self) -> Vec<usize> {
        let views = self.model.space(self.space).views.iter().enumerate();
        views
            .filter(|(_, view)| view.when.holds(self.machine))
            .map(|(index, _)| index)
            .collect()
    }

    /// Returns the tags of this machine.
    pub fn tags(&self) -> impl Iterator<Item = &'m Tag> + use<'m> {
        let machine = self.machine;
        let tags = self.model.tags.iter();
        tags.filter(move |tag| tag.when.holds(machine))
    }

    /// Returns whether instructions of this CPU may reach other CPUs.
    pub fn may_broadcast(&self) -> bool {
        self.has_one_meaning() && self.shootdown() != Some(Shootdown::Ipi)
    }

    /// Returns whether what this CPU knows of the space's tag is so on other CPUs. It is not for a per-CPU tag: only an
    /// instruction for all tags invalidates its entries elsewhere.
    pub fn has_one_meaning(&self) -> bool {
        self.space == Space::Kernel || self.global_tag || self.tags().next().is_none()
    }

    /// Returns the shootdown that the policy states for this machine.
    pub fn shootdown(&self) -> Option<Shootdown> {
        let stated = self.model.policy.shootdown.as_ref()?;
        stated.get(self.machine).map(|at| at.value)
    }

    /// Returns whether user spaces may have a global tag, or a per-CPU tag.
    pub fn has_tag(&self, global_tag: bool) -> bool {
        self.tags().any(|tag| tag.per_cpu.value != global_tag)
    }

    /// Returns whether all entries of the space are under one known tag.
    pub fn gives_tag(&self) -> bool {
        if self.space == Space::Kernel {
            let under = self.model.kernel.leaf.get(self.machine);
            return under.is_some_and(|at| matches!(at.value, Under::Fixed(..) | Under::Tags(_)));
        }
        match self.reach {
            Reach::Here => self.tags().next().is_some(),
            Reach::Wide | Reach::Given => self.global_tag && self.has_tag(true),
        }
    }

    /// Returns whether the loaded tag is that of the space, or the machine has no tags.
    pub fn has_loaded_tag(&self) -> bool {
        self.fixed_tag().is_none() && !(self.entering && self.tags().next().is_some())
    }

    /// Returns the space's tag if it is a constant.
    pub fn fixed_tag(&self) -> Option<u64> {
        self.model.space(self.space).fixed_tag(self.machine)
    }

    /// Returns the tag that instructions get if it is a constant: that of the space, or 0 if any serves.
    pub fn given_tag(&self) -> Option<u64> {
        self.fixed_tag().or(self.any_tag.then_some(0))
    }

    /// Returns whether this CPU may hold global entries of a kind. Software that ran before this kernel may have made them,
    /// with fewer features than this kernel uses, but not without the features that global entries need. Walk entries on the
    /// way to a global leaf entry count as well.
    pub fn may_hold_globals(&self, kind: CachedKind) -> bool {
        let spaces = [&self.model.user, &self.model.kernel].into_iter();
        let mut cases = spaces.flat_map(|space| {
            let of_kind = space.under(kind).cases.iter();
            space.leaf.cases.iter().chain(of_kind)
        });
        cases.any(|(under, cond)| {
            let mut taken = cond.features_wanted();
            under.value == Under::Global && taken.all(|feature| Machine::has(self.machine, feature))
        })
    }

    /// Returns the tag classes of all entries of a kind that this CPU may hold.
    pub fn every_class(&self, kind: CachedKind) -> TagSelector {
        TagSelector {
            this: true,
            other: self.has_tag(true) || self.has_tag(false),
            global: self.may_hold_globals(kind),
        }
    }

    /// Returns the tag classes of all entries that this CPU may hold under tags. Global entries belong to no tag, so they stay valid
    /// when tags are given out anew.
    pub fn tagged_classes(&self, kind: CachedKind) -> TagSelector {
        TagSelector {
            global: false,
            ..self.every_class(kind)
        }
    }

    /// Returns the tag classes of the space's entries of a kind.
    pub fn classes(&self, kind: CachedKind) -> TagSelector {
        let cases = self.model.space(self.space).under(kind);
        let tagged = self.tags().next().is_some();
        match cases.get(self.machine).map(|at| &at.value) {
            Some(Under::Global) => TagSelector::GLOBAL,
            Some(Under::EveryTag) => TagSelector {
                other: tagged,
                global: false,
                ..TagSelector::ANY
            },
            _ => TagSelector::THIS,
        }
    }

    /// Returns the tag classes of the walk entries from which leaf entries of a class may be made: those under the same tag, and
    /// those of the other kind, global or not, where a space has both.
    pub fn walks_above(&self, leaf: TagSelector) -> TagSelector {
        let is_global = |(under, _): &(At<Under>, _)| under.value == Under::Global;
        let has = |space: &SpaceFacts, kind, global: bool| {
            space
                .under(kind)
                .cases
                .iter()
                .any(|case| is_global(case) == global)
        };
        let has_both = |walk: bool| {
            let mut spaces = [&self.model.user, &self.model.kernel].into_iter();
            spaces
                .any(|it| has(it, CachedKind::Walk, walk) && has(it, CachedKind::Leaf, leaf.global))
        };
        let under_tags = leaf.global && has_both(false);
        TagSelector {
            this: leaf.this || under_tags,
            other: leaf.other || under_tags,
            global: leaf.global || has_both(true),
        }
    }

    /// Returns the agents that may hold entries to invalidate.
    pub fn agents(&self) -> Agents {
        let cpus = match self.reach {
            Reach::Here => Agents::SELF,
            Reach::Wide => Agents::CPUS,
            Reach::Given => Agents::OTHERS,
        };
        if self.model.space(self.space).has_devices(self.machine) {
            cpus.union(Agents::DEVICE)
        } else {
            cpus
        }
    }

    /// Returns the cells of a kind of entry, in the caches that hold it.
    pub fn cells(
        &self,
        kind: CachedKind,
        levels: Levels,
        whose: TagSelector,
        agents: Agents,
    ) -> Cells {
        let caches = self.model.caches.holding(kind, self.machine);
        let kinds = match kind {
            CachedKind::Leaf => EntryKinds::leaf(levels),
            CachedKind::Walk => EntryKinds::walk(levels),
            CachedKind::Root => EntryKinds {
                root: true,
                ..EntryKinds::NOTHING
            },
            CachedKind::Negative => EntryKinds {
                negative: levels.and(self.model.caches.negative_levels(self.machine)),
                ..EntryKinds::NOTHING
            },
        };
        Cells::of(EntryKinds { caches, ..kinds }, whose, agents)
    }

    /// Returns the leaf cells of each tag class: this, other, global.
    pub fn leaves_of_classes(&self) -> [Cells; 3] {
        let class = |this, other, global| TagSelector {
            this,
            other,
            global,
        };
        [
            class(true, false, false),
            class(false, true, false),
            class(false, false, true),
        ]
        .map(|whose| {
            self.cells(
                CachedKind::Leaf,
                self.model.leaf_levels(),
                whose,
                self.agents(),
            )
        })
    }
}
