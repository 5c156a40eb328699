//! Tables that are unlinked, until they are free.
//!
//! In: entries that point at tables, through [`Section`]. Out: tables, to [`Platform::free_tables_deferred`] or
//! [`Platform::free_table`]; or to the caller, who moves one.
//!
//! The order is the same on every path: the entry that points at the table becomes invalid; walk entries for it are flushed;
//! walkers in software that took no lock are waited for; the table is freed. How the third step is done depends on the
//! machine: where every flush sends an IPI to every CPU that may walk the table, the second step includes it. Otherwise the
//! tables wait in batches for a grace period ([`Platform::free_tables_deferred`]). Without a grace period, or without memory
//! for a batch, an IPI is sent to every CPU.
//!
//! Source: Linux `tlb_remove_table`; Linux 2ba99c5e0881 and 1013af4f585f, where a walker without locks was still in a table
//! that was used for something else.

use crate::backend::TableFree;
use crate::gather::Gather;
use crate::mmu::{Misuse, Mmu};
use crate::platform::{Platform, Pte, Unlinked};
use crate::pte::{Below, Change, Entry, Was};
use crate::section::{Refused, Section, change_of};

impl<P: Platform> Unlinked<P> {
    /// Returns the tables, which may be used for something else.
    ///
    /// # Context
    ///
    /// After a grace period: every walker without locks has left that ran when the platform was given the tables.
    pub fn after_walkers(self) -> impl Iterator<Item = P::Table> {
        let mut batch = Some(self.0);
        core::iter::from_fn(move || {
            loop {
                let first = batch.as_mut()?;
                if let Some(table) = first.pop() {
                    return Some(table);
                }
                batch = first.next.take();
            }
        })
    }
}

impl<P: Platform> Section<'_, '_, P> {
    /// Unlinks a table whose entries are all invalid, here or before. It is freed after the flush, when nothing walks it any
    /// more, neither hardware nor software.
    ///
    /// # Errors
    ///
    /// When the entry is in another space or points at no table, and when the machine has no such entry at its level. The entry
    /// is not changed, and given back.
    ///
    /// # Examples
    ///
    /// ```
    #[doc = include_str!("../doc/kernel.md")]
    /// let space = a_space();
    /// let upper = Table::new(&space, Level(1));
    /// upper.set(0, frame(9)); // it points at a table
    /// MMU.gather(&space, |gather| {
    ///     gather.locked(upper.lock.lock().unwrap(), |section, _| section.unlink(upper.entry(0)))
    /// })
    /// .expect("a linked table");
    /// assert_eq!(upper.bits(0), 0);
    /// assert_eq!(log_lines().last().unwrap(), "frame 9 is free"); // after the flush
    /// ```
    pub fn unlink<E: Pte<P>>(&mut self, pte: E) -> Result<(), Refused<E>> {
        let (pte, was) = self.cut(pte, Below::Cleared)?;
        self.gather.keep_table(pte.into_table(was.any));
        Ok(())
    }

    /// Unlinks a table with everything below it, whose entries are still valid, by one store. The table is freed as by
    /// [`unlink`](Self::unlink), after one flush of all of it, and what is below it with it, as the kernel defines its
    /// [`Platform::Table`]: until then neither its tables nor its pages are free.
    ///
    /// # Errors
    ///
    /// As [`unlink`](Self::unlink).
    pub fn unlink_subtree<E: Pte<P>>(&mut self, pte: E) -> Result<(), Refused<E>> {
        let (pte, was) = self.cut(pte, Below::Live)?;
        self.gather.keep_table(pte.into_table(was.any));
        Ok(())
    }

    /// Takes a table out of the space with everything below it, to be linked elsewhere or because others keep it. When
    /// this returns no CPU and no device reaches anything through the entry.
    ///
    /// Walkers without locks may still be in it: before it is used for another space's tables,
    /// [`wait_for_walkers`](crate::Mmu::wait_for_walkers).
    ///
    /// # Errors
    ///
    /// As [`unlink`](Self::unlink).
    ///
    /// # Examples
    ///
    /// ```
    #[doc = include_str!("../doc/kernel.md")]
    /// let space = a_space();
    /// let upper = Table::new(&space, Level(1));
    /// upper.set(0, frame(9)); // it points at a table
    /// let table: Frame = MMU.gather(&space, |gather| {
    ///     gather.locked(upper.lock.lock().unwrap(), |section, _| section.detach(upper.entry(0)))
    /// })
    /// .expect("a linked table");
    /// assert_eq!(table, Frame(9));
    /// ```
    pub fn detach<E: Pte<P>>(&mut self, pte: E) -> Result<P::Table, Refused<E>> {
        let (pte, was) = self.cut(pte, Below::Live)?;
        self.gather.flush_entries();
        Ok(pte.into_table(was.any))
    }

