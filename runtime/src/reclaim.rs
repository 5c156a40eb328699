//! Batched unmap: many pages of many spaces are unmapped, and one wait at the end serves them all.
//!
//! In: entries, one by one. Out: an [`Unmapped`] for each, which is exchanged for its page with the [`Waited`] of the wait that
//! covers it. Until that wait the space has a pending flush: [`Gather::locked`](crate::Gather::locked) completes it first, so no
//! CPU can use an invalid entry while the lock of its table is held by a gather.
//!
//! A page that was dirty when it was unmapped may be written to disk only after a wait ([`UnmapBatch::before_io`]). A page that
//! was clean, and not made clean by a gather that is still in progress, stays clean on a machine on which a clean entry becomes
//! dirty only by a walk. On other machines each page is
//! flushed when it is unmapped.
//!
//! Source: Linux `mm/rmap.c` (`flush_tlb_batched_pending`): which pending flush a concurrent change of the space has to see.

use core::mem::ManuallyDrop;

use crate::backend::{Backend, Started};
use crate::cpu::Message;
use crate::fault::{Fault, is_back};
use crate::flush::{Course, Flush};
use crate::mask::{CpuId, CpuMask};
use crate::misuse::Refused;
use crate::mmu::Mmu;
use crate::platform::{Platform, Pte};
use crate::pte::Change;
use crate::request::{Ranges, Reach, Space, SpaceFlags};
use crate::space::AddressSpace;
use crate::sync::Barrier;

/// A page that was unmapped and that some CPU or device may still access.
///
/// If this is dropped, the page is not: it is lost, since it may still be in use.
#[derive(Debug)]
#[must_use = "the page is lost if it is never redeemed"]
pub struct Unmapped<T> {
    nth_wait: u64,
    page: ManuallyDrop<T>,
}

/// The proof that a wait is over.
#[derive(Debug)]
#[must_use = "a page is redeemed only with the wait that covers it"]
pub struct Waited {
    nth_wait: u64,
}

impl Waited {
    /// Returns the page, which no CPU and no device can access any more.
    ///
    /// # Errors
    ///
    /// If the page was unmapped after the wait, or in another batch: it is returned unchanged.
    pub fn redeem<T>(&self, unmapped: Unmapped<T>) -> Result<T, Unmapped<T>> {
        let is_covered = unmapped.nth_wait == self.nth_wait || is_back(Fault::RedeemsEarly);
        if is_covered || unmapped.nth_wait == AT_ONCE {
            Ok(ManuallyDrop::into_inner(unmapped.page))
        } else {
            Err(unmapped)
        }
    }
}

/// The wait of a page that was flushed when it was unmapped.
const AT_ONCE: u64 = 0;

/// A batched unmap in progress: what [`Mmu::reclaim`] lends to its closure.
pub struct UnmapBatch<'m, P: Platform> {
    mmu: &'m Mmu<P>,
    cpu: CpuId,
    nth_wait: u64,
    /// CPUs that flush at the next wait, which may include this one: they have loaded a space with unmapped pages.
    targets: P::CpuSet,
    /// Flushes of one kind that were started on this CPU: one finish completes all of them.
    started: Option<(Started, FinishKind)>,
    /// Whether a page that may be cached as dirty was unmapped after the last wait.
    dirty: bool,
}

/// A kind of flushes that one finish completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FinishKind {
    reach: Reach,
    global: bool,
    flags: SpaceFlags,
}

