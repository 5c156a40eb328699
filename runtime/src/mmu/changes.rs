//! Changes of page-table entries: how they are made, and which flushes they require.
//!
//! In: a space, an entry of it and the change. Out: the changed entry, and the flush that is still required or deferred.
//! Holds: an instruction that changes an entry reaches every CPU that may have the entry cached.
//!
//! On most machines a plain store changes an entry, and a flush follows. Where an instruction stores and invalidates in
//! one step, it is chosen before the entry changes, by which CPUs may have the entry cached. So a CPU that attaches the
//! space waits while a change is under way:
//!
//! | switch side | change side |
//! |---|---|
//! | store "switching", enter the cpumask | store "a change is under way" |
//! | [`Barrier::AttachWaits`] | [`Barrier::Change`] |
//! | wait until no change is under way | read the cpumask, and which of its CPUs have the space loaded; choose; change |
//! | read which flushes are pending, load the root | store "the change has ended" |
//!
//! A CPU with a change under way never waits for another CPU.
//!
//! Source: Linux ba8a9229ab9e, for machines on which a valid entry that is attached must not change by a store.

use crate::backend::Backend;
use crate::deferred::Deferred;
use crate::fault::{Fault, is_back};
use crate::flush::barrier_before_targets;
use crate::level::Level;
use crate::mask::CpuId;
use crate::misuse::{Misuse, check_leaf_level};
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::pte::{Change, ChangeFacts, Changed, Deadline, Owner, Slot, Was};
use crate::request::{Ranges, Reach, Request, Space, SpaceFlags};
use crate::space::AddressSpace;

