//! What may be done to entries while their table is locked.

use core::fmt;

use crate::Mmu;
use crate::gather::{Gather, NEW};
use crate::level::Level;
use crate::mmu::Misuse;
use crate::platform::Platform;
use crate::pte::{Below, Change, Changed, Entry, Marks, Slot, Was};
use crate::request::{Extent, Space};
use crate::space::{AddressSpace, SpaceId};

/// A valid entry that its owner gives up. The kernel's type.
pub trait OwnedEntry {
    /// Whose entry it is.
    fn space(&self) -> SpaceId;
    /// Its level.
    fn level(&self) -> Level;
    /// Where it stands: more than one entry only where they map one page together.
    fn slot(&self) -> Slot<'_>;
    /// What it says.
    fn entry(&self) -> Entry;
}

/// A leaf entry: whoever has one may clear it.
pub trait Mapped<P: Platform>: OwnedEntry {
    /// It is cleared, and this stood there, with what the machine had noted in it. The page, if the entry kept one.
    fn unmapped(self, was: Was) -> Option<P::Page>;
}

/// An entry that points at a table, which its owner gives up as well, or moves. Its level is above that of the table's
/// own entries.
pub trait Linked<P: Platform>: OwnedEntry {
    /// It does not point there any more.
    fn unlinked(self) -> P::Table;
}

/// A change that was refused; nothing was changed, and the entry is still its owner's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused<T> {
    /// Why.
    pub why: Misuse,
    /// What was given.
    pub entry: T,
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<T> fmt::Debug for Refused<T> {
    /// Says why; an entry need not be `Debug`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut refused = f.debug_struct("Refused");
        refused.field("why", &self.why).finish_non_exhaustive()
    }
}

impl<T> core::error::Error for Refused<T> {}

/// A stretch of code in which tables are locked: what [`Gather::locked`] lends to its closure.
pub struct Section<'g, 'id, 'm, P: Platform> {
    pub(crate) gather: &'g mut Gather<'id, 'm, P>,
}

