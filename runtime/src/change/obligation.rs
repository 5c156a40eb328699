//! From a changed table entry to what must be dropped for it.
//!
//! In: a [`Change`] and the machine's [`ChangeFacts`]. Out: an [`Obligation`]. What is met drops every entry that the
//! change made stale, from the caches of all who may use it: users of translations for a leaf, walkers, lazy CPUs among
//! them, for a pointer to a table.

use super::{Below, Change, ChangeFacts, Entry, Kind, Stricter};
use crate::clause::{Clause, Holders, Levels, What, Which, Whose};
use crate::fault::{Fault, is_back};
use crate::request::Space;

/// By when an obligation must be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deadline {
    /// Before the page or the right it frees is used for something else.
    Reuse,
    /// Before the new entry is stored.
    Store,
    /// At a fault of the CPU that meets it, on that CPU alone.
    Fault,
}

/// What must be dropped for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "entries stay stale until the obligation is met"]
pub struct Obligation {
    /// Pointers to tables; dropped first, and completely, when leaves below are still live.
    pub walk: Option<Clause>,
    /// Translations.
    pub leaf: Option<Clause>,
    /// Remembered absences.
    pub absent: Option<Clause>,
    /// Who may use what is stale.
    pub holders: Holders,
    /// By when.
    pub deadline: Deadline,
}

impl Obligation {
    /// Nothing must be dropped.
    pub const NOTHING: Self = Self {
        walk: None,
        leaf: None,
        absent: None,
        holders: Holders::NONE,
        deadline: Deadline::Reuse,
    };

    /// Whether nothing must be dropped.
    #[must_use]
    #[inline]
    pub const fn is_nothing(&self) -> bool {
        self.walk.is_none() && self.leaf.is_none() && self.absent.is_none()
    }

    /// Whether a flush is required now, for entries of a space of this kind. Otherwise nothing is, or user code takes a fault
    /// and the CPU that takes it flushes then. The kernel's own code must not fault.
    #[must_use]
    #[inline]
    pub const fn is_required_now(&self, space: Space) -> bool {
        let at_fault = matches!(self.deadline, Deadline::Fault) && matches!(space, Space::User);
        !self.is_nothing() && !at_fault
    }
}

/// Those who use translations.
pub(super) const USERS: Holders = Holders::SELF
    .union(Holders::SIBLING)
    .union(Holders::ACTIVE)
    .union(Holders::DEVICE);

/// Those who walk tables.
pub(super) const WALKERS: Holders = USERS.union(Holders::LAZY);

impl Change {
    /// Whether a valid entry is stored that the machine reads differently from the old one, and no flush of what is `left`
    /// to be dropped publishes it: then the kernel publishes it before its own code uses it. An entry where none was is
    /// published in any case.
    #[must_use]
    #[inline]
    pub fn must_be_published(&self, left: &Obligation, space: Space) -> bool {
        let is_flushed = left.is_required_now(space) && !self.is_new();
        let is_read_differently = self.old.compared() != self.new.compared();
        !matches!(self.new, Entry::Invalid) && is_read_differently && !is_flushed
    }

    /// What this change obliges to, on a machine of these facts.
    #[inline]
    pub fn obligation(&self, facts: &ChangeFacts) -> Obligation {
        match (self.old, self.new) {
            // The commonest change, known where it is made: nothing of it is left to be decided when it runs.
            (Entry::Leaf { .. }, Entry::Invalid) => self.translation(USERS, Deadline::Reuse),
            (Entry::Table { .. }, Entry::Invalid) => {
                self.cut(self.below == Below::Live, facts, Deadline::Reuse)
            }
            _ => self.other_obligation(facts),
        }
    }

    fn other_obligation(&self, facts: &ChangeFacts) -> Obligation {
        match (self.old.compared(), self.new.compared()) {
            (Entry::Invalid, Entry::Invalid) => Obligation::NOTHING,
            (Entry::Invalid, _) => self.absent(facts),
            (old, new) if old == new && !self.clears_what_stays(facts) => Obligation::NOTHING,
            (Entry::Leaf { .. }, _) if self.kind(facts) == Kind::Relaxes => self.more_rights(facts),
            (Entry::Leaf { .. }, _) => self.translation(USERS, self.deadline(facts)),
            (Entry::Table { .. }, _) => {
                let live = self.below == Below::Live || self.keeps_table();
                self.cut(live, facts, self.deadline(facts))
            }
        }
    }

