//! Shootdown: who is told of a change, and how.
//!
//! Two sets matter. The *holders* of a space may have entries of it; the CPUs that have it *loaded* can use and make
//! them. What a holder has that does not have it loaded it can only use after loading it: that is a debt, which
//! its [`AsidSlots`](crate::deferred::AsidSlots) knows. The protocols are a pair:
//!
//! | switch side ([`switch`](crate::Mmu::switch)) | flush side |
//! |---|---|
//! | say "switching" | change the entries |
//! | be a holder | raise the generation |
//! | [`Barrier::SwitchIn`] | [`Barrier::Flush`] |
//! | read the generation; drop what is behind | read the holders, what they have loaded, and devices |
//! | load the root, say which | interrupt those; drop here; wait |
//!
//! Of the two reads at least one sees the other side's write: so a CPU that the sender did not see drops what it
//! has before it can use it, and one that it saw is interrupted, and takes the interrupt when it has loaded the root.
//!
//! Where instructions reach every CPU nothing of this is needed: holders are not read, and generations not raised. Devices
//! are read, without a barrier: whoever attaches one makes every CPU come ([`Barrier::AttachEverywhere`]). Where atomics
//! order everything, raising the generation is the barrier.
//!
//! A CPU that waits, for acknowledgements or for a lock of the runtime, serves what others ask of it meanwhile, and
//! so may wait with interrupts off.
//!
//! Source: Linux 71b3c126e611, where a CPU was in the set before it had loaded the root, but not ordered so; OpenBSD
//! 9f1181d59de3, where it left the set before it had left the root.

use crate::backend::{Backend, Facts, IpiTargets, Shootdown, Started};
use crate::cpu::CpuTlb;
use crate::cpu::Message;
use crate::deferred::Deferred;
use crate::deferred::{AsidSlot, LoadedTag};
use crate::fault::{Fault, is_back};
use crate::holders::Told;
use crate::level::Level;
use crate::mask::{CpuId, CpuMask};
use crate::mmu::{Misuse, Mmu};
use crate::platform::{LockEvent, Platform};
use crate::request::{Extent, Kept, Ranges, Reach, Request, Scope, SpaceFlags};
use crate::space::AddressSpace;
use crate::sync::{Barrier, Lock, full_barrier};

// What is known of a scope where it is made is to be known where it is matched.
#[allow(clippy::inline_always)]
impl<P: Platform> Mmu<P> {
    /// The facts of the backend.
    pub(crate) const FACTS: Facts = <P::Backend as Backend>::FACTS;

    /// Whether interrupts are off where others are flushed: the backend wants it, or others may ask something of
    /// this CPU meanwhile.
    pub(crate) const INTERRUPTS_OFF: bool = Self::FACTS.interrupts_off
        || Self::FACTS.one_at_a_time
        || !matches!(Self::FACTS.shootdown, Shootdown::Broadcast);

    /// Whether no CPU is looked for, since instructions reach all of them.
    pub(crate) const LOOKS_FOR_DEVICES_ALONE: bool =
        matches!(Self::FACTS.shootdown, Shootdown::Broadcast);

    /// Flushes what was changed of a space, everywhere, and returns when nobody can use it any more.
    #[inline]
    pub(crate) fn flush(&self, space: &AddressSpace<P::CpuSet>, changed: &Ranges) {
        match changed.page(self.platform.backend().levels()) {
            Some((va, level, table)) => self.flush_page(space, va, level, table),
            None => self.flush_ranges(space, changed),
        }
    }

    /// One entry. Each shape of a scope has a function of its own, in which nothing of it is left to be decided.
    #[inline(never)]
    fn flush_page(&self, space: &AddressSpace<P::CpuSet>, va: u64, level: Level, table: bool) {
        self.flush_what(space, |_| Scope::Page { va, level, table });
    }

    /// More than one entry.
    #[inline(never)]
    fn flush_ranges(&self, space: &AddressSpace<P::CpuSet>, ranges: &Ranges) {
        self.flush_what(space, |_| Scope::Ranges(ranges));
    }

    /// Everything of a space, everywhere. With that whatever is owed for the space is paid.
    #[inline(never)]
    pub(crate) fn flush_whole(
        &self,
        space: &AddressSpace<P::CpuSet>,
        everything: Scope<'_>,
        why: Why,
    ) {
        let dues = space.pending.pending();
        self.flush_what(space, |here| {
            here.stats.completed.count(dues.count() as u64);
            match why {
                Why::Asked => here.stats.full_asked.count(1),
                Why::Nested => here.stats.full_nested.count(1),
                Why::Pending => here.stats.full_deferred.count(1),
            }
            everything
        });
        space.pending.complete(dues);
    }

    /// `scope` is a closure, so that what runs pinned is another function for each.
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

