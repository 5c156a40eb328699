//! Switching address spaces, and using one lazily.
//!
//! A kernel thread has no space of its own: the CPU keeps the root of the one before, *lazily*. It does not use it, but
//! the machine may still walk its tables and fill from them. So a lazy CPU is skipped by a flush of pages, for which it makes
//! up on the way back, and never by one of tables.
//!
//! The scheduler keeps a [`Current`] for each CPU and hands it in and out. Where lazy CPUs are counted it holds the
//! reference that keeps the space alive; otherwise it holds none, and whoever ends the space makes them
//! [leave](Mmu::teardown).
//!
//! Every path through [`Mmu::switch`] to user code of another space, or from a kernel thread, has a full barrier
//! ([`Barrier::SwitchIn`], [`Barrier::LeaveLazy`]), whether references are counted or not: membarrier relies on one
//! between the store of what runs and the return to user code, and between two threads of one space it needs none.
//!
//! Source: Linux `Documentation/mm/active_mm.rst`; Linux 2655421ae69f for lazy spaces that nobody counts.

use crate::backend::{Backend, LazyMm, Root};
use crate::cpu::{CpuTlb, Loaded};
use crate::deferred::LoadedTag;
use crate::deferred::Pending;
use crate::fault::{Fault, is_back};
use crate::mask::{CpuId, CpuMask, SharedCpuMask};
use crate::mmu::Mmu;
use crate::mmu::Unusable;
use crate::platform::Platform;
use crate::request::{Scope, SpaceFlags, SpaceId};
use crate::shootdown::Why;
use crate::space::AddressSpace;
use crate::space::Tagging;
use crate::sync::{Barrier, full_barrier, wait_until};

/// What a CPU runs in: kept by the scheduler.
#[derive(Debug)]
#[must_use = "the scheduler keeps it: it may hold the reference that the loaded space lives by"]
pub enum Current<H> {
    /// The kernel alone.
    Kernel,
    /// A user space.
    User(H),
    /// The kernel alone, with a user space's root still loaded, unless somebody made this CPU leave it.
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
    /// Makes a CPU run in a user space, or in the kernel alone.
    ///
    /// A handle that is not needed any more is dropped when its root is not loaded any more.
    ///
    /// Contexts: on that CPU, with interrupts off.
    pub fn switch(
        &self,
        cpu: CpuId,
        from: Current<P::Handle>,
        to: Option<P::Handle>,
    ) -> Current<P::Handle> {
        let here = self.platform.cpu(cpu);
        match (from, to) {
            (Current::User(from), None) => {
                // Who skips this CPU from here on relies on what user code did being done.
                here.lazy.release(1, Barrier::Unload);
                let counted = Self::FACTS.lazy_mm == LazyMm::Refcounted;
                Current::Lazy(counted.then_some(from))
            }
            (from, None) => from,
            (Current::User(from), Some(to)) if from.id == to.id => Current::User(to),
            (from, Some(to)) => {
                let loaded = SpaceId(here.loaded.mine());
                if loaded == to.id {
                    self.leave_lazy(cpu, here, &to);
                } else {
                    self.load(cpu, here, loaded, &to);
                }
                if let Current::User(left) | Current::Lazy(Some(left)) = &from {
                    Self::trim(cpu, here, left);
                }
                drop(from);
                Current::User(to)
            }
        }
    }

    /// A space is not loaded here any more. If it is flushed meanwhile this CPU is not to be looked at each time: it
    /// is no holder where its book alone guards what it has parked.
    fn trim(cpu: CpuId, here: &CpuTlb<P::CpuSet>, left: &AddressSpace<P::CpuSet>) {
        let guarded = matches!(left.tagging, Tagging::Cpu | Tagging::None);
        if !guarded || here.loaded.mine() == left.id.0 {
            return;
        }
        let slot = here.slots.find(left.id, left.slots);
        let current = slot.is_some_and(|slot| here.slots.seen_gen(slot) == left.tlb_gen.now());
        if !current {
            left.holders.remove(cpu, Barrier::Unload);
        }
    }

