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
//! | `targets`, for the CPUs to interrupt | after the change is stored and [`Barrier::Flush`], before the flush starts | loads the space: sees the generation ([`Barrier::SwitchIn`]); leaves it: takes a spurious IPI |
//! | `targets`, for the IPIs after the flush | after the flush is finished and [`Barrier::Flush`] | left before: its accesses are complete ([`Barrier::Unloaded`]); loads it: fills only from the changed entries |
//! | `is_only_on` | after the change is stored and [`Barrier::Change`] | attaches the space: sees the change |
//! | `others`, for a change by an instruction | while a change is under way, after [`Barrier::Change`] | waits until the change is over |
//! | `begin_trimming` | while a change is under way, before the flush | has it loaded: stays in the cpumask, because it can fill after the flush; attaches it: waits, and enters the cpumask again |
//! | `loaded_on`, at a teardown | during the teardown of the space | loads the space: is excluded by the contract of the teardown |
//! | a switch, about its own CPU | after the new root is loaded | does not exist: only this CPU changes its own state |

use crate::agents::Agents;
use crate::cpu::Cpus;
use crate::fault::{Fault, is_back};
use crate::mask::{CpuId, CpuMask, SharedCpuMask};
use crate::request::{Space, SpaceId};
use crate::space::AddressSpace;
use crate::sync::{Barrier, full_barrier};

/// The CPUs on which a flush must run.
pub(crate) struct Targets<S> {
    /// The other CPUs, which are sent an IPI.
    pub others: S,
    /// Whether this CPU may have entries that it could use.
    pub here: bool,
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
    /// Returns the CPUs of these classes on which a flush must run.
    #[inline]
    pub(crate) fn targets(
        &self,
        cpus: &impl Cpus<Set = S>,
        cpu: CpuId,
        classes: Agents,
    ) -> Targets<S> {
        if self.kind == Space::Kernel {
            let mut others = cpus.online().now(Barrier::Unloaded);
            others.remove(cpu);
            return Targets { others, here: true };
        }
        let mut others = self.cpumask.now(Barrier::Unloaded);
        let mut here = false;
        if others.contains(cpu) {
            others.remove(cpu);
            let uses = cpus.tlb(cpu).may_have_loaded(self.id);
            here = uses || classes.covers(Agents::INACTIVE);
        }
        if !others.is_empty() {
            self.keep_only(&mut others, cpus, classes);
        }
        Targets { others, here }
    }

    /// Removes from CPUs of the cpumask those that are not of these classes, or offline.
    #[inline(never)]
    fn keep_only(&self, others: &mut S, cpus: &impl Cpus<Set = S>, classes: Agents) {
        for holder in others.clone().iter() {
            let local = cpus.tlb(holder);
            let loaded = local.loaded();
            let class = if loaded != self.id && loaded != SpaceId::SWITCHING {
                Agents::INACTIVE
            } else if loaded == self.id && local.lazy.acquire(Barrier::Unloaded) != 0 {
                Agents::LAZY
            } else {
                Agents::ACTIVE
            };
            let is_offline = loaded == SpaceId::NONE;
            if is_offline || !classes.covers(class) {
                others.remove(holder);
            }
        }
    }

    /// Returns whether this CPU has the space loaded and is the only one in its cpumask. A CPU that attaches the space
    /// from now on sees the changes made before ([`Barrier::AttachWaits`]).
    pub(crate) fn is_only_on(&self, cpus: &impl Cpus<Set = S>, cpu: CpuId) -> bool {
        full_barrier(Barrier::Change);
        self.kind == Space::User
            && cpus.tlb(cpu).loaded.mine() == self.id.0
            && self
                .cpumask
                .now(Barrier::Unloaded)
                .iter()
                .all(|holder| holder == cpu)
    }

    /// Returns whether CPUs other than this one may have entries of the space. A change is under way.
    pub(crate) fn others(&self, cpus: &impl Cpus<Set = S>, cpu: CpuId) -> Others {
        let mut others = Others {
            hold: false,
            load: false,
        };
        for holder in self.cpumask.now(Barrier::Unloaded).iter() {
            if holder != cpu {
                others.hold = true;
                others.load |= cpus.tlb(holder).may_have_loaded(self.id);
            }
        }
        others
    }

    /// Returns the CPUs of the cpumask that have the space loaded or are switching.
    pub(crate) fn loaded_on(&self, cpus: &impl Cpus<Set = S>) -> S {
        self.holders(cpus, true)
    }

    /// Returns the CPUs of the cpumask that have the space loaded or are switching, or the others, as they are when they are
    /// read.
    fn holders(&self, cpus: &impl Cpus<Set = S>, loaded: bool) -> S {
        let mut holders = self.cpumask.now(Barrier::Unloaded);
        for holder in holders.clone().iter() {
            if cpus.tlb(holder).may_have_loaded(self.id) != loaded {
                holders.remove(holder);
            }
        }
        holders
    }

    /// Begins a change: from here on a CPU that attaches the space waits.
    pub(crate) fn begin_change(&self) {
        self.changes.add(1, Barrier::Defer);
        full_barrier(Barrier::Change);
    }

    /// Ends a change: CPUs that wait to attach the space continue.
    pub(crate) fn end_change(&self) {
        self.changes.sub(1, Barrier::Complete);
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
        self.holders(cpus, false)
    }

    /// Removes from the cpumask the CPUs that [`begin_trimming`](Self::begin_trimming) returned, after everything of the
    /// space is flushed on every CPU, and lets CPUs attach the space again.
    pub(crate) fn end_trimming(&self, cpus: &impl Cpus<Set = S>, mut leave: S) {
        if is_back(Fault::TrimsAfterFlush) {
            leave = self.holders(cpus, false);
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
