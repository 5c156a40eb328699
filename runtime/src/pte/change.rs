//! A change of one page-table entry: what it was and what it becomes, and what the machine may have cached of it.

use crate::fault::{Fault, is_back};
use crate::level::{Level, Levels};
use crate::pte::marks::Marks;

/// The meaning of a page-table entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Nothing is mapped.
    Invalid,
    /// A leaf entry, which maps a page.
    Leaf {
        /// The physical address of the page.
        page: u64,
        /// The rights of accesses to the page, one bit for each right. An entry with more bits permits more.
        rights: u8,
        /// Everything else that the machine caches with the translation, in any encoding: memory type, cacheability,
        /// shareability, whether the entry is global, whether it is one of a contiguous run. Values are only compared for
        /// equality. The accessed and dirty marks are not included, since they are [`Marks`], nor are bits that only
        /// software reads.
        attributes: u64,
    },
    /// An entry that points at a table.
    Table {
        /// The physical address of the table.
        table: u64,
        /// What the entry says about all translations below it, such as rights that it restricts, in any encoding. Values are
        /// only compared for equality.
        attributes: u64,
    },
}

impl Entry {
    /// Returns the entry as changes compare it.
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

/// The entries below an entry that pointed at a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// Every entry of the table was made invalid before, and was flushed or recorded by itself.
    Cleared,
    /// Entries of the table are still valid: the table moves, or other spaces still use it.
    Live,
}

/// A change of one table entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The entry's level.
    pub level: Level,
    /// The old entry.
    pub old: Entry,
    /// The new entry.
    pub new: Entry,
    /// The bits of the new entry in memory. If the machine requires an instruction to replace a valid entry, that
    /// instruction stores them.
    pub new_bits: u64,
    /// The marks that a valid old entry may have had and that the new entry does not have.
    pub clears: Marks,
    /// The entries below the old entry.
    pub below: Below,
}

/// The kind of a change, by which a backend chooses the instruction that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A valid entry is stored where none was.
    Map,
    /// A valid entry becomes invalid.
    Unmap,
    /// A leaf entry keeps its page and its attributes, and gains rights. No mark is cleared whose clearing requires a flush. The
    /// entry stays valid during the change.
    MoreRights,
    /// A valid entry keeps its meaning to the machine: only bits that software alone reads change.
    Same,
    /// Any other change of a valid entry into a valid one.
    Remap,
}

/// What the machine does when a cached entry permits less than the entry in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stricter {
    /// It walks again before it faults.
    Refetched,
    /// It faults, and the fault invalidates the cached entry.
    DroppedByFault,
    /// It faults until the cached entry is invalidated on that CPU.
    FaultsUntilDropped,
}

/// Whether the machine caches that a table entry is invalid, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Negative {
    /// It does not.
    Never,
    /// Until the negative entry is invalidated: accesses fault until then.
    UntilDropped,
    /// As long, in entries of single pages, whichever table entry is invalid.
    AsPages,
    /// For a bounded time: an access that is repeated after a fault finds the valid entry in the end.
    Expires,
}

impl Negative {
    /// Returns the levels of the negative entries that are made where an entry of this level is invalid.
    #[must_use]
    #[inline]
    pub const fn levels(self, invalid: Level) -> Levels {
        match self {
            Self::Never => Levels::NONE,
            Self::UntilDropped | Self::Expires => Levels::only(invalid),
            Self::AsPages => Levels::only(Level(0)),
        }
    }

    /// Returns whether accesses fault until a negative entry is invalidated.
    #[must_use]
    #[inline]
    pub const fn is_kept(self) -> bool {
        matches!(self, Self::UntilDropped | Self::AsPages)
    }
}

/// What agents may have cached of an entry, and how the machine permits the entry to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeFacts {
    /// Whether walk entries are cached.
    pub walk_cached: bool,
    /// Whether negative entries are cached.
    pub negative: Negative,
    /// What CPUs do when a cached entry permits less than the entry in the table.
    pub stricter: Stricter,
    /// Whether devices that share the tables keep such cached entries until a flush.
    pub devices_stay_strict: bool,
    /// Whether an entry must become invalid, and be flushed, before it maps another page.
    pub output_through_invalid: bool,
    /// Whether an entry must become invalid, and be flushed, before its addresses are mapped by pages of another size.
    pub size_through_invalid: bool,
    /// Whether a leaf entry must become invalid, and be flushed, before its attributes change.
    pub attributes_through_invalid: bool,
    /// Whether an entry must become invalid, and be flushed, before it gains rights.
    pub rights_through_invalid: bool,
    /// The marks that may be cleared without a flush. A cached entry may keep such a mark, and the machine then does not set
    /// it again in the table until the cached entry is invalidated.
    pub cleared_may_stay: Marks,
    /// Whether a clean entry becomes dirty only by a walk, so that the flush of an unmapped dirty page may be deferred.
    pub clean_to_dirty_walks: bool,
}

impl Change {
    /// Returns the change of an entry to an invalid one. If the entry pointed at a table, the table's entries were made invalid
    /// before.
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

    /// Returns whether a valid entry is stored where none was.
    #[must_use]
    #[inline]
    pub(crate) const fn is_new(&self) -> bool {
        matches!(self.old, Entry::Invalid) && !matches!(self.new, Entry::Invalid)
    }

    /// Returns the kind of the change on a machine of these facts.
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
                Kind::MoreRights
            }
            _ => Kind::Remap,
        }
    }

    /// Returns whether the change clears a mark that a cached entry may keep, so that a flush is required.
    #[inline]
    pub(super) fn clears_what_stays(&self, facts: &ChangeFacts) -> bool {
        !self.clears.without(facts.cleared_may_stay).is_none()
    }
}