    /// Uses the space again that is loaded.
    fn leave_lazy(&self, cpu: CpuId, here: &CpuTlb<P::CpuSet>, space: &AddressSpace<P::CpuSet>) {
        here.lazy.put(0);
        full_barrier(Barrier::LeaveLazy);
        if space.slots == 0 {
            return;
        }
        let generation = space.tlb_gen.now();
        let (slot, pending) =
            here.slots
                .find_or_assign(space.id, space.slots, generation, space.id);
        if pending != Pending::None {
            let root = self.root(Some(slot), space);
            here.stats.completed.count(1);
            here.stats.full_deferred.count(1);
            let mut sink = self.platform.sink(cpu);
            let deferred = self.platform.backend().switch(&mut sink, &root, pending);
            here.slots.set_seen_gen(slot, generation);
            self.record(here, space, deferred);
        }
    }

    /// Loads a space in place of the one that is loaded.
    ///
    /// What the CPU may still use until its root is replaced stays reserved until then: the tag from generations that it leaves
    /// ([`renew_tag`](Self::renew_tag)), and the slot ([`AsidSlots::find_or_assign`](crate::deferred::AsidSlots::find_or_assign)). So what is flushed here and
    /// filled again from the old root stands under a tag that is still the old space's.
    fn load(
        &self,
        cpu: CpuId,
        here: &CpuTlb<P::CpuSet>,
        left: SpaceId,
        space: &AddressSpace<P::CpuSet>,
    ) {
        here.loaded.put(SpaceId::SWITCHING.0);
        here.lazy.put(0);
        if Self::FACTS.attach_waits_for_changes {
            // A flush of everything that is over may just have taken this CPU out of the cpumask.
            space.holders.insert(cpu, Barrier::Unload);
            full_barrier(Barrier::AttachWaits);
            if space.changes.get() != 0 {
                self.leave_root(cpu);
                wait_until(|| space.changes.get() == 0, || self.serve(cpu));
            }
            // What was changed is seen behind SwitchIn.
        } else if !space.holders.contains(cpu, Barrier::Unloaded) {
            space.holders.insert(cpu, Barrier::Unload);
        }
        // Before the barrier: who reads the old tag behind its changes knows that this CPU sees them.
        if space.tagging == Tagging::Generations {
            self.renew_tag(cpu, space);
        }
        full_barrier(Barrier::SwitchIn);
        self.complete_before_attach(cpu, space);
        let mut generation = 0;
        let (slot, mut pending) = match space.slots {
            0 => (None, Pending::None),
            slots => {
                generation = space.tlb_gen.now();
                let (slot, pending) = here.slots.find_or_assign(space.id, slots, generation, left);
                if slots == 1 && space.tagging == Tagging::Cpu && pending != Pending::None {
                    self.leave_root(cpu); // the tag of the only slot may still be the other space's
                }
                (Some(slot), pending)
            }
        };
        let late = is_back(Fault::FlushesUnderOldRoot) && here.slots.take_rollover();
        if here.slots.take_everything() || late {
            here.slots.forget_all_but(slot);
            pending = Pending::All;
        }
        if pending != Pending::None {
            here.stats.completed.count(1);
        }
        let root = self.root(slot, space);
        let deferred = self
            .platform
            .backend()
            .switch(&mut self.platform.sink(cpu), &root, pending);
        here.tag
            .put(if root.tag.global { root.tag.value } else { 0 });
        here.loaded.release(space.id.0, Barrier::Unload);
        Self::left_tag(here);
        if let Some(slot) = slot {
            here.slots.set_seen_gen(slot, generation);
        }
        self.record(here, space, deferred);
    }

    /// Pays what is owed before another CPU attaches a space: everything of it.
    fn complete_before_attach(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) {
        if Self::FACTS.pte_update.is_deferrable() && space.pending.attach.pending().is_some() {
            self.leave_root(cpu);
            self.flush_whole(space, Scope::Everything { tables: true }, Why::Pending);
        }
    }

