//! Page tables in an arena, and their entries: the number of a page or table above bit 12, valid if bit 0 is set.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tlbc_runtime::pte::{Entry, Slot};
use tlbc_runtime::{AddressSpace, CpuSet, Level, Pte, SpaceId};

use super::machine::Machine;
use super::platform::{Bare, Page};

pub const VALID: u64 = 1;
const SHIFT: u32 = 12;
/// The number of entries in a table.
pub const TABLE: usize = 512;

/// The number of pages of a folio, which are unmapped together.
pub const FOLIO: usize = 16;

/// Consecutive tables, for addresses from 0, at the start of a page as tables are.
pub struct Arena {
    memory: Vec<AtomicU64>,
    skipped: usize,
    entries: usize,
}

impl Arena {
    /// Returns tables with this many entries.
    pub fn new(entries: usize) -> Self {
        let memory: Vec<_> = (0..entries + TABLE).map(|_| AtomicU64::new(0)).collect();
        let skipped = memory.as_ptr().align_offset(TABLE * 8);
        Self {
            memory,
            skipped,
            entries,
        }
    }

    /// Returns the entries.
    #[inline]
    pub fn words(&self) -> &[AtomicU64] {
        &self.memory[self.skipped..][..self.entries]
    }

    /// Makes every entry map a page.
    pub fn fill(&self) {
        for (word, page) in self.words().iter().zip(1..) {
            word.store(page << SHIFT | VALID, Relaxed);
        }
    }
}

/// Valid entries, one or those of a folio: of pages at level 0, of a table at level 1.
pub struct Valid<'a, const N: usize> {
    pub space: SpaceId,
    pub level: Level,
    pub entries: &'a [AtomicU64; N],
    pub at: usize,
}

impl<M: Machine, const W: usize, const N: usize> Pte<Bare<M, W>> for Valid<'_, N> {
    #[inline]
    fn belongs_to(&self, space: &AddressSpace<CpuSet<W>>) -> bool {
        space.id() == self.space
    }

    #[inline]
    fn level(&self) -> Level {
        self.level
    }

    #[inline]
    fn slot(&self) -> Slot<'_> {
        Slot {
            entries: self.entries.as_slice().into(),
            table: 0x1000,
            index: (self.at % TABLE) as u16,
            va: (self.at as u64) << (SHIFT + 9 * u32::from(self.level.0)),
        }
    }

    #[inline]
    fn decode(level: Level, bits: u64) -> Entry {
        let number = bits >> SHIFT;
        if bits & VALID == 0 {
            Entry::Invalid
        } else if level == Level(0) {
            Entry::Leaf {
                page: number,
                rights: 1,
                attributes: 0,
            }
        } else {
            Entry::Table {
                table: number,
                attributes: 0,
            }
        }
    }

    fn is_accessed(_: Level, _: u64) -> bool {
        true
    }

    fn is_dirty(_: Level, _: u64) -> bool {
        false
    }

    #[inline]
    fn into_page(self, old: u64) -> Option<Page> {
        NonZeroU64::new(old >> SHIFT).map(Page)
    }

    fn into_table(self, _: u64) -> Page {
        Page(NonZeroU64::MIN.saturating_add(self.at as u64))
    }
}
