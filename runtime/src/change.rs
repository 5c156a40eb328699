//! From a changed table entry to what must be dropped for it.
//!
//! Obligations are derived here and nowhere written down: from the entry's level, what it was and
//! what it becomes, what happened to the table below, and what the machine may have cached.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::backend::Owed;
use crate::clause::{Clause, Holders, Level, Levels, What, Which, Whose};
use crate::request::{Conditions, Reach, Space, Tag};

/// Consecutive entries of one table in memory: one, or several that all change alike.
#[derive(Debug)]
pub struct Slot<'a> {
    /// The entries.
    pub entries: &'a [AtomicU64],
    /// The physical address of the table that they stand in.
    pub table: u64,
    /// The index of the first of them in it.
    pub index: u16,
    /// The first address that the first of them translates.
    pub va: u64,
}

/// Whose table changes, and who may have cached its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Whose mappings.
    pub space: Space,
    /// The space's tag.
    pub tag: Tag,
    /// Who may have cached the entries.
    pub reach: Reach,
    /// What holds of the space.
    pub conditions: Conditions,
    /// Whether the flush may be put off where the machine lets it be: no other CPU is attached to the
    /// space, none will be before [`Owed::SPACE_UNTIL_ATTACH`](crate::Owed::SPACE_UNTIL_ATTACH) is paid,
    /// and nothing gets a new owner before.
    pub may_defer: bool,
}

/// What stood in entries before they changed, with what the machine itself had noted in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Was {
    /// The first of them.
    pub first: u64,
    /// The bits that any of them had: where several entries map one page, it is dirty if any says so.
    pub any: u64,
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "entries stay stale until the obligation is met and the debt is paid"]
pub struct Changed {
    /// What stood there.
    pub was: Was,
    /// What is left to be flushed.
    pub obligation: Obligation,
    /// What was put off.
    pub owed: Owed,
}

/// What a table entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Nothing is mapped.
    Invalid,
    /// A page.
    Leaf {
        /// The physical address of the page.
        page: u64,
        /// What may be done with it, one bit a right: more bits, more rights.
        rights: u8,
    },
    /// A table.
    Table {
        /// The physical address of the table.
        table: u64,
    },
}

/// What is below an entry that pointed at a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// Every entry of it was cleared before, and flushed or recorded on its own.
    Cleared,
    /// Entries of it are still valid: the table moves, or others keep it.
    Live,
}

/// A change of one table entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The entry's level.
    pub level: Level,
    /// What it said.
    pub old: Entry,
    /// What it says now.
    pub new: Entry,
    /// The new entry as it stands in memory. Where the machine has an instruction replace a valid entry, that
    /// instruction stores it.
    pub new_bits: u64,
    /// What was below it.
    pub below: Below,
}

/// What a change does, as far as an instruction that makes it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Something is mapped where nothing was.
    Appears,
    /// Nothing is mapped where something was.
    Vanishes,
    /// The same page, with more allowed than before. Apart from that the new entry may differ from the old
    /// one only in bits that are software's: it stays valid while it changes.
    Relaxes,
    /// Something else is mapped, or less is allowed.
    Replaces,
}

/// What becomes of a cached entry that allows less than the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stricter {
    /// The machine looks again before it faults.
    Refetched,
    /// The fault drops it.
    DroppedByFault,
    /// It faults until it is dropped on the CPU that faults.
    FaultsUntilDropped,
}

/// What a change may leave behind in the caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeFacts {
    /// Whether pointers to tables are cached.
    pub walk_cached: bool,
    /// Whether the absence of an entry is cached.
    pub invalid_cached: bool,
    /// What becomes of entries that allow less than the table.
    pub stricter: Stricter,
    /// Whether devices that share the tables keep such entries all the same.
    pub devices_stay_strict: bool,
    /// Whether another page goes into a valid entry only through an invalid one.
    pub output_through_invalid: bool,
    /// Whether another size goes into a valid entry only through an invalid one.
    pub size_through_invalid: bool,
    /// Whether more rights go into a valid entry only through an invalid one.
    pub rights_through_invalid: bool,
    /// Whether a clean entry becomes dirty only by a walk, so that unmapping dirty pages may be put off.
    pub clean_to_dirty_walks: bool,
}

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

