//! From a changed table entry to what must be dropped for it.
//!
//! In: a [`Change`] and the machine's [`ChangeFacts`]. Out: an [`Obligation`]. What is met drops every entry that the
//! change made stale, from the caches of all who may use it: users of translations for a leaf, walkers, lazy CPUs among
//! them, for a pointer to a table.

use super::{Below, Change, ChangeFacts, Entry, Kind, Stricter};
use crate::clause::{Clause, Holders, Levels, What, Which, Whose};

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
}

/// Those who use translations.
const USERS: Holders = Holders::SELF
    .union(Holders::SIBLING)
    .union(Holders::ACTIVE)
    .union(Holders::DEVICE);

/// Those who walk tables.
const WALKERS: Holders = USERS.union(Holders::LAZY);

impl Change {
    /// What this change obliges to, on a machine of these facts.
    #[inline]
    pub fn obligation(&self, facts: &ChangeFacts) -> Obligation {
        // The commonest change, known where it is made: nothing of it is left to be decided when it runs.
        if let (Entry::Leaf { .. }, Entry::Invalid) = (self.old, self.new) {
            self.translation(USERS, Deadline::Reuse)
        } else {
            self.other_obligation(facts)
        }
    }

    fn other_obligation(&self, facts: &ChangeFacts) -> Obligation {
        match (self.old, self.new) {
            (old, new) if old == new => Obligation::NOTHING,
            (Entry::Invalid, _) => self.absent(facts),
            (Entry::Leaf { .. }, _) if self.kind() == Kind::Relaxes => self.more_rights(facts),
            (Entry::Leaf { .. }, new) => self.translation(USERS, deadline(self.old, new, facts)),
            (Entry::Table { .. }, new) => self.cut(new, facts),
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

    /// What is left of [`obligation`](Self::obligation) when an instruction has changed the entry. What it
    /// drops it has dropped; where it gave more rights, other CPUs keep a stricter entry until they fault.
    #[inline]
    pub fn left_over(&self, facts: &ChangeFacts) -> Obligation {
        match self.kind() {
            Kind::Appears | Kind::Relaxes => self.obligation(facts),
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

    /// The same page, with more allowed.
    fn more_rights(&self, facts: &ChangeFacts) -> Obligation {
        let cpu = match facts.stricter {
            Stricter::Refetched | Stricter::DroppedByFault => Holders::NONE,
            Stricter::FaultsUntilDropped => Holders::SELF,
        };
        let device = if facts.devices_stay_strict {
            Holders::DEVICE
        } else {
            Holders::NONE
        };
        let holders = cpu.union(device);
        if holders.is_empty() {
            return Obligation::NOTHING;
        }
        let deadline = match (facts.rights_through_invalid, device.is_empty()) {
            (true, _) => Deadline::Store,
            (false, false) => Deadline::Reuse,
            (false, true) => Deadline::Fault,
        };
        self.translation(holders, deadline)
    }

    /// An entry no longer points at the table it pointed at.
    fn cut(&self, new: Entry, facts: &ChangeFacts) -> Obligation {
        let live = self.below == Below::Live;
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
            deadline: match new {
                Entry::Leaf { .. } => Deadline::Store,
                _ => Deadline::Reuse,
            },
            ..Obligation::NOTHING
        }
    }
}

/// By when an entry is flushed that mapped a page and now says something else.
fn deadline(old: Entry, new: Entry, facts: &ChangeFacts) -> Deadline {
    let first = match (old, new) {
        // The same page: some rights go, and others may come.
        (
            Entry::Leaf { page, rights },
            Entry::Leaf {
                page: to,
                rights: now,
            },
        ) if page == to => facts.rights_through_invalid && now & !rights != 0,
        (_, Entry::Leaf { .. }) => facts.output_through_invalid,
        (_, Entry::Table { .. }) => facts.size_through_invalid,
        (_, Entry::Invalid) => false,
    };
    if first {
        Deadline::Store
    } else {
        Deadline::Reuse
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clause::Level;

    const FACTS: ChangeFacts = ChangeFacts {
        walk_cached: true,
        invalid_cached: false,
        stricter: Stricter::FaultsUntilDropped,
        devices_stay_strict: false,
        output_through_invalid: true,
        size_through_invalid: true,
        rights_through_invalid: false,
        clean_to_dirty_walks: true,
    };
    const PAGE: Entry = Entry::Leaf { page: 1, rights: 3 };
    const LESS: Entry = Entry::Leaf { page: 1, rights: 1 };
    const TABLE: Entry = Entry::Table { table: 2 };

    /// An entry of the lowest level changes.
    fn lowest(old: Entry, new: Entry) -> Change {
        Change {
            level: Level(0),
            old,
            new,
            new_bits: 0,
            below: Below::Cleared,
        }
    }

    fn change(level: u8, old: Entry, new: Entry, below: Below) -> Obligation {
        let change = Change {
            level: Level(level),
            below,
            ..lowest(old, new)
        };
        change.obligation(&FACTS)
    }

    #[test]
    fn a_cleared_page_owes_its_leaf_to_those_who_use_it() {
        let owed = change(0, PAGE, Entry::Invalid, Below::Cleared);
        assert_eq!(owed.leaf.unwrap().what, What::leaf(Levels::only(Level(0))));
        assert_eq!(owed.walk, None);
        assert_eq!(owed.holders, USERS);
        assert_eq!(owed.deadline, Deadline::Reuse);
    }

    #[test]
    fn fewer_rights_owe_the_leaf_and_more_rights_only_a_fix_up_here() {
        assert!(
            change(0, PAGE, LESS, Below::Cleared)
                .holders
                .covers(Holders::ACTIVE)
        );
        let more = change(0, LESS, PAGE, Below::Cleared);
        assert_eq!(more.holders, Holders::SELF);
        assert_eq!(more.deadline, Deadline::Fault);
        let refetched = ChangeFacts {
            stricter: Stricter::Refetched,
            ..FACTS
        };
        let upgrade = lowest(LESS, PAGE);
        assert!(upgrade.obligation(&refetched).is_nothing());
    }

    #[test]
    fn fewer_rights_of_the_same_page_take_no_invalid_entry() {
        let protected = change(0, PAGE, LESS, Below::Cleared);
        assert_eq!(protected.deadline, Deadline::Reuse);
        let swapped = |facts: &ChangeFacts| {
            let others = lowest(LESS, Entry::Leaf { page: 1, rights: 2 });
            others.obligation(facts).deadline
        };
        assert_eq!(swapped(&FACTS), Deadline::Reuse);
        let through_invalid = ChangeFacts {
            rights_through_invalid: true,
            ..FACTS
        };
        assert_eq!(swapped(&through_invalid), Deadline::Store);
    }

    #[test]
    fn an_instruction_leaves_over_what_it_did_not_drop() {
        let left = |old, new| {
            let change = lowest(old, new);
            (change.left_over(&FACTS), change.obligation(&FACTS))
        };
        for (old, new) in [(PAGE, Entry::Invalid), (PAGE, LESS)] {
            let (left, owed) = left(old, new);
            assert!(left.is_nothing() && !owed.is_nothing());
        }
        let (left, owed) = left(LESS, PAGE);
        assert!(left == owed && left.deadline == Deadline::Fault);
    }

    #[test]
    fn more_rights_owe_the_leaf_to_devices_that_stay_strict() {
        let upgrade = lowest(LESS, PAGE);
        let strict = ChangeFacts {
            stricter: Stricter::Refetched,
            devices_stay_strict: true,
            ..FACTS
        };
        let owed = upgrade.obligation(&strict);
        assert_eq!(
            (owed.holders, owed.deadline),
            (Holders::DEVICE, Deadline::Reuse)
        );
        let through_invalid = ChangeFacts {
            rights_through_invalid: true,
            ..strict
        };
        assert_eq!(
            upgrade.obligation(&through_invalid).deadline,
            Deadline::Store
        );
    }

    #[test]
    fn a_new_mapping_owes_nothing_unless_absence_is_cached() {
        assert!(change(0, Entry::Invalid, PAGE, Below::Cleared).is_nothing());
        let cached = ChangeFacts {
            invalid_cached: true,
            ..FACTS
        };
        let new = lowest(Entry::Invalid, PAGE);
        assert!(new.obligation(&cached).absent.is_some());
    }

    #[test]
    fn a_freed_table_owes_the_one_walk_entry_to_lazy_cpus_too() {
        let owed = change(1, TABLE, Entry::Invalid, Below::Cleared);
        assert_eq!(owed.walk.unwrap().what, What::walk(Levels::only(Level(1))));
        assert_eq!(owed.leaf, None);
        assert!(owed.holders.covers(Holders::LAZY));
    }

    #[test]
    fn a_moved_table_owes_everything_below() {
        let owed = change(2, TABLE, Entry::Invalid, Below::Live);
        let walk = owed.walk.unwrap();
        assert_eq!(walk.which, Which::Subtree);
        assert_eq!(walk.what.walk, Levels(0b111));
        assert_eq!(owed.leaf.unwrap().what.leaf, Levels(0b11));
    }

    #[test]
    fn a_collapse_is_flushed_before_the_leaf_is_stored() {
        assert_eq!(
            change(1, TABLE, PAGE, Below::Live).deadline,
            Deadline::Store
        );
        let other = Entry::Leaf { page: 9, rights: 3 };
        assert_eq!(
            change(0, PAGE, other, Below::Cleared).deadline,
            Deadline::Store
        );
        // The same page with fewer rights is neither another page nor another size.
        assert_eq!(
            change(0, PAGE, LESS, Below::Cleared).deadline,
            Deadline::Reuse
        );
    }
}
