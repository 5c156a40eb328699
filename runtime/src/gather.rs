//! Gathering: many entries change, one flush covers them, and pages and tables are released after it.
//!
//! ```
//! # use tlbc_runtime::{AddressSpace, Mmu, Platform, Pte, Refused};
//! /// Unmaps some pages, whose entries `lock` protects.
//! fn unmap<P: Platform, L, E: Pte<P>>(
//!     mmu: &Mmu<P>,
//!     space: &AddressSpace<P::CpuSet>,
//!     lock: L,
//!     entries: impl Iterator<Item = E>,
//! ) -> Result<(), Refused<E>> {
//!     mmu.gather(space, |gather| gather.locked(lock, |section, _| section.unmap_all(entries)))
//! }
//! ```
//!
//! A gather takes a closure so that pages are released after a finished flush, as [`Flushed`], or not at all, even after an early
//! return, a `?` or a panic that is caught. Only the platform allocates, and it may refuse at any time: then the gather flushes and
//! continues. No destructor flushes.
//!
//! In: entries, through [`Section`](crate::Section). Out: [`Platform::release_pages`], [`Platform::free_tables_deferred`],
//! [`Platform::free_table`]. Holds: a page leaves the gather only after a flush of everything that TLBs may have cached of the
//! entries changed so far. The pages of a gather that panics are lost, and the next flush of the space is one of everything.
//!
//! Source: Linux `mm/mmu_gather.c` for the requirements (nested gathers, reverse mappings of dirty file pages, one level above
//! for freed tables); Linux eb66ae030829 for the fault that occurs when the lock is released before the flush.

use core::mem::ManuallyDrop;

use crate::backend::{Backend, LazyMm};
use crate::fault::{Fault, is_back};
use crate::level::Level;
use crate::mmu::Mmu;
use crate::mmu::shootdown::FlushReason;
use crate::pages::Pages;
use crate::platform::{Platform, TableBatch};
use crate::pte::RequiredFlush;
use crate::request::{Extent, LevelTable, Ranges, Scope, Touched};
use crate::space::AddressSpace;
use crate::sync::Barrier;

/// The reverse mapping of some page is removed after the flush, before the lock of the section is released.
const RMAPS: u8 = 1;
/// Entries of the kernel that are new, or that gained rights, are published before the lock of the section is released.
pub(crate) const NEW: u8 = 1 << 1;
/// What is done before the lock of the section is released.
pub(crate) const BEFORE_UNLOCK: u8 = RMAPS | NEW;
/// A table was unlinked whose link no CPU caches. Unless instructions of this CPU publish that in a flush, it is published after the
/// flush.
pub(crate) const UNLINKED: u8 = 1 << 2;

/// A gather in progress. [`Mmu::gather`] lends it to its closure.
pub struct Gather<'m, P: Platform> {
    pub(crate) mmu: &'m Mmu<P>,
    pub(crate) space: &'m AddressSpace<P::CpuSet>,
    pub(crate) changed: Ranges,
    pages: ManuallyDrop<Pages<P>>,
    pub(crate) tables: ManuallyDrop<Option<P::BatchBox<TableBatch<P>>>>,
    /// Whether this is a teardown.
    whole: bool,
    /// Whether the space counts this gather as in progress.
    counts: bool,
    /// What is left to do beside the flush: bits of [`RMAPS`], [`NEW`] and [`UNLINKED`].
    pub(crate) remaining: u8,
}

