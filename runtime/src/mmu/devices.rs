//! Secondary MMUs: devices that walk the same tables.
//!
//! The CPU's own instructions reach some devices, if the definition says so and the space's [`SpaceFlags`] say that such a
//! device is attached. Other devices keep translations that only their driver can invalidate
//! ([`Platform::invalidate_secondary`]). Flushes cover both kinds, from before a device's first fill until after its last entry
//! is gone. A flag of a space is set as long as any of its devices needs it: the space counts the devices that need each flag.
//!
//! Source: Linux `include/linux/mmu_notifier.h` (`arch_invalidate_secondary_tlbs`); CVE-2022-0330, where pages were released
//! before the entries of the device were invalidated.

use crate::fault::{Fault, is_back};
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::request::{Space, SpaceFlags, SpaceId};
use crate::space::AddressSpace;
use crate::sync::{Barrier, full_barrier, in_force};

/// Returns the numbers of the bits that are set in flags.
fn bits(flags: SpaceFlags) -> impl Iterator<Item = u32> {
    (0..32).filter(move |bit| flags.0 & 1 << bit != 0)
}

/// The error of a space that has as many devices as it can count: 65,535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyDevices;

impl core::fmt::Display for TooManyDevices {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the space has as many devices as it can count")
    }
}

impl core::error::Error for TooManyDevices {}

/// A device that shares the tables of a space, until it is [detached](Mmu::detach_device) from the same space.
#[derive(Debug)]
#[must_use = "the space counts the device until it is detached"]
pub struct Attached {
    space: SpaceId,
    wants: SpaceFlags,
}

impl<P: Platform> Mmu<P> {
    /// Attaches a device, which shares the tables of a space from now on, and returns the proof of that. The device must not fill
    /// its TLB before this returns. What was changed in the tables before is published; flushes cover the device from now on. `wants` are the flags of the space that the device
    /// needs, which stay set as long as any device needs them: none if only the platform can invalidate the device's entries.
    ///
    /// Devices may attach and detach at the same time on several CPUs, and while entries of the space change.
    ///
    /// # Context
    ///
    /// That of a flush. On a machine whose instructions reach every CPU, flushes read the devices without a barrier, so the
    /// context is that of [`wait_for_walkers`](Self::wait_for_walkers): every CPU takes an interrupt.
    ///
    /// # Errors
    ///
    /// If the space has too many devices to count.
    pub fn attach_device(
        &self,
        space: &AddressSpace<P::CpuSet>,
        wants: SpaceFlags,
    ) -> Result<Attached, TooManyDevices> {
        self.with_devices(|| {
            let full = |bit| space.flag_counts.count(bit) == 0xffff;
            if bits(wants).any(full) {
                return Err(TooManyDevices);
            }
            for bit in bits(wants) {
                space.flag_counts.set(bit, space.flag_counts.count(bit) + 1);
            }
            space.flags.or(u64::from(wants.0), Barrier::Defer);
            space.devices.add(1, Barrier::Defer);
            Ok(())
        })?;
        full_barrier(Barrier::Attach);
        if Self::broadcasts() && in_force(Barrier::AttachEverywhere) {
            self.wait_for_walkers();
        }
        // Flushes that no CPU needed have published nothing.
        self.publish(space);
        let space = space.id;
        Ok(Attached { space, wants })
    }

    /// Detaches a device, which must not fill its TLB any more. Flushes the entries that it still has, and only then stops
    /// counting the device. Flags that no other device needs, and that the space did not have from the beginning, are cleared.
    ///
    /// # Context
    ///
    /// That of a flush.
    ///
    /// # Errors
    ///
    /// If the device is attached to another space: it stays attached there.
    pub fn detach_device(
        &self,
        space: &AddressSpace<P::CpuSet>,
        device: Attached,
    ) -> Result<(), Attached> {
        if device.space != space.id {
            return Err(device);
        }
        self.flush_everything(space);
        if is_back(Fault::ClearsFlagsOfOthers) {
            space
                .flags
                .and(!u64::from(device.wants.0), Barrier::Complete);
        }
        self.with_devices(|| {
            let mut unused = SpaceFlags::NONE;
            for bit in bits(device.wants) {
                let others = space.flag_counts.count(bit) - 1;
                space.flag_counts.set(bit, others);
                if others == 0 {
                    unused.0 |= 1 << bit;
                }
            }
            let always = match space.kind {
                Space::User => space.always,
                Space::Kernel => self.platform.kernel_root().flags,
            };
            let unused = unused.without(always);
            space.devices.sub(1, Barrier::Complete);
            space.flags.and(!u64::from(unused.0), Barrier::Complete);
        });
        Ok(())
    }

    /// Runs a closure while no other CPU changes the counts of devices.
    fn with_devices<R>(&self, run: impl FnOnce() -> R) -> R {
        if is_back(Fault::CountsUnlocked) {
            return run();
        }
        self.with_lock(&self.devices, |cpu| self.handle_messages(cpu), |_| run())
    }
}
