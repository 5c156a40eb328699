//! Batched unmap: many pages of many spaces are unmapped, and one wait at the end serves them all.
//!
//! In: entries, one by one. Out: an [`Unmapped`] for each, which gives its page against a [`Waited`] of its own
//! batch. Meanwhile the space notes that a flush is pending: [`Gather::locked`](crate::Gather::locked) flushes first, so that
//! with the lock of a table held no CPU can use an entry that is not valid.
//!
//! A page that was dirty when it was unmapped may be written to disk after a wait as well
//! ([`UnmapBatch::before_io`]). One that was clean stays clean, where a clean entry becomes dirty only by a walk. On a machine
//! where it does not, each page is waited for at once.
//!
//! Source: Linux `mm/rmap.c` (`flush_tlb_batched_pending`) for what a concurrent change of the space has to see.

use crate::agents::Agents;
use crate::backend::{Backend, Started};
use crate::cpu::Message;
use crate::fault::{Fault, is_back};
use crate::mask::{CpuId, CpuMask};
use crate::mmu::Mmu;
use crate::platform::{Platform, Pte};
use crate::pte::Change;
use crate::request::{Ranges, Reach, Space, SpaceFlags};
use crate::section::Refused;
use crate::space::AddressSpace;
use crate::sync::Barrier;

/// A page that was unmapped, and that some CPU may still reach.
#[derive(Debug)]
#[must_use = "the page is lost if it is never redeemed"]
pub struct Unmapped<T> {
    round: u64,
    page: T,
}

/// The proof of a wait.
#[derive(Debug)]
#[must_use = "pages are redeemed against the wait of their own round alone"]
pub struct Waited {
    round: u64,
}

impl Waited {
    /// Returns the page, which no CPU and no device can reach any more.
    ///
    /// # Errors
    ///
    /// When the page was unmapped after the wait, or in another batch: it is given back.
    pub fn redeem<T>(&self, unmapped: Unmapped<T>) -> Result<T, Unmapped<T>> {
        if unmapped.round == self.round || unmapped.round == AT_ONCE {
            Ok(unmapped.page)
        } else {
            Err(unmapped)
        }
    }
}

/// The round of what was waited for when it was unmapped.
const AT_ONCE: u64 = 0;

/// A batched unmap in progress: what [`Mmu::reclaim`] lends to its closure.
pub struct UnmapBatch<'m, P: Platform> {
    mmu: &'m Mmu<P>,
    cpu: CpuId,
    round: u64,
    /// CPUs that flush at the next wait, perhaps this one: they have loaded a space with unmapped pages.
    targets: P::CpuSet,
    /// A flush that was started here: one barrier finishes it and all that are like it.
    started: Option<(Started, Kind)>,
    /// Whether something dirty was unmapped and not waited for.
    dirty: bool,
}

/// Flushes that one completion serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    reach: Reach,
    global: bool,
    flags: SpaceFlags,
}

impl<P: Platform> Mmu<P> {
    /// Runs a closure that unmaps pages without waiting for each, and waits at its end for those that it has not waited for.
    /// Returns what the closure returned.
    ///
    /// # Context
    ///
    /// As [`gather`](Self::gather). The closure runs on one CPU from beginning to end, since a flush is finished on the CPU that
    /// started it.
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
                round: self.next_round(),
                targets: P::CpuSet::NONE,
                started: None,
                dirty: false,
            };
            let result = body(&mut batch);
            batch.settle();
            result
        })
    }

    fn next_round(&self) -> u64 {
        loop {
            let round = self.rounds.add(1, Barrier::Defer).wrapping_add(1);
            if round != AT_ONCE {
                return round;
            }
        }
    }
}

