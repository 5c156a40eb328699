//! The tags of spaces on the CPUs of a machine.
//!
//! In: spaces. Out: the tag of a space on a CPU. Holds: the [`AsidAllocator`] is used only with its lock held.

use crate::asid::{AsidAllocator, AsidMap, NoTag, NotPinned};
use crate::backend::{Backend, TagSource};
use crate::cpu::CpuTlb;
use crate::fault::{Fault, is_back};
use crate::mask::CpuId;
use crate::mmu::{Mmu, Unusable};
use crate::platform::Platform;
use crate::request::Tag;
use crate::space::{AddressSpace, Tagging};
use crate::sync::{Barrier, full_barrier};

impl<P: Platform> Mmu<P> {
    /// Returns the global tags that the platform's memory can track.
    fn asid_map(&self) -> AsidMap<'_> {
        let tags = self.platform.backend().tags();
        AsidMap::new(&tags, self.platform.tag_words(), self.platform.cpus())
    }

    /// Checks that there are more tags than the CPUs may use at the same time.
    pub(crate) fn check_tags(&self) -> Result<(), Unusable> {
        let tags = self.platform.backend().tags();
        let Some((_, TagSource::Generations)) = tags.global else {
            return Ok(());
        };
        if self.asid_map().has_more_than_used(0) {
            Ok(())
        } else {
            Err(Unusable::TooFewTags)
        }
    }

    /// Makes the tag generations of a machine begin where they would be after so many rollovers, for tests.
    ///
    /// # Context
    ///
    /// Before a space is created.
    #[cfg(feature = "torment")]
    pub fn begin_generations_at(&self, rollovers: u64) {
        self.asids.begin_at(rollovers);
    }

    /// Runs with the lock of the tags held.
    fn with_tags<R>(&self, run: impl FnOnce(CpuId) -> R) -> R {
        self.with_lock(&self.asids.lock, |cpu| self.handle_messages(cpu), run)
    }

    /// Returns a free tag for the whole life of a space.
    pub(crate) fn tag_for_life(&self) -> Result<u64, NoTag> {
        self.with_tags(|_| self.asids.find(&self.asid_map()))
            .ok_or(NoTag)
    }

    /// Frees a tag that [`tag_for_life`](Self::tag_for_life) returned.
    pub(crate) fn return_tag(&self, tag: u64) {
        self.with_tags(|_| AsidAllocator::give_back(&self.asid_map(), tag));
    }

    /// Gives a space that this CPU is about to load a tag of the present generation, and reserves the tag.
    ///
    /// The tag that the CPU leaves stays reserved until [`left_tag`](Self::left_tag).
    pub(crate) fn renew_tag(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) {
        let here = self.platform.cpu(cpu);
        if self.asids.renew_running(here, space) {
            return;
        }
        let mut waits = false;
        let wait = |cpu| {
            // A request about the space that this CPU leaves may be acknowledged only after its root is replaced.
            if !core::mem::replace(&mut waits, true) {
                self.leave_root(cpu);
            }
            self.handle_messages(cpu);
        };
        self.with_lock(&self.asids.lock, wait, |_| {
            let map = self.asid_map();
            self.asids.renew(&map, here, space, self);
        });
    }

    /// Records that no tag is reserved for a CPU that goes offline.
    pub(crate) fn forget_tags_of(&self, here: &CpuTlb<P::CpuSet>) {
        self.with_tags(|_| AsidAllocator::forget(here));
    }

    /// Pins the tag of a space, so that a device can use it: the tag stays the same across rollovers. Returns the tag. The
    /// device must not fill its TLB under it before this returns. Flushes reach every CPU and device from now on, even while one CPU alone has run
    /// the space. Pins are counted: the tag is kept until each pin is [undone](Self::unpin_tag), or the space is
    /// [released](Self::release).
    ///
    /// # Context
    ///
    /// Any. Interrupts are turned off during the call.
    ///
    /// # Errors
    ///
    /// When no more spaces can be pinned, because every CPU needs two tags that are not pinned, and when the tag of the
    /// space is not from generations.
    pub fn pin_tag(&self, space: &AddressSpace<P::CpuSet>) -> Result<Tag, NoTag> {
        if space.tagging != Tagging::Generations {
            return Err(NoTag);
        }
        let pin = |_| self.asids.pin(&self.asid_map(), space, self);
        let tag = self.with_tags(pin)?;
        full_barrier(Barrier::Attach);
        Ok(tag)
    }

    /// Undoes one [pin](Self::pin_tag). After the last one, the next rollover may free the tag.
    ///
    /// # Context
    ///
    /// As [`pin_tag`](Self::pin_tag). The device does not fill its TLB any more, and everything of the space was
    /// [flushed](Self::flush_everything) since: later flushes may not reach the device.
    ///
    /// # Errors
    ///
    /// When the space has no pin.
    pub fn unpin_tag(&self, space: &AddressSpace<P::CpuSet>) -> Result<(), NotPinned> {
        self.with_tags(|_| self.asids.unpin(&self.asid_map(), space))
    }

    /// Removes the pins of a space that is released.
    pub(crate) fn release_pins(&self, space: &AddressSpace<P::CpuSet>) {
        if space.tagging == Tagging::Generations && !is_back(Fault::KeepsPins) {
            self.with_tags(|_| self.asids.end_pins(&self.asid_map(), space));
        }
    }
}
