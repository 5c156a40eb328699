//! One flush: which CPUs it needs, its instructions on this CPU, and what this CPU still has to do afterwards.
//!
//! In: a space, and what was changed in it. Out: instructions, to the sink that the caller passes; the CPUs to send an IPI,
//! which the caller sends. Holds: when the CPUs that the flush names have acknowledged and the flush is finished, no CPU can
//! use the old entries.
//!
//! The steps, in this order and on one CPU:
//!
//! | step | what happens |
//! |---|---|
//! | [`plan`](Flush::plan) | the generation is raised, then the IPI targets are read |
//! | [`start`](Flush::start) | the changes are published, and instructions begin to invalidate; what they defer on this CPU is recorded |
//! | the caller | sends the request to the [IPI targets](Flush::ipis), invalidates secondary MMUs, waits for acknowledgements |
//! | [`finish`](Flush::finish) | the instructions are complete |
//! | the caller | sends a sync message to the CPUs that `finish` returned |

use core::mem;

use crate::agents::Agents;
use crate::backend::{Backend, Finished, IpiTargets, Issue, Shootdown, Started};
use crate::cpu::{CpuTlb, Cpus};
use crate::deferred::{AsidSlot, Deferred};
use crate::fault::{Fault, is_back};
use crate::level::Level;
use crate::mask::CpuId;
use crate::request::{Extent, Ranges, Reach, Recorded, Request, Scope, Space, SpaceFlags};
use crate::space::{AddressSpace, Tagging};
use crate::sync::{Barrier, full_barrier};

/// Which CPUs a flush reaches, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// Instructions of this CPU reach every CPU.
    Broadcast,
    /// Instructions of this CPU act on it alone, and no other CPU can use the entries. A [`Broadcast`](Self::Broadcast) becomes
    /// this at its start if no other CPU may have entries.
    Here,
    /// The same, and other CPUs flush when they get an IPI.
    HereAndOthers,
    /// This CPU flushes its entries before it can use them. Other CPUs flush when they get an IPI.
    Others,
    /// No CPU can use the entries before it has flushed them.
    Nowhere,
}

/// A flush of a user space or of the kernel's.
pub(crate) struct Flush<'a, B: Backend, C: Cpus> {
    backend: &'a B,
    cpus: &'a C,
    cpu: CpuId,
    here: &'a CpuTlb<C::Set>,
    space: &'a AddressSpace<C::Set>,
    /// The slot of the space on this CPU.
    slot: Option<AsidSlot>,
    /// The same, if this CPU has followed the generation when the flush is finished.
    follows: Option<AsidSlot>,
    /// The word of the space that has its global tag.
    tag: u64,
    /// The generation of the space that the changes belong to. A CPU that had followed the one before has followed it after the
    /// flush.
    pub generation: u64,
    /// What the flush invalidates.
    pub request: Request<'a>,
    /// Which CPUs the flush reaches, and how.
    pub course: Course,
    /// The CPUs that are sent the request: those of the cpumask of these classes, and those of erratum sets.
    pub ipis: IpiTargets,
    /// The CPUs that leave the cpumask when the flush is finished.
    leave: Option<C::Set>,
}

/// Orders changes of entries before the reads of which CPUs and devices may have cached them.
#[inline]
pub(crate) fn barrier_before_targets<B: Backend>() {
    if B::facts().shootdown != Shootdown::Broadcast {
        full_barrier(Barrier::Flush);
    }
}

