//! Physical memory: frames of 4 KiB, counted, poisoned while they are free.
//!
//! Some are consecutive, for large pages. Each frame of a large page has a count of its own, so that the page can be split;
//! they are given out again when all of them are free.
//!
//! The poison is what the whole kernel is about: a free frame contains nothing else. A CPU that still writes to it through a
//! stale translation is found when the frame is next allocated, and one that reads it reads poison. The last frame that was
//! freed is the first to be allocated, so a stale translation does not stay harmless for long.
//!
//! The kernel's own data and tables are in frames that are never mapped for user code. So the kernel survives a stale
//! translation, and reports it.

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::boot;
use crate::lock::SpinLock;

pub const FRAME: u64 = 4096;
/// How many frames a large page has.
pub const LARGE: usize = 512;
/// How many large pages there are frames for. These frames come first, then those for other pages, then those for the kernel.
const LARGE_PAGES: usize = 4;
const PAGES: usize = 5120;
const FIRST_PAGE: usize = LARGE_PAGES * LARGE;
const FIRST_OF_KERNEL: usize = FIRST_PAGE + PAGES;
const FRAMES: usize = FIRST_OF_KERNEL + 1024;
/// What free frames contain.
pub const POISON: u64 = 0xdead_0bad_dead_0bad;

/// How many words of free frames were not poison any more.
pub static OVERWRITTEN: AtomicU64 = AtomicU64::new(0);

/// References to each frame; 0 while it is free.
static COUNTS: [AtomicU32; FRAMES] = [const { AtomicU32::new(0) }; FRAMES];
/// How many frames of each large page are free.
static FREE_OF_LARGE: [AtomicU32; LARGE_PAGES] = [const { AtomicU32::new(0) }; LARGE_PAGES];
static FREE_PAGES: SpinLock<FreeFrames> = SpinLock::new(FreeFrames::NONE);
static FREE_KERNEL: SpinLock<FreeFrames> = SpinLock::new(FreeFrames::NONE);

struct FreeFrames {
    numbers: [u32; PAGES],
    used: usize,
}

#[expect(clippy::large_stack_arrays, reason = "only ever in statics")]
impl FreeFrames {
    const NONE: Self = Self {
        numbers: [0; PAGES],
        used: 0,
    };

    fn push(&mut self, number: usize) {
        self.numbers[self.used] = number as u32;
        self.used += 1;
    }

    fn pop(&mut self) -> Option<usize> {
        self.used = self.used.checked_sub(1)?;
        Some(self.numbers[self.used] as usize)
    }
}

/// Keeps a frame until it is used again. It is free, and contains poison.
fn put_back(number: usize) {
    match number {
        FIRST_OF_KERNEL.. => FREE_KERNEL.lock().push(number),
        FIRST_PAGE.. => FREE_PAGES.lock().push(number),
        _ => {
            FREE_OF_LARGE[number / LARGE].fetch_add(1, Ordering::Release);
        }
    }
}

/// Takes the frames of a large page all of which are free. Returns the number of the first.
fn take_large() -> Option<usize> {
    let taken = |free: &AtomicU32| {
        let all = LARGE as u32;
        free.compare_exchange(all, 0, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    };
    Some(FREE_OF_LARGE.iter().position(taken)? * LARGE)
}

/// A frame as words that several CPUs, and their table walkers, use at once.
pub type Words = [AtomicU64; 512];

/// A reference to a frame. The last one frees it.
///
/// The frame's number, plus one: an `Option<Frame>` is as small.
pub struct Frame(NonZeroU32);

/// Makes all frames free.
pub fn prepare() {
    for number in (0..FRAMES).rev() {
        poison(words(address(number)));
        put_back(number);
    }
}

/// Returns the address of the first frame: that of the first large page after the kernel's image.
fn first_address() -> u64 {
    boot::image_end_address().next_multiple_of(LARGE as u64 * FRAME)
}

fn address(number: usize) -> u64 {
    first_address() + number as u64 * FRAME
}

/// Returns what is in a frame.
///
/// Entries of page tables have addresses of frames, so this is how the kernel gets from an entry to the next table.
///
/// # Panics
/// When the address is that of no memory of the kernel.
pub fn words(address: u64) -> &'static Words {
    let memory = boot::memory();
    assert!(
        memory.contains(&address) && address.is_multiple_of(FRAME),
        "no frame at {address:#x}"
    );
    // SAFETY: the kernel has all memory mapped, and frames are used as words that may change at any time.
    unsafe { &*((boot::OFFSET + address) as *const Words) }
}

