//! What a request has to invalidate, as far as it selects instructions.

use tlbc_runtime::level::Levels;

/// What has to be invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Demand {
    /// Leaf entries of these levels.
    pub leaf: Levels,
    /// Walk entries of these levels.
    pub walk: Levels,
    /// Negative entries of these levels.
    pub negative: Levels,
    /// Root entries.
    pub root: bool,
    /// The addresses.
    pub extent: DemandExtent,
}

/// The addresses of a demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DemandExtent {
    /// One address.
    One,
    /// Each of several addresses. What is issued once for all of them does not count.
    Each,
    /// A run of addresses.
    Runs,
    /// All addresses.
    Everything,
}

/// Leaf entries of one address, of any level.
pub const LEAF: Demand = Demand {
    leaf: Levels::ALL,
    walk: Levels::NONE,
    negative: Levels::NONE,
    root: false,
    extent: DemandExtent::One,
};

/// Leaf and walk entries of one address.
pub const LEAF_AND_WALK: Demand = Demand {
    walk: Levels::ALL,
    ..LEAF
};

/// Walk entries of one address.
pub const WALK: Demand = Demand {
    leaf: Levels::NONE,
    ..LEAF_AND_WALK
};

/// All entries that a space may have.
pub const TEARDOWN: Demand = Demand {
    leaf: Levels::ALL,
    walk: Levels::ALL,
    negative: Levels::ALL,
    root: true,
    extent: DemandExtent::Everything,
};

impl Demand {
    /// Returns the same demand for several addresses, one by one.
    #[must_use]
    pub const fn each(self) -> Self {
        Self {
            extent: DemandExtent::Each,
            ..self
        }
    }
}

/// Returns the demand with negative entries.
pub fn negative_too(demand: Demand) -> Demand {
    Demand {
        negative: Levels::ALL,
        ..demand
    }
}
