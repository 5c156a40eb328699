//! Unlinks tables and frees them, and exchanges a table for a large page.
//!
//! In: entries that point at tables or map large pages, through [`Section`]. Out: tables, to [`Platform::free_tables_deferred`] or
//! [`Platform::free_table`]; or to a caller that moves a table.
//!
//! The order is the same on every path: the entry that points at the table becomes invalid; its walk entries are flushed; the
//! runtime waits for software walkers that take no lock; the table is freed. How the third step is done depends on the machine.
//! If every flush sends an IPI to every CPU that may walk the table, the second step includes the third. Otherwise the tables
//! wait in batches for a grace period ([`Platform::free_tables_deferred`]). If there is no grace period, or no memory for a
//! batch, an IPI is sent to every CPU.
//!
//! Source: Linux `tlb_remove_table`; Linux 2ba99c5e0881 and 1013af4f585f, where a walker that took no lock was still in a table
//! that was already used for something else.

use core::mem::ManuallyDrop;

use crate::backend::TableFree;
use crate::fault::{Fault, is_back};
use crate::gather::Gather;
use crate::misuse::{Misuse, Refused, check_entry};
use crate::mmu::Mmu;
use crate::platform::{Platform, Pte, Unlinked};
use crate::pte::{Below, Change, Entry, Was};
use crate::section::{Section, change_of};

impl<P: Platform> Unlinked<P> {
    /// Returns the tables, which may be used for something else.
    ///
    /// # Context
    ///
    /// After a grace period: every software walker without locks that was running when the platform got the tables has left.
    pub fn after_grace_period(self) -> impl Iterator<Item = P::Table> {
        let mut batch = Some(ManuallyDrop::into_inner(self.0));
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
    /// Unlinks a table all of whose entries are invalid; they may have become invalid in this gather or before. The table is freed
    /// after the flush, when neither hardware nor software walks it any more.
    ///
    /// # Errors
    ///
    /// If the entry is in another space or points at no table, and if the machine has no such entry at its level. The entry is
    /// not changed, and it is returned.
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
        let (pte, was) = self.clear_link(pte, Below::Cleared)?;
        self.gather.keep_table(pte.into_table(was.any));
        Ok(())
    }

    /// Unlinks a table, whose entries are still valid, and everything below it by one store. One flush covers all of it. After
    /// that the table is freed as by [`unlink`](Self::unlink). What is below it is freed with it, by the kernel's
    /// [`Platform::Table`]; until then neither its tables nor its pages are free.
    ///
    /// # Errors
    ///
    /// As [`unlink`](Self::unlink).
    pub fn unlink_subtree<E: Pte<P>>(&mut self, pte: E) -> Result<(), Refused<E>> {
        let (pte, was) = self.clear_link(pte, Below::Live)?;
        self.gather.keep_table(pte.into_table(was.any));
        Ok(())
    }

