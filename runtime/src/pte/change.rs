//! A change of one page-table entry: what it was and what it becomes, and what the machine may have cached of it.

use crate::fault::{Fault, is_back};
use crate::level::Level;
use crate::pte::marks::Marks;

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
        /// Everything else that the machine caches with the translation, in any encoding: memory type, cacheability,
        /// shareability, whether the entry is global, whether it is one of a contiguous run. Two values are equal or they
        /// are not. Not the accessed and dirty marks, which are [`Marks`], nor bits that only software reads.
        attributes: u64,
    },
    /// A table.
    Table {
        /// The physical address of the table.
        table: u64,
        /// What the entry says of all translations below it, in any encoding: the rights that it restricts, for one. Two
        /// values are equal or they are not.
        attributes: u64,
    },
}

impl Entry {
    /// The entry as changes compare it.
    #[inline]
    pub(super) fn compared(self) -> Self {
        match self {
            Self::Leaf { page, rights, .. } if is_back(Fault::IgnoresAttributes) => Self::Leaf {
                page,
                rights,
                attributes: 0,
            },
            Self::Table { table, .. } if is_back(Fault::IgnoresAttributes) => Self::Table {
                table,
                attributes: 0,
            },
            entry => entry,
        }
    }
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
    /// Which marks of the machine the new entry clears that a valid old entry may have had.
    pub clears: Marks,
    /// What was below it.
    pub below: Below,
}

/// What a change does, as far as an instruction that makes it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Something is mapped where nothing was.
    Map,
    /// Nothing is mapped where something was.
    Unmap,
    /// The same page with the same attributes, and more allowed than before. No mark is cleared whose clearing
    /// requires a flush. The entry stays valid while it changes.
    RelaxPermissions,
    /// A valid entry says the same to the machine as before: only bits differ that software alone reads.
    Same,
    /// Any other change of a valid entry into a valid one.
    Remap,
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
    /// Whether other attributes go into a valid leaf only through an invalid entry.
    pub attributes_through_invalid: bool,
    /// Whether more rights go into a valid entry only through an invalid one.
    pub rights_through_invalid: bool,
    /// The marks that may be cleared without a flush: a cached entry may keep them, and the machine then does not set
    /// them again in the table until the entry is dropped.
    pub cleared_may_stay: Marks,
    /// Whether a clean entry becomes dirty only by a walk, so that unmapping dirty pages may be put off.
    pub clean_to_dirty_walks: bool,
}

impl Change {
    /// An entry becomes invalid; what was below it, if anything, was cleared before.
    #[must_use]
    #[inline]
    pub const fn to_invalid(level: Level, old: Entry) -> Self {
        Self {
            level,
            old,
            new: Entry::Invalid,
            new_bits: 0,
            clears: Marks::NONE,
            below: Below::Cleared,
        }
    }

    /// Whether a valid entry is stored where none was.
    #[must_use]
    #[inline]
    pub(crate) const fn is_new(&self) -> bool {
        matches!(self.old, Entry::Invalid) && !matches!(self.new, Entry::Invalid)
    }

    /// What kind of change it is on a machine of these facts.
    #[must_use]
    #[inline]
    pub fn kind(&self, facts: &ChangeFacts) -> Kind {
        match (self.old.compared(), self.new.compared()) {
            (Entry::Invalid, _) => Kind::Map,
            (_, Entry::Invalid) => Kind::Unmap,
            (old, new) if old == new && !self.clears_what_stays(facts) => Kind::Same,
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
            ) if page == new_page
                && attributes == new_attributes
                && rights & !new_rights == 0
                && !self.clears_what_stays(facts) =>
            {
                Kind::RelaxPermissions
            }
            _ => Kind::Remap,
        }
    }

    /// Whether a mark is cleared that a cached entry may keep, and must not.
    #[inline]
    pub(super) fn clears_what_stays(&self, facts: &ChangeFacts) -> bool {
        !self.clears.without(facts.cleared_may_stay).is_none()
    }
}