impl<P: Platform> Section<'_, '_, '_, P> {
    /// Clears an entry; its page comes out behind the flush.
    ///
    /// # Errors
    /// When the entry is of another space, or the machine has no such entries at its level. It is not changed, and
    /// given back.
    #[inline]
    pub fn clear<M: Mapped<P>>(&mut self, mapped: M) -> Result<(), Refused<M>> {
        self.clear_all(core::iter::once(mapped))
    }

    /// Clears many entries; the same as one after the other, and quicker where they are neighbours.
    ///
    /// # Errors
    /// As [`clear`](Self::clear), with the first entry that is wrong: those before it are cleared, and those after it are
    /// still in the iterator.
    #[inline]
    pub fn clear_all<M: Mapped<P>>(
        &mut self,
        entries: impl IntoIterator<Item = M>,
    ) -> Result<(), Refused<M>> {
        let gather = &mut *self.gather;
        let mut known = None;
        for mapped in entries {
            let shift = match gather.mmu.check_leaf(gather.space, &mapped, &mut known) {
                Ok(shift) => shift,
                Err(why) => return Err(Refused { why, entry: mapped }),
            };
            let level = mapped.level();
            let slot = mapped.slot();
            let change = Change::vanishing(level, mapped.entry());
            let extent = slot.extent(shift);
            let changed = gather.mmu.change(gather.space, &slot, &change, true);
            if !changed.required.is_nothing() {
                gather.record_leaf(level, extent);
            }
            gather.keep_page(mapped.unmapped(changed.was));
        }
        Ok(())
    }

    /// Changes entries of the space that stay the kernel's: to other rights or attributes, from nothing to a page or a
    /// table, to nothing. What that leaves in TLBs is flushed with the rest.
    ///
    /// What an entry mapped that becomes invalid, or maps another page, may be used until the gather has returned: it is not
    /// free before. [`clear`](Self::clear) and [`replace`](Self::replace) keep it that long.
    ///
    /// A valid entry where none was: where this gather has changed entries of the same addresses that are not flushed yet, and
    /// the machine wants those gone before, they are flushed first. Entries of the kernel are
    /// [published](crate::Mmu::publish) at the end of the section, and so are those that gain rights without a flush; a user's need not be, since an access that misses one
    /// faults and is repeated.
    ///
    /// # Errors
    /// When the machine has no such entry at this level, or wants the entry invalid and flushed in between: then
    /// [`replace`](Self::replace) or [`break_before_make`](Self::break_before_make) is meant. Nothing is changed.
    pub fn change(&mut self, slot: &Slot<'_>, change: &Change) -> Result<Was, Misuse> {
        self.gather.mmu.check_change(self.gather.space, change)?;
        self.changed(slot, change)
    }

    /// Changes an entry to what is computed from what stands in it, in one atomic update: marks that the machine sets in
    /// the entry meanwhile (accessed, dirty) are in what `compute` is given, and none is lost.
    ///
    /// `compute` is called again when the entry has changed since it was read; for several entries that map one page together
    /// also with what it returned. It says what the entry that it is given says, and what it becomes.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    pub fn update(
        &mut self,
        slot: &Slot<'_>,
        mut compute: impl FnMut(Was) -> Change,
    ) -> Result<Was, Misuse> {
        let mut lost = 0; // marks that were set after the entry was read, and not stored again
        loop {
            let stands = slot.was();
            let change = compute(stands.with(lost));
            let (mmu, space) = (self.gather.mmu, self.gather.space);
            mmu.check_change(space, &change)?;
            let extent = slot.extent(mmu.check_entry(change.level, change.old)?);
            self.flush_before(extent, &change);
            let Some(changed) = mmu.change_from(space, slot, stands, &change) else {
                if slot.entries.len() > 1 {
                    // Some of them may have changed.
                    let facts = mmu.change_facts(space);
                    self.gather.record(&change.required_flush(&facts), extent);
                }
                core::hint::spin_loop();
                continue;
            };
            self.record(extent, &change, &changed);
            let more = changed.was.any & !stands.any;
            if more == 0 {
                return Ok(changed.was.with(lost));
            }
            lost |= more;
        }
    }

    /// Replaces the page of an entry: the entry maps another page, or points at a table, and the old page is kept as
    /// [`clear`](Self::clear) keeps it, and comes out after the flush. For copy on write, migration, and splitting
    /// a large page (whose entry keeps no page then).
    ///
    /// Where the machine wants the entry invalid and flushed before it says something else (break before make), it is, for a
    /// moment: a CPU that faults in that moment has to wait for the lock of this section.
    ///
    /// # Errors
    /// As [`clear`](Self::clear); and when the machine has no such new entry at this level.
    pub fn replace<M: Mapped<P>>(
        &mut self,
        mapped: M,
        new: Entry,
        new_bits: u64,
    ) -> Result<(), Refused<M>> {
        let gather = &*self.gather;
        let checked = gather
            .mmu
            .check_leaf(gather.space, &mapped, &mut None)
            .and_then(|_| gather.mmu.check_entry(mapped.level(), new));
        if let Err(why) = checked {
            return Err(Refused { why, entry: mapped });
        }
        let change = Change {
            new,
            new_bits,
            ..Change::vanishing(mapped.level(), mapped.entry())
        };
        match self.break_before_make(&mapped.slot(), &change) {
            Ok(was) => {
                self.gather.keep_page(mapped.unmapped(was));
                Ok(())
            }
            Err(why) => Err(Refused { why, entry: mapped }),
        }
    }

    /// The same as [`change`](Self::change), and where the machine wants the entry invalid and flushed in between (break before
    /// make) it is, for a moment: a CPU that faults in that moment has to wait for the lock of this section. For
    /// attributes of a page that stays where it is.
    ///
    /// # Errors
    /// When the machine has no such entry at this level. Nothing is changed.
    pub fn break_before_make(&mut self, slot: &Slot<'_>, change: &Change) -> Result<Was, Misuse> {
        match self.gather.mmu.check_change(self.gather.space, change) {
            Err(Misuse::ThroughInvalid) => {}
            Err(why) => return Err(why),
            Ok(()) => return self.changed(slot, change),
        }
        let broken = Change {
            new: Entry::Invalid,
            new_bits: 0,
            ..*change
        };
        let was = self.changed(slot, &broken)?;
        self.gather.flush_entries();
        let made = Change {
            old: Entry::Invalid,
            ..*change
        };
        self.changed(slot, &made)?;
        Ok(was)
    }

    fn changed(&mut self, slot: &Slot<'_>, change: &Change) -> Result<Was, Misuse> {
        let (mmu, space) = (self.gather.mmu, self.gather.space);
        mmu.check_entry(change.level, change.new)?;
        let extent = slot.extent(mmu.check_entry(change.level, change.old)?);
        self.flush_before(extent, change);
        let changed = mmu.change(space, slot, change, true);
        self.record(extent, change, &changed);
        Ok(changed.was)
    }

    /// What was cleared of these addresses is flushed before a new entry for them is stored, where the machine wants that.
    #[inline]
    fn flush_before(&mut self, extent: Extent, change: &Change) {
        if change.is_new() {
            self.flush_before_new(extent, change);
        }
    }

    #[inline(never)]
    fn flush_before_new(&mut self, extent: Extent, change: &Change) {
        let gather = &mut *self.gather;
        let facts = gather.mmu.change_facts(gather.space);
        let changed = gather.has_changed(change.level, extent);
        let page = facts.output_through_invalid || facts.attributes_through_invalid;
        let other_size = changed.other || changed.leaf && matches!(change.new, Entry::Table { .. });
        if changed.leaf && page || other_size && facts.size_through_invalid {
            gather.flush_entries();
        }
    }

    /// Records what a change requires to be flushed, and to be published: what the kernel's own code may use next, where no
    /// flush publishes it.
    #[inline]
    fn record(&mut self, extent: Extent, change: &Change, changed: &Changed) {
        let gather = &mut *self.gather;
        gather.record(&changed.required, extent);
        let space = gather.space.kind;
        if space == Space::Kernel && change.must_be_published(&changed.required, space) {
            gather.at_end |= NEW;
        }
    }

    /// Unlinks a table whose entries are all cleared, here or before; it comes out when nobody walks it, in hardware or
    /// in software.
    ///
    /// # Errors
    /// As [`clear`](Self::clear).
    pub fn unlink<L: Linked<P>>(&mut self, link: L) -> Result<(), Refused<L>> {
        let link = self.cut(link, Below::Cleared)?;
        self.gather.keep_table(link.unlinked());
        Ok(())
    }

    /// Unlinks a table with everything below it, whose entries are still valid, by one store. The table comes out as an
    /// [unlinked](Self::unlink) one after one flush of all of it, and with it, as the kernel's [`Linked`] defines its table,
    /// what hangs below: until then neither its tables nor its pages are free.
    ///
    /// # Errors
    /// As [`clear`](Self::clear).
    pub fn unlink_live<L: Linked<P>>(&mut self, link: L) -> Result<(), Refused<L>> {
        let link = self.cut(link, Below::Live)?;
        self.gather.keep_table(link.unlinked());
        Ok(())
    }

    /// Takes a table out of the space with all that hangs below it, to be put elsewhere or because others keep it. When
    /// this returns no CPU and no device reaches anything through the old place.
    ///
    /// Walkers without locks may still be in it: before it is used for another space's tables,
    /// [`wait_for_walkers`](crate::Mmu::wait_for_walkers).
    ///
    /// # Errors
    /// As [`clear`](Self::clear).
    pub fn detach<L: Linked<P>>(&mut self, link: L) -> Result<P::Table, Refused<L>> {
        let link = self.cut(link, Below::Live)?;
        self.gather.flush_entries();
        Ok(link.unlinked())
    }

    /// Puts one large page in the place of a table: the entry becomes invalid, all below it is flushed, then the leaf
    /// entry is stored, and the table comes out as an [unlinked](Self::unlink) one. What the table's entries mapped is
    /// the caller's, who copied it.
    ///
    /// # Errors
    /// As [`clear`](Self::clear); and when entries of this level map no pages.
    pub fn collapse<L: Linked<P>>(
        &mut self,
        link: L,
        leaf: Entry,
        bits: u64,
    ) -> Result<(), Refused<L>> {
        let level = link.level();
        if let Err(why) = self.gather.mmu.check_entry(level, leaf) {
            return Err(Refused { why, entry: link });
        }
        let link = self.cut(link, Below::Live)?;
        self.gather.flush_entries();
        let change = Change {
            level,
            old: Entry::Invalid,
            new: leaf,
            new_bits: bits,
            clears: Marks::NONE,
            below: Below::Cleared,
        };
        if let Err(why) = self.changed(&link.slot(), &change) {
            return Err(Refused { why, entry: link });
        }
        self.gather.keep_table(link.unlinked());
        Ok(())
    }

    /// Makes an entry invalid that points at a table, and records it.
    fn cut<L: Linked<P>>(&mut self, link: L, below: Below) -> Result<L, Refused<L>> {
        if link.space() != self.gather.space.id {
            let why = Misuse::OtherSpace;
            return Err(Refused { why, entry: link });
        }
        let Entry::Table { .. } = link.entry() else {
            let why = Misuse::NoSuchLevel;
            return Err(Refused { why, entry: link });
        };
        let change = Change {
            below,
            ..Change::vanishing(link.level(), link.entry())
        };
        match self.changed(&link.slot(), &change) {
            Ok(_) => Ok(link),
            Err(why) => Err(Refused { why, entry: link }),
        }
    }
}

