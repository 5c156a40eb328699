//! Tags: which value a space has on a CPU, and when a value may be given to another.
//!
//! A value is never used for another space before everything under it is gone from every CPU that will load it:
//!
//! * slots of a CPU: the CPU drops the tag before it loads another space under it ([`Book`](crate::debts::Book));
//! * generations: when no value is left everybody starts anew, and each CPU drops everything before its next load. What a
//!   CPU runs at that moment stays reserved, so that a space never has two values at once, except while it moves;
//! * one for life: given back at the space's end, behind the flush of that;
//! * the root: the address of the top table, which nobody else has while the space lives.
//!
//! Source: Linux 0ebea8088095, where two threads of a space ran under different tags after a second rollover.

use crate::backend::{Backend, TagSource, TagValues};
use crate::cpus::CpuId;
use crate::debts::Line;
use crate::local::Local;
use crate::platform::Platform;
use crate::request::Tag;
use crate::space::AddressSpace;
use crate::sync::{Lock, Own, Word, const_fn};
use crate::{Mmu, Unusable};

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

/// The tags of the machine. Which values are taken, and which are pinned, is in the platform's
/// [words](Platform::tag_words): the first half and the second.
#[derive(Debug)]
pub(crate) struct Pool {
    lock: Lock,
    /// Counts rollovers, from 1.
    generation: Word,
    /// Where the last free value was found.
    hint: Own,
    /// How many are pinned.
    pinned: Own,
    /// How often everybody started anew.
    pub(crate) rollovers: Own,
}

impl Pool {
    const_fn! {
        /// Returns the tags of a machine on which none is taken.
        pub const fn new() -> Self {
            Self {
                lock: Lock::new(),
                generation: Word::new(1),
                hint: Own::new(0),
                pinned: Own::new(0),
                rollovers: Own::new(0),
            }
        }
    }
}

/// A value with its generation, as it stands in one word.
const SHIFT: u32 = 32;

