//! The ASID slots of a CPU: which generation of each space it has followed, and which flushes it has deferred for itself.

use crate::deferred::flags::Pending;
use crate::fault::{Fault, is_back};
use crate::request::{SpaceId, Tag};
use crate::sync::{Own, Word, const_fn};
use crate::tag::{PerCpuSource, TagValues};

/// The number of slots of a CPU.
pub const SLOTS: usize = 8;

/// A value that no tag has.
const NO_TAG: u64 = u64::MAX;

/// A space in a slot. Everything that the CPU has cached of it is at least as new as the generation.
#[derive(Debug)]
struct Remembered {
    space: Own,
    generation: Own,
    /// Its tag on this CPU, where per-CPU tags come from generations.
    tag: Own,
    /// Whether the user view's entries are older, and are flushed before the return to user code.
    view: Own,
}

impl Remembered {
    const fn new() -> Self {
        Self {
            space: Own::new(SpaceId::NONE.0),
            generation: Own::new(0),
            tag: Own::new(0),
            view: Own::new(0),
        }
    }
}

/// The ASID slots of a CPU, with one space in each slot, and the flushes that the CPU has deferred. Only that CPU reads and writes
/// them, with interrupts off. [`roll_over`](Self::roll_over) is the exception.
#[derive(Debug)]
pub struct AsidSlots {
    spaces: [Remembered; SLOTS],
    /// The slot that was assigned last.
    last: Own,
    /// How many tags were assigned since everything was flushed, where per-CPU tags come from generations.
    assigned: Own,
    /// The tag of the space that was loaded during that flush. Entries of it may have been filled again before the next load, so
    /// it is not assigned.
    held: Own,
    /// Whether the tag of the kernel's root is flushed before that root is loaded.
    kernel_root: Own,
    /// Whether everything under every tag is flushed before one is loaded.
    everything: Own,
    /// The same, because a generation of tags has begun.
    rolled_over: Word,
}

/// An ASID slot of a CPU. Its index is below [`SLOTS`], since only [`AsidSlots`] creates one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsidSlot(usize);

impl AsidSlot {
    /// Returns the index of the slot. Where each slot has one tag, it chooses the tag of the space on that CPU.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0
    }
}

impl Default for AsidSlots {
    fn default() -> Self {
        Self::new()
    }
}

impl AsidSlots {
    const_fn! {
        /// Returns the slots of a CPU, with no space in them.
        #[must_use]
        pub const fn new() -> Self {
            Self {
                spaces: [const { Remembered::new() }; SLOTS],
                last: Own::new(0),
                assigned: Own::new(0),
                held: Own::new(NO_TAG),
                kernel_root: Own::new(0),
                everything: Own::new(0),
                rolled_over: Word::new(0),
            }
        }
    }

    /// Returns the space in a slot.
    #[inline]
    fn at(&self, slot: AsidSlot) -> &Remembered {
        &self.spaces[slot.0 % SLOTS] // the remainder is equal to the index, and removes the panic
    }

    /// Returns how many slots the spaces of a machine use that has these per-CPU tags: at most one for each value.
    pub(crate) fn used_by(tags: Option<(TagValues, PerCpuSource)>) -> usize {
        let has = |nth: &usize| tags.is_some_and(|(values, _)| values.nth(*nth as u64).is_some());
        (0..SLOTS).take_while(has).count()
    }

    /// Returns the tag of the space in a slot, if the machine has these per-CPU tags; 0 without a slot or a value.
    #[inline]
    pub(crate) fn tag(
        &self,
        slot: Option<AsidSlot>,
        tags: Option<(TagValues, PerCpuSource)>,
    ) -> Tag {
        match (slot, tags) {
            (Some(slot), Some((values, source))) => Tag {
                value: match source {
                    PerCpuSource::Slots => values.nth(slot.0 as u64).unwrap_or(0),
                    PerCpuSource::Generations => self.at(slot).tag.get(),
                },
                global: false,
            },
            _ => Tag::default(),
        }
    }

    /// Gives the space in a slot a new tag, in place of a flush of the old one: nothing is cached under it. If no tag is left,
    /// everything has to be flushed before the space is loaded. `loaded` is the space that is loaded now.
    pub(crate) fn renew_tag(
        &self,
        slot: AsidSlot,
        values: TagValues,
        loaded: Option<AsidSlot>,
    ) -> Pending {
        let mut pending = Pending::None;
        let mut next = self.unassigned(self.assigned.get(), values);
        if next.is_none() {
            self.held
                .put(loaded.map_or(NO_TAG, |slot| self.at(slot).tag.get()));
            next = self.unassigned(0, values);
            if !is_back(Fault::ReusesSlotUnflushed) {
                pending = Pending::All;
            }
        }
        // Where all spaces share the only tag, the caller has loaded the kernel's root.
        let (nth, tag) = next.unwrap_or((0, values.nth(0).unwrap_or(0)));
        self.assigned.put(nth + 1);
        let remembered = self.at(slot);
        remembered.tag.put(tag);
        remembered.view.put(0);
        pending
    }

    /// Returns the first tag that is not assigned, from the `nth` on.
    fn unassigned(&self, nth: u64, values: TagValues) -> Option<(u64, u64)> {
        let mut left = (nth..=nth + 1).filter_map(|nth| Some((nth, values.nth(nth)?)));
        left.find(|(_, tag)| *tag != self.held.get())
    }

