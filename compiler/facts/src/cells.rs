//! Cells: the smallest pieces of a required flush and of what an instruction invalidates.
//!
//! A cell is one kind and level of entry, in one cache, of one tag class, on one class of agents. It has no addresses: the
//! planner compares those separately. A required flush is covered if each of its cells is among the cells of *one*
//! instruction. Comparing kinds, tags and agents one by one would not be enough: an instruction for leaf entries of one tag
//! and an instruction for walk entries of another do not invalidate the leaf entries of the other.

use core::fmt;

use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::{LEVELS, Level};

use crate::clause::{CacheSet, EntryKinds, TagSelector};

/// Tag classes: this, other, global.
const CLASSES: usize = 3;
/// Leaf, walk and negative entries of each level, and the root binding.
const KINDS: usize = 3 * LEVELS + 1;
const BITS: usize = KINDS * CLASSES * Agents::CLASSES;
const WORDS: usize = BITS.div_ceil(64);

/// A kind of cached fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CachedKind {
    /// A translation made from an entry of this level.
    Leaf(Level),
    /// A pointer to a table, made from an entry of this level.
    Walk(Level),
    /// A negative entry of this level.
    Negative(Level),
    /// A root entry.
    Root,
}

/// A tag class, as seen from the space that is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Under the space's tag.
    This,
    /// Under another tag.
    Other,
    /// Usable under every tag.
    Global,
}

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The cache, by its index.
    pub cache: u8,
    /// The kind and level.
    pub kind: CachedKind,
    /// The tag class.
    pub class: Class,
    /// The class of agents, by its index in [`Agents`].
    pub agent: u8,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            CachedKind::Leaf(level) => write!(f, "leaf entries of level {}", level.0)?,
            CachedKind::Walk(level) => write!(f, "walk entries of level {}", level.0)?,
            CachedKind::Negative(level) => write!(f, "negative entries of level {}", level.0)?,
            CachedKind::Root => f.write_str("root entries")?,
        }
        f.write_str(match self.class {
            Class::This => " under the space's tag",
            Class::Other => " under other tags",
            Class::Global => " that are global",
        })?;
        write!(f, " on {}", Agents::name(self.agent as usize))
    }
}

/// A set of cells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Cells {
    caches: [[u64; WORDS]; CacheSet::MAX],
}

impl Cells {
    /// No cell.
    pub const NONE: Self = Self {
        caches: [[0; WORDS]; CacheSet::MAX],
    };

    /// Returns the cells of these kinds, tag classes and agents.
    #[must_use]
    pub fn of(kinds: EntryKinds, tags: TagSelector, agents: Agents) -> Self {
        // A row has one bit for each agent, for each tag class of one kind.
        let row = (0..CLASSES)
            .filter(|class| tags.bits() & (1 << class) != 0)
            .fold(0u64, |row, class| {
                row | u64::from(agents.0) << (class * Agents::CLASSES)
            });
        let mut words = [0; WORDS];
        let mut set = |kind: usize| {
            let bit = kind * CLASSES * Agents::CLASSES;
            words[bit / 64] |= row << (bit % 64);
            if bit % 64 + CLASSES * Agents::CLASSES > 64 {
                words[bit / 64 + 1] |= row >> (64 - bit % 64);
            }
        };
        let by_level = [
            (kinds.leaf, 0),
            (kinds.walk, LEVELS),
            (kinds.negative, 2 * LEVELS),
        ];
        for (levels, first) in by_level {
            for level in levels.iter() {
                set(first + level.index());
            }
        }
        if kinds.root {
            set(3 * LEVELS);
        }
        let mut cells = Self::NONE;
        for cache in (0..CacheSet::MAX).filter(|cache| kinds.caches.0 & (1 << cache) != 0) {
            cells.caches[cache] = words;
        }
        cells
    }

    fn zip(mut self, other: &Self, f: impl Fn(u64, u64) -> u64) -> Self {
        for (mine, theirs) in self.caches.iter_mut().zip(&other.caches) {
            for (a, b) in mine.iter_mut().zip(theirs) {
                *a = f(*a, *b);
            }
        }
        self
    }

    /// Returns the cells that are in these caches.
    #[must_use]
    pub fn in_caches(mut self, caches: CacheSet) -> Self {
        for (index, words) in self.caches.iter_mut().enumerate() {
            if caches.0 & (1 << index) == 0 {
                *words = [0; WORDS];
            }
        }
        self
    }

