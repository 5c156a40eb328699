//! Cells: the smallest pieces of an required.
//!
//! A cell is one kind and level of entry, in one cache, of one tag class, at one class of holder.
//! Addresses are not in it: a planner compares those beside it. An required is met when each of
//! its cells is in *one single* instruction's cells, which makes `covers` a superset test and
//! nothing weaker: the union of what several instructions drop, question by question, proves nothing.

use core::fmt;

use tlbc_runtime::agents::Agents;
use tlbc_runtime::level::{LEVELS, Level};

use crate::clause::{Stores, What, Whose};

/// Tag classes: this, other, global.
const CLASSES: usize = 3;
/// Leaf, walk and negative entries of each level, and the root binding.
const KINDS: usize = 3 * LEVELS + 1;
const BITS: usize = KINDS * CLASSES * Agents::CLASSES;
const WORDS: usize = BITS.div_ceil(64);

/// A kind of cached fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A translation made from an entry of this level.
    Leaf(Level),
    /// A pointer to a table, made from an entry of this level.
    Walk(Level),
    /// A remembered absence at this level.
    Negative(Level),
    /// A binding of a tag to its top table.
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
    pub store: u8,
    /// The kind and level.
    pub kind: Kind,
    /// The tag class.
    pub class: Class,
    /// The class of holder, by its index in [`Agents`].
    pub holder: u8,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Leaf(level) => write!(f, "leaf entries of level {}", level.0)?,
            Kind::Walk(level) => write!(f, "walk entries of level {}", level.0)?,
            Kind::Negative(level) => write!(f, "cached absences of level {}", level.0)?,
            Kind::Root => f.write_str("root bindings")?,
        }
        f.write_str(match self.class {
            Class::This => " under the space's tag",
            Class::Other => " under other tags",
            Class::Global => " that are global",
        })?;
        write!(f, " on {}", Agents::name(self.holder as usize))
    }
}

/// A set of cells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Cells {
    stores: [[u64; WORDS]; Stores::MOST],
}

impl Cells {
    /// No cell.
    pub const NONE: Self = Self {
        stores: [[0; WORDS]; Stores::MOST],
    };

    /// The cells of these kinds, classes and holders.
    #[must_use]
    pub fn of(what: What, whose: Whose, holders: Agents) -> Self {
        // A row holds the classes of one kind, each with its holders, side by side.
        let row = (0..CLASSES)
            .filter(|class| whose.bits() & (1 << class) != 0)
            .fold(0u64, |row, class| {
                row | u64::from(holders.0) << (class * Agents::CLASSES)
            });
        let mut words = [0; WORDS];
        let mut set = |kind: usize| {
            let bit = kind * CLASSES * Agents::CLASSES;
            words[bit / 64] |= row << (bit % 64);
            if bit % 64 + CLASSES * Agents::CLASSES > 64 {
                words[bit / 64 + 1] |= row >> (64 - bit % 64);
            }
        };
        let kinds = [
            (what.leaf, 0),
            (what.walk, LEVELS),
            (what.negative, 2 * LEVELS),
        ];
        for (levels, first) in kinds {
            for level in levels.iter() {
                set(first + level.index());
            }
        }
        if what.root {
            set(3 * LEVELS);
        }
        let mut cells = Self::NONE;
        for store in (0..Stores::MOST).filter(|store| what.stores.0 & (1 << store) != 0) {
            cells.stores[store] = words;
        }
        cells
    }

    fn zip(mut self, other: &Self, f: impl Fn(u64, u64) -> u64) -> Self {
        for (mine, theirs) in self.stores.iter_mut().zip(&other.stores) {
            for (a, b) in mine.iter_mut().zip(theirs) {
                *a = f(*a, *b);
            }
        }
        self
    }

    /// Those of these caches.
    #[must_use]
    pub fn in_stores(mut self, stores: Stores) -> Self {
        for (index, words) in self.stores.iter_mut().enumerate() {
            if stores.0 & (1 << index) == 0 {
                *words = [0; WORDS];
            }
        }
        self
    }

