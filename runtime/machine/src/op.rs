//! The instructions of the machine.

use crate::memory::TableId;

/// The entries that an invalidation applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidatedEntries {
    /// The tag of the entries; `None` for every tag.
    pub tag: Option<u64>,
    /// The number of the page; `None` for every page.
    pub page: Option<u64>,
    /// Whether walk entries are invalidated as well as leaf entries.
    pub walks: bool,
}

impl InvalidatedEntries {
    /// Every entry.
    pub const ALL: Self = Self {
        tag: None,
        page: None,
        walks: true,
    };
}

/// The CPUs and devices that an invalidation applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// This CPU, at once.
    Here,
    /// This CPU at once; the other CPUs and the devices at the latest when this CPU's [`Op::Complete`] is done.
    Everywhere,
    /// All CPUs and devices, at once.
    EverywhereAtOnce,
}

/// How the entries that a device has cached are invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceFlush {
    /// The device's driver invalidates all of them.
    ByDriver,
    /// An instruction invalidates all of them: [`Op::InvalidateDevices`].
    ByInstructions,
    /// Broadcasts reach the device as they reach CPUs. The device's entries are cached under the tag of the space.
    ByBroadcasts,
}

/// The entries that a CPU keeps when it loads a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All entries.
    All,
    /// All entries except those under the new tag.
    OtherTags,
    /// No entries.
    Nothing,
}

/// An instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Makes earlier stores visible to later walks.
    Publish,
    /// Invalidates entries.
    Invalidate(InvalidatedEntries, Where),
    /// Invalidates entries of this CPU under the loaded tag.
    InvalidateLoaded {
        /// The number of the page; `None` for every page.
        page: Option<u64>,
        /// Whether walk entries are invalidated as well as leaf entries.
        walks: bool,
    },
    /// Waits until the invalidations of this CPU have taken effect everywhere.
    Complete,
    /// Invalidates everything in the devices that [instructions](DeviceFlush::ByInstructions) reach.
    InvalidateDevices,
    /// Loads a root and a tag.
    Load {
        /// The root.
        root: TableId,
        /// The tag.
        tag: u64,
        /// The entries that stay.
        kept: Kept,
    },
    /// Changes and publishes an entry, and invalidates what was cached of it.
    Write {
        /// The table that contains the entry.
        table: TableId,
        /// The index of the entry in the table.
        index: usize,
        /// The new content.
        bits: u64,
        /// The entries that are invalidated.
        target: InvalidatedEntries,
        /// The CPUs and devices that this applies to.
        at: Where,
    },
}