impl<P: Platform> Mmu<P> {
    /// Runs a closure that unmaps pages without waiting for each, and then waits for the pages that the closure has not waited
    /// for. Returns what the closure returned.
    ///
    /// # Context
    ///
    /// As [`gather`](Self::gather). The whole closure runs on one CPU, since a flush must be finished on the CPU that started it.
    ///
    /// # Examples
    ///
    /// ```
    #[doc = include_str!("../doc/kernel.md")]
    /// let space = a_space();
    /// let table = Table::new(&space, Level(0));
    /// (0..2).for_each(|index| table.set(index, frame(10 + index as u64)));
    /// let frames: Vec<Frame> = MMU.reclaim(|batch| {
    ///     let unmapped: Vec<_> = (0..2)
    ///         .map(|index| batch.unmap(&space, table.entry(index)).expect("a mapped page"))
    ///         .collect();
    ///     let waited = batch.wait();
    ///     let redeem = |page| waited.redeem(page).expect("unmapped before the wait");
    ///     unmapped.into_iter().flatten().map(redeem).collect()
    /// });
    /// assert_eq!(frames, [Frame(10), Frame(11)]);
    /// ```
    pub fn reclaim<R>(&self, body: impl FnOnce(&mut UnmapBatch<'_, P>) -> R) -> R {
        self.platform.pin_cpu(false, |cpu| {
            let mut batch = UnmapBatch {
                mmu: self,
                cpu,
                nth_wait: self.next_wait(),
                targets: P::CpuSet::NONE,
                started: None,
                dirty: false,
            };
            let result = body(&mut batch);
            if !is_back(Fault::EndsUnwaited) {
                batch.finish_and_wait();
            }
            result
        })
    }

    /// Returns a number that no other wait has.
    fn next_wait(&self) -> u64 {
        loop {
            let nth_wait = self.waits.add(1, Barrier::Defer).wrapping_add(1);
            if nth_wait != AT_ONCE {
                return nth_wait;
            }
        }
    }
}

impl<P: Platform> UnmapBatch<'_, P> {
    /// Unmaps a page. Returns the page, to be [redeemed](Waited::redeem) after a wait; or `None` if the entry owned none.
    ///
    /// # Context
    ///
    /// As [`Mmu::gather`], with the lock of the entry's table held.
    ///
    /// # Errors
    ///
    /// If the entry is in another space or is no leaf entry, and if the machine has no leaf entries at its level. The entry is
    /// not changed, and it is returned.
    pub fn unmap<E: Pte<P>>(
        &mut self,
        space: &AddressSpace<P::CpuSet>,
        pte: E,
    ) -> Result<Option<Unmapped<P::Page>>, Refused<E>> {
        let mmu = self.mmu;
        let (level, slot) = (pte.level(), pte.slot());
        let (old, shift) = match mmu.check_leaf(space, &pte, &slot, &mut None) {
            Ok(leaf) => leaf,
            Err(why) => return Err(Refused { why, entry: pte }),
        };
        let extent = slot.extent(shift);
        let change = Change::to_invalid(level, old);
        // The change may not be deferred to a flush of the whole space: if a page is flushed by itself, that would be
        // a flush of the whole space for each page.
        let changed = mmu.change(space, &slot, &change, false);
        let facts = mmu.platform.backend().change_facts(space.flags());
        let mut nth_wait = self.nth_wait;
        if changed.required.is_nothing() {
            nth_wait = AT_ONCE; // the change has flushed it
        } else {
            let mut ranges = Ranges::new();
            ranges.leaf(level, extent);
            let of_user = space.kind == Space::User;
            if of_user && facts.clean_to_dirty_walks && !Mmu::<P>::facts().one_at_a_time {
                self.with_interrupts_off(|this| this.defer(space, &ranges));
                // What another gather has cleared and not flushed yet may still be cached as dirty.
                let may_be_dirty = space.counts.gathers.acquire(Barrier::Pending) != 0
                    || space.pending.abandoned.is_pending();
                self.dirty |= E::is_dirty(level, changed.was.any)
                    || may_be_dirty && !is_back(Fault::TrustsCleanEntries);
                space.pending.unmaps.defer();
                mmu.platform.cpu(self.cpu).stats.deferred.count(1);
            } else {
                mmu.flush_changed(space, &ranges);
                nth_wait = AT_ONCE;
            }
        }
        let page = pte.into_page(changed.was.any);
        let page = page.map(ManuallyDrop::new);
        Ok(page.map(|page| Unmapped { nth_wait, page }))
    }