    /// Loads the kernel's root instead of a user space's.
    pub(crate) fn load_kernel(&self, cpu: CpuId) {
        let here = self.platform.cpu(cpu);
        here.loaded.put(SpaceId::SWITCHING.0);
        self.leave_root(cpu);
        here.lazy.put(0);
        here.loaded.release(SpaceId::KERNEL.0, Barrier::Unload);
    }

    /// Loads the kernel's root. A CPU that waits while it switches does so before: what others ask of it
    /// about the space that it comes from is then as good as done.
    pub(crate) fn leave_root(&self, cpu: CpuId) {
        let here = self.platform.cpu(cpu);
        let root = self.platform.kernel_root();
        let pending = if here.slots.take_kernel_root() {
            Pending::Tag
        } else {
            Pending::None
        };
        let mut sink = self.platform.sink(cpu);
        let deferred = self.platform.backend().switch(&mut sink, &root, pending);
        here.tag.put(0);
        if !deferred.is_nothing() {
            self.record_deferred(here, self.kernel(), deferred, LoadedTag::KernelRoot);
        }
    }

    /// The last thing before user code runs: loads its view, and drops what was put off to now.
    ///
    /// What follows must synchronise the CPU's context, as a return from an exception does: a flush of a
    /// user space does not by itself.
    ///
    /// Contexts: on that CPU, with interrupts off until user code runs; the CPU runs in the space.
    pub fn return_to_user(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) {
        let here = self.platform.cpu(cpu);
        let slot = here.slots.find(space.id, space.slots);
        let deferred = slot.is_some_and(|slot| here.slots.take_view(slot));
        here.stats.completed.count(u64::from(deferred));
        let root = Root {
            table: space.user_table,
            ..self.root(slot, space)
        };
        self.platform
            .backend()
            .return_to_user(&mut self.platform.sink(cpu), &root, deferred);
    }

    /// A CPU comes online, or comes back: it loads the kernel's root, flushes whatever its TLB holds, and takes
    /// interrupts from now on.
    ///
    /// The root first: until it is loaded the CPU walks the tables that it booted with, and what it fills from them would
    /// survive the flush. After this returns nothing that was mapped by those tables alone is cached, and they may be freed.
    ///
    /// Contexts: on that CPU, with interrupts off, before anything that others may change is mapped for it.
    ///
    /// # Errors
    /// When the platform has no CPU of this number, more CPUs than its sets hold, or too few tags for them. Nothing was
    /// issued or loaded, and the CPU stays offline.
    pub fn cpu_online(&self, cpu: CpuId) -> Result<Current<P::Handle>, Unusable> {
        self.check(cpu)?;
        let here = self.platform.cpu(cpu);
        let holds = self.platform.kernel_root().flags;
        if holds != SpaceFlags::NONE {
            self.kernel().flags.or(u64::from(holds.0), Barrier::Defer);
        }
        self.online.insert(cpu, Barrier::Unload);
        full_barrier(Barrier::SwitchIn);
        // What the CPU had cached when it went offline, of the kernel's tables among others, may be freed since.
        if !is_back(Fault::KeepsStaleRoot) {
            here.slots.defer_kernel_root();
        }
        let forget = || {
            here.slots.take_everything();
            let deferred = self
                .platform
                .backend()
                .cpu_online(&mut self.platform.sink(cpu));
            self.record_here(here, deferred);
        };
        if is_back(Fault::FlushesBeforeRoot) {
            forget();
            self.load_kernel(cpu);
        } else {
            self.load_kernel(cpu);
            forget();
        }
        Ok(Current::Kernel)
    }

