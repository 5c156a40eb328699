//! What a flush is asked for.

use crate::level::{LEVELS, Level};
pub use crate::ranges::Ranges;

/// A stretch of virtual addresses: `bytes` from `start`, both multiples of the page size.
///
/// A length and not an end, so that the last page of the address space needs no special case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// The first address.
    pub start: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Extent {
    /// Nothing.
    pub const EMPTY: Self = Self { start: 0, bytes: 0 };
    /// Every address but the last, which is in the same entries: all 2^64 bytes cannot be counted.
    pub const EVERYTHING: Self = Self {
        start: 0,
        bytes: u64::MAX,
    };

    /// `bytes` from `start`.
    #[must_use]
    #[inline]
    pub const fn new(start: u64, bytes: u64) -> Self {
        Self { start, bytes }
    }

    /// Whether it has no address.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.bytes == 0
    }

    /// The last address. Meaningless for an empty extent.
    #[must_use]
    #[inline]
    pub const fn last(self) -> u64 {
        self.start.wrapping_add(self.bytes).wrapping_sub(1)
    }

    /// Rounded out to multiples of `1 << shift`.
    #[must_use]
    #[inline]
    pub const fn rounded(self, shift: u32) -> Self {
        if self.is_empty() {
            return self;
        }
        let low = (1u64 << shift).wrapping_sub(1);
        let start = self.start & !low;
        Self {
            start,
            bytes: (self.last() | low).wrapping_sub(start).saturating_add(1),
        }
    }

    /// How many entries of `1 << shift` bytes it touches.
    #[must_use]
    #[inline]
    pub const fn entries(self, shift: u32) -> u64 {
        if self.is_empty() {
            return 0;
        }
        // Of the last address, for all 2^64 bytes cannot be counted.
        let first = self.start.wrapping_shr(shift);
        self.last()
            .wrapping_shr(shift)
            .wrapping_sub(first)
            .wrapping_add(1)
    }

    /// Whether all of `other` lies in it.
    #[must_use]
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        other.is_empty()
            || !self.is_empty() && self.start <= other.start && other.last() <= self.last()
    }

    /// Whether some address lies in both.
    #[must_use]
    #[inline]
    pub const fn overlaps(self, other: Self) -> bool {
        !self.is_empty()
            && !other.is_empty()
            && self.start <= other.last()
            && other.start <= self.last()
    }

    /// The smallest extent with both.
    #[must_use]
    #[inline]
    pub const fn hull(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let start = if self.start < other.start {
            self.start
        } else {
            other.start
        };
        let last = if self.last() > other.last() {
            self.last()
        } else {
            other.last()
        };
        // All 2^64 bytes cannot be counted; all but the last one can, and round to the same entries.
        Self {
            start,
            bytes: last.wrapping_sub(start).saturating_add(1),
        }
    }
}

/// Whose mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// A user address space.
    User,
    /// The kernel's: every CPU has it loaded.
    Kernel,
}

/// Who may have cached what is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// This CPU alone, which has the space loaded. Devices that the definition knows to share the space's
    /// tables are told all the same.
    Here,
    /// This CPU and others.
    Wide,
}

/// The tag of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tag {
    /// Its number, in the view that is loaded while the kernel runs. Where the top table's address is the
    /// tag, that.
    pub value: u64,
    /// Whether it means the same space on every CPU.
    pub global: bool,
}

/// What was changed.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// One leaf entry: the commonest flush, which backends keep a straight line.
    Page {
        /// An address that the entry maps.
        va: u64,
        /// The entry's level.
        level: Level,
        /// Whether the table that the entry stood in was unlinked, and will be freed.
        table: bool,
    },
    /// Entries of several levels, or many of one.
    Ranges(&'a Ranges),
    /// Every entry of the space.
    Everything {
        /// Whether tables were unlinked.
        tables: bool,
    },
    /// The space ends: every entry of it goes, and what binds its tag to its top table. Behind this both
    /// may be given to another space.
    Teardown,
}

/// What holds of one space and not of the machine: those flags of a backend's configuration that its
/// definition knows `of space`, as bits of the configuration word. Other bits are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SpaceFlags(pub u32);

impl SpaceFlags {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// Those of this that are in `other` too.
    #[must_use]
    #[inline]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those of this that are not in `other`.
    #[must_use]
    #[inline]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// A flush.
///
/// Contexts: the caller has published nothing yet beyond its stores; the backend issues what makes
/// them visible. It does not move to another CPU between start and finish, and interrupts are off
/// during each of them where [`Facts::interrupts_off`](crate::Facts) says so.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Whose mappings.
    pub space: Space,
    /// The space's tag; for the kernel's looked at only where that has no constant one.
    pub tag: Tag,
    /// Who may have cached them.
    pub reach: Reach,
    /// What holds of this space.
    pub flags: SpaceFlags,
    /// Which.
    pub scope: Scope<'a>,
}

impl Request<'_> {
    /// Whether tables were unlinked, so that CPUs which only walk must be told as well.
    #[must_use]
    #[inline]
    pub fn tables(&self) -> bool {
        match self.scope {
            Scope::Page { table, .. } => table,
            Scope::Ranges(ranges) => ranges.tables(),
            Scope::Everything { tables } => tables,
            Scope::Teardown => true,
        }
    }
}

/// One level, as the current configuration has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LevelFacts {
    /// log2 of the bytes an entry reaches; 0 where there is no such level.
    pub shift: u32,
    /// Whether an entry may map a page.
    pub leaf: bool,
    /// log2 of how many neighbouring entries one cached translation covers.
    pub joined: u32,
}

impl LevelFacts {
    /// No such level.
    pub const NONE: Self = Self {
        shift: 0,
        leaf: false,
        joined: 0,
    };

    /// Entries of `1 << shift` bytes that may map a page.
    #[must_use]
    #[inline]
    pub const fn leaf(shift: u32) -> Self {
        Self {
            shift,
            leaf: true,
            joined: 0,
        }
    }

    /// The same, where one cached translation covers `1 << joined` neighbouring entries.
    #[must_use]
    pub const fn joined(shift: u32, joined: u32) -> Self {
        Self {
            joined,
            ..Self::leaf(shift)
        }
    }

    /// Entries of `1 << shift` bytes that only point at tables.
    #[must_use]
    pub const fn table(shift: u32) -> Self {
        Self {
            shift,
            leaf: false,
            joined: 0,
        }
    }
}

/// The levels of the current configuration.
pub type LevelTable = [LevelFacts; LEVELS];

/// The nearest level below that there is.
pub(crate) fn below(levels: &LevelTable, level: Level) -> Option<Level> {
    let levels = Level::all().zip(levels);
    let lower = levels.filter(|(l, facts)| *l < level && facts.shift != 0);
    lower.last().map(|(level, _)| level)
}
