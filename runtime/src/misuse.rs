//! Why an address range or a page-table entry is rejected, and the entry that is returned with the reason.
//!
//! In: what a caller passes, and the levels of the machine. Out: log2 of the bytes that an entry translates, or a [`Misuse`].
//! Holds: a range or an entry that is not rejected is one that the machine can have.

use core::fmt;

use crate::level::Level;
use crate::pte::Entry;
use crate::request::{Extent, LevelFacts, LevelTable};

/// Why an address range or a page-table entry was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misuse {
    /// The range has no address.
    Empty,
    /// The range goes beyond the last address.
    Wraps,
    /// The range begins or ends within an entry of its level.
    Misaligned,
    /// The machine has no such level, or no entries of this kind there.
    NoSuchLevel,
    /// The entry is in another address space.
    OtherSpace,
    /// The entry maps no page.
    NotALeaf,
    /// The entry points at no table.
    NotATable,
    /// The entry is invalid, or the bits for it are.
    NotValid,
    /// The entry is valid already.
    AlreadyValid,
    /// The new bits map another page, or point at another table.
    OtherPage,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the range has no address",
            Self::Wraps => "the range goes beyond the last address",
            Self::Misaligned => "the range begins or ends within an entry of its level",
            Self::NoSuchLevel => "the machine has no such entries at this level",
            Self::OtherSpace => "the entry is in another address space",
            Self::NotALeaf => "the entry maps no page",
            Self::NotATable => "the entry points at no table",
            Self::NotValid => "the entry or the bits for it are invalid",
            Self::AlreadyValid => "the entry is valid already",
            Self::OtherPage => "the new bits map another page or point at another table",
        })
    }
}

impl core::error::Error for Misuse {}

/// A change that was refused. The entry is not changed, and still belongs to the caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused<E> {
    /// Why it was refused.
    pub why: Misuse,
    /// The entry.
    pub entry: E,
}

impl<E> fmt::Display for Refused<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<E> fmt::Debug for Refused<E> {
    /// Writes the reason alone, since an entry need not be `Debug`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut refused = f.debug_struct("Refused");
        refused.field("why", &self.why).finish_non_exhaustive()
    }
}

impl<E> core::error::Error for Refused<E> {}

/// Returns log2 of the bytes that an entry of this level and kind translates, if the machine has such entries.
#[inline]
pub(crate) fn check_entry(levels: &LevelTable, level: Level, entry: Entry) -> Result<u32, Misuse> {
    let there = |facts: &&LevelFacts| match entry {
        Entry::Invalid => facts.shift != 0,
        Entry::Leaf { .. } => facts.leaf,
        Entry::Table { .. } => facts.shift != 0 && level != Level(0),
    };
    let facts = levels.get(level.index()).filter(there);
    facts.map(|facts| facts.shift).ok_or(Misuse::NoSuchLevel)
}

/// Returns log2 of the bytes that a leaf entry of this level translates, if the machine has leaf entries there.
#[inline]
pub(crate) fn check_leaf_level(levels: &LevelTable, level: Level) -> Result<u32, Misuse> {
    match levels.get(level.index()) {
        Some(facts) if facts.leaf => Ok(facts.shift),
        _ => Err(Misuse::NoSuchLevel),
    }
}

/// Checks that a range consists of whole leaf entries of a level.
#[inline]
pub(crate) fn check_range(levels: &LevelTable, level: Level, range: Extent) -> Result<(), Misuse> {
    let shift = check_leaf_level(levels, level)?;
    let within = 1u64.wrapping_shl(shift).wrapping_sub(1);
    if range.is_empty() {
        Err(Misuse::Empty)
    } else if range.last() < range.start {
        Err(Misuse::Wraps)
    } else if (range.start | range.bytes) & within != 0 {
        Err(Misuse::Misaligned)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    const TABLE: LevelTable = [
        LevelFacts::leaf(12),
        LevelFacts::table(21),
        LevelFacts::NONE,
        LevelFacts::leaf(30),
        LevelFacts::NONE,
        LevelFacts::NONE,
    ];

    #[test]
    fn a_level_has_the_entries_that_the_machine_has_there() {
        let page = Entry::Leaf {
            page: 0,
            rights: 1,
            attributes: 0,
        };
        let link = Entry::Table {
            table: 0,
            attributes: 0,
        };
        let none = Err(Misuse::NoSuchLevel);
        for (level, leaf, table, invalid) in [
            (0, Ok(12), none, Ok(12)),
            (1, none, Ok(21), Ok(21)),
            (2, none, none, none),
            (3, Ok(30), Ok(30), Ok(30)),
            (200, none, none, none),
        ] {
            let check = |entry| check_entry(&TABLE, Level(level), entry);
            assert_eq!(check(page), leaf);
            assert_eq!(check(link), table);
            assert_eq!(check(Entry::Invalid), invalid);
            assert_eq!(check_leaf_level(&TABLE, Level(level)), leaf);
        }
    }

    #[test]
    fn a_range_is_of_whole_entries() {
        let check =
            |level, start, bytes| check_range(&TABLE, Level(level), Extent::new(start, bytes));
        assert_eq!(check(0, 0x3000, 0x2000), Ok(()));
        assert_eq!(check(0, 0u64.wrapping_sub(0x1000), 0x1000), Ok(()));
        assert_eq!(
            check(0, 0u64.wrapping_sub(0x1000), 0x2000),
            Err(Misuse::Wraps)
        );
        assert_eq!(check(0, 0x3000, 0), Err(Misuse::Empty));
        assert_eq!(check(0, 0x3800, 0x1000), Err(Misuse::Misaligned));
        assert_eq!(check(0, 0x3000, 0x800), Err(Misuse::Misaligned));
        assert_eq!(check(0, 0x3000, 1), Err(Misuse::Misaligned));
        assert_eq!(check(3, 0x3000, 0x1000), Err(Misuse::Misaligned));
        assert_eq!(check(1, 0, 1 << 21), Err(Misuse::NoSuchLevel));
    }

    #[test]
    fn a_refusal_is_an_error_for_any_entry_type() {
        struct Entry;
        let refused = Refused {
            why: Misuse::OtherSpace,
            entry: Entry,
        };
        assert_eq!(format!("{refused:?}"), "Refused { why: OtherSpace, .. }");
        let error: &dyn core::error::Error = &refused;
        assert_eq!(format!("{error}"), "the entry is in another address space");
    }
}
