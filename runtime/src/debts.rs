//! Debts: flushes that are put off, and to when.
//!
//! A stale entry that nobody can use yet may stay until somebody could. What is owed is on one of two books.
//! The space's [`Ledger`] says how far its tables have changed, and what everybody owes who comes to it: it is
//! read under the page-table lock, or behind the barriers of a switch. The CPU's [`Book`] says how far this CPU has
//! followed each space that it remembers, and what it owes for itself. A CPU that is exactly one change behind and is
//! told of that change drops just that; otherwise the whole tag goes. What a CPU does not remember it has to drop.
//!
//! Source: Linux `mm/mmu_gather.c` and the comments beside `flush_tlb_func` on generations.

use crate::backend::Pending;
use crate::fault::{Fault, is_back};
use crate::space::SpaceId;
use crate::sync::{Barrier, Own, Word, const_fn};

/// Something that everybody owes who comes to a space: how often it was put off, and up to where it is paid.
///
/// Only whether the two differ counts, so that they may wrap; a payment that comes late leaves a debt that is paid
/// twice, never one that is forgotten.
#[derive(Debug)]
pub struct Due {
    owed: Word,
    paid: Word,
}

impl Default for Due {
    fn default() -> Self {
        Self::new()
    }
}

impl Due {
    const_fn! {
        /// Returns one of which nothing is deferred.
        #[must_use]
        pub const fn new() -> Self {
            Self {
                owed: Word::counter(),
                paid: Word::counter(),
            }
        }
    }

    /// Puts a flush off. What it is about was changed before.
    #[inline]
    pub fn owe(&self) {
        self.owed.add(1, Barrier::Owe);
    }

    /// What is owed, if anything is: to be handed to [`pay`](Self::pay) when it is flushed.
    #[inline]
    pub fn due(&self) -> Option<u64> {
        let owed = self.owed.acquire(Barrier::Due);
        (self.paid.acquire(Barrier::Due) != owed).then_some(owed)
    }

    /// What was [due](Self::due) is flushed.
    #[inline]
    pub fn pay(&self, deferred: u64) {
        self.paid.release(deferred, Barrier::Pay);
    }
}

/// What is owed for a space.
#[derive(Debug)]
pub struct Ledger {
    /// How often the tables have changed in a way that some CPU may have to follow when it loads the space. 64 bits: it may
    /// wrap, but a CPU must not be exactly 2^64 changes behind.
    generation: Word,
    /// Everything of the space, before another CPU attaches it.
    pub attach: Due,
    /// Everything of the space, before somebody relies on what was unmapped without waiting.
    pub unmaps: Due,
    /// Everything of the space, before somebody relies on what an abandoned gather cleared.
    pub abandoned: Due,
}

/// What was owed for a space at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dues([Option<u64>; 3]);

impl Dues {
    /// How many kinds of debts.
    pub fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger {
    const_fn! {
        /// Returns the ledger of a space of which nothing is deferred.
        #[must_use]
        pub const fn new() -> Self {
            Self {
                generation: Word::counter(),
                attach: Due::new(),
                unmaps: Due::new(),
                abandoned: Due::new(),
            }
        }
    }

    fn all(&self) -> [&Due; 3] {
        [&self.attach, &self.unmaps, &self.abandoned]
    }

    /// What is due now: to be handed to [`pay`](Self::pay) when everything of the space is flushed.
    pub(crate) fn dues(&self) -> Dues {
        Dues(self.all().map(Due::due))
    }

    /// What was [due](Self::dues) is flushed.
    pub(crate) fn pay(&self, dues: Dues) {
        for (due, deferred) in self.all().into_iter().zip(dues.0) {
            if let Some(deferred) = deferred {
                due.pay(deferred);
            }
        }
    }

    /// Entries have changed: from here on whoever loads the space has to follow. The new generation.
    #[inline]
    pub fn raise(&self) -> u64 {
        self.generation.add(1, Barrier::Owe).wrapping_add(1)
    }

    /// How often the tables have changed.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.acquire(Barrier::Due)
    }
}

/// How many spaces a CPU remembers.
pub const REMEMBERED: usize = 8;

/// A space that a CPU remembers: all that this CPU has cached of it is as new as this generation.
#[derive(Debug)]
struct Remembered {
    space: Own,
    generation: Own,
    /// Whether the user view's entries are older, and go on the way to user code.
    view: Own,
}

impl Remembered {
    const fn new() -> Self {
        Self {
            space: Own::new(SpaceId::NONE.0),
            generation: Own::new(0),
            view: Own::new(0),
        }
    }
}

