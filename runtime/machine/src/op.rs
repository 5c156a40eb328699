//! The instructions of the machine.

use crate::memory::TableId;

/// Which entries a drop is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// The tag they stand under; `None` for every tag.
    pub tag: Option<u64>,
    /// The page, by its number; `None` for every page.
    pub page: Option<u64>,
    /// Whether walk entries go as well as leaf entries.
    pub walks: bool,
}

impl Dropped {
    /// Everything.
    pub const ALL: Self = Self {
        tag: None,
        page: None,
        walks: true,
    };
}

/// Whose entries a drop is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// This CPU's, at once.
    Here,
    /// This CPU's at once; those of the others and of the device by the time of this CPU's [`Op::Complete`].
    Everywhere,
    /// Everybody's, at once.
    EverywhereAtOnce,
}

/// How a device is made to drop what it has cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Its driver makes it drop all.
    ByDriver,
    /// Instructions make it drop all: [`Op::DropDevices`].
    ByInstructions,
    /// Broadcasts reach it as they reach CPUs: its entries stand under the tag of the space.
    ByBroadcasts,
}

/// What of its TLB a CPU keeps that loads a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Everything.
    All,
    /// Everything but what stands under the new tag.
    OtherTags,
    /// Nothing.
    Nothing,
}

/// An instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Stores before it are seen by walkers after it.
    Publish,
    /// Drops entries.
    Drop(Dropped, Where),
    /// Drops entries of this CPU under the tag that it has loaded.
    DropLoaded {
        /// The page, by its number; `None` for every page.
        page: Option<u64>,
        /// Whether walk entries go as well as leaf entries.
        walks: bool,
    },
    /// Waits until the drops of this CPU have acted everywhere.
    Complete,
    /// Makes those devices drop all that they have which [instructions](Told::ByInstructions) reach.
    DropDevices,
    /// Loads a root and a tag.
    Load {
        /// The root.
        root: TableId,
        /// The tag.
        tag: u64,
        /// What stays.
        kept: Kept,
    },
    /// Changes an entry, published, and drops what it was about.
    Write {
        /// The table that it stands in.
        table: TableId,
        /// Its index there.
        index: usize,
        /// What it says from here on.
        bits: u64,
        /// What is dropped.
        dropped: Dropped,
        /// Where.
        at: Where,
    },
}
