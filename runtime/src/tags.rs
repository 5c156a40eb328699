//! Tags: which value a space has on a CPU, and when a value may be given to another space.
//!
//! A value is never used for another space before everything under it is gone from every CPU that will load it:
//!
//! * slots of a CPU: the CPU flushes the tag before it loads another space under it ([`AsidSlots`](crate::deferred::AsidSlots));
//! * generations: when no value is left a new generation begins, and each CPU flushes everything before its next load. Values
//!   that a CPU may still use stay reserved: of the space that it runs, and during a switch also of the space that it leaves.
//!   So a space never has two values that some CPU can use;
//! * one for life: given back at the end of the space, after the flush of its end;
//! * the root: the address of the top table, which no other space has while the space lives.
//!
//! A pin keeps a value across generations for devices that were given it. Pins belong to a space and are counted; they end
//! with the space.
//!
//! Source: Linux 0ebea8088095, where two threads of a space ran under different tags after a second rollover; the comments
//! in the same file (`mm/context.c`) on pinned tags, and on the flush after a rollover, which is claimed under the lock.

use crate::backend::{Backend, TagSource, TagValues};
use crate::cpus::CpuId;
use crate::deferred::AsidSlot;
use crate::fault::{Fault, is_back};
use crate::local::CpuTlb;
use crate::mmu::Mmu;
use crate::mmu::Unusable;
use crate::platform::Platform;
use crate::request::Tag;
use crate::space::AddressSpace;
use crate::sync::{Barrier, Lock, Own, Word, const_fn, first_count};

/// Where a space has its tag from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tagging {
    /// It has none: loading a root drops everything.
    None,
    /// Each CPU gives it one of its own.
    Cpu,
    /// From the machine's generations.
    Generations,
    /// One for life.
    Life,
    /// The address of its top table.
    Root,
    /// That of [`Platform::kernel_root`]: the kernel's space alone.
    Kernel,
}

/// No tag is left, and none will be before a space ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTag;

/// The space has no pin that could be undone.
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

/// The tags of the machine. Which values are taken, and which are pinned, is in the platform's
/// [words](Platform::tag_words): the first half and the second.
#[derive(Debug)]
pub(crate) struct Pool {
    lock: Lock,
    /// Stats rollovers, in the [bits](GENERATION_BITS) that a value leaves of a word; never 0. It wraps after nine years of
    /// a rollover every microsecond, each of which costs every CPU a flush of everything. Then a space that was not loaded
    /// for 2^48 rollovers would be taken for one of the present generation.
    generation: Word,
    /// Where the last free value was found.
    hint: Own,
    /// How many spaces are pinned.
    pinned: Own,
    /// How often a new generation began.
    pub(crate) rollovers: Own,
}

impl Pool {
    const_fn! {
        /// Returns the tags of a machine on which none is taken.
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
}

/// A value stands in one word with its generation, in the low bits. Of wider tags only values of this width are given out.
const VALUE_BITS: u32 = 16;
/// The rest of the word.
const GENERATION_BITS: u32 = 64 - VALUE_BITS;

const fn value(tag: u64) -> u64 {
    tag & ((1 << VALUE_BITS) - 1)
}

/// Whether a value, with its generation, is of this generation.
fn is_of(tag: u64, generation: u64) -> bool {
    let of = tag >> VALUE_BITS;
    if is_back(Fault::ComparesHalfGenerations) {
        return of & u64::from(u32::MAX) == generation;
    }
    of == generation
}

/// The generation of a count.
const fn present(count: u64) -> u64 {
    match count % (1 << GENERATION_BITS) {
        0 => 1,
        generation => generation,
    }
}

impl TagValues {
    /// The `nth` of them.
    #[must_use]
    #[inline]
    pub fn nth(&self, nth: u64) -> Option<u64> {
        let mut left = nth;
        let mut value = self.first;
        if self.views == 0 {
            let value = self.first.checked_add(nth)?;
            return (value <= self.last).then_some(value);
        }
        while value <= self.last {
            if value & self.views == 0 {
                if left == 0 {
                    return Some(value);
                }
                left -= 1;
            }
            value = value.checked_add(1)?;
        }
        None
    }

