//! Accessed and dirty marks.

/// Marks that the machine sets in valid entries. A cached entry may have them too; as long as it does, the machine does not set
/// them again in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks(u8);

impl Marks {
    /// No mark.
    pub const NONE: Self = Self(0);
    /// The entry was used by a walk (accessed, referenced, access flag).
    pub const ACCESSED: Self = Self(1);
    /// The page was written through the entry (dirty, changed).
    pub const DIRTY: Self = Self(1 << 1);

    /// Returns the marks of both.
    #[must_use]
    #[inline]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the marks that `other` does not have.
    #[must_use]
    #[inline]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns whether there is no mark.
    #[must_use]
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_a_set() {
        let both = Marks::ACCESSED.union(Marks::DIRTY);
        let all = [Marks::NONE, Marks::ACCESSED, Marks::DIRTY, both];
        for (a, b) in all.into_iter().flat_map(|a| all.map(|b| (a, b))) {
            assert_eq!(a.union(b), b.union(a));
            assert_eq!(a.union(b).without(b), a.without(b));
            assert_eq!(a.union(b).union(b), a.union(b));
            assert_eq!(a.without(b).is_none(), a.union(b) == b);
        }
    }
}
