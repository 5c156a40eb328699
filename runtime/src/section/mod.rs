//! Locked sections: changes of entries while their table is locked. Tables are unlinked in [`tables`](crate::tables).
//!
//! In: a lock guard, and entries as the kernel's [`Pte`]. Out: pages and tables, which the gather keeps until they are flushed;
//! or an error that returns the entry. Holds: the flush that a change requires is recorded in the gather before the lock is
//! released; a function that returns an error has changed nothing, unless its documentation says otherwise.

mod decoded;
mod protect;
mod store;

use crate::backend::Backend;
use crate::fault::{Fault, is_back};
use crate::gather::{BEFORE_UNLOCK, Gather};
use crate::level::Level;
use crate::misuse::{Misuse, Refused, check_entry, check_leaf_level};
use crate::mmu::Mmu;
use crate::platform::{Platform, Pte};
use crate::pte::{Change, Entry, Slot};
use crate::request::SpaceFlags;
use crate::space::AddressSpace;

pub(crate) use decoded::change_of;

/// A section of code in which tables are locked. [`Gather::locked`] lends it to its closure.
///
/// Its methods change entries of the gather's space. If the machine requires it, an entry becomes invalid and is flushed before
/// the new entry is stored (break before make). The fault handler of a CPU that accesses these addresses in between has to wait
/// for the lock of the section. The kernel must not change in this way an entry that any CPU uses without such a handler (see
/// [responsibilities](crate::responsibilities#splitting-a-large-page)).
///
/// # Context
///
/// For every method: the lock of the entry's table is held, and the context permits a flush.
pub struct Section<'g, 'm, P: Platform> {
    pub(crate) gather: &'g mut Gather<'m, P>,
}

impl<'m, P: Platform> Gather<'m, P> {
    /// Runs a closure that changes entries, with the lock of their table held. Takes the guard by value and drops it after the
    /// closure; if the removal of a page's reverse mapping [is delayed](Platform::delays_rmap_removal), a flush and the removal
    /// come before that. Returns what the closure returned.
    ///
    /// Any value is a guard: a lock guard, a page-table cursor that keeps its tables locked, a pair of them, or `()` if no other
    /// code can change the tables.
    ///
    /// This flushes first if entries of the space were unmapped in an [`UnmapBatch`](crate::UnmapBatch) that has not waited, or
    /// if a gather was abandoned.
    ///
    /// # Context
    ///
    /// As [`Mmu::gather`].
    ///
    /// # Examples
    ///
    /// ```
    #[doc = include_str!("../../doc/kernel.md")]
    /// let space = a_space();
    /// let [parent, child] = [0, 1].map(|_| Table::new(&space, Level(0)));
    /// parent.set(0, frame(7) | WRITABLE);
    /// // Fork: a pair of guards keeps two tables locked.
    /// MMU.gather(&space, |gather| {
    ///     let guards = (parent.lock.lock().unwrap(), child.lock.lock().unwrap());
    ///     gather.locked(guards, |section, _| {
    ///         let old = section.protect(&parent.entry(0), |bits| bits & !WRITABLE)?;
    ///         child.set(0, old & !WRITABLE);
    ///         Ok::<(), Misuse>(())
    ///     })
    /// })?;
    /// assert_eq!(parent.bits(0), child.bits(0));
    /// # Ok::<(), Misuse>(())
    /// ```
    #[inline]
    pub fn locked<G, R>(
        &mut self,
        mut guard: G,
        body: impl FnOnce(&mut Section<'_, 'm, P>, &mut G) -> R,
    ) -> R {
        if self.space.pending.are_unmaps_pending() && !is_back(Fault::ForgetsBatchedUnmaps) {
            self.complete_pending();
        }
        let result = body(&mut Section { gather: self }, &mut guard);
        if self.remaining & BEFORE_UNLOCK != 0 {
            self.end_section();
        }
        drop(guard);
        result
    }
}