    /// Whether it is one that may be given out.
    const fn is_whole(&self, value: u64) -> bool {
        value & self.views == 0
    }
}

impl<P: Platform> Mmu<P> {
    /// The tag of a space on a CPU that has it loaded, or may have parked entries of it; 0 where it has none.
    #[inline]
    pub(crate) fn tag_of(&self, here: &CpuTlb<P::CpuSet>, space: &AddressSpace<P::CpuSet>) -> Tag {
        self.tag_in(here.slots.find(space.id, space.slots), space)
    }

    /// The same, from the line of the CPU's book that is the space's.
    #[inline]
    pub(crate) fn tag_in(&self, line: Option<AsidSlot>, space: &AddressSpace<P::CpuSet>) -> Tag {
        let global = |value| Tag {
            value,
            global: true,
        };
        match space.tagging {
            Tagging::None => Tag::default(),
            Tagging::Cpu => {
                let values = self.platform.backend().tags().per_cpu;
                let value = line
                    .zip(values)
                    .and_then(|(line, values)| values.nth(line.index() as u64));
                Tag {
                    value: value.unwrap_or(0),
                    global: false,
                }
            }
            Tagging::Generations => global(value(space.tag.get())),
            Tagging::Life | Tagging::Root => global(space.tag.get()),
            Tagging::Kernel => global(self.platform.kernel_root().tag.value),
        }
    }

    /// The values of the machine's tags, as far as there is memory to keep track of them.
    fn values(&self) -> Option<TagValues> {
        let (values, source) = self.platform.backend().tags().global?;
        let kept = (self.platform.tag_words().len() / 2) as u64 * 64;
        let mut last = values
            .last
            .min(values.first.saturating_add(kept).checked_sub(1)?);
        if source == TagSource::Generations {
            last = last.min((1 << VALUE_BITS) - 1);
        }
        Some(TagValues { last, ..values })
    }

    /// The tags that CPUs may use at once: each the one that it runs, and in a switch the one that it leaves.
    fn most_used(&self) -> u64 {
        2 * self.platform.cpus() as u64
    }

    /// Whether there are more tags than CPUs may use at once, so that a rollover leaves one to give away.
    pub(crate) fn check_tags(&self) -> Result<(), Unusable> {
        let tags = self.platform.backend().tags();
        let Some((_, TagSource::Generations)) = tags.global else {
            return Ok(());
        };
        let last = self.most_used(); // counted from 0
        let enough = self
            .values()
            .is_some_and(|values| values.nth(last).is_some());
        if enough {
            Ok(())
        } else {
            Err(Unusable::TooFewTags)
        }
    }

    fn word(&self, value: u64, pins: bool) -> Option<(&Word, u64)> {
        let values = self.values()?;
        let words = self.platform.tag_words();
        let at = value.checked_sub(values.first)?;
        let half = words.len() / 2;
        let word = words.get(at as usize / 64 + if pins { half } else { 0 })?;
        Some((word, 1 << (at % 64)))
    }

    /// Marks a value, and says whether it was free. Behind the lock.
    fn mark(&self, value: u64, pins: bool) -> bool {
        let Some((word, bit)) = self.word(value, pins) else {
            return false;
        };
        let free = word.get() & bit == 0;
        word.put(word.get() | bit);
        free
    }

    fn unmark(&self, value: u64, pins: bool) {
        if let Some((word, bit)) = self.word(value, pins) {
            word.put(word.get() & !bit);
        }
    }

    fn is_marked(&self, value: u64, pins: bool) -> bool {
        let word = self.word(value, pins);
        word.is_some_and(|(word, bit)| word.get() & bit != 0)
    }

