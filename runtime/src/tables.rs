//! Tables that were unlinked, until they are free.
//!
//! The order is the same on every path: the entry that points at the table becomes invalid; walk entries for it are flushed;
//! walkers in software that took no lock are waited for; the table is freed. How the third step is done depends on the
//! machine: where every flush sends an IPI to every CPU that may walk the table, the second step includes it. Otherwise the
//! tables wait in batches for a grace period ([`Platform::free_tables_deferred`]). Without a grace period, or without memory
//! for a batch, an IPI is sent to every CPU.
//!
//! Source: Linux `tlb_remove_table`; Linux 2ba99c5e0881 and 1013af4f585f, where a walker without locks was still in a table
//! that was used for something else.

use crate::gather::Gather;
use crate::mmu::Mmu;
use crate::platform::{Platform, Unlinked};

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
            if Mmu::<P>::FACTS.tables_deferred {
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
        if Mmu::<P>::FACTS.tables_deferred {
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
