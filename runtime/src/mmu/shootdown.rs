//! Shootdown: which CPUs flush after a change, and how they are made to. `Flush` (`flush.rs`) has the steps of one flush.
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
//! Where instructions reach every CPU this is not needed: generations are not raised, and the cpumask is read only to see whether
//! this CPU alone has run the space, so that instructions that act on this CPU are sufficient.
//! Devices are read without a barrier, because attaching a device synchronizes every CPU by an IPI
//! ([`Barrier::AttachEverywhere`]). Where atomics order all accesses, raising the generation is the barrier.
//!
//! How the CPUs that flush learn of it: the sender puts a message into their mailboxes, sends them an IPI and waits until
//! each has acknowledged. A CPU that waits for acknowledgements or for a lock of the runtime handles the messages in its
//! own mailbox while it waits. So it may wait with interrupts off, and two CPUs that send each other messages both get their
//! acknowledgement.
//!
//! Source: Linux 71b3c126e611, where a CPU entered the set before it loaded the root, but without a barrier between the
//! two; OpenBSD 9f1181d59de3, where a CPU left the set before it left the root.

use crate::backend::{Backend, Facts, IpiTargets, Shootdown};
use crate::cpu::{CpuTlb, Message};
use crate::fault::{Fault, is_back};
use crate::flush::Flush;
use crate::level::Level;
use crate::mask::{CpuId, CpuMask, SharedCpuMask, set_of};
use crate::misuse::{Misuse, check_range};
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::request::{Extent, Ranges, Reach, Request, Scope};
use crate::space::AddressSpace;
use crate::stats::CpuStats;
use crate::sync::{Barrier, full_barrier, wait_until};

/// Why everything of a space is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlushReason {
    /// The space is torn down, or the kernel requested it.
    Requested,
    /// Another gather is under way, which may have unmapped pages that this one did not see.
    Nested,
    /// A deferred flush must be completed now.
    Pending,
}

