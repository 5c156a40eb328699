//! What the machine itself notes in table entries.

/// Marks that the machine sets in valid entries. A cached entry may hold them too: as long as it does, the machine does
/// not set them again in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks(u8);

impl Marks {
    /// No mark.
    pub const NONE: Self = Self(0);
    /// The entry was used by a walk (accessed, referenced, access flag).
    pub const ACCESSED: Self = Self(1);
    /// The page was written through the entry (dirty, changed).
    pub const DIRTY: Self = Self(1 << 1);

    /// The marks of both.
    #[must_use]
    #[inline]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The marks that `other` does not have.
    #[must_use]
    #[inline]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is no mark.
    #[must_use]
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}
