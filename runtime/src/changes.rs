//! Changes of table entries: who makes them, and what is owed for them.
//!
//! Most machines let a plain store change an entry, and want a flush for it. Where an instruction writes and drops at
//! once it is chosen before the entry changes, by who may have it cached; so a CPU that attaches the space waits
//! while a change is under way:
//!
//! | switch side | change side |
//! |---|---|
//! | say "switching", be a holder | say "a change is under way" |
//! | [`Barrier::AttachWaits`] | [`Barrier::Change`] |
//! | wait until no change is under way | read who has the space loaded, who holds it; choose; change |
//! | look what is deferred, load the root | say that it is over |
//!
//! A change under way never waits for anybody.
//!
//! Source: Linux ba8a9229ab9e, for machines on which a valid entry that is attached must not change by a store.

use crate::backend::{Backend, Record};
use crate::deferred::Deferred;
use crate::fault::{Fault, is_back};
use crate::level::Level;
use crate::mask::{CpuId, CpuMask, SharedCpuMask};
use crate::mmu::Misuse;
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::pte::{Change, ChangeFacts, Changed, Deadline, Entry, Owner, Slot, Stricter, Was};
use crate::request::{Extent, Ranges, Reach, Request, Space, SpaceFlags, Tag};
use crate::space::AddressSpace;
use crate::sync::{Barrier, full_barrier};

impl<P: Platform> Mmu<P> {
    /// Makes a change, by a store or by an instruction, and says what is left to be flushed and what is owed. Where
    /// it `may_defer` that can be everything of the space; otherwise whoever wants no more than the entry gets that.
    #[inline]
    pub(crate) fn change(
        &self,
        space: &AddressSpace<P::CpuSet>,
        slot: &Slot<'_>,
        change: &Change,
        may_defer: bool,
    ) -> Changed {
        if Self::FACTS.pte_update.is_store() {
            let owner = Self::owner_of_store(space);
            // A store goes to no sink.
            let sink = &mut Record(|_| ());
            let mut changed = self.platform.backend().change(sink, slot, change, &owner);
            self.read_flags_again(space, owner.flags, change, &mut changed);
            return changed;
        }
        self.change_by_instruction(space, slot, change, may_defer)
    }

    /// The same, if what was `seen` still stands there; otherwise the change is to be computed again.
    pub(crate) fn change_from(
        &self,
        space: &AddressSpace<P::CpuSet>,
        slot: &Slot<'_>,
        seen: Was,
        change: &Change,
    ) -> Option<Changed> {
        if !Self::FACTS.pte_update.is_store() {
            // Nothing but the machine changes it until the instruction does, which returns what stood there.
            return (slot.was() == seen)
                .then(|| self.change_by_instruction(space, slot, change, true));
        }
        let owner = Self::owner_of_store(space);
        let sink = &mut Record(|_| ());
        let backend = self.platform.backend();
        let mut changed = backend.change_from(sink, slot, seen, change, &owner)?;
        self.read_flags_again(space, owner.flags, change, &mut changed);
        Some(changed)
    }

    /// For a plain store, which no CPU in particular makes.
    #[inline]
    fn owner_of_store(space: &AddressSpace<P::CpuSet>) -> Owner {
        Owner {
            space: space.kind,
            tag: Tag::default(),
            reach: Reach::Wide,
            flags: space.flags(),
            may_defer: false,
        }
    }

    /// An entry was stored, and what that requires was derived from flags of the space that were read before. A device that
    /// attached in between may have filled the old entry: where devices set flags, and no flush is required without
    /// them, they are read again after the store.
    #[inline]
    fn read_flags_again(
        &self,
        space: &AddressSpace<P::CpuSet>,
        before: SpaceFlags,
        change: &Change,
        changed: &mut Changed,
    ) {
        let set_by_devices = P::Backend::SENDER_ONLY != SpaceFlags::NONE;
        if !set_by_devices
            || is_back(Fault::ReadsFlagsEarly)
            || changed.required.is_required_now(space.kind)
        {
            return;
        }
        Self::barrier_before_targets();
        let now = space.flags();
        if now != before {
            changed.required = change.required_flush(&self.platform.backend().change_facts(now));
        }
    }

    #[inline(never)]
    fn change_by_instruction(
        &self,
        space: &AddressSpace<P::CpuSet>,
        slot: &Slot<'_>,
        change: &Change,
        may_defer: bool,
    ) -> Changed {
        let backend = self.platform.backend();
        self.platform.pin_cpu(Self::INTERRUPTS_OFF, |cpu| {
            Self::begin_change(space);
            let mut owner = self.owner(cpu, space);
            owner.may_defer &= may_defer;
            let mut changed = self.alone(|| {
                let mut sink = self.platform.sink(cpu);
                backend.change(&mut sink, slot, change, &owner)
            });
            if Self::defers(&changed) {
                space.pending.attach.defer(); // before anybody attaches
                self.platform.cpu(cpu).stats.deferred.count(1);
            }
            Self::end_change(space);
            Self::barrier_before_targets();
            if space.has_devices() {
                // The instruction has reached CPUs. Devices that only the platform can tell are told of a flush.
                let facts = backend.change_facts(space.flags());
                changed.required = change.required_flush(&facts);
            }
            changed
        })
    }

