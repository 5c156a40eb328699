//! What a flush is asked for.
//!
//! In: entries that changed, as [`Extent`]s of a level ([`Ranges`]), or everything of a space. Out: a [`Request`], and the
//! [`passes`] over addresses that it takes, cut into the [`runs`] that one instruction can name.

mod extent;
mod levels;
mod pass;
pub mod passes;
mod ranges;
pub mod runs;

use crate::level::Level;

pub use extent::Extent;
pub use levels::{LevelFacts, LevelTable};
pub use ranges::Ranges;
pub(crate) use ranges::{Kept, Touched};

/// Whose mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// A user address space.
    User,
    /// The kernel's: every CPU has it loaded.
    Kernel,
}

/// Identifies an address space: given out once, never again. 64 bits, so that at a new space every nanosecond none is given out
/// again for 500 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceId(pub(crate) u64);

impl SpaceId {
    /// No space at all.
    pub(crate) const NONE: Self = Self(0);
    /// The kernel's.
    pub const KERNEL: Self = Self(1);
    /// The first of a user's.
    pub(crate) const FIRST: u64 = 2;
    /// What a CPU has loaded that is loading another: it counts as a CPU of every space.
    pub(crate) const SWITCHING: Self = Self(u64::MAX);
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

impl Ranges {
    /// Returns the scope of a flush of what was changed.
    #[must_use]
    #[inline]
    pub fn scope(&self, levels: &LevelTable) -> Scope<'_> {
        match self.page(levels) {
            Some((va, level, table)) => Scope::Page { va, level, table },
            None => Scope::Ranges(self),
        }
    }
}
