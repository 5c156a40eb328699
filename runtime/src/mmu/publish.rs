//! Makes new entries visible to walkers.

use crate::backend::Backend;
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::space::AddressSpace;

impl<P: Platform> Mmu<P> {
    /// Makes entries visible to walkers that this CPU has stored in tables of the space: valid entries where there were none.
    ///
    /// The kernel calls this after it has mapped something for itself and before its own code uses the mapping, since that code
    /// must not fault. One call covers any number of entries. A user space does not require the call: an access that comes too
    /// early faults, the fault handler finds the entry valid, and the access is repeated. An entry that becomes invalid or
    /// replaces a valid entry does not require it either: the flush of the change publishes it. A [`Section`](crate::Section) publishes the
    /// kernel's entries by itself.
    ///
    /// Another CPU may use the mapping after it has synchronized with this one, for example through a lock.
    ///
    /// # Context
    ///
    /// Any, on the CPU that stored the entries, after the stores. This neither waits nor sends an IPI.
    pub fn publish(&self, space: &AddressSpace<P::CpuSet>) {
        self.platform.pin_cpu(false, |cpu| {
            let mut sink = self.platform.sink(cpu);
            self.platform.backend().publish(&mut sink, space.kind());
        });
    }
}
