//! The two views of a user space: entry from user code, and the return to it.
//!
//! In: a space, on a CPU that runs in it. Out: the instructions that load the kernel's view or the user view. Holds: where
//! user code and the kernel run on one view, there are none.

use crate::backend::{Backend, Issue, Root};
use crate::fault::{Fault, is_back};
use crate::mask::CpuId;
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::space::AddressSpace;

impl<P: Platform> Mmu<P> {
    /// Loads the kernel's view, after [`return_to_user`](Self::return_to_user) loaded the user view. Flushes nothing. A
    /// context synchronisation follows the loads where the machine needs one.
    ///
    /// The code of this function and the data of the space must be mapped in the user view. Where they are not, entry code
    /// in assembly loads what [`enter_from_user_through`](Self::enter_from_user_through) has recorded. Until the kernel's
    /// view is loaded in one of these ways, no other function of this crate may be called,
    /// [`handle_ipi`](Self::handle_ipi) included: flushes act on the loaded view.
    ///
    /// # Context
    ///
    /// On that CPU, which runs in the space, with interrupts off since user code was left.
    pub fn enter_from_user(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) {
        self.enter_from_user_through(cpu, space, &mut self.platform.sink(cpu));
    }

    /// Does the same as [`enter_from_user`](Self::enter_from_user), through a sink of the caller. A sink that records the
    /// instructions shows what entry code in assembly has to load: the operands are the values of the registers.
    ///
    /// Recorded instructions are valid on this CPU until it switches to another space, or until the space gets another tag
    /// when it is next loaded after a rollover. So a kernel records them again after each switch. The return to user code
    /// must still call [`return_to_user`](Self::return_to_user): only that function knows whether a flush of the user view
    /// was deferred.
    ///
    /// # Context
    ///
    /// As [`enter_from_user`](Self::enter_from_user). If the sink executes nothing: on that CPU, which has the space loaded,
    /// with interrupts off.
    pub fn enter_from_user_through(
        &self,
        cpu: CpuId,
        space: &AddressSpace<P::CpuSet>,
        sink: &mut impl Issue<<P::Backend as Backend>::Op>,
    ) {
        let here = self.platform.cpu(cpu);
        let root = self.root(here, space.slot_on(here), space);
        self.platform.backend().enter_from_user(sink, &root);
    }

    /// Loads the user view and completes the flush of it that was deferred until now. Called as the last step before user
    /// code runs.
    ///
    /// The code that follows must synchronise the CPU's context, as a return from an exception does: a flush of a user
    /// space does not do so.
    ///
    /// # Context
    ///
    /// On that CPU, with interrupts off until user code runs; the CPU runs in the space.
    pub fn return_to_user(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) {
        self.return_to_user_through(cpu, space, &mut self.platform.sink(cpu));
    }

    /// Does the same as [`return_to_user`](Self::return_to_user), through a sink of the caller. If the code that runs now is
    /// not mapped in the user view, the sink stores the loads for code in assembly that executes them last, and executes the
    /// other instructions.
    ///
    /// # Context
    ///
    /// As [`return_to_user`](Self::return_to_user). Every instruction is executed before user code runs, in the same order.
    pub fn return_to_user_through(
        &self,
        cpu: CpuId,
        space: &AddressSpace<P::CpuSet>,
        sink: &mut impl Issue<<P::Backend as Backend>::Op>,
    ) {
        let here = self.platform.cpu(cpu);
        let slot = space.slot_on(here);
        let deferred = slot.is_some_and(|slot| here.slots.take_view(slot));
        here.stats.completed.count(u64::from(deferred));
        let root = Root {
            table: if is_back(Fault::LoadsOneTable) {
                space.table
            } else {
                space.user_table
            },
            ..self.root(here, slot, space)
        };
        self.platform
            .backend()
            .return_to_user(sink, &root, deferred);
    }
}
