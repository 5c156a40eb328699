//! Secondary MMUs: devices that walk the same tables.
//!
//! Some are reached by the CPU's own instructions, where the definition says so and the space's
//! [`Conditions`] say that there is one; others keep translations that only their driver can drop
//! ([`Platform::secondary`]). Both are holders: a flush counts them in from before the first fill until after the
//! last entry is gone.
//!
//! Source: Linux `include/linux/mmu_notifier.h` (`arch_invalidate_secondary_tlbs`); CVE-2022-0330 for pages that went
//! before the device was told.

use crate::Mmu;
use crate::platform::Platform;
use crate::request::{Conditions, Request, Scope};
use crate::shootdown::Why;
use crate::space::AddressSpace;
use crate::sync::{Barrier, full_barrier, stands};

impl<P: Platform> Mmu<P> {
    /// A device comes to share the tables of a space, and fills only after this returned. From here on flushes
    /// count it in. `holds` is what then holds of the space: nothing where only the platform can tell the device.
    ///
    /// Contexts: not between a change of the space and its flush; and where instructions reach every CPU, so that flushes
    /// look for devices without a barrier, those of [`wait_for_walkers`](Self::wait_for_walkers): every CPU takes an
    /// interrupt.
    pub fn attach_device(&self, space: &AddressSpace<P>, holds: Conditions) {
        space.conditions.or(u64::from(holds.0), Barrier::Owe);
        space.devices.add(1, Barrier::Owe);
        full_barrier(Barrier::Attach);
        if Self::LOOKS_FOR_DEVICES_ALONE && stands(Barrier::AttachEverywhere) {
            self.wait_for_walkers();
        }
    }

    /// A device that fills no more gives a space up: what it still holds is dropped, and only then does it no longer
    /// count. `holds` is what no longer holds of the space, for no other device wants it.
    ///
    /// Contexts: those of a flush.
    pub fn detach_device(&self, space: &AddressSpace<P>, holds: Conditions) {
        self.flush_whole(space, Scope::Everything { tables: true }, Why::Asked);
        space.devices.sub(1, Barrier::Pay);
        space.conditions.and(!u64::from(holds.0), Barrier::Pay);
    }

    /// Tells devices of a flush, if there are any.
    #[inline]
    pub(crate) fn tell_devices(&self, space: &AddressSpace<P>, request: &Request<'_>) {
        if space.has_devices() {
            self.platform.secondary(space, request);
        }
    }
}
