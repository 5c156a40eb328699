//! The cpumask of a space: which CPUs may have entries of it cached, and which of them can use the entries.
//!
//! In: a space, after the barrier that orders changes of it before these reads. Out: the CPUs that a flush has to reach. Holds: a
//! CPU that is left out does not have the space loaded, or flushes before it uses the space again.
//!
//! # When the cpumask and what is loaded are read
//!
//! Each reader skips a CPU because of its state at one moment. Why that moment is correct:
//!
//! | reader | moment | a CPU that changes afterwards |
//! |---|---|---|
//! | `targets`, for whether any CPU is interrupted | after the change is stored and [`Barrier::Flush`], before the flush starts | loads the space: sees the generation ([`Barrier::SwitchIn`]); leaves it: may be left out by the next reader |
//! | `other_targets`, for the CPUs to interrupt | after that, before the flush is finished | loads the space: sees the generation; left it before: follows the generation when it loads it again; leaves it: takes a spurious IPI |
//! | `other_targets`, for the IPIs after the flush | after the flush is finished and [`Barrier::Flush`] | left before: its accesses are complete ([`Barrier::Unloaded`]); loads it: fills only from the changed entries |
//! | `is_only_on` | after the change is stored and published, and [`Barrier::Change`] | attaches the space: sees the change ([`Barrier::SwitchIn`], [`Barrier::AttachWaits`]) |
//! | `others`, for a change by an instruction | while a change is under way, after [`Barrier::Change`] | waits until the change is over |
//! | `begin_trimming` | while a change is under way, before the flush | has it loaded: stays in the cpumask, because it can fill after the flush; attaches it: waits, and enters the cpumask again |
//! | `loaded_on`, at a teardown | during the teardown of the space | loads the space: is excluded by the contract of the teardown |
//! | a switch, about its own CPU | after the new root is loaded | does not exist: only this CPU changes its own state |

use crate::agents::Agents;
use crate::cpu::{CpuTlb, Cpus};
use crate::fault::{Fault, is_back};
use crate::mask::{CpuId, CpuMask, SharedCpuMask, set_of};
use crate::request::{Space, SpaceId};
use crate::space::AddressSpace;
use crate::sync::{Barrier, full_barrier};

/// Where a flush must run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Targets {
    /// Whether this CPU may have entries that it could use.
    pub here: bool,
    /// Whether other CPUs may.
    pub others: bool,
}

/// Whether CPUs other than this one may have entries of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Others {
    /// Some other CPU may hold entries.
    pub hold: bool,
    /// Some other CPU may have the space loaded.
    pub load: bool,
}