// The compiler must see the scope's variant where the scope is matched, not only where it is built.
#[allow(clippy::inline_always)]
impl<'a, B: Backend, C: Cpus> Flush<'a, B, C> {
    /// Plans the flush of what was changed in a space, on this CPU, which the caller does not leave until the flush is
    /// finished.
    #[inline(always)]
    pub fn plan(
        backend: &'a B,
        cpus: &'a C,
        (cpu, here): (CpuId, &'a CpuTlb<C::Set>),
        space: &'a AddressSpace<C::Set>,
        scope: Scope<'a>,
    ) -> Self {
        // CPUs that are sent no IPI compare the generation with the one they have seen. The IPI targets are read after this.
        let generation = if space.slots == 0 {
            barrier_before_targets::<B>();
            0
        } else {
            let generation = if is_back(Fault::RaisesNoGeneration) {
                space.counts.tlb_gen.now()
            } else {
                space.counts.tlb_gen.raise()
            };
            if !B::facts().atomics_order_everything {
                full_barrier(Barrier::Flush);
            }
            generation
        };
        let (slot, tag) = (space.slot_on(here), space.tag.get());
        let mut request = Request {
            space: space.kind,
            tag: space.tag_on(here, slot, backend),
            reach: Reach::Wide,
            published: false,
            flags: space.flags(),
            scope,
        };
        let mut ipis = backend.ipi_targets(&request);
        let (mut course, mut follows) = (Course::Broadcast, None);
        if !ipis.agents.is_empty() {
            let targets = space.targets(cpus, (cpu, here), ipis.agents);
            follows = slot.filter(|_| targets.here);
            // Instructions of this CPU invalidate the entries of devices.
            let is_sender = request.flags.and(B::sender_only()) != SpaceFlags::NONE;
            course = match (targets.here || is_sender, targets.others) {
                (false, false) if ipis.sets == 0 => Course::Nowhere,
                (false, _) => Course::Others,
                (true, false) => Course::Here,
                (true, true) => Course::HereAndOthers,
            };
        }
        if course == Course::Broadcast && matches!(scope, Scope::Teardown) {
            course = course_of_teardown(space, cpus, (cpu, here));
        }
        if course == Course::Here {
            request.reach = Reach::Here;
        }
        if let Course::Here | Course::Nowhere = course {
            ipis = IpiTargets::NONE;
        }
        Self {
            backend,
            cpus,
            cpu,
            here,
            space,
            slot,
            follows,
            tag,
            generation,
            request,
            course,
            ipis,
            leave: None,
        }
    }

    /// Adds the flush to the statistics of this CPU.
    #[inline(always)]
    pub fn add_to_stats(&self) {
        let stats = &self.here.stats;
        match self.course {
            Course::Broadcast => stats.broadcast.count(1),
            Course::Here => stats.here.count(1),
            Course::HereAndOthers | Course::Others => stats.by_ipi.count(1),
            Course::Nowhere => return stats.unneeded.count(1),
        }
        match self.request.scope {
            Scope::Page { .. } => stats.flushed(1),
            Scope::Ranges(ranges) => stats.flushed(leaf_entries(ranges, self.backend)),
            Scope::Everything { .. } | Scope::Teardown => {}
        }
    }

    /// Starts the flush on this CPU. Returns `None` if this CPU does not flush now.
    #[inline(always)]
    pub fn start(&mut self, sink: &mut impl Issue<B::Op>) -> Option<Started> {
        if let Course::Others | Course::Nowhere = self.course {
            return None;
        }
        // Where instructions reach every CPU and no other one has run the space, those that act on this CPU alone are sufficient. The
        // first look needs no barrier, so a space that several CPUs have run has no barrier here. A CPU that attaches the space after the
        // second look sees the changes: it enters the cpumask first, and reads the tables after `Barrier::SwitchIn`. A device is
        // counted or its tag pinned first, and it fills after `Barrier::Attach`.
        let is_alone = || {
            let devices = self.space.has_devices_or_pins() && !is_back(Fault::OverlooksDevices);
            !devices && self.space.is_only_on(self.cpus, (self.cpu, self.here))
        };
        if self.course == Course::Broadcast && is_alone() {
            if !is_back(Fault::LooksBeforePublish) && !is_back(Fault::ClaimsPublished) {
                self.backend.publish(sink, self.space.kind);
            }
            full_barrier(Barrier::Change);
            if is_alone() {
                self.course = Course::Here;
                self.request.reach = Reach::Here;
                self.request.published = !is_back(Fault::LooksBeforePublish);
                self.ipis = IpiTargets::NONE;
            }
        }
        let is_whole = matches!(
            self.request.scope,
            Scope::Everything { .. } | Scope::Teardown
        );
        if B::facts().attach_waits_for_changes
            && is_whole
            && self.request.reach == Reach::Wide
            && self.space.kind == Space::User
        {
            self.leave = Some(self.space.begin_trimming(self.cpus));
        }
        let mut started = loop {
            let started = self.backend.start(sink, &self.request);
            if !B::facts().tag_after_publish {
                break started;
            }
            // The start has published the changes: a tag that has not changed counts as read after that. A CPU that
            // loads the space under a newer tag sees the changes.
            let now = self.space.tag.get();
            if now == self.tag {
                break started;
            }
            self.tag = now;
            self.request.tag = self.space.tag_on(self.here, self.slot, self.backend);
        };
        // A message that this CPU handles while it waits may make it load another root, which completes what is deferred.
        if !is_back(Fault::DefersAfterWait) {
            let deferred = mem::replace(&mut started.outcome.deferred, Deferred::NOTHING);
            self.here.defer(self.backend, deferred);
            if deferred.contains(Deferred::TAG_UNTIL_RENEWAL) {
                self.here
                    .renew_loaded_tag(self.backend, sink, self.request.flags);
            }
        }
        if started.outcome.exceeded_ceiling {
            self.here.stats.full_ceiling.count(1);
        }
        Some(started)
    }

    /// Finishes the flush on this CPU. Returns the CPUs that still need an IPI, in which they have nothing to do: it drains
    /// their accesses.
    #[inline(always)]
    pub fn finish(self, sink: &mut impl Issue<B::Op>, started: Option<Started>) -> IpiTargets {
        let Some(started) = started else {
            return IpiTargets::NONE;
        };
        let Finished {
            sync_ipis,
            deferred,
        } = self.backend.finish(sink, started);
        if let Some(slot) = self.follows {
            self.here.slots.see_next_gen(slot, self.generation);
        }
        self.here.defer(self.backend, deferred);
        if deferred.contains(Deferred::TAG_UNTIL_RENEWAL) {
            self.here
                .renew_loaded_tag(self.backend, sink, self.request.flags);
        }
        if let Some(leave) = self.leave {
            self.space.end_trimming(self.cpus, leave);
        }
        sync_ipis
    }
}

/// Returns how a teardown is flushed where instructions reach every CPU. If no other space gets the tag before a rollover, which
/// flushes everything, entries matter only on CPUs that have the space loaded: they may walk tables that are freed. No CPU loads
/// the space again, and a CPU that has left it has completed its accesses ([`Barrier::Unloaded`]).
#[inline(never)]
fn course_of_teardown<C: Cpus>(
    space: &AddressSpace<C::Set>,
    cpus: &C,
    here: (CpuId, &CpuTlb<C::Set>),
) -> Course {
    if space.tagging != Tagging::Generations || space.has_devices_or_pins() {
        return Course::Broadcast;
    }
    let lazy = if is_back(Fault::OverlooksLazy) {
        Agents::NONE
    } else {
        Agents::LAZY
    };
    let targets = space.targets(cpus, here, Agents::ACTIVE.union(lazy));
    match (targets.here, targets.others) {
        (_, true) => Course::Broadcast,
        (true, false) => Course::Here,
        (false, false) => Course::Nowhere,
    }
}

/// Returns how many leaf entries ranges have.
#[inline]
fn leaf_entries(ranges: &Ranges, backend: &impl Backend) -> u64 {
    let levels = backend.levels();
    let entries = |level: Level, leaf: Extent| {
        let shift = levels.get(level.index()).map_or(0, |facts| facts.shift);
        if shift == 0 { 0 } else { leaf.entries(shift) }
    };
    match ranges.recorded() {
        Recorded::Nothing => 0,
        Recorded::Run(level, extent) => entries(level, extent),
        Recorded::Sorted(sorted) => {
            let each = Level::all().zip(sorted.leaf);
            let each = each.map(|(level, leaf)| entries(level, leaf));
            each.fold(0, u64::saturating_add)
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