    /// What the entry translated.
    #[inline]
    fn translation(&self, holders: Holders, deadline: Deadline) -> Obligation {
        let what = What::leaf(Levels::only(self.level));
        Obligation {
            leaf: Some(clause(what, Which::Containing)),
            holders,
            deadline,
            ..Obligation::NOTHING
        }
    }

    /// Returns what is left of [`obligation`](Self::obligation) when an instruction has changed an entry of a space of this
    /// kind. Where a user's entry gained rights, CPUs may keep one that allows less until they fault. The kernel's code must
    /// not fault: where it would, the instruction that changes the kernel's entry invalidates all that was made through it,
    /// on CPUs if not on devices.
    #[inline]
    pub fn left_over(&self, facts: &ChangeFacts, space: Space) -> Obligation {
        let of_kernel = matches!(space, Space::Kernel) && !facts.devices_stay_strict;
        match self.kind(facts) {
            Kind::Relaxes if of_kernel && facts.stricter != Stricter::Refetched => {
                Obligation::NOTHING
            }
            Kind::Appears | Kind::Relaxes | Kind::Same => self.obligation(facts),
            Kind::Vanishes | Kind::Replaces => Obligation::NOTHING,
        }
    }

    /// A valid entry appears where none was.
    fn absent(&self, facts: &ChangeFacts) -> Obligation {
        if !facts.invalid_cached {
            return Obligation::NOTHING;
        }
        Obligation {
            absent: Some(clause(
                What {
                    absent: Levels::only(self.level),
                    ..What::NOTHING
                },
                Which::Containing,
            )),
            holders: WALKERS,
            deadline: Deadline::Fault,
            ..Obligation::NOTHING
        }
    }

    /// The same page, with more allowed. A fault that drops the stricter entry is a fault all the same: the
    /// obligation is met by it where the code that runs into it may fault.
    fn more_rights(&self, facts: &ChangeFacts) -> Obligation {
        if facts.rights_through_invalid {
            return self.translation(USERS, Deadline::Store);
        }
        let cpu = match facts.stricter {
            Stricter::Refetched => Holders::NONE,
            Stricter::DroppedByFault if is_back(Fault::KernelFaults) => Holders::NONE,
            Stricter::DroppedByFault | Stricter::FaultsUntilDropped => Holders::SELF,
        };
        if facts.devices_stay_strict {
            return self.translation(cpu.union(Holders::DEVICE), Deadline::Reuse);
        }
        if cpu.is_empty() {
            return Obligation::NOTHING;
        }
        self.translation(cpu, Deadline::Fault)
    }

    /// By when a valid entry is flushed that says something else, in one respect or several.
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

    /// An entry that pointed at a table points elsewhere; or still there, and says something else of everything below
    /// it: then all that is cached below was made under what it said before, and may be made again.
    fn cut(&self, live: bool, facts: &ChangeFacts, deadline: Deadline) -> Obligation {
        let walks = if live {
            Levels::only(self.level).union(Levels::below(self.level))
        } else {
            Levels::only(self.level)
        };
        let which = if live {
            Which::Subtree
        } else {
            Which::Containing
        };
        Obligation {
            walk: facts.walk_cached.then(|| clause(What::walk(walks), which)),
            leaf: live.then(|| clause(What::leaf(Levels::below(self.level)), Which::Subtree)),
            holders: WALKERS,
            deadline,
            ..Obligation::NOTHING
        }
    }

    fn keeps_table(&self) -> bool {
        match (self.old, self.new) {
            (Entry::Table { table, .. }, Entry::Table { table: new, .. }) => table == new,
            _ => false,
        }
    }
}

#[inline]
fn clause(what: What, which: Which) -> Clause {
    Clause {
        what,
        which,
        whose: Whose::THIS,
    }
}
