//! A pass over addresses.

use crate::level::Level;
use crate::request::levels::LevelTable;

/// Consecutive entries of one level that one loop invalidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    /// The first address.
    pub start: u64,
    /// The number of entries.
    pub entries: u64,
    /// Their level.
    pub stride: Level,
    /// log2 of the bytes by which the loop steps: those that one entry translates, or that one cached leaf entry covers with
    /// joined entries.
    pub shift: u32,
    /// The level of the leaf entries in these addresses, if all have the same.
    pub hint: Option<Level>,
    /// Whether leaf entries are flushed.
    pub leaf: bool,
    /// Whether walk entries are flushed.
    pub walk: bool,
    /// Whether negative entries are flushed as well.
    pub negative: bool,
}

impl Pass {
    /// Returns how many base pages it names.
    #[inline]
    pub(crate) const fn pages(&self, levels: &LevelTable) -> u64 {
        self.entries
            .wrapping_shl(self.shift.wrapping_sub(levels[0].shift))
    }
}
