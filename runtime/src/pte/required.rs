//! Derives the required flush from the change of a page-table entry.
//!
//! In: a [`Change`] and the machine's [`ChangeFacts`]. Out: a [`RequiredFlush`]. Holds: a flush that covers it invalidates
//! every cached entry that the change made stale, for all agents that may use it. A leaf entry is used by agents that translate
//! through it, a walk entry by every walker, including those of lazy CPUs.

use crate::fault::{Fault, is_back};
use crate::level::{Level, Levels};
use crate::pte::change::{Below, Change, ChangeFacts, Entry, Kind, Stricter};
use crate::request::{Extent, LevelTable, Ranges, Space};

/// The latest moment of a required flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deadline {
    /// Before anything relies on the change: before the page or table gets a new owner, or the kernel relies on the removal of a
    /// right.
    Reuse,
    /// Before the new entry is stored.
    Store,
    /// At the fault of a CPU that uses the stale entry, on that CPU alone.
    Fault,
}

/// The flush that a change of a page-table entry requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "entries stay stale until the flush is done"]
pub struct RequiredFlush {
    /// Leaf entries of these levels.
    pub leaf: Levels,
    /// Walk entries of these levels; invalidated first, and completely, where a [subtree](Self::subtree) is still live.
    pub walk: Levels,
    /// Negative entries of these levels.
    pub negative: Levels,
    /// Whether the flush covers everything below the entry, which is still valid in memory. If not, it covers the cached entries
    /// that contain the entry's addresses.
    pub subtree: bool,
    /// The latest moment of the flush.
    pub deadline: Deadline,
}

impl Ranges {
    /// Adds the flush that a change of the entries in an extent requires.
    pub fn require(&mut self, required: &RequiredFlush, extent: Extent) {
        for level in required.leaf.iter() {
            self.leaf(level, extent);
        }
        for level in required.walk.iter() {
            self.walk(level, extent);
        }
        for level in required.negative.iter() {
            self.negative(level, extent);
        }
        if required.subtree && !required.is_nothing() {
            self.subtree();
        }
    }
}

impl Ranges {
    /// Adds what an access of an address may have found in place of a valid leaf entry of a level, and that stays until it is
    /// invalidated: a leaf entry that permits less, and negative entries.
    pub fn fault(&mut self, facts: &ChangeFacts, levels: &LevelTable, va: u64, level: Level) {
        let of = |level: Level| {
            let there = levels.get(level.index());
            there.map(|there| Extent::new(va, 1).rounded(there.shift))
        };
        let stays = facts.stricter == Stricter::FaultsUntilDropped;
        if stays
            && !is_back(Fault::LeavesStricter)
            && let Some(entry) = of(level)
        {
            self.leaf(level, entry);
        }
        if !facts.negative.is_kept() || is_back(Fault::LeavesNegative) {
            return;
        }
        // The entry of any level above may have been invalid.
        for (above, there) in Level::all().zip(levels) {
            if above < level || there.shift == 0 {
                continue;
            }
            for negative in facts.negative.levels(above).iter() {
                if let Some(entry) = of(negative) {
                    self.negative(negative, entry);
                }
            }
        }
    }
}

impl RequiredFlush {
    /// No flush is required.
    pub const NOTHING: Self = Self {
        leaf: Levels::NONE,
        walk: Levels::NONE,
        negative: Levels::NONE,
        subtree: false,
        deadline: Deadline::Reuse,
    };

    /// Returns the flush of everything that an entry of a level, and those below it, may have been.
    pub(crate) const fn of_anything(level: Level) -> Self {
        let below = Levels::below(level);
        let all = below.union(Levels::only(level));
        Self {
            leaf: all,
            walk: if below.is_empty() { Levels::NONE } else { all },
            negative: Levels::NONE,
            subtree: !below.is_empty(),
            deadline: Deadline::Store,
        }
    }

