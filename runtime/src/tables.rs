//! Tables on their way out.
//!
//! In this order, on every path: the entry that points at the table is cleared; walk entries that remember it are dropped;
//! walkers in software that took no lock are waited for; the table is free. How the third is done is the machine's: where
//! every flush interrupts every CPU it is done with the second; otherwise the tables wait in batches
//! ([`Platform::free_tables_deferred`]), and where the platform refuses memory for a batch every CPU is interrupted for one
//! table's sake.
//!
//! Source: Linux `tlb_remove_table`; Linux 2ba99c5e0881 and 1013af4f585f, where a walker without locks was still in a table
//! that was used for something else.

use crate::Mmu;
use crate::gather::Gather;
use crate::platform::Platform;

/// Tables that no CPU and no device walks any more, but walkers in software may.
#[must_use = "tables that are dropped are lost"]
pub struct Unlinked<P: Platform>(P::TableBatch);

impl<P: Platform> Unlinked<P> {
    /// The tables, which may be used for something else. To be called when every walker without locks is gone that ran
    /// when the platform was given them.
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

impl<P: Platform> Gather<'_, '_, P> {
    /// Keeps a table that was unlinked and recorded.
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

    /// Hands out the tables, which are flushed.
    pub(crate) fn hand_out_tables(&mut self) {
        if self.tables.is_none() {
            return; // as most: nothing is to be stored
        }
        let Some(batch) = self.tables.take() else {
            return;
        };
        let unlinked = Unlinked::<P>(batch);
        if Mmu::<P>::FACTS.tables_deferred {
            self.mmu.platform.free_tables_deferred(unlinked);
        } else {
            unlinked
                .after_walkers()
                .for_each(|table| self.mmu.platform.free_table(table));
        }
    }
}
