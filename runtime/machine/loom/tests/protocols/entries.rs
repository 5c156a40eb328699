//! Page-table entries, with their owner.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tlbc_machine_loom::toys::{PAGE_SHIFT, ToyKind};
use tlbc_machine_loom::{Entry as Bits, KERNEL, KERNEL_PAGE, TableId};
use tlbc_runtime::pte::{Entry, Slot};
use tlbc_runtime::request::Extent;
use tlbc_runtime::{Level, Pte, SpaceId};

use crate::kernel::{Handle, Kernel, Page, Space, Table, World, root, table};

/// A leaf entry, or an entry that points at a table.
pub struct Owned {
    space: SpaceId,
    word: [AtomicU64; 1],
    table: TableId,
    index: usize,
    /// The first page that the entry translates.
    page: u64,
    level: Level,
}

/// Returns the leaf entry of a page of a space.
pub fn leaf(space: &Space, nth: usize, page: usize) -> Owned {
    Owned {
        space: space.id(),
        word: [AtomicU64::new(Bits::page(2 * nth + page).bits())],
        table: table(nth),
        index: page,
        page: page as u64,
        level: Level(0),
    }
}

/// Returns the leaf entry of a page of a space, after it was unmapped.
pub fn unmapped(space: &Space, nth: usize, page: usize) -> Owned {
    Owned {
        word: [AtomicU64::new(Bits::Invalid.bits())],
        ..leaf(space, nth, page)
    }
}

/// Returns the entry that points at the table of a space.
pub fn link(space: &Space, nth: usize) -> Owned {
    Owned {
        space: space.id(),
        word: [AtomicU64::new(Bits::Table(table(nth)).bits())],
        table: root(nth),
        index: 0,
        page: 0,
        level: Level(1),
    }
}

/// Returns the leaf entry of a page of the kernel.
pub fn kernel_leaf<K: ToyKind>(world: &World<K>, page: usize) -> Owned {
    Owned {
        page: KERNEL_PAGE + page as u64,
        ..leaf(world.mmu.kernel(), world.layout.spaces, page)
    }
}

/// Returns the entry of the kernel's own root that points at its table.
fn kernel_link<K: ToyKind>(world: &World<K>) -> Owned {
    Owned {
        index: KERNEL,
        page: KERNEL_PAGE,
        ..link(world.mmu.kernel(), world.layout.spaces)
    }
}

/// Converts an entry to the runtime's form.
fn decoded(bits: Bits) -> Entry {
    match bits {
        Bits::Invalid => Entry::Invalid,
        Bits::Page {
            frame,
            write,
            attributes,
        } => Entry::Leaf {
            page: (frame as u64) << PAGE_SHIFT,
            rights: if write { 3 } else { 1 },
            attributes: u64::from(attributes),
        },
        Bits::Table(table) => Entry::Table {
            table: table as u64,
            attributes: 0,
        },
    }
}

impl<K: ToyKind> Pte<Kernel<K>> for Owned {
    fn belongs_to(&self, space: &Space) -> bool {
        space.id() == self.space
    }

    fn level(&self) -> Level {
        self.level
    }

    fn slot(&self) -> Slot<'_> {
        Slot {
            entries: self.word.as_slice().into(),
            table: self.table as u64,
            index: self.index as u16,
            va: self.page << PAGE_SHIFT,
        }
    }

    fn decode(_: Level, bits: u64) -> Entry {
        decoded(Bits::of(bits))
    }

    fn is_accessed(_: Level, _: u64) -> bool {
        true
    }

    fn is_dirty(_: Level, bits: u64) -> bool {
        matches!(Bits::of(bits), Bits::Page { write: true, .. })
    }

    fn into_page(self, old: u64) -> Option<Page> {
        match Bits::of(old) {
            Bits::Page { frame, .. } => Some(Page(frame)),
            _ => None,
        }
    }

    fn into_table(self, _: u64) -> Table {
        let points_at = self.table + 1;
        Table(points_at)
    }
}

impl<K: ToyKind> World<K> {
    /// Unmaps a page of a space and gives it another owner.
    pub fn unmap(&self, space: &Handle, nth: usize, page: usize) {
        self.mmu.gather(space, |g| {
            g.locked((), |section, ()| {
                let cleared = section.unmap(leaf(space, nth, page));
                assert!(cleared.is_ok(), "an entry of the space");
            });
        });
    }

    /// Changes an entry in a gather, through an invalid one where that is necessary.
    pub fn protect(&self, space: &Space, entry: &Owned, old: Bits, new: Bits) {
        entry.word[0].store(old.bits(), Relaxed);
        self.mmu.gather(space, |g| {
            g.locked((), |section, ()| {
                let changed = section.protect(entry, |_| new.bits());
                assert!(changed.is_ok(), "an entry of the space");
            });
        });
    }

    /// Unmaps a page without a gather, which does not look for overlapping gathers.
    pub fn clear(&self, space: &Space, nth: usize, page: usize) {
        self.machine().store(table(nth), page, Bits::Invalid.bits());
        let extent = Extent::new((page as u64) << PAGE_SHIFT, 1 << PAGE_SHIFT);
        let flushed = self.mmu.flush_range(space, extent, Level(0));
        assert!(flushed.is_ok(), "a page");
        self.rely_on(2 * nth + page);
    }

    /// Unmaps all pages of a space, and frees their table.
    pub fn unlink(&self, space: &Handle, nth: usize) {
        self.mmu.gather(space, |g| unlink_in(g, space, nth));
    }

    /// Unlinks the table of a space with its entries, and gives the pages to another owner.
    pub fn unlink_subtree(&self, space: &Handle, nth: usize) {
        self.mmu.gather(space, |g| {
            g.locked((), |section, ()| {
                let unlinked = section.unlink_subtree(link(space, nth));
                assert!(unlinked.is_ok(), "an entry of the space");
            });
        });
        for page in 0..2 {
            self.rely_on(2 * nth + page);
        }
    }

    /// Unmaps a page of the kernel, and gives it to user code.
    pub fn unmap_kernel(&self, page: usize) {
        self.mmu.gather(self.mmu.kernel(), |g| {
            g.locked((), |section, ()| {
                let cleared = section.unmap(kernel_leaf(self, page));
                assert!(cleared.is_ok(), "an entry of the kernel");
            });
        });
    }

    /// Unmaps all pages of the kernel, and frees their table.
    pub fn unlink_kernel(&self) {
        self.mmu.gather(self.mmu.kernel(), |g| {
            g.locked((), |section, ()| {
                for page in 0..2 {
                    let cleared = section.unmap(kernel_leaf(self, page));
                    assert!(cleared.is_ok(), "an entry of the kernel");
                }
                for space in 0..self.layout.spaces {
                    let invalid = Bits::Invalid.bits();
                    self.machine().store(root(space), KERNEL, invalid);
                }
                let unlinked = section.unlink(kernel_link(self));
                assert!(unlinked.is_ok(), "an entry of the kernel");
            });
        });
    }
}

/// Clears all entries of a space in a gather, and unlinks their table.
pub fn unlink_in<K: ToyKind>(
    gather: &mut tlbc_runtime::Gather<'_, Kernel<K>>,
    space: &Handle,
    nth: usize,
) {
    gather.locked((), |section, ()| {
        for page in 0..2 {
            let cleared = section.unmap(leaf(space, nth, page));
            assert!(cleared.is_ok(), "an entry of the space");
        }
        let unlinked = section.unlink(link(space, nth));
        assert!(unlinked.is_ok(), "an entry of the space");
    });
}