    /// A free value, now marked. Behind the lock.
    fn find(&self) -> Option<u64> {
        let values = self.values()?;
        let hint = self.tags.hint.get().max(values.first);
        let mut candidates = (hint..=values.last).chain(values.first..hint);
        let found = candidates.find(|&v| values.is_whole(v) && self.mark(v, false))?;
        self.tags.hint.put(found + 1);
        Some(found)
    }

    /// Runs with the lock of the tags held.
    fn with_tags<R>(&self, run: impl FnOnce(CpuId) -> R) -> R {
        self.with_lock(&self.tags.lock, |cpu| self.serve(cpu), run)
    }

    /// A tag for life.
    pub(crate) fn tag_for_life(&self) -> Result<u64, NoTag> {
        self.with_tags(|_| self.find()).ok_or(NoTag)
    }

    /// What [`tag_for_life`](Self::tag_for_life) gave is free again.
    pub(crate) fn return_tag(&self, tag: u64) {
        self.with_tags(|_| self.unmark(tag, false));
    }

    /// Gives a space that is about to be loaded on this CPU a tag of the present generation, and reserves it. Where a
    /// generation began after the CPU's last load, its book then says that everything is flushed before this one.
    ///
    /// The tag that the CPU leaves stays reserved until [`left_tag`](Self::left_tag).
    pub(crate) fn renew_tag(&self, cpu: CpuId, space: &AddressSpace<P::CpuSet>) {
        let here = self.platform.cpu(cpu);
        let (tag, running) = (space.tag.get(), here.running_tag.get());
        if running != 0 && is_of(tag, self.tags.generation.get()) {
            Self::leave_tag(here, running);
            // A rollover sets what runs to 0, so that this fails when one comes in between.
            if here.running_tag.replace(running, tag, Barrier::RunTag) {
                return;
            }
        }
        let mut waits = false;
        let wait = |cpu| {
            // What is asked of this CPU about the space that it leaves is done only once its root is left.
            if !core::mem::replace(&mut waits, true) {
                self.leave_root(cpu);
            }
            self.serve(cpu);
        };
        self.with_lock(&self.tags.lock, wait, |_| {
            let running = match here.running_tag.get() {
                0 => here.reserved_tag.get(),
                running => running,
            };
            Self::leave_tag(here, running);
            if !is_of(space.tag.get(), self.tags.generation.get()) {
                space.tag.put(self.next_tag(space));
            }
            here.running_tag.put(space.tag.get());
            // Under the lock: a rollover that comes later sets it again, for the load after this one. Then the tag that
            // is loaded is the one that was reserved here.
            if !is_back(Fault::FlushesUnderOldRoot) && here.slots.take_rollover() {
                here.slots.defer_everything();
            }
        });
    }

    /// From here on a rollover keeps this tag, too: it is loaded until the switch is over.
    fn leave_tag(here: &CpuTlb<P::CpuSet>, running: u64) {
        if !is_back(Fault::FlushesUnderOldRoot) {
            here.leaving_tag.put(running);
        }
    }

    /// The tag that a CPU had loaded is not loaded any more.
    pub(crate) fn left_tag(here: &CpuTlb<P::CpuSet>) {
        here.leaving_tag.release(0, Barrier::Unload);
    }

    /// The tag of a space in the present generation, or in the next. Called with the lock held.
    fn next_tag(&self, space: &AddressSpace<P::CpuSet>) -> u64 {
        let generation = || self.tags.generation.get() << VALUE_BITS;
        let old = space.tag.get();
        if old != 0 {
            let same = generation() | value(old);
            let mut reserved = false;
            // All that reserve it have to follow, or a later rollover keeps the older one.
            for local in self.locals() {
                if local.reserved_tag.get() == old {
                    local.reserved_tag.put(same);
                    reserved = true;
                }
                reserved |= local.leaving_tag.replace(old, same, Barrier::RunTag);
            }
            let pinned = if is_back(Fault::PinsByValue) {
                self.is_marked(value(old), true)
            } else {
                space.pins.get() != 0
            };
            if reserved || pinned || self.mark(value(old), false) {
                return same;
            }
        }
        loop {
            if let Some(found) = self.find() {
                return generation() | found;
            }
            self.roll_over();
        }
    }

