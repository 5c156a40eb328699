//! Levels of page tables, and sets of them.

use core::fmt;

/// The most levels of tables that an architecture may have.
pub const LEVELS: usize = 6;

/// A level of tables, from the leaf up: 0 is the level whose entries map the smallest page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Level(pub u8);

impl Level {
    /// Returns all possible levels, from the leaf up.
    pub fn all() -> impl DoubleEndedIterator<Item = Level> {
        (0..LEVELS as u8).map(Level)
    }

    /// Returns the level as an index into a table of levels.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of levels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Levels(pub u8);

impl Levels {
    /// No level.
    pub const NONE: Self = Self(0);
    /// Every level.
    pub const ALL: Self = Self((1 << LEVELS) - 1);

    /// Returns the set of one level.
    #[must_use]
    #[inline]
    pub const fn only(level: Level) -> Self {
        Self(1 << level.0)
    }

    /// Returns the set of these levels. It is meant for constants.
    #[must_use]
    pub const fn of(mut levels: &[Level]) -> Self {
        let mut set = Self::NONE;
        while let [first, rest @ ..] = levels {
            set = set.union(Self::only(*first));
            levels = rest;
        }
        set
    }

    /// Returns the levels above one.
    #[must_use]
    pub const fn above(level: Level) -> Self {
        Self(Self::ALL.0 & !((2 << level.0) - 1))
    }

    /// Returns the levels below one.
    #[must_use]
    #[inline]
    pub const fn below(level: Level) -> Self {
        Self((1 << level.0) - 1)
    }

    /// Returns the levels in either set.
    #[must_use]
    #[inline]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the levels in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the levels that are not in another set.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns whether a level is in the set.
    #[must_use]
    #[inline]
    pub const fn contains(self, level: Level) -> bool {
        self.0 & (1 << level.0) != 0
    }

    /// Returns whether the set has no level.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the levels of the set, from the leaf up.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Level> {
        Level::all().filter(move |&level| self.contains(level))
    }
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|l| l.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::vec::Vec;

    #[test]
    fn a_set_is_its_levels() {
        let sets = || (0..1 << LEVELS).map(Levels);
        for a in sets() {
            let members: Vec<Level> = Level::all().filter(|at| a.contains(*at)).collect();
            assert_eq!(a.0.count_ones() as usize, members.len());
            assert!(a.iter().eq(members.iter().copied()));
            assert_eq!(Levels::of(&members), a);
            assert_eq!(a.is_empty(), members.is_empty());
            let numbers: Vec<usize> = members.iter().map(|at| at.index()).collect();
            assert_eq!(
                format!("{a:?}"),
                format!("{numbers:?}").replace('[', "{").replace(']', "}")
            );
            for (b, at) in sets().flat_map(|b| Level::all().map(move |at| (b, at))) {
                let (of_a, of_b) = (a.contains(at), b.contains(at));
                assert_eq!(a.union(b).contains(at), of_a || of_b);
                assert_eq!(a.and(b).contains(at), of_a && of_b);
                assert_eq!(a.without(b).contains(at), of_a && !of_b);
            }
        }
        assert!(Levels::ALL.iter().eq(Level::all()));
        for (a, b) in Level::all().flat_map(|a| Level::all().map(move |b| (a, b))) {
            assert_eq!(Levels::only(a).contains(b), a == b);
            assert_eq!(Levels::above(a).contains(b), b > a);
            assert_eq!(Levels::below(a).contains(b), b < a);
        }
    }
}
