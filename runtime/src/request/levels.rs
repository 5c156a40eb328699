//! What the levels of the current configuration are.

use crate::level::{LEVELS, Level};

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
