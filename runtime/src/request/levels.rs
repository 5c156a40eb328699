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
    /// Whether leaf entries are merged with those of the next lower level that maps pages and is not merged itself, and
    /// flushed at its stride.
    pub merged: bool,
}

impl LevelFacts {
    /// No such level.
    pub const NONE: Self = Self {
        shift: 0,
        leaf: false,
        joined: 0,
        merged: false,
    };

    /// Returns a level of entries of `1 << shift` bytes that may map a page.
    #[must_use]
    #[inline]
    pub const fn leaf(shift: u32) -> Self {
        Self {
            shift,
            leaf: true,
            ..Self::NONE
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

    /// Returns the same, if its leaf entries are flushed at the stride of a lower level.
    #[must_use]
    pub const fn merged(self) -> Self {
        Self {
            merged: true,
            ..self
        }
    }

    /// Returns a level of entries of `1 << shift` bytes that only point at tables.
    #[must_use]
    pub const fn table(shift: u32) -> Self {
        Self {
            shift,
            ..Self::NONE
        }
    }
}

/// The levels of the current configuration.
pub type LevelTable = [LevelFacts; LEVELS];

/// Returns the level at whose stride leaf entries of a level are flushed, with its facts.
#[inline]
pub(crate) fn stride(levels: &LevelTable, level: Level) -> Option<(Level, &LevelFacts)> {
    let facts = levels.get(level.index())?;
    if !facts.merged {
        return Some((level, facts));
    }
    let lower = Level::all().zip(levels).take(level.index());
    lower
        .filter(|(_, facts)| facts.leaf && !facts.merged)
        .last()
}

/// Returns the next lower level that the configuration has.
pub(crate) fn below(levels: &LevelTable, level: Level) -> Option<Level> {
    let levels = Level::all().zip(levels);
    let lower = levels.filter(|(l, facts)| *l < level && facts.shift != 0);
    lower.last().map(|(level, _)| level)
}