impl<P: Platform> Section<'_, '_, P> {
    /// Stores a valid entry where none was: a leaf entry or one that points at a table.
    ///
    /// If the machine requires that no old entry is cached where a new one is stored (break before make), what was made invalid
    /// for the same addresses and is not flushed yet is flushed first, whether this gather or another one made it invalid.
    /// Entries of the kernel are [published](crate::Mmu::publish) at the end of the section. Entries of a user space need not be published,
    /// since an access that does not find one faults and is repeated.
    ///
    /// # Errors
    ///
    /// If the entry is in another space or valid already, if the bits are no valid entry, and if the machine has no such entry
    /// at its level.
    ///
    /// # Examples
    ///
    /// ```
    #[doc = include_str!("../../doc/kernel.md")]
    /// let space = a_space();
    /// let table = Table::new(&space, Level(0));
    /// MMU.gather(&space, |gather| {
    ///     gather.locked(table.lock.lock().unwrap(), |section, _| section.map(&table.entry(3), frame(7)))
    /// })?;
    /// assert_eq!(table.bits(3), frame(7));
    /// assert_eq!(log_lines(), [""; 0]); // a new entry requires no flush on this machine
    /// # Ok::<(), Misuse>(())
    /// ```
    pub fn map<E: Pte<P>>(&mut self, pte: &E, bits: u64) -> Result<(), Misuse> {
        self.check_space(pte)?;
        let (level, slot) = (pte.level(), pte.slot());
        let valid = |nth| E::decode(level, slot.load(nth)) != Entry::Invalid;
        if (0..slot.entries.len() as u64).any(valid) {
            return Err(Misuse::AlreadyValid);
        }
        let change = Change {
            new: E::decode(level, bits),
            new_bits: bits,
            ..Change::to_invalid(level, Entry::Invalid)
        };
        let shift = self.check_new(&change)?;
        self.store(&slot, shift, &change);
        Ok(())
    }

    /// Unmaps a page: its entry becomes invalid, and the page is released after the flush.
    ///
    /// # Errors
    ///
    /// If the entry is in another space or is no leaf entry, and if the machine has no leaf entries at its level. The entry is
    /// not changed, and it is returned.
    ///
    /// # Examples
    ///
    /// ```
    #[doc = include_str!("../../doc/kernel.md")]
    /// let space = a_space();
    /// let table = Table::new(&space, Level(0));
    /// table.set(3, frame(7));
    /// MMU.gather(&space, |gather| {
    ///     gather.locked(table.lock.lock().unwrap(), |section, _| {
    ///         let refused = section.unmap(table.entry(4)).unwrap_err();
    ///         assert_eq!(refused.why, Misuse::NotALeaf);
    ///         section.unmap(table.entry(3))
    ///     })
    /// })
    /// .expect("a mapped page");
    /// assert_eq!(log_lines(), ["invlpg { va: 3000 }", "frame 7 is free"]);
    /// ```
    #[inline]
    pub fn unmap<E: Pte<P>>(&mut self, pte: E) -> Result<(), Refused<E>> {
        self.unmap_all(core::iter::once(pte))
    }

    /// Unmaps many pages. This does the same as [`unmap`](Self::unmap) for each, and is faster for consecutive pages.
    ///
    /// # Errors
    ///
    /// As [`unmap`](Self::unmap), with the first entry that is wrong: those before it are unmapped, and those after it are
    /// still in the iterator.
    #[inline]
    pub fn unmap_all<E: Pte<P>>(
        &mut self,
        entries: impl IntoIterator<Item = E>,
    ) -> Result<(), Refused<E>> {
        let gather = &mut *self.gather;
        let (mmu, space) = (gather.mmu, gather.space);
        let mut known = None;
        for pte in entries {
            let slot = pte.slot();
            let (old, shift) = match mmu.check_leaf(space, &pte, &slot, &mut known) {
                Ok(leaf) => leaf,
                Err(why) => return Err(Refused { why, entry: pte }),
            };
            let level = pte.level();
            let extent = slot.extent(shift);
            let change = Change::to_invalid(level, old);
            let changed = if Mmu::<P>::facts().pte_update.is_store() {
                // Whatever flags the space has, the change requires the flush of leaf entries of this level.
                let backend = mmu.platform.backend();
                backend.store(&slot, &change, SpaceFlags::NONE)
            } else {
                mmu.change_by_instruction(space, &slot, &change, true)
            };
            if !changed.required.is_nothing() {
                if gather.changed.is_nothing() {
                    gather.count_in_progress();
                }
                gather.changed.leaf(level, extent);
            }
            if let Some(page) = pte.into_page(changed.was.any) {
                gather.keep_page(page);
            }
        }
        Ok(())
    }

