//! Physical memory: frames of 4 KiB, counted, poisoned while they are free.
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
/// How many there are, the first of which are for pages and the others for the kernel.
const FRAMES: usize = 6144;
const PAGES: usize = 5120;
/// What free frames contain.
pub const POISON: u64 = 0xdead_0bad_dead_0bad;

/// How many words of free frames were not poison any more.
pub static OVERWRITTEN: AtomicU64 = AtomicU64::new(0);

/// References to each frame; 0 while it is free.
static COUNTS: [AtomicU32; FRAMES] = [const { AtomicU32::new(0) }; FRAMES];
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

/// Returns where a frame is kept while it is free.
fn pool(number: usize) -> &'static SpinLock<FreeFrames> {
    if number < PAGES {
        &FREE_PAGES
    } else {
        &FREE_KERNEL
    }
}

/// A frame as words that several CPUs, and their table walkers, use at once.
pub type Words = [AtomicU64; 512];

/// A reference to a frame. The last one frees it.
///
/// The frame's number, plus one: an `Option<Frame>` is as small.
pub struct Frame(NonZeroU32);

/// Fills the pools: from the end of the kernel's image on.
pub fn prepare() {
    for number in (0..FRAMES).rev() {
        poison(words(address(number)));
        pool(number).lock().push(number);
    }
}

fn address(number: usize) -> u64 {
    boot::image_end_address() + number as u64 * FRAME
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
        let number = at.checked_sub(boot::image_end_address())? / FRAME;
        let is_counted = (number as usize) < FRAMES;
        is_counted.then(|| Self(NonZeroU32::MIN.saturating_add(number as u32)))
    }
}

/// Adds a reference to the page of a table entry, for another entry, if it is one of a frame of the pool.
pub fn share(page: u64) {
    if let Some(frame) = Frame::from_address(page) {
        core::mem::forget(frame.clone());
        core::mem::forget(frame);
    }
}

/// Returns whether the reference of a table entry is the only one to its page.
pub fn is_unshared(page: u64) -> bool {
    Frame::from_address(page).is_some_and(|frame| {
        let count = COUNTS[frame.number()].load(Ordering::Acquire);
        core::mem::forget(frame);
        count == 1
    })
}

impl Clone for Frame {
    fn clone(&self) -> Self {
        COUNTS[self.number()].fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let number = self.number();
        if COUNTS[number].fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        poison(self.words());
        pool(number).lock().push(number);
    }
}

/// Returns how many frames are free.
pub fn free() -> usize {
    FREE_PAGES.lock().used + FREE_KERNEL.lock().used
}