impl<P: Platform> UnmapBatch<'_, P> {
    /// Unmaps a page, under the lock of its table. The page is given to the caller against a [`Waited`]; `None` where the entry
    /// owned none.
    ///
    /// # Errors
    ///
    /// When the entry is in another space or is no leaf entry, and when the machine has no leaf entries at its level. The entry
    /// is not changed, and given back.
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
        let change = Change::vanishing(level, old);
        // Each page is waited for by itself at the latest: a flush of the whole space for each would be too much.
        let changed = mmu.change(space, &slot, &change, false);
        let facts = mmu.platform.backend().change_facts(space.flags());
        let mut round = self.round;
        if changed.required.is_nothing() {
            round = AT_ONCE; // the change has flushed it
        } else {
            let mut ranges = Ranges::new();
            ranges.leaf(level, extent);
            let of_user = space.kind == Space::User;
            if of_user && facts.clean_to_dirty_walks && !Mmu::<P>::FACTS.one_at_a_time {
                self.with_interrupts_off(|this| this.put_off(space, &ranges));
                self.dirty |= E::is_dirty(level, changed.was.any);
                space.pending.unmaps.defer();
                mmu.platform.cpu(self.cpu).stats.deferred.count(1);
            } else {
                mmu.flush(space, &ranges);
                round = AT_ONCE;
            }
        }
        let page = pte.into_page(changed.was.any);
        Ok(page.map(|page| Unmapped { round, page }))
    }

    /// Runs as a flush does: with interrupts off where the backend requires that to start or finish one, or other CPUs may send
    /// this one a request meanwhile. Between start and finish of a flush interrupts are on.
    fn with_interrupts_off<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        let off = Mmu::<P>::INTERRUPTS_OFF && !is_back(Fault::ReclaimsInterrupted);
        self.mmu.platform.pin_cpu(off, |_| run(self))
    }

    /// Starts a flush, or notes which CPUs to send an IPI for it.
    fn put_off(&mut self, space: &AddressSpace<P::CpuSet>, changed: &Ranges) {
        let mmu = self.mmu;
        let scope = changed.scope(mmu.platform.backend().levels());
        let here = mmu.platform.cpu(self.cpu);
        Mmu::<P>::raise(space);
        let line = here.slots.find(space.id, space.slots);
        let mut request = mmu.request(line, space, scope);
        let backend = mmu.platform.backend();
        if backend.ipi_targets(&request).agents.is_empty() {
            let started = mmu.start(self.cpu, (space, line), &mut request);
            mmu.invalidate_secondary(space, &request);
            let kind = Kind {
                reach: request.reach,
                global: request.tag.global,
                flags: request.flags,
            };
            match &mut self.started {
                Some((first, other)) if *other == kind => first.join(&started),
                _ => {
                    self.finish_started();
                    self.started = Some((started, kind));
                }
            }
        } else if request.flags.and(P::Backend::SENDER_ONLY) != SpaceFlags::NONE {
            // CPUs that are sent an IPI leave devices to this CPU's instructions: nothing is deferred.
            mmu.flush(space, changed);
        } else {
            // Lazy and inactive CPUs flush when they load the space, or use it again.
            let targets = mmu.targets(self.cpu, space, Agents::ACTIVE);
            self.targets.extend(&targets.others);
            if targets.here {
                self.targets.insert(self.cpu);
            }
            mmu.invalidate_secondary(space, &request);
        }
    }

    fn finish_started(&mut self) {
        let mmu = self.mmu;
        if let Some((started, _)) = self.started.take() {
            let finished = mmu
                .platform
                .backend()
                .finish(&mut mmu.platform.sink(self.cpu), started);
            mmu.record_here(mmu.platform.cpu(self.cpu), finished.deferred);
            if !finished.sync_ipis.is_empty() {
                // Of which spaces they are is not known any more.
                mmu.wait_for_all(self.cpu);
            }
        }
    }

    fn settle(&mut self) {
        let mmu = self.mmu;
        self.with_interrupts_off(Self::finish_started);
        let targets = core::mem::replace(&mut self.targets, P::CpuSet::NONE);
        if targets.contains(self.cpu) {
            mmu.platform.pin_cpu(true, |cpu| {
                mmu.handle(cpu, mmu.platform.cpu(cpu), &Message::Loaded);
            });
        }
        mmu.call(self.cpu, targets, &Message::Loaded);
        self.dirty = false;
    }

    /// Waits until no CPU and no device can reach any page unmapped so far.
    ///
    /// # Context
    ///
    /// As [`Mmu::gather`].
    pub fn wait(&mut self) -> Waited {
        self.settle();
        let round = core::mem::replace(&mut self.round, self.mmu.next_round());
        Waited { round }
    }

    /// Waits if some page unmapped so far was dirty: after this it may be written to disk. The pages are redeemed
    /// against the next [`wait`](Self::wait).
    ///
    /// # Context
    ///
    /// As [`Mmu::gather`].
    pub fn before_io(&mut self) {
        if self.dirty {
            self.settle();
        }
    }
}