    /// Returns the slot of a space, if it is in one.
    #[inline]
    pub fn find(&self, space: SpaceId) -> Option<AsidSlot> {
        self.spaces
            .iter()
            .position(|slot| slot.space.get() == space.0)
            .map(AsidSlot)
    }

    /// Returns the slot of a space among the first `slots`, and what has to be flushed before the space is loaded at this
    /// generation. A space without a slot gets the next one in turn. That is not the slot of the space that is `loaded`, if there
    /// is another: entries of its tag could be filled again after the flush and before the new root is loaded.
    #[inline]
    pub fn find_or_assign(
        &self,
        space: SpaceId,
        slots: usize,
        generation: u64,
        loaded: SpaceId,
    ) -> (AsidSlot, Pending) {
        if let Some(slot) = self.find(space) {
            let is_stale = self.seen_gen(slot) != generation;
            return (
                slot,
                if is_stale {
                    Pending::Tag
                } else {
                    Pending::None
                },
            );
        }
        let pending = if is_back(Fault::ReusesSlotUnflushed) {
            Pending::None
        } else {
            Pending::Tag
        };
        (self.assign(space, slots, loaded), pending)
    }

    /// Assigns a slot to a space that has none, and returns it.
    #[inline(never)]
    fn assign(&self, space: SpaceId, slots: usize, loaded: SpaceId) -> AsidSlot {
        let next = |slot: usize| slot.wrapping_add(1) % slots.clamp(1, SLOTS);
        let mut slot = next(self.last.get() as usize);
        if loaded != SpaceId::NONE && self.at(AsidSlot(slot)).space.get() == loaded.0 {
            slot = next(slot);
        }
        self.last.put(slot as u64);
        let slot = AsidSlot(slot);
        let remembered = self.at(slot);
        remembered.space.put(space.0);
        remembered.view.put(0);
        slot
    }

    /// Records that this CPU has nothing cached of the space that is older than this generation.
    #[inline]
    pub fn set_seen_gen(&self, slot: AsidSlot, generation: u64) {
        self.at(slot).generation.put(generation);
    }

    /// Records that this CPU has flushed what changed with one generation. If it had followed all generations before, it has now
    /// followed this one.
    #[inline]
    pub fn see_next_gen(&self, slot: AsidSlot, generation: u64) {
        if self.seen_gen(slot) == generation.wrapping_sub(1) {
            self.set_seen_gen(slot, generation);
        }
    }

    /// Returns the generation up to which this CPU has followed the space.
    #[inline]
    pub fn seen_gen(&self, slot: AsidSlot) -> u64 {
        self.at(slot).generation.get()
    }

    /// Defers the flush of the user view's entries to the return to user code.
    pub fn defer_view(&self, slot: AsidSlot) {
        self.at(slot).view.put(1);
    }

    /// Returns and clears the pending flush of the user view.
    pub fn take_view(&self, slot: AsidSlot) -> bool {
        take(&self.at(slot).view) && !is_back(Fault::ForgetsView)
    }

    /// Invalidates other tags lazily: each tag except the loaded one is flushed before it is next loaded, and the user view of the
    /// loaded one before it is used.
    pub fn invalidate_others(&self, loaded: LoadedTag) {
        if is_back(Fault::ForgetsOtherTags) {
            return;
        }
        let (loaded, kernel_root) = match loaded {
            LoadedTag::Slot(slot) => (slot, false),
            LoadedTag::KernelRoot => (None, true),
        };
        if !kernel_root {
            self.defer_kernel_root();
        }
        self.forget_all_but(loaded);
    }

    /// Clears every slot except that of the loaded space, because everything under every tag was or will be flushed.
    pub fn forget_all_but(&self, loaded: Option<AsidSlot>) {
        for (index, slot) in self.spaces.iter().enumerate() {
            if loaded == Some(AsidSlot(index)) {
                slot.view.put(1);
            } else {
                slot.space.put(SpaceId::NONE.0);
            }
        }
    }

    /// Defers the flush of the tag of the kernel's root to the next load of that root.
    pub fn defer_kernel_root(&self) {
        if !is_back(Fault::ForgetsKernelRoot) {
            self.kernel_root.put(1);
        }
    }

    /// Returns and clears the pending flush of the tag of the kernel's root.
    pub fn take_kernel_root(&self) -> bool {
        take(&self.kernel_root)
    }

    /// Defers a flush of everything under every tag to the next load.
    pub fn defer_everything(&self) {
        self.everything.put(1);
    }

    /// Returns and clears the pending flush of everything.
    pub fn take_everything(&self) -> bool {
        take(&self.everything)
    }

    /// Records that a generation of tags begins: everything is flushed before this CPU loads one of its tags.
    ///
    /// # Context
    ///
    /// On any CPU, with the lock of the tags held.
    pub fn roll_over(&self) {
        self.rolled_over.put(1);
    }

    /// Returns whether a generation has begun since this was last called.
    ///
    /// # Context
    ///
    /// On the CPU itself, with the lock of the tags held.
    pub fn take_rollover(&self) -> bool {
        let rolled_over = self.rolled_over.get() != 0;
        self.rolled_over.put(0);
        rolled_over
    }
}

/// Clears a flag, and returns whether it was set.
#[inline]
fn take(flag: &Own) -> bool {
    let was_set = flag.get() != 0;
    if was_set {
        flag.put(0);
    }
    was_set
}

/// The tag that a CPU has loaded, as far as its flushes are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadedTag {
    /// That of the space in this slot; of a space that is not remembered.
    Slot(Option<AsidSlot>),
    /// That of the kernel's root.
    KernelRoot,
}

#[cfg(test)]
mod tests;