    /// Returns whether no flush is required.
    #[must_use]
    #[inline]
    pub const fn is_nothing(&self) -> bool {
        self.leaf.is_empty() && self.walk.is_empty() && self.negative.is_empty()
    }

    /// Returns whether a flush is required now. If not, either none is required, or the CPU that takes a fault flushes then: that
    /// is sufficient where code that uses the entry [may fault](crate::backend::Facts::may_fault).
    #[must_use]
    #[inline]
    pub const fn is_required_now(&self, may_fault: bool) -> bool {
        let at_fault = matches!(self.deadline, Deadline::Fault) && may_fault;
        !self.is_nothing() && !at_fault
    }
}

impl Change {
    /// Returns whether the kernel must publish the entry before its own code uses it: the new entry is valid, its meaning to the
    /// machine differs from the old one, and no flush of what is `left` to be invalidated publishes it.
    #[must_use]
    #[inline]
    pub fn must_be_published(&self, left: &RequiredFlush, may_fault: bool) -> bool {
        let is_read_differently = self.old.compared() != self.new.compared();
        !matches!(self.new, Entry::Invalid)
            && is_read_differently
            && !left.is_required_now(may_fault)
    }

    /// Returns whether a table is unlinked on a machine that caches no walk entries. A CPU that uses the space lazily is sent no
    /// flush there, and its walker still reads the tables, so a flush does not publish this to every walker.
    #[must_use]
    pub fn unlinks_for_walkers_alone(&self, facts: &ChangeFacts) -> bool {
        let unlinks =
            matches!(self.old, Entry::Table { .. }) && !matches!(self.new, Entry::Table { .. });
        unlinks && !facts.walk_cached
    }

    /// Returns the flush that this change requires on a machine of these facts.
    #[inline]
    pub fn required_flush(&self, facts: &ChangeFacts) -> RequiredFlush {
        match (self.old, self.new) {
            // The most frequent changes. Where the caller has tested the old entry, as unmapping does, this folds to one branch.
            (Entry::Leaf { .. }, Entry::Invalid) => self.translation(Deadline::Reuse),
            (Entry::Table { .. }, Entry::Invalid) => {
                self.table_entry(self.below == Below::Live, facts, Deadline::Reuse)
            }
            _ => self.other_required_flush(facts),
        }
    }

    /// Returns the required flush of every other change.
    fn other_required_flush(&self, facts: &ChangeFacts) -> RequiredFlush {
        match (self.old.compared(), self.new.compared()) {
            (Entry::Invalid, Entry::Invalid) => RequiredFlush::NOTHING,
            (Entry::Invalid, _) => self.new_entry(facts),
            (old, new) if old == new && !self.clears_what_stays(facts) => RequiredFlush::NOTHING,
            (Entry::Leaf { .. }, _) if self.kind(facts) == Kind::MoreRights => {
                self.more_rights(facts)
            }
            (Entry::Leaf { .. }, _) => self.translation(self.deadline(facts)),
            (Entry::Table { .. }, _) => {
                let live = self.below == Below::Live || self.keeps_table();
                self.table_entry(live, facts, self.deadline(facts))
            }
        }
    }

    /// Returns the flush of the leaf entries at which the entry was cached.
    #[inline]
    fn translation(&self, deadline: Deadline) -> RequiredFlush {
        RequiredFlush {
            leaf: Levels::only(self.level),
            deadline,
            ..RequiredFlush::NOTHING
        }
    }

