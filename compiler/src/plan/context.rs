//! One machine and one kind of request: what there is to drop, and on whom.

use tlbc_facts::cells::Cells;
use tlbc_facts::clause::{EntryKinds, TagSelector};
use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::Levels;
use tlbc_runtime::request::{Reach, Space};

use super::symbolic::SymbolicMachine;
use crate::model::{Kind, Machine, Model, Shootdown, Tag, Under};

/// One machine and one kind of request, for which means are chosen.
#[derive(Clone, Copy)]
pub struct PlanContext<'m> {
    /// The definition.
    pub model: &'m Model,
    /// The machine.
    pub machine: &'m SymbolicMachine<'m>,
    /// Whose mappings.
    pub space: Space,
    /// Who may have cached them.
    pub reach: Reach,
    /// Whether the tag means the same space on every CPU.
    pub global_tag: bool,
    /// Whether the space is only about to be loaded, so that what is loaded is another's.
    pub entering: bool,
}

/// What tells apart the contexts of one model, apart from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContextKey {
    space: Space,
    reach: Reach,
    global_tag: bool,
    entering: bool,
}

impl<'m> PlanContext<'m> {
    /// Returns the part of the context that does not depend on the machine.
    pub fn key(&self) -> ContextKey {
        ContextKey {
            space: self.space,
            reach: self.reach,
            global_tag: self.global_tag,
            entering: self.entering,
        }
    }

    /// Of a space that is loaded, with a tag that means the same space on every CPU.
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
        }
    }

    /// The views of the space on this machine, by index.
    pub fn views(&self) -> Vec<usize> {
        let views = self.model.space(self.space).views.iter().enumerate();
        views
            .filter(|(_, view)| view.when.holds(self.machine))
            .map(|(index, _)| index)
            .collect()
    }

    /// The tags that there are.
    pub fn tags(&self) -> impl Iterator<Item = &'m Tag> + use<'m> {
        let machine = self.machine;
        let tags = self.model.tags.iter();
        tags.filter(move |tag| tag.when.holds(machine))
    }

    /// Whether instructions of this CPU may reach others: not for a space whose tags mean something
    /// else there, since what hits it would have to hit every tag.
    pub fn may_broadcast(&self) -> bool {
        let named = self.space == Space::Kernel || self.global_tag || self.tags().next().is_none();
        named && self.shootdown() != Some(Shootdown::Ipi)
    }

    /// How the policy has others told on this machine.
    pub fn shootdown(&self) -> Option<Shootdown> {
        let stated = self.model.policy.shootdown.as_ref()?;
        stated.get(self.machine).map(|at| at.value)
    }

    /// Whether the user space may have a tag of that reach.
    pub fn has_tag(&self, global_tag: bool) -> bool {
        self.tags().any(|tag| tag.of_cpu.value != global_tag)
    }

    /// Whether there is one tag that all entries of the space are under, and it is known.
    pub fn gives_tag(&self) -> bool {
        if self.space == Space::Kernel {
            let under = self.model.kernel.leaf.get(self.machine);
            return under.is_some_and(|at| matches!(at.value, Under::Fixed(..) | Under::Tags(_)));
        }
        match self.reach {
            Reach::Here => self.tags().next().is_some(),
            Reach::Wide => self.global_tag && self.has_tag(true),
        }
    }

    /// Whether what is dropped of the loaded tag is the space's: it has that tag, or there are none.
    pub fn has_loaded_tag(&self) -> bool {
        self.fixed_tag().is_none() && !(self.entering && self.tags().next().is_some())
    }

    /// The value of the space's tag, where that is always the same.
    pub fn fixed_tag(&self) -> Option<u64> {
        self.model.space(self.space).fixed_tag(self.machine)
    }

    /// Whether this CPU may hold global entries, whoever made them: somebody before this kernel may have
    /// run with fewer features, but not without what global entries take.
    pub fn may_hold_globals(&self) -> bool {
        let spaces = [&self.model.user, &self.model.kernel];
        let mut cases = spaces.into_iter().flat_map(|space| &space.leaf.cases);
        cases.any(|(under, cond)| {
            let mut taken = cond.features_wanted();
            under.value == Under::Global && taken.all(|feature| Machine::has(self.machine, feature))
        })
    }

    /// Returns the tag classes of all entries that this CPU may hold.
    pub fn every_class(&self) -> TagSelector {
        TagSelector {
            this: true,
            other: self.has_tag(true) || self.has_tag(false),
            global: self.may_hold_globals(),
        }
    }

    /// The tag classes that entries of the space have.
    pub fn classes(&self, kind: Kind) -> TagSelector {
        let space = self.model.space(self.space);
        let cases = match kind {
            Kind::Leaf | Kind::Negative => &space.leaf,
            Kind::Walk | Kind::Root => &space.walk,
        };
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

    /// Who may hold what is to be dropped.
    pub fn agents(&self) -> Agents {
        let cpus = match self.reach {
            Reach::Here => Agents::SELF,
            Reach::Wide => Agents::CPUS,
        };
        if self.model.space(self.space).has_devices(self.machine) {
            cpus.union(Agents::DEVICE)
        } else {
            cpus
        }
    }

    /// The cells of a kind of entry, in the caches that hold it.
    pub fn cells(&self, kind: Kind, levels: Levels, whose: TagSelector, agents: Agents) -> Cells {
        let caches = self.model.caches.holding(kind);
        let kinds = match kind {
            Kind::Leaf => EntryKinds::leaf(levels),
            Kind::Walk => EntryKinds::walk(levels),
            Kind::Root => EntryKinds {
                root: true,
                ..EntryKinds::NOTHING
            },
            Kind::Negative => EntryKinds {
                negative: levels,
                ..EntryKinds::NOTHING
            },
        };
        Cells::of(EntryKinds { caches, ..kinds }, whose, agents)
    }

    /// The leaf cells of each tag class, for whoever asks whether one loses all of them.
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
        .map(|whose| self.cells(Kind::Leaf, Levels::ALL, whose, self.agents()))
    }
}
