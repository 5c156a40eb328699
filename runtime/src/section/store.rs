//! How a section stores an entry, and records the flush that the change requires.
//!
//! In: changes that were checked. Out: what was in the entries. Holds: on a machine that requires it, an entry is invalid and
//! flushed before the new one is stored (break before make).

use crate::fault::{Fault, is_back};
use crate::gather::{NEW, UNLINKED};
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::pte::{Change, Changed, Entry, Marks, RequiredFlush, Slot, Was};
use crate::request::{Extent, Space};
use crate::section::Section;

impl<P: Platform> Section<'_, '_, P> {
    /// Changes a valid entry into another valid one, through an invalid one if the machine requires that. Returns what was in
    /// it.
    pub(crate) fn exchange(&mut self, slot: &Slot<'_>, shift: u32, change: &Change) -> Was {
        if self.gather.mmu.must_break(self.gather.space, change) {
            let was = self.make_invalid(slot, shift, change);
            self.make_valid(slot, shift, change);
            was
        } else {
            self.store(slot, shift, change)
        }
    }

    /// Makes an entry invalid and flushes it, as the first half of break before make. Returns what was in it.
    pub(super) fn make_invalid(&mut self, slot: &Slot<'_>, shift: u32, change: &Change) -> Was {
        let broken = Change {
            new: Entry::Invalid,
            new_bits: 0,
            clears: Marks::NONE,
            ..*change
        };
        let was = self.store(slot, shift, &broken);
        self.gather.flush_gathered();
        was
    }

    /// Stores the new entry, as the second half of break before make.
    pub(super) fn make_valid(&mut self, slot: &Slot<'_>, shift: u32, change: &Change) {
        let made = Change {
            old: Entry::Invalid,
            clears: Marks::NONE,
            ..*change
        };
        self.store(slot, shift, &made);
    }

    /// Makes a change that was checked, and records it. Returns what was in the entry.
    pub(crate) fn store(&mut self, slot: &Slot<'_>, shift: u32, change: &Change) -> Was {
        let (mmu, space) = (self.gather.mmu, self.gather.space);
        let extent = slot.extent(shift);
        if change.is_new() {
            self.flush_before_new(extent, change);
        }
        let changed = mmu.change(space, slot, change, true);
        self.record(extent, change, &changed);
        changed.was
    }

    /// Flushes before a new entry is stored, if the machine requires it, what is not flushed yet at the same addresses: entries
    /// that this gather has changed, and entries that others may have made invalid.
    ///
    /// The lock of the entry's table is held. What others have changed with the lock held is counted in the space. They may have
    /// changed anything here that an entry of this level can mean; the new entries of higher levels were stored in the same way.
    #[inline(never)]
    fn flush_before_new(&mut self, extent: Extent, change: &Change) {
        let gather = &mut *self.gather;
        let facts = gather.mmu.change_facts(gather.space);
        let page = facts.output_through_invalid || facts.attributes_through_invalid;
        if !page && !facts.size_through_invalid || is_back(Fault::MapsUnflushed) {
            return;
        }
        let changed = gather.has_changed(change.level, extent);
        let other_size = changed.other || changed.leaf && matches!(change.new, Entry::Table { .. });
        if gather.others_are_pending() {
            let required = RequiredFlush::of_anything(change.level);
            gather.flush_also(&required, extent);
        } else if changed.leaf && page || other_size && facts.size_through_invalid {
            gather.flush_gathered();
        }
    }

    /// Records the flush that a change requires; and that an entry must be published, if the kernel's own code may use it next
    /// and no flush publishes it.
    #[inline]
    pub(super) fn record(&mut self, extent: Extent, change: &Change, changed: &Changed) {
        let gather = &mut *self.gather;
        gather.record(&changed.required, extent);
        let space = gather.space.kind;
        let may_fault = Mmu::<P>::facts().may_fault(space);
        if space == Space::Kernel && change.must_be_published(&changed.required, may_fault) {
            gather.remaining |= NEW;
        }
        if matches!(change.old, Entry::Table { .. }) {
            let facts = gather.mmu.change_facts(gather.space);
            if change.unlinks_for_walkers_alone(&facts) {
                gather.remaining |= UNLINKED;
            }
        }
    }
}
