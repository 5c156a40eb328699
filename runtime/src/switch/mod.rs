//! Switching address spaces, and using one lazily.
//!
//! In: what a CPU runs in, and what it is to run in next. Out: the instructions that load the root and flush. Holds: a
//! CPU uses a space only after the flushes that it has not yet done for it.
//!
//! A kernel thread has no space of its own: the CPU keeps the previous root loaded, *lazily*. It does not use that
//! space, but the machine may still walk its tables and fill entries from them. So a flush of pages skips a lazy CPU,
//! which flushes when it uses the space again. A flush of tables never skips it.
//!
//! The scheduler keeps a [`Current`] for each CPU and passes it to each switch. Where lazy references are counted,
//! `Current` holds the reference that keeps the space alive. Otherwise it holds none, and the teardown of the space makes
//! lazy CPUs [leave](Mmu::teardown).
//!
//! Every path through [`Mmu::switch`] to user code of another space, or from a kernel thread, has a full barrier
//! ([`Barrier::SwitchIn`], [`Barrier::LeaveLazy`]), whether references are counted or not. membarrier relies on a
//! barrier between the store of the running task and the return to user code. Between two threads of one space it needs
//! none.
//!
//! Source: Linux `Documentation/mm/active_mm.rst`; Linux 2655421ae69f for lazy spaces without a reference count.

mod hotplug;
mod views;

use crate::asid::AsidAllocator;
use crate::backend::{Backend, LazyMm, Root};
use crate::cpu::{CpuTlb, Message};
use crate::deferred::{AsidSlot, LoadedTag, Pending};
use crate::fault::{Fault, is_back};
use crate::mask::{CpuId, SharedCpuMask};
use crate::mmu::Mmu;
use crate::mmu::shootdown::FlushReason;
use crate::platform::Platform;
use crate::request::{Scope, Space, SpaceId};
use crate::space::{AddressSpace, Tagging};
use crate::sync::{Barrier, full_barrier, wait_until};
use crate::tag::PerCpuSource;

/// What a CPU runs in. The scheduler keeps it.
#[derive(Debug)]
#[must_use = "the scheduler must keep it: it may hold the reference that keeps the loaded space alive"]
pub enum Current<H> {
    /// The kernel alone.
    Kernel,
    /// A user space.
    User(H),
    /// The kernel alone, with a user space's root still loaded, unless another CPU made this one leave it.
    Lazy(Option<H>),
}

/// Some CPU has the space loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StillLoaded;

impl core::fmt::Display for StillLoaded {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("some CPU has the space loaded")
    }
}

impl core::error::Error for StillLoaded {}

impl<P: Platform> Mmu<P> {
    /// Makes a CPU run in a user space, or in the kernel alone. Returns what the CPU now runs in.
    ///
    /// A handle that is no longer needed is dropped after its root is no longer loaded.
    ///
    /// # Context
    ///
    /// On that CPU, with interrupts off.
    pub fn switch(
        &self,
        cpu: CpuId,
        from: Current<P::Handle>,
        to: Option<P::Handle>,
    ) -> Current<P::Handle> {
        let here = self.platform.cpu(cpu);
        match (from, to) {
            (Current::User(from), None) => {
                // From here on senders may skip this CPU, so earlier user accesses must be complete (release).
                here.lazy.release(1, Barrier::Unload);
                let counted = Self::facts().lazy_mm == LazyMm::Refcounted;
                Current::Lazy(counted.then_some(from))
            }
            (from, None) => from,
            (Current::User(from), Some(to)) if from.as_ref().id == to.as_ref().id => {
                Current::User(to)
            }
            (from, Some(to)) => {
                let (loaded, space) = (SpaceId(here.loaded.mine()), to.as_ref());
                if let Current::User(left) = &from
                    && is_back(Fault::LeavesMaskEarly)
                {
                    left.as_ref().cpumask.remove(cpu, Barrier::Unload);
                }
                if loaded == space.id {
                    self.leave_lazy(cpu, here, space);
                } else {
                    self.load(cpu, here, loaded, space);
                }
                if let Current::User(left) | Current::Lazy(Some(left)) = &from {
                    Self::trim(cpu, here, left.as_ref());
                }
                drop(from);
                Current::User(to)
            }
        }
    }

    /// Removes this CPU from the cpumask of a space that it has left, so that flushes of the space no longer read its
    /// state. Only where the generation that its ASID slot has seen guards its entries, and is not the present one.
    fn trim(cpu: CpuId, here: &CpuTlb<P::CpuSet>, left: &AddressSpace<P::CpuSet>) {
        let guarded = matches!(left.tagging, Tagging::Cpu | Tagging::None);
        if !guarded || here.loaded.mine() == left.id.0 {
            return;
        }
        let slot = left.slot_on(here);
        let current =
            slot.is_some_and(|slot| here.slots.seen_gen(slot) == left.counts.tlb_gen.now());
        if !current {
            left.cpumask.remove(cpu, Barrier::Unload);
        }
    }

