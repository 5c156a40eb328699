//! Holders: who may have entries of a space cached, and who can use them.
//!
//! In: a space, behind the barrier that orders what was changed before these reads. Out: the CPUs that a flush interrupts.
//! Holds: a CPU that is left out has nothing of the space loaded, or makes up for it before it uses the space again.

use crate::Mmu;
use crate::clause::Holders;
use crate::cpus::{CpuId, Cpus, SharedCpus};
use crate::platform::Platform;
use crate::request::{Reach, Request, Scope, Space};
use crate::space::{AddressSpace, SpaceId};
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
        space: &AddressSpace<P>,
        classes: Holders,
    ) -> Told<P::Set> {
        if space.kind == Space::Kernel {
            let mut others = self.online.now(Barrier::Unloaded);
            others.remove(cpu);
            return Told { others, here: true };
        }
        let mut others = space.holders.now(Barrier::Unloaded);
        let mut here = false;
        if others.contains(cpu) {
            others.remove(cpu);
            let uses = self.platform.local(cpu).may_have_loaded(space.id);
            here = uses || classes.covers(Holders::PARKED);
        }
        if !others.is_empty() {
            self.keep_only(&mut others, space, classes);
        }
        Told { others, here }
    }

    /// Keeps of the holders of a space those who are of these classes, and on line.
    #[inline(never)]
    fn keep_only(&self, others: &mut P::Set, space: &AddressSpace<P>, classes: Holders) {
        for holder in others.clone().iter() {
            let local = self.platform.local(holder);
            let loaded = local.loaded();
            let class = if loaded != space.id && loaded != SpaceId::SWITCHING {
                Holders::PARKED
            } else if loaded == space.id && local.lazy.acquire(Barrier::Unloaded) != 0 {
                Holders::LAZY
            } else {
                Holders::ACTIVE
            };
            let off_line = loaded == SpaceId::NONE;
            if off_line || !classes.covers(class) {
                others.remove(holder);
            }
        }
    }

    /// The CPUs of the sets that the kernel keeps.
    pub(crate) fn kept(&self, space: &AddressSpace<P>, sets: u8) -> P::Set {
        let mut all = P::Set::NONE;
        for set in (0..8).filter(|set| sets & 1 << set != 0) {
            all.extend(&self.platform.named_set(set, space));
        }
        all
    }

    /// Whether this CPU, which has the space loaded, is its only holder. Whoever attaches it from now on sees what
    /// was changed before.
    pub(crate) fn is_only_holder(&self, cpu: CpuId, space: &AddressSpace<P>) -> bool {
        full_barrier(Barrier::Change);
        space.kind == Space::User
            && self.platform.local(cpu).loaded.mine() == space.id.0
            && space
                .holders
                .now(Barrier::Unloaded)
                .iter()
                .all(|holder| holder == cpu)
    }

    /// Before everything of a space goes where attaching waits for changes: nobody attaches it now.
    pub(crate) fn begin_trimming(space: &AddressSpace<P>, request: &Request<'_>) -> bool {
        let everything = matches!(request.scope, Scope::Everything { .. } | Scope::Teardown);
        let trims = Self::FACTS.attach_waits_for_changes
            && everything
            && request.reach == Reach::Wide
            && space.kind == Space::User;
        if trims {
            Self::begin_change(space);
        }
        trims
    }

    /// Everything of it is gone, everywhere: who does not have it loaded is no holder any more.
    pub(crate) fn end_trimming(&self, space: &AddressSpace<P>, trims: bool) {
        if !trims {
            return;
        }
        for holder in space.holders.now(Barrier::Unloaded).iter() {
            if !self.platform.local(holder).may_have_loaded(space.id) {
                space.holders.remove(holder, Barrier::Unload);
            }
        }
        Self::end_change(space);
    }
}