// Flushes, from the caller's side down to one flush on this CPU.
impl<P: Platform> Mmu<P> {
    /// Returns the facts of the backend.
    #[inline]
    pub(crate) fn facts() -> &'static Facts {
        P::Backend::facts()
    }

    /// Returns whether interrupts are off during a flush: the backend requires it, or other CPUs may send messages to
    /// this one.
    #[inline]
    pub(crate) fn interrupts_off() -> bool {
        Self::facts().interrupts_off
            || Self::facts().one_at_a_time
            || !Self::broadcasts() && !is_back(Fault::FlushesInterrupted)
    }

    /// Returns whether instructions reach every CPU. The cpumask is then read only to find out whether a local flush suffices.
    #[inline]
    pub(crate) fn broadcasts() -> bool {
        matches!(Self::facts().shootdown, Shootdown::Broadcast)
    }

    /// Flushes the changed entries of a space on every CPU and device, and returns when none of them can use the old
    /// ones. Returns whether instructions of this CPU have published the changes.
    #[inline]
    pub(crate) fn flush_changed(&self, space: &AddressSpace<P::CpuSet>, changed: &Ranges) -> bool {
        match changed.page(self.platform.backend().levels()) {
            Some((va, level, table)) => {
                self.shoot_down(space, move |_| Scope::Page { va, level, table })
            }
            None => self.shoot_down(space, move |_| Scope::Ranges(changed)),
        }
    }

    /// Flushes everything of a space on every CPU and device, which completes all deferred flushes of the space. Returns whether
    /// instructions of this CPU have published the changes.
    #[inline(never)]
    pub(crate) fn flush_space(
        &self,
        space: &AddressSpace<P::CpuSet>,
        everything: Scope<'_>,
        why: FlushReason,
    ) -> bool {
        let pending = space.pending.pending();
        let is_published = self.shoot_down(space, |stats| {
            stats.completed.count(pending.count() as u64);
            match why {
                FlushReason::Requested => stats.full_requested.count(1),
                FlushReason::Nested => stats.full_nested.count(1),
                FlushReason::Pending => stats.full_deferred.count(1),
            }
            everything
        });
        space.pending.complete(pending);
        is_published
    }

    /// Flushes on this CPU and on others at the same time, and waits for all of them. Returns whether instructions of this CPU have
    /// published the changes: not if it has no entries to flush. `scope` is a closure, so that this is
    /// compiled for each variant of [`Scope`], without the tests for the others.
    #[inline(never)]
    fn shoot_down<'s>(
        &self,
        space: &AddressSpace<P::CpuSet>,
        scope: impl FnOnce(&CpuStats) -> Scope<'s>,
    ) -> bool {
        let flush = |cpu| {
            let (here, backend) = (self.platform.cpu(cpu), self.platform.backend());
            let mut flush = Flush::plan(&*backend, self, (cpu, here), space, scope(&here.stats));
            let started = flush.start(&mut self.platform.sink(cpu));
            flush.add_to_stats();
            // What other functions get is copied, so that the flush itself stays in registers.
            if !flush.ipis.is_empty() {
                let (request, ipis) = (flush.request, flush.ipis);
                self.flush_by_ipi(cpu, (space, flush.generation), request, ipis);
            } else if space.has_devices() {
                let request = flush.request;
                self.platform.invalidate_secondary(space, &request);
            }
            let is_published = started.is_some();
            let left = flush.finish(&mut self.platform.sink(cpu), started);
            if !left.is_empty() {
                self.sync(cpu, space, left);
            }
            is_published
        };
        let off = Self::interrupts_off();
        self.platform.pin_cpu(off, |cpu| self.alone(|| flush(cpu)))
    }

    /// Runs a flush while no other CPU flushes, if the machine permits only one flush at a time.
    pub(crate) fn alone<R>(&self, run: impl FnOnce() -> R) -> R {
        if Self::facts().one_at_a_time {
            self.with_lock(
                &self.one_at_a_time,
                |cpu| self.handle_messages(cpu),
                |_| run(),
            )
        } else {
            run()
        }
    }

    /// Makes other CPUs flush, and flushes secondary MMUs in the meantime. Sending the IPI publishes the changed entries.
    #[cold]
    #[inline(never)]
    fn flush_by_ipi(
        &self,
        cpu: CpuId,
        (space, generation): (&AddressSpace<P::CpuSet>, u64),
        request: Request<'_>,
        ipis: IpiTargets,
    ) {
        let mut to = P::CpuSet::NONE;
        self.add_ipi_targets(&mut to, cpu, space, ipis);
        if ipis.by_call && !to.is_empty() {
            to = self.flush_by_call(cpu, &request, &to);
        }
        let message = Message::Flush {
            space: space.id,
            generation,
            request,
        };
        self.send(cpu, &mut to, &message);
        if space.has_devices() {
            self.platform.invalidate_secondary(space, &request);
        }
        self.wait_for_acks(cpu, &to);
    }

    /// Flushes other CPUs by calls, and returns those that the calls did not reach. A CPU that was reached does not know: it has
    /// not followed the generation, and flushes again when it next loads the space.
    #[cold]
    fn flush_by_call(&self, cpu: CpuId, request: &Request<'_>, to: &P::CpuSet) -> P::CpuSet {
        // Instructions of this CPU invalidate the entries of devices.
        let request = Request {
            reach: Reach::Given,
            flags: request.flags.without(P::Backend::sender_only()),
            ..*request
        };
        let backend = self.platform.backend();
        let mut missed = P::CpuSet::NONE;
        {
            let mut sink = self.platform.sink_for(cpu, to, &mut missed);
            let started = backend.start(&mut sink, &request);
            // Calls are finished when they return: nothing is deferred, and no CPU is left.
            let _ = backend.finish(&mut sink, started);
        }
        missed
    }

    /// Sends an IPI to the CPUs whose accesses the completing barrier does not drain, and waits for them.
    #[cold]
    #[inline(never)]
    fn sync(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>, left: IpiTargets) {
        let mut to = P::CpuSet::NONE;
        self.add_ipi_targets(&mut to, cpu, space, left);
        self.call(cpu, to, &Message::Sync);
    }

    /// Adds the other CPUs of the cpumask that are of some classes, and the CPUs of the named erratum sets, which the kernel
    /// keeps.
    fn add_ipi_targets(
        &self,
        to: &mut P::CpuSet,
        cpu: CpuId,
        space: &AddressSpace<P::CpuSet>,
        ipis: IpiTargets,
    ) {
        // No barrier has preceded the reads of the IPI targets.
        if Self::broadcasts() {
            full_barrier(Barrier::Flush);
        }
        if !ipis.agents.is_empty() {
            for other in space.other_targets(self, cpu, ipis.agents) {
                to.insert(other);
            }
        }
        for set in (0..8).filter(|set| ipis.sets & 1 << set != 0) {
            to.extend(&self.platform.erratum_set(set, space));
        }
    }
}