impl<P: Platform> Mmu<P> {
    /// Runs a closure that changes entries of a space, then does the flush that the changes require, and gives pages and tables
    /// to the platform. When this returns, no CPU and no device can use what was unmapped. Returns what the closure returned.
    ///
    /// Gathers of one space may overlap, on other CPUs or nested. If one ends while another has changes that are not flushed yet,
    /// it flushes everything of the space, since it may rely on entries that the other has made invalid. Gathers that only store
    /// new entries, as page faults do, cause no such flush.
    ///
    /// # Context
    ///
    /// Any in which waiting for other CPUs is permitted: a gather waits for them at its end, and when the platform refuses
    /// memory. No lock may be held that another CPU waits for with interrupts off (see [`Platform`]).
    #[inline]
    pub fn gather<R>(
        &self,
        space: &AddressSpace<P::CpuSet>,
        body: impl FnOnce(&mut Gather<'_, P>) -> R,
    ) -> R {
        let mut gather = Gather::new(self, space, false);
        let result = body(&mut gather);
        gather.finish();
        core::mem::forget(gather);
        result
    }

    /// Runs a closure that unmaps everything of a space at its teardown, then flushes the whole space, including root entries, and
    /// gives pages and tables to the platform. [`release`](Self::release) frees the tag later. Returns what the closure returned.
    ///
    /// # Context
    ///
    /// As [`gather`](Self::gather). No CPU runs in the space, and none loads it again. CPUs that have it loaded lazily without a
    /// reference get an IPI and leave it.
    ///
    /// # Examples
    ///
    /// ```
    #[doc = include_str!("../doc/kernel.md")]
    /// let space = a_space();
    /// let table = Table::new(&space, Level(0));
    /// table.set(3, frame(7));
    /// let current = Current::User(space.clone());
    /// let _ = MMU.switch(CpuId(0), current, None); // no CPU runs in it
    /// MMU.teardown(&space, |gather| {
    ///     gather.locked((), |section, ()| section.unmap(table.entry(3)))
    /// })
    /// .expect("a mapped page");
    /// assert_eq!(log_lines().last().unwrap(), "frame 7 is free");
    /// ```
    pub fn teardown<R>(
        &self,
        space: &AddressSpace<P::CpuSet>,
        body: impl FnOnce(&mut Gather<'_, P>) -> R,
    ) -> R {
        if Self::facts().lazy_mm == LazyMm::Shootdown {
            self.shoot_lazies(space);
        }
        let mut gather = Gather::new(self, space, true);
        gather.count_in_progress();
        let result = body(&mut gather);
        gather.finish();
        core::mem::forget(gather);
        result
    }
}

impl<P: Platform> Drop for Gather<'_, P> {
    /// Runs only after a panic. Pages and tables are lost, because it is not known whether they were flushed. The next flush of
    /// the space is one of everything.
    fn drop(&mut self) {
        self.space.pending.abandoned.defer(); // before the space stops counting this gather
        if self.counts {
            self.space.counts.gathers.sub(1, Barrier::Complete);
        }
        let stats = |cpu| &self.mmu.platform.cpu(cpu).stats;
        self.mmu
            .platform
            .pin_cpu(false, |cpu| stats(cpu).abandoned.count(1));
    }
}

// The path that most gathers take at their end is one function.
#[allow(clippy::inline_always)]
impl<'m, P: Platform> Gather<'m, P> {
    /// Returns a gather in which nothing has changed. `whole` is whether this is a teardown.
    #[inline]
    fn new(mmu: &'m Mmu<P>, space: &'m AddressSpace<P::CpuSet>, whole: bool) -> Self {
        Self {
            mmu,
            space,
            changed: Ranges::new(),
            pages: ManuallyDrop::new(Pages::new()),
            tables: ManuallyDrop::new(None),
            whole,
            counts: false,
            remaining: 0,
        }
    }

    /// Flushes what was changed so far, and releases pages and tables. This is never required. A kernel may call it at a suitable
    /// moment: when no lock is held and the gather [`is_full`](Self::is_full).
    ///
    /// # Context
    ///
    /// As [`Mmu::gather`].
    ///
    /// # Examples
    ///
    /// ```
    #[doc = include_str!("../doc/kernel.md")]
    /// let space = a_space();
    /// let table = Table::new(&space, Level(0));
    /// (0..8).for_each(|index| table.set(index, frame(10 + index as u64)));
    /// MMU.gather(&space, |gather| {
    ///     for half in [0..4, 4..8] {
    ///         gather.locked(table.lock.lock().unwrap(), |section, _| {
    ///             section.unmap_all(half.map(|index| table.entry(index)))
    ///         })
    ///         .expect("mapped pages");
    ///         if gather.is_full() {
    ///             gather.flush(); // no lock is held here
    ///         }
    ///     }
    /// });
    /// assert_eq!(table.bits(7), 0);
    /// ```
    #[inline(always)]
    pub fn flush(&mut self) {
        if is_back(Fault::ReleasesBeforeFlush) {
            self.pages.release(&self.mmu.platform);
        }
        if is_back(Fault::FreesTablesBeforeFlush) && self.tables.is_some() {
            self.release_tables();
        }
        self.flush_gathered();
        self.pages.release(&self.mmu.platform);
        if self.tables.is_some() {
            self.release_tables();
        }
    }