    /// Uses the loaded space again, after a pending flush if there is one.
    fn leave_lazy(&self, cpu: CpuId, here: &CpuTlb<P::CpuSet>, space: &AddressSpace<P::CpuSet>) {
        here.lazy.put(0);
        full_barrier(Barrier::LeaveLazy);
        if space.slots == 0 || is_back(Fault::LeavesLazyStale) {
            return;
        }
        let generation = space.counts.tlb_gen.now();
        let (slot, pending) =
            here.slots
                .find_or_assign(space.id, space.slots, generation, space.id);
        if pending != Pending::None {
            let pending = self.new_slot_tag(cpu, space.id, (space, slot), pending);
            if pending == Pending::All {
                here.slots.forget_all_but(Some(slot));
            }
            let (root, backend) = (self.root(here, Some(slot), space), self.platform.backend());
            here.stats.completed.count(1);
            here.stats.full_deferred.count(1);
            let deferred = backend.switch(&mut self.platform.sink(cpu), &root, pending);
            here.slots.set_seen_gen(slot, generation);
            here.defer(&*backend, deferred);
        }
    }

    /// Loads a space in place of the one that is loaded.
    ///
    /// What the CPU may use until its root is replaced stays reserved until then: the tag from generations that it leaves
    /// ([`renew_tag`](Self::renew_tag)), and the slot
    /// ([`AsidSlots::find_or_assign`](crate::deferred::AsidSlots::find_or_assign)). So entries that are flushed here and
    /// filled again from the old root have a tag that still belongs to the old space.
    fn load(
        &self,
        cpu: CpuId,
        here: &CpuTlb<P::CpuSet>,
        left: SpaceId,
        space: &AddressSpace<P::CpuSet>,
    ) {
        let early = is_back(Fault::ReadsGenerationEarly).then(|| space.counts.tlb_gen.now());
        here.loaded.put(SpaceId::SWITCHING.0);
        here.lazy.put(0);
        if Self::facts().attach_waits_for_changes {
            // A flush of everything that has ended may just have removed this CPU from the cpumask.
            space.cpumask.insert(cpu, Barrier::Unload);
            full_barrier(Barrier::AttachWaits);
            if space.counts.changes.get() != 0 && !is_back(Fault::AttachesDuringChange) {
                self.leave_root(cpu);
                wait_until(
                    || space.counts.changes.get() == 0,
                    || self.handle_messages(cpu),
                );
            }
            // The changes are seen after SwitchIn.
        } else if !space.cpumask.contains(cpu, Barrier::Unloaded) && !is_back(Fault::EntersMaskLate)
        {
            space.cpumask.insert(cpu, Barrier::Unload);
        }
        // Before the barrier: if a sender reads the old tag after its changes, this CPU sees those changes.
        if space.tagging == Tagging::Generations {
            self.renew_tag(cpu, space);
        }
        full_barrier(Barrier::SwitchIn);
        self.complete_before_attach(cpu, space);
        let mut generation = 0;
        let (slot, mut pending) = match space.slots {
            0 => (None, Pending::None),
            slots => {
                generation = early.unwrap_or_else(|| space.counts.tlb_gen.now());
                let (slot, pending) = here.slots.find_or_assign(space.id, slots, generation, left);
                let pending = self.new_slot_tag(cpu, left, (space, slot), pending);
                if slots == 1 && space.tagging == Tagging::Cpu && pending != Pending::None {
                    self.leave_root(cpu); // the tag of the only slot may still be the other space's
                }
                (Some(slot), pending)
            }
        };
        let late = is_back(Fault::FlushesUnderOldRoot) && here.slots.take_rollover();
        if here.slots.take_everything() || late || pending == Pending::All {
            here.slots.forget_all_but(slot);
            pending = Pending::All;
        }
        if pending != Pending::None {
            here.stats.completed.count(1);
        }
        let (root, backend) = (self.root(here, slot, space), self.platform.backend());
        let deferred = backend.switch(&mut self.platform.sink(cpu), &root, pending);
        here.tag
            .put(if root.tag.global { root.tag.value } else { 0 });
        here.loaded.release(space.id.0, Barrier::Unload);
        if is_back(Fault::EntersMaskLate) {
            space.cpumask.insert(cpu, Barrier::Unload);
        }
        AsidAllocator::left_tag(here);
        if let Some(slot) = slot {
            here.slots.set_seen_gen(slot, generation);
        }
        here.defer(&*backend, deferred);
    }