/// The flushes that a CPU has deferred. Only that CPU reads and writes it, with interrupts off; except for
/// [`rolled_over`](Self::rolled_over).
#[derive(Debug)]
pub struct Book {
    spaces: [Remembered; REMEMBERED],
    /// Which one was given out last.
    last: Own,
    /// Whether the tag of the kernel's root is flushed before that root is loaded.
    kernel_root: Own,
    /// Whether everything under every tag is flushed before one is loaded.
    everything: Own,
    /// The same, since a generation of tags began.
    rolled_over: Word,
}

/// A line of a CPU's book: below [`REMEMBERED`], for only the book makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line(usize);

impl Line {
    /// The index of the line in its book.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0
    }
}

impl Default for Book {
    fn default() -> Self {
        Self::new()
    }
}

impl Book {
    const_fn! {
        /// Returns the book of a CPU that remembers no space.
        #[must_use]
        pub const fn new() -> Self {
            Self {
                spaces: [const { Remembered::new() }; REMEMBERED],
                last: Own::new(0),
                kernel_root: Own::new(0),
                everything: Own::new(0),
                rolled_over: Word::new(0),
            }
        }
    }

    /// What stands in a line.
    #[inline]
    fn at(&self, line: Line) -> &Remembered {
        &self.spaces[line.0 % REMEMBERED] // the remainder is the line: no panic is left
    }

    /// The line of a space, of the first `lines`.
    #[inline]
    pub fn line(&self, space: SpaceId, lines: usize) -> Option<Line> {
        let mut spaces = self.spaces.iter().take(lines);
        spaces
            .position(|line| line.space.get() == space.0)
            .map(Line)
    }

    /// The line that a space shall have, of the first `lines`, and what is owed for it before it is loaded at this
    /// generation. Lines are given away in turn; if there is another one, not that of the space that is `loaded`: what is
    /// flushed of its tag could be filled again before the new root is loaded.
    #[inline]
    pub fn open(
        &self,
        space: SpaceId,
        lines: usize,
        generation: u64,
        loaded: SpaceId,
    ) -> (Line, Pending) {
        if let Some(line) = self.line(space, lines) {
            let behind = self.followed(line) != generation;
            return (line, if behind { Pending::Tag } else { Pending::None });
        }
        (self.give(space, lines, loaded), Pending::Tag)
    }

    /// Gives a line to a space that has none.
    #[inline(never)]
    fn give(&self, space: SpaceId, lines: usize, loaded: SpaceId) -> Line {
        let next = |line: usize| line.wrapping_add(1) % lines.clamp(1, REMEMBERED);
        let mut line = next(self.last.get() as usize);
        if loaded != SpaceId::NONE && self.at(Line(line)).space.get() == loaded.0 {
            line = next(line);
        }
        self.last.put(line as u64);
        let line = Line(line);
        let remembered = self.at(line);
        remembered.space.put(space.0);
        remembered.view.put(0);
        line
    }

    /// This CPU has nothing older of the space than this generation.
    #[inline]
    pub fn follow(&self, line: Line, generation: u64) {
        self.at(line).generation.put(generation);
    }

    /// This CPU has dropped what changed with one generation: if it had followed all before, it has followed that as well.
    #[inline]
    pub fn follow_next(&self, line: Line, generation: u64) {
        if self.followed(line).wrapping_add(1) == generation {
            self.follow(line, generation);
        }
    }

    /// The generation that this CPU has followed.
    #[inline]
    pub fn followed(&self, line: Line) -> u64 {
        self.at(line).generation.get()
    }

    /// The user view's entries go on the way to user code.
    pub fn owe_view(&self, line: Line) {
        self.at(line).view.put(1);
    }

    /// Whether they do; they are about to go.
    pub fn take_view(&self, line: Line) -> bool {
        take(&self.at(line).view)
    }

    /// Invalidates tags lazily: everything under any tag but the loaded one is flushed before that tag is loaded, and the
    /// user view of the loaded one before it is used.
    pub fn owe_others(&self, loaded: LoadedTag) {
        let (loaded, kernel_root) = match loaded {
            LoadedTag::Line(line) => (line, false),
            LoadedTag::KernelRoot => (None, true),
        };
        if !kernel_root {
            self.owe_kernel_root();
        }
        self.forget_lines(loaded);
    }