    /// Returns whether the gather is so full that unmapping one more page causes a flush with the section's lock held. The kernel
    /// should then end the section and call [`flush`](Self::flush).
    ///
    /// # Context
    ///
    /// Any.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.pages.is_full()
    }

    /// Records the flush that a change requires.
    pub(crate) fn record(&mut self, required: &RequiredFlush, extent: Extent) {
        if required.is_required_now(Mmu::<P>::facts().may_fault(self.space.kind)) {
            self.count_in_progress();
            self.changed.require(required, extent);
        }
    }

    /// Flushes what was changed so far, and what else is required in an extent.
    pub(crate) fn flush_also(&mut self, required: &RequiredFlush, extent: Extent) {
        self.changed.require(required, extent);
        self.flush_gathered();
    }

    /// Returns whether entries of the space that others than this gather made invalid may not be flushed yet.
    pub(crate) fn others_are_pending(&self) -> bool {
        self.others_are_in_progress() || self.space.pending.are_unmaps_pending()
    }

    /// Returns whether other gathers of the space have changes that are not flushed yet, on a machine on which a change does not
    /// flush by itself, or for devices.
    #[inline]
    fn others_are_in_progress(&self) -> bool {
        (Mmu::<P>::facts().pte_update.batches_pages() || self.space.has_devices())
            && self.space.counts.gathers.acquire(Barrier::Pending) > u64::from(self.counts)
            && !is_back(Fault::IgnoresOtherGathers)
    }

    /// Counts this gather as in progress in its space, at the first change that requires a flush. A gather that only stores new
    /// entries, as page faults do, is not counted, so it makes no other gather flush.
    ///
    /// The lock of the changed entry's table is still held. Code that finds the entry with that lock held therefore also finds
    /// this gather counted.
    #[inline]
    pub(crate) fn count_in_progress(&mut self) {
        if !self.counts {
            self.counts = true;
            self.space.counts.gathers.add(1, Barrier::Defer);
        }
    }

