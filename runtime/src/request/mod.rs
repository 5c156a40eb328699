//! Requests: what a flush has to invalidate.
//!
//! In: entries that changed, as [`Extent`]s of a level ([`Ranges`]), or everything of a space. Out: a [`Request`], and the
//! [`passes`] over addresses that it takes, divided into the [`runs`] that one instruction can name.

mod extent;
mod folding;
mod levels;
mod pass;
pub mod passes;
mod ranges;
pub mod runs;

use crate::level::Level;

pub use extent::Extent;
pub use levels::{LevelFacts, LevelTable};
pub use ranges::Ranges;
pub(crate) use ranges::{Recorded, Touched};

/// The kind of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// A user address space.
    User,
    /// The kernel's space, which every CPU has loaded.
    Kernel,
}

/// The number that identifies an address space. It has 64 bits, so with a new space every nanosecond no number is used again for
/// 500 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceId(pub(crate) u64);

impl SpaceId {
    /// No space.
    pub(crate) const NONE: Self = Self(0);
    /// The kernel's space.
    pub const KERNEL: Self = Self(1);
    /// The first number of a user space.
    pub(crate) const FIRST: u64 = 2;
    /// The loaded space of a CPU that is switching: the CPU counts as one that has every space loaded.
    pub(crate) const SWITCHING: Self = Self(u64::MAX);
}

/// The agents that may have cached what is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Only this CPU, which has the space loaded. The flush also covers devices that share the space's tables according to the
    /// space's flags.
    Here,
    /// This CPU and others.
    Wide,
    /// Other CPUs, which the sink is given ([`Platform::sink_for`](crate::Platform::sink_for)).
    Given,
}

/// The tag of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tag {
    /// Its value in the view that is loaded while the kernel runs; the address of the top table, on a machine on which that is the
    /// tag.
    pub value: u64,
    /// Whether the value means the same space on every CPU.
    pub global: bool,
}

/// What was changed.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// One leaf entry: the most frequent flush, for which backends have a path of its own.
    Page {
        /// An address that the entry maps.
        va: u64,
        /// The entry's level.
        level: Level,
        /// Whether the table that contained the entry was unlinked, and will be freed.
        table: bool,
    },
    /// Entries of several levels, or many of one.
    Ranges(&'a Ranges),
    /// Every entry of the space.
    Everything {
        /// Whether tables were unlinked.
        tables: bool,
    },
    /// Teardown: every entry of the space, including root entries. After this flush another space may get the tag and the top
    /// table.
    Teardown,
}

/// Space flags: the flags of a backend's configuration that the definition declares `of space`, as bits of the configuration
/// word. Other bits are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SpaceFlags(pub u32);

impl SpaceFlags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Returns the flags in both sets.
    #[must_use]
    #[inline]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the flags that are not in `other`.
    #[must_use]
    #[inline]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// A request to flush.
///
/// # Context
///
/// The caller has stored the changes and need not have published them: the backend issues the instructions that make them visible,
/// unless [`published`](Self::published) says that this was done.
/// The caller does not move to another CPU between start and finish. Interrupts are off during each of them if
/// [`Facts::interrupts_off`](crate::Facts) says so.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The kind of the space whose entries are flushed.
    pub space: Space,
    /// The tag of the space. For the kernel's space it is read only if the machine has no constant tag for it.
    pub tag: Tag,
    /// The agents that may have cached the entries.
    pub reach: Reach,
    /// Whether this CPU has published the changes with [`Backend::publish`](crate::Backend::publish). Only a flush of this CPU alone
    /// ([`Reach::Here`]) asks for it.
    pub published: bool,
    /// The flags of the space.
    pub flags: SpaceFlags,
    /// The entries.
    pub scope: Scope<'a>,
}

impl Request<'_> {
    /// Returns whether tables were unlinked, so that CPUs that only walk the tables (lazy CPUs) have to flush as well.
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