    /// Replaces a table, whose entries may still be valid, by one large page. The table is freed as by [`unlink`](Self::unlink),
    /// after a flush of everything below it. The pages that its entries mapped belong to the caller, who copied them.
    ///
    /// # Errors
    ///
    /// As [`unlink`](Self::unlink); and when the bits are no leaf entry, or entries of this level map no pages.
    ///
    /// # Examples
    ///
    /// ```
    #[doc = include_str!("../doc/kernel.md")]
    /// let space = a_space();
    /// let upper = Table::new(&space, Level(1));
    /// upper.set(0, frame(9)); // it points at a table
    /// MMU.gather(&space, |gather| {
    ///     gather.locked(upper.lock.lock().unwrap(), |section, _| section.collapse(upper.entry(0), frame(512) | LARGE))
    /// })
    /// .expect("a linked table");
    /// assert_eq!(upper.bits(0), frame(512) | LARGE);
    /// assert_eq!(log_lines().last().unwrap(), "frame 9 is free");
    /// ```
    pub fn collapse<E: Pte<P>>(&mut self, pte: E, bits: u64) -> Result<(), Refused<E>> {
        let (level, slot) = (pte.level(), pte.slot());
        let change = Change {
            below: Below::Live,
            ..change_of::<P, E>(level, slot.was(), bits)
        };
        let checked = self
            .check_table(&pte, change.old)
            .and_then(|_| match change.new {
                Entry::Leaf { .. } => self.gather.mmu.check_entry(level, change.new),
                Entry::Table { .. } | Entry::Invalid => Err(Misuse::NotALeaf),
            });
        let shift = match checked {
            Ok(shift) => shift,
            Err(why) => return Err(Refused { why, entry: pte }),
        };
        let was = self.exchange(&slot, shift, &change);
        self.gather.keep_table(pte.into_table(was.any));
        Ok(())
    }

    /// Makes an entry invalid that points at a table, and records it. Returns what was in it.
    fn cut<E: Pte<P>>(&mut self, pte: E, below: Below) -> Result<(E, Was), Refused<E>> {
        let (level, slot) = (pte.level(), pte.slot());
        let old = E::decode(level, slot.first());
        let shift = match self.check_table(&pte, old) {
            Ok(shift) => shift,
            Err(why) => return Err(Refused { why, entry: pte }),
        };
        let change = Change {
            below,
            ..Change::vanishing(level, old)
        };
        let was = self.store(&slot, shift, &change);
        Ok((pte, was))
    }

    /// Checks that an entry of the gather's space points at a table. Returns log2 of the bytes that it translates.
    fn check_table<E: Pte<P>>(&self, pte: &E, entry: Entry) -> Result<u32, Misuse> {
        self.check_space(pte)?;
        match entry {
            Entry::Table { .. } => self.gather.mmu.check_entry(pte.level(), entry),
            Entry::Leaf { .. } | Entry::Invalid => Err(Misuse::NotATable),
        }
    }
}

impl<P: Platform> Gather<'_, P> {
    /// Keeps a table that was unlinked, and whose entry is recorded.
    pub(crate) fn keep_table(&mut self, table: P::Table) {
        let refused = match &mut *self.tables {
            Some(batch) => batch.push(table),
            None => Some(table),
        };
        let Some(table) = refused else { return };
        if self.tables.is_some() {
            self.flush_entries(); // the batch is full
            self.hand_out_tables();
        }
        if let Some(mut batch) = self.mmu.platform.table_batch() {
            batch.used = 0;
            batch.next = None;
            if batch.push(table).is_none() {
                *self.tables = Some(batch);
            }
        } else {
            self.flush_entries();
            if Mmu::<P>::FACTS.table_free == TableFree::GracePeriod {
                self.mmu.wait_for_walkers();
            }
            self.mmu.platform.free_table(table);
        }
    }

    /// Hands out the tables, whose entries are flushed.
    pub(crate) fn hand_out_tables(&mut self) {
        if self.tables.is_none() {
            return; // the common case, in which nothing is to be stored
        }
        let Some(batch) = self.tables.take() else {
            return;
        };
        let mut unlinked = Unlinked::<P>(batch);
        if Mmu::<P>::FACTS.table_free == TableFree::GracePeriod {
            match self.mmu.platform.free_tables_deferred(unlinked) {
                Ok(()) => return,
                Err(back) => unlinked = back,
            }
            self.mmu.wait_for_walkers();
        }
        for table in unlinked.after_walkers() {
            self.mmu.platform.free_table(table);
        }
    }
}
