//! Secondary MMUs: devices that walk the same tables.
//!
//! Some are reached by the CPU's own instructions, where the definition says so and the space's
//! [`SpaceFlags`] say that there is one; others keep translations that only their driver can drop
//! ([`Platform::invalidate_secondary`]). Both are holders: a flush counts them in from before the first fill until after the
//! last entry is gone. A flag of a space holds as long as any of its devices wants it: the devices that want one are counted.
//!
//! Source: Linux `include/linux/mmu_notifier.h` (`arch_invalidate_secondary_tlbs`); CVE-2022-0330 for pages that went
//! before the device was told.

use crate::fault::{Fault, is_back};
use crate::mmu::Mmu;
use crate::platform::Platform;
use crate::request::{Request, Scope, Space, SpaceFlags, SpaceId};
use crate::shootdown::Why;
use crate::space::AddressSpace;
use crate::sync::{Barrier, full_barrier, in_force};

/// The bits of flags.
fn bits(flags: SpaceFlags) -> impl Iterator<Item = u32> {
    (0..32).filter(move |bit| flags.0 & 1 << bit != 0)
}

/// A space has as many devices as it can count: 65,535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyDevices;

impl core::fmt::Display for TooManyDevices {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the space has as many devices as it can count")
    }
}

impl core::error::Error for TooManyDevices {}

/// A device shares the tables of a space: to be [detached](Mmu::detach_device) from the same space.
#[derive(Debug)]
#[must_use = "the space counts the device until it is detached"]
pub struct Attached {
    space: SpaceId,
    wants: SpaceFlags,
}

impl<P: Platform> Mmu<P> {
    /// Lets a device share the tables of a space; it fills only after this returned. From here on flushes count it in.
    /// `wants` are the flags of the space that it needs, which hold as long as any device needs them: none where only the
    /// platform can tell the device.
    ///
    /// Devices may attach and detach at the same time on several CPUs, and while entries of the space change.
    ///
    /// # Context
    /// That of a flush; where instructions reach every CPU, so that flushes look for devices without a barrier, that of
    /// [`wait_for_walkers`](Self::wait_for_walkers): every CPU takes an interrupt.
    ///
    /// # Errors
    /// When the space has too many devices to count.
    pub fn attach_device(
        &self,
        space: &AddressSpace<P::CpuSet>,
        wants: SpaceFlags,
    ) -> Result<Attached, TooManyDevices> {
        self.with_devices(|| {
            let full = |bit| space.wanted.count(bit) == 0xffff;
            if bits(wants).any(full) {
                return Err(TooManyDevices);
            }
            for bit in bits(wants) {
                space.wanted.set(bit, space.wanted.count(bit) + 1);
            }
            space.flags.or(u64::from(wants.0), Barrier::Defer);
            space.devices.add(1, Barrier::Defer);
            Ok(())
        })?;
        full_barrier(Barrier::Attach);
        if Self::BROADCASTS && in_force(Barrier::AttachEverywhere) {
            self.wait_for_walkers();
        }
        let space = space.id;
        Ok(Attached { space, wants })
    }

    /// Detaches a device that fills no more: what it still holds is flushed, and only then does the space no longer count it.
    /// Flags that no other device wants, and that the space did not have from the beginning, hold no longer.
    ///
    /// # Context
    /// That of a flush.
    ///
    /// # Errors
    /// When the device is attached to another space: it stays attached there.
    pub fn detach_device(
        &self,
        space: &AddressSpace<P::CpuSet>,
        device: Attached,
    ) -> Result<(), Attached> {
        if device.space != space.id {
            return Err(device);
        }
        self.flush_whole(space, Scope::Everything { tables: true }, Why::Asked);
        if is_back(Fault::ClearsFlagsOfOthers) {
            space
                .flags
                .and(!u64::from(device.wants.0), Barrier::Complete);
        }
        self.with_devices(|| {
            let mut no_longer = SpaceFlags::NONE;
            for bit in bits(device.wants) {
                let others = space.wanted.count(bit) - 1;
                space.wanted.set(bit, others);
                if others == 0 {
                    no_longer.0 |= 1 << bit;
                }
            }
            let always = match space.kind {
                Space::User => space.always,
                Space::Kernel => self.platform.kernel_root().flags,
            };
            let no_longer = no_longer.without(always);
            space.devices.sub(1, Barrier::Complete);
            space.flags.and(!u64::from(no_longer.0), Barrier::Complete);
        });
        Ok(())
    }

    /// Runs while no other CPU counts devices.
    fn with_devices<R>(&self, run: impl FnOnce() -> R) -> R {
        self.with_lock(&self.devices, |cpu| self.serve(cpu), |_| run())
    }

    /// Tells devices of a flush, if there are any.
    #[inline]
    pub(crate) fn invalidate_secondary(
        &self,
        space: &AddressSpace<P::CpuSet>,
        request: &Request<'_>,
    ) {
        if space.has_devices() {
            self.platform.invalidate_secondary(space, request);
        }
    }
}
