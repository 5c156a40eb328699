//! The cpumask of a space: which CPUs may have entries of it cached, and which of them can use the entries.
//!
//! In: a space, after the barrier that orders the changes before these reads. Out: the IPI targets of a flush.
//! Holds: a CPU that is left out does not have the space loaded, or flushes before it uses the space again.
//!
//! # When the cpumask and what is loaded are read
//!
//! Each reader skips a CPU because of its state at one moment. Why that moment is correct:
//!
//! | reader | moment | a CPU that changes afterwards |
//! |---|---|---|
//! | `targets`, for the CPUs to interrupt | after the change is stored and [`Barrier::Flush`], before the flush starts | loads the space: sees the generation ([`Barrier::SwitchIn`]); leaves it: takes a spurious IPI |
//! | `targets`, for the IPIs after the flush | after the flush is finished and [`Barrier::Flush`] | left before: its accesses are complete ([`Barrier::Unloaded`]); loads it: fills only from the changed entries |
//! | `is_only_holder` | after the change is stored and [`Barrier::Change`] | attaches the space: sees the change |
//! | `owner` in [`changes`](crate::Mmu) | while a change is under way, after [`Barrier::Change`] | waits until the change is over |
//! | `begin_trimming` | while a change is under way, before the flush | has it loaded: stays in the cpumask, because it can fill after the flush; attaches it: waits, and enters the cpumask again |
//! | `shoot_lazies`, `is_loaded` | during the teardown of the space | loads the space: is excluded by their contract |
//! | a switch, about its own CPU | after the new root is loaded | does not exist: only this CPU changes its own state |

use crate::agents::Agents;
use crate::fault::{Fault, is_back};
use crate::mask::{CpuId, CpuMask, SharedCpuMask};
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::request::{Reach, Request, Scope, Space, SpaceId};
use crate::space::AddressSpace;
use crate::sync::{Barrier, full_barrier};

/// The CPUs on which a flush must run.
pub(crate) struct Targets<S> {
    /// The other CPUs, which are sent an IPI.
    pub others: S,
    /// Whether this CPU may have entries that it could use.
    pub here: bool,
}

impl<P: Platform> Mmu<P> {
    /// Returns the CPUs of these classes on which a flush must run.
    #[inline]
    pub(crate) fn targets(
        &self,
        cpu: CpuId,
        space: &AddressSpace<P::CpuSet>,
        classes: Agents,
    ) -> Targets<P::CpuSet> {
        if space.kind == Space::Kernel {
            let mut others = self.online.now(Barrier::Unloaded);
            others.remove(cpu);
            return Targets { others, here: true };
        }
        let mut others = space.holders.now(Barrier::Unloaded);
        let mut here = false;
        if others.contains(cpu) {
            others.remove(cpu);
            let uses = self.platform.cpu(cpu).may_have_loaded(space.id);
            here = uses || classes.covers(Agents::INACTIVE);
        }
        if !others.is_empty() {
            self.keep_only(&mut others, space, classes);
        }
        Targets { others, here }
    }

    /// Removes from CPUs of a space's cpumask those that are not of these classes, or offline.
    #[inline(never)]
    fn keep_only(&self, others: &mut P::CpuSet, space: &AddressSpace<P::CpuSet>, classes: Agents) {
        for holder in others.clone().iter() {
            let local = self.platform.cpu(holder);
            let loaded = local.loaded();
            let class = if loaded != space.id && loaded != SpaceId::SWITCHING {
                Agents::INACTIVE
            } else if loaded == space.id && local.lazy.acquire(Barrier::Unloaded) != 0 {
                Agents::LAZY
            } else {
                Agents::ACTIVE
            };
            let off_line = loaded == SpaceId::NONE;
            if off_line || !classes.covers(class) {
                others.remove(holder);
            }
        }
    }

    /// Returns the CPUs of the named erratum sets, which the kernel keeps.
    pub(crate) fn erratum_sets(&self, space: &AddressSpace<P::CpuSet>, sets: u8) -> P::CpuSet {
        let mut all = P::CpuSet::NONE;
        for set in (0..8).filter(|set| sets & 1 << set != 0) {
            all.extend(&self.platform.erratum_set(set, space));
        }
        all
    }

    /// Returns whether this CPU has the space loaded and is the only one in its cpumask. A CPU that attaches the space
    /// from now on sees the changes made before ([`Barrier::AttachWaits`]).
    pub(crate) fn is_only_holder(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) -> bool {
        full_barrier(Barrier::Change);
        space.kind == Space::User
            && self.platform.cpu(cpu).loaded.mine() == space.id.0
            && space
                .holders
                .now(Barrier::Unloaded)
                .iter()
                .all(|holder| holder == cpu)
    }

    /// Makes CPUs that attach a space wait until [`end_trimming`](Self::end_trimming). Called before everything of the space
    /// is flushed, where attaching waits for changes; elsewhere returns `None`. Returns the CPUs of the cpumask that do
    /// not have the space loaded: the flush drops all their entries of it, and they fill no new ones.
    ///
    /// These CPUs are read before the flush. A CPU that has the space loaded during the flush can fill entries after the
    /// flush and leave the space before the flush returns, so it stays in the cpumask. Linux `__tlb_flush_mm` also
    /// resets its mask before it flushes.
    pub(crate) fn begin_trimming(
        &self,
        space: &AddressSpace<P::CpuSet>,
        request: &Request<'_>,
    ) -> Option<P::CpuSet> {
        let everything = matches!(request.scope, Scope::Everything { .. } | Scope::Teardown);
        let trims = Self::FACTS.attach_waits_for_changes
            && everything
            && request.reach == Reach::Wide
            && space.kind == Space::User;
        trims.then(|| {
            Self::begin_change(space);
            self.not_loaded(space)
        })
    }

    /// Removes from the cpumask the CPUs that [`begin_trimming`](Self::begin_trimming) returned, after everything of the
    /// space is flushed on every CPU, and lets CPUs attach the space again.
    pub(crate) fn end_trimming(&self, space: &AddressSpace<P::CpuSet>, mut leave: P::CpuSet) {
        if is_back(Fault::TrimsAfterFlush) {
            leave = self.not_loaded(space);
        }
        for cpu in leave.iter() {
            space.holders.remove(cpu, Barrier::Unload);
            // If the CPU has entered the cpumask again to attach the space, it stored "switching" before that, and waits
            // until the change is over.
            if self.platform.cpu(cpu).may_have_loaded(space.id) && !is_back(Fault::TrimsEntering) {
                space.holders.insert(cpu, Barrier::Unload);
            }
        }
        Self::end_change(space);
    }

    /// Returns the CPUs of a space's cpumask that, when they are read, neither have it loaded nor are switching.
    fn not_loaded(&self, space: &AddressSpace<P::CpuSet>) -> P::CpuSet {
        let mut cpus = space.holders.now(Barrier::Unloaded);
        for cpu in cpus.clone().iter() {
            if self.platform.cpu(cpu).may_have_loaded(space.id) {
                cpus.remove(cpu);
            }
        }
        cpus
    }
}
