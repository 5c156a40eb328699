//! New entries become visible to walkers.

use crate::backend::Backend;
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::space::AddressSpace;

impl<P: Platform> Mmu<P> {
    /// Makes the entries visible that this CPU stored in tables of the space, each of them valid where none was.
    ///
    /// The kernel calls it after it mapped something for itself and before its own code uses the mapping, since that code
    /// must not fault; once for any number of entries. For a user space it may be left out: an access that comes too early
    /// faults, the fault handler finds the entry valid, and the access is repeated. An entry that becomes invalid needs none,
    /// nor does one that replaces a valid entry: the flush of the change publishes it. A [`Section`](crate::Section) publishes the
    /// kernel's entries by itself.
    ///
    /// Another CPU may use the mapping once it has learnt of it from this one in a way that orders memory, such as a lock.
    ///
    /// # Context
    ///
    /// Any, on the CPU that stored the entries, after the stores. Neither waits nor sends an IPI.
    pub fn publish(&self, space: &AddressSpace<P::CpuSet>) {
        self.platform.pin_cpu(false, |cpu| {
            let mut sink = self.platform.sink(cpu);
            self.platform.backend().publish(&mut sink, space.kind());
        });
    }
}