    /// Runs as the only one who flushes, where the machine bears no second.
    pub(crate) fn alone<R>(&self, run: impl FnOnce() -> R) -> R {
        if Self::FACTS.one_at_a_time {
            self.with_lock(&self.one_at_a_time, |cpu| self.serve(cpu), |_| run())
        } else {
            run()
        }
    }

    /// Runs with a lock of the runtime held. This is the one rule for all of them: interrupts are off, so that no switch and
    /// no request on the same CPU can need a lock that it holds; while a CPU waits for one it does `meanwhile`, which serves
    /// what others request of it, since the holder may be waiting for that; and a CPU holds one lock at a time.
    pub(crate) fn with_lock<R>(
        &self,
        lock: &Lock,
        mut meanwhile: impl FnMut(CpuId),
        run: impl FnOnce(CpuId) -> R,
    ) -> R {
        let off = !is_back(Fault::LocksInterrupted);
        self.platform.pin_cpu(off, |cpu| {
            let wait = || {
                if off {
                    meanwhile(cpu);
                }
            };
            lock.with(wait, || {
                self.platform.lock_event(cpu, LockEvent::Acquired);
                let result = run(cpu);
                self.platform.lock_event(cpu, LockEvent::Releasing);
                result
            })
        })
    }

    #[inline(always)]
    fn flush_here(
        &self,
        cpu: CpuId,
        here: &CpuTlb<P::CpuSet>,
        space: &AddressSpace<P::CpuSet>,
        scope: Scope<'_>,
    ) {
        let generation = Self::raise(space);
        let line = here.slots.find(space.id, space.slots);
        let mut request = self.request(line, space, scope);
        let targets = self.platform.backend().ipi_targets(&request);
        let told = if targets.agents.is_empty() {
            // Instructions reach everybody. That this CPU alone holds entries can be relied on only where no other
            // attaches the space meanwhile.
            if Self::FACTS.attach_waits_for_changes && self.is_only_holder(cpu, space) {
                request.reach = Reach::Here;
            }
            here.stats.broadcast.count(1);
            Told {
                others: P::CpuSet::NONE,
                here: false,
            }
        } else {
            let told = self.told(cpu, space, targets.agents);
            let devices = request.flags.and(P::Backend::SENDER_ONLY);
            if !told.here && devices == SpaceFlags::NONE {
                // Nothing here could be used before it is dropped anyway: others are told, and nobody else.
                let whom = (told.others, targets.sets);
                self.flush_elsewhere(cpu, (space, generation), &request, whom);
                return;
            }
            if told.others.is_empty() {
                request.reach = Reach::Here;
                here.stats.here.count(1);
            } else {
                here.stats.by_ipi.count(1);
            }
            told
        };
        self.count_size(here, &request);
        let leave = self.begin_trimming(space, &request);
        let asks = !told.others.is_empty() || request.reach == Reach::Wide && targets.sets != 0;
        let deferred = if asks {
            self.flush_asking(cpu, (space, generation), &mut request, told.others)
        } else {
            let started = self.start(cpu, (space, line), &mut request);
            self.tell_devices(space, &request);
            self.finish(cpu, space, started)
        };
        if told.here
            && let Some(line) = line
        {
            here.slots.see_next_gen(line, generation);
        }
        self.record(here, space, deferred);
        if let Some(leave) = leave {
            self.end_trimming(space, leave);
        }
    }

    /// A flush for which others are interrupted. They drop while this CPU does; what is owed.
    #[cold]
    #[inline(never)]
    fn flush_asking(
        &self,
        cpu: CpuId,
        (space, generation): (&AddressSpace<P::CpuSet>, u64),
        request: &mut Request<'_>,
        others: P::CpuSet,
    ) -> Deferred {
        let line = self.platform.cpu(cpu).slots.find(space.id, space.slots);
        let started = self.start(cpu, (space, line), request);
        let whom = (others, started.flush_ipis.sets);
        let sent = self.ask(cpu, (space, generation), request, whom);
        self.tell_devices(space, request);
        self.await_all(cpu, &sent);
        self.finish(cpu, space, started)
    }

    /// Ends what was started, with whoever is still to be interrupted; what is owed.
    #[inline(always)]
    fn finish(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>, started: Started) -> Deferred {
        let mut sink = self.platform.sink(cpu);
        let finished = self.platform.backend().finish(&mut sink, started);
        if !finished.sync_ipis.is_empty() {
            self.call_left_over(cpu, space, finished.sync_ipis);
        }
        finished.deferred
    }

    /// Entries have changed: raises the generation, by which CPUs know how far they have followed that are not all
    /// interrupted. Behind this it is read whom to tell.
    #[inline(always)]
    pub(crate) fn raise(space: &AddressSpace<P::CpuSet>) -> u64 {
        if space.slots == 0 {
            Self::before_looking();
            return 0;
        }
        let generation = space.tlb_gen.raise();
        if !Self::FACTS.atomics_order_everything {
            full_barrier(Barrier::Flush);
        }
        generation
    }

