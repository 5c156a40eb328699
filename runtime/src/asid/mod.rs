//! ASIDs: which tag a space has on a CPU, and when another space may get a tag.
//!
//! No CPU loads a tag for another space before everything under the tag is gone from that CPU:
//!
//! * per-CPU slots: the CPU flushes the tag before it loads another space under it
//!   ([`AsidSlots`](crate::deferred::AsidSlots));
//! * generations: when no tag is left, a new generation begins, and each CPU flushes everything before its next load. Tags that a
//!   CPU may still use stay reserved: the tag of the space that it runs, and during a switch also the tag of the space that it
//!   leaves. So a space never has two tags that some CPU can use;
//! * one tag for life: it is freed at the release of the space, after the flush of its teardown;
//! * the root: the address of the top table, which no other space has while the space exists.
//!
//! A pin keeps a tag across generations for devices that use it. Pins belong to a space and are counted; they end at the release of
//! the space.
//!
//! Source: Linux 0ebea8088095, where two threads of a space ran under different tags after a second rollover; the comments
//! in the same file (`mm/context.c`) on pinned tags, and on the flush after a rollover, which a CPU takes over under the lock.

mod map;

use crate::cpu::{CpuTlb, Cpus};
use crate::fault::{Fault, is_back};
use crate::mask::CpuMask;
use crate::request::Tag;
use crate::space::AddressSpace;
use crate::sync::{Barrier, Lock, Own, Word, const_fn, first_count};
use crate::tag::{GENERATION_BITS, VALUE_BITS, value};

pub(crate) use map::AsidMap;

/// The error that no tag is left, and none will be before the release of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTag;

/// The error that the space has no pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotPinned;

impl core::fmt::Display for NoTag {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no tag is left")
    }
}

impl core::error::Error for NoTag {}

impl core::fmt::Display for NotPinned {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the tag of the space is not pinned")
    }
}

impl core::error::Error for NotPinned {}

/// Returns whether a tag is of this generation.
fn is_of(tag: u64, generation: u64) -> bool {
    let of = tag >> VALUE_BITS;
    if is_back(Fault::ComparesHalfGenerations) {
        return of & u64::from(u32::MAX) == generation;
    }
    of == generation
}

/// Returns the generation that belongs to a count of rollovers.
const fn present(count: u64) -> u64 {
    match count % (1 << GENERATION_BITS) {
        0 => 1,
        generation => generation,
    }
}

/// Assigns global tags: by generations, or one for the life of a space.
///
/// # Context
///
/// Every function is called with the [lock](Self::lock) held, except [`renew_running`](Self::renew_running) and
/// [`left_tag`](Self::left_tag).
#[derive(Debug)]
pub(crate) struct AsidAllocator {
    pub(crate) lock: Lock,
    /// The count of rollovers, in the [bits](GENERATION_BITS) of a word that the value does not use; never 0. With a rollover,
    /// which costs every CPU a flush of everything, every microsecond it wraps after nine years. Only then would a space that
    /// was not loaded for 2^48 rollovers be taken for one of the present generation.
    generation: Word,
    /// The index at which the last free value was found.
    hint: Own,
    /// The number of spaces that are pinned.
    pinned: Own,
    /// The number of rollovers.
    pub(crate) rollovers: Own,
}

impl AsidAllocator {
    const_fn! {
        /// Returns the allocator of a machine on which no tag is taken.
        pub const fn new() -> Self {
            Self {
                lock: Lock::new(),
                generation: Word::new(present(first_count())),
                hint: Own::new(0),
                pinned: Own::new(0),
                rollovers: Own::new(0),
            }
        }
    }

    /// Begins with a generation after so many rollovers.
    #[cfg(feature = "torment")]
    pub fn begin_at(&self, rollovers: u64) {
        self.generation.put(present(rollovers));
    }

    /// Returns whether a tag is of the present generation.
    fn is_present(&self, tag: u64) -> bool {
        is_of(tag, self.generation.get())
    }

    /// Takes and returns a free value, or returns `None` if there is none.
    pub fn find(&self, map: &AsidMap<'_>) -> Option<u64> {
        let values = map.values?;
        let hint = self.hint.get().max(values.first);
        let mut candidates = (hint..=values.last).chain(values.first..hint);
        let found = candidates.find(|&v| values.is_whole(v) && map.mark(v, false))?;
        self.hint.put(found + 1);
        Some(found)
    }

    /// Frees a value that [`find`](Self::find) took.
    pub fn give_back(map: &AsidMap<'_>, value: u64) {
        map.unmark(value, false);
    }

    /// Records that a CPU runs a space, without the lock, if the tag of the space is of the present generation. Returns whether
    /// it is.
    pub fn renew_running<S: CpuMask>(&self, here: &CpuTlb<S>, space: &AddressSpace<S>) -> bool {
        let (tag, running) = (space.tag.get(), here.running_tag.get());
        if running == 0 || !self.is_present(tag) {
            return false;
        }
        Self::leave_tag(here, running);
        // A rollover sets the running tag to 0, so this fails if a rollover comes in between.
        here.running_tag.replace(running, tag, Barrier::RunTag)
    }

