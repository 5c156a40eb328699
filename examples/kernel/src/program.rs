//! The programs that user code runs. They are in a part of the image that is mapped for it, and use nothing outside.

use crate::boot::{call, load, store};

/// What a program calls the kernel for.
pub const DONE: u64 = 0;
/// A word has not the value that it should have. The values are its address and its value.
pub const WRONG: u64 = 1;

/// What a load returns that the kernel has refused.
const REFUSED: u64 = 0;

/// What each word of a page contains, so that its contents differ from those of any other.
#[expect(
    clippy::inline_always,
    reason = "programs can call nothing outside their own pages"
)]
#[inline(always)]
pub const fn pattern(address: u64) -> u64 {
    address ^ 0x6a09_e667_f3bc_c908
}

/// Whether a word of a page is one that [`access`] only stores to.
#[expect(
    clippy::inline_always,
    reason = "programs can call nothing outside their own pages"
)]
#[inline(always)]
pub const fn is_only_stored(word: u64) -> bool {
    word & 3 == 3
}

/// Loads and stores words at random, all of which have their [`pattern`].
///
/// `pages` is a power of two.
#[unsafe(link_section = ".user")]
pub extern "C" fn access(start: u64, pages: u64, seed: u64, count: u64) -> ! {
    let mut random = seed | 1;
    loop {
        for _ in 0..count {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let page = start + (random >> 20 & (pages - 1)) * 4096;
            let word = random >> 40 & 511;
            let address = page + word * 8;
            if random & 1 == 0 || is_only_stored(word) {
                store(address, pattern(address));
            } else {
                let value = load(address, REFUSED);
                if value != pattern(address) && value != REFUSED {
                    call(WRONG, [address, value]);
                }
            }
        }
        call(DONE, [count, 0]);
    }
}

/// Counts up one word of each page, again and again: `word` is this thread's.
#[unsafe(link_section = ".user")]
pub extern "C" fn count_up(start: u64, pages: u64, word: u64, count: u64) -> ! {
    loop {
        for _ in 0..count {
            let mut page = start;
            while page != start + pages * 4096 {
                let address = page + word * 8;
                store(address, load(address, REFUSED) + 1);
                page += 4096;
            }
        }
        call(DONE, [count, 0]);
    }
}

/// Watches the first words of each page, none of which may change.
#[unsafe(link_section = ".user")]
pub extern "C" fn watch(start: u64, pages: u64, words: u64, count: u64) -> ! {
    let sum = || {
        let mut sum = 0_u64;
        let mut page = start;
        while page != start + pages * 4096 {
            let mut word = 0;
            while word != words {
                sum = sum.rotate_left(5) ^ load(page + word * 8, REFUSED);
                word += 1;
            }
            page += 4096;
        }
        sum
    };
    let first = sum();
    loop {
        for _ in 0..count {
            let now = sum();
            if now != first {
                call(WRONG, [start, now]);
            }
        }
        call(DONE, [count, 0]);
    }
}
