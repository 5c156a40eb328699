//! Hardware that is less hostile than its definition permits, to see that faults are found by what it then does not do.
//!
//! In: a [`Weakness`]. Out: a rule of the hardware that does not hold. Holds: without one nothing changes.

/// What hardware does not do although its definition permits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Tables are walked only while code runs that uses them.
    NoSpeculation,
    /// Walk entries are not cached.
    NoWalkEntries,
    /// Walkers see a store at once.
    SeesAtOnce,
    /// An invalidation has acted everywhere when it is issued.
    InvalidatesAtOnce,
    /// A CPU that loads a root has no entries left.
    EvictsAtLoad,
    /// Devices walk no tables.
    IdleDevices,
    /// A CPU that boots has nothing cached and fills nothing.
    BootsClean,
    /// Instructions need no barrier before them.
    OrdersItself,
}

impl Weakness {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::NoSpeculation,
        Self::NoWalkEntries,
        Self::SeesAtOnce,
        Self::InvalidatesAtOnce,
        Self::EvictsAtLoad,
        Self::IdleDevices,
        Self::BootsClean,
        Self::OrdersItself,
    ];
}