    /// The cells of one cache, as cells of another.
    #[must_use]
    pub fn moved(&self, from: u8, to: u8) -> Self {
        let mut cells = Self::NONE;
        let words = self.stores.get(usize::from(from));
        if let (Some(words), Some(place)) = (words, cells.stores.get_mut(usize::from(to))) {
            *place = *words;
        }
        cells
    }

    /// In either.
    #[must_use]
    pub fn union(self, other: &Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    /// In both.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    /// In this and not in the other.
    #[must_use]
    pub fn without(self, other: &Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    /// Whether every cell of `other` is in this.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.without(self).is_empty()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stores.iter().flatten().all(|&word| word == 0)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.stores.iter().flatten().map(|w| w.count_ones()).sum()
    }

    /// The cells, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Cell> + '_ {
        (0..Stores::MOST).flat_map(move |store| {
            (0..BITS)
                .filter(move |bit| self.stores[store][bit / 64] & (1 << (bit % 64)) != 0)
                .map(move |bit| Self::cell(store, bit))
        })
    }

    fn cell(store: usize, bit: usize) -> Cell {
        let holder = bit % Agents::CLASSES;
        let class = bit / Agents::CLASSES % CLASSES;
        let kind = bit / Agents::CLASSES / CLASSES;
        let level = Level((kind % LEVELS) as u8);
        Cell {
            store: store as u8,
            kind: match kind / LEVELS {
                0 => Kind::Leaf(level),
                1 => Kind::Walk(level),
                2 => Kind::Negative(level),
                _ => Kind::Root,
            },
            class: [Class::This, Class::Other, Class::Global][class],
            holder: holder as u8,
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

    fn leaf_here(whose: Whose) -> Cells {
        Cells::of(What::leaf(Levels::ALL), whose, Agents::SELF)
    }

    #[test]
    fn every_cell_is_its_own() {
        let everything = What {
            root: true,
            negative: Levels::ALL,
            ..What::LEAF_AND_WALK
        };
        let all = Cells::of(everything, Whose::ANY, Agents(0x7f));
        assert_eq!(all.count() as usize, BITS * Stores::MOST);
        assert_eq!(all.iter().count(), BITS * Stores::MOST);
        let mut last = None;
        for cell in all.iter() {
            assert_ne!(Some(cell), last);
            last = Some(cell);
        }
    }

    #[test]
    fn this_or_other_does_not_cover_global() {
        let not_global = Whose {
            global: false,
            ..Whose::ANY
        };
        assert!(!leaf_here(not_global).covers(&leaf_here(Whose::ANY)));
        assert!(leaf_here(Whose::ANY).covers(&leaf_here(not_global)));
    }

    /// A page dropped here and walk entries dropped everywhere do not make a leaf dropped
    /// everywhere, though every question on its own is answered widely enough by one of the two.
    #[test]
    fn the_union_of_two_instructions_covers_cell_by_cell_only() {
        let here = Cells::of(What::leaf(Levels::ALL), Whose::THIS, Agents::SELF);
        let wide = Cells::of(What::walk(Levels::ALL), Whose::THIS, Agents::CPUS);
        let asked = Cells::of(What::LEAF_AND_WALK, Whose::THIS, Agents::CPUS);
        let left = asked.without(&here.union(&wide));
        assert!(left.iter().all(|cell| matches!(cell.kind, Kind::Leaf(_))));
        assert!(!left.is_empty());
    }

    #[test]
    fn every_cpu_does_not_contain_devices() {
        let cpus = Cells::of(What::LEAF_AND_WALK, Whose::ANY, Agents::CPUS);
        let device = Cells::of(What::leaf(Levels::ALL), Whose::THIS, Agents::DEVICE);
        assert!(!cpus.covers(&device));
    }
}