// Messages between CPUs.
impl<P: Platform> Mmu<P> {
    /// Sends a message to CPUs, and waits until each has acknowledged it.
    pub(crate) fn call(&self, cpu: CpuId, mut to: P::CpuSet, message: &Message<'_>) {
        if !to.is_empty() {
            self.platform.pin_cpu(true, |_| {
                self.send(cpu, &mut to, message);
                self.wait_for_acks(cpu, &to);
            });
        }
    }

    /// Sends a message to CPUs. Leaves in the set those that are online, which will acknowledge it. Interrupts are off, and stay
    /// so until [`wait_for_acks`](Self::wait_for_acks).
    fn send(&self, cpu: CpuId, to: &mut P::CpuSet, message: &Message<'_>) {
        let here = self.platform.cpu(cpu);
        let of = |cpu| &self.platform.cpu(cpu).mailbox;
        here.mailbox.send(cpu, to, message, &self.online, of);
        if !to.is_empty() {
            here.stats.sent.count(to.count() as u64);
            self.platform.send_ipi(to);
        }
    }

    /// Waits until all these CPUs have acknowledged this CPU's message, and handles the messages of others while it waits.
    fn wait_for_acks(&self, cpu: CpuId, sent: &P::CpuSet) {
        let left_out = usize::from(is_back(Fault::WaitsForOneLess));
        for other in sent.iter().skip(left_out) {
            let mailbox = &self.platform.cpu(other).mailbox;
            wait_until(
                || mailbox.has_acknowledged(cpu),
                || self.handle_messages(cpu),
            );
        }
    }

    /// Handles the [IPI](Platform::send_ipi): does what the messages in this CPU's mailbox say, and acknowledges them.
    ///
    /// # Context
    ///
    /// On that CPU, with interrupts off, and with the kernel's view loaded where user code has a view of its own. Not in a
    /// non-maskable interrupt: between the moments when a message is read and when it is acknowledged it would
    /// acknowledge another one unread.
    pub fn handle_ipi(&self, cpu: CpuId) {
        self.handle_messages(cpu);
    }

    /// Handles the messages of other CPUs. Interrupts are off.
    pub(crate) fn handle_messages(&self, cpu: CpuId) {
        let here = self.platform.cpu(cpu);
        let of = |cpu| &self.platform.cpu(cpu).mailbox;
        here.mailbox.receive(self.platform.cpus(), of, |message| {
            here.stats.received.count(1);
            if !self.handle(cpu, here, message) {
                here.stats.spurious.count(1);
            }
        });
    }

    /// Does what a message says. Returns whether there was anything to do.
    pub(crate) fn handle(
        &self,
        cpu: CpuId,
        here: &CpuTlb<P::CpuSet>,
        message: &Message<'_>,
    ) -> bool {
        let backend = self.platform.backend();
        let Some(response) = here.response(message, backend.tags().per_cpu) else {
            return false;
        };
        if response.leaves {
            self.load_kernel(cpu);
        }
        if let Some(request) = response.flush {
            let mut sink = self.platform.sink(cpu);
            let deferred = backend.handle(&mut sink, &request);
            here.defer_or_renew(&*backend, &mut sink, deferred, request.flags);
        }
        if let Some((slot, generation)) = response.sees {
            here.slots.set_seen_gen(slot, generation);
        }
        true
    }

    /// Waits until every lockless walk of tables that runs now has ended: each CPU takes an interrupt, which it does not
    /// during such a walk.
    ///
    /// # Context
    ///
    /// As [`gather`](Self::gather).
    pub fn wait_for_walkers(&self) {
        self.platform.pin_cpu(true, |cpu| self.wait_for_all(cpu));
    }

    /// Sends every online CPU an IPI, and waits until each has taken it.
    pub(crate) fn wait_for_all(&self, cpu: CpuId) {
        let all = self.online.iter(self.platform.cpus(), Barrier::Unloaded);
        self.call(cpu, set_of(all), &Message::Sync);
    }
}

// What a kernel calls to flush by itself.
impl<P: Platform> Mmu<P> {
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
        check_range(self.platform.backend().levels(), level, extent)?;
        let mut ranges = Ranges::new();
        ranges.leaf(level, extent);
        self.flush_changed(space, &ranges);
        Ok(())
    }

    /// Flushes everything of a space, walk entries included, and returns when the flush is complete.
    ///
    /// # Context
    ///
    /// As [`flush_range`](Self::flush_range).
    pub fn flush_everything(&self, space: &AddressSpace<P::CpuSet>) {
        self.flush_space(
            space,
            Scope::Everything { tables: true },
            FlushReason::Requested,
        );
    }
}
