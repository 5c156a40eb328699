//! Clauses: what goes, which entries, whose, and when.
//!
//! The *effect* of an instruction is a list of [`Clause`]s, and so is an *obligation*. Where it acts
//! ([`Holders`]) and when it is done ([`When`](crate::effect::When)) are said once for an instruction.

use core::fmt;

/// The most levels of tables that an architecture may have.
pub const LEVELS: usize = 6;

/// A level of tables, from the leaf up: 0 is the level whose entries map the smallest page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Level(pub u8);

impl Level {
    /// All levels that can be, from the leaf up.
    pub fn all() -> impl DoubleEndedIterator<Item = Level> {
        (0..LEVELS as u8).map(Level)
    }

    /// As an index into a table of levels.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of levels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Levels(pub u8);

impl Levels {
    /// No level.
    pub const NONE: Self = Self(0);
    /// Every level.
    pub const ALL: Self = Self((1 << LEVELS) - 1);

    /// One level.
    #[must_use]
    #[inline]
    pub const fn only(level: Level) -> Self {
        Self(1 << level.0)
    }

    /// The levels above one.
    #[must_use]
    pub const fn above(level: Level) -> Self {
        Self(Self::ALL.0 & !((2 << level.0) - 1))
    }

    /// The levels below one.
    #[must_use]
    pub const fn below(level: Level) -> Self {
        Self((1 << level.0) - 1)
    }

    /// In either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether a level is in it.
    #[must_use]
    pub const fn contains(self, level: Level) -> bool {
        self.0 & (1 << level.0) != 0
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its levels, from the leaf up.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Level> {
        Level::all().filter(move |&level| self.contains(level))
    }
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|l| l.0)).finish()
    }
}

/// A set of named caches, by their index in [`Facts`](crate::Facts); `0` is the TLB itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stores(pub u8);

impl Stores {
    /// The most caches that can be told apart.
    pub const MOST: usize = 4;
    /// Every cache.
    pub const ALL: Self = Self((1 << Self::MOST) - 1);
}

/// What goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct What {
    /// Translations made from entries of these levels.
    pub leaf: Levels,
    /// Cached pointers to tables, by the level of the entry that points.
    pub walk: Levels,
    /// Bindings of a tag to its top table.
    pub root: bool,
    /// Remembered absences, where a machine caches those.
    pub absent: Levels,
    /// In these caches.
    pub stores: Stores,
}

impl What {
    /// Nothing.
    pub const NOTHING: Self = Self {
        leaf: Levels::NONE,
        walk: Levels::NONE,
        root: false,
        absent: Levels::NONE,
        stores: Stores::ALL,
    };

    /// Translations of these levels.
    #[must_use]
    #[inline]
    pub const fn leaf(levels: Levels) -> Self {
        Self {
            leaf: levels,
            ..Self::NOTHING
        }
    }

    /// Pointers to tables of these levels.
    #[must_use]
    pub const fn walk(levels: Levels) -> Self {
        Self {
            walk: levels,
            ..Self::NOTHING
        }
    }

    /// Translations and pointers to tables of every level.
    pub const LEAF_AND_WALK: Self = Self {
        walk: Levels::ALL,
        ..Self::leaf(Levels::ALL)
    };

    /// Bindings of tags to top tables.
    pub const ROOT: Self = Self {
        root: true,
        ..Self::NOTHING
    };

    /// Remembered absences of these levels.
    #[must_use]
    pub const fn absent(levels: Levels) -> Self {
        Self {
            absent: levels,
            ..Self::NOTHING
        }
    }

    /// The same, in these caches alone.
    #[must_use]
    pub const fn within(self, stores: Stores) -> Self {
        Self { stores, ..self }
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            leaf: self.leaf.union(other.leaf),
            walk: self.walk.union(other.walk),
            root: self.root | other.root,
            absent: self.absent.union(other.absent),
            stores: Stores(self.stores.0 | other.stores.0),
        }
    }
}

/// The largest count of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Most {
    /// A number that the instruction fixes.
    Count(u32),
    /// A number that the kernel reads from the machine: index of the limit in the backend.
    Limit(u8),
}

/// What a run counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stride {
    /// Base pages, without a gap, whatever the level asked for.
    Pages,
    /// Entries of one of these levels: smaller leaves between the addresses named survive.
    Entries(Levels),
}

