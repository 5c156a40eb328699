//! Clauses: which kinds of entries are invalidated, at which addresses, and under which tags.
//!
//! The *effect* of an instruction is a list of [`Clause`]s, and so is a *required flush*. Which agents an effect reaches, and
//! which agents may use the entries of a required flush, is said beside the clauses
//! ([`Agents`](tlbc_runtime::agents::Agents)).

use tlbc_runtime::level::Levels;

/// A set of named caches, by their index in a definition; index 0 is the TLB itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheSet(pub u8);

impl CacheSet {
    /// The largest number of caches of a definition.
    pub const MAX: usize = 4;
    /// No cache.
    pub const NONE: Self = Self(0);
    /// Every cache.
    pub const ALL: Self = Self((1 << Self::MAX) - 1);
}

/// Kinds of entries, with their levels and caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKinds {
    /// Leaf entries, by the level of the page-table entry that they were made from.
    pub leaf: Levels,
    /// Walk entries, by the level of the page-table entry that points at the table.
    pub walk: Levels,
    /// Root entries.
    pub root: bool,
    /// Negative entries, by their level, where a machine caches those.
    pub negative: Levels,
    /// The caches that the entries are in.
    pub caches: CacheSet,
}

impl EntryKinds {
    /// No entry.
    pub const NOTHING: Self = Self {
        leaf: Levels::NONE,
        walk: Levels::NONE,
        root: false,
        negative: Levels::NONE,
        caches: CacheSet::ALL,
    };

    /// Leaf and walk entries of every level.
    pub const LEAF_AND_WALK: Self = Self {
        walk: Levels::ALL,
        ..Self::leaf(Levels::ALL)
    };

    /// Returns the leaf entries of these levels.
    #[must_use]
    pub const fn leaf(levels: Levels) -> Self {
        Self {
            leaf: levels,
            ..Self::NOTHING
        }
    }

    /// Returns the walk entries of these levels.
    #[must_use]
    pub const fn walk(levels: Levels) -> Self {
        Self {
            walk: levels,
            ..Self::NOTHING
        }
    }

    /// Returns the negative entries of these levels.
    #[must_use]
    pub const fn negative(levels: Levels) -> Self {
        Self {
            negative: levels,
            ..Self::NOTHING
        }
    }
}

/// The largest count of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MaxCount {
    /// A number that the instruction fixes.
    Count(u32),
    /// A number that the kernel reads from the machine: index of the limit in the definition.
    Limit(u8),
}

/// What a run counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunUnit {
    /// Base pages, without a gap, whatever the requested level.
    Pages,
    /// Entries of one of these levels: smaller leaves between the addresses named survive.
    Entries(Levels),
}

/// The addresses whose entries a required flush invalidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressSelector {
    /// The entries that translate an address.
    Containing,
    /// All entries made through one page-table entry.
    Subtree,
    /// All entries.
    Everything,
}

/// Tag classes, as seen from the space that is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagSelector {
    /// Entries under the space's tag.
    pub this: bool,
    /// Entries under any other tag.
    pub other: bool,
    /// Entries that every tag may use.
    pub global: bool,
}

impl TagSelector {
    /// The space's tag alone.
    pub const THIS: Self = Self {
        this: true,
        other: false,
        global: false,
    };
    /// Every class.
    pub const ANY: Self = Self {
        this: true,
        other: true,
        global: true,
    };
    /// Entries that every tag may use, alone.
    pub const GLOBAL: Self = Self {
        this: false,
        other: false,
        global: true,
    };

    /// Returns the classes of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            this: self.this || other.this,
            other: self.other || other.other,
            global: self.global || other.global,
        }
    }

    /// Returns the classes of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            this: self.this && other.this,
            other: self.other && other.other,
            global: self.global && other.global,
        }
    }

    /// Returns each class alone.
    pub fn each(self) -> impl Iterator<Item = Self> {
        let other = Self {
            other: true,
            ..Self::THIS.and(Self::GLOBAL)
        };
        let all = [Self::THIS, other, Self::GLOBAL].into_iter();
        all.filter(move |class| class.and(self) == *class)
    }

    /// Returns the classes as bits: this, other, global.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.this as u8 | (self.other as u8) << 1 | (self.global as u8) << 2
    }
}

/// One clause of an effect or of a required flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clause {
    /// The kinds of entries.
    pub kinds: EntryKinds,
    /// The addresses.
    pub addresses: AddressSelector,
    /// The tags.
    pub tags: TagSelector,
}
