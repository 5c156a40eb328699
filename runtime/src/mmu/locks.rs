//! The locks of the runtime: one rule for all of them.
//!
//! In: a lock, and what is done while it is held. Out: its result. Holds: a CPU holds one lock at a time, with interrupts
//! off, and handles the messages of other CPUs while it waits for one.

use crate::fault::{Fault, is_back};
use crate::mask::CpuId;
use crate::mmu::Mmu;
use crate::platform::{LockEvent, Platform};
use crate::sync::Lock;

impl<P: Platform> Mmu<P> {
    /// Runs with a lock of the runtime held. One rule covers all these locks. Interrupts are off, so that no switch and no
    /// request on the same CPU can need a lock that this CPU holds. While a CPU waits for a lock it calls `poll`, which
    /// handles the messages of other CPUs, because the CPU that has the lock may be waiting for one of them. A CPU holds
    /// one lock at a time.
    pub(crate) fn with_lock<R>(
        &self,
        lock: &Lock,
        mut poll: impl FnMut(CpuId),
        run: impl FnOnce(CpuId) -> R,
    ) -> R {
        let off = !is_back(Fault::LocksInterrupted);
        self.platform.pin_cpu(off, |cpu| {
            let wait = || {
                if off {
                    poll(cpu);
                }
            };
            lock.with(wait, || {
                self.platform.lock_event(cpu, LockEvent::Acquired);
                let result = run(cpu);
                self.platform.lock_event(cpu, LockEvent::Releasing);
                result
            })
        })
    }
}