const fn value(tag: u64) -> u64 {
    tag & ((1 << SHIFT) - 1)
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
    pub(crate) fn tag_of(&self, here: &Local<P>, space: &AddressSpace<P>) -> Tag {
        self.tag_in(here.book.line(space.id, space.lines), space)
    }

    /// The same, from the line of the CPU's book that is the space's.
    #[inline]
    pub(crate) fn tag_in(&self, line: Option<Line>, space: &AddressSpace<P>) -> Tag {
        let of_machine = |value| Tag {
            value,
            of_machine: true,
        };
        match space.tagging {
            Tagging::None => Tag::default(),
            Tagging::Cpu => {
                let values = self.platform.backend().tags().of_cpu;
                let value = line
                    .zip(values)
                    .and_then(|(line, values)| values.nth(line.index() as u64));
                Tag {
                    value: value.unwrap_or(0),
                    of_machine: false,
                }
            }
            Tagging::Generations | Tagging::Life => of_machine(value(space.tag.get())),
            Tagging::Root => of_machine(space.tag.get()),
            Tagging::Kernel => of_machine(self.platform.kernel_root().tag.value),
        }
    }

    /// The values of the machine's tags, as far as there is memory to keep track of them.
    fn values(&self) -> Option<TagValues> {
        let (values, _) = self.platform.backend().tags().of_machine?;
        let kept = (self.platform.tag_words().len() / 2) as u64 * 64;
        let last = values
            .last
            .min(values.first.saturating_add(kept).checked_sub(1)?);
        Some(TagValues { last, ..values })
    }

    /// Whether there are enough tags for all CPUs to run something, and one to give away.
    pub(crate) fn check_tags(&self) -> Result<(), Unusable> {
        let tags = self.platform.backend().tags();
        let Some((_, TagSource::Generations)) = tags.of_machine else {
            return Ok(());
        };
        let least = self.platform.cpus() as u64 + 1;
        let enough = self
            .values()
            .is_some_and(|values| values.nth(least).is_some());
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

    /// A tag for life.
    pub(crate) fn tag_for_life(&self) -> Result<u64, NoTag> {
        let found = self.tags.lock.with(|| (), || self.find());
        found.ok_or(NoTag)
    }

    /// What [`tag_for_life`](Self::tag_for_life) gave is free again.
    pub(crate) fn return_tag(&self, tag: u64) {
        self.tags.lock.with(|| (), || self.unmark(tag, false));
    }

    /// Gives a space that is about to be loaded here a tag of the present generation. Whether this CPU drops
    /// everything before is then in its book.
    pub(crate) fn renew_tag(&self, cpu: CpuId, space: &AddressSpace<P>) {
        let here = self.platform.local(cpu);
        let present = |tag: u64| tag >> SHIFT == self.tags.generation.get();
        let (tag, running) = (space.tag.get(), here.running_tag.get());
        // A rollover sets what runs to 0, so that this fails when one comes between.
        if running != 0 && present(tag) && here.running_tag.replace(running, tag) {
            return;
        }
        self.tags.lock.with(
            || (),
            || {
                let tag = space.tag.get();
                if !present(tag) {
                    space.tag.put(self.next_tag(tag));
                }
                here.running_tag.put(space.tag.get());
            },
        );
    }

    /// The tag of a space in the present generation, or in the next. Behind the lock.
    fn next_tag(&self, old: u64) -> u64 {
        let generation = || self.tags.generation.get() << SHIFT;
        if old != 0 {
            let same = generation() | value(old);
            let mut reserved = false;
            // All that reserve it have to follow, or a later rollover keeps the older one.
            for local in self.locals() {
                if local.reserved_tag.get() == old {
                    local.reserved_tag.put(same);
                    reserved = true;
                }
            }
            if reserved || self.is_marked(value(old), true) || self.mark(value(old), false) {
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

    /// Starts anew: only what runs now, and what is pinned, keeps its value. Behind the lock.
    fn roll_over(&self) {
        let words = self.platform.tag_words();
        let (taken, pinned) = words.split_at(words.len() / 2);
        for (taken, pinned) in taken.iter().zip(pinned) {
            taken.put(pinned.get());
        }
        self.tags.generation.put(self.tags.generation.get() + 1);
        for local in self.locals() {
            // A CPU that has loaded nothing since the last rollover still runs what was reserved then.
            let running = match local.running_tag.swap(0) {
                0 => local.reserved_tag.get(),
                running => running,
            };
            if running != 0 {
                self.mark(value(running), false);
            }
            local.reserved_tag.put(running);
            local.book.owe_everything();
        }
        self.tags.rollovers.count(1);
    }

    /// What ran on a CPU that goes is not reserved for it any more.
    pub(crate) fn forget_tags_of(&self, here: &Local<P>) {
        self.tags.lock.with(
            || (),
            || {
                here.running_tag.put(0);
                here.reserved_tag.put(0);
            },
        );
    }

    /// Keeps a space's tag over rollovers, for devices that were told it. Undone by [`unpin_tag`](Self::unpin_tag).
    ///
    /// # Errors
    /// When as many are pinned as can be, for every CPU needs one that is not; or where the space's tag is not from
    /// generations.
    pub fn pin_tag(&self, space: &AddressSpace<P>) -> Result<Tag, NoTag> {
        if space.tagging != Tagging::Generations {
            return Err(NoTag);
        }
        let tag = self.tags.lock.with(
            || (),
            || {
                let tag = space.tag.get();
                if tag >> SHIFT != self.tags.generation.get() {
                    space.tag.put(self.next_tag(tag));
                }
                let tag = value(space.tag.get());
                if self.is_marked(tag, true) {
                    return Ok(tag);
                }
                let more = self.tags.pinned.get() + self.platform.cpus() as u64 + 2;
                let values = self.values().ok_or(NoTag)?;
                values.nth(more).ok_or(NoTag)?;
                self.mark(tag, true);
                self.tags.pinned.count(1);
                Ok(tag)
            },
        )?;
        Ok(Tag {
            value: tag,
            of_machine: true,
        })
    }

    /// Lets the tag of a space go at the next rollover.
    pub fn unpin_tag(&self, space: &AddressSpace<P>) {
        self.tags.lock.with(
            || (),
            || {
                let tag = value(space.tag.get());
                if self.is_marked(tag, true) {
                    self.unmark(tag, true);
                    self.tags.pinned.put(self.tags.pinned.get() - 1);
                }
            },
        );
    }
}