    /// Returns the levels of the machine.
    pub(crate) fn levels(&self) -> &'static LevelTable {
        self.mmu.platform.backend().levels()
    }

    /// Returns which changes in an extent are not flushed yet.
    pub(crate) fn has_changed(&self, level: Level, extent: Extent) -> Touched {
        self.changed.touched(level, extent)
    }

    /// Keeps the page of an entry that was unmapped and recorded.
    #[inline]
    pub(crate) fn keep_page(&mut self, page: P::Page) {
        if P::delays_rmap_removal(&page) {
            self.remaining |= RMAPS;
        }
        if let Some(page) = self.pages.push(page) {
            self.keep_elsewhere(page);
        }
    }

    /// Keeps a page for which there is no room, and whose entry is recorded.
    #[cold]
    #[inline(never)]
    fn keep_elsewhere(&mut self, page: P::Page) {
        let mut page = ManuallyDrop::new(page); // lost if the platform panics, as are the others
        // Pages whose reverse mapping has to be removed are searched with a lock held, so in one batch at most.
        let crowded = self.remaining & RMAPS != 0 && self.pages.has_batch();
        let nothing_to_wait_for = self.changed.is_nothing() && !self.whole;
        if !crowded
            && !nothing_to_wait_for
            && !self.pages.has_all_batches()
            && let Some(batch) = self.mmu.platform.page_batch()
        {
            return self.pages.push_into(batch, ManuallyDrop::into_inner(page));
        }
        self.flush_gathered();
        if P::delays_rmap_removal(&page) {
            self.mmu.platform.remove_rmap(&mut page);
        }
        self.pages.release(&self.mmu.platform); // tables have room of their own
        let _ = self.pages.push(ManuallyDrop::into_inner(page)); // there is room now
    }

    /// Flushes what was changed so far, and then removes the reverse mappings whose removal was delayed. Afterwards no walker uses
    /// a table that was unlinked: where no flush has published that, it is published.
    #[inline(always)]
    pub(crate) fn flush_gathered(&mut self) {
        let is_published = if self.whole || self.attach_is_pending() {
            self.flush_whole_space()
        } else if !self.changed.is_nothing() {
            self.mmu.flush_changed(self.space, &self.changed)
        } else {
            false
        };
        // This comes after the flush: if the flush panics, the changes are not flushed.
        self.changed.forget();
        if self.remaining & (RMAPS | UNLINKED) != 0 {
            self.finish_flush(is_published);
        }
    }

    /// Does what is left to do after a flush: publishes unlinked tables, unless the flush has done so, and removes the reverse
    /// mappings whose removal was delayed.
    #[cold]
    #[inline(never)]
    fn finish_flush(&mut self, is_published: bool) {
        if self.remaining & UNLINKED != 0 && !is_published {
            self.mmu.publish(self.space);
        }
        let delays = self.remaining & RMAPS != 0;
        self.remaining &= !(RMAPS | UNLINKED);
        if delays {
            let delayed = |page: &&mut P::Page| P::delays_rmap_removal(page);
            for page in self.pages.held().filter(delayed) {
                self.mmu.platform.remove_rmap(page);
            }
        }
    }

    /// Returns whether a flush is pending that must be complete before another CPU attaches the space.
    #[inline]
    fn attach_is_pending(&self) -> bool {
        Mmu::<P>::facts().pte_update.is_deferrable() && self.space.pending.attach.is_pending()
    }

    /// Flushes everything of the space, if anything was changed or a flush is pending. Returns whether that has published the
    /// changes.
    #[cold]
    #[inline(never)]
    fn flush_whole_space(&self) -> bool {
        if self.attach_is_pending() || !self.changed.is_nothing() {
            let why = if self.whole {
                FlushReason::Requested
            } else {
                FlushReason::Pending
            };
            let everything = Scope::Everything { tables: true };
            self.mmu.flush_space(self.space, everything, why)
        } else {
            false
        }
    }

    /// Does what has to be done before the lock of a section is released.
    #[cold]
    #[inline(never)]
    pub(crate) fn end_section(&mut self) {
        if self.remaining & RMAPS != 0 {
            self.flush_gathered();
        }
        if self.remaining & NEW != 0 {
            self.remaining &= !NEW;
            self.mmu.publish(self.space);
        }
    }

    /// Ends the gather: flushes and releases what is left.
    fn finish(&mut self) {
        // Other gathers may have made entries invalid that this one found invalid, and may not have flushed them yet.
        let abandoned = &self.space.pending.abandoned;
        if self.whole || self.others_are_in_progress() || abandoned.is_pending() {
            self.finish_whole_space();
        }
        self.flush();
        self.pages.free_batch();
        if self.counts {
            self.space.counts.gathers.sub(1, Barrier::Complete);
        }
    }

    /// Flushes everything, because this is a teardown or because entries that others made invalid may not be flushed yet.
    #[cold]
    #[inline(never)]
    fn finish_whole_space(&mut self) {
        let everything = Scope::Everything { tables: true };
        let (scope, why) = if self.whole {
            (Scope::Teardown, FlushReason::Requested)
        } else if self.others_are_in_progress() {
            (everything, FlushReason::Nested)
        } else {
            (everything, FlushReason::Pending)
        };
        if self.mmu.flush_space(self.space, scope, why) {
            self.remaining &= !UNLINKED;
        }
        self.changed.forget();
    }

    /// Completes the pending flushes before code relies on invalid entries.
    #[cold]
    #[inline(never)]
    pub(crate) fn complete_pending(&self) {
        let everything = Scope::Everything { tables: true };
        self.mmu
            .flush_space(self.space, everything, FlushReason::Pending);
    }
}
