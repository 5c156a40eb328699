//! Agents: who may have entries of a space cached, and who can use them.
//!
//! In: a space, behind the barrier that orders what was changed before these reads. Out: the CPUs that a flush interrupts.
//! Holds: a CPU that is left out has nothing of the space loaded, or makes up for it before it uses the space again.
//!
//! # When the cpumask and what is loaded are read
//!
//! Each reader skips a CPU by what it was at one moment. What makes that moment right:
//!
//! | reader | moment | a CPU that changes afterwards |
//! |---|---|---|
//! | `told`, for the CPUs to interrupt | after the change is stored and [`Barrier::Flush`], before the flush starts | loads the space: sees the generation ([`Barrier::SwitchIn`]); leaves it: takes a spurious IPI |
//! | `told`, for those left over | after the flush is finished and [`Barrier::Flush`] | left before: its accesses are complete ([`Barrier::Unloaded`]); loads it: fills only what the flush left |
//! | `is_only_holder` | after the change is stored and [`Barrier::Change`] | attaches the space: sees the change |
//! | `owner` in [`changes`](crate::Mmu) | while a change is under way, after [`Barrier::Change`] | waits until the change is over |
//! | `begin_trimming` | while a change is under way, before the flush | has it loaded: stays in the cpumask, for it can fill after the flush; attaches it: waits, and enters the cpumask again |
//! | `shoot_lazies`, `is_loaded` | at the end of the space | loads the space: is excluded by their contract |
//! | a CPU itself, in a switch | after the new root is loaded | is this CPU |

use crate::agents::Agents;
use crate::fault::{Fault, is_back};
use crate::mask::{CpuId, CpuMask, SharedCpuMask};
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::request::{Reach, Request, Scope, Space, SpaceId};
use crate::space::AddressSpace;
use crate::sync::{Barrier, full_barrier};

/// Who has to be told of a flush.
pub(crate) struct Told<S> {
    /// Others that are interrupted.
    pub others: S,
    /// Whether this CPU may have entries that it could use.
    pub here: bool,
}

impl<P: Platform> Mmu<P> {
    /// Whom a flush interrupts, of these classes, and whether this CPU is one of those who hold something.
    #[inline]
    pub(crate) fn told(
        &self,
        cpu: CpuId,
        space: &AddressSpace<P::CpuSet>,
        classes: Agents,
    ) -> Told<P::CpuSet> {
        if space.kind == Space::Kernel {
            let mut others = self.online.now(Barrier::Unloaded);
            others.remove(cpu);
            return Told { others, here: true };
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
        Told { others, here }
    }

    /// Keeps of the holders of a space those who are of these classes, and on line.
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

    /// The CPUs of the sets that the kernel keeps.
    pub(crate) fn kept(&self, space: &AddressSpace<P::CpuSet>, sets: u8) -> P::CpuSet {
        let mut all = P::CpuSet::NONE;
        for set in (0..8).filter(|set| sets & 1 << set != 0) {
            all.extend(&self.platform.erratum_set(set, space));
        }
        all
    }

    /// Whether this CPU, which has the space loaded, is its only holder. Whoever attaches it from now on sees what
    /// was changed before.
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

    /// Before everything of a space is flushed where attaching waits for changes: from here to
    /// [`end_trimming`](Self::end_trimming) no CPU attaches it. Returns the CPUs of its cpumask that do not have it loaded:
    /// all that they hold of it is flushed, and they fill nothing.
    ///
    /// Read before the flush. A CPU that has the space loaded while it is flushed can fill entries after the flush and leave the
    /// space before the flush returns: it stays in the cpumask. Linux `__tlb_flush_mm` resets its
    /// mask before it flushes, too.
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

    /// Everything of a space is flushed on every CPU: those that did not have it loaded leave its cpumask.
    pub(crate) fn end_trimming(&self, space: &AddressSpace<P::CpuSet>, mut leave: P::CpuSet) {
        if is_back(Fault::TrimsAfterFlush) {
            leave = self.not_loaded(space);
        }
        for cpu in leave.iter() {
            space.holders.remove(cpu, Barrier::Unload);
            // If it had entered the cpumask meanwhile to attach the space, it says so since before that, and waits until this
            // is over.
            if self.platform.cpu(cpu).may_have_loaded(space.id) && !is_back(Fault::TrimsEntering) {
                space.holders.insert(cpu, Barrier::Unload);
            }
        }
        Self::end_change(space);
    }

    /// The CPUs of a space's cpumask that do not have it loaded, and are not on the way to it, at this moment.
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