    /// Runs a closure as the runtime runs a flush: with interrupts off if the backend requires that to start or finish a flush, or
    /// if other CPUs may send this one a request during the closure. Interrupts are on between start and finish of a flush.
    fn with_interrupts_off<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        let off = Mmu::<P>::interrupts_off() && !is_back(Fault::ReclaimsInterrupted);
        self.mmu.platform.pin_cpu(off, |_| run(self))
    }

    /// Starts a flush, or records which CPUs to send an IPI at the next wait.
    fn defer(&mut self, space: &AddressSpace<P::CpuSet>, changed: &Ranges) {
        let mmu = self.mmu;
        let backend = mmu.platform.backend();
        let scope = changed.scope(backend.levels());
        let here = (self.cpu, mmu.platform.cpu(self.cpu));
        let mut flush = Flush::plan(&*backend, mmu, here, space, scope);
        let request = flush.request;
        let of_devices = request.flags.and(P::Backend::sender_only()) != SpaceFlags::NONE;
        match flush.course {
            Course::Broadcast => {
                if let Some(started) = flush.start(&mut mmu.platform.sink(self.cpu)) {
                    self.join(started);
                }
            }
            // CPUs that get the IPI do not invalidate entries of devices; only this CPU's instructions do. So nothing is
            // deferred.
            _ if of_devices => {
                mmu.flush_changed(space, changed);
                return;
            }
            // Lazy and inactive CPUs flush when they load the space, or use it again.
            course => {
                if matches!(course, Course::Here | Course::HereAndOthers) {
                    self.targets.insert(self.cpu);
                }
                if matches!(course, Course::Others | Course::HereAndOthers) {
                    let classes = flush.ipis.agents;
                    let others = space.other_targets(mmu, self.cpu, classes);
                    others.for_each(|other| self.targets.insert(other));
                }
            }
        }
        if space.has_devices() {
            mmu.platform.invalidate_secondary(space, &request);
        }
    }

    /// Keeps a flush that was started, to be finished with others of its kind.
    fn join(&mut self, started: Started) {
        let kind = FinishKind {
            reach: started.reach,
            global: started.global,
            flags: started.flags,
        };
        match &mut self.started {
            Some((first, other)) if *other == kind => first.join(&started),
            _ => {
                self.finish_started();
                self.started = Some((started, kind));
            }
        }
    }

    /// Finishes the flushes that were started.
    fn finish_started(&mut self) {
        let mmu = self.mmu;
        if let Some((started, _)) = self.started.take() {
            let backend = mmu.platform.backend();
            let (here, flags) = (mmu.platform.cpu(self.cpu), started.flags);
            let mut sink = mmu.platform.sink(self.cpu);
            let finished = backend.finish(&mut sink, started);
            here.defer_or_renew(&*backend, &mut sink, finished.deferred, flags);
            if !finished.sync_ipis.is_empty() {
                // The spaces of these flushes are not known any more.
                mmu.wait_for_all(self.cpu);
            }
        }
    }

    /// Waits until no CPU and no device can access any page unmapped so far.
    fn finish_and_wait(&mut self) {
        let mmu = self.mmu;
        self.with_interrupts_off(Self::finish_started);
        let targets = core::mem::replace(&mut self.targets, P::CpuSet::NONE);
        if targets.contains(self.cpu) {
            mmu.platform.pin_cpu(true, |cpu| {
                mmu.handle(cpu, mmu.platform.cpu(cpu), &Message::FlushLoaded);
            });
        }
        mmu.call(self.cpu, targets, &Message::FlushLoaded);
        self.dirty = false;
    }

    /// Waits until no CPU and no device can access any page unmapped so far. Returns the proof, with which the pages are
    /// redeemed.
    ///
    /// # Context
    ///
    /// As [`Mmu::gather`].
    pub fn wait(&mut self) -> Waited {
        self.finish_and_wait();
        let nth_wait = core::mem::replace(&mut self.nth_wait, self.mmu.next_wait());
        Waited { nth_wait }
    }

    /// Waits if some page that was unmapped after the last wait was dirty, or may be cached as dirty because another gather has not
    /// flushed what it cleared. After this all pages unmapped so far may be written to disk. They are redeemed with the next
    /// [`wait`](Self::wait).
    ///
    /// # Context
    ///
    /// As [`Mmu::gather`].
    pub fn before_io(&mut self) {
        if self.dirty && !is_back(Fault::WritesUnwaited) {
            self.finish_and_wait();
        }
    }
}