    /// Everything under every tag was flushed: no line but the loaded one is followed any more.
    pub fn forget_lines(&self, loaded: Option<Line>) {
        for (index, line) in self.spaces.iter().enumerate() {
            if loaded == Some(Line(index)) {
                line.view.put(1);
            } else {
                line.space.put(SpaceId::NONE.0);
            }
        }
    }

    /// The tag of the kernel's root is flushed before that root is loaded.
    pub fn owe_kernel_root(&self) {
        if !is_back(Fault::ForgetsKernelRoot) {
            self.kernel_root.put(1);
        }
    }

    /// Whether the tag of the kernel's root has to be flushed, which is about to be done.
    pub fn take_kernel_root(&self) -> bool {
        take(&self.kernel_root)
    }

    /// Everything under every tag is flushed before this CPU loads one.
    pub fn owe_everything(&self) {
        self.everything.put(1);
    }

    /// Whether everything has to be flushed, which is about to be done.
    pub fn take_everything(&self) -> bool {
        take(&self.everything)
    }

    /// A generation of tags begins: everything is flushed before this CPU loads one of its tags. Called by the CPU that holds the lock of the tags.
    pub fn rolled_over(&self) {
        self.rolled_over.put(1);
    }

    /// Whether a generation has begun since this was last called. Called with the lock of the tags held.
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
    /// Of the space on this line; of none that is remembered.
    Line(Option<Line>),
    /// That of the kernel's root.
    KernelRoot,
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SpaceId = SpaceId(10);
    const B: SpaceId = SpaceId(11);
    const C: SpaceId = SpaceId(12);

    #[test]
    fn a_debt_is_due_until_all_of_it_is_paid() {
        let due = Due {
            owed: Word::new(u64::MAX - 1),
            paid: Word::new(u64::MAX - 1),
        };
        assert_eq!(due.due(), None);
        due.owe();
        let first = due.due().unwrap();
        due.owe(); // the count wraps
        due.owe();
        due.pay(first);
        let all = due.due().unwrap();
        due.pay(all);
        assert_eq!(due.due(), None);
    }

    #[test]
    fn what_is_not_remembered_is_owed() {
        let book = Book::default();
        let (line, debt) = book.open(A, 2, 5, SpaceId::NONE);
        assert_eq!(debt, Pending::Tag);
        book.follow(line, 5);
        assert_eq!(book.open(A, 2, 5, SpaceId::NONE), (line, Pending::None));
        assert_eq!(book.open(A, 2, 6, SpaceId::NONE), (line, Pending::Tag));
        let (other, _) = book.open(B, 2, 0, SpaceId::NONE);
        assert_ne!(other, line);
        // A third one takes the older line.
        assert_eq!(book.open(C, 2, 0, SpaceId::NONE), (line, Pending::Tag));
        assert_eq!(book.line(A, 2), None);
    }

    #[test]
    fn others_are_owed_and_the_loaded_ones_user_view() {
        let book = Book::default();
        let (a, _) = book.open(A, 8, 1, SpaceId::NONE);
        book.follow(a, 1);
        let (b, _) = book.open(B, 8, 1, SpaceId::NONE);
        book.follow(b, 1);
        book.owe_others(LoadedTag::Line(Some(b)));
        assert_eq!(book.line(A, 8), None);
        assert_eq!(book.open(B, 8, 1, SpaceId::NONE).1, Pending::None);
        assert!(book.take_view(b) && !book.take_view(b));
    }

    #[test]
    fn the_line_that_is_loaded_is_not_given_away() {
        let book = Book::default();
        let (a, _) = book.open(A, 2, 0, SpaceId::NONE);
        let (b, _) = book.open(B, 2, 0, A);
        // It would be the turn of A's, whose tag is loaded.
        assert_eq!(book.open(C, 2, 0, A), (b, Pending::Tag));
        assert_eq!(book.line(A, 2), Some(a));
        // With one line there is no other.
        let book = Book::default();
        let (a, _) = book.open(A, 1, 0, SpaceId::NONE);
        assert_eq!(book.open(B, 1, 0, A), (a, Pending::Tag));
    }

    #[test]
    fn the_kernel_roots_tag_is_flushed_as_others_are() {
        let book = Book::default();
        let (a, _) = book.open(A, 2, 0, SpaceId::NONE);
        book.owe_others(LoadedTag::KernelRoot);
        assert!(!book.take_kernel_root() && book.line(A, 2).is_none());
        book.owe_others(LoadedTag::Line(Some(a)));
        assert!(book.take_kernel_root() && !book.take_kernel_root());
    }
}