    /// From here on a CPU that attaches the space waits.
    pub(crate) fn begin_change(space: &AddressSpace<P::CpuSet>) {
        if Self::FACTS.attach_waits_for_changes {
            space.changes.add(1, Barrier::Defer);
            full_barrier(Barrier::Change);
        }
    }

    /// A CPU that attaches the space may go on.
    pub(crate) fn end_change(space: &AddressSpace<P::CpuSet>) {
        if Self::FACTS.attach_waits_for_changes {
            space.changes.sub(1, Barrier::Complete);
        }
    }

    /// Who may have cached an entry of the space, while a change is under way.
    fn owner(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) -> Owner {
        let mut only_holder = Self::FACTS.attach_waits_for_changes && space.kind == Space::User;
        let mut only_loaded = only_holder && Self::FACTS.pte_update.is_deferrable();
        if only_holder {
            for holder in space.holders.now(Barrier::Unloaded).iter() {
                if holder != cpu {
                    only_holder = false;
                    only_loaded &= !self.platform.cpu(holder).may_have_loaded(space.id);
                }
            }
            // An instruction for this CPU alone wants that it has the space loaded.
            only_holder &= self.platform.cpu(cpu).loaded.mine() == space.id.0;
        }
        Owner {
            space: space.kind,
            tag: self.tag_of(self.platform.cpu(cpu), space),
            reach: if only_holder {
                Reach::Here
            } else {
                Reach::Wide
            },
            flags: space.flags(),
            may_defer: only_loaded,
        }
    }

    /// Returns whether the machine requires the entry to be invalid and flushed before a change of a valid entry is stored
    /// (break before make).
    pub(crate) fn must_break(&self, space: &AddressSpace<P::CpuSet>, change: &Change) -> bool {
        // An instruction that replaces an entry leaves nothing between.
        if !Self::FACTS.pte_update.is_store() {
            return false;
        }
        let required = change.required_flush(&self.change_facts(space));
        required.deadline == Deadline::Store && !required.is_nothing()
    }

    /// A CPU has taken a fault that the table does not justify: it drops the stricter entry that it may have.
    ///
    /// Returns whether it did anything. Where the machine itself drops the entry, or looks again, nothing is to be
    /// done.
    ///
    /// Contexts: on the CPU that took the fault, which has the space loaded.
    ///
    /// # Errors
    /// When entries of this level map no pages here.
    pub fn fix_spurious(
        &self,
        space: &AddressSpace<P::CpuSet>,
        va: u64,
        level: Level,
    ) -> Result<bool, Misuse> {
        let backend = self.platform.backend();
        let leaf = backend
            .levels()
            .get(level.index())
            .filter(|level| level.leaf);
        let shift = leaf.ok_or(Misuse::NoSuchLevel)?.shift;
        let facts = backend.change_facts(space.flags());
        if facts.stricter != Stricter::FaultsUntilDropped && !facts.invalid_cached {
            return Ok(false);
        }
        self.platform.pin_cpu(Self::INTERRUPTS_OFF, |cpu| {
            let here = self.platform.cpu(cpu);
            let mut ranges = Ranges::new();
            let page = Extent::new(va, 1).rounded(shift);
            if facts.invalid_cached {
                // There may have been no table, either.
                for (above, facts) in Level::all().zip(backend.levels()) {
                    if above >= level && facts.shift != 0 {
                        ranges.appeared(above, page);
                    }
                }
            } else {
                ranges.leaf(level, page);
            }
            let request = Request {
                space: space.kind,
                tag: self.tag_of(here, space),
                reach: Reach::Here,
                flags: space.flags().without(P::Backend::SENDER_ONLY),
                scope: ranges.scope(backend.levels()),
            };
            let mut sink = self.platform.sink(cpu);
            let started = backend.start(&mut sink, &request);
            let deferred = backend.finish(&mut sink, started).deferred;
            self.record(here, space, deferred);
        });
        Ok(true)
    }

    /// What a change of an entry of this space leaves behind now.
    pub(crate) fn change_facts(&self, space: &AddressSpace<P::CpuSet>) -> ChangeFacts {
        self.platform.backend().change_facts(space.flags())
    }

    /// What a change put off is on the books of its space.
    pub(crate) fn defers(changed: &Changed) -> bool {
        changed.deferred.contains(Deferred::SPACE_UNTIL_ATTACH)
    }

    /// Whether an entry says something that an entry of this level can say.
    pub(crate) fn check_entry(&self, level: Level, entry: Entry) -> Result<u32, Misuse> {
        let facts = self.platform.backend().levels().get(level.index());
        let facts = facts.filter(|facts| match entry {
            Entry::Invalid => facts.shift != 0,
            Entry::Leaf { .. } => facts.leaf,
            Entry::Table { .. } => facts.shift != 0 && level != Level(0),
        });
        facts.map(|facts| facts.shift).ok_or(Misuse::NoSuchLevel)
    }
}