    /// Begins a new generation: only values that some CPU may use, and pinned ones, stay reserved. Called with the lock held.
    fn roll_over(&self) {
        let words = self.platform.tag_words();
        let (taken, pinned) = words.split_at(words.len() / 2);
        for (taken, pinned) in taken.iter().zip(pinned) {
            taken.put(pinned.get());
        }
        self.tags
            .generation
            .put(present(self.tags.generation.get() + 1));
        for local in self.locals() {
            // A CPU that has loaded nothing since the last rollover still runs what was reserved then.
            let running = match local.running_tag.swap(0, Barrier::RunTag) {
                0 => local.reserved_tag.get(),
                running => running,
            };
            for used in [running, local.leaving_tag.get()] {
                if used != 0 {
                    self.mark(value(used), false);
                }
            }
            local.reserved_tag.put(running);
            local.slots.roll_over();
        }
        self.tags.rollovers.count(1);
    }

    /// What ran on a CPU that goes offline is not reserved for it any more.
    pub(crate) fn forget_tags_of(&self, here: &CpuTlb<P::CpuSet>) {
        self.with_tags(|_| {
            here.running_tag.put(0);
            here.reserved_tag.put(0);
        });
    }

    /// Keeps the tag of a space across rollovers, for a device that is given it. Pins are counted: the tag is kept until
    /// each is [undone](Self::unpin_tag), or the space is [released](Self::release).
    ///
    /// # Context
    /// Any; interrupts are turned off for the moment of the call.
    ///
    /// # Errors
    /// When as many spaces are pinned as can be, since every CPU needs two tags that are not; and where the tag of the space
    /// is not from generations.
    pub fn pin_tag(&self, space: &AddressSpace<P::CpuSet>) -> Result<Tag, NoTag> {
        if space.tagging != Tagging::Generations {
            return Err(NoTag);
        }
        self.with_tags(|_| {
            let old = space.tag.get();
            if !is_of(old, self.tags.generation.get()) {
                space.tag.put(self.next_tag(space));
            }
            let tag = value(space.tag.get());
            if space.pins.get() == 0 {
                let last = self.tags.pinned.get() + 1 + self.most_used();
                let values = self.values().ok_or(NoTag)?;
                values.nth(last).ok_or(NoTag)?;
                self.mark(tag, true);
                self.tags.pinned.count(1);
            }
            space.pins.put(space.pins.get() + 1);
            Ok(Tag {
                value: tag,
                global: true,
            })
        })
    }

    /// Undoes one [pin](Self::pin_tag). After the last one the tag is given up at the next rollover.
    ///
    /// # Context
    /// As [`pin_tag`](Self::pin_tag).
    ///
    /// # Errors
    /// When the space has no pin.
    pub fn unpin_tag(&self, space: &AddressSpace<P::CpuSet>) -> Result<(), NotPinned> {
        self.with_tags(|_| match space.pins.get() {
            0 => Err(NotPinned),
            more if more > 1 && !is_back(Fault::PinsOnce) => {
                space.pins.put(more - 1);
                Ok(())
            }
            _ => {
                self.end_pins(space);
                Ok(())
            }
        })
    }

    /// The space ends, and its pins with it.
    pub(crate) fn release_pins(&self, space: &AddressSpace<P::CpuSet>) {
        if space.tagging == Tagging::Generations {
            self.with_tags(|_| {
                if space.pins.get() != 0 {
                    self.end_pins(space);
                }
            });
        }
    }

    /// The value of a pinned space may be given out after the next rollover. Called with the lock held.
    fn end_pins(&self, space: &AddressSpace<P::CpuSet>) {
        space.pins.put(0);
        self.unmark(value(space.tag.get()), true);
        self.tags.pinned.put(self.tags.pinned.get() - 1);
    }
}
