//! Shootdown: which CPUs flush after a change, and how they are made to.
//!
//! In: a space, and the entries of it that changed. Out: the instructions and IPIs of one flush. Holds: when a flush
//! returns, no CPU can use the old entries.
//!
//! Two sets matter. The CPUs in the *cpumask* of a space may hold entries of it; the CPUs that have it *loaded* can use
//! entries and fill more. A CPU that holds entries without having the space loaded can use them only after it has
//! loaded the space again. Its flush is pending until then, and its [`AsidSlots`](crate::deferred::AsidSlots) records
//! which generation of the space it has seen. The two sides of the protocol:
//!
//! | switch side ([`switch`](crate::Mmu::switch)) | flush side |
//! |---|---|
//! | store "switching" | change the entries |
//! | enter the cpumask | raise the generation |
//! | [`Barrier::SwitchIn`] | [`Barrier::Flush`] |
//! | read the generation; flush if it is newer | read the cpumask, what its CPUs have loaded, and devices |
//! | load the root, store which | send IPIs to those CPUs; flush here; wait |
//!
//! At least one of the two reads sees the other side's write. So a CPU that the sender did not see flushes its stale
//! entries before it can use them. A CPU that the sender saw is sent an IPI, and takes it when it has loaded the root.
//!
//! Where instructions reach every CPU this is not needed: the cpumask is not read, and generations are not raised.
//! Devices are read without a barrier, because attaching a device synchronizes every CPU by an IPI
//! ([`Barrier::AttachEverywhere`]). Where atomics order all accesses, raising the generation is the barrier.
//!
//! A CPU that waits for acknowledgements or for a lock of the runtime handles the requests of other CPUs while it
//! waits. So it may wait with interrupts off.
//!
//! Source: Linux 71b3c126e611, where a CPU entered the set before it loaded the root, but without a barrier between the
//! two; OpenBSD 9f1181d59de3, where a CPU left the set before it left the root.

use crate::backend::{Backend, Facts, IpiTargets, Shootdown, Started};
use crate::cpu::{CpuTlb, Message};
use crate::deferred::{AsidSlot, Deferred, LoadedTag};
use crate::holders::Targets;
use crate::level::Level;
use crate::mask::{CpuId, CpuMask};
use crate::mmu::{Misuse, Mmu};
use crate::platform::Platform;
use crate::request::{Extent, Kept, Ranges, Reach, Request, Scope, SpaceFlags};
use crate::space::AddressSpace;
use crate::sync::{Barrier, full_barrier};

// The compiler must see the scope's variant where the scope is matched, not only where it is built.
#[allow(clippy::inline_always)]
impl<P: Platform> Mmu<P> {
    /// The facts of the backend.
    pub(crate) const FACTS: Facts = <P::Backend as Backend>::FACTS;

    /// Whether interrupts are off during a flush: the backend requires it, or other CPUs may send requests to this
    /// one.
    pub(crate) const INTERRUPTS_OFF: bool = Self::FACTS.interrupts_off
        || Self::FACTS.one_at_a_time
        || !matches!(Self::FACTS.shootdown, Shootdown::Broadcast);

    /// Whether instructions reach every CPU, so that no cpumask is read before a flush starts.
    pub(crate) const BROADCASTS: bool = matches!(Self::FACTS.shootdown, Shootdown::Broadcast);

    /// Flushes the changed entries of a space on every CPU and device, and returns when none of them can use the old
    /// ones.
    #[inline]
    pub(crate) fn flush(&self, space: &AddressSpace<P::CpuSet>, changed: &Ranges) {
        match changed.page(self.platform.backend().levels()) {
            Some((va, level, table)) => self.flush_page(space, va, level, table),
            None => self.flush_ranges(space, changed),
        }
    }

    /// Flushes one entry. Each variant of [`Scope`] has its own function, so that the compiler removes the tests for
    /// the others.
    #[inline(never)]
    fn flush_page(&self, space: &AddressSpace<P::CpuSet>, va: u64, level: Level, table: bool) {
        self.flush_what(space, |_| Scope::Page { va, level, table });
    }

    /// Flushes more than one entry.
    #[inline(never)]
    fn flush_ranges(&self, space: &AddressSpace<P::CpuSet>, ranges: &Ranges) {
        self.flush_what(space, |_| Scope::Ranges(ranges));
    }

