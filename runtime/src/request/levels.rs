//! The levels of the current configuration.

use crate::level::{LEVELS, Level};

/// One level of the current configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LevelFacts {
    /// log2 of the bytes that an entry translates; 0 if there is no such level.
    pub shift: u32,
    /// Whether an entry may map a page.
    pub leaf: bool,
    /// log2 of the number of consecutive entries that one cached leaf entry covers.
    pub joined: u32,
}

impl LevelFacts {
    /// No such level.
    pub const NONE: Self = Self {
        shift: 0,
        leaf: false,
        joined: 0,
    };

    /// Returns a level of entries of `1 << shift` bytes that may map a page.
    #[must_use]
    #[inline]
    pub const fn leaf(shift: u32) -> Self {
        Self {
            shift,
            leaf: true,
            joined: 0,
        }
    }

    /// Returns the same, if one cached leaf entry covers `1 << joined` consecutive entries.
    #[must_use]
    pub const fn joined(shift: u32, joined: u32) -> Self {
        Self {
            joined,
            ..Self::leaf(shift)
        }
    }

    /// Returns a level of entries of `1 << shift` bytes that only point at tables.
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

/// Returns the next lower level that the configuration has.
pub(crate) fn below(levels: &LevelTable, level: Level) -> Option<Level> {
    let levels = Level::all().zip(levels);
    let lower = levels.filter(|(l, facts)| *l < level && facts.shift != 0);
    lower.last().map(|(level, _)| level)
}