    /// Entries have changed. Behind this it is read who may have them cached.
    #[inline(always)]
    pub(crate) fn before_looking() {
        if !Self::LOOKS_FOR_DEVICES_ALONE {
            full_barrier(Barrier::Flush);
        }
    }

    /// A flush that this CPU has no part in. The interrupt publishes what was changed.
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
        let nobody = others.is_empty() && sets == 0;
        let sent = if nobody {
            stats.unneeded.count(1);
            others
        } else {
            stats.by_ipi.count(1);
            self.count_size(self.platform.cpu(cpu), request);
            self.ask(cpu, (space, generation), request, (others, sets))
        };
        self.tell_devices(space, request);
        self.await_all(cpu, &sent);
    }

    /// Interrupts those whom the instructions do not serve to the end.
    #[cold]
    #[inline(never)]
    fn call_left_over(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>, whom: IpiTargets) {
        // Until here no CPU was looked for.
        if Self::LOOKS_FOR_DEVICES_ALONE {
            full_barrier(Barrier::Flush);
        }
        let mut left = self.kept(space, whom.sets);
        if !whom.agents.is_empty() {
            left.extend(&self.told(cpu, space, whom.agents).others);
        }
        self.call(cpu, left, &Message::Come);
    }

    /// Interrupts others to drop what a request names, and says whom to wait for.
    #[cold]
    #[inline(never)]
    fn ask(
        &self,
        cpu: CpuId,
        (space, generation): (&AddressSpace<P::CpuSet>, u64),
        request: &Request<'_>,
        (mut sent, sets): (P::CpuSet, u8),
    ) -> P::CpuSet {
        let message = Message::Drop {
            space: space.id,
            generation,
            request: *request,
        };
        // Until here no CPU was looked for.
        if Self::LOOKS_FOR_DEVICES_ALONE {
            full_barrier(Barrier::Flush);
        }
        sent.extend(&self.kept(space, sets));
        self.send(cpu, sent, &message)
    }

    /// What a flush of a scope asks for, of everybody, as this CPU names the space.
    #[inline]
    pub(crate) fn request<'s>(
        &self,
        line: Option<AsidSlot>,
        space: &AddressSpace<P::CpuSet>,
        scope: Scope<'s>,
    ) -> Request<'s> {
        Request {
            space: space.kind,
            tag: self.tag_in(line, space),
            reach: Reach::Wide,
            flags: space.flags(),
            scope,
        }
    }

    /// Starts a flush; again where the tag was read too early.
    #[inline(always)]
    pub(crate) fn start(
        &self,
        cpu: CpuId,
        (space, line): (&AddressSpace<P::CpuSet>, Option<AsidSlot>),
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
            // The start has published the changes: a tag that is still the same counts as read after that. Whoever
            // loads the space under another one sees the changes. A tag that a CPU gave does not change meanwhile.
            let now = self.tag_in(line, space);
            if now == request.tag {
                return started;
            }
            request.tag = now;
        }
    }

    /// Puts what a backend owes on the books. What lazy and parked CPUs owe is there: the generation.
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

    #[inline(never)]
    fn record_some(
        &self,
        here: &CpuTlb<P::CpuSet>,
        space: &AddressSpace<P::CpuSet>,
        deferred: Deferred,
    ) {
        self.put_on_books(here, space, deferred, here.loaded_tag());
    }

    /// The same, where it is known which tag is loaded.
    pub(crate) fn put_on_books(
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
                LoadedTag::Slot(Some(line)) => here.slots.defer_view(line),
                LoadedTag::Slot(None) => here.slots.defer_everything(),
            }
            here.stats.deferred.count(1);
        }
    }

    /// Counts how much a flush names.
    #[inline(always)]
    pub(crate) fn count_size(&self, here: &CpuTlb<P::CpuSet>, request: &Request<'_>) {
        match request.scope {
            Scope::Page { .. } => here.stats.flushed(1),
            Scope::Ranges(ranges) => self.count_entries(here, ranges),
            Scope::Everything { .. } | Scope::Teardown => {}
        }
    }

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

    /// Flushes a stretch of a space whose leaf entries changed at one level, and returns when it is done: for
    /// changes that no gather made.
    ///
    /// Contexts: those of the platform's flushes, with whatever keeps others from relying on the entries.
    ///
    /// # Errors
    /// When the range is empty, goes beyond the last address or is no whole number of entries, or when entries of this
    /// level map no pages here.
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

    /// Flushes everything of a space, tables included, and returns when it is done.
    ///
    /// Contexts: as [`flush_range`](Self::flush_range).
    pub fn flush_everything(&self, space: &AddressSpace<P::CpuSet>) {
        self.flush_whole(space, Scope::Everything { tables: true }, Why::Asked);
    }
}

/// Why everything of a space is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The space ends, or it was asked for.
    Asked,
    /// Another gather is under way, which may have cleared what this one did not see.
    Nested,
    /// It was put off, and is due.
    Pending,
}
