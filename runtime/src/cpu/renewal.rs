//! A new tag for the space that is loaded, in place of a flush.
//!
//! In: what a flush of this CPU has deferred. Out: the load of a new tag, if the flush was left to it. Holds: nothing is cached under
//! the tag that is then loaded, except what was filled after the flush had published the changes.
//!
//! Entries under the old tag stay cached. They cannot be used, because the tag is not given to a space before the CPU has flushed
//! everything.
//!
//! Source: Linux `drop_mmu_context`, of the ports whose CPUs give out tags for themselves.

use crate::backend::{Backend, Issue, Root};
use crate::cpu::tlb::CpuTlb;
use crate::deferred::{Deferred, LoadedTag, Pending};
use crate::fault::{Fault, is_back};
use crate::mask::CpuMask;
use crate::request::SpaceFlags;
use crate::tag::PerCpuSource;

impl<S: CpuMask> CpuTlb<S> {
    /// Records the flushes that a backend has deferred, and gives the space that is loaded a new tag, if a flush of a space with these
    /// flags was left to that. Called on that CPU, with interrupts off if a flush can be left to a new tag.
    #[inline]
    pub(crate) fn defer_or_renew<B: Backend>(
        &self,
        backend: &B,
        sink: &mut impl Issue<B::Op>,
        deferred: Deferred,
        flags: SpaceFlags,
    ) {
        self.defer(backend, deferred);
        if deferred.contains(Deferred::TAG_UNTIL_RENEWAL) {
            self.renew_loaded_tag(backend, sink, flags);
        }
    }

    /// Gives the space that is loaded a new tag, and loads it. A space that is not loaded gets one when it is next loaded, because the
    /// CPU has not followed its generation.
    #[cold]
    pub(crate) fn renew_loaded_tag<B: Backend>(
        &self,
        backend: &B,
        sink: &mut impl Issue<B::Op>,
        flags: SpaceFlags,
    ) {
        let tags = backend.tags().per_cpu;
        let (LoadedTag::Slot(Some(slot)), Some((values, PerCpuSource::Generations))) =
            (self.loaded_tag(), tags)
        else {
            return;
        };
        let pending = self.slots.renew_tag(slot, values, Some(slot));
        if pending == Pending::All {
            self.slots.forget_all_but(Some(slot));
        }
        self.stats.renewed.count(1);
        if !is_back(Fault::KeepsLoadedTag) {
            let to = Root::of_tag(self.slots.tag(Some(slot), tags), flags);
            let deferred = backend.load_tag(sink, &to, pending);
            self.defer(backend, deferred);
        }
    }
}