    /// Assigns a tag of the present generation to a space that a CPU is about to load, and reserves it. If a generation has begun
    /// since the CPU's last load, everything is flushed before this load.
    pub fn renew<C: Cpus>(
        &self,
        map: &AsidMap<'_>,
        here: &CpuTlb<C::Set>,
        space: &AddressSpace<C::Set>,
        cpus: &C,
    ) {
        let running = match here.running_tag.get() {
            0 => here.reserved_tag.get(),
            running => running,
        };
        Self::leave_tag(here, running);
        if !self.is_present(space.tag.get()) {
            space.tag.put(self.next_tag(map, space, cpus));
        }
        here.running_tag.put(space.tag.get());
        // This is done with the lock held. A later rollover sets the flag again, for the load after this one; it keeps the tag
        // that was reserved here, which is the one that is loaded.
        if !is_back(Fault::FlushesUnderOldRoot) && here.slots.take_rollover() {
            here.slots.defer_everything();
        }
    }

    /// Records that a CPU has replaced its root, so that the tag that it had loaded is no longer reserved.
    pub fn left_tag<S: CpuMask>(here: &CpuTlb<S>) {
        here.leaving_tag.release(0, Barrier::Unload);
    }

    /// Records that no tag is reserved for a CPU, which goes offline.
    pub fn forget<S: CpuMask>(here: &CpuTlb<S>) {
        here.running_tag.put(0);
        here.reserved_tag.put(0);
    }

    /// Records that the CPU leaves a tag, so that a rollover keeps this tag too: it is loaded until the switch is complete.
    fn leave_tag<S: CpuMask>(here: &CpuTlb<S>, running: u64) {
        if !is_back(Fault::FlushesUnderOldRoot) {
            here.leaving_tag.put(running);
        }
    }

    /// Returns the tag of a space in the present generation, or in the next.
    fn next_tag<C: Cpus>(&self, map: &AsidMap<'_>, space: &AddressSpace<C::Set>, cpus: &C) -> u64 {
        let generation = || self.generation.get() << VALUE_BITS;
        let old = space.tag.get();
        if old != 0 {
            let same = generation() | value(old);
            let mut reserved = false;
            // Every CPU that reserves the old tag has to reserve the new one. Otherwise a later rollover would keep the old one.
            for cpu in cpus.tlbs() {
                if cpu.reserved_tag.get() == old {
                    if !is_back(Fault::KeepsOldReservation) {
                        cpu.reserved_tag.put(same);
                    }
                    reserved = true;
                }
                reserved |= cpu.leaving_tag.replace(old, same, Barrier::RunTag);
            }
            let pinned = if is_back(Fault::PinsByValue) {
                map.is_marked(value(old), true)
            } else {
                space.pins.get() != 0
            };
            if reserved || pinned || map.mark(value(old), false) {
                return same;
            }
        }
        loop {
            if let Some(found) = self.find(map) {
                return generation() | found;
            }
            self.roll_over(map, cpus);
        }
    }

    /// Begins a new generation. Only pinned values, and values that some CPU may use, stay reserved.
    fn roll_over(&self, map: &AsidMap<'_>, cpus: &impl Cpus) {
        map.free_all_but_pinned();
        self.generation.put(present(self.generation.get() + 1));
        for cpu in cpus.tlbs() {
            // A CPU that has loaded nothing since the last rollover still runs the tag that was reserved then.
            let running = match cpu.running_tag.swap(0, Barrier::RunTag) {
                0 => cpu.reserved_tag.get(),
                running => running,
            };
            for used in [running, cpu.leaving_tag.get()] {
                if used != 0 {
                    map.mark(value(used), false);
                }
            }
            cpu.reserved_tag.put(running);
            if !is_back(Fault::RollsOverUnflushed) {
                cpu.slots.roll_over();
            }
        }
        self.rollovers.count(1);
    }

    /// Pins the tag of a space once more, and returns it.
    ///
    /// # Errors
    ///
    /// If the maximum number of spaces is pinned: every CPU needs two tags that are not pinned.
    pub fn pin<C: Cpus>(
        &self,
        map: &AsidMap<'_>,
        space: &AddressSpace<C::Set>,
        cpus: &C,
    ) -> Result<Tag, NoTag> {
        if !self.is_present(space.tag.get()) {
            space.tag.put(self.next_tag(map, space, cpus));
        }
        let tag = value(space.tag.get());
        if space.pins.get() == 0 {
            if !map.has_more_than_used(self.pinned.get() + 1) {
                return Err(NoTag);
            }
            map.mark(tag, true);
            self.pinned.count(1);
        }
        space.pins.put(space.pins.get() + 1);
        Ok(Tag {
            value: tag,
            global: true,
        })
    }

    /// Undoes one pin.
    ///
    /// # Errors
    ///
    /// If the space has none.
    pub fn unpin<S: CpuMask>(
        &self,
        map: &AsidMap<'_>,
        space: &AddressSpace<S>,
    ) -> Result<(), NotPinned> {
        match space.pins.get() {
            0 => Err(NotPinned),
            more if more > 1 && !is_back(Fault::PinsOnce) => {
                space.pins.release(more - 1, Barrier::Complete);
                Ok(())
            }
            _ => {
                self.end_pins(map, space);
                Ok(())
            }
        }
    }

    /// Ends all pins of a space: its tag may be assigned again after the next rollover.
    pub fn end_pins<S: CpuMask>(&self, map: &AsidMap<'_>, space: &AddressSpace<S>) {
        if space.pins.get() != 0 {
            space.pins.release(0, Barrier::Complete);
            map.unmark(value(space.tag.get()), true);
            self.pinned.put(self.pinned.get() - 1);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