impl<P: Platform> Mmu<P> {
    /// Whether an entry is a leaf of a space, at a level that has leaves; log2 of its bytes. What is `known` of the entry
    /// before it is not looked up again.
    ///
    /// # Errors
    /// When it is not.
    #[inline]
    pub(crate) fn check_leaf(
        &self,
        space: &AddressSpace<P>,
        leaf: &impl OwnedEntry,
        known: &mut Option<(Level, u32)>,
    ) -> Result<u32, Misuse> {
        let (level, entry) = (leaf.level(), leaf.entry());
        let Entry::Leaf { .. } = entry else {
            return Err(Misuse::NoSuchLevel);
        };
        let shift = match *known {
            Some((known, shift)) if known == level => shift,
            _ => self.check_entry(level, entry)?,
        };
        *known = Some((level, shift));
        if leaf.space() == space.id {
            Ok(shift)
        } else {
            Err(Misuse::OtherSpace)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn a_refusal_is_an_error_whatever_was_refused() {
        struct Entry;
        let refused = Refused {
            why: Misuse::OtherSpace,
            entry: Entry,
        };
        assert_eq!(format!("{refused:?}"), "Refused { why: OtherSpace, .. }");
        let error: &dyn core::error::Error = &refused;
        assert_eq!(format!("{error}"), "the entry is of another address space");
    }
}
