//! The map of global tags: which are taken, and which are pinned.
//!
//! In: the memory that the platform has for it. Out: free tags. Holds: a tag for whose bits there is no memory is never taken.

use crate::sync::Word;
use crate::tag::{TagSource, TagValues, Tags, VALUE_BITS};

/// The global tags, and the memory that records which are taken and which are pinned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsidMap<'m> {
    /// The bits of the tags that are taken, followed by as many bits of those that are pinned.
    words: &'m [Word],
    pub values: Option<TagValues>,
    /// The greatest number of tags that CPUs may use at the same time: for each CPU the tag that it runs and, during a switch, the
    /// tag that it leaves.
    most_used: u64,
}

impl<'m> AsidMap<'m> {
    /// Returns the map of a machine with so many CPUs. If there is too little memory, fewer tags are used.
    pub fn new(tags: &Tags, words: &'m [Word], cpus: usize) -> Self {
        let values = tags.global.and_then(|(values, source)| {
            let kept = (words.len() / 2) as u64 * 64;
            let end = values.first.saturating_add(kept);
            let mut last = values.last.min(end.checked_sub(1)?);
            if source == TagSource::Generations {
                last = last.min((1 << VALUE_BITS) - 1);
            }
            Some(TagValues { last, ..values })
        });
        Self {
            words,
            values,
            most_used: 2 * cpus as u64,
        }
    }

    /// Returns whether there are more tags than the CPUs may use at the same time plus `more`, so that one is free after a
    /// rollover.
    pub fn has_more_than_used(&self, more: u64) -> bool {
        let values = self.values;
        values.is_some_and(|values| values.nth(self.most_used + more).is_some()) // counted from 0
    }

    /// Returns the word and the bit of a value.
    fn word(&self, value: u64, pins: bool) -> Option<(&Word, u64)> {
        let at = value.checked_sub(self.values?.first)?;
        let half = self.words.len() / 2;
        let word = self
            .words
            .get(at as usize / 64 + if pins { half } else { 0 })?;
        Some((word, 1 << (at % 64)))
    }

    /// Marks a value, and returns whether it was free.
    pub fn mark(&self, value: u64, pins: bool) -> bool {
        let Some((word, bit)) = self.word(value, pins) else {
            return false;
        };
        let free = word.get() & bit == 0;
        word.put(word.get() | bit);
        free
    }

    /// Clears the mark of a value.
    pub fn unmark(&self, value: u64, pins: bool) {
        if let Some((word, bit)) = self.word(value, pins) {
            word.put(word.get() & !bit);
        }
    }

    /// Returns whether a value is marked.
    pub fn is_marked(&self, value: u64, pins: bool) -> bool {
        let word = self.word(value, pins);
        word.is_some_and(|(word, bit)| word.get() & bit != 0)
    }

    /// Frees all values except those that are pinned.
    pub fn free_all_but_pinned(&self) {
        let (taken, pinned) = self.words.split_at(self.words.len() / 2);
        for (taken, pinned) in taken.iter().zip(pinned) {
            taken.put(pinned.get());
        }
    }
}
