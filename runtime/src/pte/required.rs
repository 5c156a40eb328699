//! From a changed page-table entry to what must be invalidated for it.
//!
//! In: a [`Change`] and the machine's [`ChangeFacts`]. Out: a [`RequiredFlush`]. Holds: a flush that covers it invalidates
//! every entry that the change made stale, for all agents that may use it: users of translations for a leaf entry, walkers,
//! lazy CPUs among them, for a walk entry.

use crate::fault::{Fault, is_back};
use crate::level::Levels;
use crate::pte::change::{Below, Change, ChangeFacts, Entry, Kind, Stricter};
use crate::request::{Extent, Ranges, Space};

/// The latest moment of a required flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deadline {
    /// Before the page or the right that the change frees is used for something else.
    Reuse,
    /// Before the new entry is stored.
    Store,
    /// At a fault of a CPU that meets the stale entry, on that CPU alone.
    Fault,
}

/// What a change of a page-table entry makes necessary to invalidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "entries stay stale until the flush is done"]
pub struct RequiredFlush {
    /// Leaf entries of these levels.
    pub leaf: Levels,
    /// Walk entries of these levels; invalidated first, and completely, where a [subtree](Self::subtree) is still live.
    pub walk: Levels,
    /// Negative entries of these levels.
    pub negative: Levels,
    /// Whether everything below the entry is meant, which is still valid in memory. Otherwise what contains its addresses.
    pub subtree: bool,
    /// The latest moment.
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
            self.appeared(level, extent);
        }
        if required.subtree && !required.is_nothing() {
            self.below_live();
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

    /// Returns whether no flush is required.
    #[must_use]
    #[inline]
    pub const fn is_nothing(&self) -> bool {
        self.leaf.is_empty() && self.walk.is_empty() && self.negative.is_empty()
    }

    /// Returns whether a flush is required now, for entries of a space of this kind. Otherwise no flush is, or user code takes
    /// a fault and the CPU that takes it flushes then. The kernel's own code must not fault.
    #[must_use]
    #[inline]
    pub const fn is_required_now(&self, space: Space) -> bool {
        let at_fault = matches!(self.deadline, Deadline::Fault) && matches!(space, Space::User);
        !self.is_nothing() && !at_fault
    }
}

impl Change {
    /// Returns whether a valid entry is stored that the machine reads differently from the old one, and no flush of what is `left`
    /// to be dropped publishes it: then the kernel publishes it before its own code uses it. An entry where none was is
    /// published in any case.
    #[must_use]
    #[inline]
    pub fn must_be_published(&self, left: &RequiredFlush, space: Space) -> bool {
        let is_flushed = left.is_required_now(space) && !self.is_new();
        let is_read_differently = self.old.compared() != self.new.compared();
        !matches!(self.new, Entry::Invalid) && is_read_differently && !is_flushed
    }

    /// Returns the flush that this change requires on a machine of these facts.
    #[inline]
    pub fn required_flush(&self, facts: &ChangeFacts) -> RequiredFlush {
        match (self.old, self.new) {
            // The commonest change, known where it is made: nothing of it is left to be decided when it runs.
            (Entry::Leaf { .. }, Entry::Invalid) => self.translation(Deadline::Reuse),
            (Entry::Table { .. }, Entry::Invalid) => {
                self.cut(self.below == Below::Live, facts, Deadline::Reuse)
            }
            _ => self.other_required_flush(facts),
        }
    }

    fn other_required_flush(&self, facts: &ChangeFacts) -> RequiredFlush {
        match (self.old.compared(), self.new.compared()) {
            (Entry::Invalid, Entry::Invalid) => RequiredFlush::NOTHING,
            (Entry::Invalid, _) => self.absent(facts),
            (old, new) if old == new && !self.clears_what_stays(facts) => RequiredFlush::NOTHING,
            (Entry::Leaf { .. }, _) if self.kind(facts) == Kind::RelaxPermissions => {
                self.more_rights(facts)
            }
            (Entry::Leaf { .. }, _) => self.translation(self.deadline(facts)),
            (Entry::Table { .. }, _) => {
                let live = self.below == Below::Live || self.keeps_table();
                self.cut(live, facts, self.deadline(facts))
            }
        }
    }

    /// Returns the leaf entries that the entry was cached as.
    #[inline]
    fn translation(&self, deadline: Deadline) -> RequiredFlush {
        RequiredFlush {
            leaf: Levels::only(self.level),
            deadline,
            ..RequiredFlush::NOTHING
        }
    }

    /// Returns what is left of the [required flush](Self::required_flush) when an instruction has changed an entry of a space
    /// of this kind. Where a user's entry gained rights, CPUs may keep one that allows less until they fault. The kernel's
    /// code must not fault: where it would, the instruction that changes the kernel's entry invalidates all that was made
    /// through it, on CPUs if not on devices.
    #[inline]
    pub fn left_over(&self, facts: &ChangeFacts, space: Space) -> RequiredFlush {
        let of_kernel = matches!(space, Space::Kernel) && !facts.devices_stay_strict;
        match self.kind(facts) {
            Kind::RelaxPermissions if of_kernel && facts.stricter != Stricter::Refetched => {
                RequiredFlush::NOTHING
            }
            Kind::Map | Kind::RelaxPermissions | Kind::Same => self.required_flush(facts),
            Kind::Unmap | Kind::Remap => RequiredFlush::NOTHING,
        }
    }

    /// Returns what is required where a valid entry is stored and none was.
    fn absent(&self, facts: &ChangeFacts) -> RequiredFlush {
        if !facts.invalid_cached {
            return RequiredFlush::NOTHING;
        }
        RequiredFlush {
            negative: Levels::only(self.level),
            deadline: Deadline::Fault,
            ..RequiredFlush::NOTHING
        }
    }

    /// Returns what is required for more rights to the same page. A fault that drops the stricter entry is a fault all the
    /// same: it is enough where the code that runs into it may fault.
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

    /// Returns the latest moment of the flush of a valid entry that says something else, in one respect or several.
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
            // Below another table other pages are mapped.
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

    /// Returns what is required where an entry that pointed at a table points elsewhere; or still there, and says something
    /// else of everything below it: then all that is cached below was made under what it said before, and may be made again.
    fn cut(&self, live: bool, facts: &ChangeFacts, deadline: Deadline) -> RequiredFlush {
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

    fn keeps_table(&self) -> bool {
        match (self.old, self.new) {
            (Entry::Table { table, .. }, Entry::Table { table: new, .. }) => table == new,
            _ => false,
        }
    }
}
