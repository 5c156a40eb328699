//! The two views of a user space: the entry from user code, and what entry code in assembly loads.
//!
//! In: a space, on a CPU that runs in it. Out: the kernel's view, loaded; or both views as data. Where user code runs on the
//! view that the kernel runs on both are the same, and nothing is loaded.

use crate::backend::{Backend, Root};
use crate::deferred::AsidSlot;
use crate::mask::CpuId;
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::request::Tag;
use crate::space::AddressSpace;

/// What a CPU loads for a space: for the kernel, and for user code.
///
/// The values of registers are the operands of the instructions that a backend issues for them. A sink that records yields
/// them, to be stored where entry code in assembly finds them:
///
/// ```
/// use tlbc_runtime::{Backend, Record, Views};
///
/// /// What is loaded on entry from user code, and on the return to it when no flush of its view was deferred.
/// fn loads<B: Backend>(backend: &B, views: &Views) -> (Vec<B::Op>, Vec<B::Op>) {
///     let (mut enter, mut resume) = (Vec::new(), Vec::new());
///     backend.enter_from_user(&mut Record(|op| enter.push(op)), &views.kernel);
///     backend.return_to_user(&mut Record(|op| resume.push(op)), &views.user, false);
///     (enter, resume)
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
    /// Loads the kernel's view, after [`return_to_user`](Self::return_to_user) loaded the one that user code runs on. Flushes nothing. A
    /// context synchronisation follows the loads where the machine needs one.
    ///
    /// What this uses itself, its code and the data of the space, must be mapped in the user view; entry code in assembly
    /// loads what [`views`](Self::views) says. Until one of the two has happened nothing else of this crate may be called,
    /// [`handle_ipi`](Self::handle_ipi) included: flushes act on the view that is loaded.
    ///
    /// # Context
    ///
    /// On that CPU, which runs in the space, with interrupts off since user code was left.
    pub fn enter_from_user(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) {
        let root = self.root(self.slot_of(cpu, space), space);
        let mut sink = self.platform.sink(cpu);
        self.platform.backend().enter_from_user(&mut sink, &root);
    }

    /// Both views of a user space as this CPU loads them, for entry code in assembly.
    ///
    /// They are valid on this CPU until it switches to another space, or until a rollover of tags gives the space another
    /// one when it is next loaded: so they are stored anew after each switch. Entry code that loads the kernel's view by
    /// itself must follow it by the context synchronisation that [`enter_from_user`](Self::enter_from_user) issues there. The
    /// return to user code stays with [`return_to_user`](Self::return_to_user), which alone knows whether a flush of the user view was
    /// deferred.
    ///
    /// # Context
    ///
    /// On that CPU, which has the space loaded, with interrupts off.
    #[must_use]
    pub fn views(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) -> Views {
        let kernel = self.root(self.slot_of(cpu, space), space);
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

    /// The slot of a CPU's book that is the space's.
    fn slot_of(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) -> Option<AsidSlot> {
        let here = self.platform.cpu(cpu);
        here.slots.find(space.id, space.slots)
    }
}