impl<P: Platform> Mmu<P> {
    /// Makes a change, by a store or by an instruction. Returns the flush that is still required, and what is deferred.
    /// Only with `may_defer` can the flush of everything of the space be deferred instead of flushing the entry now.
    // A call would pass and return entries through memory, which costs more than the store.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(crate) fn change(
        &self,
        space: &AddressSpace<P::CpuSet>,
        slot: &Slot<'_>,
        change: &Change,
        may_defer: bool,
    ) -> Changed {
        if !Self::facts().pte_update.is_store() {
            return self.change_by_instruction(space, slot, change, may_defer);
        }
        let flags = space.flags();
        let mut changed = self.platform.backend().store(slot, change, flags);
        self.read_flags_again(space, flags, change, &mut changed);
        changed
    }

    /// Makes a change if the entry is still what was `seen`. Returns `None` if it is not: the caller must then compute the
    /// change again.
    pub(crate) fn change_if(
        &self,
        space: &AddressSpace<P::CpuSet>,
        slot: &Slot<'_>,
        seen: Was,
        change: &Change,
    ) -> Option<Changed> {
        if !Self::facts().pte_update.is_store() {
            // Only the machine can change the entry before the instruction does, which returns the old entry.
            return (slot.was() == seen)
                .then(|| self.change_by_instruction(space, slot, change, true));
        }
        let (backend, flags) = (self.platform.backend(), space.flags());
        let mut changed = backend.store_if(slot, seen, change, flags)?;
        self.read_flags_again(space, flags, change, &mut changed);
        Some(changed)
    }

    /// Reads the flags of a space again after a store whose required flush was derived from flags read before the store. A
    /// device that attached in between may have filled the old entry. So this matters only where devices set flags, and
    /// no flush is required without them.
    #[inline]
    fn read_flags_again(
        &self,
        space: &AddressSpace<P::CpuSet>,
        before: SpaceFlags,
        change: &Change,
        changed: &mut Changed,
    ) {
        let set_by_devices = P::Backend::sender_only() != SpaceFlags::NONE;
        if !set_by_devices
            || is_back(Fault::ReadsFlagsEarly)
            || changed
                .required
                .is_required_now(Self::facts().may_fault(space.kind))
        {
            return;
        }
        barrier_before_targets::<P::Backend>();
        let now = space.flags();
        if now != before {
            changed.required = change.required_flush(&self.platform.backend().change_facts(now));
        }
    }

    /// Makes a change by an instruction. Returns what [`change`](Self::change) does.
    #[inline(never)]
    pub(crate) fn change_by_instruction(
        &self,
        space: &AddressSpace<P::CpuSet>,
        slot: &Slot<'_>,
        change: &Change,
        may_defer: bool,
    ) -> Changed {
        let backend = self.platform.backend();
        self.platform.pin_cpu(Self::interrupts_off(), |cpu| {
            if Self::facts().attach_waits_for_changes {
                space.begin_change();
            }
            let mut owner = self.owner(cpu, space);
            owner.may_defer &= may_defer;
            let mut changed = self.alone(|| {
                let mut sink = self.platform.sink(cpu);
                backend.change(&mut sink, slot, change, &owner)
            });
            if changed.deferred.contains(Deferred::SPACE_UNTIL_ATTACH) {
                space.pending.attach.defer(); // before another CPU attaches the space
                self.platform.cpu(cpu).stats.deferred.count(1);
            }
            if Self::facts().attach_waits_for_changes {
                space.end_change();
            }
            barrier_before_targets::<P::Backend>();
            if space.has_devices() && !is_back(Fault::OverlooksDrivers) {
                // The instruction has reached the CPUs. Devices that only the platform can reach need a flush as well.
                let facts = backend.change_facts(space.flags());
                changed.required = change.required_flush(&facts);
            }
            changed
        })
    }

    /// Returns which agents may have an entry of the space cached, while a change is under way.
    fn owner(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) -> Owner {
        let here = self.platform.cpu(cpu);
        // An instruction that acts on this CPU only requires that this CPU has the space loaded.
        let (mut reach, mut may_defer) = (Reach::Wide, false);
        if Self::facts().attach_waits_for_changes && space.kind == Space::User {
            let others = space.others(self, cpu);
            if !others.hold && here.loaded.mine() == space.id.0 {
                reach = Reach::Here;
            }
            may_defer = Self::facts().pte_update.is_deferrable() && !others.load;
        }
        Owner {
            space: space.kind,
            tag: space.tag_on(here, space.slot_on(here), &*self.platform.backend()),
            reach,
            flags: space.flags(),
            may_defer,
        }
    }

    /// Returns whether the machine requires the entry to be invalid and flushed before a change of a valid entry is stored
    /// (break before make).
    pub(crate) fn must_break(&self, space: &AddressSpace<P::CpuSet>, change: &Change) -> bool {
        // An instruction replaces and flushes an entry in one step.
        if !Self::facts().pte_update.is_store() {
            return false;
        }
        let facts = self.change_facts(space);
        let facts = ChangeFacts {
            size_through_invalid: facts.size_through_invalid && !is_back(Fault::ChangesSizeInPlace),
            ..facts
        };
        let required = change.required_flush(&facts);
        required.deadline == Deadline::Store && !required.is_nothing()
    }

    /// Flushes the entry that this CPU may have cached, after a fault at an address that the page table does not justify: a leaf entry
    /// that permits less than the table, or a negative entry.
    ///
    /// Returns whether it flushed anything. Where the machine drops the entry at the fault, walks the table again before it
    /// faults, or keeps a negative entry for a bounded time only, no flush is needed.
    ///
    /// # Context
    ///
    /// On the CPU that took the fault, which has the space loaded.
    ///
    /// # Errors
    ///
    /// When entries of this level cannot map pages here.
    pub fn fix_spurious(
        &self,
        space: &AddressSpace<P::CpuSet>,
        va: u64,
        level: Level,
    ) -> Result<bool, Misuse> {
        let backend = self.platform.backend();
        check_leaf_level(backend.levels(), level)?;
        let facts = backend.change_facts(space.flags());
        let mut ranges = Ranges::new();
        ranges.fault(&facts, backend.levels(), va, level);
        if ranges == Ranges::new() {
            return Ok(false);
        }
        self.platform.pin_cpu(Self::interrupts_off(), |cpu| {
            let here = self.platform.cpu(cpu);
            let request = Request {
                space: space.kind,
                tag: space.tag_on(here, space.slot_on(here), &*backend),
                reach: Reach::Here,
                published: false,
                flags: space.flags().without(P::Backend::sender_only()),
                scope: ranges.scope(backend.levels()),
            };
            self.alone(|| {
                let mut sink = self.platform.sink(cpu);
                let started = backend.start(&mut sink, &request);
                let deferred = backend.finish(&mut sink, started).deferred;
                here.defer_or_renew(&*backend, &mut sink, deferred, request.flags);
            });
        });
        Ok(true)
    }

    /// Returns the facts that decide which flush a change of an entry of this space requires now.
    pub(crate) fn change_facts(&self, space: &AddressSpace<P::CpuSet>) -> ChangeFacts {
        self.platform.backend().change_facts(space.flags())
    }
}
