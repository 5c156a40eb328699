//! Changes of valid entries that keep their page or table.
//!
//! In: a function from the old bits to the new ones. Out: the old bits. Holds: no mark that the machine sets is lost.

use crate::misuse::{Misuse, check_entry};
use crate::platform::{Platform, Pte};
use crate::pte::{Change, Entry};
use crate::section::{Section, change_of};

impl<P: Platform> Section<'_, '_, P> {
    /// Changes rights, attributes, accessed and dirty marks, or software bits of a valid entry in one atomic update. The entry
    /// keeps its page or table. Returns the bits that the entry had before.
    ///
    /// `compute` returns the new bits for the bits that it is given. These include every mark that the machine has set before the
    /// entry changes, and no mark is lost: `compute` is called again if the machine has set a mark since the entry was read. The
    /// new bits may be an invalid entry, in which software keeps the page; [`map`](Self::map) makes it valid again.
    ///
    /// # Errors
    ///
    /// If the entry is in another space or is not valid, if the new bits map another page or point at another table, and if the
    /// machine has no such entry at its level.
    ///
    /// # Examples
    ///
    /// ```
    #[doc = include_str!("../../doc/kernel.md")]
    /// let space = a_space();
    /// let table = Table::new(&space, Level(0));
    /// table.set(3, frame(7) | WRITABLE | DIRTY);
    /// let old = MMU.gather(&space, |gather| {
    ///     gather.locked(table.lock.lock().unwrap(), |section, _| {
    ///         section.protect(&table.entry(3), |bits| bits & !WRITABLE)
    ///     })
    /// })?;
    /// assert_eq!(old & DIRTY, DIRTY);
    /// assert_eq!(table.bits(3), frame(7) | DIRTY);
    /// assert_eq!(log_lines(), ["invlpg { va: 3000 }"]);
    /// # Ok::<(), Misuse>(())
    /// ```
    pub fn protect<E: Pte<P>>(
        &mut self,
        pte: &E,
        mut compute: impl FnMut(u64) -> u64,
    ) -> Result<u64, Misuse> {
        self.check_space(pte)?;
        let (level, slot) = (pte.level(), pte.slot());
        let mut lost = 0; // marks that were set after the entry was read, and not stored again
        loop {
            let seen = slot.was();
            let old = seen.with(lost);
            let change = change_of::<P, E>(level, old, compute(old.any));
            let shift = self.check_same_page(&change)?;
            let (mmu, space) = (self.gather.mmu, self.gather.space);
            if mmu.must_break(space, &change) {
                let was = self.make_invalid(&slot, shift, &change).with(lost);
                let mut made = change_of::<P, E>(level, was, compute(was.any));
                let checked = self.check_same_page(&made);
                if checked.is_err() {
                    // `compute` returned other bits because more marks were set: the entry keeps its old bits.
                    (made.new, made.new_bits) = (made.old, was.any);
                }
                self.make_valid(&slot, shift, &made);
                return checked.map(|_| was.any);
            }
            let Some(changed) = mmu.change_if(space, &slot, seen, &change) else {
                if slot.entries.len() > 1 {
                    // Some of them may have changed.
                    let facts = mmu.change_facts(space);
                    let extent = slot.extent(shift);
                    self.gather.record(&change.required_flush(&facts), extent);
                }
                core::hint::spin_loop();
                continue;
            };
            self.record(slot.extent(shift), &change, &changed);
            let more = changed.was.any & !seen.any;
            if more == 0 {
                return Ok(old.any);
            }
            lost |= more;
        }
    }

    /// Checks that a change keeps the page or the table of a valid entry. Returns log2 of the bytes that the entry translates.
    fn check_same_page(&self, change: &Change) -> Result<u32, Misuse> {
        let is_same = match (change.old, change.new) {
            (Entry::Invalid, _) => return Err(Misuse::NotValid),
            (Entry::Leaf { page, .. }, Entry::Leaf { page: new, .. }) => page == new,
            (Entry::Table { table, .. }, Entry::Table { table: new, .. }) => table == new,
            (Entry::Leaf { .. }, Entry::Invalid) => true,
            (Entry::Leaf { .. }, Entry::Table { .. }) | (Entry::Table { .. }, _) => false,
        };
        let shift = check_entry(self.gather.levels(), change.level, change.old)?;
        if is_same {
            Ok(shift)
        } else {
            Err(Misuse::OtherPage)
        }
    }
}