impl<S: CpuMask> AddressSpace<S> {
    /// Returns whether a flush must run on this CPU and on others, if it must on CPUs of these classes.
    // Called once in each kind of flush, where what it is given is in registers.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(crate) fn targets(
        &self,
        cpus: &impl Cpus<Set = S>,
        (cpu, here): (CpuId, &CpuTlb<S>),
        classes: Agents,
    ) -> Targets {
        Targets {
            here: self.kind == Space::Kernel
                || self.cpumask.contains(cpu, Barrier::Unloaded)
                    && (classes.covers(Agents::INACTIVE) || self.is_used_here(here, classes)),
            others: self.has_others(cpus, cpu) && self.has_other_target(cpus, cpu, classes),
        }
    }

    /// Returns the CPUs that may have entries of the space: all that are online if it is the kernel's.
    #[inline]
    fn mask<'a>(&'a self, cpus: &'a impl Cpus<Set = S>) -> &'a S::Shared {
        match self.kind {
            Space::Kernel => cpus.online(),
            Space::User => &self.cpumask,
        }
    }

    /// Returns whether a CPU other than this one may have entries of the space.
    #[inline]
    fn has_others(&self, cpus: &impl Cpus<Set = S>, cpu: CpuId) -> bool {
        self.mask(cpus)
            .has_others(cpu, cpus.count(), Barrier::Unloaded)
    }

    /// Returns whether this CPU has the space loaded and is of these classes. If it is lazy and not of them, it flushes when it uses
    /// the space again, as other lazy CPUs do.
    #[inline]
    fn is_used_here(&self, here: &CpuTlb<S>, classes: Agents) -> bool {
        here.may_have_loaded(self.id) && (classes.covers(Agents::LAZY) || here.lazy.mine() == 0)
    }

    /// Returns whether a flush must run on another CPU of these classes.
    #[inline(never)]
    fn has_other_target(&self, cpus: &impl Cpus<Set = S>, cpu: CpuId, classes: Agents) -> bool {
        let mut others = self.other_targets(cpus, cpu, classes);
        others.next().is_some()
    }

    /// Returns the other CPUs of these classes, on which a flush must run.
    #[inline]
    pub(crate) fn other_targets<'a>(
        &'a self,
        cpus: &'a impl Cpus<Set = S>,
        cpu: CpuId,
        classes: Agents,
    ) -> impl Iterator<Item = CpuId> + 'a
    where
        S: 'a,
    {
        let is_kernel = self.kind == Space::Kernel;
        let all = self.mask(cpus).iter(cpus.count(), Barrier::Unloaded);
        all.filter(move |&other| {
            other != cpu && (is_kernel || self.is_target(cpus.tlb(other), classes))
        })
    }

    /// Returns whether another CPU of the cpumask is of these classes.
    fn is_target(&self, other: &CpuTlb<S>, classes: Agents) -> bool {
        let loaded = other.loaded();
        let class = if loaded != self.id && loaded != SpaceId::SWITCHING {
            Agents::INACTIVE
        } else if loaded == self.id && other.lazy.acquire(Barrier::Unloaded) != 0 {
            Agents::LAZY
        } else {
            Agents::ACTIVE
        };
        loaded != SpaceId::NONE && classes.covers(class) // a CPU that is offline has loaded no space
    }

    /// Returns whether this CPU has the space loaded and is the only one in its cpumask. This holds for later changes of the
    /// space too if the changes were published before, and [`Barrier::Change`] is between: a CPU that attaches the space after that
    /// sees them.
    #[inline]
    pub(crate) fn is_only_on(
        &self,
        cpus: &impl Cpus<Set = S>,
        (cpu, here): (CpuId, &CpuTlb<S>),
    ) -> bool {
        self.kind == Space::User && here.loaded.mine() == self.id.0 && !self.has_others(cpus, cpu)
    }

    /// Returns whether CPUs other than this one may have entries of the space. A change is under way.
    pub(crate) fn others(&self, cpus: &impl Cpus<Set = S>, cpu: CpuId) -> Others {
        let mut others = Others {
            hold: false,
            load: false,
        };
        for other in self.cpus_in_mask(cpus) {
            if other != cpu {
                others.hold = true;
                others.load |= cpus.tlb(other).may_have_loaded(self.id);
            }
        }
        others
    }

    /// Returns the CPUs of the cpumask that have the space loaded or are switching.
    pub(crate) fn loaded_on(&self, cpus: &impl Cpus<Set = S>) -> S {
        self.cpus_that(cpus, true)
    }

    /// Returns the CPUs of the cpumask, each as it is when the iterator gets there.
    #[inline]
    pub(crate) fn cpus_in_mask(&self, cpus: &impl Cpus<Set = S>) -> impl Iterator<Item = CpuId> {
        self.cpumask.iter(cpus.count(), Barrier::Unloaded)
    }

    /// Returns the CPUs of the cpumask that have the space loaded or are switching, or the others, as they are when they are
    /// read.
    fn cpus_that(&self, cpus: &impl Cpus<Set = S>, loaded: bool) -> S {
        let all = self.cpus_in_mask(cpus);
        let those = all.filter(|&cpu| cpus.tlb(cpu).may_have_loaded(self.id) == loaded);
        set_of(those)
    }

    /// Begins a change: from here on a CPU that attaches the space waits.
    pub(crate) fn begin_change(&self) {
        self.counts.changes.add(1, Barrier::Defer);
        full_barrier(Barrier::Change);
    }

    /// Ends a change: CPUs that wait to attach the space continue.
    pub(crate) fn end_change(&self) {
        self.counts.changes.sub(1, Barrier::Complete);
    }

    /// Makes CPUs that attach the space wait until [`end_trimming`](Self::end_trimming). Called before everything of the
    /// space is flushed on every CPU. Returns the CPUs of the cpumask that do not have the space loaded: the flush drops all
    /// their entries of it, and they fill no new ones.
    ///
    /// These CPUs are read before the flush. A CPU that has the space loaded during the flush can fill entries after the
    /// flush and leave the space before the flush returns, so it stays in the cpumask. Linux `__tlb_flush_mm` also
    /// resets its mask before it flushes.
    pub(crate) fn begin_trimming(&self, cpus: &impl Cpus<Set = S>) -> S {
        self.begin_change();
        self.cpus_that(cpus, false)
    }

    /// Removes from the cpumask the CPUs that [`begin_trimming`](Self::begin_trimming) returned, after everything of the
    /// space is flushed on every CPU, and lets CPUs attach the space again.
    pub(crate) fn end_trimming(&self, cpus: &impl Cpus<Set = S>, mut leave: S) {
        if is_back(Fault::TrimsAfterFlush) {
            leave = self.cpus_that(cpus, false);
        }
        for cpu in leave.iter() {
            self.cpumask.remove(cpu, Barrier::Unload);
            // If the CPU has entered the cpumask again to attach the space, it stored "switching" before that, and waits
            // until the change is over.
            if cpus.tlb(cpu).may_have_loaded(self.id) && !is_back(Fault::TrimsEntering) {
                self.cpumask.insert(cpu, Barrier::Unload);
            }
        }
        self.end_change();
    }
}