    /// A CPU goes: it leaves the space that it has loaded, and is told nothing any more.
    ///
    /// From here on it runs only on kernel mappings that nobody changes, until it [arrives](Self::cpu_online) again. Its walker must
    /// be stopped before a table of the kernel is freed: the CPU still has the kernel's root loaded, and takes part in no flush.
    ///
    /// Contexts: on that CPU, with interrupts off.
    pub fn cpu_offline(&self, cpu: CpuId, current: Current<P::Handle>) {
        let here = self.platform.cpu(cpu);
        self.load_kernel(cpu);
        self.forget_tags_of(here);
        self.online.remove(cpu, Barrier::Unload);
        full_barrier(Barrier::Offline);
        // Whoever still asks is answered unread: nothing that it could ask about is used before this CPU arrives, and
        // by then it has forgotten everything.
        for sender in here.inbox.now(Barrier::Receive).iter() {
            here.inbox.remove(sender, Barrier::Acknowledge);
        }
        here.loaded.release(SpaceId::NONE.0, Barrier::Unload);
        drop(current);
    }

    /// The last reference to a space is gone, and it was [torn down](Self::teardown): its tag may be given to another,
    /// and its memory and its top table to somebody else. Its [pins](Self::pin_tag) end.
    ///
    /// Contexts: those of a flush.
    ///
    /// # Errors
    /// When some CPU still has it loaded: whoever holds references counts wrongly. Nothing is given back.
    pub fn release(&self, space: &AddressSpace<P::CpuSet>) -> Result<(), StillLoaded> {
        if self.is_loaded(space) {
            return Err(StillLoaded);
        }
        if space.tagging == Tagging::Life {
            if Self::FACTS.lazy_mm == LazyMm::Refcounted {
                // A CPU that was lazy until now may have bound the tag to the empty top table again.
                self.flush_whole(space, Scope::Teardown, Why::Asked);
            }
            self.return_tag(space.tag.get());
        }
        self.release_pins(space);
        Ok(())
    }

    /// Makes every CPU leave a space that uses it lazily, and waits until they have.
    pub(crate) fn shoot_lazies(&self, space: &AddressSpace<P::CpuSet>) {
        self.platform.pin_cpu(true, |cpu| {
            full_barrier(Barrier::Flush);
            let here = self.platform.cpu(cpu);
            if here.loaded.mine() == space.id.0 && here.lazy.mine() != 0 {
                self.load_kernel(cpu);
            }
            let mut lazies = space.holders.now(Barrier::Unloaded);
            for holder in lazies.clone().iter() {
                if !self.platform.cpu(holder).may_have_loaded(space.id) {
                    lazies.remove(holder);
                }
            }
            self.call(cpu, lazies, &crate::cpu::Message::Leave(space.id));
        });
    }

    /// Returns what a CPU has loaded. For a handler of non-maskable interrupts on that CPU, before it accesses user memory: the
    /// space that the scheduler calls current is not always the one whose root is loaded (Linux `nmi_uaccess_okay`).
    ///
    /// # Context
    /// On that CPU, any, also where interrupts cannot be turned off: it reads one word. This is the only function that may be
    /// called from a non-maskable interrupt. All others may have been interrupted half way on the same CPU:
    /// [`handle_ipi`](Self::handle_ipi) in a non-maskable interrupt would acknowledge a request that the interrupted code
    /// has not carried out, and everything that takes a lock could wait for itself. Entry code that changes the view
    /// ([`return_to_user`](Self::return_to_user)) is the kernel's to see through. On another CPU the answer may be out of date
    /// when it is returned.
    #[must_use]
    pub fn loaded(&self, cpu: CpuId) -> Loaded {
        match SpaceId(self.platform.cpu(cpu).loaded.get()) {
            SpaceId::NONE => Loaded::Nothing,
            SpaceId::KERNEL => Loaded::Kernel,
            SpaceId::SWITCHING => Loaded::Switching,
            space => Loaded::Space(space),
        }
    }

    /// Whether a CPU has a space loaded. One that is switching is waited for.
    fn is_loaded(&self, space: &AddressSpace<P::CpuSet>) -> bool {
        self.platform.pin_cpu(true, |cpu| {
            full_barrier(Barrier::Flush);
            let holders = space.holders.now(Barrier::Unloaded);
            holders.iter().any(|holder| {
                let local = self.platform.cpu(holder);
                wait_until(|| local.loaded() != SpaceId::SWITCHING, || self.serve(cpu));
                local.loaded() == space.id
            })
        })
    }
}
