//! Which flushes are deferred, and until when.

use core::ops::{BitOr, BitOrAssign};

/// Flushes that are deferred. Their entries cannot be used before the moment at which the flush must be complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "a deferred flush that is forgotten leaves entries stale"]
pub struct Deferred(u8);

impl Deferred {
    /// No flush.
    pub const NOTHING: Self = Self(0);
    /// On this CPU, everything under any tag except the loaded one, before that tag is loaded again.
    pub const OTHERS_UNTIL_LOAD: Self = Self(1);
    /// On this CPU, everything under the tag of the user view, before the return to user code.
    pub const VIEW_UNTIL_RETURN: Self = Self(1 << 1);
    /// On lazy CPUs, what was requested, before they use the space again.
    pub const LAZY_UNTIL_LOAD: Self = Self(1 << 2);
    /// On inactive CPUs, what was requested, before they load the space again.
    pub const INACTIVE_UNTIL_LOAD: Self = Self(1 << 3);
    /// On every CPU, everything of the space, before one attaches it or anything of it gets a new owner.
    pub const SPACE_UNTIL_ATTACH: Self = Self(1 << 4);
    /// On this CPU, everything under the loaded tag, until the loaded space has a new one. The flush is not complete before that.
    pub const TAG_UNTIL_RENEWAL: Self = Self(1 << 5);

    /// Returns whether all of `other` is deferred.
    #[must_use]
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether nothing is deferred.
    #[must_use]
    #[inline]
    pub const fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// Returns the flushes of both.
    #[inline]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Deferred {
    type Output = Self;
    #[inline]
    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl BitOrAssign for Deferred {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        *self = self.and(other);
    }
}

/// What a CPU has to flush before it uses a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pending {
    /// Nothing.
    None,
    /// Everything under the tag.
    Tag,
    /// Everything under every tag, because a new generation of tags has begun. Global entries may stay. Only generations require this,
    /// and a machine without generations may be unable to do it.
    All,
}