    /// Detaches a table and everything below it from the space, and returns the table. The kernel links it elsewhere, or other
    /// spaces still use it. When this returns, no CPU and no device accesses anything through the entry.
    ///
    /// Software walkers without locks may still be in the table: the kernel calls
    /// [`wait_for_walkers`](crate::Mmu::wait_for_walkers) before it uses the table in another space.
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
        let (pte, was) = self.clear_link(pte, Below::Live)?;
        if !is_back(Fault::DetachesUnflushed) {
            self.gather.flush_gathered();
        }
        Ok(pte.into_table(was.any))
    }

    /// Replaces a table, whose entries may still be valid, by one large page. The table is freed as by [`unlink`](Self::unlink),
    /// after a flush of everything below it. The pages that its entries mapped belong to the caller, which has copied them. They may
    /// be freed when the gather has returned, or with the table, whose entries still name them.
    ///
    /// # Errors
    ///
    /// As [`unlink`](Self::unlink); and if the bits are no leaf entry, or entries of this level map no pages.
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
                Entry::Leaf { .. } => check_entry(self.gather.levels(), level, change.new),
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

    /// Replaces a large page by a table that maps the same memory in smaller pages. Returns the bits that the entry had before.
    ///
    /// The kernel has filled the table. The memory stays in use, so no page is released. The bits have every mark that the machine
    /// set before the entry changed: if the page was written after the table was filled, the kernel transfers the dirty mark.
    ///
    /// # Errors
    ///
    /// If the entry is in another space or maps no page, if the bits point at no table, and if the machine has no such entry at
    /// its level. The entry is not changed.
    ///
    /// # Examples
    ///
    /// ```
    #[doc = include_str!("../doc/kernel.md")]
    /// let space = a_space();
    /// let upper = Table::new(&space, Level(1));
    /// upper.set(0, frame(512) | LARGE | DIRTY);
    /// let old = MMU.gather(&space, |gather| {
    ///     gather.locked(upper.lock.lock().unwrap(), |section, _| section.split(&upper.entry(0), frame(9)))
    /// })?;
    /// assert_eq!(upper.bits(0), frame(9)); // it points at a table
    /// assert_eq!(old & DIRTY, DIRTY);
    /// assert_eq!(log_lines(), ["invlpg { va: 0 }"]); // nothing is released
    /// # Ok::<(), Misuse>(())
    /// ```
    pub fn split<E: Pte<P>>(&mut self, pte: &E, bits: u64) -> Result<u64, Misuse> {
        let (mmu, space) = (self.gather.mmu, self.gather.space);
        let (level, slot) = (pte.level(), pte.slot());
        let change = change_of::<P, E>(level, slot.was(), bits);
        let (_, shift) = mmu.check_leaf(space, pte, &slot, &mut None)?;
        match change.new {
            Entry::Table { .. } => check_entry(self.gather.levels(), level, change.new)?,
            Entry::Leaf { .. } | Entry::Invalid => return Err(Misuse::NotATable),
        };
        Ok(self.exchange(&slot, shift, &change).any)
    }

    /// Makes an entry invalid that points at a table, and records it. Returns what was in it.
    fn clear_link<E: Pte<P>>(&mut self, pte: E, below: Below) -> Result<(E, Was), Refused<E>> {
        let (level, slot) = (pte.level(), pte.slot());
        let old = E::decode(level, slot.first());
        let shift = match self.check_table(&pte, old) {
            Ok(shift) => shift,
            Err(why) => return Err(Refused { why, entry: pte }),
        };
        let change = Change {
            below,
            ..Change::to_invalid(level, old)
        };
        let was = self.store(&slot, shift, &change);
        Ok((pte, was))
    }

    /// Checks that an entry of the gather's space points at a table. Returns log2 of the bytes that it translates.
    fn check_table<E: Pte<P>>(&self, pte: &E, entry: Entry) -> Result<u32, Misuse> {
        self.check_space(pte)?;
        match entry {
            Entry::Table { .. } => check_entry(self.gather.levels(), pte.level(), entry),
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
        let table = ManuallyDrop::new(table); // lost if the platform panics, as are the others
        if self.tables.is_some() {
            self.flush_gathered(); // the batch is full
            self.release_tables();
        }
        if let Some(mut batch) = self.mmu.platform.table_batch() {
            batch.used = 0;
            batch.next = None;
            if batch.push(ManuallyDrop::into_inner(table)).is_none() {
                *self.tables = Some(batch);
            }
        } else {
            self.flush_gathered();
            if Mmu::<P>::facts().table_free == TableFree::GracePeriod {
                self.mmu.wait_for_walkers();
            }
            self.mmu
                .platform
                .free_table(ManuallyDrop::into_inner(table));
        }
    }

    /// Gives the tables, whose entries are flushed, to the platform.
    #[cold]
    #[inline(never)]
    pub(crate) fn release_tables(&mut self) {
        let Some(batch) = self.tables.take() else {
            return;
        };
        let mut unlinked = Unlinked::<P>(ManuallyDrop::new(batch));
        if Mmu::<P>::facts().table_free == TableFree::GracePeriod {
            match self.mmu.platform.free_tables_deferred(unlinked) {
                Ok(()) => return,
                Err(back) => unlinked = back,
            }
            self.mmu.wait_for_walkers();
        }
        for table in unlinked.after_grace_period() {
            self.mmu.platform.free_table(table);
        }
    }
}