    /// Returns the part of the [required flush](Self::required_flush) that is left after an instruction has changed an entry of a
    /// space of this kind. If an entry of a user space gained rights, CPUs may keep a cached entry that permits less until they
    /// fault. The kernel's code must not fault: on a machine on which it would, the instruction that changes the kernel's entry
    /// invalidates all cached entries that were made from it, on CPUs but not on devices.
    #[inline]
    pub fn left_over(&self, facts: &ChangeFacts, space: Space) -> RequiredFlush {
        let of_kernel = matches!(space, Space::Kernel) && !facts.devices_stay_strict;
        match self.kind(facts) {
            Kind::MoreRights if of_kernel && facts.stricter != Stricter::Refetched => {
                RequiredFlush::NOTHING
            }
            Kind::Map | Kind::MoreRights | Kind::Same => self.required_flush(facts),
            Kind::Unmap | Kind::Remap => RequiredFlush::NOTHING,
        }
    }

    /// Returns the required flush of a valid entry that is stored where none was.
    fn new_entry(&self, facts: &ChangeFacts) -> RequiredFlush {
        if is_back(Fault::IgnoresNegative) {
            return RequiredFlush::NOTHING;
        }
        RequiredFlush {
            negative: facts.negative.levels(self.level),
            deadline: Deadline::Fault,
            ..RequiredFlush::NOTHING
        }
    }

    /// Returns the required flush of an entry that gains rights to the same page. On a machine whose fault invalidates the
    /// stricter entry the access still faults, so no flush is required only for code that may fault.
    fn more_rights(&self, facts: &ChangeFacts) -> RequiredFlush {
        if facts.rights_through_invalid {
            return self.translation(Deadline::Store);
        }
        if facts.devices_stay_strict {
            return self.translation(Deadline::Reuse);
        }
        match facts.stricter {
            Stricter::Refetched => RequiredFlush::NOTHING,
            Stricter::DroppedByFault if is_back(Fault::KernelFaults) => RequiredFlush::NOTHING,
            Stricter::DroppedByFault | Stricter::FaultsUntilDropped => {
                self.translation(Deadline::Fault)
            }
        }
    }

    /// Returns the latest moment of the flush of a valid entry whose meaning changes.
    fn deadline(&self, facts: &ChangeFacts) -> Deadline {
        let through_invalid = match (self.old.compared(), self.new.compared()) {
            (
                Entry::Leaf {
                    page,
                    rights,
                    attributes,
                },
                Entry::Leaf {
                    page: new_page,
                    rights: new_rights,
                    attributes: new_attributes,
                },
            ) => {
                page != new_page && facts.output_through_invalid
                    || attributes != new_attributes && facts.attributes_through_invalid
                    || new_rights & !rights != 0 && facts.rights_through_invalid
            }
            (Entry::Leaf { .. }, Entry::Table { .. })
            | (Entry::Table { .. }, Entry::Leaf { .. }) => facts.size_through_invalid,
            // Another table maps other pages.
            (Entry::Table { table, .. }, Entry::Table { table: new, .. }) => {
                table != new && self.below == Below::Live && facts.output_through_invalid
            }
            (Entry::Invalid, _) | (_, Entry::Invalid) => false,
        };
        if through_invalid {
            Deadline::Store
        } else {
            Deadline::Reuse
        }
    }

    /// Returns the required flush of an entry that pointed at a table, and that no longer does or whose rights or attributes
    /// change. If what is below it is `live`, everything that is cached below it is flushed: it was made from the old entry, and
    /// may be made again.
    fn table_entry(&self, live: bool, facts: &ChangeFacts, deadline: Deadline) -> RequiredFlush {
        let live = live && !is_back(Fault::OverlooksBelow);
        let below = if live {
            Levels::below(self.level)
        } else {
            Levels::NONE
        };
        let walk = if facts.walk_cached {
            below.union(Levels::only(self.level))
        } else {
            Levels::NONE
        };
        RequiredFlush {
            leaf: below,
            walk,
            negative: Levels::NONE,
            subtree: live,
            deadline,
        }
    }

    /// Returns whether the entry still points at the same table.
    fn keeps_table(&self) -> bool {
        match (self.old, self.new) {
            (Entry::Table { table, .. }, Entry::Table { table: new, .. }) => table == new,
            _ => false,
        }
    }
}
