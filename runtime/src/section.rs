//! What may be done to entries while their table is locked.

use core::fmt;

use crate::Mmu;
use crate::change::{Below, Change, Entry, Slot, Was};
use crate::clause::Level;
use crate::gather::Gather;
use crate::mmu::Misuse;
use crate::platform::Platform;
use crate::request::Extent;
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
            let extent = Extent::new(slot.va, (slot.entries.len() as u64) << shift);
            let changed = gather.mmu.change(gather.space, &slot, &change, true);
            if !changed.obligation.is_nothing() {
                gather.record_leaf(level, extent);
            }
            if let Some(page) = mapped.unmapped(changed.was)
                && let Some(page) = gather.keep(page)
            {
                gather.keep_elsewhere(page);
            }
        }
        Ok(())
    }

    /// Changes entries of the space that stay the kernel's: to other rights, to another page, to nothing. What that
    /// leaves in TLBs is flushed with the rest.
    ///
    /// # Errors
    /// When the machine has no such entry at this level, or wants it invalid and flushed in between: then
    /// [`replace`](Self::replace) is meant. Nothing is changed.
    pub fn change(&mut self, slot: &Slot<'_>, change: &Change) -> Result<Was, Misuse> {
        self.gather.mmu.check_change(self.gather.space, change)?;
        self.changed(slot, change)
    }

    /// The same, where the machine wants the entry invalid and flushed before it says something else (break before make):
    /// it is, for a moment. Whoever faults in that moment has to wait for the lock of this section.
    ///
    /// # Errors
    /// When the machine has no such entry at this level. Nothing is changed.
    pub fn replace(&mut self, slot: &Slot<'_>, change: &Change) -> Result<Was, Misuse> {
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
        let gather = &mut *self.gather;
        gather.mmu.check_entry(change.level, change.new)?;
        let shift = gather.mmu.check_entry(change.level, change.old)?;
        let changed = gather.mmu.change(gather.space, slot, change, true);
        let extent = Extent::new(slot.va, (slot.entries.len() as u64) << shift);
        gather.record(&changed.obligation, extent);
        Ok(changed.was)
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