    /// Flushes everything of a space on every CPU and device, which completes all deferred flushes of the space.
    #[inline(never)]
    pub(crate) fn flush_whole(
        &self,
        space: &AddressSpace<P::CpuSet>,
        everything: Scope<'_>,
        why: Why,
    ) {
        let pending = space.pending.pending();
        self.flush_what(space, |here| {
            here.stats.completed.count(pending.count() as u64);
            match why {
                Why::Asked => here.stats.full_asked.count(1),
                Why::Nested => here.stats.full_nested.count(1),
                Why::Pending => here.stats.full_deferred.count(1),
            }
            everything
        });
        space.pending.complete(pending);
    }

    /// Runs a flush on this CPU, pinned. `scope` is a closure, so that the pinned code is compiled once for each variant.
    #[inline(always)]
    fn flush_what<'s>(
        &self,
        space: &AddressSpace<P::CpuSet>,
        scope: impl Fn(&CpuTlb<P::CpuSet>) -> Scope<'s>,
    ) {
        self.platform.pin_cpu(Self::INTERRUPTS_OFF, |cpu| {
            let here = self.platform.cpu(cpu);
            self.alone(|| self.flush_here(cpu, here, space, scope(here)));
        });
    }

    /// Decides which CPUs flush, and flushes: here, by instructions that reach other CPUs, or by IPI.
    #[inline(always)]
    fn flush_here(
        &self,
        cpu: CpuId,
        here: &CpuTlb<P::CpuSet>,
        space: &AddressSpace<P::CpuSet>,
        scope: Scope<'_>,
    ) {
        let generation = Self::raise(space);
        let slot = here.slots.find(space.id, space.slots);
        let mut request = self.request(slot, space, scope);
        let ipis = self.platform.backend().ipi_targets(&request);
        let targets = if ipis.agents.is_empty() {
            // Instructions reach every CPU. That only this CPU holds entries stays true only where other CPUs wait
            // for the change before they attach the space.
            if Self::FACTS.attach_waits_for_changes && self.is_only_holder(cpu, space) {
                request.reach = Reach::Here;
            }
            here.stats.broadcast.count(1);
            Targets {
                others: P::CpuSet::NONE,
                here: false,
            }
        } else {
            let targets = self.targets(cpu, space, ipis.agents);
            let devices = request.flags.and(P::Backend::SENDER_ONLY);
            if !targets.here && devices == SpaceFlags::NONE {
                // This CPU flushes its entries before it can use them: only others flush now.
                let to = (targets.others, ipis.sets);
                self.flush_elsewhere(cpu, (space, generation), &request, to);
                return;
            }
            if targets.others.is_empty() {
                request.reach = Reach::Here;
                here.stats.here.count(1);
            } else {
                here.stats.by_ipi.count(1);
            }
            targets
        };
        self.count_size(here, &request);
        let leave = self.begin_trimming(space, &request);
        let sends = !targets.others.is_empty() || request.reach == Reach::Wide && ipis.sets != 0;
        let deferred = if sends {
            self.flush_by_ipi(cpu, (space, generation), &mut request, targets.others)
        } else {
            let started = self.start(cpu, (space, slot), &mut request);
            self.invalidate_secondary(space, &request);
            self.finish(cpu, space, started)
        };
        if targets.here
            && let Some(slot) = slot
        {
            here.slots.see_next_gen(slot, generation);
        }
        self.record(here, space, deferred);
        if let Some(leave) = leave {
            self.end_trimming(space, leave);
        }
    }

    /// Flushes on this CPU and, by IPI, on others at the same time. Returns what this CPU defers.
    #[cold]
    #[inline(never)]
    fn flush_by_ipi(
        &self,
        cpu: CpuId,
        (space, generation): (&AddressSpace<P::CpuSet>, u64),
        request: &mut Request<'_>,
        others: P::CpuSet,
    ) -> Deferred {
        let slot = self.platform.cpu(cpu).slots.find(space.id, space.slots);
        let started = self.start(cpu, (space, slot), request);
        let to = (others, started.flush_ipis.sets);
        let sent = self.send_flush(cpu, (space, generation), request, to);
        self.invalidate_secondary(space, request);
        self.wait_for_acks(cpu, &sent);
        self.finish(cpu, space, started)
    }

    /// Finishes a flush, and sends the IPIs that its end still needs. Returns what this CPU defers.
    #[inline(always)]
    fn finish(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>, started: Started) -> Deferred {
        let mut sink = self.platform.sink(cpu);
        let finished = self.platform.backend().finish(&mut sink, started);
        if !finished.sync_ipis.is_empty() {
            self.send_sync(cpu, space, finished.sync_ipis);
        }
        finished.deferred
    }

    /// Raises the generation of a space whose entries have changed, and returns it. CPUs that are sent no IPI compare it
    /// with the one they have seen. The IPI targets are read after this ([`Barrier::Flush`]).
    #[inline(always)]
    pub(crate) fn raise(space: &AddressSpace<P::CpuSet>) -> u64 {
        if space.slots == 0 {
            Self::barrier_before_targets();
            return 0;
        }
        let generation = space.tlb_gen.raise();
        if !Self::FACTS.atomics_order_everything {
            full_barrier(Barrier::Flush);
        }
        generation
    }

    /// Orders changes of entries before the reads of which CPUs and devices may have cached them.
    #[inline(always)]
    pub(crate) fn barrier_before_targets() {
        if !Self::BROADCASTS {
            full_barrier(Barrier::Flush);
        }
    }

    /// Flushes on other CPUs and devices only. Sending the IPI publishes the changed entries.
    #[cold]
    #[inline(never)]
    fn flush_elsewhere(
        &self,
        cpu: CpuId,
        (space, generation): (&AddressSpace<P::CpuSet>, u64),
        request: &Request<'_>,
        (others, sets): (P::CpuSet, u8),
    ) {
        let stats = &self.platform.cpu(cpu).stats;
        let no_cpu = others.is_empty() && sets == 0;
        let sent = if no_cpu {
            stats.unneeded.count(1);
            others
        } else {
            stats.by_ipi.count(1);
            self.count_size(self.platform.cpu(cpu), request);
            self.send_flush(cpu, (space, generation), request, (others, sets))
        };
        self.invalidate_secondary(space, request);
        self.wait_for_acks(cpu, &sent);
    }

    /// Sends an IPI to the CPUs whose accesses the completing barrier does not drain, and waits for them.
    #[cold]
    #[inline(never)]
    fn send_sync(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>, to: IpiTargets) {
        // Until here no cpumask was read.
        if Self::BROADCASTS {
            full_barrier(Barrier::Flush);
        }
        let mut left = self.erratum_sets(space, to.sets);
        if !to.agents.is_empty() {
            left.extend(&self.targets(cpu, space, to.agents).others);
        }
        self.call(cpu, left, &Message::Sync);
    }

    /// Sends a flush request to other CPUs. Returns the CPUs to wait for.
    #[cold]
    #[inline(never)]
    fn send_flush(
        &self,
        cpu: CpuId,
        (space, generation): (&AddressSpace<P::CpuSet>, u64),
        request: &Request<'_>,
        (mut sent, sets): (P::CpuSet, u8),
    ) -> P::CpuSet {
        let message = Message::Flush {
            space: space.id,
            generation,
            request: *request,
        };
        // Until here no cpumask was read.
        if Self::BROADCASTS {
            full_barrier(Barrier::Flush);
        }
        sent.extend(&self.erratum_sets(space, sets));
        self.send(cpu, sent, &message)
    }

    /// Returns the request to flush a scope on every CPU, with the tag that the space has on this one.
    #[inline]
    pub(crate) fn request<'s>(
        &self,
        slot: Option<AsidSlot>,
        space: &AddressSpace<P::CpuSet>,
        scope: Scope<'s>,
    ) -> Request<'s> {
        Request {
            space: space.kind,
            tag: self.tag_in(slot, space),
            reach: Reach::Wide,
            flags: space.flags(),
            scope,
        }
    }

    /// Starts a flush. Starts it again if the tag of the space changed before the changed entries were published.
    #[inline(always)]
    pub(crate) fn start(
        &self,
        cpu: CpuId,
        (space, slot): (&AddressSpace<P::CpuSet>, Option<AsidSlot>),
        request: &mut Request<'_>,
    ) -> Started {
        let backend = self.platform.backend();
        let mut sink = self.platform.sink(cpu);
        loop {
            let started = backend.start(&mut sink, request);
            if started.outcome.exceeded_ceiling {
                self.platform.cpu(cpu).stats.full_ceiling.count(1);
            }
            if !Self::FACTS.tag_after_publish {
                return started;
            }
            // The start has published the changes: a tag that has not changed counts as read after that. A CPU that
            // loads the space under a newer tag sees the changes. Per-CPU tags do not change during the flush.
            let now = self.tag_in(slot, space);
            if now == request.tag {
                return started;
            }
            request.tag = now;
        }
    }

    /// Records the flushes that a backend defers. Those of lazy and inactive CPUs are already recorded, by the
    /// generation.
    #[inline]
    pub(crate) fn record(
        &self,
        here: &CpuTlb<P::CpuSet>,
        space: &AddressSpace<P::CpuSet>,
        deferred: Deferred,
    ) {
        if !deferred.is_nothing() {
            self.record_some(here, space, deferred);
        }
    }

    /// Records deferred flushes, of which there are some.
    #[inline(never)]
    fn record_some(
        &self,
        here: &CpuTlb<P::CpuSet>,
        space: &AddressSpace<P::CpuSet>,
        deferred: Deferred,
    ) {
        self.record_deferred(here, space, deferred, here.loaded_tag());
    }

    /// Records deferred flushes, given the tag that this CPU has loaded.
    pub(crate) fn record_deferred(
        &self,
        here: &CpuTlb<P::CpuSet>,
        space: &AddressSpace<P::CpuSet>,
        deferred: Deferred,
        loaded: LoadedTag,
    ) {
        if deferred.contains(Deferred::SPACE_UNTIL_ATTACH) {
            space.pending.attach.defer();
            here.stats.deferred.count(1);
        }
        if deferred.contains(Deferred::OTHERS_UNTIL_LOAD) {
            here.stats.deferred.count(1);
            here.slots.invalidate_others(loaded);
            if self.platform.backend().tags().global.is_some() {
                here.slots.defer_everything();
            }
        }
        if deferred.contains(Deferred::VIEW_UNTIL_RETURN) {
            match loaded {
                // No user code runs under the tag of the kernel's root.
                LoadedTag::KernelRoot => return,
                LoadedTag::Slot(Some(slot)) => here.slots.defer_view(slot),
                LoadedTag::Slot(None) => here.slots.defer_everything(),
            }
            here.stats.deferred.count(1);
        }
    }

    /// Counts the entries that a flush names.
    #[inline(always)]
    pub(crate) fn count_size(&self, here: &CpuTlb<P::CpuSet>, request: &Request<'_>) {
        match request.scope {
            Scope::Page { .. } => here.stats.flushed(1),
            Scope::Ranges(ranges) => self.count_entries(here, ranges),
            Scope::Everything { .. } | Scope::Teardown => {}
        }
    }

    /// Counts the leaf entries in ranges.
    #[inline]
    fn count_entries(&self, here: &CpuTlb<P::CpuSet>, ranges: &Ranges) {
        let backend = self.platform.backend();
        let levels = backend.levels();
        let entries = |level: Level, leaf: Extent| {
            let shift = levels.get(level.index()).map_or(0, |facts| facts.shift);
            if shift == 0 { 0 } else { leaf.entries(shift) }
        };
        here.stats.flushed(match ranges.kept() {
            Kept::Run(level, extent) => entries(level, extent),
            Kept::Sorted(sorted) => Level::all()
                .zip(sorted.leaf)
                .fold(0, |sum: u64, (level, leaf)| {
                    sum.saturating_add(entries(level, leaf))
                }),
        });
    }

    /// Flushes an address range of a space in which leaf entries of one level changed, and returns when the flush is
    /// complete. This is for changes that were not made through a gather.
    ///
    /// # Context
    ///
    /// That of the platform's flushes. The caller holds what keeps other CPUs from using or changing the entries,
    /// such as the page-table lock.
    ///
    /// # Errors
    ///
    /// When the range is empty, ends after the last address or is not a whole number of entries, or when entries of this
    /// level cannot map pages here.
    pub fn flush_range(
        &self,
        space: &AddressSpace<P::CpuSet>,
        extent: Extent,
        level: Level,
    ) -> Result<(), Misuse> {
        let levels = self.platform.backend().levels();
        let facts = levels.get(level.index()).filter(|facts| facts.leaf);
        let facts = facts.ok_or(Misuse::NoSuchLevel)?;
        if extent.is_empty() {
            return Err(Misuse::Empty);
        }
        if extent.last() < extent.start {
            return Err(Misuse::Wraps);
        }
        let within = 1u64.wrapping_shl(facts.shift).wrapping_sub(1);
        if (extent.start | extent.bytes) & within != 0 {
            return Err(Misuse::Misaligned);
        }
        let mut ranges = Ranges::new();
        ranges.leaf(level, extent);
        self.flush(space, &ranges);
        Ok(())
    }

    /// Flushes everything of a space, walk entries included, and returns when the flush is complete.
    ///
    /// # Context
    ///
    /// As [`flush_range`](Self::flush_range).
    pub fn flush_everything(&self, space: &AddressSpace<P::CpuSet>) {
        self.flush_whole(space, Scope::Everything { tables: true }, Why::Asked);
    }
}

/// Why everything of a space is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The space is torn down, or the kernel requested it.
    Asked,
    /// Another gather is under way, which may have unmapped pages that this one did not see.
    Nested,
    /// A deferred flush must be completed now.
    Pending,
}