impl Slot<'_> {
    /// The physical address of the nth of them.
    #[must_use]
    #[inline]
    pub const fn address(&self, nth: u64) -> u64 {
        self.table
            .wrapping_add((self.index as u64).wrapping_add(nth) << 3)
    }

    /// What stands in the nth of them; 0 where there is none.
    #[must_use]
    #[inline]
    pub fn load(&self, nth: u64) -> u64 {
        let entry = usize::try_from(nth).ok().and_then(|n| self.entries.get(n));
        entry.map_or(0, |entry| entry.load(Ordering::Relaxed))
    }

    /// What stands in them.
    #[must_use]
    #[inline]
    pub fn was(&self) -> Was {
        self.each(|entry| entry.load(Ordering::Relaxed))
    }

    /// Stores the same in each of them, and says what stood there: nothing that the machine notes in an
    /// entry meanwhile is lost.
    #[must_use]
    #[inline]
    pub fn exchange(&self, bits: u64) -> Was {
        self.each(|entry| entry.swap(bits, Ordering::Relaxed))
    }

    #[inline]
    fn each(&self, mut stood: impl FnMut(&AtomicU64) -> u64) -> Was {
        let Some((first, rest)) = self.entries.split_first() else {
            return Was::default();
        };
        let first = stood(first);
        let any = rest.iter().fold(first, |any, entry| any | stood(entry));
        Was { first, any }
    }

    /// Stores the same in each of them.
    #[inline]
    pub fn store(&self, bits: u64) {
        for entry in self.entries {
            entry.store(bits, Ordering::Relaxed);
        }
    }
}

impl Change {
    /// An entry becomes invalid; what was below it, if anything, was cleared before.
    #[must_use]
    #[inline]
    pub const fn vanishing(level: Level, old: Entry) -> Self {
        Self {
            level,
            old,
            new: Entry::Invalid,
            new_bits: 0,
            below: Below::Cleared,
        }
    }

    /// What kind of change it is.
    #[must_use]
    #[inline]
    pub fn kind(&self) -> Kind {
        match (self.old, self.new) {
            (Entry::Invalid, _) => Kind::Appears,
            (_, Entry::Invalid) => Kind::Vanishes,
            (
                Entry::Leaf { page, rights },
                Entry::Leaf {
                    page: to,
                    rights: now,
                },
            ) if page == to && rights & !now == 0 => Kind::Relaxes,
            _ => Kind::Replaces,
        }
    }

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
    const TABLE: Entry = Entry::Table { table: 2 };

    fn change(level: u8, old: Entry, new: Entry, below: Below) -> Obligation {
        Change {
            level: Level(level),
            old,
            new,
            new_bits: 0,
            below,
        }
        .obligation(&FACTS)
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
        let less = Entry::Leaf { page: 1, rights: 1 };
        assert!(
            change(0, PAGE, less, Below::Cleared)
                .holders
                .covers(Holders::ACTIVE)
        );
        let more = change(0, less, PAGE, Below::Cleared);
        assert_eq!(more.holders, Holders::SELF);
        assert_eq!(more.deadline, Deadline::Fault);
        let refetched = ChangeFacts {
            stricter: Stricter::Refetched,
            ..FACTS
        };
        let upgrade = Change {
            level: Level(0),
            old: less,
            new: PAGE,
            new_bits: 0,
            below: Below::Cleared,
        };
        assert!(upgrade.obligation(&refetched).is_nothing());
    }

    #[test]
    fn fewer_rights_of_the_same_page_take_no_invalid_entry() {
        let less = Entry::Leaf { page: 1, rights: 1 };
        let protected = change(0, PAGE, less, Below::Cleared);
        assert_eq!(protected.deadline, Deadline::Reuse);
        let swapped = |facts: &ChangeFacts| {
            let others = Change {
                level: Level(0),
                old: Entry::Leaf { page: 1, rights: 1 },
                new: Entry::Leaf { page: 1, rights: 2 },
                new_bits: 0,
                below: Below::Cleared,
            };
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
        let less = Entry::Leaf { page: 1, rights: 1 };
        let left = |old, new| {
            let change = Change {
                level: Level(0),
                old,
                new,
                new_bits: 0,
                below: Below::Cleared,
            };
            (change.left_over(&FACTS), change.obligation(&FACTS))
        };
        for (old, new) in [(PAGE, Entry::Invalid), (PAGE, less)] {
            let (left, owed) = left(old, new);
            assert!(left.is_nothing() && !owed.is_nothing());
        }
        let (left, owed) = left(less, PAGE);
        assert!(left == owed && left.deadline == Deadline::Fault);
    }

    #[test]
    fn more_rights_owe_the_leaf_to_devices_that_stay_strict() {
        let less = Entry::Leaf { page: 1, rights: 1 };
        let upgrade = Change {
            level: Level(0),
            old: less,
            new: PAGE,
            new_bits: 0,
            below: Below::Cleared,
        };
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
        let new = Change {
            level: Level(0),
            old: Entry::Invalid,
            new: PAGE,
            new_bits: 0,
            below: Below::Cleared,
        };
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
        let less = Entry::Leaf { page: 1, rights: 1 };
        assert_eq!(
            change(0, PAGE, less, Below::Cleared).deadline,
            Deadline::Reuse
        );
    }
}