/// Which entries go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// Those that contain one address.
    Containing,
    /// Those that contain an address of a run.
    Run {
        /// The least count.
        least: u32,
        /// The largest.
        most: Most,
        /// Whether the start must be aligned to the hinted level.
        aligned: bool,
        /// What is counted.
        stride: Stride,
    },
    /// All below one named table entry.
    Subtree,
    /// One set of `of`.
    Set {
        /// The set.
        index: u16,
        /// How many sets hold everything.
        of: u16,
    },
    /// All.
    Everything,
}

/// How an instruction says whose entries it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// The tag is an operand.
    Operand,
    /// The tag is whatever is loaded.
    Loaded,
    /// The table's address is an operand; tags do not matter.
    Table,
}

/// Tag classes, as seen from the space that is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Whose {
    /// Entries under the space's tag.
    pub this: bool,
    /// Entries under any other tag.
    pub other: bool,
    /// Entries that every tag may use.
    pub global: bool,
    /// How `this` is named.
    pub by: By,
}

impl Whose {
    /// The space's tag alone.
    pub const THIS: Self = Self {
        this: true,
        other: false,
        global: false,
        by: By::Operand,
    };
    /// Every class.
    pub const ANY: Self = Self {
        this: true,
        other: true,
        global: true,
        by: By::Operand,
    };

    /// Whatever tag is loaded.
    pub const LOADED: Self = Self {
        by: By::Loaded,
        ..Self::THIS
    };
    /// What was made through a table that is given, whatever the tag, and global entries as well.
    pub const TABLE: Self = Self {
        by: By::Table,
        ..Self::ANY
    };
    /// Entries that every tag may use, alone.
    pub const GLOBAL: Self = Self {
        this: false,
        global: true,
        ..Self::THIS
    };

    /// And other tags.
    #[must_use]
    pub const fn or_other(self) -> Self {
        Self {
            other: true,
            ..self
        }
    }

    /// And global entries.
    #[must_use]
    pub const fn or_global(self) -> Self {
        Self {
            global: true,
            ..self
        }
    }

    /// The classes as bits: this, other, global.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.this as u8 | (self.other as u8) << 1 | (self.global as u8) << 2
    }
}

/// Where entries may be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Holders(pub u8);

impl Holders {
    /// How many classes there are.
    pub const CLASSES: usize = 7;
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// This CPU.
    pub const SELF: Self = Self(1);
    /// CPUs that share this one's TLB.
    pub const SIBLING: Self = Self(1 << 1);
    /// Other CPUs that run the space.
    pub const ACTIVE: Self = Self(1 << 2);
    /// Other CPUs that have its root loaded without using it: they walk and fill by speculation.
    pub const LAZY: Self = Self(1 << 3);
    /// CPUs with tagged entries that they cannot use before they load the space again.
    pub const PARKED: Self = Self(1 << 4);
    /// CPUs outside the domain that broadcasts reach.
    pub const OUTSIDE: Self = Self(1 << 5);
    /// Devices that walk the same tables.
    pub const DEVICE: Self = Self(1 << 6);
    /// The CPUs that share this one's TLB, and it.
    pub const CORE: Self = Self(Self::SELF.0 | Self::SIBLING.0);
    /// Every CPU of the domain.
    pub const CPUS: Self = Self(Self::CORE.0 | Self::ACTIVE.0 | Self::LAZY.0 | Self::PARKED.0);

    /// In either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// In this and not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` are in it.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether it is nobody.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The classes by their index.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..Self::CLASSES).filter(move |class| self.0 & (1 << class) != 0)
    }

    /// The name of a class.
    #[must_use]
    pub const fn name(class: usize) -> &'static str {
        const NAMES: [&str; Holders::CLASSES] = [
            "this CPU",
            "CPUs that share its TLB",
            "active CPUs",
            "lazy CPUs",
            "parked CPUs",
            "CPUs outside the domain",
            "devices",
        ];
        NAMES[class]
    }
}

impl fmt::Debug for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Self::name)).finish()
    }
}

/// One clause of an effect or of an obligation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clause {
    /// What goes.
    pub what: What,
    /// Which entries.
    pub which: Which,
    /// Of whom.
    pub whose: Whose,
}

impl Clause {
    /// A clause.
    #[must_use]
    pub const fn new(what: What, which: Which, whose: Whose) -> Self {
        Self { what, which, whose }
    }
}