/// Returns a word of a frame.
pub fn word(address: u64, index: usize) -> u64 {
    words(address)[index].load(Ordering::Relaxed)
}

fn poison(words: &Words) {
    for word in words {
        word.store(POISON, Ordering::Relaxed);
    }
}

impl Frame {
    /// Takes a free frame for a page, and fills it.
    pub fn page(with: impl FnMut(usize) -> u64) -> Option<Self> {
        let number = FREE_PAGES.lock().pop()?;
        Some(Self::filled(number, with))
    }

    /// Takes a free frame for a table, or other data of the kernel, and fills it.
    pub fn table(with: impl FnMut(usize) -> u64) -> Option<Self> {
        let number = FREE_KERNEL.lock().pop()?;
        Some(Self::filled(number, with))
    }

    fn filled(number: usize, mut with: impl FnMut(usize) -> u64) -> Self {
        COUNTS[number].store(1, Ordering::Relaxed);
        let words = words(address(number));
        let loaded = words.iter().map(|word| word.load(Ordering::Relaxed));
        let overwritten = loaded.filter(|word| *word != POISON).count();
        OVERWRITTEN.fetch_add(overwritten as u64, Ordering::Relaxed);
        for (index, word) in words.iter().enumerate() {
            word.store(with(index), Ordering::Relaxed);
        }
        Self(NonZeroU32::MIN.saturating_add(number as u32))
    }

    fn number(&self) -> usize {
        self.0.get() as usize - 1
    }

    pub fn address(&self) -> u64 {
        address(self.number())
    }

    pub fn words(&self) -> &'static Words {
        words(self.address())
    }

    /// Gives the reference to a table entry, which keeps the address instead.
    pub fn into_address(self) -> u64 {
        let address = self.address();
        core::mem::forget(self);
        address
    }

    /// Takes the reference back that a table entry kept; `None` if the address is not that of a frame of the pool, such as a
    /// page of the kernel's image.
    ///
    /// The caller has the entry, and removed it: one reference a call of [`into_address`](Self::into_address).
    pub fn from_address(at: u64) -> Option<Self> {
        let number = at.checked_sub(first_address())? / FRAME;
        let is_counted = (number as usize) < FRAMES;
        is_counted.then(|| Self(NonZeroU32::MIN.saturating_add(number as u32)))
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let number = self.number();
        if COUNTS[number].fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        poison(self.words());
        put_back(number);
    }
}

/// References to the frames of a page: to one frame, or to those of a large page. The last reference to each frees it.
pub struct Page {
    first: Frame,
    others: u32,
}

impl Page {
    /// Takes free frames for a large page, and fills them. `with` is given the number of the frame within the page, and that of
    /// the word within the frame.
    pub fn large(mut with: impl FnMut(usize, usize) -> u64) -> Option<Self> {
        let number = take_large()?;
        let mut fill = |nth| Frame::filled(number + nth, |word| with(nth, word));
        let first = fill(0);
        (1..LARGE).for_each(|nth| core::mem::forget(fill(nth)));
        Some(Self {
            first,
            others: LARGE as u32 - 1,
        })
    }

    pub fn address(&self) -> u64 {
        self.first.address()
    }

    /// Gives the references to a table entry, which keeps the address instead.
    pub fn into_address(self) -> u64 {
        let address = self.address();
        core::mem::forget(self);
        address
    }

    /// Takes the references back that a table entry kept to `count` frames; `None` as in [`Frame::from_address`].
    pub fn from_address(at: u64, count: usize) -> Option<Self> {
        let first = Frame::from_address(at)?;
        let others = count as u32 - 1;
        Some(Self { first, others })
    }

    /// Adds a reference to each frame, for another table entry.
    pub fn share(&self) {
        let numbers = self.first.number()..=self.first.number() + self.others as usize;
        for count in &COUNTS[numbers] {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns whether there is no other reference to any of the frames.
    pub fn is_unshared(&self) -> bool {
        let numbers = self.first.number()..=self.first.number() + self.others as usize;
        let mut counts = COUNTS[numbers].iter();
        counts.all(|count| count.load(Ordering::Acquire) == 1)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        for nth in 1..=self.others {
            drop(Frame(self.first.0.saturating_add(nth)));
        }
    }
}

/// Returns how many frames are free.
pub fn free() -> usize {
    let of_large = FREE_OF_LARGE.iter();
    let of_large: u32 = of_large.map(|free| free.load(Ordering::Relaxed)).sum();
    FREE_PAGES.lock().used + FREE_KERNEL.lock().used + of_large as usize
}
