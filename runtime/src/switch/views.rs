//! The two views of a user space, for entry from user code and for entry code in assembly.
//!
//! In: a space, on a CPU that runs in it. Out: the kernel's view, loaded; or both views as data. Holds: where user code
//! and the kernel run on one view, both views are the same, and nothing is loaded.

use crate::backend::{Backend, Issue, Root};
use crate::mask::CpuId;
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::request::Tag;
use crate::space::AddressSpace;

/// The roots that a CPU loads for a space: one for the kernel, one for user code.
///
/// The register values are the operands of the instructions that a backend issues for them. A recording sink returns them,
/// so that the kernel can store them where entry code in assembly finds them:
///
/// ```
/// use tlbc_runtime::{Backend, Record, Views};
///
/// /// What is loaded on entry from user code, and on the return to it when no flush of its view was deferred.
/// fn loads<B: Backend>(backend: &B, views: &Views) -> (Vec<B::Op>, Vec<B::Op>) {
///     let (mut enter, mut leave) = (Vec::new(), Vec::new());
///     backend.enter_from_user(&mut Record(|op| enter.push(op)), &views.kernel);
///     backend.return_to_user(&mut Record(|op| leave.push(op)), &views.user, false);
///     (enter, leave)
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Views {
    /// The view that the kernel runs on.
    pub kernel: Root,
    /// The view that user code runs on, with that view's own tag.
    pub user: Root,
}

impl<P: Platform> Mmu<P> {
    /// Loads the kernel's view, after [`return_to_user`](Self::return_to_user) loaded the user view. Flushes nothing. A
    /// context synchronisation follows the loads where the machine needs one.
    ///
    /// The code of this function and the data of the space must be mapped in the user view. Where they are not, entry code
    /// in assembly loads what [`views`](Self::views) returns. Until the kernel's view is loaded in one of these ways, no
    /// other function of this crate may be called, [`handle_ipi`](Self::handle_ipi) included: flushes act on the loaded
    /// view.
    ///
    /// # Context
    ///
    /// On that CPU, which runs in the space, with interrupts off since user code was left.
    pub fn enter_from_user(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) {
        self.enter_from_user_through(cpu, space, &mut self.platform.sink(cpu));
    }

    /// Does the same as [`enter_from_user`](Self::enter_from_user), through a sink of the caller. A sink that records the
    /// instructions returns what entry code in assembly has to load.
    ///
    /// # Context
    ///
    /// As [`enter_from_user`](Self::enter_from_user); or as [`views`](Self::views), if the sink executes nothing.
    pub fn enter_from_user_through(
        &self,
        cpu: CpuId,
        space: &AddressSpace<P::CpuSet>,
        sink: &mut impl Issue<<P::Backend as Backend>::Op>,
    ) {
        let root = self.root(space.slot_on(self.platform.cpu(cpu)), space);
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
            table: space.user_table,
            ..self.root(slot, space)
        };
        self.platform
            .backend()
            .return_to_user(sink, &root, deferred);
    }

    /// Returns both views of a user space as this CPU loads them, for entry code in assembly.
    ///
    /// They are valid on this CPU until it switches to another space, or until the space gets another tag when it is next
    /// loaded after a rollover. So the kernel must store them again after each switch. Entry code that loads the kernel's
    /// view itself must issue the context synchronisation that [`enter_from_user`](Self::enter_from_user) issues after the
    /// loads. The return to user code must still call [`return_to_user`](Self::return_to_user): only that function knows
    /// whether a flush of the user view was deferred.
    ///
    /// # Context
    ///
    /// On that CPU, which has the space loaded, with interrupts off.
    #[must_use]
    pub fn views(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) -> Views {
        let kernel = self.root(space.slot_on(self.platform.cpu(cpu)), space);
        let tags = self.platform.backend().tags();
        let values = if kernel.tag.global {
            tags.global.map(|(values, _)| values)
        } else {
            tags.per_cpu
        };
        let user = Root {
            table: space.user_table,
            tag: Tag {
                value: kernel.tag.value | values.map_or(0, |values| values.views),
                ..kernel.tag
            },
            ..kernel
        };
        Views { kernel, user }
    }
}