    /// Replaces the page of a leaf entry by another page, and releases the old page after the flush. Kernels use it to copy on
    /// write, and to migrate a page.
    ///
    /// # Errors
    ///
    /// As [`unmap`](Self::unmap); and if the bits map no page, or entries of this level cannot.
    ///
    /// # Examples
    ///
    /// ```
    #[doc = include_str!("../../doc/kernel.md")]
    /// let space = a_space();
    /// let table = Table::new(&space, Level(0));
    /// table.set(3, frame(7));
    /// // A process writes to a page that it shares with its parent: it gets a copy, in frame 8.
    /// MMU.gather(&space, |gather| {
    ///     gather.locked(table.lock.lock().unwrap(), |section, _| {
    ///         section.replace(table.entry(3), frame(8) | WRITABLE)
    ///     })
    /// })
    /// .expect("a mapped page");
    /// assert_eq!(log_lines(), ["invlpg { va: 3000 }", "frame 7 is free"]);
    /// ```
    pub fn replace<E: Pte<P>>(&mut self, pte: E, bits: u64) -> Result<(), Refused<E>> {
        let (mmu, space) = (self.gather.mmu, self.gather.space);
        let (level, slot) = (pte.level(), pte.slot());
        let seen = slot.was();
        let change = change_of::<P, E>(level, seen, bits);
        let checked = mmu
            .check_leaf(space, &pte, &slot, &mut None)
            .and_then(|(_, shift)| match change.new {
                Entry::Leaf { .. } => Ok(shift),
                Entry::Table { .. } | Entry::Invalid => Err(Misuse::NotALeaf),
            });
        let shift = match checked {
            Ok(shift) => shift,
            Err(why) => return Err(Refused { why, entry: pte }),
        };
        let mut was = self.exchange(&slot, shift, &change);
        if is_back(Fault::ReturnsEarlyMarks) {
            was = seen;
        }
        if let Some(page) = pte.into_page(was.any) {
            self.gather.keep_page(page);
        }
        Ok(())
    }

    /// Checks that the new entry of a change is a valid one that the machine has. Returns log2 of the bytes that it translates.
    fn check_new(&self, change: &Change) -> Result<u32, Misuse> {
        match change.new {
            Entry::Invalid => Err(Misuse::NotValid),
            new => check_entry(self.gather.levels(), change.level, new),
        }
    }

    /// Checks that an entry is in the gather's space.
    pub(crate) fn check_space<E: Pte<P>>(&self, pte: &E) -> Result<(), Misuse> {
        if pte.belongs_to(self.gather.space) {
            Ok(())
        } else {
            Err(Misuse::OtherSpace)
        }
    }
}

impl<P: Platform> Mmu<P> {
    /// Checks that an entry is a leaf entry of a space, at a level that has leaf entries. Returns the entry, and log2 of the bytes
    /// that it translates. `known` has the level and that number for the entry before, so that they are not looked up again.
    #[inline]
    pub(crate) fn check_leaf<E: Pte<P>>(
        &self,
        space: &AddressSpace<P::CpuSet>,
        pte: &E,
        slot: &Slot<'_>,
        known: &mut Option<(Level, u32)>,
    ) -> Result<(Entry, u32), Misuse> {
        let level = pte.level();
        let entry = E::decode(level, slot.first());
        if !matches!(entry, Entry::Leaf { .. }) {
            return Err(Misuse::NotALeaf);
        }
        let shift = match *known {
            Some((known, shift)) if known == level => shift,
            _ => check_leaf_level(self.platform.backend().levels(), level)?,
        };
        *known = Some((level, shift));
        if pte.belongs_to(space) {
            Ok((entry, shift))
        } else {
            Err(Misuse::OtherSpace)
        }
    }
}
