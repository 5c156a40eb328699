//! One pass over addresses.

use crate::level::Level;
use crate::request::levels::LevelTable;

/// Consecutive entries of one level that one loop serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    /// The first address.
    pub start: u64,
    /// How many entries.
    pub entries: u64,
    /// Their level.
    pub stride: Level,
    /// log2 of the bytes by which the loop steps: what one of them reaches, or the neighbours that one
    /// cached translation covers with it.
    pub shift: u32,
    /// The one level that leaves can have here, where there is just one.
    pub hint: Option<Level>,
    /// Whether leaf entries are flushed.
    pub leaf: bool,
    /// Whether walk entries are flushed.
    pub walk: bool,
    /// Whether negative entries are flushed as well.
    pub negative: bool,
}

impl Pass {
    /// How many base pages it names.
    #[inline]
    pub(crate) const fn pages(&self, levels: &LevelTable) -> u64 {
        self.entries
            .wrapping_shl(self.shift.wrapping_sub(levels[0].shift))
    }
}