    /// Gives a space that is about to be loaded, or used again, a new tag in place of a flush of the old one, where the per-CPU tags of
    /// the machine come from generations. Returns what still has to be flushed. If that is nothing, changes of the space are published, as they
    /// are before a flush: the walker of this CPU must see them.
    fn new_slot_tag(
        &self,
        cpu: CpuId,
        left: SpaceId,
        (space, slot): (&AddressSpace<P::CpuSet>, AsidSlot),
        pending: Pending,
    ) -> Pending {
        let backend = self.platform.backend();
        let Some((values, PerCpuSource::Generations)) = backend.tags().per_cpu else {
            return pending;
        };
        if space.tagging != Tagging::Cpu || pending != Pending::Tag {
            return pending;
        }
        let slots = &self.platform.cpu(cpu).slots;
        let pending = slots.renew_tag(slot, values, slots.find(left));
        if pending == Pending::None {
            backend.publish(&mut self.platform.sink(cpu), space.kind());
        }
        pending
    }

    /// Returns the root that a CPU loads for a space, in the view that the kernel runs on. `slot` is the ASID slot of the
    /// space on this CPU.
    fn root(
        &self,
        here: &CpuTlb<P::CpuSet>,
        slot: Option<AsidSlot>,
        space: &AddressSpace<P::CpuSet>,
    ) -> Root {
        let kernel = self.platform.kernel_root();
        if space.kind == Space::Kernel {
            return kernel;
        }
        Root {
            table: space.table,
            tag: space.tag_on(here, slot, &*self.platform.backend()),
            empty: kernel.empty,
            flags: space.flags(),
        }
    }

    /// Completes the flush of everything of a space that is deferred until another CPU attaches the space.
    fn complete_before_attach(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) {
        if Self::facts().pte_update.is_deferrable() && space.pending.attach.pending().is_some() {
            self.leave_root(cpu);
            self.flush_space(
                space,
                Scope::Everything { tables: true },
                FlushReason::Pending,
            );
        }
    }

    /// Loads the kernel's root instead of a user space's, and records that no space is loaded.
    pub(crate) fn load_kernel(&self, cpu: CpuId) {
        let here = self.platform.cpu(cpu);
        here.loaded.put(SpaceId::SWITCHING.0);
        self.leave_root(cpu);
        here.lazy.put(0);
        here.loaded.release(SpaceId::KERNEL.0, Barrier::Unload);
    }

    /// Loads the kernel's root. A CPU that waits during a switch calls this before it waits: it then has no root
    /// loaded of the space that it leaves, so it needs no flush for the requests about that space that it acknowledges.
    pub(crate) fn leave_root(&self, cpu: CpuId) {
        let here = self.platform.cpu(cpu);
        let root = self.platform.kernel_root();
        let pending = if here.slots.take_kernel_root() {
            Pending::Tag
        } else {
            Pending::None
        };
        let backend = self.platform.backend();
        let deferred = backend.switch(&mut self.platform.sink(cpu), &root, pending);
        here.tag.put(0);
        here.defer_under(&*backend, deferred, LoadedTag::KernelRoot);
    }

    /// Releases a space after its [teardown](Self::teardown), when its last reference is gone. Its tag may then be given to
    /// another space, and its memory and its top table may be used for something else. Its [pins](Self::pin_tag) end.
    ///
    /// # Context
    ///
    /// That of a flush.
    ///
    /// # Errors
    ///
    /// When some CPU still has the space loaded: the caller's count of references is wrong. Nothing is released.
    pub fn release(&self, space: &AddressSpace<P::CpuSet>) -> Result<(), StillLoaded> {
        if self.is_loaded(space) {
            return Err(StillLoaded);
        }
        if space.tagging == Tagging::Life {
            if Self::facts().lazy_mm == LazyMm::Refcounted {
                // A CPU that was lazy until now may have bound the tag to the empty top table again.
                self.flush_space(space, Scope::Teardown, FlushReason::Requested);
            }
            self.return_tag(space.tag.get());
        }
        self.release_pins(space);
        Ok(())
    }

    /// Makes every CPU that uses a space lazily leave it, and waits until they have.
    pub(crate) fn shoot_lazies(&self, space: &AddressSpace<P::CpuSet>) {
        self.platform.pin_cpu(true, |cpu| {
            full_barrier(Barrier::Flush);
            let here = self.platform.cpu(cpu);
            if here.loaded.mine() == space.id.0 && here.lazy.mine() != 0 {
                self.load_kernel(cpu);
            }
            let lazies = space.loaded_on(self);
            self.call(cpu, lazies, &Message::Leave(space.id));
        });
    }

    /// Returns whether any CPU has a space loaded. Waits for CPUs that are switching.
    fn is_loaded(&self, space: &AddressSpace<P::CpuSet>) -> bool {
        self.platform.pin_cpu(true, |cpu| {
            full_barrier(Barrier::Flush);
            space.cpus_in_mask(self).any(|other| {
                let local = self.platform.cpu(other);
                let mut loaded = SpaceId::SWITCHING;
                wait_until(
                    || {
                        loaded = local.loaded();
                        loaded != SpaceId::SWITCHING
                    },
                    || self.handle_messages(cpu),
                );
                // The CPU may be switching again, with the space still loaded.
                if is_back(Fault::ReadsLoadedAgain) {
                    loaded = local.loaded();
                }
                loaded == space.id
            })
        })
    }
}