    /// Returns the cells of one cache as cells of another.
    #[must_use]
    pub fn moved(&self, from: u8, to: u8) -> Self {
        let mut cells = Self::NONE;
        let words = self.caches.get(usize::from(from));
        if let (Some(words), Some(place)) = (words, cells.caches.get_mut(usize::from(to))) {
            *place = *words;
        }
        cells
    }

    /// Returns the cells that are in either set.
    #[must_use]
    pub fn union(self, other: &Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    /// Returns the cells that are in both sets.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    /// Returns the cells that are in this set and not in the other.
    #[must_use]
    pub fn without(self, other: &Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    /// Returns whether every cell of `other` is in this set.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.pairs(other).all(|(mine, theirs)| theirs & !mine == 0)
    }

    /// Returns whether some cell is in both sets.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.pairs(other).any(|(mine, theirs)| mine & theirs != 0)
    }

    fn pairs(&self, other: &Self) -> impl Iterator<Item = (u64, u64)> {
        let theirs = other.caches.iter().flatten();
        (self.caches.iter().flatten().copied()).zip(theirs.copied())
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.caches.iter().flatten().all(|&word| word == 0)
    }

    /// Returns the number of cells.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.caches.iter().flatten().map(|w| w.count_ones()).sum()
    }

    /// Returns the cells in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Cell> + '_ {
        (0..CacheSet::MAX).flat_map(move |cache| {
            (0..BITS)
                .filter(move |bit| self.caches[cache][bit / 64] & (1 << (bit % 64)) != 0)
                .map(move |bit| Self::cell(cache, bit))
        })
    }

    fn cell(cache: usize, bit: usize) -> Cell {
        let agent = bit % Agents::CLASSES;
        let class = bit / Agents::CLASSES % CLASSES;
        let kind = bit / Agents::CLASSES / CLASSES;
        let level = Level((kind % LEVELS) as u8);
        Cell {
            cache: cache as u8,
            kind: match kind / LEVELS {
                0 => CachedKind::Leaf(level),
                1 => CachedKind::Walk(level),
                2 => CachedKind::Negative(level),
                _ => CachedKind::Root,
            },
            class: [Class::This, Class::Other, Class::Global][class],
            agent: agent as u8,
        }
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tlbc_runtime::level::Levels;

    fn leaf_here(tags: TagSelector) -> Cells {
        Cells::of(EntryKinds::leaf(Levels::ALL), tags, Agents::SELF)
    }

    #[test]
    fn cells_are_distinct() {
        let everything = EntryKinds {
            root: true,
            negative: Levels::ALL,
            ..EntryKinds::LEAF_AND_WALK
        };
        let all = Cells::of(everything, TagSelector::ANY, Agents(0x7f));
        assert_eq!(all.count() as usize, BITS * CacheSet::MAX);
        assert_eq!(all.iter().count(), BITS * CacheSet::MAX);
        let mut last = None;
        for cell in all.iter() {
            assert_ne!(Some(cell), last);
            last = Some(cell);
        }
    }

    #[test]
    fn this_or_other_does_not_cover_global() {
        let not_global = TagSelector {
            global: false,
            ..TagSelector::ANY
        };
        assert!(!leaf_here(not_global).covers(&leaf_here(TagSelector::ANY)));
        assert!(leaf_here(TagSelector::ANY).covers(&leaf_here(not_global)));
    }

    /// A local invalidation of leaf entries and a broadcast of walk entries do not invalidate leaf entries on other CPUs,
    /// although one of the two has the kind of entry and the other has the agents.
    #[test]
    fn the_union_of_two_instructions_covers_cell_by_cell_only() {
        let here = Cells::of(
            EntryKinds::leaf(Levels::ALL),
            TagSelector::THIS,
            Agents::SELF,
        );
        let wide = Cells::of(
            EntryKinds::walk(Levels::ALL),
            TagSelector::THIS,
            Agents::CPUS,
        );
        let asked = Cells::of(EntryKinds::LEAF_AND_WALK, TagSelector::THIS, Agents::CPUS);
        let left = asked.without(&here.union(&wide));
        assert!(
            left.iter()
                .all(|cell| matches!(cell.kind, CachedKind::Leaf(_)))
        );
        assert!(!left.is_empty());
    }

    #[test]
    fn every_cpu_does_not_contain_devices() {
        let cpus = Cells::of(EntryKinds::LEAF_AND_WALK, TagSelector::ANY, Agents::CPUS);
        let device = Cells::of(
            EntryKinds::leaf(Levels::ALL),
            TagSelector::THIS,
            Agents::DEVICE,
        );
        assert!(!cpus.covers(&device));
    }
}
